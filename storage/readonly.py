"""Reads a database that another process may hold: no lock, no migration, no write.

`Database` keeps to one connection because old SQLite libraries can corrupt a file that two
connections write or checkpoint at the same instant. This one can do neither: the file itself is
open for reading only, so that even a checkpoint, which `query_only` would allow, fails. The holder
is not held up either; its log merely grows for as long as a view lasts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

from storage import locks, migrate, sqlite
from storage.database import existed, lock_path, refuse_lost_log, sqlite_path
from storage.errors import StoreCorrupt, StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

_PRAGMAS = (
    f"PRAGMA busy_timeout = {sqlite.BUSY_TIMEOUT_MS}",
    "PRAGMA query_only = ON",
    "PRAGMA trusted_schema = OFF",
)


class OlderSchema(Exception):
    """The database waits for this version's migrations, which a reader must not run."""

    def __init__(self, *, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


def ever_made(url: str) -> bool:
    """Whether there is a database to look at, or was one that is missing now.

    Raises `StoreUnavailable` where nobody can tell, such as for a name too long for the files
    beside it; ValueError (not a URL of ours).
    """
    path = sqlite_path(url)
    try:
        return existed(path) or (path.is_file() and path.stat().st_size > 0)
    except OSError as error:
        raise StoreUnavailable(cause=str(error)) from error


def assert_free(url: str) -> None:
    """Raise `StoreInUse` when another process holds the database; this one does not take it."""
    path = sqlite_path(url)
    locks.assert_free(lock_path(path), database=path)


def sound(_connection: Connection) -> None:
    """Look at nothing more than what every view checks."""


def view(
    url: str,
    body: Callable[Concatenate[Connection, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `body` on one moment of the database; it blocks, so it is nothing for a loop.

    Raises `StoreCorrupt` (it or its log missing, damaged, not ours), `OlderSchema`,
    `StoreUnavailable` (cannot be read; also when the body writes), ValueError (not a URL of ours).
    """
    path = sqlite_path(url)
    if not path.is_file() or path.stat().st_size == 0:
        raise StoreCorrupt(path=str(path), cause="missing")
    refuse_lost_log(path)
    engine = create_engine(
        "sqlite+pysqlite://", creator=lambda: _open(path), poolclass=NullPool, hide_parameters=True
    )
    event.listen(engine, "begin", _begun)
    try:
        with sqlite.translating(path), engine.connect() as connection:
            _check(connection, path)
            return body(connection, *args, **kwargs)
    finally:
        engine.dispose()


def _open(path: Path) -> sqlite3.Connection:
    # None: the driver must not begin transactions by its own guess.
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None
    )
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


def _begun(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _check(connection: Connection, path: Path) -> None:
    damage = sqlite.quick_check(connection)
    if damage is not None:
        raise StoreCorrupt(path=str(path), cause=damage)
    try:
        found = migrate.known_revision(connection)
    except migrate.ForeignDatabase as error:
        raise StoreCorrupt(path=str(path), cause=str(error)) from error
    if found != migrate.head():
        raise OlderSchema(path=path)
