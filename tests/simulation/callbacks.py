"""The provider's callbacks: three tries each (providers.md 1.4), and everything that can be odd."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from tests.simulation.faults import Fault
from tests.simulation.provider import Provider, Task
from tests.simulation.scene import Scene
from tests.simulation.witness import Witness

TRIES_S = (0.0, 180.0, 600.0)
NO_ANSWER = 0
"""Instead of a status: nobody listened, or nobody lived to answer."""

Post = Callable[[str, str, Callable[[int], None]], None]
"""(path, body, told the status)"""


class Callbacks:
    """Sends what tasks have to report, and what others invent."""

    def __init__(
        self,
        scene: Scene,
        provider: Provider,
        *,
        witness: Witness,
        post: Post,
    ) -> None:
        self._scene = scene
        self._loop = scene.loop
        self._provider = provider
        self._rng = scene.rng
        self._trace = scene.trace
        self._witness = witness
        self._post = post
        self.waiting = 0
        """Reports that are still to come."""
        self._invented: set[str] = set()
        provider.made = self._made

    def _made(self, task: Task) -> None:
        if task.url is None:
            return
        self._invent(task)
        if task.ends_s is None or self._strikes(Fault.CALLBACK_NEVER):
            return
        if self._strikes(Fault.CALLBACK_EARLY):
            self._plan(task, self._rng.random() * 5.0)
        after_s = task.ends_s - self._loop.now_s
        if self._strikes(Fault.CALLBACK_LATE):
            after_s += self._rng.uniform(600.0, 9_000.0)
        self._plan(task, after_s)
        if self._strikes(Fault.CALLBACK_TWICE):
            for _copy in range(self._rng.randrange(1, 4)):
                self._plan(task, after_s + self._rng.random() * 400.0)

    def _invent(self, task: Task) -> None:
        assert task.url is not None
        for fault in (Fault.CALLBACK_INVENTED, Fault.CALLBACK_FOREIGN, Fault.CALLBACK_FORGED):
            if not self._strikes(fault):
                continue
            url, name = task.url, f"invented-{self._rng.randrange(100)}"
            if fault is Fault.CALLBACK_FOREIGN:
                name = self._rng.choice(list(self._provider.tasks))
                self._witness.named_elsewhere.add(name)
            elif fault is Fault.CALLBACK_FORGED:
                url, name = url[:-4] + "AAAA", task.id
            elif name in self._invented:
                self._witness.named_elsewhere.add(name)
            else:
                self._invented.add(name)
            document = {"id": name, "status": "completed", "n": self._rng.random()}
            if fault is Fault.CALLBACK_FORGED:
                document |= _all_that_is_asked_for(task)
            body = json.dumps(document)
            self._send(url, partial(str, body), self._rng.random() * 300.0, 0)

    def _plan(self, task: Task, after_s: float) -> None:
        assert task.url is not None
        self._send(task.url, lambda: json.dumps(self._provider.document(task)), after_s, 0)

    def _send(self, url: str, body: Callable[[], str], after_s: float, number: int) -> None:
        self.waiting += 1

        def go() -> None:
            self._post(url, body(), told)

        def told(status: int) -> None:
            self.waiting -= 1
            self._trace("callback", f"{url.rpartition('/callbacks/')[2][:6]} {status}")
            if status in {NO_ANSWER, 503} and number + 1 < len(TRIES_S):
                self._send(url, body, TRIES_S[number + 1], number + 1)

        self._loop.outside(after_s, go)

    def _strikes(self, fault: Fault) -> bool:
        return self._scene.strikes(fault)


def _all_that_is_asked_for(task: Task) -> dict[str, Any]:
    """What a bot that believes it would bind, show and charge, though the task still runs."""
    return {
        "model": task.model,
        "created_at": task.created_us // 1_000_000,
        "output": {"urls": ["https://files.example/forged"]},
    }
