"""What staff did to jobs: each act leaves a line with who and when (C-33)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select

from storage.schema import job_acts


class JobActKind(StrEnum):
    BIND = "bind"
    """A task was named for a job whose create's answer is lost (section 5, evidence d)."""
    REFUND = "refund"
    """A member's credits were given back before the job was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAct:
    """One line; `detail` is the task that was named."""

    job_id: int
    act: JobActKind
    actor_id: int
    detail: str | None
    at_us: int


def record_act(
    connection: Connection,
    *,
    job_id: int,
    act: JobActKind,
    actor_id: int,
    detail: str | None = None,
    now_us: int,
) -> None:
    """Append a line."""
    connection.execute(
        insert(job_acts).values(
            job_id=job_id, act=act, actor_id=actor_id, detail=detail, at_us=now_us
        )
    )


def acts_of(connection: Connection, *, job_id: int) -> tuple[JobAct, ...]:
    """What staff did to a job, oldest first."""
    rows = connection.execute(
        select(
            job_acts.c.job_id,
            job_acts.c.act,
            job_acts.c.actor_id,
            job_acts.c.detail,
            job_acts.c.at_us,
        )
        .where(job_acts.c.job_id == job_id)
        .order_by(job_acts.c.id)
    )
    return tuple(
        JobAct(
            job_id=row.job_id,
            act=JobActKind(row.act),
            actor_id=row.actor_id,
            detail=row.detail,
            at_us=row.at_us,
        )
        for row in rows
    )
