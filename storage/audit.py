"""Reads the whole database and says what is not as it must be (reliability.md 4).

The ledger by itself here (I-1 … I-5, I-11), server budgets in `storage.budget_audit` (I-8), jobs
and what they owe to the ledger in `storage.job_audit`, turns of chats in `storage.turn_audit`.

Most of it cannot go wrong while the constraints and triggers stand. The audit does not trust them:
it is for a file that was edited by hand, restored in parts, or damaged without SQLite noticing.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import (
    Column,
    Connection,
    Subquery,
    and_,
    bindparam,
    case,
    func,
    or_,
    select,
    text,
    union_all,
)

from storage.books import GENESIS, Move, digest
from storage.budget_audit import audit_budgets
from storage.job_audit import audit_jobs
from storage.schema import (
    ISSUER_ID,
    JOURNAL_ONCE,
    SPENT_ID,
    accounts,
    buckets,
    entries,
    hold_parts,
    holds,
    journal,
)
from storage.turn_audit import audit_turns
from storage.types import UCR_PER_CREDIT, HoldState

FACTS_MAX = 20
"""Per question: the first ones show what kind of damage it is."""
PAGE_ROWS = 1_000
"""Entries read at once, so that an old ledger need not fit into memory."""


def audit(connection: Connection) -> tuple[str, ...]:
    """Broken invariants as facts, each beginning with its number; empty when sound."""
    return (
        *_balances(connection),
        *_members(connection),
        *_chain(connection),
        *_negatives(connection),
        *_held(connection),
        *_outcomes(connection),
        *_staff_acts(connection),
        *audit_budgets(connection),
        *audit_jobs(connection),
        *audit_turns(connection),
    )


# --- I-1: each balance is the sum of its entries, and all balances together are nothing -----------


def _sums(side: Column[int]) -> Subquery:
    return (
        select(side.label("id"), func.sum(entries.c.amount_ucr).label("total_ucr"))
        .group_by(side)
        .subquery()
    )


_INTO = _sums(entries.c.to_account_id)
_OUT = _sums(entries.c.from_account_id)
_BOOKED = func.coalesce(_INTO.c.total_ucr, 0) - func.coalesce(_OUT.c.total_ucr, 0)
_UNBALANCED = (
    select(accounts.c.id, accounts.c.balance_ucr, _BOOKED.label("booked_ucr"))
    .outerjoin(_INTO, _INTO.c.id == accounts.c.id)
    .outerjoin(_OUT, _OUT.c.id == accounts.c.id)
    .where(accounts.c.balance_ucr != _BOOKED)
    .limit(FACTS_MAX)
)
_TOTAL = select(func.sum(accounts.c.balance_ucr))


def _balances(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_UNBALANCED):
        yield f"I-1 account {row.id}: {row.balance_ucr} stored, {row.booked_ucr} booked"
    total = connection.execute(_TOTAL).scalar_one()
    if total != 0:
        yield f"I-1 all accounts: {total} in sum"


_OWNED = (
    select(buckets.c.owner_id, func.sum(accounts.c.balance_ucr).label("owned_ucr"))
    .join(accounts, accounts.c.bucket_id == buckets.c.id)
    .where(buckets.c.owner_kind == "user")
    .group_by(buckets.c.owner_id)
    .subquery()
)
_LINES = (
    select(journal.c.user_id, func.sum(journal.c.delta_ucr).label("lines_ucr"))
    .where(journal.c.user_id.is_not(None))
    .group_by(journal.c.user_id)
    .subquery()
)
_MISLINED = (
    select(_LINES.c.user_id, _LINES.c.lines_ucr, func.coalesce(_OWNED.c.owned_ucr, 0).label("has"))
    .outerjoin(_OWNED, _OWNED.c.owner_id == _LINES.c.user_id)
    .where(_LINES.c.lines_ucr != func.coalesce(_OWNED.c.owned_ucr, 0))
    .limit(FACTS_MAX)
)


def _members(connection: Connection) -> Iterator[str]:
    """The sum of a member's lines is what the member has, held or not."""
    for row in connection.execute(_MISLINED):
        yield f"I-1 member {row.user_id}: {row.has} in buckets, {row.lines_ucr} by lines"


