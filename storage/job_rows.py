"""One job's row: how it is read, and the only way in which its status changes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    exists,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Row

from storage.schema import callbacks, instance, job_events, jobs
from storage.types import NEVER_US, NO_TRIES, Job, JobKind, JobStatus, Outcome, Sink, Tries

PENDING = frozenset({JobStatus.QUEUED, JobStatus.SUBMITTING, JobStatus.RUNNING, JobStatus.UNKNOWN})
"""Without an outcome: the hold is open."""

LEGAL_MOVES = frozenset(
    {
        (JobStatus.QUEUED, JobStatus.SUBMITTING),
        (JobStatus.QUEUED, JobStatus.FINISHED),
        (JobStatus.SUBMITTING, JobStatus.QUEUED),
        (JobStatus.SUBMITTING, JobStatus.RUNNING),
        (JobStatus.SUBMITTING, JobStatus.UNKNOWN),
        (JobStatus.SUBMITTING, JobStatus.FINISHED),
        (JobStatus.RUNNING, JobStatus.FINISHED),
        (JobStatus.UNKNOWN, JobStatus.RUNNING),
        (JobStatus.UNKNOWN, JobStatus.FINISHED),
        (JobStatus.FINISHED, JobStatus.DELIVERED),
    }
)
"""S-1. Never from UNKNOWN back to QUEUED: what may have been paid is not sent again."""

LATE = "late:"
"""How the references of losses begin that were booked after a job's end (I-10)."""
LATE_RESULT = "late_result"
"""The cause of the one event that moves nothing (S-6)."""

COLUMNS = tuple(column for column in jobs.c if column.name not in {"lease_until_us", "woken"})
"""What a `Job` is made of."""

_TRIES = tuple(field.name for field in dataclasses.fields(Tries))


def job_of(row: Row[Any]) -> Job:
    """The record of a row of `COLUMNS`."""
    facts = row._asdict()
    tries = {name: facts.pop(name) for name in _TRIES}
    facts["tries"] = Tries(**tries) if any(tries.values()) else NO_TRIES
    for name, word in (("outcome", Outcome), ("sink", Sink)):
        if facts[name] is not None:
            facts[name] = word(facts[name])
    facts["kind"] = JobKind(facts["kind"])
    facts["status"] = JobStatus(facts["status"])
    facts["request"] = json.loads(facts["request"])
    facts["spoiler"] = facts["spoiler"] == 1
    return Job(**facts)


def tries_as_values(tries: Tries) -> dict[str, Any]:
    """The columns that keep them."""
    return {name: getattr(tries, name) for name in _TRIES}


_CHANGE = update(jobs).returning(*COLUMNS)


def change(
    connection: Connection, *, job_id: int, where: Collection[Any], **values: Any
) -> Job | None:
    """Change a row without moving it, if `where` holds; the job after it."""
    changed = connection.execute(
        _CHANGE.where(jobs.c.id == job_id, *where).values(**values)
    ).one_or_none()
    return None if changed is None else job_of(changed)


def move(
    connection: Connection,
    *,
    job_id: int,
    leave: Collection[JobStatus],
    enter: JobStatus,
    cause: str,
    now_us: int,
    where: Collection[Any] = (),
    digest: str | None = None,
    **values: Any,
) -> Job | None:
    """Compare and set: from any status in `leave` to `enter`, with its event; the job after it.

    `digest` is of what was sent or answered, for the record. None when the job is elsewhere, or
    when `where` does not hold: somebody else was faster.
    """
    old = connection.execute(_STATUS, {"job_id": job_id}).scalar_one_or_none()
    if old is None or old not in leave:
        return None
    assert (JobStatus(old), enter) in LEGAL_MOVES
    moved = change(
        connection, job_id=job_id, where=(jobs.c.status == old, *where), status=enter, **values
    )
    if moved is not None:
        note(connection, moved, old=JobStatus(old), cause=cause, digest=digest, now_us=now_us)
    return moved


_STATUS = select(jobs.c.status).where(jobs.c.id == bindparam("job_id"))
_NOTE = insert(job_events).values(
    epoch=select(instance.c.epoch).where(instance.c.id == 1).scalar_subquery()
)


def note(
    connection: Connection,
    job: Job,
    *,
    old: JobStatus | None,
    cause: str,
    digest: str | None = None,
    now_us: int,
) -> None:
    """Append the event of a move (I-20), under the epoch of the process that made it (I-29)."""
    connection.execute(
        _NOTE,
        {
            "job_id": job.id,
            "old_status": old,
            "new_status": job.status,
            "cause": cause,
            "attempt": job.attempt,
            "at_us": now_us,
            "digest": digest,
        },
    )


UNHEARD = exists().where(
    callbacks.c.job_id == jobs.c.id,
    callbacks.c.seen_us.is_(None),
    or_(
        jobs.c.outcome.is_(None),
        jobs.c.outcome != Outcome.SUCCEEDED,
        callbacks.c.attempt != jobs.c.attempt,
    ),
)
"""A callback waits to be acted on (I-35).

Once a job succeeded only one of a former attempt can tell anything: of a task that was paid, too.
"""
WATCHED = jobs.c.looks > 0
"""A result may still come by polling (S-5), though nobody may call back."""


def released(*, due_us: int, now_us: int) -> dict[str, Any]:
    """What lets go of a job until `due_us`, or until now if it was woken while it was held.

    A delivered job is due only while a callback waits or a late result may come (S-6).
    """
    over = and_(jobs.c.status == JobStatus.DELIVERED, ~UNHEARD, ~WATCHED)
    return {
        "lease_until_us": None,
        "woken": 0,
        "due_us": case((over, NEVER_US), (jobs.c.woken == 1, min(due_us, now_us)), else_=due_us),
    }


def unbound(task_id: str) -> ColumnElement[bool]:
    """No job of the same provider has this task."""
    other = jobs.alias("other")
    taken = exists().where(other.c.provider == jobs.c.provider, other.c.task_id == task_id)
    return ~taken
