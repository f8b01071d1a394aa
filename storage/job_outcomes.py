"""How a job ends, and what that does to its credits: both in one transaction, once.

The functions are part of `storage.jobs`, where callers find them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, insert, or_, select

from storage import ledger
from storage.job_rows import (
    CHANGE,
    LATE,
    LATE_RESULT,
    MOVE_AND_RELEASE,
    PENDING,
    UNBOUND,
    Changing,
    change,
    move,
    note,
    released,
)
from storage.job_views import get
from storage.schema import artifacts as files
from storage.schema import holds, jobs
from storage.types import Artifact, Cause, Job, JobStatus, Outcome

_OWED_UCR = bindparam("owed_ucr", type_=jobs.c.price_ucr.type)
_SUCCEED = MOVE_AND_RELEASE.values(
    charged_ucr=case((jobs.c.price_ucr < _OWED_UCR, jobs.c.price_ucr), else_=_OWED_UCR)
)


def succeed(
    connection: Connection,
    *,
    job_id: int,
    artifacts: tuple[Artifact, ...],
    cost_ucr: int,
    now_us: int,
) -> Job | None:
    """The result is secured: it is paid, at most with what is held (I-9).

    `cost_ucr` is what the member owes, with the multiplier; what exceeds the hold is operator
    loss (F-51). Due for delivery at once.
    """
    assert artifacts
    assert cost_ucr >= 0
    finished = _finish(
        connection,
        _SUCCEED,
        job_id=job_id,
        leave={JobStatus.RUNNING},
        cause=Outcome.SUCCEEDED,
        now_us=now_us,
        outcome=Outcome.SUCCEEDED,
        owed_ucr=cost_ucr,
    )
    if finished is not None:
        _attach(connection, finished, artifacts)
        settlement = ledger.settle(
            connection,
            reference=finished.reference,
            cost_ucr=cost_ucr,
            cause=Cause.ANSWERED,
            now_us=now_us,
            multiplier_ppm=finished.multiplier_ppm,
        )
        assert settlement.charged_ucr == finished.charged_ucr
    return finished


def fail(
    connection: Connection,
    *,
    job_id: int,
    failure: str,
    cause: Cause,
    loss_ucr: int = 0,
    looks: int = 0,
    digest: str | None = None,
    now_us: int,
) -> Job | None:
    """It came to nothing: everything goes back; `loss_ucr` is what it cost the operator.

    `failure` names an error class of `bot.errors`. Due for delivery at once, and then for so many
    `looks` at its task, whose result may come late (S-5). `digest` is the SHA-256 of the answer
    that refused it.
    """
    assert failure
    finished = _finish(
        connection,
        job_id=job_id,
        leave=PENDING,
        cause=failure,
        digest=digest,
        now_us=now_us,
        outcome=Outcome.FAILED,
        failure=failure,
        charged_ucr=0,
        looks=looks,
    )
    if finished is not None:
        ledger.void(
            connection,
            reference=finished.reference,
            cause=cause,
            loss_ucr=loss_ucr,
            now_us=now_us,
        )
    return finished


def cancel(connection: Connection, *, job_id: int, now_us: int) -> Job | None:
    """The member wants the credits back: before anything was sent, or instead of waiting.

    None once the provider works on it, or may be about to.
    """
    finished = _finish(
        connection,
        job_id=job_id,
        leave={JobStatus.QUEUED, JobStatus.UNKNOWN},
        cause=Outcome.CANCELLED,
        now_us=now_us,
        outcome=Outcome.CANCELLED,
        charged_ucr=0,
    )
    if finished is not None:
        uncertain = finished.grace_until_us is not None
        ledger.void(
            connection,
            reference=finished.reference,
            cause=Cause.UNCERTAIN if uncertain else Cause.CANCELLED,
            now_us=now_us,
        )
    return finished


_LATE = CHANGE.where(
    jobs.c.outcome.in_([Outcome.FAILED, Outcome.CANCELLED]),
    jobs.c.attempt > 0,
    jobs.c.late_us.is_(None),
)
_LATE_OF_TASK = _LATE.where(
    or_(jobs.c.task_id == bindparam("bound_id"), and_(jobs.c.task_id.is_(None), UNBOUND))
)


def late_result(
    connection: Connection,
    *,
    job_id: int,
    artifacts: tuple[Artifact, ...],
    loss_ucr: int,
    now_us: int,
    task_id: str | None = None,
) -> Job | None:
    """Attach a result that came after the credits had gone back; once, and free (S-6).

    `loss_ucr` is what it cost the operator, as for `late_loss`. The task that a lost create had
    made, `task_id`, belongs to the job from now on. None when there is nothing to attach it to,
    or when the task belongs to another job.
    """
    assert artifacts
    statement = _LATE
    values: dict[str, Any] = {"late_us": now_us, "looks": 0}
    if task_id is not None:
        statement = _LATE_OF_TASK
        values |= {"task_id": task_id, "bound_id": task_id}
    former = get(connection, job_id=job_id)
    attached = change(connection, statement, job_id=job_id, **values)
    if attached is None:
        return None
    assert former is not None
    _attach(connection, attached, artifacts)
    note(connection, attached, old=attached.status, cause=LATE_RESULT, now_us=now_us)
    _lose_task(connection, former, task_id=task_id, loss_ucr=loss_ucr, now_us=now_us)
    return attached


def late_loss(
    connection: Connection, *, job_id: int, task_id: str, loss_ucr: int, now_us: int
) -> None:
    """Book what a task cost that succeeded when its job was over, or had another (I-10).

    Once for each task, whether its file can be had or not: a `late_result` after it books nothing
    more. Of the job's own task what `fail` has booked already counts.
    """
    job = get(connection, job_id=job_id)
    assert job is not None
    _lose_task(connection, job, task_id=task_id, loss_ucr=loss_ucr, now_us=now_us)


def _lose_task(
    connection: Connection, job: Job, *, task_id: str | None, loss_ucr: int, now_us: int
) -> None:
    is_own = task_id in {None, job.task_id}
    booked_ucr = _booked_ucr(connection, job.reference) if is_own else 0
    if loss_ucr > booked_ucr:
        ledger.lose(
            connection,
            user_id=job.user_id,
            loss_ucr=loss_ucr - booked_ucr,
            reference=f"{LATE}{job.reference}" + ("" if is_own else f":{task_id}"),
            cause=Cause.LATE_RESULT,
            now_us=now_us,
        )


_BOOKED = select(holds.c.loss_ucr).where(holds.c.reference == bindparam("of"))


def _booked_ucr(connection: Connection, reference: str) -> int:
    """What ending the hold has booked as lost; nothing while it is open."""
    return connection.execute(_BOOKED, {"of": reference}).scalar_one() or 0


def _finish(
    connection: Connection,
    statement: Changing = MOVE_AND_RELEASE,
    /,
    *,
    job_id: int,
    leave: Collection[JobStatus],
    cause: str,
    now_us: int,
    **values: Any,
) -> Job | None:
    return move(
        connection,
        statement,
        job_id=job_id,
        leave=leave,
        enter=JobStatus.FINISHED,
        cause=cause,
        now_us=now_us,
        finished_us=now_us,
        **released(due_us=now_us, now_us=now_us),
        **values,
    )


_ATTACH = insert(files)


def _attach(connection: Connection, job: Job, results: tuple[Artifact, ...]) -> None:
    rows = [
        {
            "job_id": job.id,
            "position": file.position,
            "filename": file.filename,
            "content_type": file.content_type,
            "size_bytes": file.size_bytes,
            "sha256": file.sha256,
            "path": file.path,
            "source_url": file.source_url,
            "source_expires_us": file.source_expires_us,
        }
        for file in results
    ]
    connection.execute(_ATTACH, rows)
