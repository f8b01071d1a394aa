"""A loop on virtual time that can be killed between any two of its steps."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable, Coroutine, Generator
from typing import Any

START_US = 1_763_640_000_000_000
"""2025-11-20 12:00 UTC: where every world begins."""
DRAIN_STEPS_MAX = 10_000
TASKS_KEPT_MAX = 100
"""Ended tasks are looked through when so many have gathered."""

MINUTE_S = 60.0
STEPS_PER_MINUTE_MAX = 20_000
"""Of virtual time: whoever needs more goes round in circles."""
COMMITS_PER_MINUTE_MAX = 1_000
"""Of virtual time: a step that writes again and again, and gets nowhere."""


class Crash(BaseException):
    """The process is gone: nothing may catch it, nothing may follow it."""


class Stuck(Exception):
    """Everybody waits, and nothing is scheduled."""


class Runaway(Exception):
    """Steps follow steps, and hardly any time passes."""


class Overdue(KeyboardInterrupt):
    """The world took too much of the processor's time."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs one handle per step; time passes only when nothing else is ready.

    `on_step` is called at the chosen step number: that is where a process can end. What the world
    outside does is plain callbacks (`outside`), so every task belongs to the process.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.steps = 0
        self._minute_ends_s = MINUTE_S
        self._steps_before_minute = self._commits = 0
        self.step_of_crash = -1
        self.on_step: Callable[[], None] = _nothing
        self.is_over = False
        self.broken: list[str] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._just_ended: set[asyncio.Task[Any]] = set()
        """At this instant: all who wait for a task have seen its end before time passes."""
        self.set_task_factory(self._new_task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self.now_s

    def now_us(self) -> int:
        """Wall time without any skew."""
        return START_US + round(self.now_s * 1_000_000)

    def run(self) -> None:
        """Work until somebody says that it `is_over`."""
        asyncio._set_running_loop(self)
        try:
            while not self.is_over:
                self._run_once()
        finally:
            asyncio._set_running_loop(None)

    def outside(self, delay_s: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        """Let the world outside the process do something later."""
        return self.call_at(self.now_s + delay_s, act, context=_OUTSIDE)

    def kill_tasks(self) -> None:
        """End whatever runs; in the order of its beginning, so that a replay does the same."""
        for task in self._tasks:
            if not task.done():
                task.cancel()
            elif task in self._just_ended and not task.cancelled():
                # Whoever would have looked at its error in the next step is gone with it.
                task._log_traceback = False

    def commits_too_often(self) -> bool:
        """Count one commit; whether there were too many in this minute."""
        self._commits += 1
        return self._commits > COMMITS_PER_MINUTE_MAX

    def drain(self) -> None:
        """Let killed tasks end; they have no effects any more."""
        self._steps_before_minute = self.steps
        asyncio._set_running_loop(self)
        try:
            for _step in range(DRAIN_STEPS_MAX):
                if not self.running_tasks():
                    break
                self._run_once()
            else:
                self.broken.append("a task cannot be ended")
        finally:
            asyncio._set_running_loop(None)

    def running_tasks(self) -> list[asyncio.Task[Any]]:
        """Look at the ended ones on the way: an error that nobody saw is a mistake of ours."""
        alive = []
        for task in self._tasks:
            if not task.done():
                alive.append(task)
            elif not task.cancelled() and task._log_traceback:
                error = task.exception()
                if not is_crash(error):
                    self.broken.append(f"lost task exception: {error!r}")
        self._tasks = alive
        return alive

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined] # BaseEventLoop's
        if not ready:
            if len(self._tasks) > TASKS_KEPT_MAX:
                self.running_tasks()
            while scheduled and scheduled[0]._cancelled:
                heapq.heappop(scheduled)._scheduled = False
            if not scheduled:
                raise Stuck
            self.now_s = max(self.now_s, scheduled[0]._when)
            self._just_ended.clear()
            if self.now_s >= self._minute_ends_s:
                self._minute_ends_s = self.now_s + MINUTE_S
                self._steps_before_minute, self._commits = self.steps, 0
            while scheduled and scheduled[0]._when <= self.now_s:
                handle = heapq.heappop(scheduled)
                handle._scheduled = False
                ready.append(handle)
            return
        handle = ready.popleft()
        if not handle._cancelled:
            handle._run()
            self._note_end(getattr(handle._callback, "__self__", None))
        self.steps += 1
        if self.steps - self._steps_before_minute > STEPS_PER_MINUTE_MAX:
            raise Runaway
        if self.steps == self.step_of_crash:
            self.on_step()

    def _note_end(self, stepped: object) -> None:
        if isinstance(stepped, asyncio.Task) and stepped.done():
            self._just_ended.add(stepped)

    def _new_task(
        self,
        loop: asyncio.AbstractEventLoop,
        coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        **options: Any,
    ) -> asyncio.Task[Any]:
        # A name of its own would be numbered through all worlds of this interpreter.
        task = asyncio.Task(coro, loop=loop, **{"name": "task", **options})
        self._tasks.append(task)
        return task

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not is_crash(error):
            self.broken.append(f"{context.get('message')}: {error!r}")


_OUTSIDE = contextvars.Context()


def _nothing() -> None:
    """Nobody is to be killed."""


def is_crash(error: BaseException | None) -> bool:
    """Whether an error only says that its process is gone."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(is_crash, error.exceptions))
    return isinstance(error, Crash)
