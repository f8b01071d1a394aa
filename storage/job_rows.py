"""One job's row: how it is read, and the only way in which its status changes."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Collection
from typing import Any, TypeAlias

from sqlalchemy import (
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
from sqlalchemy.sql.dml import ReturningUpdate

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

Changing: TypeAlias = ReturningUpdate[*tuple[Any, ...]]
"""A statement that changes one job and returns `COLUMNS`."""

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


UNHEARD = exists().where(
    callbacks.c.job_id == jobs.c.id,
    callbacks.c.seen_us.is_(None),
    or_(
        jobs.c.outcome.is_(None),
        jobs.c.outcome != Outcome.SUCCEEDED,
        callbacks.c.attempt != jobs.c.attempt,
        and_(jobs.c.attempt > 1, jobs.c.grace_until_us.is_not(None)),
    ),
)
"""A callback waits to be acted on (I-35).

Once a job succeeded only one of another attempt than its task's can tell anything: of a task that
was paid, too. After a doubt about the last attempt the task may be a former one's.
"""
WATCHED = jobs.c.looks > 0
"""A result may still come by polling (S-5), though nobody may call back."""
_OTHER = jobs.alias("other")
_TAKEN = exists().where(
    _OTHER.c.provider == jobs.c.provider, _OTHER.c.task_id == bindparam("bound_id")
)
UNBOUND = ~_TAKEN
"""No job of the same provider has the task `bound_id`."""
_OVER = and_(jobs.c.status == JobStatus.DELIVERED, ~UNHEARD, ~WATCHED)
_RELEASED = {
    "lease_until_us": None,
    "woken": 0,
    "due_us": case(
        (_OVER, NEVER_US),
        (jobs.c.woken == 1, bindparam("until_woken_us")),
        else_=bindparam("until_us"),
    ),
}

# Statements for `change` and `move`. The columns to set are named by the values of the execution:
# a statement that is built for each call costs more than running it.
CHANGE = update(jobs).where(jobs.c.id == bindparam("of")).returning(*COLUMNS)
MOVE = CHANGE.where(jobs.c.status == bindparam("left"))
MOVE_AND_RELEASE = MOVE.values(**_RELEASED)
"""With the values of `released`."""


def released(*, due_us: int, now_us: int) -> dict[str, Any]:
    """What lets go of a job until `due_us`, or until now if it was woken while it was held.

    A delivered job is due only while a callback waits or a late result may come (S-6).
    """
    return {"until_us": due_us, "until_woken_us": min(due_us, now_us)}


def change(
    connection: Connection, statement: Changing = CHANGE, /, *, job_id: int, **values: Any
) -> Job | None:
    """Change a row without moving it, where `statement` allows; the job after it.

    `values` are of columns, and of the statement's own parameters.
    """
    assert values.keys() <= _names(statement), values.keys() - _names(statement)
    changed = connection.execute(statement, {"of": job_id, **values}).one_or_none()
    return None if changed is None else job_of(changed)


@functools.cache
def _names(statement: Changing) -> frozenset[str]:
    """What `change` may be told: SQLAlchemy silently passes over a name that it does not know."""
    return frozenset({*jobs.c.keys(), *statement.compile().params})


def move(
    connection: Connection,
    statement: Changing = MOVE,
    /,
    *,
    job_id: int,
    leave: Collection[JobStatus],
    enter: JobStatus,
    cause: str,
    now_us: int,
    digest: str | None = None,
    **values: Any,
) -> Job | None:
    """Compare and set: from any status in `leave` to `enter`, with its event; the job after it.

    `digest` is of what was sent or answered, for the record. None when the job is elsewhere, or
    when `statement` does not allow it: somebody else was faster.
    """
    old = connection.execute(_STATUS, {"job_id": job_id}).scalar_one_or_none()
    if old is None or old not in leave:
        return None
    assert (JobStatus(old), enter) in LEGAL_MOVES
    moved = change(connection, statement, job_id=job_id, left=old, status=enter, **values)
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
