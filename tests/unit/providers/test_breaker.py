"""The breaker of a provider: a table of its moves, and each row of S-13."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot import errors
from bot.catalogue.media import MediaProtocol
from bot.errors import PauseCause, ProviderError, ProviderPaused
from bot.limits import (
    PAUSE_S,
    PAUSE_S_MAX,
    SERVER_ERRORS_MAX,
    SPEND_PAUSE_S,
    TRIAL_S_MAX,
    UNCLEAR_MAX,
    UNCLEAR_WINDOW_S,
)
from bot.providers.base import Created, NotCreated, Unknown, UnknownCause
from bot.providers.breaker import Breaker, Breakers, BreakerState
from bot.providers.classify import CreateAnswer, classify
from tests.unit.chat.world import FakeClock

FACTS: dict[str, Any] = {"provider": "aivideo", "status": 400, "code": "x"}
CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN

Act = Callable[[Breaker], object]


def failing(error: type[ProviderError]) -> Act:
    made = error(**FACTS) if error is not errors.StreamStalled else stalled()
    return lambda breaker: breaker.note_error(made)


def stalled() -> ProviderError:
    return errors.StreamStalled(provider="aivideo", idle_s=60.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker("aivideo", clock, probed=True)


async def brought_to(state: BreakerState, breaker: Breaker, clock: FakeClock) -> None:
    """Trouble opens it; its pause over, it is half open, with the one job under way."""
    if state is CLOSED:
        return
    for _ in range(SERVER_ERRORS_MAX):
        breaker.note_error(errors.ProviderInternalError(**FACTS))
    if state is HALF_OPEN:
        await clock.sleep(PAUSE_S)
        assert breaker.admit()
    assert breaker.snapshot().state is state


def success(breaker: Breaker) -> None:
    breaker.note_success()


def unclear(breaker: Breaker) -> None:
    breaker.note_unknown()


MOVES = [
    # one event in each state
    (CLOSED, success, CLOSED, None),
    (OPEN, success, OPEN, PauseCause.TROUBLE),
    (HALF_OPEN, success, CLOSED, None),
    (CLOSED, unclear, CLOSED, None),
    (OPEN, unclear, OPEN, PauseCause.TROUBLE),
    (HALF_OPEN, unclear, OPEN, PauseCause.UNCLEAR),
    *[
        (state, failing(error), OPEN, cause)
        for state in BreakerState
        for error, cause in (
            (errors.InvalidApiKey, PauseCause.KEY),
            (errors.ProviderCreditsExhausted, PauseCause.BALANCE),
            (errors.IpNotAllowed, PauseCause.ADDRESS),
            (errors.InsufficientPermissions, PauseCause.ADDRESS),
            (errors.SpendLimitExceeded, PauseCause.SPEND_LIMIT),
        )
    ],
    *[
        (state, failing(error), after, cause)
        for error in (errors.ProviderInternalError, errors.UpstreamError)
        for state, after, cause in (
            (CLOSED, CLOSED, None),
            (OPEN, OPEN, PauseCause.TROUBLE),
            (HALF_OPEN, OPEN, PauseCause.TROUBLE),
        )
    ],
    *[
        (state, failing(error), state, None if state is CLOSED else PauseCause.TROUBLE)
        for state in BreakerState
        for error in (
            errors.ProviderUnreachable,
            errors.AnswerLost,
            errors.AnswerMalformed,
            errors.StreamCut,
            errors.StreamStalled,
        )
    ],
    *[
        (state, failing(error), after, cause)
        for error in (
            errors.ProviderRejected,
            errors.ModelNotFound,
            errors.TaskNotFound,
            errors.RateLimited,
            errors.ContentRefused,
        )
        for state, after, cause in (
            (CLOSED, CLOSED, None),
            (OPEN, OPEN, PauseCause.TROUBLE),
            (HALF_OPEN, CLOSED, None),
        )
    ],
]


@pytest.mark.parametrize(("before", "act", "after", "cause"), MOVES)
async def test_every_event_in_every_state(
    before: BreakerState, act: Act, after: BreakerState, cause: PauseCause | None
) -> None:
    """S-13: the table of moves; F-31, F-32, F-33 and F-37 open it from anywhere."""
    clock = FakeClock()
    breaker = Breaker("aivideo", clock, probed=True)
    await brought_to(before, breaker, clock)
    act(breaker)
    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.cause) == (after, cause)


def test_the_table_knows_every_error_of_a_provider() -> None:
    """A new error must be given its place."""
    known = {
        cls for cls in errors.ProviderError.__subclasses__() if cls.__module__ == errors.__name__
    }
    assert known == {
        errors.ProviderRejected,
        errors.InvalidApiKey,
        errors.ProviderCreditsExhausted,
        errors.IpNotAllowed,
        errors.InsufficientPermissions,
        errors.ModelNotFound,
        errors.TaskNotFound,
        errors.RateLimited,
        errors.SpendLimitExceeded,
        errors.ProviderInternalError,
        errors.UpstreamError,
        errors.ContentRefused,
        errors.ProviderUnreachable,
        errors.AnswerLost,
        errors.AnswerMalformed,
        errors.StreamCut,
        errors.StreamStalled,
    }


async def test_three_unclear_creates_within_a_minute_open_it(
    breaker: Breaker, clock: FakeClock
) -> None:
    """S-13, section 5 point 7: a success in between does not take an unclear one back."""
    for _ in range(UNCLEAR_MAX - 1):
        breaker.note_unknown()
        breaker.note_success()
    await clock.sleep(UNCLEAR_WINDOW_S)
    breaker.note_unknown()
    with pytest.raises(ProviderPaused) as caught:
        breaker.check()
    assert caught.value.cause is PauseCause.UNCLEAR
    assert caught.value.until_us == clock.now_us() + round(PAUSE_S * 1_000_000)


async def test_only_a_create_ends_the_pause_that_unclear_creates_began(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Section 5 point 7: chats that are answered say nothing of creates, which stay bounded."""
    unclear_creates = 0
    for doublings in range(4):
        while breaker.snapshot().state is not OPEN:
            assert breaker.admit()
            breaker.note_unknown()
            unclear_creates += 1
        assert breaker.snapshot().cause is PauseCause.UNCLEAR
        breaker.note_sign_of_life()
        await clock.sleep(PAUSE_S * 2**doublings - 1.0)
        assert not breaker.admit()
        await clock.sleep(1.0)
        breaker.note_sign_of_life()
        assert breaker.snapshot().state is HALF_OPEN
    assert unclear_creates == UNCLEAR_MAX + 3
    assert breaker.admit()
    breaker.note_verdict(Created(task_id="t-1"))
    assert (breaker.snapshot().state, breaker.spares_chat) == (CLOSED, False)


