"""The budget of the whole installation: what all servers and direct messages may spend together.

S-3, I-8; what it shares with a server's budget is in `test_budgets.py`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from storage import ledger
from storage.budget_schema import INSTALLATION_ID, budgets
from storage.errors import BudgetExhausted, InsufficientCredits
from storage.types import Cause, Scope, Span
from tests.unit.storage.bank import CREDIT, DAY_US, GUILD, MIRA, OTHER, TOM, Town
from tests.unit.storage.saboteur import MOMENTS, assert_all_or_nothing

APRIL_US = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) * 1_000_000


def everywhere(town: Town, span: Span = Span.DAY) -> tuple[int, int, int]:
    """Spent, held, available."""
    return town.used(INSTALLATION_ID, span)


def refused(town: Town, amount_ucr: int, guild_id: int | None = GUILD) -> BudgetExhausted:
    """Why a hold of so much is not taken; nothing of it stays."""
    before = town.balance()
    with pytest.raises(BudgetExhausted) as caught:
        town.work(amount_ucr, "refused", guild_id=guild_id)
    assert town.balance() == before
    return caught.value


# --- What counts ---------------------------------------------------------------------------------


def test_every_server_and_direct_messages_count_in_it(town: Town) -> None:
    """I-8: what is held in one place cannot be held in another."""
    town.set_installation(day=10, month=100)
    town.work(3, "here")
    town.work(2, "there", guild_id=OTHER, user_id=TOM)
    town.work(4, "dm", guild_id=None)
    assert everywhere(town) == (0, 9, 1)
    assert everywhere(town, Span.MONTH) == (0, 9, 91)
    for guild_id in (GUILD, OTHER, None):
        refused(town, 2, guild_id)
    town.settle("dm", 1)
    town.void("here")
    assert everywhere(town) == (1, 2, 7)
    assert everywhere(town, Span.MONTH) == (1, 2, 97)


def test_a_hold_moves_both_budgets_and_the_members_part(town: Town) -> None:
    """S-3: in one transaction; the same is spent of each, and each rest goes back to its own."""
    town.set_budget(day=10, month=20)
    town.set_installation(day=30, month=40)
    town.work(6, "job")
    assert town.balance().held_ucr == 6
    assert [town.used(GUILD, span) for span in Span] == [(0, 6, 4), (0, 6, 14)]
    assert [everywhere(town, span) for span in Span] == [(0, 6, 24), (0, 6, 34)]
    assert town.settle("job", 2).returned_ucr == 4
    assert town.balance().held_ucr == 0
    assert [town.used(GUILD, span) for span in Span] == [(2, 0, 8), (2, 0, 18)]
    assert [everywhere(town, span) for span in Span] == [(2, 0, 28), (2, 0, 38)]
    assert town.account("spent") == 2


def test_without_one_nothing_is_counted(town: Town) -> None:
    """0 or no setting: no row, no window, no part."""
    town.set_installation()
    town.work(600, "job")
    assert town.windows(INSTALLATION_ID) == {}
    assert town.database.run(lambda connection: connection.execute(select(budgets)).all()) == []


def test_losses_count_for_no_budget(town: Town) -> None:
    """S-6: a late result is the operator's loss, and nobody's spending."""
    town.set_installation(day=10)
    town.database.run(
        ledger.lose,
        user_id=MIRA,
        loss_ucr=50,
        reference="late",
        cause=Cause.LATE_RESULT,
        now_us=town.now_us,
    )
    assert everywhere(town) == (0, 0, 10)


# --- Whose budget refused ------------------------------------------------------------------------


def test_the_error_says_whose_budget_it_was_and_when_it_opens(town: Town) -> None:
    """Day and month, the server's and the installation's: the tightest."""
    town.set_budget(day=10)
    town.set_installation(day=8, month=100)
    error = refused(town, 9)
    assert (error.scope, error.span, error.ceiling_ucr) == (Scope.INSTALLATION, Span.DAY, 8)
    assert (error.needed_ucr, error.available_ucr) == (9, 8)
    assert error.resets_at_us == town.now_us + DAY_US // 2
    town.set_installation(month=8)
    error = refused(town, 9)
    assert (error.scope, error.span) == (Scope.INSTALLATION, Span.MONTH)
    assert error.resets_at_us == APRIL_US
    town.set_budget(day=7)
    error = refused(town, 9)
    assert (error.scope, error.span, error.ceiling_ucr) == (Scope.SERVER, Span.DAY, 7)


def test_of_two_equally_tight_the_installations_is_named(town: Town) -> None:
    """A higher ceiling of the server's would not help."""
    town.set_budget(day=5)
    town.set_installation(day=5)
    assert refused(town, 6).scope is Scope.INSTALLATION


