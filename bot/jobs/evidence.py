"""Callbacks as evidence: whose task is it, and what follows (section 5, S-6, F-61 … F-65).

A body names a task; whether that is ours is decided by our own read of it. One read per look, so
that nobody can make us hammer the provider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from bot.errors import ProviderError, ResultUnavailable, ResultUnusable, TaskNotFound
from bot.jobs.bench import Bench
from bot.jobs.books import adopt_task, attach_late, heard_of
from bot.jobs.hints import hint_of
from bot.jobs.machine import confirms, evidence_delay_s, may_get
from bot.jobs.money import reported_cost
from bot.jobs.watching import Watcher
from bot.limits import LATE_TRIES, POLL_INTERVAL_S_MIN, TASK_MISSING_TRIES
from bot.providers.base import TaskState, TaskStatus
from storage import inbox, jobs
from storage.types import Artifact, Callback, Job, JobStatus, Outcome

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """The job runs, by a task that a callback named; `state` is what our own read said."""

    job: Job
    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """There is more to look at, not before `due_us`."""

    due_us: int


Look = Adopted | Later | None


class Evidence:
    """Looks at what was heard of a job; None when nothing waits any more."""

    def __init__(self, bench: Bench, watcher: Watcher) -> None:
        self._bench = bench
        self._watcher = watcher

    async def look(self, job_id: int) -> Look:
        """Act on at most one task that callbacks name. May raise `StorageError`."""
        heard = await self._bench.database.read(heard_of, job_id=job_id)
        job = heard.job
        if job is None or not heard.callbacks:
            return None
        if job.outcome is Outcome.SUCCEEDED or job.late_us is not None:
            await self._seen(heard.callbacks)
            return None
        task_id, named = await self._first(job, heard.callbacks)
        if task_id is None:
            return None
        if not may_get(self._bench.memories.of(job.id), now_us=self._bench.clock.now_us()):
            return self._soon()
        return await self._judge(job, task_id, named)

    async def _judge(self, job: Job, task_id: str, named: Sequence[Callback]) -> Look:
        """Read the task ourselves; only that counts (I-26)."""
        state = await self._watcher.read(job, task_id)
        if isinstance(state, ProviderError):
            tries = self._bench.memories.of(job.id).evidence + 1
            if isinstance(state, TaskNotFound) and tries >= TASK_MISSING_TRIES:
                await self._reject(job, named, reason="no_such_task")
                return self._soon()
            return await self._again(job, named)
        wire_id = self._bench.wire_id_of(job)
        now_us = self._bench.clock.now_us()
        if not confirms(job, state, task_id=task_id, wire_id=wire_id, now_us=now_us):
            await self._reject(job, named, reason="not_confirmed")
            return self._soon()
        if job.outcome is not None:
            return await self._late(job, state, task_id, named)
        return await self._adopt(job, state, task_id, named)

    async def _first(
        self, job: Job, callbacks: Sequence[Callback]
    ) -> tuple[str | None, list[Callback]]:
        """The first task worth a read, and the callbacks that name it; the others are done with."""
        by_task: dict[str, list[Callback]] = {}
        for callback in callbacks:
            hint = hint_of(callback.body)
            if callback.attempt != job.attempt:
                # A create that was judged to have made nothing has made something (section 5.8).
                _log.error("misclassified", job=job.short_id, digest=callback.digest)
                await self._seen([callback])
            elif hint is None:
                await self._reject(job, [callback], reason="no_task")
            else:
                by_task.setdefault(hint, []).append(callback)
        for task_id, named in by_task.items():
            owner = await self._bench.database.read(
                jobs.by_task, provider=job.provider, task_id=task_id
            )
            if (owner is None and job.task_id is None) or (
                owner is not None and owner.id == job.id
            ):
                return task_id, named
            await self._reject(job, named, reason="foreign_task")
        return None, []

    async def _adopt(
        self, job: Job, state: TaskState, task_id: str, named: Sequence[Callback]
    ) -> Adopted | None:
        """The lost answer is found (F-8, F-62)."""
        adopted = await self._bench.database.transact(
            adopt_task,
            job_id=job.id,
            task_id=task_id,
            callback_ids=[callback.id for callback in named],
            due_us=self._bench.in_us(POLL_INTERVAL_S_MIN),
            now_us=self._bench.clock.now_us(),
        )
        if adopted is None:
            return None
        _log.warning("adopted", fault="F-62", job=job.short_id, former=job.status)
        memory = self._bench.memories.of(job.id)
        self._bench.memories.keep(job.id, replace(memory, evidence=0))
        return Adopted(job=adopted, state=state)

    async def _late(
        self, job: Job, state: TaskState, task_id: str, named: Sequence[Callback]
    ) -> Look:
        """The result came after the credits had gone back: kept for the member, free (S-6)."""
        if state.status is TaskStatus.RUNNING:
            return await self._again(job, named)
        files: tuple[Artifact, ...] = ()
        if state.status is TaskStatus.SUCCEEDED:
            try:
                files = await self._watcher.secured(job, state, patient=False)
            except ResultUnavailable:
                return await self._again(job, named)
            except ResultUnusable:
                files = ()
        if not files:
            await self._seen(named)
            return None
        reported = reported_cost(job, state.reported_credits)
        attached = await self._bench.database.transact(
            attach_late,
            job_id=job.id,
            artifacts=files,
            loss_ucr=job.cost_ucr if reported is None else reported.cost_ucr,
            task_id=task_id,
            callback_ids=[callback.id for callback in named],
            now_us=self._bench.clock.now_us(),
        )
        if attached is not None:
            _log.warning("late_result", fault="F-63", job=job.short_id, failure=job.failure)
        return None

    async def _again(self, job: Job, named: Sequence[Callback]) -> Look:
        """Try later; a job without an end in sight decides by its grace, one that is over here."""
        memory = self._bench.memories.of(job.id)
        memory = replace(memory, evidence=memory.evidence + 1)
        self._bench.memories.keep(job.id, memory)
        if job.outcome is not None and memory.evidence >= LATE_TRIES:
            await self._reject(job, named, reason="gave_up")
            return self._soon()
        return Later(due_us=self._bench.in_us(evidence_delay_s(memory)))

    def _soon(self) -> Later:
        """Another callback may name another task; the provider is asked in its turn."""
        return Later(due_us=self._bench.in_us(POLL_INTERVAL_S_MIN))

    async def _reject(self, job: Job, callbacks: Sequence[Callback], *, reason: str) -> None:
        _log.warning("callback_rejected", fault="F-65", job=job.short_id, reason=reason)
        memory = self._bench.memories.of(job.id)
        self._bench.memories.keep(job.id, replace(memory, evidence=0))
        await self._seen(callbacks)

    async def _seen(self, callbacks: Sequence[Callback]) -> None:
        await self._bench.database.transact(
            inbox.mark_seen,
            callback_ids=[callback.id for callback in callbacks],
            now_us=self._bench.clock.now_us(),
        )


def waits_for_evidence(job: Job) -> bool:
    """Whether callbacks can still say something new about it, beside what a poll would."""
    if job.status in {JobStatus.UNKNOWN, JobStatus.DELIVERED}:
        return True
    return job.status is JobStatus.QUEUED and job.attempt > 0
