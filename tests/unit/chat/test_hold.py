"""A hold grows with the answer, and an answer ends politely where it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from bot.chat.hold import GrowingHold
from bot.chat.ports import Ending
from bot.errors import AnswerMalformed
from bot.limits import HOLD_TRIES, OUTPUT_TOKENS_MAX
from bot.providers.base import TextDelta, ThoughtDelta
from storage import budgets, ledger
from storage.budgets import BudgetChange
from storage.database import Connection
from storage.errors import BudgetExhausted, InsufficientCredits, StoreUnavailable
from storage.inline import InlineDatabase
from storage.types import Budget, Hold, HoldState, Scope
from tests.unit.chat.test_failures import cause_of_hold
from tests.unit.chat.world import NewWorld, RecordingSink, World, called, done, said

P = ParamSpec("P")
T = TypeVar("T")

PAGE = "word " * 200
"""About 350 tokens by our estimate: 630,000 µcr of GPT-5.4."""


async def test_a_long_answer_extends_its_hold(new_world: NewWorld) -> None:
    """Three times the first hold, and still paid exactly as reported."""
    world = new_world([*said(*[PAGE] * 36), done("15.5")], credits_a_day=40)
    final = await world.ask()
    assert final.ending is Ending.COMPLETE
    assert await world.spent_ucr() == 15_500_000
    assert await world.loss_ucr() == 0


async def test_when_no_more_can_be_held_the_answer_ends_politely(new_world: NewWorld) -> None:
    """What was produced is kept, remembered, and paid at the hold (asks.md 3.3)."""
    world = new_world([*said(*[PAGE] * 60), done("99")], credits_a_day=10)
    final = await world.ask()
    assert (final.ending, final.error) == (Ending.CREDITS, None)
    assert 0 < len(final.text) < len(PAGE) * 60
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 10_000_000
    assert final.receipt.available_ucr == 0
    assert await cause_of_hold(world) == "hold_exhausted"
    assert [turn.answer for turn in await world.remembered()] == [final.text]
    assert world.provider.closed == 1


async def test_when_the_servers_budget_ends_the_answer_ends_politely(new_world: NewWorld) -> None:
    """I-8: the member's own credits would have gone on; the words name the budget."""
    world = new_world([*said(*[PAGE] * 60), done("99")], credits_a_day=40)
    await set_budget(world, day_ucr=10_000_000)
    final = await world.ask()
    assert (final.ending, final.error) == (Ending.BUDGET, None)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 10_000_000
    assert final.receipt.available_ucr == 30_000_000


async def test_without_a_word_the_budgets_end_is_the_error(new_world: NewWorld) -> None:
    """Thinking used it up: nothing was shown, nothing is charged."""
    world = new_world([*(ThoughtDelta(text=PAGE) for _ in range(60)), done("99")], credits_a_day=40)
    await set_budget(world, day_ucr=10_000_000)
    final = await world.ask()
    assert isinstance(final.error, BudgetExhausted)
    assert await world.spent_ucr() == 0


@pytest.mark.parametrize("guild_id", [1, None])
async def test_when_the_bots_own_budget_ends_the_answer_ends_politely(
    new_world: NewWorld, guild_id: int | None
) -> None:
    """I-8: in direct messages, too; and the words do not blame the server's staff."""
    world = new_world([*said(*[PAGE] * 60), done("99")], credits_a_day=40)
    await world.database.transact(
        budgets.set_installation,
        budget=Budget(day_ucr=10_000_000, month_ucr=None, timezone="UTC"),
        now_us=world.clock.now_us(),
    )
    final = await world.ask(guild_id=guild_id)
    assert (final.ending, final.error) == (Ending.INSTALLATION, None)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 10_000_000
    assert final.receipt.available_ucr == 30_000_000
    with pytest.raises(BudgetExhausted) as refused:
        await world.ask(guild_id=guild_id)
    assert refused.value.scope is Scope.INSTALLATION


async def test_in_direct_messages_there_is_no_budget(new_world: NewWorld) -> None:
    """A server's budget is for what is asked there."""
    world = new_world([*said("short"), done("0.1")])
    await set_budget(world, day_ucr=1)
    assert (await world.ask(guild_id=None)).ending is Ending.COMPLETE
    with pytest.raises(BudgetExhausted):
        await world.ask()


async def set_budget(world: World, *, day_ucr: int) -> None:
    await world.database.transact(
        budgets.set_budget,
        guild_id=1,
        change=BudgetChange(day_ucr=day_ucr),
        timezone="UTC",
        actor_id=1,
        reference="i:budget",
        now_us=world.clock.now_us(),
    )


