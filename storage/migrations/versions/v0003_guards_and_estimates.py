"""Guards that REPLACE cannot pass and that let a hold end once; the estimate of a running turn.

`INSERT OR REPLACE` deletes the row in its way without firing triggers, unless the connection has
`recursive_triggers`: ours have, other tools' need not. So replacing is refused where it begins.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _estimates()
    _entries()
    _journal()
    _holds()
    _jobs()


def _estimates() -> None:
    """What a turn will have cost the provider if it never ends (reliability.md S-12, F-19)."""
    op.add_column(
        "turns",
        sa.Column(
            "cost_estimate_ucr",
            BIG,
            sa.CheckConstraint(sa.text("cost_estimate_ucr >= 0"), name=op.f("turns_estimate")),
            nullable=True,
        ),
    )


def _entries() -> None:
    _no_replace("entries", "entries is append-only", "id = NEW.id")


def _journal() -> None:
    staff = "IN ('grant', 'take', 'set', 'undo')"
    end = "IN ('settle', 'void')"
    _no_replace(
        "journal",
        "journal is append-only",
        "id = NEW.id",
        f"reference = NEW.reference AND kind {staff} AND NEW.kind {staff}",
        "hold_id = NEW.hold_id AND kind = 'hold' AND NEW.kind = 'hold'",
        f"hold_id = NEW.hold_id AND kind {end} AND NEW.kind {end}",
    )


def _holds() -> None:
    """Whose a hold was may be erased (C-42); how it ended stands (I-5)."""
    _no_replace("holds", "holds are kept", "id = NEW.id", "reference = NEW.reference")
    _refuse("holds_no_delete", "DELETE ON holds", "holds are kept")
    _refuse("holds_frozen", "UPDATE OF id, reference, opened_us ON holds", "holds are frozen")
    _refuse(
        "holds_end",
        "UPDATE OF amount_ucr, state, charged_ucr, returned_ucr, loss_ucr, cause, closed_us"
        " ON holds WHEN OLD.state <> 'open'",
        "a hold ends once",
    )
    why = "hold_parts is append-only"
    _no_replace("hold_parts", why, "hold_id = NEW.hold_id AND position = NEW.position")
    _refuse("hold_parts_no_update", "UPDATE ON hold_parts", why)
    _refuse("hold_parts_no_delete", "DELETE ON hold_parts", why)


def _jobs() -> None:
    _no_replace(
        "jobs",
        "jobs are kept",
        "id = NEW.id",
        "short_id = NEW.short_id",
        "reference = NEW.reference",
        "provider = NEW.provider AND task_id = NEW.task_id",
    )
    _refuse(
        "jobs_task_free",
        "UPDATE OF task_id ON jobs WHEN EXISTS (SELECT 1 FROM jobs WHERE id <> NEW.id"
        " AND provider = NEW.provider AND task_id = NEW.task_id)",
        "jobs are kept",
    )
    of_job = "job_id = NEW.job_id"
    ends = "IN ('finished', 'delivered')"
    _no_replace(
        "job_events",
        "job_events is append-only",
        "id = NEW.id",
        f"{of_job} AND old_status IS NULL AND NEW.old_status IS NULL",
        f"{of_job} AND new_status = NEW.new_status AND new_status {ends}"
        " AND new_status <> old_status AND NEW.new_status <> NEW.old_status",
        f"{of_job} AND new_status = old_status AND NEW.new_status = NEW.old_status",
    )


def _no_replace(table: str, why: str, *taken: str) -> None:
    """Refuse a row that is in the way of one of the table's keys.

    A key that SQLite is still to choose is -1 in NEW, and so in nobody's way.
    """
    found = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {rows})"  # noqa: S608 - all of it is written above.
        for rows in taken
    )
    _refuse(f"{table}_no_replace", f"INSERT ON {table} WHEN {found}", why)


def _refuse(name: str, act: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} BEGIN SELECT RAISE(ABORT, '{why}'); END")
