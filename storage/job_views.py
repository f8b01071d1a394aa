"""What is read of jobs: one, a member's, their files."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    and_,
    bindparam,
    func,
    or_,
    select,
    update,
)

from storage.job_rows import COLUMNS, PENDING, job_of
from storage.schema import artifacts, job_events, jobs
from storage.short_ids import normalised
from storage.types import Artifact, Durations, Job, JobStatus, Outcome, Sink, Verdict

_BY_ID = select(*COLUMNS).where(jobs.c.id == bindparam("of"))
_BY_SHORT_ID = select(*COLUMNS).where(jobs.c.short_id == bindparam("of"))
_BY_REFERENCE = select(*COLUMNS).where(jobs.c.reference == bindparam("of"))
_BY_TASK = select(*COLUMNS).where(
    jobs.c.provider == bindparam("provider"), jobs.c.task_id == bindparam("of")
)


def get(connection: Connection, *, job_id: int) -> Job | None:
    """The job with this number."""
    return _one(connection, _BY_ID, job_id)


def by_short_id(connection: Connection, *, short_id: str) -> Job | None:
    """The job that people call so; small letters and misread ones are understood."""
    return _one(connection, _BY_SHORT_ID, normalised(short_id))


def by_reference(connection: Connection, *, reference: str) -> Job | None:
    """The job that this interaction made (I-33)."""
    return _one(connection, _BY_REFERENCE, reference)


def by_task(connection: Connection, *, provider: str, task_id: str) -> Job | None:
    """The job that this task belongs to (I-25)."""
    return _one(connection, _BY_TASK, task_id, provider=provider)


def _one(
    connection: Connection, statement: Select[*tuple[Any, ...]], of: int | str, **more: str
) -> Job | None:
    row = connection.execute(statement, {"of": of, **more}).one_or_none()
    return None if row is None else job_of(row)


_VERDICT = (
    select(job_events.c.new_status, job_events.c.digest)
    .where(
        job_events.c.job_id == bindparam("of"),
        job_events.c.attempt == bindparam("nth"),
        job_events.c.old_status == JobStatus.SUBMITTING,
    )
    .order_by(job_events.c.id)
    .limit(1)
)


def verdict_on(connection: Connection, *, job_id: int, attempt: int) -> Verdict | None:
    """How the answer to a create was judged; None while it was not."""
    row = connection.execute(_VERDICT, {"of": job_id, "nth": attempt}).one_or_none()
    if row is None:
        return None
    refused = row.new_status in {JobStatus.QUEUED, JobStatus.FINISHED}
    return Verdict(is_not_created=refused, digest=row.digest)


def list_for(
    connection: Connection, *, user_id: int, limit: int, before_id: int | None = None
) -> tuple[Job, ...]:
    """A member's jobs, newest first; `before_id` is the last one already shown."""
    statement = select(*COLUMNS).where(jobs.c.user_id == user_id)
    if before_id is not None:
        statement = statement.where(jobs.c.id < before_id)
    rows = connection.execute(statement.order_by(jobs.c.id.desc()).limit(limit))
    return tuple(job_of(row) for row in rows)


_OPEN_COUNT = (
    select(func.count())
    .select_from(jobs)
    .where(
        jobs.c.user_id == bindparam("of"),
        jobs.c.status.in_(sorted(PENDING)),
        jobs.c.finished_us.is_(None),
    )
)


def open_count(connection: Connection, *, user_id: int) -> int:
    """How many of a member's jobs have no outcome yet."""
    return connection.execute(_OPEN_COUNT, {"of": user_id}).scalar_one()


_OPEN_CARDS = (
    select(*COLUMNS)
    .where(
        jobs.c.status.in_(sorted(PENDING)),
        jobs.c.finished_us.is_(None),
        jobs.c.id > bindparam("after"),
    )
    .order_by(jobs.c.id)
    .limit(bindparam("most"))
)


def open_cards(connection: Connection, *, after_id: int = 0, limit: int) -> tuple[Job, ...]:
    """The oldest jobs after `after_id` without an outcome: their cards say how far they are."""
    rows = connection.execute(_OPEN_CARDS, {"after": after_id, "most": limit})
    return tuple(job_of(row) for row in rows)


_DURATIONS = (
    select(jobs.c.finished_us - jobs.c.submitted_us)
    .where(jobs.c.model == bindparam("of"), jobs.c.outcome == Outcome.SUCCEEDED)
    .order_by(jobs.c.finished_us.desc())
    .limit(bindparam("last"))
)


