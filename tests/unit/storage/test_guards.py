"""Facts of money and of jobs cannot be changed, whoever is connected (reliability.md I-2, I-5)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from storage import budgets, ledger, schema
from storage.budgets import BudgetChange
from tests.unit.storage.bank import CREDIT, DAILY, MIRA, SAM, TOM
from tests.unit.storage.workshop import Workshop


@pytest.fixture(scope="module")
def worked() -> Iterator[Workshop]:
    """Holds 1 … 3: settled, voided, open. Jobs 1 … 3: delivered, late, queued.

    Beside them a grant, a gift, a purchase and a budget.
    """
    workshop = Workshop()
    workshop.grant(CREDIT, reference="i:grant")
    workshop.database.run(_traded, now_us=workshop.now_us)
    for reference in ("paid", "free", "running"):
        workshop.hold(CREDIT, reference=reference)
    workshop.settle("paid", 5)
    workshop.void("free", loss_ucr=7)
    workshop.at("delivered", "i:done")
    late = workshop.at("running", "i:late")
    workshop.fail(late)
    workshop.late(late)
    workshop.at("queued", "i:waiting")
    yield workshop
    workshop.assert_sound()
    workshop.database.engine.dispose()


def _traded(connection: Connection, *, now_us: int) -> None:
    common: dict[str, Any] = {"amount_ucr": 1, "allowance": DAILY, "now_us": now_us}
    ledger.purchase(connection, user_id=MIRA, reference="shop:1", **common)
    ledger.gift(connection, giver_id=MIRA, receiver_id=TOM, reference="i:gift", **common)
    budgets.set_budget(
        connection,
        guild_id=1,
        change=BudgetChange(day_ucr=1_000 * CREDIT),
        timezone="UTC",
        actor_id=SAM,
        reference="i:budget",
        now_us=now_us,
    )


@pytest.fixture
def outside(worked: Workshop) -> Iterator[sqlite3.Connection]:
    """A copy of the file in a tool that knows nothing of our pragmas."""
    raw = worked.database.engine.raw_connection()
    driver = raw.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    copy = sqlite3.connect(":memory:", isolation_level=None)
    copy.deserialize(driver.serialize())
    raw.close()
    yield copy
    copy.close()


def _replace(table: str, where: str, **changed: str) -> str:
    """The same row once more, with some columns changed, in place of whatever is in its way."""
    columns = schema.metadata.tables[table].columns.keys()
    values = ", ".join(changed.get(column, column) for column in columns)
    return (
        f"INSERT OR REPLACE INTO {table} ({', '.join(columns)})"
        f" SELECT {values} FROM {table} WHERE {where}"
    )


GUARD = "is append-only|are kept|are frozen|ends once"
"""What the triggers say; a CHECK or a foreign key would say something else."""

FORBIDDEN = {
    "an entry replaced": _replace("entries", "id = 1", amount_ucr="amount_ucr + 7"),
    "an entry replaced by itself": _replace("entries", "id = 1"),
    "an entry changed": "UPDATE entries SET amount_ucr = 1 WHERE id = 1",
    "an entry deleted": "DELETE FROM entries WHERE id = 1",
    "a journal line replaced": _replace("journal", "kind = 'settle'", delta_ucr="0"),
    "a grant under another id": _replace("journal", "kind = 'grant'", id="NULL", delta_ucr="0"),
    "a grant replaced by a take": _replace(
        "journal", "kind = 'grant'", id="999", kind="'take'", delta_ucr="0"
    ),
    "a begin under another id": _replace("journal", "kind = 'hold' AND hold_id = 3", id="NULL"),
    "a void in place of a settle": _replace(
        "journal", "kind = 'settle' AND hold_id = 1", id="NULL", kind="'void'"
    ),
    "a journal line changed": "UPDATE journal SET delta_ucr = 0 WHERE kind = 'settle'",
    "a journal line deleted": "DELETE FROM journal WHERE kind = 'settle'",
    "a paid hold given back": (
        "UPDATE holds SET state = 'voided', charged_ucr = 0, returned_ucr = amount_ucr"
        " WHERE state = 'settled'"
    ),
    "a paid hold cheaper": (
        "UPDATE holds SET charged_ucr = 0, returned_ucr = amount_ucr WHERE state = 'settled'"
    ),
    "a closed hold opened": (
        "UPDATE holds SET state = 'open', charged_ucr = NULL, returned_ucr = NULL,"
        " loss_ucr = NULL, cause = NULL, closed_us = NULL WHERE state <> 'open'"
    ),
    "another loss": "UPDATE holds SET loss_ucr = 0 WHERE state = 'voided'",
    "another cause": "UPDATE holds SET cause = 'answered' WHERE state = 'voided'",
    "a hold under another name": "UPDATE holds SET reference = 'x' WHERE reference = 'running'",
    "a hold replaced": _replace(
        "holds", "reference = 'paid'", charged_ucr="4", returned_ucr="amount_ucr - 4"
    ),
    "a hold under another id": _replace("holds", "reference = 'paid'", id="NULL"),
    "a hold deleted": "DELETE FROM holds WHERE reference = 'running'",
    "a part changed": "UPDATE hold_parts SET amount_ucr = 1",
    "a part replaced": _replace("hold_parts", "hold_id = 3", amount_ucr="1"),
    "a part deleted": "DELETE FROM hold_parts WHERE hold_id = 3",
    "a part of an ended hold": (
        "INSERT INTO hold_parts (hold_id, position, bucket_id, amount_ucr) VALUES (1, 9, 1, 1)"
    ),
    "a gift given again": _replace(
        "journal", "kind = 'gift' AND delta_ucr < 0", id="NULL", delta_ucr="-1"
    ),
    "a gift received again": _replace(
        "journal", "kind = 'gift' AND delta_ucr > 0", id="NULL", delta_ucr="1"
    ),
    "a gift in place of a grant": _replace(
        "journal", "kind = 'grant'", id="NULL", kind="'gift'", delta_ucr="-1"
    ),
    "a purchase again": _replace("journal", "kind = 'purchase'", id="NULL", delta_ucr="7"),
    "an account replaced": _replace("accounts", "id = 4", balance_ucr="balance_ucr + 1"),
    "an account under another id": _replace("accounts", "id = 4", id="NULL"),
    "a second issuer in its place": _replace("accounts", "kind = 'issuer'", id="NULL"),
    "an account of another bucket": "UPDATE accounts SET bucket_id = 2 WHERE id = 4",
    "an account of another kind": "UPDATE accounts SET kind = 'available' WHERE id = 4",
    "an account deleted": "DELETE FROM accounts WHERE id = 4",
    "a bucket replaced": _replace("buckets", "id = 1", issued_ucr="issued_ucr + 1"),
    "a day in place of itself": _replace("buckets", "id = 1", id="NULL"),
    "a budget's day in place of itself": _replace("buckets", "span = 'day'", id="NULL"),
    "a bucket that ends later": "UPDATE buckets SET ends_us = ends_us + 1",
    "a bucket that starts earlier": "UPDATE buckets SET starts_us = starts_us - 1",
    "a grant that was bought": "UPDATE buckets SET kind = 'bought' WHERE kind = 'grant'",
    "a day that is a month": "UPDATE buckets SET span = 'month' WHERE span = 'day'",
    "a bucket deleted": "DELETE FROM buckets WHERE id = 1",
    "a ceiling changed": "UPDATE budgets SET day_ucr = day_ucr + 1",
    "a ceiling replaced": _replace("budgets", "id = 1", day_ucr="day_ucr + 1"),
    "a ceiling under another id": _replace("budgets", "id = 1", id="NULL"),
    "a ceiling deleted": "DELETE FROM budgets",
    "a job's event replaced": _replace("job_events", "id = 1", cause="'x'"),
    "a job's first event under another id": _replace(
        "job_events", "old_status IS NULL AND job_id = 1", id="NULL"
    ),
    "a job's end under another id": _replace(
        "job_events", "new_status = 'finished' AND job_id = 1", id="NULL"
    ),
    "a late result under another id": _replace("job_events", "cause = 'late_result'", id="NULL"),
    "a job's event changed": "UPDATE job_events SET cause = 'x' WHERE id = 1",
    "a job's event deleted": "DELETE FROM job_events WHERE id = 1",
    "a job replaced": _replace("jobs", "id = 1", price_ucr="price_ucr + 1"),
    "a job under another id": _replace("jobs", "id = 1", id="NULL", short_id="'x'"),
    "a job with another's short id": _replace(
        "jobs", "id = 1", id="NULL", reference="'x'", task_id="'x'"
    ),
    "a job with another's task": _replace(
        "jobs", "id = 1", id="NULL", reference="'x'", short_id="'x'"
    ),
    "a job updated onto another": (
        "UPDATE OR REPLACE jobs SET task_id = (SELECT task_id FROM jobs WHERE id = 1)"
        " WHERE reference = 'i:waiting'"
    ),
    "a job's price changed": "UPDATE jobs SET price_ucr = 1",
    "a job deleted": "DELETE FROM jobs",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_foreign_tool_is_refused(outside: sqlite3.Connection, what: str) -> None:
    """Without recursive triggers and foreign keys, as `sqlite3` opens a file."""
    with pytest.raises(sqlite3.IntegrityError, match=GUARD):
        outside.execute(FORBIDDEN[what])


@pytest.mark.parametrize("what", FORBIDDEN)
def test_our_own_connection_is_refused(worked: Workshop, what: str) -> None:
    """Each statement is one that a bug of ours could send."""
    with pytest.raises(IntegrityError, match=GUARD):
        worked.database.run(lambda c: c.exec_driver_sql(FORBIDDEN[what]))


REPLACED = (
    "accounts",
    "buckets",
    "budgets",
    "entries",
    "journal",
    "holds",
    "hold_parts",
    "job_events",
    "jobs",
)


@pytest.mark.parametrize("table", REPLACED)
def test_on_our_connection_a_replacement_is_also_a_deletion(worked: Workshop, table: str) -> None:
    """The second defence: with recursive triggers, what forbids DELETE forbids REPLACE."""

    def replace_first(connection: Connection) -> None:
        connection.exec_driver_sql(f"DROP TRIGGER {table}_no_replace")
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql(_replace(table, "rowid = 1"))

    with pytest.raises(IntegrityError, match=GUARD):
        worked.database.run(replace_first)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE holds SET user_id = -1",
        "UPDATE journal SET user_id = -1, actor_id = NULL WHERE kind <> 'grant'",
        "UPDATE journal SET reason = ''",
        "UPDATE buckets SET owner_id = -1",
    ],
)
def test_people_may_still_be_erased(outside: sqlite3.Connection, statement: str) -> None:
    """C-42: in closed holds, too."""
    assert outside.execute(statement).rowcount > 1
