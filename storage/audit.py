"""Reads the whole ledger and says what is not as it must be (reliability.md 4, I-1 … I-5).

Most of it cannot go wrong while the constraints and triggers stand. The audit does not trust them:
it is for a file that was edited by hand, restored in parts, or damaged without SQLite noticing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, and_, case, func, or_, select

from storage.books import GENESIS, Move, digest
from storage.schema import accounts, entries, hold_parts, holds, journal
from storage.types import HoldState

FACTS_MAX = 20
"""Per question: the first ones show what kind of damage it is."""
PAGE_ROWS = 1_000
"""Entries read at once, so that an old ledger need not fit into memory."""


def audit(connection: Connection) -> tuple[str, ...]:
    """Broken invariants as facts, each beginning with its number; empty when sound."""
    return (
        *_balances(connection),
        *_chain(connection),
        *_negatives(connection),
        *_held(connection),
        *_outcomes(connection),
    )


def _rows(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(statement.limit(FACTS_MAX)).mappings()]


def _balances(connection: Connection) -> Iterator[str]:
    """I-1: each balance is the sum of its entries, and all balances together are nothing."""
    into = (
        select(entries.c.to_account_id.label("id"), func.sum(entries.c.amount_ucr).label("sum"))
        .group_by(entries.c.to_account_id)
        .subquery()
    )
    out = (
        select(entries.c.from_account_id.label("id"), func.sum(entries.c.amount_ucr).label("sum"))
        .group_by(entries.c.from_account_id)
        .subquery()
    )
    booked = func.coalesce(into.c["sum"], 0) - func.coalesce(out.c["sum"], 0)
    statement = (
        select(accounts.c.id, accounts.c.balance_ucr, booked.label("booked_ucr"))
        .outerjoin(into, into.c.id == accounts.c.id)
        .outerjoin(out, out.c.id == accounts.c.id)
        .where(accounts.c.balance_ucr != booked)
    )
    for row in _rows(connection, statement):
        yield f"I-1 account {row['id']}: {row['balance_ucr']} stored, {row['booked_ucr']} booked"
    total = connection.execute(select(func.sum(accounts.c.balance_ucr))).scalar_one()
    if total != 0:
        yield f"I-1 all accounts: {total} in sum"


def _chain(connection: Connection) -> Iterator[str]:
    """I-2: entries are numbered without a gap and each digest follows from the one before."""
    link, last = GENESIS, 0
    statement = (
        select(
            entries.c.id,
            entries.c.from_account_id,
            entries.c.to_account_id,
            entries.c.amount_ucr,
            entries.c.digest,
            journal.c.kind,
            journal.c.hold_id,
            journal.c.at_us,
        )
        .join(journal, journal.c.id == entries.c.journal_id)
        .order_by(entries.c.id)
        .limit(PAGE_ROWS)
    )
    while page := connection.execute(statement.where(entries.c.id > last)).all():
        for row in page:
            move = Move(
                from_account_id=row.from_account_id,
                to_account_id=row.to_account_id,
                amount_ucr=row.amount_ucr,
            )
            expected = digest(
                link,
                entry_id=row.id,
                move=move,
                kind=row.kind,
                hold_id=row.hold_id,
                at_us=row.at_us,
            )
            if row.id != last + 1:
                yield f"I-2 entry {row.id}: follows {last}"
                return
            if row.digest != expected:
                yield f"I-2 entry {row.id}: digest does not follow"
                return
            link, last = row.digest, row.id


def _negatives(connection: Connection) -> Iterator[str]:
    """I-3: only the issuer may be below zero."""
    statement = select(accounts.c.id, accounts.c.kind, accounts.c.balance_ucr).where(
        accounts.c.balance_ucr < 0, accounts.c.kind != "issuer"
    )
    for row in _rows(connection, statement):
        yield f"I-3 account {row['id']} ({row['kind']}): {row['balance_ucr']}"


def _held(connection: Connection) -> Iterator[str]:
    """I-4: what a bucket holds is what open holds took from it; a hold is the sum of its parts."""
    open_parts = (
        select(hold_parts.c.bucket_id, func.sum(hold_parts.c.amount_ucr).label("sum"))
        .join(holds, holds.c.id == hold_parts.c.hold_id)
        .where(holds.c.state == HoldState.OPEN)
        .group_by(hold_parts.c.bucket_id)
        .subquery()
    )
    taken = func.coalesce(open_parts.c["sum"], 0)
    statement = (
        select(accounts.c.bucket_id, accounts.c.balance_ucr, taken.label("taken_ucr"))
        .outerjoin(open_parts, open_parts.c.bucket_id == accounts.c.bucket_id)
        .where(accounts.c.kind == "held", accounts.c.balance_ucr != taken)
    )
    for row in _rows(connection, statement):
        yield f"I-4 bucket {row['bucket_id']}: {row['balance_ucr']} held, {row['taken_ucr']} taken"
    parts = func.coalesce(func.sum(hold_parts.c.amount_ucr), 0)
    sums = (
        select(holds.c.id, holds.c.amount_ucr, parts.label("parts_ucr"))
        .outerjoin(hold_parts, hold_parts.c.hold_id == holds.c.id)
        .group_by(holds.c.id, holds.c.amount_ucr)
        .having(holds.c.amount_ucr != parts)
    )
    for row in _rows(connection, sums):
        yield f"I-4 hold {row['id']}: {row['amount_ucr']} in all, {row['parts_ucr']} in parts"


def _outcomes(connection: Connection) -> Iterator[str]:
    """I-5: one beginning, at most one end and the one its state says; nothing lost between."""
    begun = func.coalesce(func.sum(case((journal.c.kind == "hold", 1), else_=0)), 0)
    settled = func.coalesce(func.sum(case((journal.c.kind == "settle", 1), else_=0)), 0)
    voided = func.coalesce(func.sum(case((journal.c.kind == "void", 1), else_=0)), 0)
    paid = func.coalesce(func.sum(journal.c.delta_ucr), 0)
    statement = (
        select(
            holds.c.id,
            holds.c.state,
            begun.label("begun"),
            settled.label("settled"),
            voided.label("voided"),
            paid.label("delta_ucr"),
        )
        .outerjoin(journal, journal.c.hold_id == holds.c.id)
        .group_by(holds.c.id)
        .having(
            or_(
                begun != 1,
                settled != case((holds.c.state == HoldState.SETTLED, 1), else_=0),
                voided != case((holds.c.state == HoldState.VOIDED, 1), else_=0),
                paid != -func.coalesce(holds.c.charged_ucr, 0),
                and_(
                    holds.c.state != HoldState.OPEN,
                    holds.c.amount_ucr
                    != func.coalesce(holds.c.charged_ucr, -1)
                    + func.coalesce(holds.c.returned_ucr, -1),
                ),
            )
        )
    )
    for row in _rows(connection, statement):
        yield (
            f"I-5 hold {row['id']}: {row['state']}, begun {row['begun']}, settled {row['settled']},"
            f" voided {row['voided']}, paid {row['delta_ucr']}"
        )
