"""Cancelled callers, restarts and shutdowns: no turn is lost and none is paid twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from bot import limits
from bot.chat import service as service_module
from bot.chat.ports import Ending
from bot.chat.surrogates import mended, split_off
from bot.errors import Interrupted, Restarting, StreamCut
from bot.limits import OUTPUT_TOKENS_NOTE
from storage.errors import Duplicate
from storage.types import Cause, OwedTurn
from tests.unit.chat.test_failures import cause_of_hold
from tests.unit.chat.world import (
    MIRA,
    PATIENCE_S,
    STUDIO,
    NewWorld,
    RecordingSink,
    World,
    called,
    done,
    said,
)

GPT_OUTPUT_UCR = 1_800
"""GPT-5.4's price of one token of output."""


@pytest.mark.parametrize("step", range(6))
async def test_a_cancelled_caller_never_loses_the_settle(threaded_world: World, step: int) -> None:
    """The turn has its own task: whenever its caller is cancelled, it is settled and shown."""
    world = threaded_world
    gate = asyncio.Event()
    world.provider.scripts = [[*said("a"), gate, *said("b"), done("0.4")]]
    sink = RecordingSink()
    task = world.start(world.question(), sink)
    if step == 5:
        await sink.shows("a")
    for _ in range(step):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    if step > 0:  # cancelled before its first step, a coroutine never runs at all.
        await sink.ended()
        await world.service.close()
        assert sink.final.text == "ab"
        assert await world.spent_ucr() == 400_000


async def test_a_killed_process_charges_nothing(new_world: NewWorld) -> None:
    """F-19: the next process voids the hold, abandons the turn and knows whom to tell."""
    world = new_world([*said("half"), asyncio.Event()], [*said("whole"), done("0.1")])
    sink = RecordingSink()
    task = world.start(world.question("first"), sink)
    await sink.shows("half")
    await world.service.show_at("m:1", 777)
    assert (await world.balance()).held_ucr > 0

    reborn = world.new_service()
    (left,) = await reborn.recover()
    assert left == OwedTurn(reference="m:1", channel_id=STUDIO, author_id=MIRA, message_id=777)
    assert await reborn.recover() == (left,)
    await reborn.told("m:1")
    assert await reborn.recover() == ()
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() > 0
    assert await cause_of_hold(world) == Cause.INTERRUPTED
    assert await world.remembered() == ()
    with pytest.raises(Duplicate):
        await reborn.reply(world.question(reference="m:1"), RecordingSink())
    after = RecordingSink()
    await reborn.reply(world.question("second", reference="m:2"), after)
    assert after.final.text == "whole"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _loss_of_killed(world: World) -> int:
    """What is booked when the process dies where the provider's script waits.

    Whatever was to be noted was begun before that, and an inline database writes at once.
    """
    task = world.start(world.question(), RecordingSink())
    async with asyncio.timeout(PATIENCE_S):
        await world.provider.reached.wait()
    await world.new_service().recover()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await world.spent_ucr() == 0
    return await world.loss_ucr()


@pytest.mark.parametrize("pages", [0, 1, 5, 36])
async def test_a_killed_answer_is_the_operators_loss_like_a_cut_one(
    new_world: NewWorld, pages: int
) -> None:
    """F-19, I-10: by the same estimate, to within one note, however long the answer was."""
    words = said(*["word " * 200] * pages)
    killed = await _loss_of_killed(new_world([*words, asyncio.Event()], credits_a_day=40))
    world = new_world([*words, StreamCut(provider="aivideo")], credits_a_day=40)
    await world.ask()
    note_ucr = OUTPUT_TOKENS_NOTE * GPT_OUTPUT_UCR
    assert 0 < killed <= await world.loss_ucr() < killed + note_ucr


async def test_a_killed_second_request_has_cost_the_first_one_too(new_world: NewWorld) -> None:
    """The price that the provider reported before its tools were run is known after a crash."""
    first = [*said("Let me see."), done("3", calls=(called("get_time"),))]
    world = new_world(first, [asyncio.Event()])
    assert 3_000_000 < await _loss_of_killed(world) < 4_000_000


async def test_closing_lets_answers_end(new_world: NewWorld) -> None:
    """S-11: nothing new is begun, what runs may finish and is paid as usual."""
    gate = asyncio.Event()
    world = new_world([*said("a"), gate, *said("b"), done("0.2")])
    sink = RecordingSink()
    task = world.start(world.question(), sink)
    await sink.shows("a")
    closing = asyncio.create_task(world.service.close())
    await asyncio.sleep(0)
    with pytest.raises(Restarting):
        await world.service.reply(world.question(), RecordingSink())
    gate.set()
    await asyncio.gather(task, closing)
    assert sink.final.text == "ab"
    assert await world.spent_ucr() == 200_000


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Shutdown without the 25 seconds."""
    monkeypatch.setattr(service_module, "SHUTDOWN_WAIT_S", 0.01)
    yield
    assert limits.SHUTDOWN_WAIT_S == 25.0


@pytest.mark.usefixtures("impatient")
async def test_an_answer_that_does_not_end_is_cut_off_and_told(new_world: NewWorld) -> None:
    """S-11, S-12: the partial text stays, nothing is charged, and no hold is left open."""
    world = new_world([*said("endless"), asyncio.Event()])
    sink = RecordingSink()
    task = world.start(world.question(), sink)
    await sink.shows("endless")
    await world.service.close()
    await task
    assert (sink.final.text, sink.final.ending) == ("endless", Ending.FAILED)
    assert isinstance(sink.final.error, Interrupted)
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() > 0
    assert world.provider.closed == 1
    assert await world.new_service().recover() == ()


async def test_closing_with_nothing_to_do_is_immediate(new_world: NewWorld) -> None:
    """No turns, no waiting."""
    world = new_world()
    await asyncio.wait_for(world.service.close(), timeout=1.0)


@pytest.mark.parametrize(
    ("text", "whole", "half"),
    [
        ("plain", "plain", ""),
        ("a\ud83d", "a", "\ud83d"),
        ("\ud83d\ude00", "😀", ""),
        ("a\ude00b", "a\ufffdb", ""),
        ("\ud83dx", "\ufffdx", ""),
        ("", "", ""),
    ],
)
def test_half_characters_are_joined_or_marked(text: str, whole: str, half: str) -> None:
    """What comes out can be stored and sent."""
    assert split_off(text) == (whole, half)
    mended(text).encode()


async def test_a_character_cut_between_two_deltas_comes_out_whole(new_world: NewWorld) -> None:
    """An emoji is two halves in JSON, and a delta may end between them."""
    world = new_world([*said("so \ud83d", "\ude00!"), done()])
    final = await world.ask("\ud800 half", author_name="\udc00")
    assert final.text == "so 😀!"
    assert [turn.question for turn in await world.remembered()] == ["\ufffd half"]


async def test_a_stream_is_closed_when_we_stop_reading(new_world: NewWorld) -> None:
    """A generator left behind would keep its connection."""
    world = new_world([*said(*["word " * 400] * 100)], credits_a_day=3)
    await world.ask()
    assert world.provider.closed == 1
    stream: AsyncGenerator[object, None] = world.provider.stream(world.provider.requests[0])
    await stream.aclose()