# --- I-2: entries are numbered without a gap, each digest follows from the one before -------------

_PAGE = (
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
    .where(entries.c.id > bindparam("last"))
    .order_by(entries.c.id)
    .limit(bindparam("page_rows"))
)


def _chain(connection: Connection) -> Iterator[str]:
    link, last = GENESIS, 0
    while page := connection.execute(_PAGE, {"last": last, "page_rows": PAGE_ROWS}).all():
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


# --- I-3: only the issuer may be below zero, now and at any time before ---------------------------

_NEGATIVE = (
    select(accounts.c.id, accounts.c.kind, accounts.c.balance_ucr)
    .where(accounts.c.balance_ucr < 0, accounts.c.kind != "issuer")
    .limit(FACTS_MAX)
)


_CHANGES = union_all(
    select(
        entries.c.to_account_id.label("account_id"), entries.c.id, entries.c.amount_ucr.label("ucr")
    ),
    select(entries.c.from_account_id, entries.c.id, -entries.c.amount_ucr),
).subquery()
_RUNNING = select(
    _CHANGES.c.account_id,
    func.sum(_CHANGES.c.ucr)
    .over(partition_by=_CHANGES.c.account_id, order_by=_CHANGES.c.id)
    .label("ucr"),
).subquery()
_WAS_NEGATIVE = (
    select(_RUNNING.c.account_id, func.min(_RUNNING.c.ucr).label("lowest_ucr"))
    .where(_RUNNING.c.ucr < 0, _RUNNING.c.account_id != ISSUER_ID)
    .group_by(_RUNNING.c.account_id)
    .limit(FACTS_MAX)
)


def _negatives(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_NEGATIVE):
        yield f"I-3 account {row.id} ({row.kind}): {row.balance_ucr}"
    for past in connection.execute(_WAS_NEGATIVE):
        yield f"I-3 account {past.account_id}: {past.lowest_ucr} at some time"


# --- I-4: a bucket holds what open holds took from it; a hold is the sum of its member's parts ----

_OPEN_PARTS = (
    select(hold_parts.c.bucket_id, func.sum(hold_parts.c.amount_ucr).label("total_ucr"))
    .join(holds, holds.c.id == hold_parts.c.hold_id)
    .where(holds.c.state == HoldState.OPEN)
    .group_by(hold_parts.c.bucket_id)
    .subquery()
)
_TAKEN = func.coalesce(_OPEN_PARTS.c.total_ucr, 0)
_MISHELD = (
    select(accounts.c.bucket_id, accounts.c.balance_ucr, _TAKEN.label("taken_ucr"))
    .outerjoin(_OPEN_PARTS, _OPEN_PARTS.c.bucket_id == accounts.c.bucket_id)
    .where(accounts.c.kind == "held", accounts.c.balance_ucr != _TAKEN)
    .limit(FACTS_MAX)
)
_PARTS = func.coalesce(func.sum(hold_parts.c.amount_ucr), 0)
_MISPARTED = (
    select(holds.c.id, holds.c.amount_ucr, _PARTS.label("parts_ucr"))
    .outerjoin(
        hold_parts.join(
            buckets, (buckets.c.id == hold_parts.c.bucket_id) & (buckets.c.owner_kind == "user")
        ),
        hold_parts.c.hold_id == holds.c.id,
    )
    .group_by(holds.c.id, holds.c.amount_ucr)
    .having(holds.c.amount_ucr != _PARTS)
    .limit(FACTS_MAX)
)


def _held(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISHELD):
        yield f"I-4 bucket {row.bucket_id}: {row.balance_ucr} held, {row.taken_ucr} taken"
    for hold in connection.execute(_MISPARTED):
        yield f"I-4 hold {hold.id}: {hold.amount_ucr} in all, {hold.parts_ucr} in parts"


