"""The end of a turn is booked, or the member knows what is held; and *not charged* stays true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from bot.chat.books import settle_turn
from bot.chat.ports import Draft, Ending, FinalAnswer, NotShown, Phase
from bot.chat.service import ChatService
from bot.errors import RateLimited, StreamCut
from bot.limits import (
    BROKEN_STREAMS_FREE,
    SETTLE_DELAY_S,
    SETTLE_DELAYS_S,
    SETTLE_WAIT_S,
    VOID_WRITES_MAX,
)
from bot.providers.base import FinishReason
from storage.database import Connection
from storage.errors import StoreCorrupt, StoreUnavailable
from storage.inline import InlineDatabase
from storage.types import Cause
from tests.unit.chat.test_failures import cause_of_hold
from tests.unit.chat.world import (
    NOON_US,
    RecordingSink,
    Script,
    ScriptedProvider,
    World,
    done,
    said,
)

P = ParamSpec("P")
T = TypeVar("T")

NAME = "aivideo"
SHORT_TRIES = len(SETTLE_DELAYS_S)
LONG_TRIES = SHORT_TRIES + int(SETTLE_WAIT_S / SETTLE_DELAY_S) + 1
"""As many as an answer that is paid gets, when each fails at once."""


class MoodyDatabase(InlineDatabase):
    """Refuses write transactions while `refusals` last, from the `after`-th on.

    With `commits` it takes them, and says that it did not.
    """

    refusals = 0
    after = 0
    commits = False
    error: Callable[[], Exception] = staticmethod(lambda: StoreUnavailable(cause="locked"))

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self.after > 0:
            self.after -= 1
        elif self.refusals > 0:
            self.refusals -= 1
            if self.commits:
                await super().transact(body, *args, **kwargs)
            raise self.error()
        return await super().transact(body, *args, **kwargs)


class Moody:
    """A world whose database has moods after the hold was taken."""

    def __init__(self, *scripts: Script) -> None:
        self.database = MoodyDatabase()
        self.world = World(provider=ScriptedProvider(*scripts), database=self.database)
        self.sink = RecordingSink()

    async def ask(self, *, refusals: int) -> FinalAnswer:
        self.database.after, self.database.refusals = 1, refusals
        await self.world.service.reply(self.world.question(), self.sink)
        return self.sink.final

    async def written(self) -> None:
        """Until nothing is left to be written late."""
        if left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left)


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Moody]]:
    made: list[Moody] = []

    def new(*scripts: Script) -> Moody:
        made.append(Moody(*scripts))
        return made[-1]

    yield new
    for moody in made:
        assert await moody.world.is_sound()
        await moody.database.close()


New = Callable[..., Moody]


async def test_a_busy_database_before_the_hold_refuses(make: New) -> None:
    """F-110: nothing was charged, nothing asked."""
    moody = make()
    moody.database.refusals = 1
    with pytest.raises(StoreUnavailable):
        await moody.world.ask()
    assert moody.world.provider.requests == []


async def test_a_short_lock_is_waited_out_unseen(make: New) -> None:
    """F-110: the answer was paid work; booking it is tried again, with growing pauses."""
    moody = make([*said("ok"), done()])
    final = await moody.ask(refusals=SHORT_TRIES)
    assert final.ending is Ending.COMPLETE
    assert moody.world.clock.slept_s == list(SETTLE_DELAYS_S)
    assert await moody.world.spent_ucr() == 80_000
    assert Phase.BOOKING not in [draft.phase for draft in moody.sink.drafts]


async def test_a_long_lock_loses_neither_the_answer_nor_its_price(make: New) -> None:
    """F-110: the whole answer stands there with what is held and until when, then the price."""
    moody = make([*said("ok"), done()])
    final = await moody.ask(refusals=LONG_TRIES - 1)
    draft = moody.sink.drafts[-1]
    assert (draft.text, draft.phase) == ("ok", Phase.BOOKING)
    assert 7_000_000 < draft.payment.held_ucr < 9_000_000
    assert draft.payment.held_until_us is not None
    told_us = NOON_US + round((sum(SETTLE_DELAYS_S) + SETTLE_WAIT_S) * 1_000_000)
    assert draft.payment.held_until_us == told_us
    assert moody.world.clock.now_us() <= told_us
    assert (final.ending, final.error) == (Ending.COMPLETE, None)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 80_000
    assert await moody.world.spent_ucr() == 80_000
    assert [turn.answer for turn in await moody.world.remembered()] == ["ok"]


@pytest.mark.parametrize("later", [0, 1, 3])
async def test_what_could_not_be_booked_in_time_is_never_charged(make: New, later: int) -> None:
    """The member was told *not charged*: the hold goes back by itself, the price is our loss."""
    moody = make([*said("ok"), done()])
    moody.world.catalogue = replace(moody.world.catalogue, multiplier_ppm=2_000_000)
    moody.world.service = moody.world.new_service()
    final = await moody.ask(refusals=LONG_TRIES + later)
    assert (final.text, final.ending) == ("ok", Ending.FAILED)
    assert isinstance(final.error, StoreUnavailable)
    assert final.receipt is None
    await moody.written()
    assert await moody.world.spent_ucr() == 0
    assert await moody.world.loss_ucr() == 80_000
    assert await cause_of_hold(moody.world) == Cause.INTERRUPTED
    assert await moody.world.remembered() == ()
    assert await moody.world.new_service().recover() == ()


@pytest.mark.parametrize(
    ("script", "loss_ucr", "cause"),
    [
        (
            [*said("I"), done("0.5", reason=FinishReason.CONTENT_FILTER)],
            500_000,
            Cause.PROVIDER_REFUSED,
        ),
        ([*said(" "), done("0.3")], 300_000, Cause.PROVIDER_ERROR),
        ([RateLimited(provider=NAME)], 0, Cause.PROVIDER_ERROR),
    ],
    ids=["refused", "empty", "never begun"],
)
async def test_a_failure_is_told_at_once_and_given_back_later(
    make: New, script: Script, loss_ucr: int, cause: Cause
) -> None:
    """F-110, I-10: nothing was to be charged anyway, so nobody waits for the disk."""
    moody = make(script)
    final = await moody.ask(refusals=SHORT_TRIES + 1)
    assert final.ending is Ending.FAILED
    assert not isinstance(final.error, StoreUnavailable)
    assert final.receipt is None
    assert moody.world.clock.slept_s[: SHORT_TRIES + 1] == [*SETTLE_DELAYS_S, SETTLE_DELAY_S]
    await moody.written()
    assert await moody.world.loss_ucr() == loss_ucr
    assert await cause_of_hold(moody.world) == cause
    assert await moody.world.spent_ucr() == 0
    assert await moody.world.new_service().recover() == ()


async def test_the_next_question_gives_back_what_is_left(make: New) -> None:
    """While the database is away it is refused, and the hold stays where it is."""
    moody = make([*said("ok"), RateLimited(provider=NAME)], [*said("third"), done("0.5")])
    await moody.ask(refusals=SHORT_TRIES + 2 * VOID_WRITES_MAX)
    await moody.written()
    moody.database.refusals = 2
    with pytest.raises(StoreUnavailable):
        await moody.world.ask("Second?")
    assert moody.database.refusals == 0
    assert (await moody.world.balance()).held_ucr > 0
    assert (await moody.world.ask("Third?")).ending is Ending.COMPLETE
    assert await moody.world.spent_ucr() == 500_000


async def test_an_ended_process_leaves_the_rest_to_the_next(make: New) -> None:
    """S-11, F-19: closing hurries, and what no database took is voided by the recovery."""
    moody = make([*said("ok"), done()])
    await moody.ask(refusals=LONG_TRIES + 50)
    await moody.world.service.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    moody.database.refusals = 0
    assert (await moody.world.balance()).held_ucr > 0
    (owed,) = await moody.world.new_service().recover()
    assert (owed.charged_ucr, owed.answer) == (0, None)
    assert await moody.world.spent_ucr() == 0


class SlowClock:
    """Sleeps until somebody hurries."""

    def __init__(self) -> None:
        self.sleeping = asyncio.Event()

    def now_us(self) -> int:
        return NOON_US

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        del delay_s
        self.sleeping.set()
        await asyncio.Event().wait()


async def test_closing_ends_the_pauses_between_the_tries(make: New) -> None:
    """S-11: nobody waits ten minutes for a process that is told to end."""
    moody, clock = make([*said("ok"), done()]), SlowClock()
    service = ChatService(
        database=moody.database,
        providers=moody.world.provider,
        breakers=moody.world.breakers,
        catalogue=moody.world.catalogue,
        allowance=moody.world.allowance,
        clock=clock,
    )
    moody.database.after, moody.database.refusals = 1, LONG_TRIES
    task = asyncio.create_task(service.reply(moody.world.question(), moody.sink))
    await clock.sleeping.wait()
    service._bookkeeper.hurry()  # as `close` does, once its own patience has ended
    await task
    assert isinstance(moody.sink.final.error, StoreUnavailable)
    await service.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("script", "charged_ucr"),
    [([*said("ok"), done()], 80_000), ([*said("ok"), StreamCut(provider=NAME)], 0)],
    ids=["settled", "voided"],
)
async def test_an_end_whose_answer_got_lost_is_booked_once(
    make: New, script: Script, charged_ucr: int
) -> None:
    """I-5: the commit went through although we were told otherwise; the first outcome stands."""
    moody = make(script)
    moody.database.commits = True
    final = await moody.ask(refusals=1)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == charged_ucr
    assert await moody.world.spent_ucr() == charged_ucr


async def test_the_brake_never_comes_after_the_words(make: New) -> None:
    """S-12, I-23: what was told *not charged* because of the disk stays so when it is written."""
    broken = [*said("word " * 100), StreamCut(provider=NAME)]
    moody = make(*[broken] * (BROKEN_STREAMS_FREE + 2))
    for _ in range(BROKEN_STREAMS_FREE):
        assert (await moody.world.ask()).receipt is not None
    final = await moody.ask(refusals=SHORT_TRIES + 1)
    assert final.receipt is None
    await moody.written()
    assert await moody.world.spent_ucr() == 0
    final = await moody.world.ask()
    assert final.receipt is not None
    assert final.receipt.charged_ucr > 0


class LyingDatabase(InlineDatabase):
    """Settles, and says every time that it did not."""

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        result = await super().transact(body, *args, **kwargs)
        if body is settle_turn:
            raise StoreUnavailable(cause="I/O error")
        return result


async def test_before_not_charged_is_said_the_books_are_looked_at() -> None:
    """I-23: what the member is told is what was booked, whatever the commits answered."""
    database = LyingDatabase()
    world = World(provider=ScriptedProvider([*said("ok"), done()]), database=database)
    final = await world.ask()
    assert (final.ending, final.error) == (Ending.COMPLETE, None)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == await world.spent_ucr() == 80_000
    assert await world.is_sound()
    await database.close()


async def test_a_damaged_database_is_not_asked_again(make: New) -> None:
    """F-113: waiting mends nothing; the next start decides, and charges nothing."""
    moody = make([*said("ok"), done()])
    moody.database.error = lambda: StoreCorrupt(path="x", cause="malformed")
    final = await moody.ask(refusals=1)
    assert isinstance(final.error, StoreCorrupt)
    assert moody.world.clock.slept_s == []
    await moody.world.new_service().recover()
    assert await moody.world.spent_ucr() == 0


async def test_a_stopped_answer_that_cannot_be_booked_says_so(make: New) -> None:
    """F-153: *not charged* needs a reason."""
    gate = asyncio.Event()
    moody = make([*said("one"), gate, done()])
    question = moody.world.question()
    moody.database.after, moody.database.refusals = 1, LONG_TRIES
    task = moody.world.start(question, moody.sink)
    await moody.sink.shows("one")
    moody.world.service.stop(question.reference, user_id=question.author_id, staff=False)
    gate.set()
    await task
    assert isinstance(moody.sink.final.error, StoreUnavailable)
    await moody.written()


async def test_a_late_void_of_what_is_gone_is_let_go(make: New) -> None:
    """Somebody else ended it: nothing is tried for ever."""
    moody = make([*said("ok"), RateLimited(provider=NAME)])
    await moody.ask(refusals=SHORT_TRIES + 1)
    moody.database.run(lambda c: c.exec_driver_sql("DELETE FROM turns"))
    await moody.written()
    assert await moody.world.new_service().recover() == ()
    moody.database.run(
        lambda c: c.exec_driver_sql(
            "INSERT INTO turns (reference, channel_id, author_id, author_name, model, question,"
            " attachments, state, begun_us) VALUES ('m:1', 1, 1, 'M', 'm', '', '[]', 'pending', 1)"
        )
    )
    await moody.world.new_service().recover()


async def test_the_end_that_was_shown_needs_no_telling(make: New) -> None:
    """A restart after the last word is silent; one before it is not (F-15)."""
    moody = make([*said("ok"), done()], [*said("ok"), done()])
    await moody.ask(refusals=0)
    assert await moody.world.new_service().recover() == ()

    class Broken(RecordingSink):
        async def finish(self, final: FinalAnswer) -> None:
            raise RuntimeError(final.text)

    await moody.world.service.reply(moody.world.question(), Broken())
    (owed,) = await moody.world.new_service().recover()
    assert (owed.reference, owed.answer, owed.charged_ucr) == ("m:2", "ok", 80_000)
    await moody.world.service.told("m:2")
    assert await moody.world.new_service().recover() == ()


class Unseen(RecordingSink):
    """Discord does not take the end."""

    async def finish(self, final: FinalAnswer) -> None:
        await super().finish(final)
        raise NotShown


@pytest.mark.parametrize(
    ("script", "refusals"),
    [
        ([*said("ok"), done()], LONG_TRIES),
        ([*said("half"), StreamCut(provider=NAME)], SHORT_TRIES + 1),
    ],
    ids=["answered", "broken"],
)
async def test_an_end_that_was_neither_booked_nor_shown_is_owed(
    make: New, script: Script, refusals: int
) -> None:
    """F-110, S-7: else its member would see for ever that the database is busy."""
    moody = make(script)
    moody.sink = Unseen()
    await moody.ask(refusals=refusals)
    assert await moody.world.service.owed() == ()
    await moody.written()
    (owed,) = await moody.world.service.owed()
    assert (owed.reference, owed.answer, owed.charged_ucr) == ("m:1", None, 0)
    await moody.world.service.told("m:1")
    assert await moody.world.service.owed() == ()


def test_a_draft_promises_nothing() -> None:
    """Only the phase of booking says what is held."""
    assert Draft(text="", phase=Phase.THINKING).payment.held_ucr == 0
