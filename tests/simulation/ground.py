"""The database of a world: real SQLite in memory, reset in a moment, with a list of what changed.

One engine serves all worlds of an interpreter, because a new one would lose the compiled
statements. A reset takes back what the last world wrote.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Concatenate, NoReturn, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import StaticPool

from storage import sqlite
from storage.errors import StoreUnavailable
from storage.inline import MEMORY, InlineDatabase
from tests.simulation.lean import LeanConnection

P = ParamSpec("P")
T = TypeVar("T")

WATCHED = ("accounts", "holds", "jobs", "callbacks", "turns")
"""Tables whose rows may change; the others only grow."""


class Ground:
    """One connection for all worlds, one after the other.

    A world is one transaction of SQLite that never commits, and the bot's are savepoints in it:
    what begins anew as after the migrations keeps its prepared statements, which would otherwise
    take a fifth of the time. No constraint of the schema is deferred, so both end alike.
    """

    def __init__(self, *, is_lean: bool = True) -> None:
        migrated = InlineDatabase()
        # Not the one of production, which is listened to and begins by itself: that is slower.
        self._engine = create_engine(
            f"sqlite+pysqlite:///{MEMORY}",
            poolclass=StaticPool,
            connect_args={"cached_statements": sqlite.CACHED_STATEMENTS},
        )
        connection = self._engine.connect()
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self.raw = raw
        self._usual = connection
        if is_lean:
            self._usual = cast("Connection", LeanConnection(connection, raw))
        self._watched = self._engine.connect()
        self._left = 0
        self._cause = ""
        event.listen(self._watched, "before_cursor_execute", self._count)
        raw.isolation_level = None
        raw.deserialize(migrated.image())
        migrated.engine.dispose()
        sqlite.set_pragmas(raw)
        _watch(raw)

    def close(self) -> None:
        """Let go of the memory."""
        self._watched.close()
        self._engine.dispose()

    def reset(self) -> None:
        """Begin anew, as after the migrations."""
        self.raw.rollback()
        self.raw.execute("BEGIN IMMEDIATE")

    def run(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `InlineDatabase.run`, on the connection that stays."""
        with self._transaction():
            return body(self._usual, *args, **kwargs)

    def run_until_error(
        self, body: Callable[[Connection], T], *, statements: int, cause: str
    ) -> NoReturn:
        """F-111, F-112: an error comes after so many statements, at the commit if not before."""
        self._left, self._cause = statements, cause
        with self._transaction():
            body(self._watched)
            raise StoreUnavailable(cause=f"{cause}, at the commit")

    def _count(self, *_event: Any) -> None:
        if self._left == 0:
            raise StoreUnavailable(cause=self._cause)
        self._left -= 1

    def view(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `InlineDatabase.view`: a write is refused."""
        with self._transaction():
            return sqlite.viewed(self._usual, body, *args, **kwargs)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        execute = self.raw.execute
        with sqlite.translating(MEMORY):
            execute("SAVEPOINT bots")
            try:
                yield
            except BaseException:
                execute("ROLLBACK TO bots")
                raise
            finally:
                execute("RELEASE bots")

    def rows(self, statement: str, *values: Any) -> list[Any]:
        """Read beside everything else."""
        return self.raw.execute(statement, values).fetchall()


def _watch(raw: sqlite3.Connection) -> None:
    """Note the number of each changed row; nothing of the bot's own tables is touched."""
    raw.execute("CREATE TABLE changes (id INTEGER PRIMARY KEY, name TEXT, row INTEGER)")
    for table in WATCHED:
        for change, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            if change != "DELETE" or table == "callbacks":
                raw.execute(
                    f"CREATE TRIGGER changes_{table}_{change} AFTER {change} ON {table} BEGIN"
                    f" INSERT INTO changes (name, row) VALUES ('{table}', {row}.id); END"
                )
