"""Bodies of transactions that jobs need beside the moves of `storage.jobs`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bot.jobs.ports import Delivered
from bot.jobs.schedule import to_us
from bot.limits import CALLBACK_BODIES_MAX, CALLBACKS_KEPT_S, POLL_INTERVAL_S_MIN
from storage import inbox, jobs, outbox
from storage.database import Connection
from storage.errors import Duplicate
from storage.inbox import Arrival, Verdict
from storage.job_acts import JobActKind, record_act
from storage.types import Allowance, Artifact, Callback, Job, JobStatus, NewJob


def accept_job(
    connection: Connection, *, job: NewJob, open_max: int, allowance: Allowance, now_us: int
) -> Job | None:
    """Accept a job and hold its price, all or nothing; None when the member has too many.

    Raises `Duplicate` before anything else, `InsufficientCredits`.
    """
    if jobs.by_reference(connection, reference=job.reference) is not None:
        raise Duplicate(reference=job.reference)
    if jobs.open_count(connection, user_id=job.user_id) >= open_max:
        return None
    return jobs.enqueue(connection, job=job, allowance=allowance, now_us=now_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Jobs whose lease was taken, and when the next one can be."""

    jobs: tuple[Job, ...]
    next_due_us: int | None


def claim_work(
    connection: Connection,
    *,
    lease_us: int,
    limit: int,
    creates_max: int,
    creates: Mapping[str, int],
    now_us: int,
) -> Claim:
    """Take what is due, and look for what will be."""
    claimed = jobs.claim_due(
        connection,
        now_us=now_us,
        lease_us=lease_us,
        limit=limit,
        creates_max=creates_max,
        creates=creates,
    )
    return Claim(jobs=claimed, next_due_us=jobs.next_due_us(connection))


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """A job as it stands now, and what its card shows beside it."""

    job: Job
    place: int | None
    usual_us: int | None
    artifacts: tuple[Artifact, ...]


