"""The same face as `Database` without thread or second task: for unit tests and simulation.

The bodies, the SQL, the schema and the pragmas are the real ones; only the way to the connection
differs. It takes no file lock: whoever uses it owns the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from storage import migrate, sqlite

P = ParamSpec("P")
T = TypeVar("T")

MEMORY = ":memory:"
_images: dict[str, bytes] = {}
"""The migrated, empty database in memory, once it was made."""


class InlineDatabase:
    """A `Store` on one synchronous connection; also usable without a loop by `run` and `view`."""

    def __init__(self, path: Path | str = MEMORY) -> None:
        self._path = path
        self.engine = create_engine(
            f"sqlite+pysqlite:///{path}",
            # One connection for ever, as in production; and `:memory:` lives as long as it does.
            poolclass=StaticPool,
            connect_args={"cached_statements": sqlite.CACHED_STATEMENTS},
            hide_parameters=True,
        )
        sqlite.attach(self.engine)
        self._prepare()

    @classmethod
    async def open(cls, path: Path | str = MEMORY) -> InlineDatabase:
        """As `Database.open`, with a file path or `:memory:`."""
        return cls(path)

    def _prepare(self) -> None:
        """Bring the newest schema; in memory a copy of the first one, thousands of times faster."""
        if str(self._path) != MEMORY:
            self.run(migrate.upgrade)
        elif (image := _images.get(MEMORY)) is None:
            self.run(migrate.upgrade)
            _images[MEMORY] = self.image()
        else:
            self.restore(image)

    def image(self) -> bytes:
        """All that is committed, as a file would hold it."""
        return bytes(self._driver().serialize())

    def restore(self, image: bytes | None = None) -> None:
        """Be what `image` was taken of, in memory; without one, empty and migrated.

        Thousands of times faster than another database, because all that was compiled stays.
        """
        self._driver().deserialize(_images[MEMORY] if image is None else image)
        # What the copy brought along are its own settings.
        sqlite.set_pragmas(self._driver())

    def _driver(self) -> Any:
        return self.engine.raw_connection().driver_connection

    def run(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`transact` for callers without a loop."""
        with sqlite.translating(self._path), self.engine.begin() as connection:
            return body(connection, *args, **kwargs)

    def view(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`read` for callers without a loop."""
        with sqlite.translating(self._path), self.engine.connect() as connection:
            reading = connection.execution_options(**{sqlite.READ_ONLY: True})
            return sqlite.viewed(reading, body, *args, **kwargs)

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `body` in one write transaction."""
        return self.run(body, *args, **kwargs)

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `body` on one consistent view."""
        return self.view(body, *args, **kwargs)

    async def close(self) -> None:
        """Drop the connection, and with it an in-memory database."""
        self.engine.dispose()
