"""What goes wrong after the hold is told once, costs nothing, and leaves no half turn."""

from __future__ import annotations

import asyncio
from typing import ParamSpec, TypeVar

import pytest

from bot.chat import service as service_module
from bot.chat.ports import Ending
from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    ContentRefused,
    InsufficientPermissions,
    Interrupted,
    InvalidApiKey,
    IpNotAllowed,
    ModelNotFound,
    ProviderCreditsExhausted,
    ProviderError,
    ProviderInternalError,
    ProviderRejected,
    ProviderUnreachable,
    RateLimited,
    RequestInvalid,
    SpendLimitExceeded,
    StreamCut,
    StreamStalled,
    Unexpected,
    UpstreamError,
)
from bot.providers.base import FinishReason
from storage.types import Cause
from tests.unit.chat.world import PATIENCE_S, NewWorld, RecordingSink, World, called, done, said

P = ParamSpec("P")
T = TypeVar("T")

NAME = "aivideo"
REFUSALS: tuple[ProviderError, ...] = (
    ProviderRejected(provider=NAME, status=400, code="invalid_request", field="input"),
    InvalidApiKey(provider=NAME, status=401),
    ProviderCreditsExhausted(provider=NAME, status=402),
    IpNotAllowed(provider=NAME, status=403),
    InsufficientPermissions(provider=NAME, status=403),
    ModelNotFound(provider=NAME, status=404, model="gpt-5-4"),
    RateLimited(provider=NAME, status=429, retry_after_s=12.0),
    SpendLimitExceeded(provider=NAME, status=429),
    ProviderInternalError(provider=NAME, status=500),
    UpstreamError(provider=NAME, status=503),
    ProviderUnreachable(provider=NAME),
    AnswerLost(provider=NAME),
)
BREAKS: tuple[ProviderError, ...] = (
    StreamCut(provider=NAME),
    StreamStalled(provider=NAME, idle_s=60.0),
    AnswerMalformed(provider=NAME),
    UpstreamError(provider=NAME, code="server_error"),
)


def by_name(value: object) -> str:
    return type(value).__name__


async def cause_of_hold(world: World) -> str:
    """Why the first hold ended, as booked."""
    sql = "SELECT cause FROM holds ORDER BY id LIMIT 1"
    return str(await world.database.read(lambda c: c.exec_driver_sql(sql).scalar_one()))


@pytest.mark.parametrize("error", REFUSALS, ids=by_name)
async def test_an_error_before_the_stream_costs_nobody_anything(
    new_world: NewWorld, error: ProviderError
) -> None:
    """Both error tables (providers.md 1.3): told with its facts, void, no loss, no history."""
    world = new_world([error])
    final = await world.ask()
    assert (final.ending, final.error, final.text) == (Ending.FAILED, error, "")
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 0
    assert final.receipt.available_ucr == world.allowance_ucr
    assert final.reference == "m:1"
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() == 0
    assert await world.remembered() == ()


@pytest.mark.parametrize("error", BREAKS, ids=by_name)
async def test_a_broken_stream_keeps_its_text_and_is_the_operators_loss(
    new_world: NewWorld, error: ProviderError
) -> None:
    """F-57: the partial stays visible, the member pays nothing, the estimate is booked."""
    world = new_world([*said("Once upon a time"), error])
    final = await world.ask()
    assert (final.ending, final.error) == (Ending.FAILED, error)
    assert final.text == "Once upon a time"
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() > 0
    assert await world.remembered() == ()


async def test_a_cut_before_the_first_word_has_still_cost_the_prompt(new_world: NewWorld) -> None:
    """The stream had begun: the provider has read the prompt, whatever we got (F-57)."""
    world = new_world([StreamCut(provider=NAME)])
    await world.ask()
    assert await world.loss_ucr() > 0


