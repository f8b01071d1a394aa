"""S-12: a stream that breaks is not charged, three times a day."""

from __future__ import annotations

import asyncio

import pytest

from bot.chat.ports import Ending, FinalAnswer
from bot.errors import (
    AnswerMalformed,
    BrokenTooOften,
    ProviderError,
    RateLimited,
    StreamCut,
    StreamStalled,
    UpstreamError,
)
from bot.limits import BROKEN_OUTAGE_S, BROKEN_STREAMS_FREE
from bot.providers.base import ChatEvent, TextDelta, ThoughtDelta
from bot.text.messages import message
from bot.text.money import Payment
from storage.types import Cause
from tests.unit.chat.world import MIRA, TOM, NewWorld, RecordingSink, World, called, done, said

NAME = "aivideo"
CUT = StreamCut(provider=NAME)
SAM, ANN = 103, 104
DAY_US = 86_400_000_000
HOUR_US = DAY_US // 24
WORDS = "word " * 200
"""About 350 tokens: 630,000 µcr of GPT-5.4, beside some 200,000 for its prompt."""


async def break_off(
    world: World,
    *,
    author_id: int = MIRA,
    events: list[ChatEvent] | None = None,
    error: BaseException = CUT,
) -> FinalAnswer:
    world.provider.scripts.append([*(said(WORDS) if events is None else events), error])
    return await world.ask(author_id=author_id, channel_id=author_id)


async def use_up(world: World, *, author_id: int = MIRA) -> None:
    for _ in range(BROKEN_STREAMS_FREE):
        final = await break_off(world, author_id=author_id)
        assert final.receipt is not None
        assert final.receipt.charged_ucr == 0


def charged(final: FinalAnswer) -> int:
    assert final.receipt is not None
    return final.receipt.charged_ucr


async def causes(world: World) -> list[tuple[str, str]]:
    sql = "SELECT state, cause FROM holds ORDER BY id"
    rows = await world.database.read(lambda c: c.exec_driver_sql(sql).all())
    return [(row[0], row[1]) for row in rows]


async def test_the_fourth_broken_answer_of_a_day_is_paid(new_world: NewWorld) -> None:
    """S-12, I-7: by an estimate of what was shown, with its reason; the text says so."""
    world = new_world()
    await use_up(world)
    lost_ucr = await world.loss_ucr()
    final = await break_off(world)
    assert (final.ending, final.text) == (Ending.FAILED, WORDS)
    assert isinstance(final.error, BrokenTooOften)
    assert final.error.limit == BROKEN_STREAMS_FREE
    assert 630_000 < charged(final) < 900_000
    assert await world.spent_ucr() == charged(final)
    assert await world.loss_ucr() == lost_ucr, "all of it is paid: nothing is lost"
    assert (await causes(world))[-2:] == [
        ("voided", Cause.STREAM_UNFINISHED),
        ("settled", Cause.ABUSE_BRAKE),
    ]
    assert await world.remembered() == (), "half a turn never enters the context"
    told = message(
        final.error, reference="m:4", payment=Payment(charged_ucr=charged(final))
    ).markdown
    assert "3 of yours did so today at no charge" in told
    assert "charged 0." in told
    assert "not charged" not in told


async def test_it_outlives_the_process_and_ends_with_the_day(new_world: NewWorld) -> None:
    """The count is in the database, in the installation's own days."""
    world = new_world()
    await use_up(world)
    world.service = world.new_service()
    assert charged(await break_off(world)) > 0
    world.clock.at_us += DAY_US
    assert charged(await break_off(world)) == 0


@pytest.mark.parametrize(("timezone", "is_charged"), [("UTC", True), ("Asia/Tokyo", False)])
async def test_the_day_is_that_of_the_installation(
    new_world: NewWorld, *, timezone: str, is_charged: bool
) -> None:
    """Between noon and four in the afternoon in London, Tokyo's midnight has passed."""
    world = new_world()
    world.timezone = timezone
    world.service = world.new_service()
    await use_up(world)
    world.clock.at_us += 4 * HOUR_US
    assert (charged(await break_off(world)) > 0) is is_charged