async def test_a_hold_smaller_than_wished_still_answers(new_world: NewWorld) -> None:
    """Between the floor and the wish, the member gets as long an answer as there is credit."""
    world = new_world([*said("short"), done("0.1")], credits_a_day=2)
    assert (await world.ask()).ending is Ending.COMPLETE
    assert await world.spent_ucr() == 100_000


async def test_an_endless_answer_ends_at_our_own_limit(new_world: NewWorld) -> None:
    """No document names an output limit, so ours is the bound (I-9)."""
    world = new_world([*said(*[PAGE] * 200), done("999")], credits_a_day=1_000)
    final = await world.ask()
    assert final.ending is Ending.LENGTH
    spent_tokens = await world.spent_ucr() / 1_800
    assert OUTPUT_TOKENS_MAX <= spent_tokens < OUTPUT_TOKENS_MAX + 1_500


async def test_endless_thinking_without_a_word_is_not_charged(new_world: NewWorld) -> None:
    """Nothing was shown, so nothing is paid."""
    thoughts = [ThoughtDelta(text=PAGE) for _ in range(200)]
    world = new_world([*thoughts, done()], credits_a_day=1_000)
    final = await world.ask()
    assert isinstance(final.error, AnswerMalformed)
    assert await world.spent_ucr() == 0
    assert await world.loss_ucr() > 0


async def test_credits_that_end_before_the_first_word_are_given_back(new_world: NewWorld) -> None:
    """The member learns what an answer would have needed, and pays nothing."""
    thoughts = [ThoughtDelta(text=PAGE) for _ in range(60)]
    world = new_world([*thoughts, done()], credits_a_day=5)
    final = await world.ask()
    assert final.ending is Ending.FAILED
    assert isinstance(final.error, InsufficientCredits)
    assert final.error.needed_ucr > final.error.available_ucr
    assert final.error.resets_at_us is not None
    assert await world.spent_ucr() == 0


async def test_a_second_request_is_held_before_it_is_sent(new_world: NewWorld) -> None:
    """A dear first request leaves no room: the answer so far ends there, the model is not asked."""
    first = [*said("Let me see."), done("9.99", calls=(called("get_time"),))]
    world = new_world(first, [*said("never"), done()], credits_a_day=10)
    final = await world.ask()
    assert (final.text, final.ending) == ("Let me see.", Ending.CREDITS)
    assert len(world.provider.requests) == 1
    assert await world.spent_ucr() > 9_000_000


async def test_a_second_request_that_a_budget_does_not_carry_names_the_budget(
    new_world: NewWorld,
) -> None:
    """I-8: the first extension got a part of what was asked; only the next one tells who is dry."""
    first = [*said("Let me see."), done("9.99", calls=(called("get_time"),))]
    world = new_world(first, credits_a_day=40)
    await set_budget(world, day_ucr=10_000_000)
    final = await world.ask()
    assert (final.text, final.ending) == ("Let me see.", Ending.BUDGET)
    assert final.receipt is not None
    assert final.receipt.available_ucr == 30_010_000


async def test_without_a_word_a_second_request_is_refused_with_possible_figures(
    new_world: NewWorld,
) -> None:
    """What both requests need is more than there is: all of it, since what was held comes back."""
    first = [done("9.99", calls=(called("get_time"),))]
    world = new_world(first, first, credits_a_day=10)
    poor = (await world.ask()).error
    assert isinstance(poor, InsufficientCredits)
    assert poor.needed_ucr > poor.available_ucr == 10_000_000
    assert poor.resets_at_us is not None
    world.allowance_ucr = 40_000_000
    world.service = world.new_service()
    await set_budget(world, day_ucr=10_000_000)
    dry = (await world.ask()).error
    assert isinstance(dry, BudgetExhausted)
    assert dry.needed_ucr == poor.needed_ucr
    assert dry.available_ucr == dry.ceiling_ucr == 10_000_000


