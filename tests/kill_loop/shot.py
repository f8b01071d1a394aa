"""What a dead bot's file says: read from a copy, so that the next life recovers the real one.

Plain SQL on purpose: the functions of `storage` are what is being judged. Only the audit is the
bot's own, because an operator would run it, too.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import quote

from storage import ledger, readonly

R = TypeVar("R", "JobRow", "HoldRow", "TurnRow")

DATABASE: Final = "sandbox.db"
PENDING: Final = frozenset({"queued", "submitting", "running", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One row of `jobs`, as far as the outside can know of it."""

    id: int
    short_id: str
    reference: str
    user_id: int
    prompt: str
    status: str
    outcome: str | None
    attempt: int
    task_id: str | None
    price_ucr: int
    cost_ucr: int
    charged_ucr: int | None
    sink: str | None

    @property
    def is_open(self) -> bool:
        return self.status in PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """One row of `holds`."""

    reference: str
    user_id: int
    state: str
    amount_ucr: int
    charged_ucr: int | None
    loss_ucr: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """One row of `turns`."""

    reference: str
    state: str
    message_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """The file at one moment. `unsound` are the facts of the audit, empty when it is sound."""

    jobs: dict[str, JobRow] = field(default_factory=dict)
    """By short id."""
    holds: dict[str, HoldRow] = field(default_factory=dict)
    turns: dict[str, TurnRow] = field(default_factory=dict)
    callbacks: frozenset[tuple[int, int]] = frozenset()
    """Job and attempt of every stored body."""
    unseen: frozenset[tuple[int, int]] = frozenset()
    """Those of them that were not acted on."""
    grants: dict[str, int] = field(default_factory=dict)
    """Reference → micro-credits."""
    entries: int = 0
    last: tuple[int, bytes] = (0, b"")
    """The newest entry and its digest."""
    former: tuple[int, bytes] = (0, b"")
    """The entry that was the newest one in the shot before, as it is now."""
    epoch: int = 0
    unsound: tuple[str, ...] = ()

    def open_work(self) -> Counter[str]:
        """How many jobs and turns are not over, by state."""
        states = Counter(job.status for job in self.jobs.values() if job.status != "delivered")
        states["turn"] = sum(turn.state == "pending" for turn in self.turns.values())
        return +states


def copy_of(data: Path, into: Path) -> Path | None:
    """Copy the database with its log; None when no life has made one yet."""
    source = data / DATABASE
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    if not source.exists() or (source.stat().st_size == 0 and not _log(source).exists()):
        return None
    for path in (source, _log(source)):
        if path.exists():
            shutil.copy2(path, into / path.name)
    return into / DATABASE


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def take(copy: Path, *, after: Shot | None = None) -> Shot | None:
    """Read a copy; None when it has no tables yet. It blocks, so it is nothing for a loop.

    `after` is the shot before: its last entry is looked up again.
    """
    with closing(sqlite3.connect(copy)) as connection:
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            return None
    unsound = readonly.view(f"sqlite+aiosqlite:///{copy}", ledger.audit)
    with closing(sqlite3.connect(copy)) as connection:
        return _read(connection, unsound=unsound, after=after or Shot())


def peek(data: Path) -> Shot:
    """Look at the file beside the running bot, as `storage.readonly` does; without the audit."""
    address = f"file:{quote(str(data / DATABASE))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        return _read(connection, unsound=(), after=Shot())


def _read(connection: sqlite3.Connection, *, unsound: tuple[str, ...], after: Shot) -> Shot:
    run = connection.execute
    bodies = run("SELECT job_id, attempt, seen_us FROM callbacks").fetchall()
    grants = "SELECT reference, delta_ucr FROM journal WHERE kind = 'grant'"
    digests = "SELECT id, digest FROM entries WHERE id = ?"
    entries = run("SELECT coalesce(max(id), 0) FROM entries").fetchone()[0]
    return Shot(
        jobs={row.short_id: row for row in _rows(connection, JobRow, "jobs")},
        holds={row.reference: row for row in _rows(connection, HoldRow, "holds")},
        turns={row.reference: row for row in _rows(connection, TurnRow, "turns")},
        callbacks=frozenset((job, attempt) for job, attempt, _seen in bodies),
        unseen=frozenset((job, attempt) for job, attempt, seen in bodies if seen is None),
        grants=dict(run(grants).fetchall()),
        entries=entries,
        former=run(digests, (after.last[0],)).fetchone() or (0, b""),
        last=run(digests, (entries,)).fetchone() or (0, b""),
        epoch=run("SELECT epoch FROM instance").fetchone()[0],
        unsound=unsound,
    )


def _rows(connection: sqlite3.Connection, record: type[R], table: str) -> Iterator[R]:
    names = [one.name for one in fields(record)]
    for row in connection.execute(f"SELECT {', '.join(names)} FROM {table}"):
        yield record(**dict(zip(names, row, strict=True)))