def test_who_has_not_enough_is_told_that_first(town: Town) -> None:
    """A higher budget would not help them."""
    town.set_installation(day=1)
    with pytest.raises(InsufficientCredits):
        town.work(2_000 * CREDIT, "job")


def test_a_hold_takes_as_much_as_all_have(town: Town) -> None:
    """If that is at least its floor."""
    town.set_budget(day=8)
    town.set_installation(day=6)
    assert town.work(10, "job", floor_ucr=5) == 6
    assert town.day() == (0, 6, 2)


# --- Windows -------------------------------------------------------------------------------------


def test_the_window_is_the_one_of_the_hold(town: Town) -> None:
    """S-3: settled a day or a month later, it is spent there; the new windows do not notice."""
    town.set_budget(day=10)
    town.set_installation(day=10, month=12)
    town.work(8, "job", guild_id=None)
    town.now_us += DAY_US
    assert everywhere(town) == (0, 0, 10)
    assert everywhere(town, Span.MONTH) == (0, 8, 4)
    town.now_us = APRIL_US
    town.work(10, "april")
    town.settle("job", 3)
    assert everywhere(town) == (0, 10, 0)
    assert everywhere(town, Span.MONTH) == (0, 10, 2)


def test_an_extension_counts_too(town: Town) -> None:
    """In the windows of its own moment, with and without a server; then the budget is missing."""
    town.set_budget(day=100)
    town.set_installation(day=10)
    town.work(6, "job")
    town.work(3, "dm", guild_id=None)
    assert town.extend("job", 9).amount_ucr == 7
    for reference in ("job", "dm"):
        with pytest.raises(BudgetExhausted) as caught:
            town.extend(reference, 9)
        assert caught.value.scope is Scope.INSTALLATION
    town.now_us += DAY_US
    town.extend("dm", 4)
    assert everywhere(town) == (0, 4, 6)
    town.settle("dm", 5)
    assert everywhere(town) == (2, 0, 8)


def test_one_that_begins_while_a_hold_runs_counts_what_comes_after(town: Town) -> None:
    """Of the server's it counts all, of the installation's what the extension took."""
    town.set_budget(day=100)
    town.work(6, "job")
    town.set_installation(day=10)
    town.extend("job", 4)
    town.settle("job", 9)
    assert everywhere(town) == (4, 0, 6)
    assert town.day() == (9, 0, 91)


# --- The settings --------------------------------------------------------------------------------


def test_each_start_makes_the_ceilings_those_of_the_settings(town: Town) -> None:
    """What is used stays used; what is not set any more is lifted."""
    town.set_installation(day=10, month=100)
    town.work(8, "job")
    town.set_installation(day=20, month=100)
    assert everywhere(town) == (0, 8, 12)
    town.set_installation(day=5)
    assert everywhere(town) == (0, 8, 0)
    assert set(town.windows(INSTALLATION_ID)) == {Span.DAY}
    town.set_installation()
    assert town.windows(INSTALLATION_ID) == {}
    assert town.work(500, "more") == 500