def card_facts(connection: Connection, *, job_id: int) -> CardFacts | None:
    """Read a card's facts; None when there is no such job."""
    job = jobs.get(connection, job_id=job_id)
    if job is None:
        return None
    waits, is_over = job.status is JobStatus.QUEUED, job.outcome is not None
    learned = None if is_over else jobs.durations(connection, model=job.model)
    return CardFacts(
        job=job,
        place=jobs.place_in_queue(connection, job_id=job_id) if waits else None,
        usual_us=None if learned is None else learned.median_us,
        artifacts=jobs.artifacts_of(connection, job_id=job_id) if is_over else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPage:
    """Some of the jobs whose cards are on show, oldest first, and the place of each that waits."""

    jobs: tuple[Job, ...]
    places: Mapping[int, int]


def open_faces(connection: Connection, *, after_id: int, limit: int) -> CardPage:
    """Read what may have changed on cards."""
    found = jobs.open_cards(connection, after_id=after_id, limit=limit)
    waits = any(job.status is JobStatus.QUEUED for job in found)
    return CardPage(jobs=found, places=jobs.places(connection) if waits else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A job as it stands now, and the callbacks that nobody has acted on, oldest first."""

    job: Job | None
    callbacks: tuple[Callback, ...]


def heard_of(connection: Connection, *, job_id: int) -> Heard:
    """Read what was heard of a job."""
    return Heard(
        job=jobs.get(connection, job_id=job_id),
        callbacks=inbox.unseen_of(connection, job_id=job_id),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was heard of a job before its provider is asked; or when that may be, not sooner."""

    heard: tuple[Callback, ...]
    not_before_us: int | None


def begin_look(connection: Connection, *, job_id: int, now_us: int) -> Look:
    """Write down that the provider is about to be asked, if it may be (F-65)."""
    interval_us = to_us(POLL_INTERVAL_S_MIN)
    not_before_us = jobs.ask(connection, job_id=job_id, interval_us=interval_us, now_us=now_us)
    heard = () if not_before_us is not None else inbox.unseen_of(connection, job_id=job_id)
    return Look(heard=heard, not_before_us=not_before_us)


def wake_if_heard(connection: Connection, *, job_id: int, now_us: int) -> None:
    """Make a job due if a callback waits that came while it was being moved (I-30)."""
    if heard_of(connection, job_id=job_id).callbacks:
        jobs.wake(connection, job_id=job_id, now_us=now_us)


def adopt_task(
    connection: Connection,
    *,
    job_id: int,
    task_id: str,
    callback_ids: Collection[int],
    due_us: int,
    now_us: int,
) -> Job | None:
    """Bind a confirmed task to a job whose create's answer is missing; the job after it.

    Also to one that waits to be sent again, because the answer was misjudged: the new attempt is
    written down, and not sent. None when the job is elsewhere by now, or the task is another's:
    then its callbacks still wait to be acted on.
    """
    job = jobs.get(connection, job_id=job_id)
    if job is not None and job.status is JobStatus.QUEUED:
        jobs.begin_submit(connection, job_id=job_id, now_us=now_us)
    bound = jobs.bind(connection, job_id=job_id, task_id=task_id, now_us=now_us, due_us=due_us)
    if bound is not None:
        inbox.mark_seen(connection, callback_ids=callback_ids, now_us=now_us)
    assert bound is not None or job is None or job.status is not JobStatus.QUEUED
    return bound


def cancel_job(connection: Connection, *, job: Job, actor_id: int, now_us: int) -> Job | None:
    """End a job for whoever may; of staff's doing a line is kept (C-33)."""
    cancelled = jobs.cancel(connection, job_id=job.id, now_us=now_us)
    if cancelled is not None and actor_id != job.user_id:
        record_act(
            connection, job_id=job.id, act=JobActKind.REFUND, actor_id=actor_id, now_us=now_us
        )
    return cancelled


def name_task(
    connection: Connection,
    *,
    job: Job,
    task_id: str,
    actor_id: int,
    reference: str,
    now_us: int,
) -> Verdict:
    """Keep the task that staff name as if it had called back, and who named it (C-33)."""
    body = json.dumps({"id": task_id, "named_in": reference})
    arrival = Arrival(
        job_id=job.id,
        attempt=max(job.attempt, 1),
        digest=hashlib.sha256(body.encode()).hexdigest(),
        body=body,
    )
    (verdict,) = inbox.record_callbacks(
        connection,
        arrivals=(arrival,),
        bodies_max=CALLBACK_BODIES_MAX,
        over_before_us=now_us - to_us(CALLBACKS_KEPT_S),
        now_us=now_us,
    )
    if verdict is Verdict.NEW:
        record_act(
            connection,
            job_id=job.id,
            act=JobActKind.BIND,
            actor_id=actor_id,
            detail=task_id,
            now_us=now_us,
        )
    return verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A job that is over, and its files that nobody needs any more."""

    job: Job
    unneeded: tuple[str, ...]


def record_outcome(
    connection: Connection, *, job_id: int, delivered: Delivered, now_us: int
) -> Recorded | None:
    """Write down which sink has the outcome; a file that was uploaded there is let go."""
    job = jobs.record_delivered(
        connection,
        job_id=job_id,
        sink=delivered.sink,
        message_id=delivered.message_id,
        now_us=now_us,
    )
    if job is None:
        return None
    outbox.close(connection, job_id=job_id, cause=f"delivered by {delivered.sink}")
    names = jobs.drop_files_of(connection, job_id=job_id) if delivered.is_uploaded else ()
    return Recorded(job=job, unneeded=names)


def let_go(connection: Connection, *, job_id: int, now_us: int) -> None:
    """End a lease that was taken while the job was being moved already."""
    job = jobs.get(connection, job_id=job_id)
    if job is not None:
        wake_if_heard(connection, job_id=job_id, now_us=now_us)
        jobs.postpone(
            connection, job_id=job_id, status=job.status, due_us=job.due_us, now_us=now_us
        )