@pytest.mark.parametrize(
    "error",
    [CUT, StreamStalled(provider=NAME, idle_s=60.0), AnswerMalformed(provider=NAME)],
    ids=lambda error: type(error).__name__,
)
async def test_cut_stalled_and_malformed_streams_count(
    new_world: NewWorld, error: ProviderError
) -> None:
    """F-57, F-58, F-60: they ended without a terminal event."""
    world = new_world()
    for _ in range(BROKEN_STREAMS_FREE):
        assert charged(await break_off(world, error=error)) == 0
    assert charged(await break_off(world, error=error)) > 0


@pytest.mark.parametrize(
    ("events", "error"),
    [
        pytest.param([], CUT, id="nothing was shown"),
        pytest.param([ThoughtDelta(text=WORDS)], CUT, id="only thoughts"),
        pytest.param([TextDelta(text=" \n")], CUT, id="only space"),
        pytest.param(said(WORDS), UpstreamError(provider=NAME), id="the provider said so"),
        pytest.param(said(WORDS), RateLimited(provider=NAME), id="too many requests"),
        pytest.param(said(WORDS), ZeroDivisionError(), id="a bug of ours"),
    ],
)
async def test_what_no_member_can_gain_by_neither_counts_nor_costs(
    new_world: NewWorld, events: list[ChatEvent], error: BaseException
) -> None:
    """The policy of `_is_braked`, also for somebody whose count is full."""
    world = new_world()
    for _ in range(2):
        await break_off(world, events=events, error=error)
    await use_up(world)
    assert charged(await break_off(world, events=events, error=error)) == 0


async def test_a_restart_is_nobodys_trick(new_world: NewWorld) -> None:
    """F-19: an answer that a crash cut off counts for nothing."""
    world = new_world()
    for _ in range(BROKEN_STREAMS_FREE + 1):
        gate, sink = asyncio.Event(), RecordingSink()
        world.provider.scripts = [[*said(WORDS), gate]]
        task = world.start(world.question(), sink)
        await sink.shows(WORDS)
        await world.new_service().recover()
        gate.set()
        await task
        world.service = world.new_service()
    assert charged(await break_off(world)) == 0


async def test_everybody_has_a_count_of_their_own(new_world: NewWorld) -> None:
    """Mira's full count is not Tom's."""
    world = new_world()
    await use_up(world)
    assert charged(await break_off(world, author_id=TOM)) == 0


async def test_an_outage_punishes_nobody(new_world: NewWorld) -> None:
    """When others' answers break at about the time, it is the provider; and nothing is counted."""
    world = new_world()
    for _ in range(3):
        for member in (MIRA, TOM, SAM, ANN):
            assert charged(await break_off(world, author_id=member)) == 0
    assert charged(await break_off(world)) == 0
    world.clock.at_us += int(BROKEN_OUTAGE_S * 1_000_000) + 1
    await use_up(world)
    assert charged(await break_off(world)) > 0


async def test_a_full_count_is_no_reason_to_pay_for_an_outage(new_world: NewWorld) -> None:
    """Three tricks in the morning do not make the provider's trouble at noon the member's."""
    world = new_world()
    await use_up(world)
    world.clock.at_us += HOUR_US
    for member in (TOM, SAM, ANN):
        assert charged(await break_off(world, author_id=member)) == 0
    assert charged(await break_off(world)) == 0


async def test_what_nobody_saw_is_the_operators(new_world: NewWorld) -> None:
    """I-10, I-12: thoughts and what ran on after Stop cost the provider's price, once."""
    world = new_world(credits_a_day=100)
    await use_up(world)
    lost_ucr = await world.loss_ucr()
    final = await break_off(world, events=[*said(WORDS), ThoughtDelta(text=WORDS)])
    assert 630_000 < charged(final) < 900_000
    assert await world.loss_ucr() - lost_ucr == pytest.approx(630_000, abs=10_000)


async def test_a_second_request_that_breaks_is_paid_with_the_first(new_world: NewWorld) -> None:
    """The price that was reported before the tools ran is known; only the rest is an estimate."""
    world = new_world(credits_a_day=100)
    await use_up(world)
    first = [*said("Let me see."), done("3", calls=(called("get_time"),))]
    world.provider.scripts = [first, [*said(WORDS), CUT]]
    final = await world.ask(channel_id=MIRA)
    assert 3_630_000 < charged(final) < 4_000_000


async def test_the_brake_never_takes_more_than_was_held(new_world: NewWorld) -> None:
    """I-5, I-9: the estimate is capped as every price is."""
    world = new_world(credits_a_day=2)
    await use_up(world)
    assert charged(await break_off(world)) <= world.allowance_ucr
