"""What Discord asked of us: taken once, before it is acknowledged (S-2; F-1 … F-3, I-33)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import (
    Connection,
    String,
    bindparam,
    delete,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)
from sqlalchemy import cast as sql_cast

from storage.errors import Duplicate
from storage.schema import JOURNAL_ONCE, budgets, interactions, jobs, journal, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInteraction:
    """One that may wait for its answer; `token` answers it for a while.

    `is_booked`: what was asked for was done, and perhaps nobody heard of it.
    """

    id: int
    token: str = field(repr=False)
    is_booked: bool = False


_FIND = select(interactions.c.id).where(interactions.c.id == bindparam("of"))
_TAKE = insert(interactions)


def receive(
    connection: Connection, *, interaction_id: int, token: str | None, expires_us: int, now_us: int
) -> None:
    """Take it. Raises Duplicate when that was done before."""
    found = connection.execute(_FIND, {"of": interaction_id})
    if found.one_or_none() is not None:
        raise Duplicate(reference=f"i:{interaction_id}")
    connection.execute(
        _TAKE,
        {
            "id": interaction_id,
            "token": token,
            "expires_us": max(expires_us, now_us),
            "received_us": now_us,
        },
    )


_END = (
    update(interactions)
    .where(interactions.c.id == bindparam("of"), interactions.c.token.is_not(None))
    .values(token=None)
)


def end(connection: Connection, *, interaction_id: int) -> None:
    """Forget the token: somebody was told, or never can be."""
    connection.execute(_END, {"of": interaction_id})


_REFERENCE = literal("i:") + sql_cast(interactions.c.id, String)
_BOOKED = or_(
    select(journal.c.id)
    .where(journal.c.reference == _REFERENCE, text(f"({JOURNAL_ONCE})"))
    .exists(),
    select(budgets.c.id).where(budgets.c.reference == _REFERENCE).exists(),
)
_UNANSWERED = (
    select(interactions.c.id, interactions.c.token, _BOOKED.label("is_booked"))
    .where(
        interactions.c.token.is_not(None),
        interactions.c.expires_us > bindparam("now_us"),
        ~select(jobs.c.id).where(jobs.c.reference == _REFERENCE).exists(),
        ~select(turns.c.id).where(turns.c.reference == _REFERENCE).exists(),
    )
    .order_by(interactions.c.id)
)


def unanswered(connection: Connection, *, now_us: int) -> tuple[OpenInteraction, ...]:
    """What a former process took without an answer that we know of, while it can still be given.

    An accepted job shows itself, and a turn that was begun is owed its own end (`turns.owed`).
    """
    rows = connection.execute(_UNANSWERED, {"now_us": now_us})
    return tuple(
        OpenInteraction(id=row.id, token=cast(str, row.token), is_booked=bool(row.is_booked))
        for row in rows
    )


_FORGET = (
    update(interactions)
    .where(interactions.c.token.is_not(None), interactions.c.expires_us <= bindparam("now_us"))
    .values(token=None)
)
_PURGE = delete(interactions).where(interactions.c.received_us < bindparam("before_us"))


def purge(connection: Connection, *, now_us: int, before_us: int) -> None:
    """Forget tokens that are over (C-45), and keys that Discord cannot repeat any more."""
    connection.execute(_FORGET, {"now_us": now_us})
    connection.execute(_PURGE, {"before_us": before_us})
