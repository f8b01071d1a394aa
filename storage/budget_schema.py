"""Ceilings of a server, and of the whole installation: one row per change, the newest counts."""

from __future__ import annotations

from sqlalchemy import Column, Named, Table, Text, TypedColumns
from sqlalchemy.schema import SchemaItem

from storage.tables import BIG, check, index, metadata

INSTALLATION_ID = 0
"""The `guild_id` of the budget over all servers and direct messages; no server has it."""


class BudgetColumns(TypedColumns):
    """Who set what, when. Append-only: triggers refuse all but erasing who it was (C-33, C-42).

    Staff set a server's; the installation's are the operator's settings, with `actor_id` 0.

    `after_entry_id` is the newest entry of the ledger before it (0 if none), so that the audit
    knows which ceiling stood when a hold was taken, whatever the clock said (I-8).
    """

    id: Named[int] = Column(BIG, primary_key=True)
    guild_id: Named[int] = Column(BIG, nullable=False)
    reference: Named[str] = Column(Text, nullable=False, unique=True)
    day_ucr: Named[int | None] = Column(BIG, nullable=True)
    month_ucr: Named[int | None] = Column(BIG, nullable=True)
    timezone: Named[str] = Column(Text, nullable=False)
    actor_id: Named[int] = Column(BIG, nullable=False)
    after_entry_id: Named[int] = Column(BIG, nullable=False)
    at_us: Named[int] = Column(BIG, nullable=False)


_RULES: tuple[SchemaItem, ...] = (
    check("ceilings", "coalesce(day_ucr, 1) > 0 AND coalesce(month_ucr, 1) > 0"),
    index("budgets_guild_ix", "guild_id", "id"),
)
budgets = Table("budgets", metadata, BudgetColumns, *_RULES, sqlite_strict=True)
