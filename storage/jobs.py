"""Pictures and videos as durable facts: accepted, moved step by step, delivered (S-1).

    queued ⇄ submitting ──> running ──> finished ──> delivered
               └──> unknown ──┘↑↗
    anything before `finished` may fail; what is queued or unknown may be cancelled

Every move is a compare-and-set on the status, appends to `job_events`, and returns the job after
it, or None when it came too late: the webhook, the poller, the Cancel button and the sweep after a
restart may all try, one of them succeeds. A job holds its price from acceptance until it is
finished, in the same transactions (I-4). All functions want a write transaction, except those of
`job_views` without `drop_…`, `next_due_us` and `place_in_queue`.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, insert, or_, select, update

from storage import ledger
from storage.errors import Duplicate
from storage.job_outcomes import cancel, fail, late_loss, late_result, succeed
from storage.job_queue import (
    ask,
    claim_due,
    looked,
    next_due_us,
    note_stumbles,
    place_in_queue,
    places,
    postpone,
    release_all,
    wake,
)
from storage.job_rows import (
    CHANGE,
    COLUMNS,
    LEGAL_MOVES,
    MOVE,
    MOVE_AND_RELEASE,
    UNBOUND,
    UNHEARD,
    WATCHED,
    change,
    job_of,
    move,
    note,
    released,
    tries_as_values,
)
from storage.job_views import (
    artifacts_of,
    by_reference,
    by_short_id,
    by_task,
    drop_files,
    drop_files_of,
    drop_oldest_files,
    droppable_bytes,
    durations,
    get,
    kept_files,
    list_for,
    open_cards,
    open_count,
    verdict_on,
)
from storage.schema import jobs
from storage.short_ids import short_id
from storage.types import (
    NEVER_US,
    NO_TRIES,
    Allowance,
    Job,
    JobStatus,
    NewJob,
    Sink,
    Tries,
)

__all__ = [
    "LEGAL_MOVES",
    "artifacts_of",
    "ask",
    "begin_submit",
    "bind",
    "by_reference",
    "by_short_id",
    "by_task",
    "cancel",
    "claim_due",
    "drop_files",
    "drop_files_of",
    "drop_oldest_files",
    "drop_tokens",
    "droppable_bytes",
    "durations",
    "enqueue",
    "fail",
    "get",
    "kept_files",
    "late_loss",
    "late_result",
    "list_for",
    "looked",
    "mark_unknown",
    "next_due_us",
    "note_stumbles",
    "open_cards",
    "open_count",
    "place_in_queue",
    "places",
    "postpone",
    "record_card",
    "record_delivered",
    "release_all",
    "requeue",
    "succeed",
    "verdict_on",
    "wake",
]

NOT_CREATED = "not_created"
"""The cause of a move back into the queue."""
_IN_CHANNEL = frozenset({Sink.CARD, Sink.TOKEN, Sink.MESSAGE})
"""Sinks whose message stands in the job's own channel, where its buttons are found again."""


_NEXT_ID = select(func.coalesce(func.max(jobs.c.id), 0) + 1)
_ENQUEUE = insert(jobs).returning(*COLUMNS)


def enqueue(connection: Connection, *, job: NewJob, allowance: Allowance, now_us: int) -> Job:
    """Accept a job: its price is held, or it does not exist.

    A price of 0 must follow from a price or multiplier of 0 (asks.md 3.3). Raises
    InsufficientCredits, BudgetExhausted, and Duplicate when the reference was ever used.
    """
    assert job.price_ucr > 0 or job.cost_ucr == 0 or job.multiplier_ppm == 0
    if by_reference(connection, reference=job.reference) is not None:
        raise Duplicate(reference=job.reference)
    ledger.hold(
        connection,
        user_id=job.user_id,
        amount_ucr=job.price_ucr,
        floor_ucr=job.price_ucr,
        reference=job.reference,
        allowance=allowance,
        now_us=now_us,
        guild_id=job.guild_id,
    )
    # Rows are never deleted, and there is one writer: the next number is free.
    job_id = connection.execute(_NEXT_ID).scalar_one()
    row = connection.execute(
        _ENQUEUE,
        {
            "id": job_id,
            "short_id": short_id(job_id),
            "reference": job.reference,
            "kind": job.kind,
            "model": job.model,
            "provider": job.provider,
            "user_id": job.user_id,
            "guild_id": job.guild_id,
            "channel_id": job.channel_id,
            "prompt": job.prompt,
            "request": json.dumps(job.request, allow_nan=False),
            "price_ucr": job.price_ucr,
            "cost_ucr": job.cost_ucr,
            "multiplier_ppm": job.multiplier_ppm,
            "spoiler": int(job.spoiler),
            "parent_id": job.parent_id,
            "interaction_token": job.interaction_token,
            "interaction_expires_us": job.interaction_expires_us,
            "status": JobStatus.QUEUED,
            "attempt": 0,
            "polls": 0,
            "created_us": now_us,
            "deadline_us": job.deadline_us,
            "due_us": now_us,
            "woken": 0,
        },
    ).one()
    accepted = job_of(row)
    note(connection, accepted, old=None, cause="accepted", now_us=now_us)
    return accepted


