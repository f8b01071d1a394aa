"""The database of a world: real SQLite in memory, reset in a moment, with a list of what changed.

One engine serves all worlds of an interpreter, because a new one would lose the compiled
statements. A reset copies the pages of a migrated template over it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, event

from storage import sqlite
from storage.errors import StoreUnavailable
from storage.inline import MEMORY, InlineDatabase

P = ParamSpec("P")
T = TypeVar("T")

WATCHED = ("accounts", "holds", "jobs", "callbacks", "turns")
"""Tables whose rows may change; the others only grow."""


class Ground:
    """One connection for all worlds, one after the other."""

    def __init__(self) -> None:
        self._inner = InlineDatabase()
        self._connection = self._inner.engine.connect()
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        self.raw = raw
        self.statements_left = -1
        """F-112: after so many statements comes an I/O error; below nothing never."""
        event.listen(self._inner.engine, "before_cursor_execute", self._count)
        _watch(raw)
        self._template = sqlite3.connect(MEMORY)
        raw.backup(self._template)

    def close(self) -> None:
        """Let go of the memory."""
        self._connection.close()
        self._inner.engine.dispose()
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
            done = body(self._connection, *args, **kwargs)
            if self.statements_left == 0:
                raise StoreUnavailable(cause="disk I/O error at the commit")
            return done

    def view(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """As `InlineDatabase.view`: a write is refused."""
        self._connection.execution_options(**{sqlite.READ_ONLY: True})
        try:
            with sqlite.translating(MEMORY), self._connection.begin():
                return sqlite.viewed(self._connection, body, *args, **kwargs)
        finally:
            self._connection.execution_options(**{sqlite.READ_ONLY: False})

    def _count(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if self.statements_left >= 0 and not statement.startswith("BEGIN"):
            if self.statements_left == 0:
                raise StoreUnavailable(cause="disk I/O error")
            self.statements_left -= 1

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
