"""A gift and a purchase happen once per reference, as staff's acts do; each gift is received once.

One index over all of them: a reference names one act, whatever its kind.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ONCE = "IN ('grant', 'take', 'set', 'undo', 'purchase')"
_GIVEN = "kind = 'gift' AND delta_ucr < 0"
_RECEIVED = "kind = 'gift' AND delta_ucr > 0"


def upgrade() -> None:
    op.drop_index(op.f("journal_staff_uq"), "journal")
    _unique("journal_once_uq", f"kind {_ONCE} OR ({_GIVEN})")
    _unique("journal_received_uq", _RECEIVED)
    op.execute("DROP TRIGGER journal_no_replace")
    taken = " OR ".join(
        f"EXISTS (SELECT 1 FROM journal WHERE {rows})"  # noqa: S608 - all of it is written here.
        for rows in (
            "id = NEW.id",
            (
                f"reference = NEW.reference AND (kind {_ONCE} OR ({_GIVEN}))"
                f" AND (NEW.kind {_ONCE} OR (NEW.kind = 'gift' AND NEW.delta_ucr < 0))"
            ),
            (
                f"reference = NEW.reference AND {_RECEIVED}"
                " AND NEW.kind = 'gift' AND NEW.delta_ucr > 0"
            ),
            "hold_id = NEW.hold_id AND kind = 'hold' AND NEW.kind = 'hold'",
            (
                "hold_id = NEW.hold_id AND kind IN ('settle', 'void')"
                " AND NEW.kind IN ('settle', 'void')"
            ),
        )
    )
    op.execute(
        f"CREATE TRIGGER journal_no_replace BEFORE INSERT ON journal WHEN {taken}"
        " BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END"
    )


def _unique(name: str, where: str) -> None:
    op.create_index(
        op.f(name),
        "journal",
        ["reference"],
        unique=True,
        sqlite_where=sa.text(where),
        postgresql_where=sa.text(where),
    )
