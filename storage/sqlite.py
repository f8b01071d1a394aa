"""What every SQLite connection of ours has in common: pragmas, transactions, and what errors mean.

Why FULL: with NORMAL a power cut may lose the last commits (sqlite.org/wal.html). Why IMMEDIATE: a
transaction that reads first and then writes gets SQLITE_BUSY at once, whatever the time-out
(reliability.md 1.1).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from storage.errors import StorageError, StoreCorrupt, StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
"""F-110: how long a write waits for an outside tool's lock; a member waits no longer."""
CACHED_STATEMENTS = 512
"""More than there are: the driver's 128 would prepare some of them again and again."""
READ_ONLY = "atelier_read_only"
"""Execution option of a connection that is about to read."""
WAL_RESET_FIXED = (3, 51, 3)
"""sqlite.org/wal.html#walresetbug; harmless here because there is one connection."""

_PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # REPLACE fires the triggers that forbid DELETE.
    "PRAGMA recursive_triggers = ON",
    # Erased texts (/forget) must not stay readable in free pages.
    "PRAGMA secure_delete = ON",
    "PRAGMA trusted_schema = OFF",
)
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
_PRIMARY_CODE_MASK = 0xFF


def attach(engine: Engine) -> None:
    """Give the engine's connections our pragmas and our kind of transaction."""
    event.listen(engine, "connect", _connected)
    event.listen(engine, "begin", _begun)


def _connected(dbapi_connection: Any, _record: object) -> None:
    # None: the driver must not begin transactions by its own guess.
    dbapi_connection.isolation_level = None
    set_pragmas(dbapi_connection)


def set_pragmas(dbapi_connection: Any) -> None:
    """Set what is not stored in the file."""
    cursor = dbapi_connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begun(connection: Connection) -> None:
    reading = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def viewed(
    connection: Connection,
    body: Callable[Concatenate[Connection, P], T],
    /,
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run `body` where a write raises StoreUnavailable; the caller takes it back.

    `query_only` would refuse it sooner, but SQLite prepares every statement of the connection anew
    after each change of that pragma, which costs several times what the statements do.
    """
    driver: Any = connection.connection.driver_connection
    changes = driver.total_changes
    found = body(connection, *args, **kwargs)
    if driver.total_changes != changes:
        raise StoreUnavailable(cause="attempt to write in a read")
    return found


def quick_check(connection: Connection) -> str | None:
    """The first damage that SQLite finds, or None."""
    found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    return None if found == "ok" else str(found)


@contextmanager
def translating(path: Path | str) -> Iterator[None]:
    """Raise our errors instead of the driver's, chained."""
    try:
        yield
    except UnicodeDecodeError as error:
        # The driver's own, on names and messages of a damaged file (F-113).
        raise StoreCorrupt(path=str(path), cause="text that is not UTF-8") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        meaning = _meaning(error, path)
        if meaning is None:
            raise
        raise meaning from error


def _meaning(error: Exception, path: Path | str) -> StorageError | None:
    """What a driver's error means to a caller, or None when it is a bug of ours.

    A broken constraint or a wrong statement is such a bug: the functions of this package look
    before they write, and the constraint is the second defence. It rises as it is.
    """
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(cause="too many transactions waiting")
    original = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(original, sqlite3.DatabaseError):
        return None
    # Errors that the driver itself makes, such as on a closed connection, have no code.
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None and code & _PRIMARY_CODE_MASK in _CORRUPT:
        return StoreCorrupt(path=str(path), cause=str(original))
    unavailable = code is None or code & _PRIMARY_CODE_MASK in _UNAVAILABLE
    if isinstance(original, sqlite3.OperationalError) and unavailable:
        return StoreUnavailable(cause=str(original))
    return None
