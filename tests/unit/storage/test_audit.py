"""The audit finds what constraints and triggers would have prevented."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from storage import audit as audit_module
from storage import ledger
from tests.unit.storage.bank import CREDIT, Bank


@pytest.fixture
def damaged() -> Iterator[Bank]:
    """A worked ledger whose guards are gone, as in a file that somebody edited by hand."""
    bank = Bank()
    bank.grant(CREDIT)
    for reference in ("paid", "free", "running"):
        bank.hold(CREDIT, reference=reference)
    bank.settle("paid", 5)
    bank.void("free", loss_ucr=3)
    bank.assert_sound()
    bank.database.run(_unguard)
    yield bank
    bank.database.engine.dispose()


def _unguard(connection: Connection) -> None:
    for name in connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    ).scalars():
        connection.exec_driver_sql(f"DROP TRIGGER {name}")
    for index in ("journal_end_uq", "journal_hold_uq", "journal_once_uq"):
        connection.exec_driver_sql(f"DROP INDEX {index}")


def _tamper(connection: Connection, statement: str) -> None:
    connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
    try:
        connection.exec_driver_sql(statement)
    finally:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")


TAMPERING = {
    "a balance raised": ("UPDATE accounts SET balance_ucr = balance_ucr + 1 WHERE id = 4", "I-1"),
    "an amount changed": ("UPDATE entries SET amount_ucr = amount_ucr + 1 WHERE id = 2", "I-2"),
    "an amount changed, I-1": (
        "UPDATE entries SET amount_ucr = amount_ucr + 1 WHERE id = 2",
        "I-1",
    ),
    "the last digest changed": (
        "UPDATE entries SET digest = x'00' WHERE id = (SELECT max(id) FROM entries)",
        "I-2",
    ),
    "an entry removed": ("DELETE FROM entries WHERE id = 2", "I-2 entry 3: follows 1"),
    "an act renamed": ("UPDATE journal SET kind = 'gift' WHERE kind = 'grant'", "I-2"),
    "a balance below zero": ("UPDATE accounts SET balance_ucr = -1 WHERE kind = 'spent'", "I-3"),
    "a balance that was below zero": (
        "UPDATE entries SET amount_ucr = amount_ucr * 100 WHERE id = 3",
        "I-3 account 5: -",
    ),
    "a line of a member's removed": (
        "DELETE FROM journal WHERE kind = 'grant'",
        "I-1 member 101: 20999995 in buckets, 19999995 by lines",
    ),
    "a grant by nobody": (
        "UPDATE journal SET actor_id = NULL WHERE kind = 'grant'",
        "I-11 journal",
    ),
    "a grant for no reason": ("UPDATE journal SET reason = NULL WHERE kind = 'grant'", "I-11"),
    "a grant without bounds": (
        "UPDATE journal SET delta_ucr = 1000000000001 WHERE kind = 'grant'",
        "I-11 journal",
    ),
    "a grant that takes": (
        "UPDATE journal SET delta_ucr = -1 WHERE kind = 'grant'",
        "I-11 journal",
    ),
    "a grant done twice": (
        (
            "INSERT INTO journal (kind, user_id, reference, delta_ucr, actor_id, reason, at_us)"
            " SELECT kind, user_id, reference, delta_ucr, actor_id, reason, at_us FROM journal"
            " WHERE kind = 'grant'"
        ),
        "I-11 reference",
    ),
    "a charge that nobody paid": (
        "UPDATE holds SET charged_ucr = 6 WHERE id = 1",
        "I-5 hold 1: 6 charged, 5 spent by entries",
    ),
    "two days at once": (
        (
            "INSERT INTO buckets (owner_kind, owner_id, kind, priority, starts_us, ends_us,"
            " issued_ucr) SELECT owner_kind, owner_id, kind, priority, starts_us + 1, ends_us, 0"
            " FROM buckets WHERE kind = 'allowance'"
        ),
        "I-8 bucket",
    ),
    "a part changed": ("UPDATE hold_parts SET amount_ucr = 7 WHERE hold_id = 3", "I-4 bucket"),
    "a hold enlarged": ("UPDATE holds SET amount_ucr = amount_ucr + 1 WHERE id = 3", "I-4 hold 3"),
    "an ended hold opened again": ("UPDATE holds SET state = 'open' WHERE id = 1", "I-4 bucket"),
    "an ended hold opened again, I-5": ("UPDATE holds SET state = 'open' WHERE id = 1", "I-5"),
    "a settled hold called void": ("UPDATE holds SET state = 'voided' WHERE id = 1", "I-5 hold 1"),
    "a charge changed": ("UPDATE holds SET charged_ucr = 6 WHERE id = 1", "I-5 hold 1"),
    "a return changed": ("UPDATE holds SET returned_ucr = 6 WHERE id = 1", "I-5 hold 1"),
    "a second end": (
        (
            "INSERT INTO journal (kind, user_id, reference, hold_id, delta_ucr, at_us)"
            " VALUES ('void', 101, 'paid', 1, 0, 0)"
        ),
        "I-5 hold 1",
    ),
    "a beginning without an act": (
        "DELETE FROM journal WHERE kind = 'hold' AND hold_id = 3",
        "I-5",
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_the_audit_names(damaged: Bank, what: str) -> None:
    """Each kind of damage under the number of its invariant."""
    statement, expected = TAMPERING[what]

    def tamper(connection: Connection) -> tuple[str, ...]:
        # In one transaction, with foreign keys judged at its end, which never comes.
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        _tamper(connection, statement)
        facts = ledger.audit(connection)
        connection.rollback()
        return facts

    with damaged.database.engine.connect() as connection:
        facts = tamper(connection)
    assert [fact for fact in facts if fact.startswith(expected)], facts


def test_long_ledgers_are_read_in_pages(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain goes on across the edge of a page."""
    monkeypatch.setattr(audit_module, "PAGE_ROWS", 2)
    for _ in range(5):
        bank.grant(1)
    bank.assert_sound()
