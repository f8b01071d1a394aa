"""Stop ends what is shown, not what is paid (S-12)."""

from __future__ import annotations

import asyncio

import pytest

from bot.chat.ports import Draft, Ending, Phase
from bot.errors import NotOwner, StreamCut, TurnOver
from bot.providers.base import ChatEvent
from tests.unit.chat.world import (
    MIRA,
    TOM,
    NewWorld,
    RecordingSink,
    World,
    called,
    done,
    said,
)


class Stopped:
    """A turn that is stopped after its first word; `go` lets the provider speak on."""

    def __init__(self, world: World, rest: list[ChatEvent | BaseException]) -> None:
        self.world = world
        self.gate = asyncio.Event()
        self.sink = RecordingSink()
        world.provider.scripts = [[*said("one"), self.gate, *rest]]
        self.question = world.question()

    async def run(self) -> None:
        task = self.world.start(self.question, self.sink)
        await self.sink.shows("one")
        self.world.service.stop(self.question.reference, user_id=MIRA, staff=False)
        self.gate.set()
        await task


async def test_what_is_shown_freezes_at_once(new_world: NewWorld) -> None:
    """The sink hears of it before the provider says anything more."""
    turn = Stopped(new_world(), [*said(" two"), done("0.3")])
    await turn.run()
    assert turn.sink.drafts[-1] == Draft(text="one", phase=Phase.STOPPED)
    assert (turn.sink.final.text, turn.sink.final.ending) == ("one", Ending.STOPPED)


async def test_the_whole_answer_is_paid(new_world: NewWorld) -> None:
    """F-153: reading goes on to the terminal event, or Stop would be free generation."""
    turn = Stopped(new_world(), [*said(" two"), done("0.3")])
    await turn.run()
    assert turn.sink.final.receipt is not None
    assert turn.sink.final.receipt.charged_ucr == 300_000
    assert await turn.world.spent_ucr() == 300_000


async def test_history_keeps_what_was_shown(new_world: NewWorld) -> None:
    """Nobody has read the rest, so nobody may refer to it."""
    turn = Stopped(new_world(), [*said(" two"), done("0.3")])
    await turn.run()
    assert [past.answer for past in await turn.world.remembered()] == ["one"]


async def test_a_stream_that_breaks_after_stop_is_not_charged(new_world: NewWorld) -> None:
    """There is no authoritative amount; the member sees what was asked for: it stopped."""
    turn = Stopped(new_world(), [StreamCut(provider="aivideo")])
    await turn.run()
    final = turn.sink.final
    assert (final.ending, final.error, final.text) == (Ending.STOPPED, None, "one")
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 0
    assert await turn.world.loss_ucr() > 0


async def test_a_stopped_turn_calls_no_more_tools(new_world: NewWorld) -> None:
    """The model's wish to go on is not followed."""
    turn = Stopped(new_world(), [done("0.3", calls=(called("get_time"),))])
    await turn.run()
    assert len(turn.world.provider.requests) == 1
    assert await turn.world.spent_ucr() == 300_000


async def test_reading_on_ends_at_the_hold(new_world: NewWorld) -> None:
    """S-12: in the background we read up to the hold, and never extend it for nobody."""
    endless = said(*["word " * 200] * 60)
    turn = Stopped(new_world(), [*endless, done("100")])
    await turn.run()
    assert turn.sink.final.ending is Ending.STOPPED
    assert turn.world.provider.closed == 1
    spent_ucr = await turn.world.spent_ucr()
    assert 7_000_000 < spent_ucr < 10_000_000


async def test_stopping_before_the_first_word_leaves_no_turn(new_world: NewWorld) -> None:
    """Paid as reported, but there is nothing to remember."""
    world, gate, sink = new_world(), asyncio.Event(), RecordingSink()
    world.provider.scripts = [[gate, *said("late"), done("0.2")]]
    question = world.question()
    task = world.start(question, sink)
    await world.provider.reached.wait()
    world.service.stop(question.reference, user_id=MIRA, staff=False)
    gate.set()
    await task
    assert (sink.final.text, sink.final.ending) == ("", Ending.STOPPED)
    assert await world.spent_ucr() == 200_000
    assert await world.remembered() == ()


async def test_only_the_owner_and_staff_may_stop(new_world: NewWorld) -> None:
    """F-151: somebody else's button does nothing."""
    world, gate, sink = new_world(), asyncio.Event(), RecordingSink()
    world.provider.scripts = [[*said("one"), gate, done()]]
    question = world.question()
    task = world.start(question, sink)
    await sink.shows("one")
    with pytest.raises(NotOwner):
        world.service.stop(question.reference, user_id=TOM, staff=False)
    assert world.service.is_running(question.reference)
    world.service.stop(question.reference, user_id=TOM, staff=True)
    world.service.stop(question.reference, user_id=MIRA, staff=False)
    gate.set()
    await task
    assert sink.final.ending is Ending.STOPPED
    assert [draft.phase for draft in sink.drafts].count(Phase.STOPPED) == 1


async def test_an_answer_that_is_over_cannot_be_stopped(new_world: NewWorld) -> None:
    """The button outlives the answer; so does a reference that never was."""
    world = new_world([*said("ok"), done()])
    await world.ask()
    for reference in ("m:1", "m:404"):
        assert not world.service.is_running(reference)
        with pytest.raises(TurnOver):
            world.service.stop(reference, user_id=MIRA, staff=False)
