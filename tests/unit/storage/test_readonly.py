"""Reading beside the process that holds the database: never in its way, never writing."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection

from storage import ledger, migrate, preferences
from storage.database import Database, sqlite_path
from storage.errors import StoreCorrupt, StoreInUse, StoreUnavailable
from storage.inline import InlineDatabase
from storage.readonly import OlderSchema, assert_free, ever_made, view

PATIENCE_S = 30.0
"""For another thread or process on a busy machine."""


def put(connection: Connection, value: str) -> None:
    preferences.put(connection, key="a", value=value, now_us=1)


def get(connection: Connection) -> str | None:
    return preferences.get(connection, key="a")


async def test_it_reads_what_is_committed_while_the_holder_writes(
    database: Database, url: str
) -> None:
    """Neither the lock nor an open transaction is in its way, and it sees no half of one."""
    await database.transact(put, value="before")

    def writing(connection: Connection) -> tuple[str | None, tuple[str, ...]]:
        put(connection, value="after")
        return view(url, get), view(url, ledger.audit)

    assert await database.transact(writing) == ("before", ())
    assert view(url, get) == "after"


async def test_one_view_is_one_moment(database: Database, url: str) -> None:
    """What is committed during a long view is not in it, and the writer need not wait for it."""
    await database.transact(put, value="before")

    def twice(connection: Connection) -> tuple[str | None, str | None]:
        first = get(connection)
        reading.set()
        assert may_end.wait(PATIENCE_S)
        return first, get(connection)

    reading, may_end = threading.Event(), threading.Event()
    looking = asyncio.create_task(asyncio.to_thread(view, url, twice))
    assert await asyncio.to_thread(reading.wait, PATIENCE_S)
    try:
        await database.transact(put, value="after")
    finally:
        may_end.set()
    assert await looking == ("before", "before")


async def test_a_body_that_writes_fails_and_leaves_nothing(database: Database, url: str) -> None:
    """At the file, whatever the body does to its own connection."""

    def unlocking(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        put(connection, value="x")

    for body in (lambda connection: put(connection, value="x"), unlocking):
        with pytest.raises(StoreUnavailable):
            view(url, body)
    assert await database.read(get) is None


async def test_the_holder_is_not_fenced(database: Database, url: str) -> None:
    """A look is no start: the epoch stays (S-8)."""
    view(url, get)
    await database.transact(put, value="still mine")


async def test_whether_somebody_holds_it_is_asked_without_taking_it(url: str) -> None:
    """Before there is one, while it is held, and after; a start is possible at once."""
    path = sqlite_path(url)
    assert_free(url)
    assert not ever_made(url)
    assert not path.parent.exists()
    database = await Database.open(url)
    with pytest.raises(StoreInUse) as held:
        assert_free(url)
    assert held.value.pid == os.getpid()
    await database.close()
    assert_free(url)
    assert ever_made(url)
    await (await Database.open(url)).close()
    path.unlink()
    assert ever_made(url)


def test_a_name_without_room_for_the_files_beside_it_is_no_riddle(tmp_path: Path) -> None:
    """F-110: as whoever opens it is told; the database's own name is within the bound."""
    with pytest.raises(StoreUnavailable, match="File name too long"):
        ever_made(f"sqlite+aiosqlite:///{tmp_path / ('x' * 250)}")


CRASH = """
import asyncio, os, signal, sys
from storage import preferences
from storage.database import Database

async def main():
    database = await Database.open(sys.argv[1])
    await database.transact(preferences.put, key="a", value="last words", now_us=1)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_what_a_killed_process_left_is_read_and_not_touched(url: str) -> None:
    """The last commits stand in the log only; a checkpoint is for the next start."""
    done = subprocess.run(
        [sys.executable, "-c", CRASH, url],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])},
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    path = sqlite_path(url)
    log = path.with_name(f"{path.name}-wal")
    before = (path.read_bytes(), log.read_bytes())
    assert view(url, get) == "last words"
    assert (path.read_bytes(), log.read_bytes()) == before


def test_a_missing_or_empty_file_is_not_made(url: str) -> None:
    """F-113."""
    path = sqlite_path(url)
    for make in (path.parent.mkdir, lambda: path.write_bytes(b"")):
        make()
        with pytest.raises(StoreCorrupt) as refused:
            view(url, get)
        assert refused.value.cause == "missing"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


async def test_a_damaged_file_is_refused(url: str) -> None:
    """By SQLite's own check, before anything is believed."""
    await (await Database.open(url)).close()
    path = sqlite_path(url)
    whole = path.read_bytes()
    path.write_bytes(b"\xa5" * 8_192 + whole[8_192:])
    with pytest.raises(StoreCorrupt):
        view(url, get)


def test_an_older_schema_is_named_and_not_migrated(url: str) -> None:
    """Only the holder may change it."""
    path = sqlite_path(url)
    path.parent.mkdir()
    inline = InlineDatabase(path)
    inline.engine.dispose()
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '0001'")
    connection.close()
    with pytest.raises(OlderSchema) as refused:
        view(url, get)
    assert refused.value.path == path
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT version_num FROM {migrate.VERSION_TABLE}").fetchall()
    connection.close()
    assert found == [("0001",)]


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE theirs (x)", f"CREATE TABLE {migrate.VERSION_TABLE} (version_num)"],
)
def test_a_file_that_is_not_ours_is_refused(url: str, statement: str) -> None:
    """Another program's, or a later release's."""
    path = sqlite_path(url)
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
        if migrate.VERSION_TABLE in statement:
            connection.execute(f"INSERT INTO {migrate.VERSION_TABLE} VALUES ('9999')")
    connection.close()
    with pytest.raises(StoreCorrupt):
        view(url, get)
