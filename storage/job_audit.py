"""Reads all jobs and says what is not as it must be: among themselves and against the ledger.

Part of `storage.audit`; like it, this trusts neither constraints nor triggers.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, and_, case, func, or_, select, tuple_

from storage.job_rows import LATE, LATE_RESULT, LEGAL_MOVES, PENDING
from storage.outbox import PostState, Purpose
from storage.schema import LOSS_ID, accounts, artifacts, holds, job_events, jobs, outbox
from storage.types import HoldState, JobStatus, Outcome, Sink

FACTS_MAX = 20
"""Per question, as in `storage.audit`."""


def audit_jobs(connection: Connection) -> tuple[str, ...]:
    """Broken invariants as facts, each beginning with its number; empty when sound."""
    return (
        *_holds(connection),
        *_losses(connection),
        *_strays(connection),
        *_last_events(connection),
        *_moves(connection),
        *_attempts(connection),
        *_outcomes(connection),
        *_tasks(connection),
        *_postings(connection),
    )


# --- I-4, I-5, I-9: open hold ⇔ no outcome yet; charged as the hold says, never above the price ---

_PENDING = jobs.c.status.in_(sorted(PENDING))
_EXPECTED = case(
    (_PENDING, HoldState.OPEN.value),
    (jobs.c.outcome == Outcome.SUCCEEDED, HoldState.SETTLED.value),
    else_=HoldState.VOIDED.value,
)
_MISHELD = (
    select(
        jobs.c.id,
        jobs.c.status,
        jobs.c.price_ucr,
        jobs.c.charged_ucr,
        holds.c.state,
        holds.c.amount_ucr,
        holds.c.charged_ucr.label("paid_ucr"),
    )
    .outerjoin(holds, holds.c.reference == jobs.c.reference)
    .where(
        or_(
            holds.c.state.is_(None),
            holds.c.state != _EXPECTED,
            holds.c.user_id != jobs.c.user_id,
            holds.c.amount_ucr != jobs.c.price_ucr,
            func.coalesce(holds.c.charged_ucr, -1) != func.coalesce(jobs.c.charged_ucr, -1),
        )
    )
    .limit(FACTS_MAX)
)


def _holds(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISHELD):
        yield (
            f"I-4 job {row.id}: {row.status}, price {row.price_ucr}, charged {row.charged_ucr};"
            f" hold {row.state}, {row.amount_ucr} held, {row.paid_ucr} charged"
        )


# --- I-10: what the operator lost is what each ended hold says ------------------------------------

_LOST = select(func.coalesce(func.sum(holds.c.loss_ucr), 0)).scalar_subquery()
_MISLOST = select(accounts.c.balance_ucr, _LOST.label("lost_ucr")).where(
    accounts.c.id == LOSS_ID, accounts.c.balance_ucr != _LOST
)


def _losses(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISLOST):
        yield f"I-10 operator loss: {row.balance_ucr} stored, {row.lost_ucr} by holds"


# Each loss after the end names its job, and is of the same member.
_owner = jobs.alias("owner")
_STRAYED = (
    select(holds.c.reference, holds.c.loss_ucr)
    .outerjoin(
        _owner,
        and_(
            _owner.c.user_id == holds.c.user_id,
            or_(
                holds.c.reference == LATE + _owner.c.reference,
                holds.c.reference.startswith(LATE + _owner.c.reference + ":"),
            ),
        ),
    )
    .where(holds.c.reference.startswith(LATE), _owner.c.id.is_(None))
    .limit(FACTS_MAX)
)


def _strays(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_STRAYED):
        yield f"I-10 loss {row.reference}: {row.loss_ucr} of no job"


# --- I-20: the last event is where the job is; each follows from the one before, by a legal move --

_NEWEST = select(job_events.c.job_id, func.max(job_events.c.id).label("event_id")).group_by(
    job_events.c.job_id
)
_newest = _NEWEST.subquery()
_ASTRAY = (
    select(jobs.c.id, jobs.c.status, job_events.c.new_status)
    .outerjoin(_newest, _newest.c.job_id == jobs.c.id)
    .outerjoin(job_events, job_events.c.id == _newest.c.event_id)
    .where(func.coalesce(job_events.c.new_status, "") != jobs.c.status)
    .limit(FACTS_MAX)
)


def _last_events(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_ASTRAY):
        yield f"I-20 job {row.id}: {row.status}, by its last event {row.new_status}"


_BEFORE = func.lag(job_events.c.new_status).over(
    partition_by=job_events.c.job_id, order_by=job_events.c.id
)
_chained = select(
    job_events.c.id,
    job_events.c.job_id,
    job_events.c.old_status,
    job_events.c.new_status,
    job_events.c.cause,
    _BEFORE.label("before"),
).subquery()
_LEGAL = or_(
    and_(_chained.c.old_status.is_(None), _chained.c.new_status == JobStatus.QUEUED),
    tuple_(func.coalesce(_chained.c.old_status, ""), _chained.c.new_status).in_(
        sorted(LEGAL_MOVES)
    ),
    and_(
        _chained.c.cause == LATE_RESULT,
        _chained.c.old_status == _chained.c.new_status,
        _chained.c.new_status.in_((JobStatus.FINISHED, JobStatus.DELIVERED)),
    ),
)
_MISMOVED = (
    select(_chained)
    .where(
        or_(
            func.coalesce(_chained.c.before, "") != func.coalesce(_chained.c.old_status, ""),
            ~func.coalesce(_LEGAL, 0),
        )
    )
    .order_by(_chained.c.id)
    .limit(FACTS_MAX)
)


def _moves(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISMOVED):
        # I-21: what is over is never left.
        number = "I-21" if row.before == JobStatus.DELIVERED else "I-20"
        yield (
            f"{number} job {row.job_id}: {row.old_status} to {row.new_status}"
            f" ({row.cause}) after {row.before}"
        )


# --- I-24: an attempt is a create begun; another one only after proof that there was none ---------

_BEGUN = func.coalesce(
    func.sum(case((job_events.c.new_status == JobStatus.SUBMITTING, 1), else_=0)), 0
)
_DISPROVED = func.coalesce(
    func.sum(
        case(
            (
                and_(
                    job_events.c.old_status == JobStatus.SUBMITTING,
                    job_events.c.new_status == JobStatus.QUEUED,
                ),
                1,
            ),
            else_=0,
        )
    ),
    0,
)
_MISCOUNTED = (
    select(jobs.c.id, jobs.c.attempt, _BEGUN.label("begun"), _DISPROVED.label("disproved"))
    .outerjoin(job_events, job_events.c.job_id == jobs.c.id)
    .group_by(jobs.c.id, jobs.c.attempt)
    .having(or_(jobs.c.attempt != _BEGUN, _BEGUN > _DISPROVED + 1))
    .limit(FACTS_MAX)
)


def _attempts(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISCOUNTED):
        yield (
            f"I-24 job {row.id}: attempt {row.attempt}, {row.begun} begun,"
            f" {row.disproved} proven not created"
        )


# --- I-22: at most one outcome, with a result exactly when it was paid or came late; one sink -----

_FILES = (
    select(func.count())
    .select_from(artifacts)
    .where(artifacts.c.job_id == jobs.c.id)
    .scalar_subquery()
)
_SUCCEEDED = func.coalesce(jobs.c.outcome == Outcome.SUCCEEDED, 0)
_MISENDED = (
    select(
        jobs.c.id,
        jobs.c.status,
        jobs.c.outcome,
        jobs.c.failure,
        jobs.c.sink,
        jobs.c.late_us,
        _FILES.label("files"),
    )
    .where(
        or_(
            jobs.c.outcome.is_(None) != _PENDING,
            jobs.c.finished_us.is_(None) != _PENDING,
            func.coalesce(jobs.c.outcome == Outcome.FAILED, 0) != jobs.c.failure.is_not(None),
            (jobs.c.status == JobStatus.DELIVERED) != jobs.c.sink.is_not(None),
            (jobs.c.status == JobStatus.DELIVERED) != jobs.c.delivered_us.is_not(None),
            and_(_SUCCEEDED == 1, jobs.c.late_us.is_not(None)),
            # S-5: only a task whose job was given up is looked for.
            and_(jobs.c.looks > 0, or_(jobs.c.task_id.is_(None), jobs.c.failure.is_(None))),
            (_FILES > 0) != or_(_SUCCEEDED == 1, jobs.c.late_us.is_not(None)),
        )
    )
    .limit(FACTS_MAX)
)


def _outcomes(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISENDED):
        yield (
            f"I-22 job {row.id}: {row.status}, outcome {row.outcome}, failure {row.failure},"
            f" sink {row.sink}, {row.files} files, late {row.late_us}"
        )


# --- I-25: a task belongs to one job --------------------------------------------------------------

_SHARED = (
    select(jobs.c.provider, jobs.c.task_id, func.count().label("owners"))
    .where(jobs.c.task_id.is_not(None))
    .group_by(jobs.c.provider, jobs.c.task_id)
    .having(func.count() > 1)
    .limit(FACTS_MAX)
)


def _tasks(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_SHARED):
        yield f"I-25 task {row.task_id} of {row.provider}: {row.owners} jobs"


# --- I-23: what is over has nothing on its way, and its outcome stands where its sink says --------

_SINK_OF = case((outbox.c.purpose == Purpose.RESULT, Sink.MESSAGE.value), else_=Sink.DM.value)
_MISPOSTED = (
    select(jobs.c.id, jobs.c.sink, outbox.c.purpose, outbox.c.state)
    .join(outbox, outbox.c.job_id == jobs.c.id)
    .where(
        jobs.c.status == JobStatus.DELIVERED,
        or_(
            outbox.c.state.in_({PostState.READY, PostState.SENDING}),
            and_(
                outbox.c.state == PostState.SENT,
                outbox.c.purpose != Purpose.STATUS,
                # A large file waits in the list, whose words stand in a message; and so does what
                # was deleted twice.
                jobs.c.sink.not_in([Sink.LIST, _SINK_OF]),
            ),
        ),
    )
    .limit(FACTS_MAX)
)


def _postings(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISPOSTED):
        yield f"I-23 job {row.id}: delivered by {row.sink}, its {row.purpose} is {row.state}"
