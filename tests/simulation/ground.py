"""The database of a world: real SQLite in memory, reset in a moment, with a list of what changed.

One engine serves all worlds of an interpreter, because a new one would lose the compiled
statements. A reset copies the pages of a migrated template over it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

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
    """One connection for all worlds, one after the other."""

    def __init__(self, *, is_lean: bool = True) -> None:
        migrated = InlineDatabase()
        # A connection that is listened to is slower at every statement: here `begin` is told,
        # and errors strike on another one.
        self._engine = create_engine(
            f"sqlite+pysqlite:///{MEMORY}",
            poolclass=StaticPool,
            connect_args={"cached_statements": sqlite.CACHED_STATEMENTS},
        )
        self._connection = self._engine.connect()
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self.raw = raw
        self._usual = self._connection
        if is_lean:
            self._usual = cast("Connection", LeanConnection(self._connection, raw))
        raw.isolation_level = None
        raw.deserialize(migrated.image())
        migrated.engine.dispose()
        sqlite.set_pragmas(raw)
        _watch(raw)
        self._template = sqlite3.connect(MEMORY)
        raw.backup(self._template)

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()
        self._engine.dispose()
        self._template.close()

    def reset(self) -> None:
        """Begin anew, as after the migrations."""
        assert not self.raw.in_transaction
        self._template.backup(self.raw)

    def run(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `InlineDatabase.run`, on the connection that stays."""
        with sqlite.translating(MEMORY), self._connection.begin():
            self.raw.execute("BEGIN IMMEDIATE")
            return body(self._usual, *args, **kwargs)

    def run_until_error(self, body: Callable[[Connection], T], *, statements: int, cause: str) -> T:
        """F-111, F-112: an error comes after so many statements, the commit is the last of them."""
        left = statements

        def count(*_event: Any) -> None:
            nonlocal left
            if left == 0:
                raise StoreUnavailable(cause=cause)
            left -= 1

        def counted(connection: Connection) -> T:
            done = body(connection)
            if left == 0:
                raise StoreUnavailable(cause=f"{cause}, at the commit")
            return done

        with self._engine.connect() as watched:
            event.listen(watched, "before_cursor_execute", count)
            with sqlite.translating(MEMORY), watched.begin():
                self.raw.execute("BEGIN IMMEDIATE")
                return counted(watched)

    def view(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `InlineDatabase.view`: a write is refused."""
        with sqlite.translating(MEMORY), self._connection.begin():
            self.raw.execute("BEGIN")
            return sqlite.viewed(self._usual, body, *args, **kwargs)

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
