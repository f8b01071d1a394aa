"""What a task brings when its job is over, or has another one (S-5, S-6, section 5 point 8).

It is paid, so it is booked, once; and who has no result yet has this one, free.
"""

from __future__ import annotations

import structlog

from bot.errors import ProviderError, ResultUnavailable, ResultUnusable, TaskNotFound
from bot.jobs.bench import Bench
from bot.jobs.machine import Wait, next_look_us
from bot.jobs.money import reported_cost
from bot.jobs.watching import Watcher
from bot.providers.base import TaskState, TaskStatus
from storage import jobs
from storage.types import Job, Outcome

_log = structlog.get_logger(__name__)


class Latecomers:
    """Books and attaches. May raise `StorageError`; then the same is looked at again."""

    def __init__(self, bench: Bench, watcher: Watcher) -> None:
        self._bench = bench
        self._watcher = watcher

    async def take(self, job: Job, state: TaskState, *, task_id: str) -> bool:
        """Do what follows from a task that our own read confirmed; False while it may bring more.

        `task_id` is the job's own task, one whose create's answer was lost, or a former attempt's.
        """
        if state.status is TaskStatus.RUNNING:
            return False
        if state.status is not TaskStatus.SUCCEEDED:
            return True
        bench = self._bench
        reported = reported_cost(job, state.reported_credits)
        loss_ucr = job.cost_ucr if reported is None else reported.cost_ucr
        # It is paid, whatever becomes of the file: booked before anything can go wrong.
        await bench.database.transact(
            jobs.late_loss,
            job_id=job.id,
            task_id=task_id,
            loss_ucr=loss_ucr,
            now_us=bench.clock.now_us(),
        )
        if not _wants(job, task_id):
            return True
        try:
            files = await self._watcher.secured(job, state, patient=False)
        except ResultUnavailable:
            return False
        except ResultUnusable:
            return True
        attached = await bench.database.transact(
            jobs.late_result,
            job_id=job.id,
            artifacts=files,
            loss_ucr=loss_ucr,
            task_id=task_id,
            now_us=bench.clock.now_us(),
        )
        if attached is not None:
            _log.warning("late_result", fault="F-63", job=job.short_id, failure=job.failure)
        return True

    async def watch(self, job: Job) -> Wait:
        """Look whether a task that had not ended by the deadline has now (S-5, F-52)."""
        assert job.task_id is not None
        due_us = next_look_us(job, now_us=self._bench.clock.now_us())
        if self._bench.clock.now_us() < due_us:
            return Wait(due_us=due_us)
        state = await self._watcher.read(job, job.task_id)
        if isinstance(state, Wait):
            return state
        if isinstance(state, ProviderError):
            is_over = isinstance(state, TaskNotFound)
        else:
            is_over = await self.take(job, state, task_id=job.task_id)
        looks = 0 if is_over else job.looks - 1
        moved = await self._bench.database.transact(jobs.looked, job_id=job.id, looks=looks)
        assert moved is not None
        return Wait(due_us=next_look_us(moved, now_us=self._bench.clock.now_us()))


def _wants(job: Job, task_id: str) -> bool:
    """Whether the job is over without a result, and this task may bring it."""
    if job.outcome is None or job.outcome is Outcome.SUCCEEDED or job.late_us is not None:
        return False
    return job.task_id is None or job.task_id == task_id
