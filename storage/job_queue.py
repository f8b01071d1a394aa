"""Whose turn it is: what is due, who waits, who was served last.

The engine takes a lease on what it moves. A lease that ran out belongs to a process that died, or
to work that takes longer than it should; either way the job is looked at again, and the
compare-and-set of each move decides who was first.
"""

from __future__ import annotations

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Subquery,
    and_,
    case,
    func,
    or_,
    select,
    update,
)

from storage.job_rows import COLUMNS, change, job_of, released
from storage.schema import jobs
from storage.types import NEVER_US, Job, JobStatus

_QUEUED = jobs.c.status == JobStatus.QUEUED


def claim_due(
    connection: Connection,
    *,
    now_us: int,
    lease_us: int,
    limit: int,
    queued_max: int | None = None,
) -> tuple[Job, ...]:
    """Take the lease of at most `limit` due jobs, in the order in which they should be moved.

    What is already on its way goes first, most overdue first. Then the queue, of which at most
    `queued_max` are taken: first in, first out for each member; between members it is the turn of
    the one who was served least recently.
    """
    assert lease_us > 0
    free = and_(
        jobs.c.due_us <= now_us,
        or_(jobs.c.lease_until_us.is_(None), jobs.c.lease_until_us <= now_us),
    )
    moving = select(jobs.c.id).where(free, ~_QUEUED).order_by(jobs.c.due_us, jobs.c.id)
    ids = list(connection.execute(moving.limit(limit)).scalars())
    room = limit - len(ids) if queued_max is None else min(limit - len(ids), queued_max)
    if room > 0:
        # Who is leased just now counts, too: the second of a member comes after others' first.
        waiting = _waiting(
            select(jobs.c.id, jobs.c.user_id).where(_QUEUED, jobs.c.due_us <= now_us)
        )
        ids += connection.execute(
            select(waiting.c.id)
            .join(jobs, jobs.c.id == waiting.c.id)
            .where(free)
            .order_by(waiting.c.place)
            .limit(room)
        ).scalars()
    claimed = connection.execute(
        update(jobs)
        .where(jobs.c.id.in_(ids), free)
        .values(lease_until_us=now_us + lease_us, woken=0)
        .returning(*COLUMNS)
    )
    order = {job_id: place for place, job_id in enumerate(ids)}
    return tuple(sorted((job_of(row) for row in claimed), key=lambda job: order[job.id]))


def postpone(
    connection: Connection,
    *,
    job_id: int,
    due_us: int,
    progress: int | None = None,
    polled: bool = False,
    now_us: int,
) -> Job | None:
    """Give up the lease until `due_us`; `polled` counts a look at the provider.

    Due at once if it was woken since it was claimed: nothing that happened meanwhile waits.
    `progress` is 0 … 100, or None to leave it as it is. A delivered job is let go for good, unless
    a callback still waits.
    """
    values = released(due_us=due_us, now_us=now_us)
    if progress is not None:
        values["progress"] = progress
    if polled:
        values["polls"] = jobs.c.polls + 1
    return change(connection, job_id=job_id, where=(), **values)


def wake(connection: Connection, *, job_id: int, now_us: int) -> Job | None:
    """Make a job due now, or as soon as its lease ends; None for one that was delivered."""
    return change(
        connection,
        job_id=job_id,
        where=(jobs.c.status != JobStatus.DELIVERED,),
        woken=1,
        due_us=earlier(now_us),
    )


def earlier(now_us: int) -> ColumnElement[int]:
    """The due time, brought forward to now."""
    return case((jobs.c.due_us > now_us, now_us), else_=jobs.c.due_us)


def release_all(connection: Connection) -> int:
    """End every lease, when the process starts: who held them is gone (S-8, S-10). How many."""
    return connection.execute(
        update(jobs).where(jobs.c.lease_until_us.is_not(None)).values(lease_until_us=None)
    ).rowcount


def next_due_us(connection: Connection) -> int | None:
    """When the next job can be claimed; None when there is none. May lie in the past."""
    lease_us = func.coalesce(jobs.c.lease_until_us, 0)
    claimable_us = case((lease_us > jobs.c.due_us, lease_us), else_=jobs.c.due_us)
    due_us: int | None = connection.execute(
        select(func.min(claimable_us)).where(jobs.c.due_us < NEVER_US)
    ).scalar_one()
    return due_us


def place_in_queue(connection: Connection, *, job_id: int) -> int | None:
    """1 for the job whose turn is next; None when it does not wait."""
    waiting = _waiting(select(jobs.c.id, jobs.c.user_id).where(_QUEUED))
    found = connection.execute(select(waiting.c.place).where(waiting.c.id == job_id))
    place: int | None = found.scalar_one_or_none()
    return place


def _waiting(queued: Select[int, int]) -> Subquery:
    """`id` and `place` of the queued jobs, numbered in the order of their turns.

    Everybody's first job comes before anybody's second; among first jobs, the member who was
    served least recently is next, and who never was is before all.
    """
    queue = queued.subquery()
    past = jobs.alias("past")
    served_us = (
        select(func.coalesce(func.max(past.c.submitted_us), -1))
        .where(past.c.user_id == queue.c.user_id)
        .scalar_subquery()
    )
    turn = func.row_number().over(partition_by=queue.c.user_id, order_by=queue.c.id)
    ranked = select(queue.c.id, turn.label("turn"), served_us.label("served_us")).subquery()
    place = func.row_number().over(order_by=(ranked.c.turn, ranked.c.served_us, ranked.c.id))
    return select(ranked.c.id, place.label("place")).subquery()
