"""Fakes that hold the truth: what the provider made and took, what Discord shows."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from bot.errors import ModelNotFound, ProviderError, ResultUnavailable, TaskNotFound
from bot.jobs.ports import NO_ROOM, Card, Delivered, Fetched
from bot.providers.base import (
    Content,
    Created,
    CreateVerdict,
    FetchImage,
    MediaProvider,
    MediaRequest,
    TaskState,
    TaskStatus,
    Unknown,
    UnknownCause,
)
from storage.database import Connection, Store
from storage.types import JobKind, JobStatus, Sink
from tests.unit.jobs.virtual import Crash, LoopClock

P = ParamSpec("P")
T = TypeVar("T")


class Fuse:
    """Counts the points at which a process can end, and ends it at one of them."""

    def __init__(self, *, at: int | None = None) -> None:
        self.at = at
        self.passed = 0
        self.burnt = False

    def point(self) -> None:
        """Pass a point. Raises `Crash` at the chosen one and ever after."""
        self.check()
        if self.passed == self.at:
            self.burnt = True
            raise Crash
        self.passed += 1

    def check(self) -> None:
        """Let nobody act whose process is gone."""
        if self.burnt:
            raise Crash


class FusedStore:
    """A `Store` whose process can end after each transaction."""

    def __init__(self, inner: Store, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse
        self.failures: list[Exception] = []
        """Raised instead of the next transactions."""
        self.read_failures: list[Exception] = []
        self.takes_s = 0.0
        """From a commit until we hear of it: the real database is in a thread."""

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._fuse.check()
        await asyncio.sleep(0)  # others may come between a read and its transaction
        if self.failures:
            raise self.failures.pop(0)
        done = await self._inner.transact(body, *args, **kwargs)
        self._fuse.point()
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        return done

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        self._fuse.check()
        await asyncio.sleep(0)
        if self.read_failures:
            raise self.read_failures.pop(0)
        return await self._inner.read(body, *args, **kwargs)

    async def close(self) -> None:
        raise NotImplementedError  # The world closes it.


# --- The provider --------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Task:
    """What the provider truly has; `ends_us` None never ends."""

    id: str
    model: str
    prompt: str
    callback_url: str | None
    created_us: int
    ends_us: int | None
    failure: str | None = None
    urls: tuple[str, ...] = ()
    has_content: bool = False
    credits: Decimal | None = None


def made(provider: FakeProvider, task: Task) -> CreateVerdict:
    """The task exists and its name is told."""
    provider.tasks[task.id] = task
    return Created(task_id=task.id)


def lost(provider: FakeProvider, task: Task) -> CreateVerdict:
    """The task exists, and the answer got lost (F-7, F-46)."""
    provider.tasks[task.id] = task
    return Unknown(cause=UnknownCause.NO_ANSWER)


def nothing(provider: FakeProvider, task: Task) -> CreateVerdict:
    """No task, and no answer either: from outside the same as `lost`."""
    del provider, task
    return Unknown(cause=UnknownCause.NO_ANSWER)


def unshaped(task: Task) -> None:
    """A task as it comes."""
    del task


class FakeProvider:
    """A `MediaProvider` with a memory. `plans` are the answers to the next creates, else `made`."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self.fuse = Fuse()
        self.tasks: dict[str, Task] = {}
        self.creates: list[MediaRequest] = []
        self.callback_urls: list[str | None] = []
        self.in_flight = 0
        self.in_flight_max = 0
        self.gets: list[tuple[str, int]] = []
        self.plans: list[Callable[[FakeProvider, Task], CreateVerdict]] = []
        self.answers_after_s = 1.0
        self.hold: asyncio.Event | None = None
        """While set and not rung, creates made their task and hang."""
        self.task_takes_s: float | None = 20.0
        self.shape: Callable[[Task], None] = unshaped
        """Changes a new task: its failure, its results, its price."""
        self.read_takes_s = 0.05
        self.get_errors: list[Exception] = []
        self.states: list[TaskState] = []
        """Answers to the next reads, in place of the truth."""
        self.film = b"film" * 100
        self.content_errors: list[ProviderError] = []
        self.content_elsewhere: str | None = None
        """Another host that `/content` points at."""
        self.is_set_up = True
        self.on_created: Callable[[Task], None] = unshaped

    async def create(
        self,
        request: MediaRequest,
        *,
        callback_url: str | None = None,
        fetch_image: FetchImage | None = None,
    ) -> CreateVerdict:
        del fetch_image
        self.fuse.check()
        self.creates.append(request)
        self.callback_urls.append(callback_url)
        self.in_flight += 1
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        try:
            now_us = self._clock.now_us()
            takes_s = self.task_takes_s
            task = Task(
                id=f"task-{len(self.creates)}",
                model=request.model.wire_id,
                prompt=request.prompt,
                callback_url=callback_url,
                created_us=now_us,
                ends_us=None if takes_s is None else now_us + int(takes_s * 1_000_000),
                urls=(f"https://files.example/{len(self.creates)}.png",),
            )
            self.shape(task)
            plan = self.plans.pop(0) if self.plans else made
            verdict = plan(self, task)
            if task.id in self.tasks:
                self.on_created(task)
            self.fuse.point()
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(self.answers_after_s)
            self.fuse.point()
            return verdict
        finally:
            self.in_flight -= 1

    async def get(self, task_id: str) -> TaskState:
        self.fuse.check()
        self.gets.append((task_id, self._clock.now_us()))
        await asyncio.sleep(self.read_takes_s)
        self.fuse.check()
        if self.get_errors:
            raise self.get_errors.pop(0)
        if self.states:
            return self.states.pop(0)
        task = self.tasks.get(task_id)
        if task is None:
            raise TaskNotFound(provider="aivideo", status=404)
        return self.state_of(task)

    def state_of(self, task: Task) -> TaskState:
        state = TaskState(
            status=TaskStatus.RUNNING,
            task_id=task.id,
            model=task.model,
            created_us=task.created_us // 1_000_000 * 1_000_000,
            progress=50,
        )
        if task.ends_us is None or self._clock.now_us() < task.ends_us:
            return state
        if task.failure is not None:
            return replace(state, status=TaskStatus.FAILED, failure=task.failure)
        return replace(
            state,
            status=TaskStatus.SUCCEEDED,
            urls=task.urls,
            has_content=task.has_content,
            reported_credits=task.credits,
        )

    @asynccontextmanager
    async def content(self, task_id: str) -> AsyncIterator[Content]:
        self.fuse.check()
        assert task_id in self.tasks

        async def chunks() -> AsyncIterator[bytes]:
            yield self.film

        if self.content_errors:
            raise self.content_errors.pop(0)
        yield Content(
            content_type="video/mp4", chunks=chunks(), redirect_url=self.content_elsewhere
        )

    # --- As `Providers` and `MediaModels` -----------------------------------------------------

    def for_provider(self, provider: str, *, model: str | None = None) -> MediaProvider:
        if not self.is_set_up:
            raise ModelNotFound(provider=provider, model=model)
        return self