class Ledger:
    """Adds what is asked, when it may."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[int] = []
        self.gate = asyncio.Event()

    async def extend(self, amount_ucr: int) -> Hold:
        self.asked.append(amount_ucr)
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        total_ucr = 100 + sum(self.asked)
        return Hold(reference="m:1", user_id=1, amount_ucr=total_ucr, state=HoldState.OPEN)


async def test_growing_does_not_keep_the_reader_waiting() -> None:
    """The extension runs beside the stream while the hold still covers it; one at a time."""
    books = Ledger()
    hold = GrowingHold(amount_ucr=100, step_ucr=40, extend=books.extend)
    assert await hold.carries(70, grow=True)
    assert await hold.carries(90, grow=True)
    assert await hold.carries(95, grow=True)
    await asyncio.sleep(0)
    assert books.asked == [40]
    books.gate.set()
    assert await hold.carries(120, grow=True)
    await hold.settled()
    assert hold.amount_ucr >= 140


async def test_a_price_that_outruns_an_extension_is_asked_for_after_it() -> None:
    """The running extension was begun for less; more may be had."""
    books = Ledger()
    hold = GrowingHold(amount_ucr=100, step_ucr=40, extend=books.extend)
    assert await hold.carries(90, grow=True)
    books.gate.set()
    assert await hold.carries(400, grow=True)
    assert books.asked == [40, 260]


@pytest.mark.parametrize(
    "error",
    [
        InsufficientCredits(needed_ucr=40, available_ucr=0, resets_at_us=7),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_hold_that_cannot_grow_is_asked_once(error: Exception) -> None:
    """After a refusal the hold stands as it is, whatever the reason was."""
    books = Ledger(error)
    books.gate.set()
    hold = GrowingHold(amount_ucr=100, step_ucr=40, extend=books.extend)
    assert not await hold.carries(101, grow=True)
    assert not await hold.reserve(500)
    assert books.asked == [40]
    assert await hold.carries(100, grow=True)


async def test_a_busy_database_is_asked_for_more_once_again() -> None:
    """F-110: two tries, then the answer ends for what it is: not for want of credits."""
    books = Ledger(StoreUnavailable(cause="locked"))
    books.gate.set()
    hold = GrowingHold(amount_ucr=100, step_ucr=40, extend=books.extend)
    assert not await hold.carries(101, grow=True)
    assert not await hold.reserve(500)
    assert books.asked == [40] * HOLD_TRIES
    assert hold.ending is Ending.STORE
    assert hold.shortage() is books.error


class Busy(InlineDatabase):
    """Takes no extension while `refusals` last."""

    refusals = 0

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if body is ledger.extend and self.refusals > 0:
            self.refusals -= 1
            raise StoreUnavailable(cause="locked")
        return await super().transact(body, *args, **kwargs)


async def make_busy(world: World, *, refusals: int) -> None:
    await world.database.close()
    world.database = database = Busy()
    database.refusals = refusals
    world.service = world.new_service()


async def test_one_busy_moment_of_the_database_does_not_end_an_answer(new_world: NewWorld) -> None:
    """F-110: the second try gets what the first did not."""
    world = new_world([*said(*[PAGE] * 36), done("15.5")], credits_a_day=40)
    await make_busy(world, refusals=HOLD_TRIES - 1)
    assert (await world.ask()).ending is Ending.COMPLETE
    assert await world.spent_ucr() == 15_500_000


async def test_an_answer_that_a_busy_database_ends_says_so(new_world: NewWorld) -> None:
    """F-110: what was shown is kept and paid, at most at the hold; its member has credits left."""
    world = new_world([*said(*[PAGE] * 36), done("15.5")], credits_a_day=40)
    await make_busy(world, refusals=1_000)
    final = await world.ask()
    assert (final.ending, final.error) == (Ending.STORE, None)
    assert final.text.startswith(PAGE)
    assert final.receipt is not None
    assert 0 < final.receipt.charged_ucr < 15_500_000
    assert final.receipt.available_ucr == 40_000_000 - final.receipt.charged_ucr


async def test_without_a_word_the_busy_database_is_the_error(new_world: NewWorld) -> None:
    """F-110: nothing was shown, nothing is charged, and nobody is told of missing credits."""
    thoughts = [ThoughtDelta(text=PAGE) for _ in range(60)]
    world = new_world([*thoughts, done()], credits_a_day=40)
    await make_busy(world, refusals=1_000)
    final = await world.ask()
    assert isinstance(final.error, StoreUnavailable)
    assert await world.spent_ucr() == 0


async def test_an_extension_in_flight_is_waited_for_before_the_end(new_world: NewWorld) -> None:
    """Settling while the hold still moves would settle the wrong hold."""
    world = new_world([*said(*[PAGE] * 12), done("7")])
    sink = RecordingSink()
    await world.service.reply(world.question(), sink)
    assert sink.final.ending is Ending.COMPLETE
    assert await world.spent_ucr() == 7_000_000


async def test_one_enormous_delta_is_cut_after_it(new_world: NewWorld) -> None:
    """A provider that sends everything at once is stopped at the first look."""
    world = new_world([TextDelta(text=PAGE * 100), done("63")], credits_a_day=10)
    final = await world.ask()
    assert final.ending is Ending.CREDITS
    assert await world.spent_ucr() == 10_000_000