def test_a_start_with_the_same_settings_writes_nothing(town: Town) -> None:
    """A crash loop does not fill the table."""
    for day in (10, 10, 20, 20, None, None, 10):
        town.set_installation(day=day)
    rows = town.database.run(lambda connection: connection.execute(select(budgets)).all())
    assert [(row.day_ucr, row.guild_id, row.actor_id) for row in rows] == [
        (10, INSTALLATION_ID, 0),
        (20, INSTALLATION_ID, 0),
        (None, INSTALLATION_ID, 0),
        (10, INSTALLATION_ID, 0),
    ]


def test_no_staff_can_set_it(town: Town) -> None:
    """It is no server's, whatever Discord calls that."""
    with pytest.raises(AssertionError):
        town.set_budget(day=10, guild_id=INSTALLATION_ID)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", ["hold", "extend", "settle", "void", "settings"])
def test_a_failure_at_any_statement_leaves_all_or_nothing(act: str, moment: str) -> None:
    """F-14: the member's part and that of every window of both budgets, or none."""
    town = Town()
    town.set_budget(day=10, month=100)
    town.set_installation(day=10, month=100)
    town.work(6, "job")
    town.now_us += DAY_US
    acts = {
        "hold": lambda t: t.work(6, "new"),
        "extend": lambda t: t.extend("job", 4),
        "settle": lambda t: t.settle("job", 2),
        "void": lambda t: t.void("job"),
        "settings": lambda t: t.set_installation(day=20),
    }
    assert_all_or_nothing(town, acts[act], moment=moment)
    town.database.engine.dispose()


# --- The database, and the audit ------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE budgets SET day_ucr = day_ucr + 1 WHERE guild_id = 0",
        "DELETE FROM budgets WHERE guild_id = 0",
        (
            "UPDATE accounts SET balance_ucr = -1 WHERE kind = 'available' AND bucket_id ="
            " (SELECT id FROM buckets WHERE owner_kind = 'guild' AND owner_id = 0)"
        ),
        "UPDATE buckets SET ends_us = ends_us + 1 WHERE owner_kind = 'guild' AND owner_id = 0",
        (
            "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us,"
            " issued_ucr, span) SELECT owner_kind, owner_id, kind, priority, starts_us, ends_us,"
            " 0, span FROM buckets WHERE owner_kind = 'guild' AND owner_id = 0"
        ),
    ],
)
def test_the_database_itself_refuses(town: Town, statement: str) -> None:
    """I-3, I-8: a ceiling changed or gone, one overrun, a longer window, the same day twice."""
    town.set_installation(day=10)
    town.work(8, "job", guild_id=None)
    with pytest.raises(IntegrityError):
        town.database.run(lambda connection: connection.exec_driver_sql(statement))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE budgets SET day_ucr = 7 WHERE guild_id = 0", "I-8 entry"),
        ("UPDATE holds SET amount_ucr = amount_ucr - 1", "I-8 hold 1: 7 held, 8 by day"),
        ("UPDATE journal SET guild_id = 9 WHERE kind = 'hold'", "I-8 hold 1: counted by server 7"),
        ("DELETE FROM budgets WHERE guild_id = 0", "I-8 entry"),
    ],
)
def test_the_audit_names_what_is_wrong_with_it(town: Town, statement: str, expected: str) -> None:
    """I-8: as with a server's, beside a server's; a foreign part only where there is one."""
    town.set_budget(day=10)
    town.set_installation(day=10)
    town.work(8, "job")
    facts = town.tampered(statement)
    assert [fact for fact in facts if fact.startswith(expected)], facts
    assert not [fact for fact in facts if "server 0" in fact]


def test_the_audit_wants_no_server_for_its_parts(town: Town) -> None:
    """In direct messages, too."""
    town.set_installation(day=10)
    town.work(8, "job", guild_id=None)
    assert town.tampered() == ()