# --- Files ---------------------------------------------------------------------------------------


class FakeFiles:
    """`Fetcher` and `ResultFolder`: files are names, and their bytes their address."""

    def __init__(self) -> None:
        self.fuse = Fuse()
        self.fetched: list[str] = []
        self.kept: set[str] = set()
        self.errors: dict[str, list[Exception]] = {}
        """By address: raised by the next fetches of it."""
        self.error: Exception | None = None
        """Raised by every fetch."""
        self.room: int | None = None
        """How many files there is room for."""
        self.free_ppm = 500_000
        self.disk_error: OSError | None = None
        """Raised by every look at the disk."""
        self.slow_s = 0.2
        self.remove_error: Exception | None = None

    async def secure(self, url: str, *, kind: JobKind) -> Fetched:
        self.fuse.check()
        self.fetched.append(url)
        await asyncio.sleep(self.slow_s)
        if self.errors.get(url):
            raise self.errors[url].pop(0)
        if self.error is not None:
            raise self.error
        self._check_room()
        kept = self._keep(url.encode(), kind)
        self.fuse.point()
        return kept

    async def keep(self, chunks: AsyncIterator[bytes], *, kind: JobKind) -> Fetched:
        self.fetched.append("/content")
        self._check_room()
        return self._keep(b"".join([chunk async for chunk in chunks]), kind)

    def _check_room(self) -> None:
        if self.room is not None and len(self.kept) >= self.room:
            raise ResultUnavailable(NO_ROOM)

    def _keep(self, data: bytes, kind: JobKind) -> Fetched:
        digest = hashlib.sha256(data).hexdigest()
        extension = ".png" if kind is JobKind.IMAGE else ".mp4"
        name = f"{len(self.fetched)}-{digest[:8]}{extension}"
        self.kept.add(name)
        return Fetched(
            path=name,
            content_type="image/png" if kind is JobKind.IMAGE else "video/mp4",
            extension=extension,
            size_bytes=len(data),
            sha256=digest,
        )

    def path_of(self, name: str) -> Path | None:
        return Path("/results") / name if name in self.kept else None

    async def missing_bytes(self, kind: JobKind) -> int:
        del kind
        if self.disk_error is not None:
            raise self.disk_error
        return int(self.room is not None and len(self.kept) >= self.room)

    async def disk_free_ppm(self) -> int:
        if self.disk_error is not None:
            raise self.disk_error
        return self.free_ppm

    async def remove(self, names: Collection[str]) -> None:
        if self.remove_error is not None:
            raise self.remove_error
        self.kept -= set(names)

    async def remove_others(self, names: Collection[str]) -> int:
        others = self.kept - set(names)
        self.kept -= others
        return len(others)


