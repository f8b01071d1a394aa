"""The one door to the tables.

Exactly one connection reads, writes and checkpoints. A second, read-only one would let reads pass
a waiting write, but the SQLite libraries of common distributions (before 3.51.3) can corrupt a
file when two connections write or checkpoint at the same instant (reliability.md 1.1), and
`query_only` does not forbid a checkpoint. A transaction takes one or two milliseconds, so reads
simply queue; a body that writes in one by mistake fails loudly, and its write is taken back.
Another process may look at the file beside this one: `storage.readonly`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage import locks, migrate, sqlite
from storage.errors import StoreCorrupt, StoreUnavailable

__all__ = [
    "Connection",
    "Database",
    "Store",
    "existed",
    "lock_path",
    "refuse_lost_log",
    "sqlite_path",
]

P = ParamSpec("P")
T = TypeVar("T")

QUEUE_WAIT_S = 10.0
"""How long a transaction waits for its turn: twice the wait for an outside lock, so that one
stuck write does not fail everybody behind it; longer than this nobody waits in Discord."""


class Store(Protocol):
    """What services need of a database; `Database` and `InlineDatabase` are both one."""

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `body` in one write transaction: all of it or nothing."""
        ...

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `body` on one consistent view; writing in it is an error."""
        ...

    async def close(self) -> None:
        """Let running transactions finish, then let go of the file."""
        ...


def sqlite_path(url: str) -> Path:
    """The file behind a `DATABASE_URL`; ValueError unless it is `sqlite+aiosqlite:///<file>`."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ValueError("not a database URL") from error
    if parsed.drivername != "sqlite+aiosqlite":
        raise ValueError("only sqlite+aiosqlite:///<file> is supported")
    if not parsed.database or parsed.database == ":memory:" or parsed.query:
        raise ValueError("a plain file path is needed after sqlite+aiosqlite:///")
    return Path(parsed.database)


class Database:
    """A body is a plain function that is given a `Connection`; a transaction is one call.

    Errors: StoreUnavailable (locked, full, I/O; nothing changed), StoreCorrupt, StoreInUse (a
    later process took over); whatever the body raises rolls back and rises as it is.
    """

    def __init__(self, *, engine: AsyncEngine, path: Path, lock: locks.FileLock) -> None:
        self._engine = engine
        self._path = path
        self._lock = lock
        self.misses_log = False
        """The last process was killed and its write-ahead log is gone: lost, or written into the
        database by whatever tool opened it since (F-113)."""
        self._epoch = 0
        self._running: set[asyncio.Task[object]] = set()
        self._closed = False

    @classmethod
    async def open(cls, url: str) -> Database:
        """Lock, check, migrate, fence; in this order (reliability.md S-10).

        Makes the directory (0700) and the file (0600) when they never existed. Raises StoreInUse
        (another process), StoreCorrupt (damaged, it or its log missing, not ours),
        StoreUnavailable (cannot be written), ValueError (not a URL of ours).
        """
        path = sqlite_path(url)
        lock = _claim(path)
        misses_log = lock.was_left and path.stat().st_size > 0 and not _log_path(path).exists()
        engine = create_async_engine(
            make_url(url),
            pool_size=1,
            max_overflow=0,
            pool_timeout=QUEUE_WAIT_S,
            connect_args={"cached_statements": sqlite.CACHED_STATEMENTS},
            # A statement's parameters are members' words: they belong in no log (C-1).
            hide_parameters=True,
        )
        sqlite.attach(engine.sync_engine)
        database = cls(engine=engine, path=path, lock=lock)
        database.misses_log = misses_log
        try:
            await database._run(_check, path)
            database._epoch = await database._run(_start)
            _mark(path)
            lock.note(log=True)  # there is one now
        except migrate.ForeignDatabase as error:
            await database.close()
            raise StoreCorrupt(path=str(path), cause=str(error)) from error
        except BaseException:
            await database.close()
            raise
        return database

    async def transact(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `body` in a write transaction; it commits even if the caller is cancelled.

        Cancelling a driver call half-way leaves the connection, and the only write lock, with
        nobody: so the transaction runs in its own task and the caller merely waits. A caller that
        gives up must therefore expect its write to commit: every write has a reference.
        """
        return await self._shielded(self._run(self._fenced, body, *args, **kwargs))

    async def read(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `body` on one consistent view; a write raises StoreUnavailable and is undone."""
        return await self._shielded(self._view(body, *args, **kwargs))

    async def close(self) -> None:
        """Let running transactions finish, then drop the connection and the lock."""
        self._closed = True
        await asyncio.gather(*self._running, return_exceptions=True)
        # First, because the log goes with the connection. A start that came to nothing has told
        # nobody what it missed: the next one does.
        self._lock.note(log=self.misses_log and not self._epoch)
        await self._engine.dispose()
        self._lock.release()

    async def _shielded(self, work: Coroutine[object, object, T]) -> T:
        if self._closed:
            work.close()
            raise StoreUnavailable(cause="closed")
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    def _fenced(
        self,
        connection: Connection,
        body: Callable[Concatenate[Connection, P], T],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        locks.assert_epoch(connection, epoch=self._epoch, database=self._path)
        return body(connection, *args, **kwargs)

    async def _run(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        with sqlite.translating(self._path):
            async with self._engine.begin() as connection:
                return await connection.run_sync(body, *args, **kwargs)

    async def _view(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        with sqlite.translating(self._path):
            async with self._engine.connect() as connection:
                await connection.execution_options(**{sqlite.READ_ONLY: True})
                return await connection.run_sync(sqlite.viewed, body, *args, **kwargs)


def _claim(path: Path) -> locks.FileLock:
    """Lock the database and see that its file is there; made only where none ever was."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        locks.refuse_network_filesystem(path.parent)
        lock = locks.FileLock.acquire(lock_path(path), database=path)
    except OSError as error:
        raise StoreUnavailable(cause=str(error)) from error
    try:
        _ensure_file(path)
    except OSError as error:
        lock.release()
        raise StoreUnavailable(cause=str(error)) from error
    except BaseException:
        lock.release()
        raise
    return lock


def refuse_lost_log(path: Path) -> None:
    """Raise StoreCorrupt where somebody took the write-ahead log away, and commits with it (F-113).

    SQLite makes the log before its index and removes it after that, so an index alone is no work of
    its own. Looked at twice, because a process may start in between.
    """
    log, index = _log_path(path), path.with_name(path.name + "-shm")
    if not log.exists() and index.exists() and not log.exists():
        raise StoreCorrupt(path=str(path), cause="log missing")


def lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _log_path(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _marker(path: Path) -> Path:
    return path.with_name(path.name + ".exists")


def existed(path: Path) -> bool:
    """Whether there ever was a database, by the marker or a write-ahead log without its database.

    False also for one that is just being made.
    """
    return _marker(path).exists() or _log_path(path).exists()


def _ensure_file(path: Path) -> None:
    """Never an empty database in place of a missing one, nor one without its commits (F-113)."""
    if existed(path) and (not path.exists() or path.stat().st_size == 0):
        raise StoreCorrupt(path=str(path), cause="missing")
    refuse_lost_log(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _mark(path: Path) -> None:
    """Remember, durably, that there is a database; whoever wants a new one removes this too."""
    descriptor = os.open(_marker(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _check(connection: Connection, path: Path) -> None:
    damage = sqlite.quick_check(connection)
    if damage is not None:
        raise StoreCorrupt(path=str(path), cause=damage)


def _start(connection: Connection) -> int:
    """Schema and fence in one transaction: a start that fails fences nobody."""
    migrate.upgrade(connection)
    return locks.raise_epoch(connection)
