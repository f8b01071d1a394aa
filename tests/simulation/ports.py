"""The bot's ways to the provider, of one process: they end with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from bot.catalogue.media import MediaModel, MediaProtocol
from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    ProviderError,
    ProviderInternalError,
    ProviderUnreachable,
    RateLimited,
    TaskNotFound,
)
from bot.providers.base import (
    Content,
    Created,
    CreateVerdict,
    FetchImage,
    MediaProvider,
    MediaRequest,
    TaskState,
    Unknown,
)
from bot.providers.classify import CreateAnswer, classify, is_task_id
from bot.providers.task_states import read_task
from bot.providers.wire import parse_json
from tests.simulation.checker import Checker
from tests.simulation.faults import Fault
from tests.simulation.process import Process
from tests.simulation.provider import PROVIDER, Provider
from tests.simulation.scene import Scene
from tests.simulation.witness import Departure, Witness


class ProcessProvider:
    """`MediaProvider`, `Providers`, `MediaModels`: the production classifier over raw answers."""

    def __init__(
        self,
        provider: Provider,
        process: Process,
        *,
        scene: Scene,
        witness: Witness,
        checker: Checker,
        asked: Callable[[Callable[[], None]], None],
        left: Callable[[], None],
    ) -> None:
        self._provider = provider
        self._process = process
        self._scene = scene
        self._witness = witness
        self._checker = checker
        self._asked = asked
        self._left = left
        self._in_flight = 0

    def available(self, model: MediaModel) -> bool:
        """One provider is set up."""
        return model.provider == PROVIDER

    def for_provider(self, provider: str, *, model: str | None = None) -> MediaProvider:
        del model
        assert provider == PROVIDER
        return self

    async def create(
        self,
        request: MediaRequest,
        *,
        callback_url: str | None = None,
        fetch_image: FetchImage | None = None,
    ) -> CreateVerdict:
        del fetch_image
        await self._process.pause()
        leaving = Departure(
            reference=request.prompt.rpartition(" ")[2],
            url=callback_url,
            process=self._process.number,
            at_s=self._process.loop.now_s,
        )
        self._asked(lambda: self._checker.leaves(leaving))
        self._witness.departures[leaving.reference].append(leaving)
        self._in_flight += 1
        self._asked(lambda: self._checker.bounded(in_flight=self._in_flight))
        answered: Any = self._process.loop.create_future()

        def take(answer: CreateAnswer) -> None:
            if not answered.done():
                answered.set_result(answer)

        leaving.fault = self._provider.create(
            request, url=callback_url, process=self._process.number, answered=take
        )
        self._left()
        try:
            answer: CreateAnswer = await answered
        finally:
            self._in_flight -= 1
        self._process.check()
        verdict = classify(
            answer, provider=PROVIDER, protocol=MediaProtocol.TASKS, model=request.model.id
        )
        leaving.told = True
        self._checker.pauses.told(
            leaving,
            is_unknown=isinstance(verdict, Unknown),
            now_s=self._process.loop.now_s,
        )
        if isinstance(verdict, Created):
            leaving.name = verdict.task_id
        self._scene.trace("bot", f"{leaving.reference} {type(verdict).__name__}")
        await self._process.pause()
        return verdict

    async def get(self, task_id: str) -> TaskState:
        process, loop = self._process, self._process.loop
        process.check()
        key = (process.number, task_id)
        before_s = self._witness.read_at_s.get(key)
        self._witness.read_at_s[key] = loop.now_s
        if before_s is not None and task_id not in self._witness.named_elsewhere:
            self._asked(lambda: self._checker.bounded(since_read_s=loop.now_s - before_s))
        self._scene.trace("bot", f"reads {task_id}")
        await process.wait(0.02 + self._scene.rng.random() * 0.5)
        if not is_task_id(task_id):
            raise TaskNotFound(provider=PROVIDER)
        if self._scene.strikes(Fault.GET_ERROR):
            error = self._scene.rng.choice(_GET_ERRORS)()
            raise error
        task = self._provider.tasks.get(task_id)
        if task is not None and self._scene.strikes(Fault.TASK_GONE):
            task.denied += 1
            task = None
        if task is None:
            raise TaskNotFound(provider=PROVIDER, status=404)
        document = parse_json(json.dumps(self._provider.document(task)))
        state = read_task(document, provider=PROVIDER)
        if state is None:
            raise AnswerMalformed(provider=PROVIDER, status=200)
        self._scene.trace("bot", f"{task.reference} read {task.id} {document['status']}")
        self._witness.reads.add(task_id)
        task.seen_succeeded |= document["status"] == "completed"
        task.is_read_in_calm |= self._scene.weather.is_calm
        await process.pause()
        return state

    def content(self, task_id: str) -> AbstractAsyncContextManager[Content]:
        del task_id
        raise TaskNotFound(provider=PROVIDER)


# Made anew each time: one that is raised again and again keeps every world that it was raised in.
_GET_ERRORS: tuple[Callable[[], ProviderError], ...] = (
    partial(ProviderInternalError, provider=PROVIDER, status=500),
    partial(AnswerLost, provider=PROVIDER),
    partial(ProviderUnreachable, provider=PROVIDER),
    partial(RateLimited, provider=PROVIDER, status=429),
    partial(AnswerMalformed, provider=PROVIDER, status=200),
)
