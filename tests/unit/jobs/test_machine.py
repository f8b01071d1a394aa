"""The decisions, without anything around them: for every state and every answer."""

from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

import bot.errors
from bot import limits
from bot.errors import (
    AnswerMalformed,
    ProviderError,
    ProviderInternalError,
    RateLimited,
    ResultUnavailable,
    ResultUnusable,
    TaskNotFound,
)
from bot.jobs.failures import cause_of, error_of, failure_of
from bot.jobs.hints import hint_of
from bot.jobs.machine import (
    Bind,
    Deliver,
    Doubt,
    Fail,
    Poll,
    Requeue,
    Secure,
    Submit,
    Wait,
    after_create,
    after_fetch,
    after_poll,
    after_postponed,
    after_stumble,
    confirms,
    is_missing,
    next_look_us,
    next_step,
)
from bot.jobs.money import reported_cost
from bot.jobs.ports import NO_ROOM, NOT_STORED
from bot.jobs.schedule import Facts, grace_until_us, poll_delay_s
from bot.providers.base import (
    Created,
    CreateVerdict,
    NotCreated,
    TaskState,
    TaskStatus,
    Unknown,
    UnknownCause,
)
from storage.types import Cause, Job, JobKind, JobStatus, Outcome, Tries

NOW_US = 1_763_640_000_000_000
S = 1_000_000


