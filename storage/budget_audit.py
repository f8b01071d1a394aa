"""Reads all windows of budgets and says where more was held than their ceilings (I-8).

Part of `storage.audit`; like it, this trusts neither constraints nor triggers.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, case, func, select

from storage.budget_schema import INSTALLATION_ID
from storage.schema import accounts, buckets, budgets, entries, hold_parts, holds, journal

FACTS_MAX = 20
"""Per question, as in `storage.audit`."""


def audit_budgets(connection: Connection) -> tuple[str, ...]:
    """Broken invariants as facts, each beginning with its number; empty when sound."""
    return (*_ceilings(connection), *_parts(connection), *_overlaps(connection))


# --- I-8: spent + held ≤ the ceiling that stood, at each hold -------------------------------------

_held = accounts.alias("held")
_available = accounts.alias("available")
_TAKEN = entries.c.to_account_id == _held.c.id
_USED = (
    select(
        entries.c.id,
        entries.c.journal_id,
        buckets.c.id.label("bucket_id"),
        buckets.c.owner_id.label("guild_id"),
        buckets.c.span,
        _TAKEN.label("is_taking"),
        func.sum(case((_TAKEN, entries.c.amount_ucr), else_=-entries.c.amount_ucr))
        .over(partition_by=buckets.c.id, order_by=entries.c.id)
        .label("used_ucr"),
    )
    .join(_held, (_held.c.bucket_id == buckets.c.id) & (_held.c.kind == "held"))
    .join(_available, (_available.c.bucket_id == buckets.c.id) & (_available.c.kind == "available"))
    .join(
        entries,
        # What is spent stays used: only what goes back to `available` counts against it.
        _TAKEN
        | (
            (entries.c.from_account_id == _held.c.id) & (entries.c.to_account_id == _available.c.id)
        ),
    )
    .where(buckets.c.owner_kind == "guild")
    .subquery()
)
_CEILING = (
    select(case((_USED.c.span == "day", budgets.c.day_ucr), else_=budgets.c.month_ucr))
    .where(budgets.c.guild_id == _USED.c.guild_id, budgets.c.after_entry_id < _USED.c.id)
    .order_by(budgets.c.id.desc())
    .limit(1)
    .correlate(_USED)
    .scalar_subquery()
)
_EXCEEDED = (
    select(_USED.c.id, _USED.c.bucket_id, _USED.c.used_ucr, _CEILING.label("ceiling_ucr"))
    .where(_USED.c.is_taking, _USED.c.used_ucr > func.coalesce(_CEILING, 0))
    .limit(FACTS_MAX)
)


def _ceilings(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_EXCEEDED):
        yield (
            f"I-8 entry {row.id}: {row.used_ucr} used of bucket {row.bucket_id},"
            f" ceiling {row.ceiling_ucr}"
        )


# --- I-8: of a hold no window counts more than the member's part ----------------------------------

_COUNTED = func.sum(hold_parts.c.amount_ucr)
_OVERCOUNTED = (
    select(
        holds.c.id,
        buckets.c.owner_id,
        buckets.c.span,
        holds.c.amount_ucr,
        _COUNTED.label("counted_ucr"),
    )
    .join(hold_parts, hold_parts.c.hold_id == holds.c.id)
    .join(buckets, buckets.c.id == hold_parts.c.bucket_id)
    .where(buckets.c.owner_kind == "guild")
    .group_by(holds.c.id, buckets.c.owner_id, buckets.c.span, holds.c.amount_ucr)
    .having(holds.c.amount_ucr < _COUNTED)
    .limit(FACTS_MAX)
)
_FOREIGN = (
    select(holds.c.id, buckets.c.owner_id)
    .join(hold_parts, hold_parts.c.hold_id == holds.c.id)
    .join(buckets, buckets.c.id == hold_parts.c.bucket_id)
    .join(journal, (journal.c.hold_id == holds.c.id) & (journal.c.kind == "hold"))
    .where(
        buckets.c.owner_kind == "guild",
        # In the installation's budget everything counts.
        buckets.c.owner_id != INSTALLATION_ID,
        func.coalesce(journal.c.guild_id, -1) != buckets.c.owner_id,
    )
    .limit(FACTS_MAX)
)


def _parts(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_OVERCOUNTED):
        yield f"I-8 hold {row.id}: {row.amount_ucr} held, {row.counted_ucr} by {row.span}"
    for foreign in connection.execute(_FOREIGN):
        yield f"I-8 hold {foreign.id}: counted by server {foreign.owner_id}"


# --- I-8: windows of one budget do not overlap, or the ceiling would count twice ------------------

_other = buckets.alias("other")
_OVERLAPPING = (
    select(buckets.c.id, _other.c.id.label("other_id"))
    .join(
        _other,
        (_other.c.owner_kind == buckets.c.owner_kind)
        & (_other.c.owner_id == buckets.c.owner_id)
        & (func.coalesce(_other.c.span, "") == func.coalesce(buckets.c.span, ""))
        & (_other.c.kind == "allowance")
        & (_other.c.starts_us > buckets.c.starts_us)
        & (_other.c.starts_us < buckets.c.ends_us),
    )
    .where(buckets.c.kind == "allowance")
    .limit(FACTS_MAX)
)


def _overlaps(connection: Connection) -> Iterator[str]:
    for row in connection.execute(_OVERLAPPING):
        yield f"I-8 bucket {row.other_id}: begins within bucket {row.id}"
