"""The wallet: what a member has, what it costs, and what staff may change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from bot.catalogue.loader import load
from bot.credits.service import BudgetState, CreditsService, StaffAct
from bot.errors import (
    AmountInvalid,
    GiftTooLarge,
    GiftToSelf,
    SelfGrant,
    TakeTooLarge,
    TimeZoneUnknown,
)
from bot.limits import GRANT_CREDITS_MAX, HISTORY_LINES_MAX
from storage import ledger
from storage.errors import Duplicate, InsufficientCredits
from storage.inline import InlineDatabase
from storage.types import UCR_PER_CREDIT, Allowance, Balance

SAM = 1
MIRA = 2
DAY_US = 86_400_000_000
ACT = StaffAct(actor_id=SAM, actor_owns_guild=False, guild_id=9, reason="contest", reference="i:1")


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.at_us = 1_763_640_000_000_000

    def now_us(self) -> int:
        return self.at_us

    def monotonic_s(self) -> float:
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        self.at_us += int(delay_s * 1_000_000)


class Wallet:
    """A service with its clock and its books."""

    def __init__(self, *, multiplier_ppm: int = 1_000_000) -> None:
        self.clock = Clock()
        self.database = InlineDatabase()
        self.service = CreditsService(
            database=self.database,
            catalogue=replace(load(), multiplier_ppm=multiplier_ppm),
            allowance=Allowance(amount_ucr=20 * UCR_PER_CREDIT),
            clock=self.clock,
        )

    async def available(self) -> float:
        return (await self.service.balance(MIRA)).available_ucr / UCR_PER_CREDIT


@pytest.fixture
async def wallet() -> AsyncIterator[Wallet]:
    wallet = Wallet()
    yield wallet
    assert await wallet.database.read(ledger.audit) == ()
    await wallet.database.close()


async def test_a_new_member_has_the_days_allowance(wallet: Wallet) -> None:
    """It is computed when touched, ends with the day, and does not add up."""
    balance = await wallet.service.balance(MIRA)
    assert balance.available_ucr == 20 * UCR_PER_CREDIT
    assert balance.allowance_resets_us is not None
    wallet.clock.at_us += DAY_US
    assert await wallet.available() == 20


async def test_staff_give_take_and_set(wallet: Wallet) -> None:
    """Whole credits; each act is a line with its actor and reason."""
    await wallet.service.grant(MIRA, 5, ACT)
    assert await wallet.available() == 25
    await wallet.service.take(MIRA, 10, replace(ACT, reference="i:2"))
    assert await wallet.available() == 15
    await wallet.service.set(MIRA, 0, replace(ACT, reference="i:3", reason="enough"))
    assert await wallet.available() == 0
    lines = await wallet.service.history(MIRA)
    assert [(line.kind, line.delta_ucr, line.actor_id, line.reason) for line in lines[:3]] == [
        ("set", -15 * UCR_PER_CREDIT, SAM, "enough"),
        ("take", -10 * UCR_PER_CREDIT, SAM, "contest"),
        ("grant", 5 * UCR_PER_CREDIT, SAM, "contest"),
    ]


async def test_the_same_interaction_counts_once(wallet: Wallet) -> None:
    """I-11: repeating the request id changes nothing; another act may not borrow it."""
    await wallet.service.grant(MIRA, 5, ACT)
    await wallet.service.grant(MIRA, 5, ACT)
    assert await wallet.available() == 25
    with pytest.raises(Duplicate):
        await wallet.service.take(MIRA, 5, ACT)


@pytest.mark.parametrize("amount", [-1, 0, GRANT_CREDITS_MAX + 1, 10**30, True, 1.5, "5"])
async def test_an_odd_amount_is_refused(wallet: Wallet, amount: int) -> None:
    """F-141: whole numbers from 1 to a million, nothing else, whatever the caller sends."""
    for change in (wallet.service.grant, wallet.service.take):
        with pytest.raises(AmountInvalid) as caught:
            await change(MIRA, amount, ACT)
        assert (caught.value.low, caught.value.high) == (1, GRANT_CREDITS_MAX)
    assert await wallet.available() == 20


async def test_setting_to_zero_is_allowed_and_below_is_not(wallet: Wallet) -> None:
    """A member can be left with nothing, never with debt."""
    with pytest.raises(AmountInvalid):
        await wallet.service.set(MIRA, -1, ACT)
    assert (await wallet.service.set(MIRA, 0, ACT)).available_ucr == 0


async def test_more_than_there_is_cannot_be_taken(wallet: Wallet) -> None:
    """Staff hear what the member has; nothing was taken."""
    with pytest.raises(TakeTooLarge) as caught:
        await wallet.service.take(MIRA, 21, ACT)
    assert caught.value.needed_ucr == 21 * UCR_PER_CREDIT
    assert caught.value.available_ucr == 20 * UCR_PER_CREDIT
    assert isinstance(caught.value.__cause__, InsufficientCredits)
    assert await wallet.available() == 20


Change = Callable[[int, int, StaffAct], Awaitable[Balance]]


@pytest.mark.parametrize("name", ["grant", "take", "set"])
async def test_staff_do_not_change_their_own_credits(wallet: Wallet, name: str) -> None:
    """F-142: unless they own the server."""
    change: Change = getattr(wallet.service, name)
    with pytest.raises(SelfGrant):
        await change(SAM, 5, ACT)
    await change(SAM, 5, replace(ACT, actor_owns_guild=True))


async def test_history_comes_in_pages(wallet: Wallet) -> None:
    """Newest first; the last line's id leads to the next page."""
    for number in range(HISTORY_LINES_MAX + 3):
        await wallet.service.grant(MIRA, 1, replace(ACT, reference=f"i:{number}"))
    first = await wallet.service.history(MIRA)
    assert len(first) == HISTORY_LINES_MAX
    rest = await wallet.service.history(MIRA, before_id=first[-1].id)
    assert {line.id for line in first}.isdisjoint(line.id for line in rest)
    assert len(first) + len(rest) == HISTORY_LINES_MAX + 3 + 1  # and the day's allowance.