# --- I-5: one beginning, at most one end, the one that the state says; nothing lost between -------

_BEGUN = func.coalesce(func.sum(case((journal.c.kind == "hold", 1), else_=0)), 0)
_SETTLED = func.coalesce(func.sum(case((journal.c.kind == "settle", 1), else_=0)), 0)
_VOIDED = func.coalesce(func.sum(case((journal.c.kind == "void", 1), else_=0)), 0)
_DELTA = func.coalesce(func.sum(journal.c.delta_ucr), 0)
_MISENDED = (
    select(
        holds.c.id,
        holds.c.state,
        _BEGUN.label("begun"),
        _SETTLED.label("settled"),
        _VOIDED.label("voided"),
        _DELTA.label("delta_ucr"),
    )
    .outerjoin(journal, journal.c.hold_id == holds.c.id)
    .group_by(
        holds.c.id,
        holds.c.state,
        holds.c.amount_ucr,
        holds.c.charged_ucr,
        holds.c.returned_ucr,
    )
    .having(
        or_(
            _BEGUN != 1,
            case((holds.c.state == HoldState.SETTLED, 1), else_=0) != _SETTLED,
            case((holds.c.state == HoldState.VOIDED, 1), else_=0) != _VOIDED,
            -func.coalesce(holds.c.charged_ucr, 0) != _DELTA,
            and_(
                holds.c.state != HoldState.OPEN,
                holds.c.amount_ucr
                != func.coalesce(holds.c.charged_ucr, -1) + func.coalesce(holds.c.returned_ucr, -1),
            ),
        )
    )
    .limit(FACTS_MAX)
)


def _outcomes(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_MISENDED):
        yield (
            f"I-5 hold {row.id}: {row.state}, begun {row.begun}, settled {row.settled},"
            f" voided {row.voided}, paid {row.delta_ucr}"
        )
    for paid in connection.execute(_MISPAID):
        yield f"I-5 hold {paid.id}: {paid.charged_ucr} charged, {paid.spent_ucr} spent by entries"


_SPENT = (
    select(journal.c.hold_id, func.sum(entries.c.amount_ucr).label("spent_ucr"))
    .join(entries, entries.c.journal_id == journal.c.id)
    .where(entries.c.to_account_id == SPENT_ID)
    .group_by(journal.c.hold_id)
    .subquery()
)
_PAID = func.coalesce(_SPENT.c.spent_ucr, 0)
_MISPAID = (
    select(holds.c.id, holds.c.charged_ucr, _PAID.label("spent_ucr"))
    .outerjoin(_SPENT, _SPENT.c.hold_id == holds.c.id)
    .where(func.coalesce(holds.c.charged_ucr, 0) != _PAID)
    .limit(FACTS_MAX)
)


# --- I-11: who, why, how much, once ---------------------------------------------------------------

STAFF_UCR_MAX = 1_000_000 * UCR_PER_CREDIT
"""F-141: what one grant or take may be."""
_UNSIGNED = (
    select(journal.c.id, journal.c.kind)
    .where(
        or_(
            journal.c.kind.in_(("grant", "take", "set", "undo"))
            & (journal.c.actor_id.is_(None) | journal.c.reason.is_(None)),
            journal.c.kind.in_(("grant", "take"))
            & (
                (journal.c.delta_ucr == 0)
                | (func.abs(journal.c.delta_ucr) > STAFF_UCR_MAX)
                | ((journal.c.kind == "grant") != (journal.c.delta_ucr > 0))
            ),
        )
    )
    .limit(FACTS_MAX)
)
_TWICE = (
    select(journal.c.reference, func.count().label("times"))
    .where(text(f"({JOURNAL_ONCE})"))
    .group_by(journal.c.reference)
    .having(func.count() > 1)
    .limit(FACTS_MAX)
)


def _staff_acts(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_UNSIGNED):
        yield f"I-11 journal {row.id}: {row.kind} without actor, reason or bound"
    for again in connection.execute(_TWICE):
        yield f"I-11 reference {again.reference}: {again.times} acts"
