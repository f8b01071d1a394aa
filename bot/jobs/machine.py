"""What to do with a job next: pure decisions from what is known (reliability.md S-1, S-5, 5).

    decision, tries = after_poll(job, answer, now_us=…, rng=…)

What bounds hang on is in the job's row (`Job.tries`), so that no restart begins anew: a decision
comes with what is to be written there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from bot import limits
from bot.errors import (
    DeadlinePassed,
    OutcomeUnknown,
    ProviderError,
    ResultUnavailable,
    ResultUnusable,
    TaskFailed,
    TaskNotFound,
    Unexpected,
)
from bot.jobs.failures import failure_of
from bot.jobs.money import reported_cost
from bot.jobs.ports import is_ours
from bot.jobs.schedule import (
    US_PER_S,
    Facts,
    doubled,
    grace_until_us,
    jittered,
    poll_delay_s,
    to_us,
)
from bot.providers.base import Created, CreateVerdict, NotCreated, TaskState, TaskStatus
from storage.types import Job, JobStatus, Tries

CRASH = "crash"
"""The cause of a doubt: the process ended between the intent and the answer (F-6 … F-8)."""

# --- What to do ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Look again at `due_us`; `progress` is news for the card."""

    due_us: int
    progress: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Write the intent, then send the create, once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """The provider has it as `task_id`."""

    task_id: str
    due_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Requeue:
    """Certainly not created, and trying again can help."""

    due_us: int
    tries: Tries


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Nobody can tell whether there is a task: never sent again, evidence is awaited."""

    cause: str
    grace_until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Ask the provider about the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """Fetch the result's bytes, then settle."""

    state: TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """End it and give the hold back; `loss_ucr` is what the provider took nevertheless.

    Its task may still bring a result: so many `looks` are taken (S-6).
    """

    failure: str
    loss_ucr: int = 0
    looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Show the outcome in Discord; with `to_list` Discord has had its day (S-7)."""

    to_list: bool = False


Step = Wait | Submit | Doubt | Poll | Fail | Deliver
AfterCreate = Bind | Requeue | Doubt | Fail
AfterPoll = Wait | Secure | Fail
AfterFetch = Wait | Fail


# --- Decisions -----------------------------------------------------------------------------------


def next_step(job: Job, facts: Facts, *, now_us: int) -> Step:
    """Decide about a job that is due, before anything was asked of anybody."""
    match job.status:
        case JobStatus.QUEUED:
            return _next_of_queued(job, now_us)
        case JobStatus.SUBMITTING:
            # Whoever wrote the intent is gone: sent or not, paid or not (I-24).
            return Doubt(cause=CRASH, grace_until_us=grace_until_us(job, facts, now_us=now_us))
        case JobStatus.RUNNING:
            return Poll()
        case JobStatus.UNKNOWN:
            assert job.grace_until_us is not None
            over = now_us >= job.grace_until_us
            return (
                Fail(failure=OutcomeUnknown.__name__) if over else Wait(due_us=job.grace_until_us)
            )
    assert job.status is JobStatus.FINISHED, "delivered is terminal: it is only watched"
    assert job.finished_us is not None
    return Deliver(to_list=now_us - job.finished_us >= to_us(limits.DELIVERY_AGE_S_MAX))


def _next_of_queued(job: Job, now_us: int) -> Wait | Submit | Fail:
    if now_us >= job.deadline_us:
        return Fail(failure=DeadlinePassed.__name__)
    if job.tries.not_before_us is not None and now_us < job.tries.not_before_us:
        return Wait(due_us=job.tries.not_before_us)
    return Submit()


def after_create(
    job: Job, verdict: CreateVerdict, facts: Facts, *, now_us: int, rng: random.Random
) -> AfterCreate:
    """Decide by the verdict on a create: the table of section 5, point 2."""
    if isinstance(verdict, Created):
        delay_s = poll_delay_s(job.kind, polls=0, usual_us=facts.usual_us, rng=rng)
        return Bind(task_id=verdict.task_id, due_us=now_us + to_us(delay_s))
    if isinstance(verdict, NotCreated):
        return _after_refusal(job, verdict, now_us=now_us, rng=rng)
    until_us = grace_until_us(job, facts, now_us=now_us)
    return Doubt(cause=verdict.cause, grace_until_us=until_us)


def _after_refusal(
    job: Job, refusal: NotCreated, *, now_us: int, rng: random.Random
) -> Requeue | Fail:
    """Try again for five minutes where that can help (F-36, F-45); else the hold goes back."""
    failed = Fail(failure=failure_of(refusal.error))
    if not refusal.retryable:
        return failed
    since_us = now_us if job.tries.refused_since_us is None else job.tries.refused_since_us
    # Every attempt before this one was refused as well, or there would not be this one (I-24).
    backoff_s = doubled(limits.REFUSED_DELAY_S, job.attempt - 1, limits.REFUSED_DELAY_S_MAX)
    delay_s = max(refusal.retry_after_s or 0.0, backoff_s)
    due_us = now_us + to_us(jittered(delay_s, rng))
    if due_us - since_us > to_us(limits.REFUSED_S_MAX) or due_us >= job.deadline_us:
        return failed
    return Requeue(
        due_us=due_us, tries=replace(job.tries, not_before_us=due_us, refused_since_us=since_us)
    )


def after_poll(
    job: Job, answer: TaskState | ProviderError, *, now_us: int, rng: random.Random
) -> tuple[AfterPoll, Tries]:
    """Decide by what the provider says of the task. A last look is taken after the deadline."""
    tries = job.tries
    if isinstance(answer, TaskNotFound):
        tries = replace(tries, missing=tries.missing + 1)
        if tries.missing >= limits.TASK_MISSING_TRIES:  # F-35
            return Fail(failure=TaskNotFound.__name__, loss_ucr=job.cost_ucr), tries
        return Wait(due_us=now_us + to_us(limits.TASK_MISSING_DELAY_S)), tries
    if isinstance(answer, ProviderError):  # F-39
        return _wait_or_end(job, None, now_us=now_us, rng=rng), tries
    tries = replace(tries, missing=0)
    if answer.status is TaskStatus.FAILED:  # refunded upstream, say the documents
        return Fail(failure=answer.failure or TaskFailed.__name__), tries
    if answer.status is TaskStatus.SUCCEEDED or went_back(job, answer):
        return _after_success(job, answer, tries, now_us=now_us, rng=rng)
    return _wait_or_end(job, answer.progress, now_us=now_us, rng=rng), tries


def went_back(job: Job, state: TaskState) -> bool:
    """Whether a task that was completed is said to run again (F-50): it stays completed."""
    return state.status is TaskStatus.RUNNING and job.tries.urlless + job.tries.fetches > 0


def _after_success(
    job: Job, state: TaskState, tries: Tries, *, now_us: int, rng: random.Random
) -> tuple[AfterPoll, Tries]:
    if state.urls or state.has_content:
        return Secure(state=state), tries
    tries = replace(tries, urlless=tries.urlless + 1)
    if tries.urlless >= limits.URL_MISSING_TRIES:  # F-48
        return _lost(job, ResultUnavailable.__name__, state), tries
    delay_s = doubled(limits.POLL_DELAYS_S[0], tries.urlless - 1, limits.POLL_DELAYS_S[-1])
    return Wait(due_us=now_us + to_us(jittered(delay_s, rng))), tries


def _wait_or_end(job: Job, progress: int | None, *, now_us: int, rng: random.Random) -> Wait | Fail:
    if now_us >= job.deadline_us:  # F-52
        return Fail(failure=DeadlinePassed.__name__, looks=limits.LATE_LOOKS)
    delay_s = poll_delay_s(job.kind, polls=job.polls + 1, usual_us=None, rng=rng)
    due_us = min(now_us + to_us(delay_s), _at_deadline_us(job, now_us))
    return Wait(due_us=due_us, progress=progress)


def _at_deadline_us(job: Job, now_us: int) -> int:
    """The deadline is kept, but not by asking more often than agreed."""
    return max(job.deadline_us, now_us + to_us(limits.POLL_INTERVAL_S_MIN))


def after_fetch(
    job: Job,
    error: ResultUnavailable | ResultUnusable,
    state: TaskState,
    *,
    now_us: int,
    rng: random.Random,
) -> tuple[AfterFetch, Tries]:
    """Decide about a result that could not be secured: a fresh read may name a better address."""
    if isinstance(error, ResultUnusable):  # F-54, F-55
        return _lost(job, ResultUnusable.__name__, state), job.tries
    if is_ours(error):  # F-111
        return _wait_for_room(job, state, now_us=now_us, rng=rng), replace(job.tries, missing=0)
    tries = replace(job.tries, missing=0, fetches=job.tries.fetches + 1)
    if tries.fetches >= limits.FETCH_TRIES:  # F-53
        return _lost(job, ResultUnavailable.__name__, state), tries
    delay_s = doubled(limits.POLL_DELAYS_S[0], tries.fetches - 1, limits.POLL_DELAYS_S[-1])
    return Wait(due_us=now_us + to_us(jittered(delay_s, rng))), tries


def _wait_for_room(job: Job, state: TaskState, *, now_us: int, rng: random.Random) -> AfterFetch:
    """The provider has the file for a day: until the deadline, and then for the late looks."""
    if now_us >= job.deadline_us:
        lost = _lost(job, ResultUnavailable.__name__, state)
        return replace(lost, looks=limits.LATE_LOOKS)
    due_us = now_us + to_us(jittered(limits.POLL_DELAYS_S[-1], rng))
    return Wait(due_us=min(due_us, _at_deadline_us(job, now_us)))


def after_stumble(job: Job, *, now_us: int) -> tuple[Wait | Fail, Tries]:
    """Decide after a mistake of ours: a job that always trips us must not do so for ever."""
    tries = replace(job.tries, stumbles=job.tries.stumbles + 1)
    delay_s = doubled(limits.STEP_ERROR_DELAY_S, tries.stumbles - 1, limits.DELIVERY_DELAY_S_MAX)
    wait = Wait(due_us=now_us + to_us(delay_s))
    over = job.status in {JobStatus.FINISHED, JobStatus.DELIVERED}
    if over or tries.stumbles < limits.STEP_ERRORS_MAX:
        return wait, tries
    paid = job.status is JobStatus.RUNNING
    return Fail(failure=Unexpected.__name__, loss_ucr=job.cost_ucr if paid else 0), tries


def after_postponed(
    job: Job, *, retry_after_s: float, is_away: bool = False, now_us: int, rng: random.Random
) -> Wait:
    """Decide when to deliver again (S-7): after half of what has passed since the end, at least.

    So the waits grow by themselves, and a restart does not begin anew. A Discord that nothing was
    sent to is not spared that way: what is overdue comes soon after the login (N-8).
    """
    assert job.finished_us is not None
    if is_away:
        return Wait(due_us=now_us + to_us(jittered(retry_after_s, rng)))
    passed_s = (now_us - job.finished_us) / US_PER_S
    backoff_s = min(max(limits.DELIVERY_DELAY_S, passed_s / 2), limits.DELIVERY_DELAY_S_MAX)
    return Wait(due_us=now_us + to_us(jittered(max(retry_after_s, backoff_s), rng)))


def next_look_us(job: Job, *, now_us: int) -> int:
    """When a task may be looked at that had not ended by the deadline (S-5, F-52)."""
    before = limits.LATE_LOOKS - job.looks
    delay_s = doubled(limits.LATE_LOOK_DELAY_S, before, limits.LATE_LOOK_DELAY_S_MAX)
    since_us = now_us if job.asked_us is None else min(job.asked_us, now_us)
    return since_us + to_us(delay_s)


# --- Evidence ------------------------------------------------------------------------------------


def confirms(
    job: Job,
    state: TaskState,
    *,
    task_id: str,
    wire_id: str,
    now_us: int,
    any_attempt: bool = False,
) -> bool:
    """Say whether our own read of a task proves it to be this job's (I-26, section 5 point 4).

    Same name, same model, made since the intent was written. What the provider leaves out
    cannot speak against it, but one of model and time must speak for it. With `any_attempt` the
    task may be of a former create, and only the job itself must be older.
    """
    if job.submitted_us is None or (state.task_id is not None and state.task_id != task_id):
        return False
    if state.model is None and state.created_us is None:
        return False
    if state.model is not None and _bare(state.model) != _bare(wire_id):
        return False
    if state.created_us is None:
        return True
    slack_us = to_us(limits.EVIDENCE_SLACK_S)
    latest_us = min(now_us, job.submitted_us + to_us(limits.CREATE_TIMEOUT_S)) + slack_us
    if any_attempt:
        return job.created_us - slack_us <= state.created_us <= now_us + slack_us
    return job.submitted_us - slack_us <= state.created_us <= latest_us


def evidence_delay_s(tries: int) -> float:
    """Return the wait before a task that a callback names is read once more."""
    return doubled(limits.POLL_INTERVAL_S_MIN, max(0, tries - 1), limits.EVIDENCE_DELAY_S_MAX)


def is_missing(*, tries: int, heard_us: int, now_us: int) -> bool:
    """Say whether a task that was named at `heard_us` and read so often is no task (F-35).

    One that was made just now may be missing for a while in the copy that answers (trap 34).
    """
    patience_us = to_us((limits.TASK_MISSING_TRIES - 1) * limits.TASK_MISSING_DELAY_S)
    return tries >= limits.TASK_MISSING_TRIES and now_us - heard_us >= patience_us


def _bare(model: str) -> str:
    """Providers echo `gpt-5.4` for `gpt-5-4` (trap 6)."""
    return "".join(character for character in model.casefold() if character.isalnum())


# --- Failures ------------------------------------------------------------------------------------


def _lost(job: Job, failure: str, state: TaskState) -> Fail:
    """The provider delivered and is paid; the member has nothing and pays nothing (I-10)."""
    reported = reported_cost(job, state.reported_credits)
    return Fail(failure=failure, loss_ucr=job.cost_ucr if reported is None else reported.cost_ucr)
