"""What providers told us about jobs: stored before it is acknowledged (S-4, I-35).

A body is a hint and nothing more; the engine reads the task itself before it acts (I-26).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from storage.job_queue import EARLIER
from storage.job_rows import UNHEARD
from storage.schema import callbacks, jobs
from storage.types import Callback, JobStatus, Outcome


class Verdict(StrEnum):
    """What became of a genuine callback."""

    #: Stored just now.
    NEW = "new"
    #: Stored before, or twice in the same batch.
    KNOWN = "known"
    #: Not stored: too many other bodies came, and our own read of the task is due anyway.
    NOT_NEEDED = "not_needed"
    #: Not stored, and it may matter: too many bodies wait to be looked at; it must come again.
    CROWDED = "crowded"
    #: Not stored: there is no such job, or it has been over for too long.
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A body that came to an address of ours. `digest` is its SHA-256, in hexadecimal."""

    job_id: int
    attempt: int
    digest: str
    body: str


_IDS = bindparam("ids", type_=callbacks.c.id.type, expanding=True)
_EVICT = delete(callbacks).where(callbacks.c.id.in_(_IDS))
_STORE = insert(callbacks)
_WAKE = update(jobs).where(jobs.c.id.in_(_IDS), UNHEARD).values(woken=1, due_us=EARLIER)


def record_callbacks(
    connection: Connection,
    *,
    arrivals: Sequence[Arrival],
    bodies_max: int,
    over_before_us: int,
    now_us: int,
) -> tuple[Verdict, ...]:
    """Store genuine callbacks and make their jobs due now; the verdict on each, in order.

    Of one job and attempt at most `bodies_max` different bodies are kept; one that was acted on
    makes room for one that was not. Jobs that were delivered before `over_before_us` are gone.
    """
    shelves = _shelves(connection, {arrival.job_id for arrival in arrivals})
    verdicts = []
    for arrival in arrivals:
        shelf = shelves.get(arrival.job_id)
        if shelf is None or shelf.is_over(over_before_us):
            verdicts.append(Verdict.GONE)
        else:
            verdicts.append(shelf.take(arrival, bodies_max))
    evicted = [row_id for shelf in shelves.values() for row_id in shelf.evicted]
    if evicted:
        connection.execute(_EVICT, {"ids": evicted})
    new = [
        {
            "job_id": arrival.job_id,
            "attempt": arrival.attempt,
            "digest": arrival.digest,
            "body": arrival.body,
            "received_us": now_us,
        }
        for arrival, verdict in zip(arrivals, verdicts, strict=True)
        if verdict is Verdict.NEW
    ]
    if new:
        connection.execute(_STORE, new)
        heard = {values["job_id"] for values in new}
        connection.execute(_WAKE, {"ids": list(heard), "now_us": now_us})
    return tuple(verdicts)


class _Shelf:
    """What is kept of one job while a batch is judged."""

    def __init__(self, job: Any) -> None:
        self._job = job
        self._kept: dict[int, dict[str, int | None]] = {}
        """Attempt → digest → the row that may go because it was acted on; oldest first."""
        self.evicted: list[int] = []

    def put(self, attempt: int, digest: str, seen_row_id: int | None) -> None:
        self._kept.setdefault(attempt, {})[digest] = seen_row_id

    def is_over(self, before_us: int) -> bool:
        delivered_us: int | None = self._job.delivered_us
        return delivered_us is not None and delivered_us < before_us

    def take(self, arrival: Arrival, bodies_max: int) -> Verdict:
        kept = self._kept.setdefault(arrival.attempt, {})
        if arrival.digest in kept:
            return Verdict.KNOWN
        if len(kept) >= bodies_max:
            if self._is_read_anyway(arrival.attempt):
                return Verdict.NOT_NEEDED
            seen = next((digest for digest, row_id in kept.items() if row_id is not None), None)
            if seen is None:
                return Verdict.CROWDED
            row_id = kept.pop(seen)
            assert row_id is not None
            self.evicted.append(row_id)
        kept[arrival.digest] = None
        return Verdict.NEW

    def _is_read_anyway(self, attempt: int) -> bool:
        """Whether nothing that a body could say would change what is done for the job (I-26)."""
        job = self._job
        has_result = job.outcome == Outcome.SUCCEEDED or job.late_us is not None
        # It is polled until it ends; but a former attempt's task is named by its callback only.
        return (has_result or job.status == JobStatus.RUNNING) and bool(attempt == job.attempt)


_JOBS = select(
    jobs.c.id,
    jobs.c.status,
    jobs.c.outcome,
    jobs.c.attempt,
    jobs.c.late_us,
    jobs.c.delivered_us,
).where(jobs.c.id.in_(_IDS))
_KEPT = (
    select(
        callbacks.c.id,
        callbacks.c.job_id,
        callbacks.c.attempt,
        callbacks.c.digest,
        callbacks.c.seen_us,
    )
    .where(callbacks.c.job_id.in_(_IDS))
    .order_by(callbacks.c.id)
)


def _shelves(connection: Connection, job_ids: Collection[int]) -> dict[int, _Shelf]:
    of = {"ids": sorted(job_ids)}
    shelves = {row.id: _Shelf(row) for row in connection.execute(_JOBS, of)}
    for row in connection.execute(_KEPT, of):
        shelves[row.job_id].put(row.attempt, row.digest, None if row.seen_us is None else row.id)
    return shelves


_OF_JOB = select(*callbacks.c).where(callbacks.c.job_id == bindparam("of")).order_by(callbacks.c.id)
_UNSEEN = _OF_JOB.where(callbacks.c.seen_us.is_(None))


def callbacks_of(connection: Connection, *, job_id: int) -> tuple[Callback, ...]:
    """All that came for a job and is still kept, oldest first."""
    rows = connection.execute(_OF_JOB, {"of": job_id})
    return tuple(Callback(**row._asdict()) for row in rows)


def unseen_of(connection: Connection, *, job_id: int) -> tuple[Callback, ...]:
    """Those that nobody has acted on."""
    rows = connection.execute(_UNSEEN, {"of": job_id})
    return tuple(Callback(**row._asdict()) for row in rows)


_MARK_SEEN = update(callbacks).where(callbacks.c.id.in_(_IDS), callbacks.c.seen_us.is_(None))


def mark_seen(connection: Connection, *, callback_ids: Collection[int], now_us: int) -> None:
    """These were acted on."""
    connection.execute(_MARK_SEEN, {"ids": list(callback_ids), "seen_us": now_us})


_TRIED = update(callbacks).where(callbacks.c.id.in_(_IDS)).values(tries=callbacks.c.tries + 1)


def tried(connection: Connection, *, callback_ids: Collection[int]) -> None:
    """The task that these name was read once more, and nothing was decided by it."""
    connection.execute(_TRIED, {"ids": list(callback_ids)})


_PURGE = delete(callbacks).where(
    callbacks.c.received_us < bindparam("before_us"),
    or_(
        callbacks.c.seen_us.is_not(None),
        callbacks.c.job_id.in_(select(jobs.c.id).where(jobs.c.outcome == Outcome.SUCCEEDED)),
    ),
)


def purge(connection: Connection, *, before_us: int) -> int:
    """Delete what came before then and is of no more use (C-45); how many.

    What was not acted on stays, unless its job has succeeded anyway.
    """
    return connection.execute(_PURGE, {"before_us": before_us}).rowcount
