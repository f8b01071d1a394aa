"""What to do with a job next: pure decisions from what is known (reliability.md S-1, S-5, 5).

    decision, memory = after_poll(job, answer, memory, facts, now_us=…, rng=…)

A `Memory` is what this process has seen of a job and may forget: after a restart the job merely
gets its tries again, within its deadline. What must not be forgotten is in the row.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

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
from bot.jobs.schedule import (
    Facts,
    doubled,
    grace_until_us,
    jittered,
    poll_delay_s,
    to_us,
)
from bot.providers.base import Created, CreateVerdict, NotCreated, TaskState, TaskStatus
from storage.types import Job, JobStatus

CRASH = "crash"
"""The cause of a doubt: the process ended between the intent and the answer (F-6 … F-8)."""

# --- What is known -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Counters of one job in this process.

    `last_get_us`: when its task was last asked about. `not_before_us`: when a create that was
    refused for now may be sent again, however often the job is woken.
    """

    last_get_us: int | None = None
    not_before_us: int | None = None
    refused_since_us: int | None = None
    refusals: int = 0
    missing: int = 0
    urlless: int = 0
    fetches: int = 0
    deliveries: int = 0
    tried: Mapping[str, int] = field(default_factory=dict)
    stumbles: int = 0


FRESH = Memory()


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
    """End it and give the hold back; `loss_ucr` is what the provider took nevertheless."""

    failure: str
    loss_ucr: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """Show the outcome in Discord; with `to_list` Discord has had its day (S-7)."""

    to_list: bool = False


Step = Wait | Submit | Doubt | Poll | Fail | Deliver
AfterCreate = Bind | Requeue | Doubt | Fail
AfterPoll = Wait | Secure | Fail
AfterFetch = Wait | Fail


# --- Decisions -----------------------------------------------------------------------------------


def next_step(job: Job, memory: Memory, facts: Facts, *, now_us: int) -> Step:
    """Decide about a job that is due, before anything was asked of anybody."""
    match job.status:
        case JobStatus.QUEUED:
            return _next_of_queued(job, memory, now_us)
        case JobStatus.SUBMITTING:
            # Whoever wrote the intent is gone: sent or not, paid or not (I-24).
            return Doubt(cause=CRASH, grace_until_us=grace_until_us(job, facts, now_us=now_us))
        case JobStatus.RUNNING:
            return _unless_too_soon(memory, now_us) or Poll()
        case JobStatus.UNKNOWN:
            assert job.grace_until_us is not None
            over = now_us >= job.grace_until_us
            return (
                Fail(failure=OutcomeUnknown.__name__) if over else Wait(due_us=job.grace_until_us)
            )
    assert job.status is JobStatus.FINISHED, "delivered is terminal: nobody claims it"
    assert job.finished_us is not None
    return Deliver(to_list=now_us - job.finished_us >= to_us(limits.DELIVERY_AGE_S_MAX))


def _next_of_queued(job: Job, memory: Memory, now_us: int) -> Wait | Submit | Fail:
    if now_us >= job.deadline_us:
        return Fail(failure=DeadlinePassed.__name__)
    if memory.not_before_us is not None and now_us < memory.not_before_us:
        return Wait(due_us=memory.not_before_us)
    return Submit()


def after_create(
    job: Job,
    verdict: CreateVerdict,
    memory: Memory,
    facts: Facts,
    *,
    now_us: int,
    rng: random.Random,
) -> tuple[AfterCreate, Memory]:
    """Decide by the verdict on a create: the table of section 5, point 2."""
    if isinstance(verdict, Created):
        delay_s = poll_delay_s(job.kind, polls=0, usual_us=facts.usual_us, rng=rng)
        fresh = replace(FRESH, last_get_us=memory.last_get_us)
        return Bind(task_id=verdict.task_id, due_us=now_us + to_us(delay_s)), fresh
    if isinstance(verdict, NotCreated):
        return _after_refusal(job, verdict, memory, now_us=now_us, rng=rng)
    until_us = grace_until_us(job, facts, now_us=now_us)
    return Doubt(cause=verdict.cause, grace_until_us=until_us), memory


def _after_refusal(
    job: Job, refusal: NotCreated, memory: Memory, *, now_us: int, rng: random.Random
) -> tuple[Requeue | Fail, Memory]:
    """Try again for five minutes where that can help (F-36, F-45); else the hold goes back."""
    failed = Fail(failure=failure_of(refusal.error))
    if not refusal.retryable:
        return failed, memory
    since_us = now_us if memory.refused_since_us is None else memory.refused_since_us
    backoff_s = doubled(limits.REFUSED_DELAY_S, memory.refusals, limits.REFUSED_DELAY_S_MAX)
    delay_s = max(refusal.retry_after_s or 0.0, backoff_s)
    due_us = now_us + to_us(jittered(delay_s, rng))
    if due_us - since_us > to_us(limits.REFUSED_S_MAX) or due_us >= job.deadline_us:
        return failed, memory
    remembered = replace(
        memory,
        not_before_us=due_us,
        refused_since_us=since_us,
        refusals=memory.refusals + 1,
    )
    return Requeue(due_us=due_us), remembered


