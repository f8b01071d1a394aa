"""What a bucket is, and whose an account, stands; a hold that has ended takes no more parts.

Whose a bucket is may be erased (C-42), its money moves in `accounts`, its end may get a grace.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    _kept(
        "accounts",
        "id, kind, bucket_id",
        "id = NEW.id",
        "bucket_id = NEW.bucket_id AND kind = NEW.kind",
        "bucket_id IS NULL AND NEW.bucket_id IS NULL AND kind = NEW.kind",
    )
    window = "owner_id = NEW.owner_id AND starts_us = NEW.starts_us AND kind = 'allowance'"
    _kept(
        "buckets",
        "id, owner_kind, kind, priority, starts_us, ends_us, span",
        "id = NEW.id",
        f"{window} AND NEW.kind = 'allowance' AND span IS NEW.span",
    )
    _refuse(
        "hold_parts_open",
        "INSERT ON hold_parts WHEN"
        " (SELECT state FROM holds WHERE id = NEW.hold_id) IN ('settled', 'voided')",
        "a hold ends once",
    )


def _kept(table: str, facts: str, *taken: str) -> None:
    """Rows that are neither deleted nor replaced, with columns that stand."""
    found = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {rows})"  # noqa: S608 - all of it is written above.
        for rows in taken
    )
    _refuse(f"{table}_no_replace", f"INSERT ON {table} WHEN {found}", f"{table} are kept")
    _refuse(f"{table}_no_delete", f"DELETE ON {table}", f"{table} are kept")
    _refuse(f"{table}_frozen", f"UPDATE OF {facts} ON {table}", f"{table} are frozen")


def _refuse(name: str, act: str, why: str) -> None:
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} BEGIN SELECT RAISE(ABORT, '{why}'); END")
