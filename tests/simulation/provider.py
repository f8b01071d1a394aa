"""The provider: what it truly made, took and told. It outlives every process of the bot."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.catalogue.pricing import media_cost_ucr
from bot.providers.base import MediaRequest
from bot.providers.classify import CreateAnswer
from tests.simulation.faults import Fault
from tests.simulation.scene import Scene

PROVIDER = "aivideo"
CREATE_TIMEOUT_S = 120.0
"""What the client of production gives an answer."""

_MADE = frozenset(fault for fault in Fault if fault.name.endswith("_MADE"))
_CREATE_FAULTS = (
    Fault.REFUSED_CONNECTION,
    Fault.RATE_LIMITED,
    Fault.SPEND_LIMITED,
    Fault.BAD_REQUEST,
    Fault.BAD_KEY,
    Fault.NO_BALANCE,
    Fault.BAD_ADDRESS,
    Fault.NO_MODEL,
    Fault.REFUSED_503,
    Fault.REFUSED_503_MADE,
    Fault.ENVELOPE_REFUSED,
    Fault.LOST_MADE,
    Fault.LOST_NOT_MADE,
    Fault.ERROR_500_MADE,
    Fault.ERROR_500,
    Fault.HTML,
    Fault.TRUNCATED_MADE,
    Fault.ENVELOPE_ODD_MADE,
    Fault.ID_MISSING_MADE,
    Fault.ID_FOREIGN_MADE,
    Fault.REDIRECT,
)
PROVEN_NOT_CREATED = frozenset(
    {
        Fault.REFUSED_CONNECTION,
        Fault.RATE_LIMITED,
        Fault.SPEND_LIMITED,
        Fault.BAD_REQUEST,
        Fault.BAD_KEY,
        Fault.NO_BALANCE,
        Fault.BAD_ADDRESS,
        Fault.NO_MODEL,
        Fault.REFUSED_503,
        Fault.REFUSED_503_MADE,
        Fault.ENVELOPE_REFUSED,
    }
)
"""Answers that section 5 counts as NOT CREATED; everything else but a good name is UNKNOWN."""
_STATUSES = {
    Fault.RATE_LIMITED: (429, "rate_limit_exceeded"),
    Fault.SPEND_LIMITED: (429, "spend_limit_exceeded"),
    Fault.ERROR_500_MADE: (500, "internal_error"),
    Fault.ERROR_500: (500, "internal_error"),
    Fault.BAD_REQUEST: (400, "invalid_request"),
    Fault.BAD_KEY: (401, "invalid_api_key"),
    Fault.NO_BALANCE: (402, "insufficient_credits"),
    Fault.BAD_ADDRESS: (403, "ip_not_allowed"),
    Fault.NO_MODEL: (404, "model_not_found"),
    Fault.REFUSED_503: (503, "upstream_error"),
    Fault.REFUSED_503_MADE: (503, "upstream_error"),
}
_ODD_AMOUNTS: tuple[Any, ...] = (-3, "2.4", "NaN", 10**30, 1e-9, None, True, 99.5)


@dataclass(slots=True, kw_only=True)
class Task:
    """What the provider truly has. `ends_s` is None for one that never ends.

    `reported` is what its answers say about its price: a JSON value, or nothing at all.
    """

    id: str
    reference: str
    url: str | None
    model: str
    kind: str
    cost_ucr: int
    created_s: float
    created_us: int
    ends_s: float | None
    is_failed: bool
    has_url: bool
    reported: Any = field(default=...)
    seen_succeeded: bool = False
    is_read_in_calm: bool = False
    """Whether a process could read it when the faults were over."""
    denied: int = 0
    """How often a read was told that it does not exist."""

    def is_over(self, now_s: float) -> bool:
        return self.ends_s is not None and now_s >= self.ends_s


@dataclass(slots=True, kw_only=True)
class Create:
    """One request that reached the provider."""

    reference: str
    url: str | None
    at_s: float
    process: int
    task: Task | None = None
    fault: Fault | None = None


class Provider:
    """The oracle of everything that costs money."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._loop = scene.loop
        self._rng = scene.rng
        self._trace = scene.trace
        self.creates: list[Create] = []
        self.tasks: dict[str, Task] = {}
        self.in_flight = 0
        self.made: Callable[[Task], None] = _ignored

    # --- Creates ------------------------------------------------------------------------------

    def create(
        self,
        request: MediaRequest,
        *,
        url: str | None,
        process: int,
        answered: Callable[[CreateAnswer], None],
    ) -> Fault | None:
        """A request leaves the bot; from here on its process may end as it likes.

        Returns what will go wrong with it, for the checker alone.
        """
        fault = self._scene.first(_CREATE_FAULTS)
        reference = request.prompt.rpartition(" ")[2]
        if fault is Fault.REFUSED_CONNECTION:
            self._trace("provider", f"{reference} no connection")
            self._loop.outside(self._rng.random() * 5, lambda: answered(_NO_CONNECTION))
            return fault

        def arrive() -> None:
            create = Create(
                reference=reference, url=url, at_s=self._loop.now_s, process=process, fault=fault
            )
            self.creates.append(create)
            if fault is None or fault in _MADE:
                create.task = self._make(request, create)
            answer = self._answer(create)
            self._trace(
                "provider",
                f"{reference} create {create.task.id if create.task else '-'}"
                f" {fault.name if fault else 'answered'}",
            )
            self._loop.outside(self._delay_s(answer), lambda: answered(answer))
            if create.task is not None:
                self.made(create.task)

        self._loop.outside(0.01 + self._rng.random() * 0.3, arrive)
        return fault

    def _delay_s(self, answer: CreateAnswer) -> float:
        if answer.status is None:
            return self._rng.choice((0.2, 5.0, CREATE_TIMEOUT_S))
        if self._strikes(Fault.SLOW_ANSWER):
            return self._rng.uniform(5.0, CREATE_TIMEOUT_S - 1.0)
        return 0.05 + self._rng.random() * 2.0

    def _make(self, request: MediaRequest, create: Create) -> Task:
        rng, now_s = self._rng, self._loop.now_s
        is_image = request.kind == "image"
        takes_s = rng.uniform(3.0, 60.0) if is_image else rng.uniform(20.0, 400.0)
        never = self._strikes(Fault.NEVER_ENDS)
        task = Task(
            id=f"task-{len(self.tasks) + 1}",
            reference=create.reference,
            url=create.url,
            model=request.model.wire_id,
            kind=str(request.kind),
            cost_ucr=media_cost_ucr(request.model, request.options),
            created_s=now_s,
            created_us=self._loop.now_us(),
            ends_s=None if never else now_s + takes_s,
            is_failed=self._strikes(Fault.TASK_FAILED),
            has_url=not self._strikes(Fault.NO_URL),
        )
        if self._strikes(Fault.ODD_AMOUNT):
            task.reported = rng.choice(_ODD_AMOUNTS)
        elif rng.random() < 0.3:
            task.reported = task.cost_ucr / 1_000_000
        self.tasks[task.id] = task
        return task

    def _answer(self, create: Create) -> CreateAnswer:
        fault, task = create.fault, create.task
        name: Any = task.id if task else None
        if fault in {Fault.LOST_MADE, Fault.LOST_NOT_MADE}:
            return CreateAnswer()
        if fault is Fault.HTML:
            return CreateAnswer(status=502, content_type="text/html", body=b"<html>Bad gateway")
        if fault is Fault.REDIRECT:
            return CreateAnswer(status=302, content_type="text/html")
        if fault in _STATUSES:
            status, code = _STATUSES[fault]
            body = json.dumps({"error": {"code": code, "message": "no"}}).encode()
            asked_s = self._rng.choice((None, 1.0, 20.0, 400.0)) if status == 429 else None
            return CreateAnswer(
                status=status, content_type="application/json", body=body, retry_after_s=asked_s
            )
        document: dict[str, Any] = {"code": 200, "msg": "success", "data": {"taskId": name}}
        if fault is Fault.ENVELOPE_REFUSED:
            document = {"code": self._rng.choice((400, 402, 404)), "msg": "no", "data": None}
        elif fault is Fault.ENVELOPE_ODD_MADE:
            document["code"] = self._rng.choice((500, 201, "200 OK"))
        elif fault is Fault.ID_MISSING_MADE:
            document["data"] = self._rng.choice(({}, None, {"taskId": 17}, {"taskId": ""}))
        elif fault is Fault.ID_FOREIGN_MADE:
            others = [known for known in self.tasks if known != name]
            document["data"] = {"taskId": self._rng.choice(others) if others else "task-0"}
        body = json.dumps(document).encode()
        if fault is Fault.TRUNCATED_MADE:
            body = body[: self._rng.randrange(len(body) - 2)]
        return CreateAnswer(status=200, content_type="application/json", body=body)

    def _strikes(self, fault: Fault) -> bool:
        return self._scene.strikes(fault)

    # --- Reads --------------------------------------------------------------------------------

    def document(self, task: Task) -> dict[str, Any]:
        """The task as its own page tells it now."""
        document: dict[str, Any] = {
            "id": task.id,
            "model": task.model,
            "created_at": task.created_us // 1_000_000,
            "status": "processing",
            "progress": 40,
        }
        if task.is_over(self._loop.now_s):
            document["progress"] = 100
            document["status"] = "failed" if task.is_failed else "completed"
            if task.is_failed:
                document["error"] = {"code": "generation_failed", "message": "@everyone no"}
            elif task.has_url:
                document["output"] = {"urls": [f"https://files.example/{task.id}"]}
            if task.reported is not ... and not task.is_failed:
                document["credits_consumed"] = task.reported
        if self._strikes(Fault.BACKWARDS):
            document = {**document, "status": "pending"}
            document.pop("output", None)
        elif self._strikes(Fault.ODD_WORD):
            document = {**document, "status": "pondering"}
        return document


_NO_CONNECTION = CreateAnswer(connected=False)


def _ignored(task: Task) -> None:
    """Nobody wants to know."""
