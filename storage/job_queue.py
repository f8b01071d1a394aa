"""Whose turn it is: what is due, who waits, who was served last.

The engine takes a lease on what it moves. A lease that ran out belongs to a process that died, or
to work that takes longer than it should; either way the job is looked at again, and the
compare-and-set of each move decides who was first.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    func,
    literal,
    or_,
    select,
    true,
    update,
)

from storage.job_rows import (
    CHANGE,
    COLUMNS,
    MOVE_AND_RELEASE,
    change,
    job_of,
    released,
    tries_as_values,
)
from storage.schema import jobs
from storage.types import NEVER_US, Job, JobStatus, Tries

_NONE: Mapping[str, int] = MappingProxyType({})
_QUEUED = jobs.c.status == JobStatus.QUEUED


_FREE = and_(
    jobs.c.due_us <= bindparam("now_us"),
    or_(jobs.c.lease_until_us.is_(None), jobs.c.lease_until_us <= bindparam("now_us")),
)
_MOVING = (
    select(jobs.c.id)
    .where(_FREE, ~_QUEUED)
    .order_by(jobs.c.due_us, jobs.c.id)
    .limit(bindparam("limit"))
)
_ANY_QUEUED = select(jobs.c.id).where(_FREE, _QUEUED).limit(1)
_CLAIM = (
    update(jobs)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)), _FREE)
    .values(lease_until_us=bindparam("until_us"), woken=0)
    .returning(*COLUMNS)
)


def claim_due(
    connection: Connection,
    *,
    now_us: int,
    lease_us: int,
    limit: int,
    creates_max: int | None = None,
    creates: Mapping[str, int] = _NONE,
) -> tuple[Job, ...]:
    """Take the lease of at most `limit` due jobs, in the order in which they should be moved.

    What is already on its way goes first, most overdue first. Then the queues, one for each
    provider, of which at most `creates_max` less those that are in flight (`creates`, by provider)
    are taken: first in, first out for each member; between members it is the turn of the one who
    was served least recently.
    """
    assert lease_us > 0
    now = {"now_us": now_us}
    ids = list(connection.execute(_MOVING, {**now, "limit": limit}).scalars())
    room = limit - len(ids)
    if room > 0 and connection.execute(_ANY_QUEUED, now).scalar_one_or_none() is not None:
        turns = _turns(creates_max, tuple(sorted(creates.items())))
        ids += connection.execute(turns, {**now, "limit": room}).scalars()
    if not ids:
        return ()
    claimed = connection.execute(_CLAIM, {**now, "ids": ids, "until_us": now_us + lease_us})
    order = {job_id: place for place, job_id in enumerate(ids)}
    return tuple(sorted((job_of(row) for row in claimed), key=lambda job: order[job.id]))


@functools.lru_cache(maxsize=256)
def _turns(creates_max: int | None, creates: tuple[tuple[str, int], ...]) -> Select[int]:
    """The queued jobs whose turn it is, as many of each provider as it has room for."""
    # Who is leased just now counts, too: the second of a member comes after others' first.
    waiting = _waiting(
        select(jobs.c.id, jobs.c.user_id, jobs.c.provider).where(
            _QUEUED, jobs.c.due_us <= bindparam("now_us")
        )
    )
    taken = case(dict(creates), value=jobs.c.provider, else_=0) if creates else literal(0)
    number = func.row_number().over(partition_by=jobs.c.provider, order_by=waiting.c.place)
    free = (
        select(jobs.c.id, waiting.c.place, (number + taken).label("number"))
        .join(waiting, waiting.c.id == jobs.c.id)
        .where(_FREE)
        .subquery()
    )
    within = true() if creates_max is None else free.c.number <= creates_max
    return (
        select(free.c.id).where(within).order_by(free.c.place, free.c.id).limit(bindparam("limit"))
    )


_POLLED = MOVE_AND_RELEASE.values(polls=jobs.c.polls + 1)
_LET_GO = CHANGE.values(lease_until_us=None, woken=0)


def postpone(
    connection: Connection,
    *,
    job_id: int,
    status: JobStatus,
    due_us: int,
    progress: int | None = None,
    polled: bool = False,
    tries: Tries | None = None,
    now_us: int,
) -> Job | None:
    """Give up the lease until `due_us`; `polled` counts a look at the provider.

    Due at once if it was woken since it was claimed: nothing that happened meanwhile waits.
    `progress` is 0 … 100; it and `tries` stay as they are where they are None. A delivered job is
    let go for good, unless a callback waits or a late result may come.

    None when the job has left `status`, for which this was decided: then only the lease ends, and
    it is due when whoever moved it said (S-1).
    """
    values: dict[str, Any] = released(due_us=due_us, now_us=now_us)
    if progress is not None:
        values["progress"] = progress
    if tries is not None:
        values |= tries_as_values(tries)
    statement = _POLLED if polled else MOVE_AND_RELEASE
    postponed = change(connection, statement, job_id=job_id, left=status, **values)
    if postponed is None:
        change(connection, _LET_GO, job_id=job_id)
    return postponed


def looked(connection: Connection, *, job_id: int, looks: int) -> Job | None:
    """So many looks for a late result are left (S-6)."""
    return change(connection, job_id=job_id, looks=looks)


def note_stumbles(connection: Connection, *, job_id: int, stumbles: int) -> Job | None:
    """So many mistakes of ours in a row; keeps the lease."""
    return change(connection, job_id=job_id, stumbles=stumbles)


EARLIER = case((jobs.c.due_us > bindparam("now_us"), bindparam("now_us")), else_=jobs.c.due_us)
"""The due time, brought forward to `now_us`."""
_WAKE = CHANGE.where(jobs.c.status != JobStatus.DELIVERED).values(woken=1, due_us=EARLIER)


def wake(connection: Connection, *, job_id: int, now_us: int) -> Job | None:
    """Make a job due now, or as soon as its lease ends; None for one that was delivered."""
    return change(connection, _WAKE, job_id=job_id, now_us=now_us)


_RELEASE_ALL = update(jobs).where(jobs.c.lease_until_us.is_not(None)).values(lease_until_us=None)


def release_all(connection: Connection) -> int:
    """End every lease, when the process starts: who held them is gone (S-8, S-10). How many."""
    return connection.execute(_RELEASE_ALL).rowcount


_LEASE_US = func.coalesce(jobs.c.lease_until_us, 0)
_NEXT_DUE = select(
    func.min(case((jobs.c.due_us < _LEASE_US, _LEASE_US), else_=jobs.c.due_us))
).where(jobs.c.due_us < NEVER_US)


def next_due_us(connection: Connection) -> int | None:
    """When the next job can be claimed; None when there is none. May lie in the past."""
    due_us: int | None = connection.execute(_NEXT_DUE).scalar_one()
    return due_us


def ask(connection: Connection, *, job_id: int, interval_us: int, now_us: int) -> int | None:
    """Write down that the provider is about to be asked about a task of this job (F-65).

    None, or when it may be asked again if it was less than `interval_us` ago. A time that lies
    ahead was written before the clock was set back, and counts for nothing (F-118).
    """
    asked = connection.execute(
        _ASK, {"of": job_id, "earliest_us": now_us - interval_us, "at_us": now_us}
    )
    if asked.rowcount == 1:
        return None
    found = connection.execute(_ASKED, {"of": job_id}).scalar_one()
    assert found is not None
    return found + interval_us


_ASKED = select(jobs.c.asked_us).where(jobs.c.id == bindparam("of"))
_ASK = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("of"),
        or_(
            jobs.c.asked_us.is_(None),
            jobs.c.asked_us <= bindparam("earliest_us"),
            jobs.c.asked_us > bindparam("at_us"),
        ),
    )
    .values(asked_us=bindparam("at_us"))
)


def place_in_queue(connection: Connection, *, job_id: int) -> int | None:
    """1 for the job whose turn at its provider is next; None when it does not wait."""
    place: int | None = connection.execute(_PLACE, {"of": job_id}).scalar_one_or_none()
    return place


def places(connection: Connection) -> dict[int, int]:
    """The place of each job that waits, by its number."""
    return {row.id: row.place for row in connection.execute(_PLACES)}


def _waiting(queued: Select[int, int, str]) -> Subquery:
    """`id` and `place` of the queued jobs, numbered at each provider in the order of their turns.

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
    turn = func.row_number().over(
        partition_by=(queue.c.provider, queue.c.user_id), order_by=queue.c.id
    )
    ranked = select(
        queue.c.id, queue.c.provider, turn.label("turn"), served_us.label("served_us")
    ).subquery()
    place = func.row_number().over(
        partition_by=ranked.c.provider, order_by=(ranked.c.turn, ranked.c.served_us, ranked.c.id)
    )
    return select(ranked.c.id, place.label("place")).subquery()


_ALL_WAITING = _waiting(select(jobs.c.id, jobs.c.user_id, jobs.c.provider).where(_QUEUED))
_PLACES = select(_ALL_WAITING.c.id, _ALL_WAITING.c.place)
_PLACE = select(_ALL_WAITING.c.place).where(_ALL_WAITING.c.id == bindparam("of"))