# --- At the provider -----------------------------------------------------------------------------


_SUBMIT = MOVE.values(attempt=jobs.c.attempt + 1)
_BIND = MOVE_AND_RELEASE.where(UNBOUND)


def begin_submit(
    connection: Connection, *, job_id: int, digest: str | None = None, now_us: int
) -> Job | None:
    """Write down that a create is about to be sent; only then may it be. Keeps the lease.

    `digest` is the SHA-256 of the request (section 5, point 1).
    """
    return move(
        connection,
        _SUBMIT,
        job_id=job_id,
        leave={JobStatus.QUEUED},
        enter=JobStatus.SUBMITTING,
        cause="submit",
        digest=digest,
        now_us=now_us,
        submitted_us=now_us,
    )


def bind(
    connection: Connection, *, job_id: int, task_id: str, now_us: int, due_us: int
) -> Job | None:
    """The provider works on it under this id, and is asked again at `due_us`.

    None, and nothing changes, also when the task belongs to another job (F-43, I-25).
    """
    assert task_id
    return move(
        connection,
        _BIND,
        job_id=job_id,
        leave={JobStatus.SUBMITTING, JobStatus.UNKNOWN},
        enter=JobStatus.RUNNING,
        cause="bound",
        now_us=now_us,
        bound_id=task_id,
        task_id=task_id,
        **released(due_us=due_us, now_us=now_us),
        **tries_as_values(NO_TRIES),
    )


def mark_unknown(
    connection: Connection,
    *,
    job_id: int,
    cause: str,
    grace_until_us: int,
    due_us: int,
    digest: str | None = None,
    now_us: int,
) -> Job | None:
    """Nobody can tell whether the create made a task; evidence is awaited until the grace ends.

    `cause` is a word of the classifier, `digest` the SHA-256 of the answer, for the record
    (reliability.md 5).
    """
    return move(
        connection,
        MOVE_AND_RELEASE,
        job_id=job_id,
        leave={JobStatus.SUBMITTING},
        enter=JobStatus.UNKNOWN,
        cause=cause,
        digest=digest,
        now_us=now_us,
        grace_until_us=grace_until_us,
        **released(due_us=due_us, now_us=now_us),
    )


def requeue(
    connection: Connection,
    *,
    job_id: int,
    due_us: int,
    digest: str | None = None,
    tries: Tries | None = None,
    now_us: int,
) -> Job | None:
    """It is proven that the create made no task: wait for another attempt.

    `digest` is the SHA-256 of the answer that proves it, should that prove wrong.
    """
    return move(
        connection,
        MOVE_AND_RELEASE,
        job_id=job_id,
        leave={JobStatus.SUBMITTING},
        enter=JobStatus.QUEUED,
        cause=NOT_CREATED,
        digest=digest,
        now_us=now_us,
        **released(due_us=due_us, now_us=now_us),
        **({} if tries is None else tries_as_values(tries)),
    )


# --- In Discord ----------------------------------------------------------------------------------


_SHOW = CHANGE.where(or_(jobs.c.status != JobStatus.DELIVERED, jobs.c.card_message_id.is_(None)))
_DELIVER = MOVE.values(due_us=case((or_(UNHEARD, WATCHED), bindparam("heard_us")), else_=NEVER_US))


def record_card(connection: Connection, *, job_id: int, message_id: int) -> Job | None:
    """Remember which message is the card; not in place of one that already has the outcome."""
    return change(connection, _SHOW, job_id=job_id, card_message_id=message_id)


def record_delivered(
    connection: Connection, *, job_id: int, sink: Sink, message_id: int | None, now_us: int
) -> Job | None:
    """A sink has the outcome: the job is over, and its interaction's token is forgotten (C-45).

    `message_id` becomes the card's where it stands in the job's channel.
    """
    values: dict[str, Any] = {}
    if message_id is not None and sink in _IN_CHANNEL:
        values["card_message_id"] = message_id
    return move(
        connection,
        _DELIVER,
        job_id=job_id,
        leave={JobStatus.FINISHED},
        enter=JobStatus.DELIVERED,
        cause=sink,
        now_us=now_us,
        sink=sink,
        delivered_us=now_us,
        interaction_token=None,
        lease_until_us=None,
        woken=0,
        heard_us=now_us,
        **values,
    )


_DROP_TOKENS = (
    update(jobs)
    .where(
        jobs.c.interaction_token.is_not(None),
        jobs.c.interaction_expires_us <= bindparam("now_us"),
    )
    .values(interaction_token=None)
)


def drop_tokens(connection: Connection, *, now_us: int) -> int:
    """Forget the tokens of interactions that are over (C-45); how many."""
    return connection.execute(_DROP_TOKENS, {"now_us": now_us}).rowcount