async def test_three_unclear_creates_over_a_longer_time_are_bad_luck(
    breaker: Breaker, clock: FakeClock
) -> None:
    """The window slides: only the last minute counts."""
    for _ in range(4 * UNCLEAR_MAX):
        breaker.note_unknown()
        await clock.sleep(UNCLEAR_WINDOW_S / 2 + 1)
    breaker.check()


async def test_five_server_errors_count_only_in_a_row(breaker: Breaker) -> None:
    """S-13: any other answer in between shows that the provider works."""
    for _ in range(3):
        for _ in range(SERVER_ERRORS_MAX - 1):
            breaker.note_error(errors.UpstreamError(**FACTS))
        breaker.note_error(errors.ProviderRejected(**FACTS))
    breaker.check()


async def test_an_unclear_500_counts_as_both(breaker: Breaker, clock: FakeClock) -> None:
    """F-38: five of them over a longer time are five errors in a row."""
    for _ in range(SERVER_ERRORS_MAX):
        await clock.sleep(UNCLEAR_WINDOW_S)
        breaker.note_verdict(Unknown(cause=UnknownCause.SERVER_ERROR, status=500))
    assert breaker.snapshot().cause is PauseCause.TROUBLE


@pytest.mark.parametrize(
    ("status", "cause"),
    [(401, PauseCause.KEY), (402, PauseCause.BALANCE), (403, PauseCause.ADDRESS)],
)
@pytest.mark.parametrize("before", [CLOSED, OPEN, HALF_OPEN])
async def test_a_closed_account_pauses_in_whatever_words_it_is_told(
    before: BreakerState, status: int, cause: PauseCause, breaker: Breaker, clock: FakeClock
) -> None:
    """S-13, F-31 … F-33: the create stays unclear, and the next one would meet the same."""
    answer = CreateAnswer(
        status=status, content_type="application/json", body=b'{"error": "Unauthorized"}'
    )
    verdict = classify(answer, provider="aivideo", protocol=MediaProtocol.TASKS)
    assert isinstance(verdict, Unknown)
    await brought_to(before, breaker, clock)
    breaker.note_verdict(verdict)
    snapshot = breaker.snapshot()
    assert (snapshot.state, snapshot.cause, snapshot.until_us) == (OPEN, cause, None)


async def test_half_open_lets_one_job_through_and_refuses_orders_meanwhile(
    breaker: Breaker, clock: FakeClock
) -> None:
    """S-13: before it is sent, an order is welcome; there is nobody else to try."""
    await brought_to(OPEN, breaker, clock)
    assert not breaker.admit()
    await clock.sleep(PAUSE_S)
    breaker.check()
    assert breaker.admit()
    assert not breaker.admit()
    with pytest.raises(ProviderPaused) as caught:
        breaker.check()
    assert caught.value.until_us is None
    breaker.note_verdict(Created(task_id="t-1"))
    assert breaker.admit()
    assert breaker.admit()


