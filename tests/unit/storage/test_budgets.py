"""Server budgets: what all members of a server together may spend (S-3, I-8)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from storage import buckets, budgets, ledger
from storage.budgets import BudgetChange
from storage.database import Database
from storage.errors import BudgetExhausted, Duplicate, InsufficientCredits
from storage.types import Budget, Cause, Hold, Settlement, Span
from tests.unit.storage.bank import (
    CREDIT,
    DAY_US,
    GUILD,
    HOUR_US,
    MIRA,
    NOON_US,
    OTHER,
    PLENTY,
    SAM,
    TOM,
    Town,
)
from tests.unit.storage.saboteur import MOMENTS, assert_all_or_nothing

# --- One transaction for the member and the server -----------------------------------------------


def test_a_hold_takes_the_members_part_and_the_budgets(town: Town) -> None:
    """And settling counts what was charged, the rest goes back to both."""
    town.set_budget(day=10, month=100)
    town.work(6, "job")
    assert town.day() == (0, 6, 4)
    assert town.windows()[Span.MONTH].held_ucr == 6
    town.settle("job", 2)
    assert town.day() == (2, 0, 8)
    assert town.windows()[Span.MONTH].available_ucr == 98
    assert town.balance().held_ucr == 0


def test_a_voided_hold_returns_all_of_it(town: Town) -> None:
    """To the member and to the budget."""
    town.set_budget(day=10)
    town.work(6, "job")
    town.void("job")
    assert town.day() == (0, 0, 10)


def test_all_members_share_one_budget(town: Town) -> None:
    """I-8: what one holds another cannot; the error names the window and when it starts anew."""
    town.set_budget(day=10)
    town.work(6, "mira")
    with pytest.raises(BudgetExhausted) as refused:
        town.work(5, "tom", user_id=TOM)
    error = refused.value
    assert (error.span, error.ceiling_ucr) == (Span.DAY, 10)
    assert (error.needed_ucr, error.available_ucr) == (5, 4)
    assert error.resets_at_us == town.now_us + DAY_US // 2
    assert town.balance(TOM).held_ucr == 0
    assert town.work(5, "tom", user_id=TOM, floor_ucr=1) == 4


def test_the_tighter_ceiling_refuses(town: Town) -> None:
    """Of two that are as tight the one that lasts longer: waiting for the other would not help."""
    town.set_budget(day=10, month=5)
    with pytest.raises(BudgetExhausted) as refused:
        town.work(6, "job")
    assert (refused.value.span, refused.value.ceiling_ucr) == (Span.MONTH, 5)
    town.set_budget(day=5)
    with pytest.raises(BudgetExhausted) as refused:
        town.work(6, "job")
    assert refused.value.span is Span.MONTH


def test_who_has_not_enough_is_told_that_first(town: Town) -> None:
    """A higher budget would not help them."""
    town.set_budget(day=1)
    with pytest.raises(InsufficientCredits):
        town.work(2_000 * CREDIT, "job")


def test_direct_messages_and_other_servers_have_no_part_in_it(town: Town) -> None:
    """The budget is for what is asked in its server."""
    town.set_budget(day=1)
    town.work(6, "dm", guild_id=None)
    town.work(6, "elsewhere", guild_id=OTHER)
    assert town.day() == (0, 0, 1)


def test_the_losses_of_a_late_result_count_for_no_budget(town: Town) -> None:
    """S-6: no member pays for it."""
    town.set_budget(day=10)
    town.database.run(
        ledger.lose,
        user_id=MIRA,
        loss_ucr=50,
        reference="late",
        cause=Cause.LATE_RESULT,
        now_us=town.now_us,
    )
    assert town.day() == (0, 0, 10)


async def test_parallel_holds_cannot_overrun_a_budget(database: Database) -> None:
    """F-140, I-8: twenty members at once, and as many as the ceiling carries are accepted."""
    await database.transact(
        budgets.set_budget,
        guild_id=GUILD,
        change=BudgetChange(day_ucr=10),
        timezone="UTC",
        actor_id=SAM,
        reference="i:1",
        now_us=NOON_US,
    )
    wanted = (
        database.transact(
            ledger.hold,
            user_id=member,
            amount_ucr=3,
            floor_ucr=3,
            reference=f"job:{member}",
            allowance=PLENTY,
            now_us=NOON_US,
            guild_id=GUILD,
        )
        for member in range(1, 21)
    )
    results = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(isinstance(result, Hold) for result in results) == 3
    assert sum(isinstance(result, BudgetExhausted) for result in results) == 17
    assert await database.read(ledger.audit) == ()


# --- Extending -----------------------------------------------------------------------------------


def test_an_extension_takes_from_the_budget_too(town: Town) -> None:
    """As much as both have; then the budget is what is missing."""
    town.set_budget(day=10)
    town.work(6, "job")
    assert town.extend("job", 9).amount_ucr == 10
    with pytest.raises(BudgetExhausted) as refused:
        town.extend("job", 9)
    assert (refused.value.needed_ucr, refused.value.available_ucr) == (9, 0)
    town.settle("job", 7)
    assert town.day() == (7, 0, 3)


def test_an_extension_after_midnight_counts_for_the_new_day(town: Town) -> None:
    """Each part is spent in, and returns to, the window it was taken from."""
    town.set_budget(day=10, month=100)
    town.work(6, "job")
    town.now_us += DAY_US
    town.extend("job", 4)
    assert town.day() == (0, 4, 6)
    town.settle("job", 8)
    assert town.day() == (2, 0, 8)
    assert town.windows()[Span.MONTH].spent_ucr == 8


def test_a_budget_that_begins_while_a_hold_runs_counts_what_comes_after(town: Town) -> None:
    """Its part is what the extension took; more cannot be charged to it."""
    town.work(6, "job")
    town.set_budget(day=10)
    town.extend("job", 4)
    assert town.day() == (0, 4, 6)
    town.settle("job", 9)
    assert town.day() == (4, 0, 6)


# --- Windows -------------------------------------------------------------------------------------


def test_the_window_is_the_one_of_the_hold(town: Town) -> None:
    """S-3: what comes back after midnight does not enlarge the new day."""
    town.set_budget(day=10)
    town.work(8, "job")
    town.now_us += DAY_US
    assert town.day() == (0, 0, 10)
    assert town.settle("job", 3).charged_ucr == 3
    assert town.day() == (0, 0, 10)
    town.now_us += DAY_US
    assert town.day() == (0, 0, 10)


def test_a_month_ends_with_the_month(town: Town) -> None:
    """March has 31 days; the day's ceiling begins anew each day, the month's does not."""
    town.set_budget(day=10, month=15)
    for number, day in enumerate((0, 1)):
        town.work(10 - 5 * number, f"{day}")
        town.settle(f"{day}", 10)
        town.now_us += DAY_US
    with pytest.raises(BudgetExhausted) as refused:
        town.work(1, "more")
    assert refused.value.span is Span.MONTH
    april_us = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) * 1_000_000
    assert refused.value.resets_at_us == april_us
    town.now_us = april_us
    assert town.work(10, "more") == 10


def test_days_turn_in_the_servers_own_zone_across_daylight_saving(town: Town) -> None:
    """29 March 2026 has 23 hours in Berlin."""
    berlin = ZoneInfo("Europe/Berlin")
    town.now_us = int(datetime(2026, 3, 29, 0, 30, tzinfo=berlin).timestamp()) * 1_000_000
    town.set_budget(day=10, zone="Europe/Berlin")
    resets_us = town.windows()[Span.DAY].resets_us
    assert resets_us == int(datetime(2026, 3, 30, tzinfo=berlin).timestamp()) * 1_000_000
    assert resets_us - town.now_us == 22 * HOUR_US + HOUR_US // 2
    town.work(10, "today")
    town.now_us = resets_us
    assert town.work(10, "tomorrow") == 10


def test_a_clock_that_goes_back_issues_no_window_twice(town: Town) -> None:
    """F-118: the server stays where time had already been."""
    town.set_budget(day=10)
    town.work(10, "first")
    town.now_us += DAY_US
    town.work(10, "second")
    town.now_us -= DAY_US
    with pytest.raises(BudgetExhausted):
        town.work(1, "third")
    town.now_us += DAY_US
    with pytest.raises(BudgetExhausted):
        town.work(1, "third")
    town.now_us += DAY_US
    assert town.work(10, "third") == 10


def test_the_latest_time_that_anybody_lived_to_is_known(town: Town) -> None:
    """F-118: until the clock is there again nothing new is issued to them."""
    assert town.database.view(buckets.newest_start_us) == 0
    town.set_budget(day=10)
    town.now_us += 30 * DAY_US
    town.work(1, "ahead")
    ahead_us = town.now_us
    town.now_us -= 30 * DAY_US
    town.work(1, "back")
    assert ahead_us - DAY_US < town.database.view(buckets.newest_start_us) <= ahead_us


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Honolulu", "Asia/Kathmandu"])
def test_a_change_of_zone_issues_no_window_twice(town: Town, zone: str) -> None:
    """At the turn of the month, 14 hours ahead or 10 behind: the ceiling counts once."""
    town.now_us = int(datetime(2026, 3, 31, 23, tzinfo=UTC).timestamp()) * 1_000_000
    town.set_budget(month=10)
    town.work(10, "march")
    town.set_budget(zone=zone)
    with pytest.raises(BudgetExhausted):
        town.work(1, "still march")
    town.now_us += HOUR_US
    town.work(10, "april")
    for _ in range(29):
        town.now_us += DAY_US
        with pytest.raises(BudgetExhausted):
            town.work(1, "still april")
    town.now_us += 2 * DAY_US
    assert town.work(10, "may") == 10


# --- Staff ---------------------------------------------------------------------------------------


def test_a_higher_ceiling_counts_at_once(town: Town) -> None:
    """What is used stays used."""
    town.set_budget(day=10)
    town.work(8, "job")
    town.settle("job", 6)
    town.set_budget(day=20)
    assert town.day() == (6, 0, 14)


def test_a_lower_ceiling_stops_new_work_only(town: Town) -> None:
    """What is held is settled in full; nothing goes below nothing."""
    town.set_budget(day=10)
    town.work(8, "job")
    town.set_budget(day=5)
    assert town.day() == (0, 8, 0)
    town.settle("job", 8)
    assert town.day() == (8, 0, 0)
    town.set_budget(day=10)
    assert town.day() == (8, 0, 2)


def test_what_is_not_named_stays_and_nought_lifts(town: Town) -> None:
    """0 is no ceiling; the newest word counts."""
    assert town.set_budget(day=10) == Budget(day_ucr=10, month_ucr=None, timezone="UTC")
    town.set_budget(month=50, zone="Asia/Kathmandu")
    assert town.set_budget(day=0) == Budget(day_ucr=None, month_ucr=50, timezone="Asia/Kathmandu")
    assert set(town.windows()) == {Span.MONTH}
    town.set_budget(month=0)
    assert town.windows() == {}
    assert town.work(500, "job") == 500


def test_lifting_and_setting_again_does_not_forget_what_was_used(town: Town) -> None:
    """Within one window; what was spent without a ceiling was not counted."""
    town.set_budget(day=10)
    town.work(7, "job")
    town.settle("job", 7)
    town.set_budget(day=0)
    town.work(5, "free")
    town.set_budget(day=10)
    assert town.day() == (7, 0, 3)


def test_a_lifted_ceiling_comes_back_days_later_with_a_new_window(town: Town) -> None:
    """What was left of the old one is gone."""
    town.set_budget(day=10)
    town.set_budget(day=0)
    town.now_us += 3 * DAY_US
    town.set_budget(day=10)
    assert town.day() == (0, 0, 10)


def test_a_repeated_reference_changes_nothing(town: Town) -> None:
    """I-11: and one server's cannot be another's."""
    town.set_budget(day=10, reference="i:1")
    town.set_budget(day=20)
    assert town.set_budget(day=10, reference="i:1").day_ucr == 20
    with pytest.raises(Duplicate):
        town.set_budget(day=10, reference="i:1", guild_id=OTHER)


def test_a_ceiling_below_nothing_is_a_mistake(town: Town) -> None:
    """F-141: the service refuses it before."""
    with pytest.raises(AssertionError):
        town.set_budget(day=-1)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", ["hold", "extend", "settle", "budget"])
def test_a_failure_at_any_statement_leaves_all_or_nothing(act: str, moment: str) -> None:
    """F-14: the member's part and the budget's, or neither; also what a new day begins with."""
    town = Town()
    town.set_budget(day=10, month=100)
    town.work(6, "job")
    town.now_us += DAY_US
    acts = {
        "hold": lambda t: t.work(6, "new"),
        "extend": lambda t: t.extend("job", 4),
        "settle": lambda t: t.settle("job", 2),
        "budget": lambda t: t.set_budget(day=20, reference="i:1"),
    }
    assert_all_or_nothing(town, acts[act], moment=moment)
    town.database.engine.dispose()


# --- The audit -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE budgets SET day_ucr = 7", "I-8 entry"),
        ("UPDATE budgets SET after_entry_id = 99", "I-8 entry"),
        ("UPDATE holds SET amount_ucr = amount_ucr - 1", "I-8 hold 1: 7 held, 8 by day"),
        ("UPDATE journal SET guild_id = 9 WHERE kind = 'hold'", "I-8 hold 1: counted by server 7"),
        (
            (
                "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us,"
                " issued_ucr, span) SELECT owner_kind, owner_id, kind, priority, starts_us + 1,"
                " ends_us, 0, span FROM buckets WHERE span = 'day'"
            ),
            "I-8 bucket",
        ),
    ],
)
def test_the_audit_names_what_is_wrong_with_a_budget(
    town: Town, statement: str, expected: str
) -> None:
    """I-8: a ceiling exceeded, a part too large, a foreign server's part, a window within one."""
    town.set_budget(day=10)
    town.work(8, "job")
    facts = town.tampered(statement)
    assert [fact for fact in facts if fact.startswith(expected)], facts


def test_settlements_are_as_usual(town: Town) -> None:
    """The budget changes nothing about what a member pays."""
    town.set_budget(day=10)
    town.work(8, "job")
    assert town.settle("job", 3) == Settlement(
        charged_ucr=3, returned_ucr=5, loss_ucr=0, available_ucr=1_000 * CREDIT - 3
    )
    assert town.account("spent") == 3
