"""All tasks: taken and charged, waited for, drawn, refunded when they fail, and announced."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final

from sandbox.provider.account import Account
from sandbox.provider.studio.studio import CannotRender, Studio
from sandbox.provider.tasks.callbacks import Caller
from sandbox.provider.tasks.orders import Order
from sandbox.provider.tasks.pace import TasksPace
from sandbox.provider.tasks.switches import TaskSwitches
from sandbox.provider.tasks.task import Task, control_json
from sandbox.provider.wire import Json

log = logging.getLogger(__name__)

TASKS_MAX: Final = 2_000
"""Kept; the oldest finished one goes first."""
RUNNING_MAX: Final = 500
"""At one time; ten times what a busy server's members may have."""
DRAWING_S: Final = 2.0
"""Before its end a task's result is begun, so that it ends in time and no work is wasted."""


class TooManyTasks(Exception):
    """`RUNNING_MAX` is reached."""


class NoCredit(Exception):
    """The balance does not cover the price."""


class Book:
    """`pace` may be replaced at any time: new tasks go by it."""

    def __init__(
        self,
        *,
        switches: TaskSwitches,
        studio: Studio,
        caller: Caller,
        pace: TasksPace,
        now: Callable[[], float],
    ) -> None:
        self.pace = pace
        self._switches = switches
        self._studio = studio
        self._caller = caller
        self._now = now
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        self._runs: set[asyncio.Task[None]] = set()

    def create(
        self, order: Order, *, endpoint: str, account: Account, base_url: str, task_id: str | None
    ) -> Task:
        """Charge, and begin. Raises `NoCredit` and `TooManyTasks`."""
        if sum(not task.finished for task in self._tasks.values()) >= RUNNING_MAX:
            raise TooManyTasks
        if not account.take(order.price_ucr):
            raise NoCredit
        loop = asyncio.get_running_loop()
        task = Task(
            # Not counted on from each start: clients keep names for longer than we live.
            id=task_id or str(uuid.uuid4()),
            order=order,
            endpoint=endpoint,
            account=account,
            pace=self.pace,
            base_url=base_url,
            created_at=self._now(),
            started=loop.time(),
            duration_s=self.pace.image_s if endpoint == "images" else self.pace.video_s,
            charged_ucr=order.price_ucr,
        )
        for family in ("fate", "credits", "callback"):
            one = self._switches.take(family, endpoint=endpoint, model=order.model)
            setattr(task, family, one)
        if task.fate and task.fate.kind == "task_slow":
            task.duration_s *= task.fate["factor"]
        if task.callback and task.callback.kind == "callback_early":
            task.duration_s = 0
        variant = sum(other.order.digest == order.digest for other in self._tasks.values())
        self._keep(task)
        run = asyncio.create_task(self._run(task, variant))
        self._runs.add(run)
        run.add_done_callback(lambda run: self._ended(run, task))
        return task

    def _ended(self, run: asyncio.Task[None], task: Task) -> None:
        self._runs.discard(run)
        if not run.cancelled() and (bug := run.exception()) is not None:
            log.error("a bug of the sandbox: task %s", task.id, exc_info=bug)
            if not task.finished:
                self._fail(task, "internal_error", "Unexpected server error.")

    def _keep(self, task: Task) -> None:
        self._tasks[task.id] = task
        if len(self._tasks) > TASKS_MAX:
            oldest = next((old.id for old in self._tasks.values() if old.finished), None)
            if oldest is not None:
                del self._tasks[oldest]

    def find(self, task_id: str) -> Task | None:
        return self._tasks.get(task_id)

    def before(self, task: Task) -> Task | None:
        """The task that was created before this one."""
        others = [other for other in self._tasks.values() if other is not task]
        return others[-1] if others else None

    def of_file(self, name: str) -> Task | None:
        """The latest task whose result it is."""
        found = (task for task in reversed(self._tasks.values()) if task.result)
        return next((task for task in found if task.result and task.result.name == name), None)

    def json(self) -> Json:
        """Every task, and how often each order and each callback address was created."""
        tasks = list(self._tasks.values())
        now = asyncio.get_running_loop().time()
        urls = Counter(task.order.callback_url for task in tasks if task.order.callback_url)
        return {
            "tasks": [control_json(task, now) for task in tasks],
            "creates": {
                "by_callback_url": dict(urls),
                "by_digest": dict(Counter(task.order.digest for task in tasks)),
            },
        }

    async def announce_again(self, task: Task) -> None:
        """One more callback, now."""
        await self._caller.attempt(task)

    async def close(self) -> None:
        runs = list(self._runs)
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    # --- One task's life --------------------------------------------------------------------------

    async def _run(self, task: Task, variant: int) -> None:
        async with asyncio.TaskGroup() as group:
            forging = group.create_task(self._caller.forge(task))
            await self._work(task, variant)
            await self._caller.announce(task)
            # What it invents, it invents while the task runs.
            forging.cancel()

    async def _work(self, task: Task, variant: int) -> None:
        failing = task.fate if task.kind_of_fate == "task_failed" else None
        if task.kind_of_fate == "task_endless":
            await self._wait(task, None)
        if failing:
            await self._wait(task, task.duration_s * failing["at"])
            self._fail(task, failing["code"], failing["message"])
            return
        ahead_s = min(DRAWING_S, task.duration_s)
        await self._wait(task, task.duration_s - ahead_s)
        try:
            async with asyncio.TaskGroup() as group:
                drawing = group.create_task(
                    self._studio.render(
                        task.order, variant=variant, folder=_folder(task.created_at)
                    )
                )
                await self._wait(task, ahead_s)
        except* CannotRender as errors:
            self._fail(task, "upstream_error", str(errors.exceptions[0]))
        else:
            task.result = drawing.result()
            task.completed_at = self._now()

    async def _wait(self, task: Task, delay_s: float | None) -> None:
        """Until it is over or released; `delay_s` None is until released."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await task.release.wait()

    def _fail(self, task: Task, code: str, message: str) -> None:
        task.error = {"code": code, "message": message}
        task.completed_at = self._now()
        task.account.refund(task.charged_ucr)
        task.refunded_ucr = task.charged_ucr


def _folder(at: float) -> str:
    """`2026/04/05`, as in the samples."""
    return time.strftime("%Y/%m/%d", time.gmtime(at))