def unavailable() -> ResultUnavailable:
    return ResultUnavailable("gone")


# --- Discord -------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class FakeDelivery:
    """Discord as far as jobs see it: one message per job, which an edit changes in place."""

    fuse: Fuse = field(default_factory=Fuse)
    cards: dict[int, Card] = field(default_factory=dict)
    """What the message of a job shows now."""
    outcomes: dict[int, set[str]] = field(default_factory=dict)
    shows: Counter[int] = field(default_factory=Counter)
    shown: list[tuple[int, JobStatus, int | None]] = field(default_factory=list)
    deliveries: Counter[int] = field(default_factory=Counter)
    troubles: list[Exception] = field(default_factory=list)
    """Raised by the next deliveries."""
    trouble: Exception | None = None
    """Raised by every delivery."""
    slow_s: float = 0.0
    is_away: bool = False
    """Nothing can be shown yet, as before the login."""
    show_error: Exception | None = None
    """A mistake in it: `show` never raises for anything that Discord does."""
    sink: Sink = Sink.CARD
    uploads: bool = True
    """Whether the files go along, or only words and links."""

    async def show(self, card: Card) -> int | None:
        await asyncio.sleep(self.slow_s)
        if self.show_error is not None:
            raise self.show_error
        if self.is_away:
            return None
        if card.job.id not in self.outcomes:
            self.cards[card.job.id] = card
        self.shows[card.job.id] += 1
        self.shown.append((card.job.id, card.job.status, card.place))
        return 10_000 + card.job.id

    async def deliver(self, card: Card) -> Delivered:
        self.fuse.check()
        await asyncio.sleep(0.1)
        if self.troubles:
            raise self.troubles.pop(0)
        if self.trouble is not None:
            raise self.trouble
        assert card.job.outcome is not None
        self.cards[card.job.id] = card
        self.deliveries[card.job.id] += 1
        self.outcomes.setdefault(card.job.id, set()).add(
            f"{card.job.outcome} {card.job.failure} {card.job.charged_ucr}"
        )
        self.fuse.point()
        is_uploaded = self.uploads and bool(card.artifacts)
        return Delivered(sink=self.sink, message_id=10_000 + card.job.id, is_uploaded=is_uploaded)
