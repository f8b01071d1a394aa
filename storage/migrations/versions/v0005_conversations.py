"""What members were shown of their answers, and what the providers teach about tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _shown()
    _ratios()


def _shown() -> None:
    """Whether the end of an answer still has to be told after a restart (F-15, F-19)."""
    op.add_column("turns", sa.Column("shown_us", BIG, nullable=True))
    op.execute("UPDATE turns SET shown_us = ended_us WHERE ended_us IS NOT NULL")
    op.create_index(
        "turns_owed_ix",
        "turns",
        ["id"],
        sqlite_where=sa.text("ended_us IS NOT NULL AND shown_us IS NULL"),
    )
    op.create_index(
        "turns_broken_ix",
        "turns",
        ["ended_us", "author_id"],
        sqlite_where=sa.text("cause IN ('stream_unfinished', 'abuse_brake')"),
    )


def _ratios() -> None:
    op.create_table(
        "token_ratios",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ratio_ppm", BIG, nullable=False),
        sa.Column("samples", BIG, nullable=False),
        sa.Column("changed_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("model", "kind", name=op.f("token_ratios_pk")),
        sa.CheckConstraint(
            sa.text("kind IN ('input', 'searching', 'output')"), name=op.f("token_ratios_kind")
        ),
        sa.CheckConstraint(sa.text("ratio_ppm > 0"), name=op.f("token_ratios_ratio")),
        sa.CheckConstraint(sa.text("samples > 0"), name=op.f("token_ratios_samples")),
        sqlite_strict=True,
    )