async def test_a_trial_that_was_not_sent_leaves_its_place(
    breaker: Breaker, clock: FakeClock
) -> None:
    """The job was cancelled, or our own check said no: another one may try."""
    await brought_to(HALF_OPEN, breaker, clock)
    breaker.note_verdict(NotCreated(error=errors.PromptEmpty()))
    assert breaker.admit()
    breaker.note_verdict(NotCreated(error=errors.ProviderUnreachable(**FACTS), retryable=True))
    assert breaker.admit()


async def test_a_trial_that_nobody_tells_of_ends(breaker: Breaker, clock: FakeClock) -> None:
    """A lost note must not pause a provider for ever."""
    await brought_to(HALF_OPEN, breaker, clock)
    await clock.sleep(TRIAL_S_MAX)
    assert breaker.admit()


async def test_pauses_double_up_to_a_quarter_of_an_hour(breaker: Breaker, clock: FakeClock) -> None:
    """Each failed trial may have cost a price: they become rare, but never end."""
    await brought_to(OPEN, breaker, clock)
    for doublings in range(40):
        until_us = breaker.snapshot().until_us
        assert until_us is not None
        pause_s = (until_us - clock.now_us()) / 1_000_000
        assert pause_s == pytest.approx(min(PAUSE_S * 2**doublings, PAUSE_S_MAX))
        await clock.sleep(pause_s)
        assert breaker.admit()
        breaker.note_unknown()
    await clock.sleep(PAUSE_S_MAX)
    breaker.note_success()
    await brought_to(OPEN, breaker, clock)
    assert breaker.snapshot().until_us == clock.now_us() + round(PAUSE_S * 1_000_000)


@pytest.mark.parametrize(
    "error", [errors.InvalidApiKey, errors.ProviderCreditsExhausted, errors.IpNotAllowed]
)
async def test_only_a_probe_ends_what_only_the_operator_can_mend(
    error: type[ProviderError], breaker: Breaker, clock: FakeClock
) -> None:
    """F-31, F-32, F-33: no time ends it; then one job shows whether it is true."""
    breaker.note_error(error(**FACTS))
    await clock.sleep(86_400.0)
    assert not breaker.admit()
    breaker.note_probe_good()
    assert breaker.admit()
    assert not breaker.admit()
    breaker.note_error(error(**FACTS))
    assert breaker.snapshot().state is OPEN
    breaker.note_probe_good()
    breaker.note_success()
    breaker.note_probe_good()
    assert breaker.snapshot().state is CLOSED


async def test_a_probe_does_not_end_a_pause_of_another_kind(
    breaker: Breaker, clock: FakeClock
) -> None:
    """F-37: the account can be read although nothing may be spent."""
    breaker.note_error(errors.SpendLimitExceeded(**FACTS))
    breaker.note_probe_good()
    assert not breaker.admit()
    await clock.sleep(SPEND_PAUSE_S)
    assert breaker.admit()


async def test_without_a_probe_the_closed_account_is_tried_again(clock: FakeClock) -> None:
    """The second provider has no account that could be read."""
    breaker = Breaker("video", clock, probed=False)
    breaker.note_error(errors.InvalidApiKey(**FACTS))
    await clock.sleep(SPEND_PAUSE_S)
    assert breaker.admit()


async def test_a_read_tells_only_of_a_closed_account(breaker: Breaker) -> None:
    """F-39: 500 of a poll says nothing of creates; F-31: 401 says everything."""
    for _ in range(SERVER_ERRORS_MAX):
        breaker.note_operator_error(errors.ProviderInternalError(**FACTS))
    breaker.check()
    breaker.note_operator_error(errors.InvalidApiKey(**FACTS))
    with pytest.raises(ProviderPaused):
        breaker.check()


async def test_a_pause_is_not_prolonged_by_answers_to_older_questions(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Four creates may be under way; a closed account among them is the graver news."""
    breaker.note_error(errors.ProviderCreditsExhausted(**FACTS))
    breaker.note_error(errors.InvalidApiKey(**FACTS))
    assert breaker.snapshot().cause is PauseCause.BALANCE
    other = Breaker("other", clock, probed=True)
    await brought_to(OPEN, other, clock)
    until_us = other.snapshot().until_us
    await clock.sleep(1)
    for _ in range(UNCLEAR_MAX):
        other.note_unknown(status=500)
    assert other.snapshot().until_us == until_us
    other.note_error(errors.InvalidApiKey(**FACTS))
    assert other.snapshot().until_us is None


def test_every_provider_has_its_own(clock: FakeClock) -> None:
    """One provider's trouble does not pause the other."""
    breakers = Breakers(clock, probed=("aivideo",))
    breakers.of("video").note_error(errors.InvalidApiKey(**FACTS))
    breakers.of("aivideo").check()
    assert breakers.of("video") is breakers.of("video")
    first, second = breakers.snapshots()
    assert (first.provider, first.state) == ("aivideo", CLOSED)
    assert (second.provider, second.state) == ("video", OPEN)
