"""Ceilings of a server per day and month: what staff set, and the windows that are used up."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


_FACTS = "id, guild_id, reference, day_ucr, month_ucr, timezone, after_entry_id, at_us"


def upgrade() -> None:
    op.create_table(
        "budgets",
        sa.Column("id", BIG, nullable=False),
        sa.Column("guild_id", BIG, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("day_ucr", BIG, nullable=True),
        sa.Column("month_ucr", BIG, nullable=True),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("actor_id", BIG, nullable=False),
        sa.Column("after_entry_id", BIG, nullable=False),
        sa.Column("at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("budgets_pk")),
        sa.UniqueConstraint("reference", name=op.f("budgets_reference_uq")),
        sa.CheckConstraint(
            sa.text("coalesce(day_ucr, 1) > 0 AND coalesce(month_ucr, 1) > 0"),
            name=op.f("budgets_ceilings"),
        ),
        sqlite_strict=True,
    )
    op.create_index(op.f("budgets_guild_ix"), "budgets", ["guild_id", "id"])
    _append_only()
    op.add_column(
        "buckets",
        sa.Column(
            "span",
            sa.Text,
            sa.CheckConstraint(
                sa.text(
                    "(owner_kind = 'guild' AND kind = 'allowance' AND span IS NOT NULL"
                    " AND span IN ('day', 'month'))"
                    " OR (owner_kind = 'user' AND span IS NULL)"
                ),
                name=op.f("buckets_budget"),
            ),
            nullable=True,
        ),
    )
    op.drop_index(op.f("buckets_window_uq"), "buckets")
    _unique("buckets_window_uq", ["owner_id", "starts_us"], "kind = 'allowance' AND span IS NULL")
    _unique("buckets_budget_uq", ["owner_id", "span", "starts_us"], "span IS NOT NULL")


def _append_only() -> None:
    """Staff's words stand; who spoke may be erased (C-42)."""
    acts = (
        (
            "no_update",
            f"UPDATE OF {_FACTS}",
            "",
        ),
        ("no_delete", "DELETE", ""),
        (
            "no_replace",
            "INSERT",
            " WHEN EXISTS (SELECT 1 FROM budgets WHERE id = NEW.id OR reference = NEW.reference)",
        ),
    )
    for name, act, when in acts:
        op.execute(
            f"CREATE TRIGGER budgets_{name} BEFORE {act} ON budgets{when}"
            " BEGIN SELECT RAISE(ABORT, 'budgets is append-only'); END"
        )


def _unique(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        op.f(name),
        "buckets",
        columns,
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