def after_poll(
    job: Job,
    answer: TaskState | ProviderError,
    memory: Memory,
    facts: Facts,
    *,
    now_us: int,
    rng: random.Random,
) -> tuple[AfterPoll, Memory]:
    """Decide by what the provider says of the task. A last look is taken after the deadline."""
    if isinstance(answer, TaskNotFound):
        memory = replace(memory, missing=memory.missing + 1)
        if memory.missing >= limits.TASK_MISSING_TRIES:  # F-35
            return Fail(failure=TaskNotFound.__name__, loss_ucr=job.cost_ucr), memory
        return Wait(due_us=now_us + to_us(limits.TASK_MISSING_DELAY_S)), memory
    if isinstance(answer, ProviderError):  # F-39
        return _wait_or_end(job, None, facts, now_us=now_us, rng=rng), memory
    memory = replace(memory, missing=0)
    if answer.status is TaskStatus.FAILED:  # refunded upstream, say the documents
        return Fail(failure=answer.failure or TaskFailed.__name__), memory
    if answer.status is TaskStatus.SUCCEEDED:
        return _after_success(job, answer, memory, now_us=now_us, rng=rng)
    return _wait_or_end(job, answer.progress, facts, now_us=now_us, rng=rng), memory


def _after_success(
    job: Job, state: TaskState, memory: Memory, *, now_us: int, rng: random.Random
) -> tuple[AfterPoll, Memory]:
    if state.urls or state.has_content:
        return Secure(state=state), memory
    memory = replace(memory, urlless=memory.urlless + 1)
    if memory.urlless >= limits.URL_MISSING_TRIES:  # F-48
        return _lost(job, ResultUnavailable.__name__, state), memory
    delay_s = doubled(limits.POLL_DELAYS_S[0], memory.urlless - 1, limits.POLL_DELAYS_S[-1])
    return Wait(due_us=now_us + to_us(jittered(delay_s, rng))), memory


def _wait_or_end(
    job: Job, progress: int | None, facts: Facts, *, now_us: int, rng: random.Random
) -> Wait | Fail:
    if now_us >= job.deadline_us:  # F-52
        return Fail(failure=DeadlinePassed.__name__)
    delay_s = poll_delay_s(job.kind, polls=job.polls + 1, usual_us=facts.usual_us, rng=rng)
    # The deadline is kept, but not by asking more often than agreed.
    at_deadline_us = max(job.deadline_us, now_us + to_us(limits.POLL_INTERVAL_S_MIN))
    return Wait(due_us=min(now_us + to_us(delay_s), at_deadline_us), progress=progress)


def after_fetch(
    job: Job,
    error: ResultUnavailable | ResultUnusable,
    state: TaskState,
    memory: Memory,
    *,
    now_us: int,
    rng: random.Random,
) -> tuple[AfterFetch, Memory]:
    """Decide about a result that could not be secured: a fresh read may name a better address."""
    if isinstance(error, ResultUnusable):  # F-54, F-55
        return _lost(job, ResultUnusable.__name__, state), memory
    memory = replace(memory, fetches=memory.fetches + 1)
    if memory.fetches >= limits.FETCH_TRIES:  # F-53
        return _lost(job, ResultUnavailable.__name__, state), memory
    delay_s = doubled(limits.POLL_DELAYS_S[0], memory.fetches - 1, limits.POLL_DELAYS_S[-1])
    return Wait(due_us=now_us + to_us(jittered(delay_s, rng))), memory


def after_stumble(job: Job, memory: Memory, *, now_us: int) -> tuple[Wait | Fail, Memory]:
    """Decide after a mistake of ours: a job that always trips us must not do so for ever."""
    memory = replace(memory, stumbles=memory.stumbles + 1)
    delay_s = doubled(limits.STEP_ERROR_DELAY_S, memory.stumbles - 1, limits.DELIVERY_DELAY_S_MAX)
    wait = Wait(due_us=now_us + to_us(delay_s))
    over = job.status in {JobStatus.FINISHED, JobStatus.DELIVERED}
    if over or memory.stumbles < limits.STEP_ERRORS_MAX:
        return wait, memory
    paid = job.status is JobStatus.RUNNING
    return Fail(failure=Unexpected.__name__, loss_ucr=job.cost_ucr if paid else 0), memory


def steadied(memory: Memory) -> Memory:
    """Return the memory of a job that was moved without a mistake."""
    return replace(memory, stumbles=0)


def after_postponed(
    memory: Memory, *, retry_after_s: float, now_us: int, rng: random.Random
) -> tuple[Wait, Memory]:
    """Decide when to deliver again (S-7)."""
    backoff_s = doubled(limits.DELIVERY_DELAY_S, memory.deliveries, limits.DELIVERY_DELAY_S_MAX)
    delay_s = jittered(max(retry_after_s, backoff_s), rng)
    return Wait(due_us=now_us + to_us(delay_s)), replace(memory, deliveries=memory.deliveries + 1)


def may_get(memory: Memory, *, now_us: int) -> bool:
    """Whether the provider may be asked about this job's task now (F-65)."""
    return _unless_too_soon(memory, now_us) is None


def _unless_too_soon(memory: Memory, now_us: int) -> Wait | None:
    if memory.last_get_us is None:
        return None
    earliest_us = memory.last_get_us + to_us(limits.POLL_INTERVAL_S_MIN)
    return Wait(due_us=earliest_us) if now_us < earliest_us else None


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


def _bare(model: str) -> str:
    """Providers echo `gpt-5.4` for `gpt-5-4` (trap 6)."""
    return "".join(character for character in model.casefold() if character.isalnum())


# --- Failures ------------------------------------------------------------------------------------


def _lost(job: Job, failure: str, state: TaskState) -> Fail:
    """The provider delivered and is paid; the member has nothing and pays nothing (I-10)."""
    reported = reported_cost(job, state.reported_credits)
    return Fail(failure=failure, loss_ucr=job.cost_ucr if reported is None else reported.cost_ucr)