@pytest.mark.parametrize("asked", [1, 2], ids=["first request", "second request"])
async def test_a_stop_before_the_first_event_is_the_operators_loss_like_a_kill(
    new_world: NewWorld, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    """S-11, S-12, I-10: the request is out and its prompt is being read, whoever ends us."""
    monkeypatch.setattr(service_module, "SHUTDOWN_WAIT_S", 0.01)
    losses_ucr = []
    for is_killed in (False, True):
        first = [done("0.11", calls=(called("get_time"),))]
        world = new_world(*[first] * (asked - 1), [asyncio.Event()])
        sink = RecordingSink()
        task = world.start(world.question(), sink)
        async with asyncio.timeout(PATIENCE_S):
            await world.provider.reached.wait()
        if is_killed:
            await world.new_service().recover()
        await world.service.close()
        await task
        assert await world.spent_ucr() == 0
        losses_ucr.append(await world.loss_ucr())
    stopped_ucr, killed_ucr = losses_ucr
    assert stopped_ucr >= killed_ucr > 0
    assert stopped_ucr > (asked - 1) * 110_000


async def test_what_was_never_asked_costs_nobody_anything(new_world: NewWorld) -> None:
    """S-11: the books were slow to open, and the process ended before the request left."""
    world = new_world()
    world.service._interrupted = True  # as `close` leaves it, once its own patience has ended
    assert isinstance((await world.ask()).error, Interrupted)
    assert world.provider.requests == []
    assert await world.loss_ucr() == 0


async def test_a_stream_that_ends_without_a_terminal_event_is_no_answer(
    new_world: NewWorld,
) -> None:
    """Trap 17, also when a protocol forgets to say so."""
    world = new_world([*said("It looks whole.")])
    final = await world.ask()
    assert isinstance(final.error, StreamCut)
    assert await world.spent_ucr() == 0


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ([RateLimited(provider=NAME)], Cause.PROVIDER_ERROR),
        ([ProviderRejected(provider=NAME)], Cause.PROVIDER_REFUSED),
        ([ContentRefused(provider=NAME)], Cause.PROVIDER_REFUSED),
        ([*said("x"), StreamCut(provider=NAME)], Cause.STREAM_UNFINISHED),
        ([RequestInvalid(model="m", field="input", rule="empty")], Cause.CANCELLED),
        ([ZeroDivisionError()], Cause.INTERRUPTED),
    ],
)
async def test_every_void_names_its_cause(
    new_world: NewWorld, script: list[BaseException], cause: Cause
) -> None:
    """Nothing is returned without a reason from the closed list (asks.md 3.3)."""
    world = new_world(script)
    await world.ask()
    assert await cause_of_hold(world) == cause


async def test_an_answer_refused_by_content_rules_is_not_charged(new_world: NewWorld) -> None:
    """A terminal `content_filter` may be billed to the operator, never to the member."""
    world = new_world([*said("I"), done("0.5", reason=FinishReason.CONTENT_FILTER)])
    final = await world.ask()
    assert isinstance(final.error, ContentRefused)
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() == 500_000


async def test_an_empty_answer_is_not_charged(new_world: NewWorld) -> None:
    """Paying for nothing is what members of comparable bots complain about."""
    world = new_world([*said(" \n"), done("0.3")])
    final = await world.ask()
    assert isinstance(final.error, AnswerMalformed)
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() == 300_000


async def test_a_failing_second_request_loses_exactly_the_first_ones_price(
    new_world: NewWorld,
) -> None:
    """A request that was refused cost nothing; the one before it did."""
    first = [done("0.11", calls=(called("get_time"),))]
    world = new_world(first, [RateLimited(provider=NAME)])
    final = await world.ask()
    assert isinstance(final.error, RateLimited)
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() == 110_000


async def test_a_bug_is_told_without_its_insides(new_world: NewWorld) -> None:
    """The member gets a reference, the log gets the cause."""
    world = new_world([*said("a"), ZeroDivisionError("secret")])
    final = await world.ask()
    assert isinstance(final.error, Unexpected)
    assert final.error.reference == "m:1"
    assert isinstance(final.error.__cause__, ZeroDivisionError)
    assert await world.spent_ucr() == 0


async def test_after_a_failure_the_next_question_starts_clean(new_world: NewWorld) -> None:
    """Half a turn never enters the context."""
    world = new_world([*said("half"), StreamCut(provider=NAME)], [*said("whole"), done()])
    await world.ask("first")
    await world.ask("second")
    assert [turn.question for turn in await world.remembered()] == ["second"]


@pytest.mark.parametrize("reported", ["NaN", "Infinity", "-1", "1e30"])
async def test_a_nonsense_price_falls_back_to_the_formula(
    new_world: NewWorld, reported: str
) -> None:
    """F-51: normal delivery, the tokens are counted ourselves, and nobody pays nonsense."""
    world = new_world([*said("ok"), done(reported)])
    final = await world.ask()
    assert final.ending is Ending.COMPLETE
    assert 0 < await world.spent_ucr() < 2_000_000


async def test_a_price_above_the_hold_is_capped(new_world: NewWorld) -> None:
    """S-3: the member never pays more than was held; the excess is the operator's."""
    world = new_world([*said("ok"), done("19")])
    await world.ask()
    spent_ucr = await world.spent_ucr()
    assert 7_000_000 < spent_ucr < 12_000_000
    assert await world.loss_ucr() == 19_000_000 - spent_ucr
