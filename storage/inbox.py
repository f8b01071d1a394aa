"""What providers told us about jobs: stored before it is acknowledged (S-4, I-35).

A body is a hint and nothing more; the engine reads the task itself before it acts (I-26).
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, insert, literal, or_, select, update

from storage.job_queue import earlier
from storage.job_rows import UNHEARD
from storage.schema import callbacks, jobs
from storage.types import Callback, Outcome


def record_callback(
    connection: Connection, *, job_id: int, attempt: int, digest: str, body: str, now_us: int
) -> bool:
    """Store a genuine callback and make its job due now; False when it is known already.

    `digest` is the SHA-256 of the body as it came, in hexadecimal. Also False for a job that is
    not there, as after a restored backup: nothing can be learnt about it.
    """
    known = select(callbacks.c.id).where(
        callbacks.c.job_id == job_id,
        callbacks.c.attempt == attempt,
        callbacks.c.digest == digest,
    )
    found = select(jobs.c.id, *map(literal, (attempt, digest, body, now_us))).where(
        jobs.c.id == job_id, ~known.exists()
    )
    stored = connection.execute(
        insert(callbacks).from_select(["job_id", "attempt", "digest", "body", "received_us"], found)
    )
    if stored.rowcount == 0:
        return False
    connection.execute(
        update(jobs).where(jobs.c.id == job_id, UNHEARD).values(woken=1, due_us=earlier(now_us))
    )
    return True


def callbacks_of(connection: Connection, *, job_id: int) -> tuple[Callback, ...]:
    """All that came for a job and is still kept, oldest first."""
    rows = connection.execute(
        select(*callbacks.c).where(callbacks.c.job_id == job_id).order_by(callbacks.c.id)
    )
    return tuple(Callback(**row._asdict()) for row in rows)


def mark_seen(connection: Connection, *, callback_ids: Collection[int], now_us: int) -> None:
    """These were acted on."""
    connection.execute(
        update(callbacks)
        .where(callbacks.c.id.in_(callback_ids), callbacks.c.seen_us.is_(None))
        .values(seen_us=now_us)
    )


def purge(connection: Connection, *, before_us: int) -> int:
    """Delete what came before then and is of no more use (C-45); how many.

    What was not acted on stays, unless its job has succeeded anyway.
    """
    succeeded = select(jobs.c.id).where(jobs.c.outcome == Outcome.SUCCEEDED).scalar_subquery()
    return connection.execute(
        delete(callbacks).where(
            callbacks.c.received_us < before_us,
            or_(callbacks.c.seen_us.is_not(None), callbacks.c.job_id.in_(succeeded)),
        )
    ).rowcount
