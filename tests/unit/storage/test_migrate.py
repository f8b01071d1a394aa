"""From nothing, or from any released schema, to this program's tables."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from storage import jobs, ledger, migrate, sqlite
from storage.database import Database, sqlite_path
from storage.errors import StoreCorrupt
from storage.schema import metadata
from tests.unit.storage.bank import DAILY, NOON_US, snapshot
from tests.unit.storage.saboteur import Saboteur
from tests.unit.storage.workshop import new_job, picture

STATEMENTS_MAX = 1_000
ROOT = Path(__file__).parents[3]
KILLED = Path(__file__).with_name("killed_migration.py")
FIRST_RELEASE = Path(__file__).with_name("release_0001.sql")


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An empty database in memory."""
    made = create_engine("sqlite+pysqlite://", poolclass=StaticPool)
    sqlite.attach(made)
    yield made
    made.dispose()


def _statements(connection: Connection, kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """Each table and index as its sorted clauses, so that their order does not count."""
    rows = connection.exec_driver_sql(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    )
    return {
        name: sorted(_clauses(sql)) if kind == "table" else [sql]
        for kind, name, sql in rows
        if kind in kinds and name != migrate.VERSION_TABLE
    }


def _clauses(sql: str) -> Iterator[str]:
    """A table's columns and constraints, and what stands around them.

    Not its lines: a column that was added later stands in the line of the one before.
    """
    head, _, body = sql.partition("(")
    body, _, tail = body.rpartition(")")
    yield from (head.strip(), tail.strip())
    depth = begin = 0
    for at, character in enumerate(body):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield " ".join(body[begin:at].split())
            begin = at + 1
    yield " ".join(body[begin:].split())


def test_the_migrated_database_is_the_schema(engine: Engine) -> None:
    """No drift: columns, CHECKs, STRICT, indexes and their conditions, word for word."""
    with engine.begin() as connection:
        migrate.upgrade(connection)
        migrated = _statements(connection, ("table", "index"))
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    fresh = create_engine("sqlite+pysqlite://", poolclass=StaticPool)
    with fresh.begin() as connection:
        metadata.create_all(connection)
        declared = _statements(connection, ("table", "index"))
    fresh.dispose()
    assert migrated == declared
    assert differences == []
    assert len(migrated) > 15


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    """Every start runs it."""
    with engine.begin() as connection:
        assert migrate.current(connection) is None
        migrate.upgrade(connection)
        before = connection.exec_driver_sql("PRAGMA schema_version").scalar_one()
        migrate.upgrade(connection)
        assert connection.exec_driver_sql("PRAGMA schema_version").scalar_one() == before
        assert migrate.current(connection) == migrate.head()


def test_a_migration_that_fails_leaves_the_old_schema(engine: Engine) -> None:
    """F-18: at each statement, never half."""
    remaining = 0

    def fail(*_arguments: Any) -> None:
        nonlocal remaining
        remaining -= 1
        if remaining == 0:
            raise sqlite3.OperationalError("disk I/O error")

    event.listen(engine, "before_cursor_execute", fail)
    for fail_at in range(1, STATEMENTS_MAX):
        remaining = fail_at
        try:
            with engine.begin() as connection:
                migrate.upgrade(connection)
        except OperationalError:
            with engine.begin() as connection:
                assert _statements(connection, ("table", "index", "trigger")) == {}
        else:
            break
    assert remaining > 0
    assert 20 < fail_at < STATEMENTS_MAX - 1


def test_a_process_killed_at_any_statement_of_any_migration_leaves_the_old_schema(
    tmp_path: Path,
) -> None:
    """F-18: on a real file, with SIGKILL, from every schema to the next, rows and all."""
    done = subprocess.run(
        [sys.executable, str(KILLED), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert list(counts)[-1] == migrate.head()
    assert min(counts.values()) > 3


def _worked(connection: Connection) -> None:
    """What an installation of the first release holds, as its own program wrote it."""
    for statement in FIRST_RELEASE.read_text().split(";\n"):
        connection.exec_driver_sql(statement)


def test_a_database_of_the_first_release_keeps_all_it_holds(engine: Engine) -> None:
    """0001 → today: every row as it was, the books sound, and jobs can be ordered."""
    with engine.begin() as connection:
        migrate.upgrade(connection, to="0001")
        assert migrate.current(connection) == "0001"
        _worked(connection)
        before = snapshot(connection)
    with engine.begin() as connection:
        migrate.upgrade(connection)
        after = snapshot(connection)
        assert migrate.current(connection) == migrate.head()
    old = {"jobs", "job_events", "artifacts", "callbacks"}
    new = {*old, "job_acts", "token_ratios", "outbox", "interactions", "budgets"}
    assert set(after) - set(before) == new
    assert all(after[table] == [] for table in new)
    before["turns"] = [(*row, None, None) for row in before["turns"]]
    before["buckets"] = [(*row, None) for row in before["buckets"]]
    unchanged = set(before) - {migrate.VERSION_TABLE}
    assert {table: after[table] for table in unchanged} == {t: before[t] for t in unchanged}
    with engine.begin() as connection:
        job = jobs.enqueue(connection, job=new_job("i:2"), allowance=DAILY, now_us=NOON_US)
        assert jobs.cancel(connection, job_id=job.id, now_us=NOON_US)
        assert ledger.audit(connection) == ()


def test_old_addresses_of_results_get_an_end(engine: Engine) -> None:
    """0009 → 0010: a day after the job's own; those that have one keep it."""
    with engine.begin() as connection:
        migrate.upgrade(connection, to="0009")
        job = jobs.enqueue(connection, job=new_job("i:2"), allowance=DAILY, now_us=NOON_US)
        jobs.begin_submit(connection, job_id=job.id, now_us=NOON_US)
        jobs.bind(connection, job_id=job.id, task_id="t", now_us=NOON_US, due_us=NOON_US)
        known = replace(picture(1), source_expires_us=5)
        results = (picture(0), known, replace(picture(2), source_url=None))
        jobs.succeed(connection, job_id=job.id, artifacts=results, cost_ucr=0, now_us=NOON_US + 7)
        migrate.upgrade(connection)
        kept = jobs.artifacts_of(connection, job_id=job.id)
    day_us = 86_400_000_000
    assert [one.source_expires_us for one in kept] == [NOON_US + 7 + day_us, 5, None]


def test_a_second_migration_that_fails_leaves_the_first_schema(engine: Engine) -> None:
    """F-18, from a database with data: at each statement, never half, nothing lost."""
    with engine.begin() as connection:
        migrate.upgrade(connection, to="0001")
        _worked(connection)
        before = snapshot(connection)
        schema = _statements(connection, ("table", "index", "trigger"))
    failed = 0
    for fail_at in range(1, STATEMENTS_MAX):
        saboteur = Saboteur(fail_at=fail_at, moment="before_cursor_execute")
        event.listen(engine, saboteur.moment, saboteur)
        try:
            with engine.begin() as connection:
                migrate.upgrade(connection)
            break
        except OperationalError:
            failed += 1
        finally:
            event.remove(engine, saboteur.moment, saboteur)
        with engine.begin() as connection:
            assert snapshot(connection) == before
            assert _statements(connection, ("table", "index", "trigger")) == schema
    assert 20 < failed == fail_at - 1


def test_facts_are_guarded_in_the_migrated_database(engine: Engine) -> None:
    """The triggers are part of the migrations; their effect has its own tests."""
    with engine.begin() as connection:
        migrate.upgrade(connection)
        assert set(_statements(connection, ("trigger",))) == {
            "accounts_frozen",
            "accounts_no_delete",
            "accounts_no_replace",
            "buckets_frozen",
            "buckets_no_delete",
            "buckets_no_replace",
            "budgets_no_delete",
            "budgets_no_replace",
            "budgets_no_update",
            "entries_no_delete",
            "entries_no_replace",
            "entries_no_update",
            "hold_parts_no_delete",
            "hold_parts_no_replace",
            "hold_parts_no_update",
            "hold_parts_open",
            "holds_end",
            "holds_frozen",
            "holds_no_delete",
            "holds_no_replace",
            "job_acts_no_delete",
            "job_acts_no_replace",
            "job_acts_no_update",
            "job_events_no_delete",
            "job_events_no_replace",
            "job_events_no_update",
            "jobs_frozen",
            "jobs_moves",
            "jobs_no_delete",
            "jobs_no_replace",
            "jobs_outcome",
            "jobs_task",
            "jobs_task_free",
            "journal_no_delete",
            "journal_no_replace",
            "journal_no_update",
            "outbox_after_outcome",
            "outbox_end",
            "outbox_frozen",
            "outbox_no_delete",
            "outbox_no_replace",
        }


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ("DROP TABLE alembic_version", "without a version"),
        ("UPDATE alembic_version SET version_num = '9999'", "9999"),
    ],
)
async def test_a_database_that_is_not_ours_is_refused_untouched(
    url: str, change: str, cause: str
) -> None:
    """Another program's file, or one that a later release has migrated."""
    await (await Database.open(url)).close()
    path = sqlite_path(url)
    outside = sqlite3.connect(path)
    outside.execute(change)
    outside.commit()
    before = "\n".join(outside.iterdump())
    outside.close()
    with pytest.raises(StoreCorrupt, match=cause):
        await Database.open(url)
    outside = sqlite3.connect(path)
    assert "\n".join(outside.iterdump()) == before
    outside.close()
