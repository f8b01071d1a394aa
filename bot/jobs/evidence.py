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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A task that callbacks name; `is_stray` when they are all of other attempts than the last."""

    task_id: str
    named: tuple[Callback, ...]
    is_stray: bool


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
        hint = await self._next(job, heard.callbacks)
        if hint is None:
            return None
        if not may_get(self._bench.memories.of(job.id), now_us=self._bench.clock.now_us()):
            return self._soon()
        return await self._judge(job, hint)

    async def _judge(self, job: Job, hint: Hint) -> Look:
        """Read the task ourselves; only that counts (I-26)."""
        state = await self._watcher.read(job, hint.task_id)
        if isinstance(state, ProviderError):
            tries = self._bench.memories.of(job.id).tried.get(hint.task_id, 0) + 1
            if isinstance(state, TaskNotFound) and tries >= TASK_MISSING_TRIES:
                await self._reject(job, hint.named, reason="no_such_task")
                return self._soon()
            return await self._again(job, hint)
        is_confirmed = confirms(
            job,
            state,
            task_id=hint.task_id,
            wire_id=self._bench.wire_id_of(job),
            now_us=self._bench.clock.now_us(),
            any_attempt=hint.is_stray,
        )
        if not is_confirmed:
            await self._reject(job, hint.named, reason="not_confirmed")
            return self._soon()
        if hint.is_stray:
            return await self._stray(job, state, hint)
        if job.outcome is not None:
            return await self._late(job, state, hint)
        return await self._adopt(job, state, hint.task_id, hint.named)

    async def _next(self, job: Job, callbacks: Sequence[Callback]) -> Hint | None:
        """The task to read now: the least tried, of those the newest; nobody's name blocks it."""
        by_task: dict[str, list[Callback]] = {}
        for callback in callbacks:
            task_id = hint_of(callback.body)
            if task_id is None:
                await self._reject(job, [callback], reason="no_task")
            else:
                by_task.setdefault(task_id, []).append(callback)
        tried = self._bench.memories.of(job.id).tried
        for task_id, named in sorted(
            by_task.items(), key=lambda item: (tried.get(item[0], 0), -item[1][-1].id)
        ):
            owner = await self._bench.database.read(
                jobs.by_task, provider=job.provider, task_id=task_id
            )
            is_ours = owner is not None and owner.id == job.id
            is_stray = not is_ours and all(one.attempt != job.attempt for one in named)
            if is_ours or (owner is None and (is_stray or job.task_id is None)):
                if is_stray and task_id not in tried:
                    # A create that was judged to have made nothing has made something (5.8).
                    _log.error("misclassified", job=job.short_id, digest=named[-1].digest)
                return Hint(task_id=task_id, named=tuple(named), is_stray=is_stray)
            await self._reject(job, named, reason="foreign_task")
        return None

    async def _stray(self, job: Job, state: TaskState, hint: Hint) -> Look:
        """A task of a former attempt: the job has another one, or none; this one is paid (I-10)."""
        if state.status is TaskStatus.RUNNING:
            return await self._again(job, hint)
        if state.status is TaskStatus.SUCCEEDED:
            reported = reported_cost(job, state.reported_credits)
            await self._bench.database.transact(
                jobs.stray_loss,
                job_id=job.id,
                task_id=hint.task_id,
                loss_ucr=job.cost_ucr if reported is None else reported.cost_ucr,
                now_us=self._bench.clock.now_us(),
            )
        await self._seen(hint.named)
        return self._soon()

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
        self._bench.memories.keep(job.id, replace(memory, tried={}))
        return Adopted(job=adopted, state=state)

    async def _late(self, job: Job, state: TaskState, hint: Hint) -> Look:
        """The result came after the credits had gone back: kept for the member, free (S-6)."""
        if state.status is TaskStatus.RUNNING:
            return await self._again(job, hint)
        files: tuple[Artifact, ...] = ()
        reported = reported_cost(job, state.reported_credits)
        loss_ucr = job.cost_ucr if reported is None else reported.cost_ucr
        if state.status is TaskStatus.SUCCEEDED:
            # It is paid, whatever becomes of the file: booked before anything can go wrong.
            await self._bench.database.transact(
                jobs.late_loss,
                job_id=job.id,
                loss_ucr=loss_ucr,
                now_us=self._bench.clock.now_us(),
            )
            try:
                files = await self._watcher.secured(job, state, patient=False)
            except ResultUnavailable:
                return await self._again(job, hint)
            except ResultUnusable:
                files = ()
        if not files:
            await self._seen(hint.named)
            return self._soon()
        attached = await self._bench.database.transact(
            attach_late,
            job_id=job.id,
            artifacts=files,
            loss_ucr=loss_ucr,
            task_id=hint.task_id,
            callback_ids=[callback.id for callback in hint.named],
            now_us=self._bench.clock.now_us(),
        )
        if attached is not None:
            _log.warning("late_result", fault="F-63", job=job.short_id, failure=job.failure)
        return None

    async def _again(self, job: Job, hint: Hint) -> Look:
        """Try later; a job without an end in sight decides by its grace, one that is over here."""
        memory = self._bench.memories.of(job.id)
        tries = memory.tried.get(hint.task_id, 0) + 1
        memory = replace(memory, tried={**memory.tried, hint.task_id: tries})
        self._bench.memories.keep(job.id, memory)
        if (job.outcome is not None or hint.is_stray) and tries >= LATE_TRIES:
            await self._reject(job, hint.named, reason="gave_up")
            return self._soon()
        heard = await self._bench.database.read(heard_of, job_id=job.id)
        waiting = {hint_of(callback.body) for callback in heard.callbacks}
        least = min((memory.tried.get(name, 0) for name in waiting if name), default=tries)
        return Later(due_us=self._bench.in_us(evidence_delay_s(least)))

    def _soon(self) -> Later:
        """Another callback may name another task; the provider is asked in its turn."""
        return Later(due_us=self._bench.in_us(POLL_INTERVAL_S_MIN))

    async def _reject(self, job: Job, callbacks: Sequence[Callback], *, reason: str) -> None:
        _log.warning("callback_rejected", fault="F-65", job=job.short_id, reason=reason)
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