def job(**changes: object) -> Job:
    made = Job(
        id=1,
        short_id="ABCDEFGH",
        reference="i:1",
        kind=JobKind.IMAGE,
        model="gpt-image-2",
        provider="aivideo",
        user_id=1,
        guild_id=None,
        channel_id=1,
        prompt="a fox",
        request={},
        price_ucr=2_400_000,
        cost_ucr=2_400_000,
        multiplier_ppm=1_000_000,
        spoiler=False,
        parent_id=None,
        interaction_token=None,
        interaction_expires_us=None,
        status=JobStatus.RUNNING,
        outcome=None,
        failure=None,
        attempt=1,
        task_id="t",
        progress=None,
        polls=0,
        created_us=NOW_US,
        submitted_us=NOW_US,
        finished_us=None,
        delivered_us=None,
        deadline_us=NOW_US + 1_800 * S,
        due_us=NOW_US,
        grace_until_us=NOW_US + 600 * S,
        card_message_id=None,
        sink=None,
        charged_ucr=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # fields of many types


STATES = st.builds(
    TaskState,
    status=st.sampled_from(TaskStatus),
    task_id=st.none() | st.just("t"),
    progress=st.none() | st.integers(0, 100),
    urls=st.lists(st.just("https://files.example/1.png"), max_size=2).map(tuple),
    has_content=st.booleans(),
    failure=st.none() | st.sampled_from(["UpstreamError", "ContentRefused"]),
    model=st.none() | st.sampled_from(["gpt-image-2", "veo-3"]),
    created_us=st.none() | st.integers(NOW_US - 10_000 * S, NOW_US + 10_000 * S),
    reported_credits=st.none() | st.decimals(),
)
ERRORS: st.SearchStrategy[ProviderError] = st.sampled_from(
    [
        TaskNotFound(provider="aivideo"),
        ProviderInternalError(provider="aivideo"),
        AnswerMalformed(provider="aivideo"),
    ]
)
VERDICTS: st.SearchStrategy[CreateVerdict] = st.one_of(
    st.just(Created(task_id="t")),
    st.builds(
        NotCreated,
        error=st.just(RateLimited(provider="aivideo")),
        retryable=st.booleans(),
        retry_after_s=st.none() | st.floats(0, 86_400),
    ),
    st.builds(Unknown, cause=st.sampled_from(UnknownCause)),
)
TRIES = st.builds(
    Tries,
    not_before_us=st.none() | st.integers(NOW_US, NOW_US + 100 * S),
    refused_since_us=st.none() | st.integers(NOW_US - 400 * S, NOW_US),
    missing=st.integers(0, 2),
    urlless=st.integers(0, 2),
    fetches=st.integers(0, 2),
    stumbles=st.integers(0, 4),
)
FACTS = st.builds(
    Facts,
    usual_us=st.none() | st.integers(0, 10**11),
    slowest_us=st.none() | st.integers(0, 10**11),
    reachable=st.booleans(),
)
AGES_US = st.integers(0, 20_000 * S)
KINDS = st.sampled_from(JobKind)
SEEDS = st.integers(0, 2**32).map(random.Random)


@given(
    status=st.sampled_from([status for status in JobStatus if status is not JobStatus.DELIVERED]),
    tries=TRIES,
    facts=FACTS,
    age_us=AGES_US,
)
def test_every_state_has_one_next_step(
    status: JobStatus, tries: Tries, facts: Facts, age_us: int
) -> None:
    """I-24: only a queued job is sent, only a running one polled; a found intent is a doubt."""
    over = status is JobStatus.FINISHED
    step = next_step(
        job(
            status=status,
            outcome=Outcome.SUCCEEDED if over else None,
            finished_us=NOW_US if over else None,
            tries=tries,
        ),
        facts,
        now_us=NOW_US + age_us,
    )
    allowed: dict[JobStatus, tuple[type, ...]] = {
        JobStatus.QUEUED: (Submit, Fail, Wait),
        JobStatus.SUBMITTING: (Doubt,),
        JobStatus.RUNNING: (Poll,),
        JobStatus.UNKNOWN: (Wait, Fail),
        JobStatus.FINISHED: (Deliver,),
    }
    assert isinstance(step, allowed[status])
    if isinstance(step, Wait):
        assert step.due_us > NOW_US + age_us
    if isinstance(step, Doubt):
        assert step.grace_until_us > NOW_US + age_us


@given(verdict=VERDICTS, tries=TRIES, facts=FACTS, age_us=AGES_US, rng=SEEDS)
def test_a_verdict_has_one_consequence(
    verdict: CreateVerdict, tries: Tries, facts: Facts, age_us: int, rng: random.Random
) -> None:
    """Created binds, unclear doubts, and only a certain refusal is ever tried again, for 5 min."""
    now_us = NOW_US + age_us
    sent = job(status=JobStatus.SUBMITTING, tries=tries)
    done = after_create(sent, verdict, facts, now_us=now_us, rng=rng)
    match verdict:
        case Created():
            assert isinstance(done, Bind)
            assert done.due_us >= now_us
        case Unknown():
            assert isinstance(done, Doubt)
        case NotCreated(retryable=False):
            assert done == Fail(failure="RateLimited")
        case NotCreated():
            assert isinstance(done, Requeue | Fail)
            if isinstance(done, Requeue):
                assert done.tries.not_before_us == done.due_us
                assert done.tries.refused_since_us is not None
                assert now_us < done.due_us <= done.tries.refused_since_us + 300 * S
                assert done.due_us >= now_us + int((verdict.retry_after_s or 0) * S)


@given(answer=STATES | ERRORS, tries=TRIES, age_us=AGES_US, rng=SEEDS)
def test_an_answer_ends_the_job_or_names_the_next_look(
    answer: TaskState | ProviderError, tries: Tries, age_us: int, rng: random.Random
) -> None:
    """A success without bytes never settles; after the deadline nothing waits for ever."""
    now_us = NOW_US + age_us
    running = job(tries=tries)
    done, after = after_poll(running, answer, now_us=now_us, rng=rng)
    if isinstance(done, Secure):
        assert isinstance(answer, TaskState)
        assert answer.status is TaskStatus.SUCCEEDED or tries.urlless + tries.fetches > 0
        assert answer.urls or answer.has_content
    elif isinstance(done, Wait):
        assert now_us + 5 * S <= done.due_us <= now_us + 67 * S
        if now_us >= running.deadline_us:
            assert after.missing > tries.missing or after.urlless > tries.urlless
    else:
        assert done.loss_ucr >= 0
        assert hasattr(bot.errors, done.failure)


@given(error=st.sampled_from([ResultUnavailable(), ResultUnusable()]), tries=TRIES, rng=SEEDS)
def test_a_failed_fetch_is_tried_thrice_at_most(
    error: ResultUnavailable | ResultUnusable, tries: Tries, rng: random.Random
) -> None:
    """F-53, F-55: what is no picture never will be one."""
    state = TaskState(status=TaskStatus.SUCCEEDED, reported_credits=Decimal(2))
    done, after = after_fetch(job(tries=tries), error, state, now_us=NOW_US, rng=rng)
    if isinstance(error, ResultUnusable) or after.fetches >= limits.FETCH_TRIES:
        assert done == Fail(failure=type(error).__name__, loss_ucr=2_000_000)
    else:
        assert isinstance(done, Wait)


@given(
    fact=st.sampled_from([NO_ROOM, NOT_STORED]),
    tries=TRIES,
    left_s=st.integers(-10_000, 10_000),
    rng=SEEDS,
)
def test_our_own_want_of_room_is_no_try_of_the_providers(
    fact: str, tries: Tries, left_s: int, rng: random.Random
) -> None:
    """F-111, S-6: waited out until the deadline, about once a minute; then looked at late."""
    state = TaskState(status=TaskStatus.SUCCEEDED, reported_credits=Decimal(2))
    waiting = job(tries=tries, deadline_us=NOW_US + left_s * S)
    error = ResultUnavailable(fact)
    done, after = after_fetch(waiting, error, state, now_us=NOW_US, rng=rng)
    assert after == replace(tries, missing=0)
    if left_s <= 0:
        assert done == Fail(
            failure="ResultUnavailable", loss_ucr=2_000_000, looks=limits.LATE_LOOKS
        )
    else:
        assert isinstance(done, Wait)
        assert 5 * S <= done.due_us - NOW_US <= min(66, max(5, left_s)) * S


@given(kind=KINDS, usual_us=st.none() | st.integers(0, 10**11), rng=SEEDS)
def test_polls_are_few_and_never_closer_than_agreed(
    kind: JobKind, usual_us: int | None, rng: random.Random
) -> None:
    """S-5, I-31: 5 s apart at least, a minute at most, and bounded within the deadline."""
    first, *later = [poll_delay_s(kind, polls=n, usual_us=usual_us, rng=rng) for n in range(400)]
    deadline_s = limits.IMAGE_DEADLINE_S if kind is JobKind.IMAGE else limits.VIDEO_DEADLINE_S
    assert 0 <= first <= 1.1 * deadline_s
    assert all(limits.POLL_INTERVAL_S_MIN <= delay <= 66.0 for delay in later)
    within = sum(at_s < deadline_s for at_s in accumulate([first, *later]))
    assert within <= deadline_s / 60 + 6


def test_the_usual_duration_sets_the_first_poll() -> None:
    """S-5: at the learned median, then after 5, 10, 20, 30 and 60 s."""
    rng = random.Random(1)
    planned = [
        poll_delay_s(JobKind.VIDEO, polls=n, usual_us=150 * S, rng=rng) / 1.1 for n in range(8)
    ]
    wanted = [150, 5, 10, 20, 30, 60, 60, 60]
    assert all(
        planned_s <= wanted_s <= planned_s * 1.1 + 0.01
        for planned_s, wanted_s in zip(planned, wanted, strict=True)
    )


@given(kind=KINDS, facts=FACTS)
def test_a_grace_is_three_times_the_slowest(kind: JobKind, facts: Facts) -> None:
    """Section 5, point 5: ten minutes or an hour at least, or 3 × p99; blind: two minutes.

    What took longer than its deadline was found so late because nobody looked (F-16).
    """
    grace_us = grace_until_us(job(kind=kind), facts, now_us=NOW_US) - NOW_US
    if facts.reachable:
        least_us, deadline_us = (
            (600 * S, 1_800 * S) if kind is JobKind.IMAGE else (3_600 * S, 10_800 * S)
        )
        slowest_us = min(facts.slowest_us or 0, deadline_us)
        assert abs(grace_us - max(least_us, 3 * slowest_us)) <= 1
    else:
        assert grace_us == 120 * S


def test_a_named_task_is_missing_when_both_reads_and_time_say_so() -> None:
    """F-35: three reads, and the time that those of a known task take."""

    def missing(tries: int, age_s: int) -> bool:
        return is_missing(tries=tries, heard_us=NOW_US, now_us=NOW_US + age_s * S)

    assert missing(3, 80)
    assert not missing(2, 600)
    assert not missing(9, 79)


@given(state=STATES, age_us=AGES_US)
def test_evidence_is_the_same_task_of_the_same_model_in_the_window(
    state: TaskState, age_us: int
) -> None:
    """Section 5, point 4: whatever is told must agree, and something must be told."""
    if confirms(job(), state, task_id="t", wire_id="gpt-image-2", now_us=NOW_US + age_us):
        assert state.task_id in {None, "t"}
        assert state.model in {None, "gpt-image-2"}
        assert state.model is not None or state.created_us is not None
        if state.created_us is not None:
            assert -120 * S <= state.created_us - NOW_US <= 240 * S


def test_another_task_or_a_job_that_was_never_sent_is_no_evidence() -> None:
    """The name must be the one that was asked about."""
    state = TaskState(status=TaskStatus.SUCCEEDED, task_id="other", model="gpt-image-2")
    assert not confirms(job(), state, task_id="t", wire_id="gpt-image-2", now_us=NOW_US)
    same = replace(state, task_id="t")
    assert confirms(job(), same, task_id="t", wire_id="gpt-image-2", now_us=NOW_US)
    unsent = job(submitted_us=None)
    assert not confirms(unsent, same, task_id="t", wire_id="gpt-image-2", now_us=NOW_US)
    echoed = replace(same, model="gpt-image.2")
    assert confirms(job(), echoed, task_id="t", wire_id="gpt-image-2", now_us=NOW_US)


@given(amount=st.none() | st.decimals(), cost_ucr=st.integers(0, 10**12))
def test_a_reported_amount_is_bounded(amount: Decimal | None, cost_ucr: int) -> None:
    """F-51: never negative, never beyond what the books can carry."""
    judged = reported_cost(job(cost_ucr=cost_ucr), amount)
    if amount is None or not amount.is_finite():
        assert judged is None
    else:
        assert judged is not None
        assert 0 <= judged.cost_ucr <= 100 * max(cost_ucr, 1_000_000)
        assert judged.alarm == (amount < 0 or judged.cost_ucr > cost_ucr)


@given(passed_s=st.integers(0, 10**6), retry_after_s=st.floats(0, 10_000), rng=SEEDS)
def test_deliveries_wait_at_least_as_long_as_discord_says(
    passed_s: int, retry_after_s: float, rng: random.Random
) -> None:
    """S-7: back-off, which grows with what has passed and not with what this process has seen."""
    finished = job(status=JobStatus.FINISHED, finished_us=NOW_US)
    now_us = NOW_US + passed_s * S
    wait = after_postponed(finished, retry_after_s=retry_after_s, now_us=now_us, rng=rng)
    waited_s = (wait.due_us - now_us) / S
    assert waited_s >= max(int(retry_after_s), 2.0, min(passed_s / 2, 300.0)) - 0.01
    assert waited_s <= max(retry_after_s, 300.0) * 1.1


def test_looks_for_a_late_result_end() -> None:
    """S-5, S-6: twenty looks, a minute apart at first, an hour at last, some fifteen hours."""
    waits_s = [
        (next_look_us(job(looks=looks, asked_us=NOW_US), now_us=NOW_US + 5 * S) - NOW_US) / S
        for looks in range(limits.LATE_LOOKS, 0, -1)
    ]
    assert waits_s[:3] == [60, 120, 240]
    assert max(waits_s) == 3_600
    assert 14 <= sum(waits_s) / 3_600 <= 16
    never_asked = job(looks=limits.LATE_LOOKS, asked_us=None)
    assert next_look_us(never_asked, now_us=NOW_US) == NOW_US + 60 * S


def test_a_task_that_was_completed_does_not_run_again() -> None:
    """F-50: what comes after the end is no news; its tries for a result go on, and end."""
    state = TaskState(status=TaskStatus.RUNNING, task_id="t")
    ended = job(tries=Tries(fetches=1))
    for urlless in (1, 2):
        done, tries = after_poll(ended, state, now_us=NOW_US, rng=random.Random(1))
        assert isinstance(done, Wait)
        assert tries.urlless == urlless
        ended = replace(ended, tries=tries)
    done, _tries = after_poll(ended, state, now_us=NOW_US, rng=random.Random(1))
    assert done == Fail(failure="ResultUnavailable", loss_ucr=2_400_000)


def test_a_job_that_always_trips_us_ends() -> None:
    """Five times in a row; one that is over is only put off."""
    tripping, steps = job(), []
    for _ in range(5):
        step, tries = after_stumble(tripping, now_us=NOW_US)
        tripping = replace(tripping, tries=tries)
        steps.append(step)
    assert all(isinstance(step, Wait) for step in steps[:4])
    assert steps[4] == Fail(failure="Unexpected", loss_ucr=2_400_000)
    finished = replace(tripping, status=JobStatus.FINISHED, finished_us=NOW_US)
    assert isinstance(after_stumble(finished, now_us=NOW_US)[0], Wait)


def test_every_stored_failure_becomes_an_error_again() -> None:
    """Whatever `failure_of` stores, `error_of` reads; unknown words are ours to look into."""
    provider = [
        cls(provider="aivideo")
        for cls in ProviderError.__subclasses__()
        if cls is not bot.errors.StreamStalled
    ]
    for error in (*provider, *(cls() for cls in bot.errors.JobFailure.__subclasses__())):
        word = failure_of(error)
        read = error_of(job(outcome=Outcome.FAILED, failure=word))
        assert type(read) is type(error)
    assert failure_of(ZeroDivisionError()) == "Unexpected"
    for word in ("Unexpected", "StreamStalled", "Job", "AtelierError"):
        read = error_of(job(outcome=Outcome.FAILED, failure=word))
        assert isinstance(read, bot.errors.Unexpected)
        assert read.reference == "ABCDEFGH"
    assert error_of(job(outcome=Outcome.SUCCEEDED)) is None


def test_every_failure_has_a_cause_of_the_closed_list() -> None:
    """asks.md 3.3: nothing is returned without one."""
    assert cause_of("OutcomeUnknown") is Cause.UNCERTAIN
    assert cause_of("ContentRefused") is Cause.PROVIDER_REFUSED
    assert cause_of("UpstreamError") is Cause.PROVIDER_ERROR
    assert cause_of("Unexpected") is Cause.INTERRUPTED


@given(body=st.text(max_size=200))
def test_any_body_gives_a_name_or_none(body: str) -> None:
    """F-65: nothing that a stranger sends makes us fail."""
    hint = hint_of(body)
    assert hint is None or hint


def test_names_are_found_where_providers_put_them() -> None:
    """providers.md 1.2, 3.1."""
    for body in (
        '{"id": "a-1"}',
        '{"task_id": "a-1"}',
        '{"data": {"taskId": "a-1"}}',
        '{"id": 7, "data": {"id": "a-1"}}',
    ):
        assert hint_of(body) == "a-1"
