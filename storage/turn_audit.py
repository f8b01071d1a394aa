"""Reads all turns and says which do not agree with the ledger; part of `storage.audit`."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, and_, case, func, or_, select

from storage.schema import holds, turns
from storage.types import Cause, HoldState, TurnState

FACTS_MAX = 20
"""As in `storage.audit`."""

# --- I-4, I-7: running ⇔ held; in the history ⇒ paid; paid ⇒ for one of these reasons -----------

_PAID = (Cause.ANSWERED, Cause.HOLD_EXHAUSTED, Cause.ABUSE_BRAKE)
_EXPECTED = case(
    (turns.c.state == TurnState.PENDING, HoldState.OPEN.value),
    (
        or_(turns.c.state == TurnState.FINISHED, turns.c.cause.in_(_PAID)),
        HoldState.SETTLED.value,
    ),
    else_=HoldState.VOIDED.value,
)
_MISHELD = (
    select(turns.c.id, turns.c.state, turns.c.cause, holds.c.state.label("hold"), holds.c.cause)
    .outerjoin(holds, holds.c.reference == turns.c.reference)
    .where(
        or_(
            func.coalesce(holds.c.state, "") != _EXPECTED,
            and_(holds.c.state == HoldState.SETTLED, holds.c.cause.not_in(_PAID)),
        )
    )
    .order_by(turns.c.id)
    .limit(FACTS_MAX)
)


def audit_turns(connection: Connection) -> Iterator[str]:
    """Broken invariants as facts, each beginning with its number; none when sound."""
    for turn_id, state, cause, hold, hold_cause in connection.execute(_MISHELD):
        yield f"I-4 turn {turn_id}: {state} ({cause}); hold {hold} ({hold_cause})"
