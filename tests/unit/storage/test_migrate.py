"""From nothing, or from any released schema, to this program's tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from storage import migrate, sqlite
from storage.database import Database, sqlite_path
from storage.errors import StoreCorrupt
from storage.schema import metadata

STATEMENTS_MAX = 1_000


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
        name: sorted(line.strip().rstrip(",").strip() for line in sql.splitlines())
        for kind, name, sql in rows
        if kind in kinds and name != migrate.VERSION_TABLE
    }


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


def test_entries_are_guarded_in_the_migrated_database(engine: Engine) -> None:
    """The triggers are part of the migrations; their effect has its own tests."""
    with engine.begin() as connection:
        migrate.upgrade(connection)
        assert set(_statements(connection, ("trigger",))) == {
            "entries_no_delete",
            "entries_no_update",
            "job_events_no_delete",
            "job_events_no_update",
            "jobs_frozen",
            "jobs_moves",
            "jobs_no_delete",
            "jobs_outcome",
            "jobs_task",
            "journal_no_delete",
            "journal_no_update",
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
