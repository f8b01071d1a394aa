"""What Discord asked of us: stored before it is acknowledged, so that it is taken once (S-2)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "interactions",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("token", sa.Text(), nullable=True),
        sa.Column("expires_us", BIG, nullable=False),
        sa.Column("received_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("interactions_pk")),
        sa.CheckConstraint(sa.text("expires_us >= received_us"), name=op.f("interactions_expiry")),
        sqlite_strict=True,
    )
    op.create_index(
        "interactions_open_ix", "interactions", ["id"], sqlite_where=sa.text("token IS NOT NULL")
    )
    op.create_index("interactions_old_ix", "interactions", ["received_us"])
