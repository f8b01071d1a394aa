"""What our books say that one provider has taken: the other half of F-69. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, func, select

from storage.schema import LOSS_ID, SPENT_ID, accounts, holds, jobs, turns
from storage.types import JobStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderBooks:
    """All in µcr. `paid_ucr` carries the multiplier: it is what members were charged.

    `lost_ucr` and `open_ucr` are the provider's prices: what no member pays, and what tasks cost
    that are not over. `unclear_ucr` may or may not have been taken.
    """

    paid_ucr: int
    lost_ucr: int
    open_ucr: int
    unclear_ucr: int


def provider_books(connection: Connection, *, provider: str) -> ProviderBooks:
    """Return what `provider` has cost since the first day; chats all go to it."""
    return ProviderBooks(
        paid_ucr=_balance(connection, SPENT_ID)
        - _sum(connection, jobs.c.charged_ucr, jobs.c.provider != provider),
        lost_ucr=_balance(connection, LOSS_ID) - _foreign_losses(connection, provider),
        open_ucr=_cost(connection, provider, JobStatus.RUNNING),
        unclear_ucr=_cost(connection, provider, JobStatus.SUBMITTING, JobStatus.UNKNOWN)
        + _sum(connection, turns.c.cost_estimate_ucr, turns.c.state == "pending"),
    )


def _balance(connection: Connection, account_id: int) -> int:
    return connection.execute(
        select(accounts.c.balance_ucr).where(accounts.c.id == account_id)
    ).scalar_one()


def _cost(connection: Connection, provider: str, *statuses: JobStatus) -> int:
    mine = (jobs.c.provider == provider) & jobs.c.status.in_(statuses)
    return _sum(connection, jobs.c.cost_ucr, mine)


def _foreign_losses(connection: Connection, provider: str) -> int:
    """Losses of jobs that went elsewhere, also of those that came late (`storage.jobs`)."""
    references = (jobs.c.reference, "late:" + jobs.c.reference)
    found = (
        select(func.sum(holds.c.loss_ucr))
        .join_from(jobs, holds, holds.c.reference.in_(references))
        .where(jobs.c.provider != provider)
    )
    return connection.execute(found).scalar_one() or 0


def _sum(connection: Connection, column: Column[Any], where: ColumnElement[bool]) -> int:
    return connection.execute(select(func.sum(column)).where(where)).scalar_one() or 0
