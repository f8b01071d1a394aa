"""What the database itself refuses, whatever our code does (reliability.md 4)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import CheckConstraint, Connection, Table
from sqlalchemy.exc import IntegrityError

from storage import budgets, ledger, schema
from storage.budgets import BudgetChange
from storage.types import ActKind, BucketKind, HoldState, TurnState
from tests.unit.storage.bank import CREDIT, MIRA, NONE, TOM, Bank


@pytest.fixture
def worked(bank: Bank) -> Bank:
    """One hold settled, one voided, one open, a grant, a gift, a purchase, a budget."""
    bank.grant(CREDIT, reference="i:1")
    for reference in ("paid", "free", "running"):
        bank.hold(CREDIT, reference=reference)
    bank.settle("paid", 5)
    bank.void("free")
    bank.database.run(_traded, now_us=bank.now_us)
    return bank


def _traded(connection: Connection, *, now_us: int) -> None:
    common: dict[str, Any] = {"amount_ucr": 1, "allowance": NONE, "now_us": now_us}
    ledger.gift(connection, giver_id=MIRA, receiver_id=TOM, reference="i:9", **common)
    ledger.purchase(connection, user_id=MIRA, reference="shop:1", **common)
    budgets.set_budget(
        connection,
        guild_id=7,
        change=BudgetChange(day_ucr=5),
        timezone="UTC",
        actor_id=MIRA,
        reference="i:budget",
        now_us=now_us,
    )


_JOURNAL = (
    "INSERT INTO journal (kind, user_id, reference, hold_id, delta_ucr, actor_id, reason, at_us)"
)

IMPOSSIBLE = {
    "a second settle": f"{_JOURNAL} VALUES ('settle', 101, 'paid', 1, 0, NULL, NULL, 0)",
    "a void after a settle": f"{_JOURNAL} VALUES ('void', 101, 'paid', 1, 0, NULL, NULL, 0)",
    "a settle after a void": f"{_JOURNAL} VALUES ('settle', 101, 'free', 2, 0, NULL, NULL, 0)",
    "a second hold act": f"{_JOURNAL} VALUES ('hold', 101, 'paid', 1, 0, NULL, NULL, 0)",
    "a hold act without a hold": f"{_JOURNAL} VALUES ('hold', 101, 'x', NULL, 0, NULL, NULL, 0)",
    "a grant twice": f"{_JOURNAL} VALUES ('grant', 101, 'i:1', NULL, 1, 1, 'again', 0)",
    "a take under a grant's key": f"{_JOURNAL} VALUES ('take', 101, 'i:1', NULL, 1, 1, 'x', 0)",
    "a purchase under its key": f"{_JOURNAL} VALUES ('purchase', 1, 'i:1', NULL, 1, 1, '', 0)",
    "a gift under a grant's key": f"{_JOURNAL} VALUES ('gift', 101, 'i:1', NULL, -1, 1, 'x', 0)",
    "a gift given twice": f"{_JOURNAL} VALUES ('gift', 5, 'i:9', NULL, -1, 6, NULL, 0)",
    "a gift received twice": f"{_JOURNAL} VALUES ('gift', 5, 'i:9', NULL, 1, 6, NULL, 0)",
    "a purchase twice": f"{_JOURNAL} VALUES ('purchase', 101, 'shop:1', NULL, 1, NULL, NULL, 0)",
    "a grant by nobody": f"{_JOURNAL} VALUES ('grant', 101, 'i:2', NULL, 1, NULL, 'x', 0)",
    "a grant for no reason": f"{_JOURNAL} VALUES ('grant', 101, 'i:2', NULL, 1, 1, NULL, 0)",
    "an unknown act": f"{_JOURNAL} VALUES ('steal', 101, 'i:2', NULL, 1, 1, 'x', 0)",
    "a second hold of one reference": (
        "INSERT INTO holds (reference, user_id, amount_ucr, state, opened_us)"
        " VALUES ('paid', 101, 1, 'open', 0)"
    ),
    "a negative balance": "UPDATE accounts SET balance_ucr = -1 WHERE kind = 'available'",
    "negative held credits": "UPDATE accounts SET balance_ucr = -1 WHERE kind = 'held'",
    "a negative spent account": "UPDATE accounts SET balance_ucr = -1 WHERE kind = 'spent'",
    "a second issuer": (
        "INSERT INTO accounts (kind, bucket_id, balance_ucr) VALUES ('issuer', NULL, 0)"
    ),
    "two available accounts of one bucket": (
        "INSERT INTO accounts (kind, bucket_id, balance_ucr) VALUES ('available', 1, 0)"
    ),
    "a bucket account without a bucket": (
        "INSERT INTO accounts (kind, bucket_id, balance_ucr) VALUES ('held', NULL, 0)"
    ),
    "an account of a bucket that is not there": (
        "INSERT INTO accounts (kind, bucket_id, balance_ucr) VALUES ('held', 99, 0)"
    ),
    "the same day twice": (
        "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us, issued_ucr)"
        " SELECT owner_kind, owner_id, kind, priority, starts_us, ends_us, 0 FROM buckets"
        " WHERE kind = 'allowance'"
    ),
    "a part of a hold that is not there": (
        "INSERT INTO hold_parts (hold_id, position, bucket_id, amount_ucr) VALUES (99, 0, 1, 1)"
    ),
    "two parts in one place": (
        "INSERT INTO hold_parts (hold_id, position, bucket_id, amount_ucr) VALUES (3, 0, 1, 1)"
    ),
    "an entry of an account that is not there": (
        "INSERT INTO entries (id, journal_id, from_account_id, to_account_id, amount_ucr, digest)"
        " VALUES (999, 1, 1, 999, 1, x'00')"
    ),
    "an entry of no act": (
        "INSERT INTO entries (id, journal_id, from_account_id, to_account_id, amount_ucr, digest)"
        " VALUES (999, 999, 1, 2, 1, x'00')"
    ),
    "the same day of a budget twice": (
        "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us, issued_ucr,"
        " span) SELECT owner_kind, owner_id, kind, priority, starts_us, ends_us, 0, span"
        " FROM buckets WHERE span = 'day'"
    ),
    "a budget spent beyond its ceiling": (
        "UPDATE accounts SET balance_ucr = -1 WHERE kind = 'available' AND bucket_id ="
        " (SELECT id FROM buckets WHERE span = 'day')"
    ),
    "a budget's window without a span": (
        "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us, issued_ucr)"
        " VALUES ('guild', 7, 'allowance', 10, 0, 1, 0)"
    ),
    "a member's day with a span": (
        "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us, issued_ucr,"
        " span) VALUES ('user', 7, 'allowance', 10, 0, 1, 0, 'day')"
    ),
    "a ceiling of nothing": (
        "INSERT INTO budgets (guild_id, reference, day_ucr, timezone, actor_id, after_entry_id,"
        " at_us) VALUES (7, 'x', 0, 'UTC', 1, 0, 0)"
    ),
    "a ceiling set twice": (
        "INSERT INTO budgets (guild_id, reference, timezone, actor_id, after_entry_id, at_us)"
        " VALUES (7, 'i:budget', 'UTC', 1, 0, 0)"
    ),
    "an allowance without an end": "UPDATE buckets SET ends_us = NULL WHERE kind = 'allowance'",
    "a charge above the hold": (
        f"UPDATE holds SET charged_ucr = {2 * CREDIT} WHERE reference = 'paid'"
    ),
    "an end without an outcome": "UPDATE holds SET state = 'settled' WHERE reference = 'running'",
    "an outcome without an end": "UPDATE holds SET charged_ucr = 1 WHERE reference = 'running'",
    "a void that charges": (
        f"UPDATE holds SET charged_ucr = 1, returned_ucr = {CREDIT - 1} WHERE reference = 'free'"
    ),
    "an empty part": "UPDATE hold_parts SET amount_ucr = 0",
    "an entry changed": "UPDATE entries SET amount_ucr = amount_ucr + 1 WHERE id = 1",
    "an entry deleted": "DELETE FROM entries WHERE id = 1",
    "an entry of nothing": (
        "INSERT INTO entries (id, journal_id, from_account_id, to_account_id, amount_ucr, digest)"
        " VALUES (99, 1, 1, 2, 0, x'00')"
    ),
    "an entry from an account to itself": (
        "INSERT INTO entries (id, journal_id, from_account_id, to_account_id, amount_ucr, digest)"
        " VALUES (99, 1, 1, 1, 1, x'00')"
    ),
    "an amount changed in the journal": "UPDATE journal SET delta_ucr = 0 WHERE kind = 'grant'",
    "a journal line deleted": "DELETE FROM journal WHERE kind = 'grant'",
    "text where a number belongs": "UPDATE holds SET amount_ucr = 'much'",
    "a second instance row": ("INSERT INTO instance (id, epoch, pid, host) VALUES (2, 0, 0, '')"),
}


@pytest.mark.parametrize("what", IMPOSSIBLE)
def test_the_database_refuses(worked: Bank, what: str) -> None:
    """Each statement is one that a bug of ours could send."""
    with pytest.raises(IntegrityError):
        worked.database.run(lambda c: c.exec_driver_sql(IMPOSSIBLE[what]))


def test_identities_in_the_journal_may_be_erased(worked: Bank) -> None:
    """C-42: deleting a member's data keeps the books whole."""

    def pseudonymise(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE journal SET user_id = -1, actor_id = -2, reason = ''")
        connection.exec_driver_sql("UPDATE holds SET user_id = -1")
        connection.exec_driver_sql("UPDATE buckets SET owner_id = -1")

    worked.database.run(pseudonymise)
    worked.assert_sound()


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (schema.journal, ActKind),
        (schema.buckets, BucketKind),
        (schema.holds, HoldState),
        (schema.turns, TurnState),
    ],
)
def test_every_word_of_the_program_is_a_word_of_the_schema(
    table: Table, kinds: type[ActKind | BucketKind | HoldState | TurnState]
) -> None:
    """An enum member that a CHECK does not know would fail only when it is first used."""
    rules = " ".join(
        str(rule.sqltext) for rule in table.constraints if isinstance(rule, CheckConstraint)
    )
    assert [kind for kind in kinds if f"'{kind.value}'" not in rules] == []


def test_every_table_is_strict() -> None:
    """SQLite would otherwise store a word in a column of numbers."""
    assert [
        name
        for name, table in schema.metadata.tables.items()
        if not table.dialect_options["sqlite"]["strict"]
    ] == []


def test_partial_indexes_are_partial_on_both_databases() -> None:
    """An index that is partial on SQLite only would refuse legal rows on PostgreSQL."""
    for table in schema.metadata.tables.values():
        for index in table.indexes:
            sqlite_where = index.dialect_options["sqlite"]["where"]
            assert str(sqlite_where) == str(index.dialect_options["postgresql"]["where"])