async def test_prices_are_those_of_the_documents_times_the_multiplier() -> None:
    """GPT-5.4 is 300 and 1800 credits per million tokens; a multiplier of 1.5 shows."""
    plain, dear = Wallet(), Wallet(multiplier_ppm=1_500_000)
    price, *_others = plain.service.prices()
    assert price.model.id == "gpt-5-4"
    assert (price.input_ucr, price.output_ucr) == (300_000_000, 1_800_000_000)
    assert price.typical_ucr == 1_000 * 300 + 400 * 1_800
    assert dear.service.prices()[0].output_ucr == 2_700_000_000
    pictures = load().image_models.values()
    (picture,) = dear.service.media_prices(pictures)
    assert picture.amounts_ucr == (("1k", 3_600_000), ("2k", 7_200_000), ("4k", 10_800_000))
    await plain.database.close()
    await dear.database.close()


async def test_a_member_gives_what_they_were_granted(wallet: Wallet) -> None:
    """The allowance stays; a repeated interaction changes nothing."""
    await wallet.service.grant(MIRA, 5, ACT)
    for _ in range(2):
        left = await wallet.service.gift(MIRA, SAM, 5, reference="i:2")
        assert left.available_ucr == 20 * UCR_PER_CREDIT
    assert (await wallet.service.balance(SAM)).available_ucr == 25 * UCR_PER_CREDIT


async def test_more_than_one_may_give_is_refused_with_what_there_is(wallet: Wallet) -> None:
    """The facts are about what can be given, not about what can be spent."""
    await wallet.service.grant(MIRA, 5, ACT)
    with pytest.raises(GiftTooLarge) as caught:
        await wallet.service.gift(MIRA, SAM, 6, reference="i:2")
    assert caught.value.available_ucr == 5 * UCR_PER_CREDIT


@pytest.mark.parametrize("amount", [0, -1, True, 10**30, 1.5, "１２", "1_000", float("nan")])
async def test_a_gift_is_a_bounded_whole_number(wallet: Wallet, amount: int) -> None:
    """F-141: refused before anything is read."""
    with pytest.raises(AmountInvalid):
        await wallet.service.gift(MIRA, SAM, amount, reference="i:2")


async def _budget(wallet: Wallet, **changes: object) -> BudgetState:
    facts: dict[str, object] = {"day_credits": None, "month_credits": None, "timezone": None}
    facts |= {"actor_id": SAM, "reference": "i:9"} | changes
    return await wallet.service.set_budget(9, **facts)  # type: ignore[arg-type]  # names are checked at run time.


async def test_a_servers_budget_is_shown_as_it_was_set(wallet: Wallet) -> None:
    """In whole credits; a server that nobody spoke about has none."""
    assert await wallet.service.budget(9) == BudgetState(budget=None, windows=())
    set_ = await _budget(wallet, day_credits=100, timezone="Europe/Berlin")
    assert set_ == await wallet.service.budget(9)
    assert set_.budget is not None
    assert (set_.budget.day_ucr, set_.budget.timezone) == (100 * UCR_PER_CREDIT, "Europe/Berlin")
    assert [window.available_ucr for window in set_.windows] == [100 * UCR_PER_CREDIT]


@pytest.mark.parametrize("amount", [-1, True, 10**30, 1.5, "１２", "1_000", float("nan")])
@pytest.mark.parametrize("which", ["day_credits", "month_credits"])
async def test_a_ceiling_is_a_bounded_whole_number(
    wallet: Wallet, which: str, amount: object
) -> None:
    """F-141: 0, which lifts it, up to the bound."""
    with pytest.raises(AmountInvalid):
        await _budget(wallet, **{which: amount})


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "", "../../etc/passwd", "America", "utc\0", "x" * 5_000]
)
async def test_an_unknown_time_zone_is_refused(wallet: Wallet, name: str) -> None:
    """Whatever the zone data's files make of it."""
    with pytest.raises(TimeZoneUnknown) as caught:
        await _budget(wallet, timezone=name)
    assert len(caught.value.given) <= 60


async def test_nobody_gives_to_themselves(wallet: Wallet) -> None:
    """It would only move ends about."""
    with pytest.raises(GiftToSelf):
        await wallet.service.gift(MIRA, MIRA, 1, reference="i:2")