def durations(connection: Connection, *, model: str, last: int = 200) -> Durations | None:
    """How long the newest successes of a model took, from the create on; None without any."""
    found = connection.execute(_DURATIONS, {"of": model, "last": last}).scalars()
    # A clock that was set back in between must not make one negative.
    sorted_us = sorted(max(0, found_us) for found_us in found if found_us is not None)
    if not sorted_us:
        return None
    return Durations(
        median_us=sorted_us[len(sorted_us) // 2],
        p99_us=sorted_us[max(0, -(-99 * len(sorted_us) // 100) - 1)],
    )


# --- Files ---------------------------------------------------------------------------------------


_ARTIFACTS = (
    select(*(column for column in artifacts.c if column.name != "job_id"))
    .where(artifacts.c.job_id == bindparam("of"))
    .order_by(artifacts.c.position)
)


def artifacts_of(connection: Connection, *, job_id: int) -> tuple[Artifact, ...]:
    """A job's result files in their order; also late ones."""
    rows = connection.execute(_ARTIFACTS, {"of": job_id})
    return tuple(Artifact(**row._asdict()) for row in rows)


_HERE = artifacts.c.path.is_not(None)
_KEPT = select(artifacts.c.path).where(_HERE)


def kept_files(connection: Connection) -> frozenset[str]:
    """The names in the result folder that are still needed; others are a former process's."""
    return frozenset(path for path in connection.execute(_KEPT).scalars() if path is not None)


def _forgetting(which: ColumnElement[bool]) -> tuple[Select[str | None], Update]:
    """The statements that find and drop these files."""
    return _KEPT.where(which), update(artifacts).where(_HERE, which).values(path=None)


_DELIVERED_BEFORE = _forgetting(
    artifacts.c.job_id.in_(
        select(jobs.c.id).where(
            jobs.c.delivered_us < bindparam("before_us"),
            or_(jobs.c.late_us.is_(None), jobs.c.late_us < bindparam("before_us")),
        )
    )
)
_OF_JOB = _forgetting(artifacts.c.job_id == bindparam("of"))
_DELIVERED_AS = _forgetting(
    and_(
        artifacts.c.path.in_(bindparam("names", expanding=True)),
        artifacts.c.job_id.in_(select(jobs.c.id).where(jobs.c.delivered_us.is_not(None))),
    )
)
_OLDEST = (
    select(artifacts.c.path, artifacts.c.size_bytes)
    .join(jobs, jobs.c.id == artifacts.c.job_id)
    .where(_HERE, jobs.c.delivered_us.is_not(None))
    .order_by(
        or_(jobs.c.sink == Sink.LIST, jobs.c.late_us.is_not(None)),
        func.max(jobs.c.delivered_us, func.coalesce(jobs.c.late_us, 0)),
        artifacts.c.job_id,
        artifacts.c.position,
    )
)


def drop_files(connection: Connection, *, before_us: int) -> tuple[str, ...]:
    """Forget the files of what was delivered, or came late, before then; the names to delete.

    A result that no sink has yet is never among them, nor a file that another job still needs.
    """
    return _forget(connection, _DELIVERED_BEFORE, before_us=before_us)


def drop_files_of(connection: Connection, *, job_id: int) -> tuple[str, ...]:
    """Forget the files of one job; the names to delete, without those that another job needs."""
    return _forget(connection, _OF_JOB, of=job_id)


def drop_oldest_files(connection: Connection, *, bytes_min: int) -> tuple[str, ...]:
    """Forget files of delivered jobs until about `bytes_min` are free; the names to delete (F-111).

    First those that stand in a message as a file or a link, then those only the list has; the
    oldest of each first. A result that no sink has yet is never among them.
    """
    oldest = connection.execute(_OLDEST)
    names: list[str | None] = []
    found_bytes = 0
    for path, size_bytes in oldest:
        if found_bytes >= bytes_min:
            break
        names.append(path)
        found_bytes += size_bytes
    return _forget(connection, _DELIVERED_AS, names=names)


_DROPPABLE = select(func.coalesce(func.sum(artifacts.c.size_bytes), 0)).where(
    _HERE, artifacts.c.job_id.in_(select(jobs.c.id).where(jobs.c.delivered_us.is_not(None)))
)


def droppable_bytes(connection: Connection) -> int:
    """What `drop_oldest_files` could free at most."""
    return int(connection.execute(_DROPPABLE).scalar_one())


def _forget(
    connection: Connection, over: tuple[Select[str | None], Update], **values: Any
) -> tuple[str, ...]:
    found, dropped = over
    names = connection.execute(found, values).scalars().all()
    if not names:
        return ()
    connection.execute(dropped, values)
    return _sorted(set(names) - kept_files(connection))


def _sorted(names: Collection[str | None]) -> tuple[str, ...]:
    return tuple(sorted(name for name in names if name is not None))
