"""The real database: a file, a thread, one connection, callers that give up."""

from __future__ import annotations

import asyncio
import random
import sqlite3

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import IntegrityError, NoResultFound, OperationalError

from storage import ledger, preferences
from storage.database import Database, sqlite_path
from storage.errors import InsufficientCredits, StoreUnavailable
from storage.types import Cause
from tests.unit.storage.bank import CREDIT, MIRA, NONE, NOON_US, SAM

TRANSACTIONS = 400
PARALLEL_HOLDS = 50


def put(connection: Connection, key: str, value: str = "1") -> None:
    preferences.put(connection, key=key, value=value, now_us=1)


def count(connection: Connection) -> int:
    return int(connection.exec_driver_sql("SELECT count(*) FROM preferences").scalar_one())


def pragma(connection: Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one_or_none()


async def grant(database: Database, amount_ucr: int) -> None:
    await database.transact(
        ledger.grant,
        user_id=MIRA,
        amount_ucr=amount_ucr,
        actor_id=SAM,
        guild_id=None,
        reason="test",
        reference="i:1",
        allowance=NONE,
        now_us=NOON_US,
    )


async def test_what_was_committed_is_there_after_a_restart(url: str) -> None:
    """Close, open, read."""
    database = await Database.open(url)
    await database.transact(put, "a", value="kept")
    await database.close()
    database = await Database.open(url)
    assert await database.read(preferences.get, key="a") == "kept"
    await database.close()


async def test_the_connection_has_the_pragmas_that_the_promises_need(database: Database) -> None:
    """reliability.md 1.1: FULL against power loss, foreign keys, a bounded wait, erasure."""
    assert await database.read(pragma, "journal_mode") == "wal"
    assert await database.read(pragma, "synchronous") == 2
    assert await database.read(pragma, "foreign_keys") == 1
    assert await database.read(pragma, "busy_timeout") == 5_000
    assert await database.read(pragma, "secure_delete") == 1
    assert await database.read(pragma, "recursive_triggers") == 1


async def test_a_body_that_raises_leaves_nothing(database: Database) -> None:
    """Its own exception rises unchanged; the next transaction works."""

    def body(connection: Connection) -> None:
        put(connection, "a")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await database.transact(body)
    assert await database.read(count) == 0
    await database.transact(put, "b")


async def test_all_transactions_commit_though_half_of_the_callers_give_up(url: str) -> None:
    """architecture.md, idea 1: 400 writes, half of the callers cancelled at random moments."""
    database = await Database.open(url)
    chance = random.Random(8700)
    callers = [
        asyncio.create_task(database.transact(put, f"key {number}"))
        for number in range(TRANSACTIONS)
    ]
    # Every caller has now handed its transaction over; from here on giving up must not matter.
    await asyncio.sleep(0)
    for caller in chance.sample(callers, TRANSACTIONS // 2):
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        caller.cancel()
    results = await asyncio.gather(*callers, return_exceptions=True)
    gave_up = [result for result in results if isinstance(result, asyncio.CancelledError)]
    assert len(gave_up) > TRANSACTIONS // 4
    assert len([result for result in results if result is not None]) == len(gave_up)
    await database.close()
    database = await Database.open(url)
    assert await database.read(count) == TRANSACTIONS
    await database.close()


async def test_parallel_holds_never_oversell(database: Database) -> None:
    """F-140: 50 holds of 3 credits on a balance of 10 accept exactly 3."""
    await grant(database, 10 * CREDIT)
    results = await asyncio.gather(
        *(
            database.transact(
                ledger.hold,
                user_id=MIRA,
                amount_ucr=3 * CREDIT,
                floor_ucr=3 * CREDIT,
                reference=f"job {number}",
                allowance=NONE,
                now_us=NOON_US,
            )
            for number in range(PARALLEL_HOLDS)
        ),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, InsufficientCredits)]
    assert len(refused) == PARALLEL_HOLDS - 3
    assert await database.read(ledger.audit) == ()


async def test_parallel_endings_of_one_hold_agree(database: Database) -> None:
    """I-5: ten settlements at once charge once; all callers hear the same outcome."""
    await grant(database, 10 * CREDIT)
    await database.transact(
        ledger.hold,
        user_id=MIRA,
        amount_ucr=3 * CREDIT,
        floor_ucr=0,
        reference="job",
        allowance=NONE,
        now_us=NOON_US,
    )
    outcomes = await asyncio.gather(
        *(
            database.transact(
                ledger.settle,
                reference="job",
                cost_ucr=cost,
                cause=Cause.ANSWERED,
                now_us=NOON_US,
            )
            for cost in range(10)
        )
    )
    assert len(set(outcomes)) == 1
    assert await database.read(ledger.audit) == ()


async def test_a_read_cannot_write(database: Database) -> None:
    """A body in the wrong place fails loudly, and the connection writes again afterwards."""
    with pytest.raises(StoreUnavailable, match="write in a read"):
        await database.read(put, "a")
    await database.transact(put, "b")
    assert await database.read(count) == 1


async def test_a_write_transaction_has_the_lock_before_its_first_statement(
    database: Database, url: str
) -> None:
    """reliability.md 1.1: one that reads first and asks for the lock later is refused at once."""

    def body(_connection: Connection) -> None:
        outside = sqlite3.connect(sqlite_path(url), timeout=0, isolation_level=None)
        try:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                outside.execute("BEGIN IMMEDIATE")
        finally:
            outside.close()

    await database.transact(body)


async def test_another_programs_lock_makes_the_store_unavailable(
    database: Database, url: str
) -> None:
    """F-110: a write waits its time and fails clean; reads go on; later all is well."""
    await database.transact(lambda c: c.exec_driver_sql("PRAGMA busy_timeout = 20").close())
    outside = sqlite3.connect(sqlite_path(url), isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        await database.transact(put, "a")
    assert await database.read(count) == 0
    outside.execute("ROLLBACK")
    outside.close()
    await database.transact(put, "a")
    assert await database.read(count) == 1


async def test_a_full_disk_leaves_no_partial_state_and_heals(database: Database) -> None:
    """F-111: the transaction that does not fit is refused whole; no restart is needed."""

    def fill(connection: Connection) -> None:
        for number in range(1_000):
            put(connection, f"key {number}", value="x" * 10_000)

    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").close()

    pages = await database.read(pragma, "page_count")
    assert isinstance(pages, int)
    await database.transact(limit, pages + 10)
    with pytest.raises(StoreUnavailable, match="full"):
        await database.transact(fill)
    assert await database.read(count) == 0
    await database.transact(limit, 1_000_000)
    await database.transact(fill)
    assert await database.read(count) == 1_000


async def test_an_io_error_at_commit_is_unavailable_and_rolls_back(database: Database) -> None:
    """F-112: the last moment is as good as any."""

    def fail(_connection: Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    engine = database._engine.sync_engine
    event.listen(engine, "commit", fail)
    with pytest.raises(StoreUnavailable, match="I/O"):
        await database.transact(put, "a")
    event.remove(engine, "commit", fail)
    assert await database.read(count) == 0


async def test_bugs_of_ours_are_not_dressed_up_as_outages(database: Database) -> None:
    """A wrong statement and a broken rule rise as they are, without the parameters' words."""
    with pytest.raises(OperationalError):
        await database.transact(lambda c: c.exec_driver_sql("SELECT nothing FROM nowhere"))
    with pytest.raises(IntegrityError) as broken:
        await database.transact(
            lambda c: c.exec_driver_sql(
                "INSERT INTO preferences VALUES (?, NULL, 0)", ("a member's words",)
            )
        )
    assert "a member's words" not in str(broken.value)
    with pytest.raises(NoResultFound):
        await database.transact(lambda c: c.exec_driver_sql("SELECT 1 WHERE 0").one())


async def test_a_transaction_that_waits_too_long_for_its_turn_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is bounded in time; whoever waits is told that nothing happened."""
    monkeypatch.setattr(database._engine.sync_engine.pool, "_timeout", 0.01)
    async with database._engine.connect():
        with pytest.raises(StoreUnavailable, match="waiting"):
            await database.transact(put, "a")
    assert await database.read(count) == 0


async def test_closing_waits_for_running_transactions(url: str) -> None:
    """S-11: what was handed over is committed before the file is let go."""
    database = await Database.open(url)
    callers = [asyncio.create_task(database.transact(put, f"key {n}")) for n in range(20)]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*callers)
    database = await Database.open(url)
    assert await database.read(count) == 20
    await database.close()


async def test_a_closed_database_refuses(url: str) -> None:
    """With our own error, also when it is closed twice."""
    database = await Database.open(url)
    await database.close()
    await database.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.transact(put, "a")
    with pytest.raises(StoreUnavailable, match="closed"):
        await database.read(count)
