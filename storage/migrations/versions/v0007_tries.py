"""What bounds hang on is in the row, so that a restart begins nothing anew; who acted as staff."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    for name in ("asked_us", "not_before_us", "refused_since_us"):
        op.add_column("jobs", sa.Column(name, BIG, nullable=True))
    for name in ("looks", "missing", "urlless", "fetches", "stumbles"):
        op.add_column("jobs", _count("jobs", name))
    op.add_column("callbacks", _count("callbacks", "tries"))
    op.add_column("job_events", sa.Column("digest", sa.Text, nullable=True))
    _acts()


def _count(table: str, name: str) -> sa.Column[int]:
    rule = sa.CheckConstraint(sa.text(f"{name} >= 0"), name=op.f(f"{table}_{name}"))
    return sa.Column(name, BIG, rule, nullable=False, server_default=sa.text("0"))


def _acts() -> None:
    op.create_table(
        "job_acts",
        sa.Column("id", BIG, nullable=False),
        sa.Column("job_id", BIG, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("actor_id", BIG, nullable=False),
        sa.Column("detail", sa.Text, nullable=True),
        sa.Column("at_us", BIG, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("job_acts_pk")),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("job_acts_job_id_fk")),
        sa.CheckConstraint(sa.text("act IN ('bind', 'refund')"), name=op.f("job_acts_act")),
        sqlite_strict=True,
    )
    op.create_index(op.f("job_acts_job_ix"), "job_acts", ["job_id"])
    # Who acted may be erased (C-42); that somebody did stands.
    _refuse("update", "UPDATE OF id, job_id, act, detail, at_us ON job_acts")
    _refuse("delete", "DELETE ON job_acts")
    found = "EXISTS (SELECT 1 FROM job_acts WHERE id = NEW.id)"
    _refuse("replace", f"INSERT ON job_acts WHEN {found}")


def _refuse(name: str, act: str) -> None:
    why = "SELECT RAISE(ABORT, 'job_acts is append-only')"
    op.execute(f"CREATE TRIGGER job_acts_no_{name} BEFORE {act} BEGIN {why}; END")
