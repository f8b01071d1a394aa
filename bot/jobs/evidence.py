"""Callbacks as evidence: whose task is it, and what follows (section 5, S-6, F-61 … F-65).

A body names a task; whether that is ours is decided by our own read of it. One read per look, so
that nobody can make us hammer the provider. What staff name (evidence d) comes the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.errors import ProviderError, TaskNotFound
from bot.jobs.bench import Bench
from bot.jobs.books import adopt_task, heard_of
from bot.jobs.hints import has_former_task, hint_of, is_of_own_task
from bot.jobs.late import Latecomers
from bot.jobs.machine import Wait, confirms, evidence_delay_s, is_missing
from bot.jobs.watching import Watcher
from bot.limits import LATE_TRIES, POLL_INTERVAL_S_MIN
from bot.providers.base import TaskState, TaskStatus
from storage import inbox, jobs
from storage.types import Callback, Job, JobStatus, Outcome

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

    @property
    def tries(self) -> int:
        """How often it was read, and nothing was decided."""
        return max(callback.tries for callback in self.named)

    @property
    def callback_ids(self) -> list[int]:
        return [callback.id for callback in self.named]


class Evidence:
    """Looks at what was heard of a job; None when nothing waits any more."""

    def __init__(self, bench: Bench, watcher: Watcher) -> None:
        self._bench = bench
        self._watcher = watcher
        self._latecomers = Latecomers(bench, watcher)

    async def look(self, job_id: int) -> Look:
        """Act on at most one task that callbacks name. May raise `StorageError`."""
        heard = await self._bench.database.read(heard_of, job_id=job_id)
        job, callbacks = heard.job, heard.callbacks
        if job is None or not callbacks:
            return None
        if job.outcome is Outcome.SUCCEEDED or job.late_us is not None:
            # It has its result: only another attempt's task can still tell anything.
            own = [one for one in callbacks if is_of_own_task(job, one)]
            await self._seen(own)
            callbacks = tuple(one for one in callbacks if one not in own)
        hint = await self._next(job, callbacks)
        return None if hint is None else await self._judge(job, hint)

    async def _judge(self, job: Job, hint: Hint) -> Look:
        """Read the task ourselves; only that counts (I-26)."""
        state = await self._watcher.read(job, hint.task_id)
        if isinstance(state, Wait):
            return Later(due_us=state.due_us)
        if isinstance(state, ProviderError):
            return await self._unread(job, hint, state)
        is_confirmed = confirms(
            job,
            state,
            task_id=hint.task_id,
            wire_id=self._bench.wire_id_of(job),
            now_us=self._bench.clock.now_us(),
            # What it has may have been adopted from a former one.
            any_attempt=hint.is_stray or hint.task_id == job.task_id,
        )
        if not is_confirmed:
            await self._reject(job, hint.named, reason="not_confirmed")
            return self._soon()
        return await self._confirmed(job, hint, state)

    async def _unread(self, job: Job, hint: Hint, error: ProviderError) -> Look:
        if isinstance(error, TaskNotFound) and is_missing(
            tries=hint.tries + 1,
            heard_us=hint.named[0].received_us,
            now_us=self._bench.clock.now_us(),
        ):
            await self._reject(job, hint.named, reason="no_such_task")
            return self._soon()
        return await self._again(job, hint)

    async def _confirmed(self, job: Job, hint: Hint, state: TaskState) -> Look:
        if hint.tries == 0:
            await self._alarm(job, hint)
        if job.outcome is None and _may_adopt(job, hint, state):
            return await self._adopt(job, state, hint)
        if await self._latecomers.take(job, state, task_id=hint.task_id):
            await self._seen(hint.named)
            return self._soon()
        return await self._again(job, hint)

    async def _alarm(self, job: Job, hint: Hint) -> None:
        """A create that was judged to have made nothing has made something (5.8)."""
        verdict = await self._bench.database.read(
            jobs.verdict_on, job_id=job.id, attempt=hint.named[-1].attempt
        )
        if verdict is not None and verdict.is_not_created:
            _log.error(
                "misclassified",
                job=job.short_id,
                attempt=hint.named[-1].attempt,
                digest=verdict.digest,
            )

    async def _next(self, job: Job, callbacks: Sequence[Callback]) -> Hint | None:
        """The task to read now: the least tried, of those the newest; nobody's name blocks it."""
        by_task: dict[str, list[Callback]] = {}
        for callback in callbacks:
            task_id = hint_of(callback.body)
            if task_id is None:
                await self._reject(job, [callback], reason="no_task")
            else:
                by_task.setdefault(task_id, []).append(callback)
        hints = [
            Hint(
                task_id=task_id,
                named=tuple(named),
                is_stray=task_id != job.task_id
                and all(one.attempt != job.attempt for one in named),
            )
            for task_id, named in by_task.items()
        ]
        for hint in sorted(hints, key=lambda hint: (hint.tries, -hint.named[-1].id)):
            if hint.is_stray and job.status is JobStatus.SUBMITTING:
                continue  # whether it is the job's task hangs on the create that is in flight
            if await self._may_be_ours(job, hint):
                return hint
            await self._reject(job, hint.named, reason="foreign_task")
        return None

    async def _may_be_ours(self, job: Job, hint: Hint) -> bool:
        """Whether reading it could tell anything: it is not somebody else's."""
        if hint.task_id == job.task_id:
            return True
        owner = await self._bench.database.read(
            jobs.by_task, provider=job.provider, task_id=hint.task_id
        )
        return owner is None and (hint.is_stray or job.task_id is None or has_former_task(job))

    async def _adopt(self, job: Job, state: TaskState, hint: Hint) -> Look:
        """The lost answer is found (F-8, F-62); one that comes too late now is looked at again."""
        adopted = await self._bench.database.transact(
            adopt_task,
            job_id=job.id,
            task_id=hint.task_id,
            callback_ids=hint.callback_ids,
            due_us=self._bench.in_us(POLL_INTERVAL_S_MIN),
            now_us=self._bench.clock.now_us(),
        )
        if adopted is None:
            return self._soon()
        _log.warning("adopted", fault="F-62", job=job.short_id, former=job.status)
        return Adopted(job=adopted, state=state)

    async def _again(self, job: Job, hint: Hint) -> Look:
        """Try later; a job without an end in sight decides by its grace, one that is over here."""
        await self._bench.database.transact(inbox.tried, callback_ids=hint.callback_ids)
        if (job.outcome is not None or hint.is_stray) and hint.tries + 1 >= LATE_TRIES:
            await self._reject(job, hint.named, reason="gave_up")
            return self._soon()
        heard = await self._bench.database.read(heard_of, job_id=job.id)
        least = min((callback.tries for callback in heard.callbacks), default=1)
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


def _may_adopt(job: Job, hint: Hint, state: TaskState) -> bool:
    """Whether a task that our own read confirmed becomes the job's (5.4, 5.8).

    Of a former attempt's nothing follows from a failure: the last or the next attempt may do
    better. And while it works, it keeps a job from being sent again, but does not end a doubt.
    """
    if not hint.is_stray or state.status is TaskStatus.SUCCEEDED:
        return True
    return state.status is TaskStatus.RUNNING and job.status is JobStatus.QUEUED


def waits_for_evidence(job: Job) -> bool:
    """Whether callbacks can still say something new about it, beside what a poll would.

    While a job runs, those of former attempts wait until it is over: its own polls go first.
    """
    if job.status in {JobStatus.UNKNOWN, JobStatus.DELIVERED}:
        return True
    return job.status is JobStatus.QUEUED and job.attempt > 0
