"""Messages that must be created once (reliability.md S-7)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _outbox()
    _guards()


def _check(name: str, rule: str) -> sa.CheckConstraint:
    # op.f: the name is final; the naming convention must not be applied to it again.
    return sa.CheckConstraint(sa.text(rule), name=op.f(f"outbox_{name}"))


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("channel_id", BIG, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("windows", BIG, nullable=False),
        sa.Column("is_marked", BIG, nullable=False),
        sa.Column("first_sent_us", BIG, nullable=True),
        sa.Column("message_id", BIG, nullable=True),
        sa.Column("cause", sa.Text, nullable=True),
        _check("purpose", "purpose IN ('status', 'result', 'dm')"),
        _check("nonce", "length(nonce) BETWEEN 1 AND 25"),
        _check("state", "state IN ('ready', 'sending', 'sent', 'dead')"),
        _check(
            "windows", "windows >= 0 AND is_marked IN (0, 1) AND (is_marked = 0 OR windows > 1)"
        ),
        _check(
            "sent",
            "(state NOT IN ('sending', 'sent') OR (first_sent_us IS NOT NULL AND windows > 0))"
            " AND (message_id IS NULL OR state = 'sent')",
        ),
        _check("dead", "(state = 'dead') = (cause IS NOT NULL)"),
        sa.PrimaryKeyConstraint("job_id", "purpose", name=op.f("outbox_pk")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("outbox_job_id_fk")),
        sqlite_strict=True,
    )
    op.create_index(op.f("outbox_nonce_uq"), "outbox", ["nonce"], unique=True)
    condition = sa.text("message_id IS NOT NULL")
    op.create_index(
        op.f("outbox_message_uq"),
        "outbox",
        ["message_id"],
        unique=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )


def _guards() -> None:
    """What was sent or given up stays so; no outcome is posted before there is one."""
    _refuse("outbox_no_delete", "DELETE ON outbox", "outbox rows are kept")
    _refuse(
        "outbox_no_replace",
        "INSERT ON outbox WHEN EXISTS (SELECT 1 FROM outbox WHERE nonce = NEW.nonce"
        " OR (job_id = NEW.job_id AND purpose = NEW.purpose))",
        "outbox rows are kept",
    )
    _refuse("outbox_frozen", "UPDATE OF job_id, purpose, nonce ON outbox", "outbox rows are frozen")
    _refuse(
        "outbox_end",
        "UPDATE ON outbox WHEN OLD.state IN ('sent', 'dead')",
        "what was sent or given up stays so",
    )
    _refuse(
        "outbox_after_outcome",
        "INSERT ON outbox WHEN NEW.purpose <> 'status' AND NOT EXISTS"
        " (SELECT 1 FROM jobs WHERE id = NEW.job_id AND outcome IS NOT NULL)",
        "no outcome is posted before there is one",
    )


def _refuse(name: str, act: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} BEGIN SELECT RAISE(ABORT, '{why}'); END")
