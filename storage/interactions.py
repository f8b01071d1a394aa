"""What Discord asked of us: taken once, before it is acknowledged (S-2; F-1 … F-3, I-33)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from sqlalchemy import Connection, String, delete, insert, literal, select, update
from sqlalchemy import cast as sql_cast

from storage.errors import Duplicate
from storage.schema import interactions, jobs, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenInteraction:
    """One that may wait for its answer; `token` answers it for a while."""

    id: int
    token: str = field(repr=False)


def receive(
    connection: Connection, *, interaction_id: int, token: str | None, expires_us: int, now_us: int
) -> None:
    """Take it. Raises Duplicate when that was done before."""
    found = select(interactions.c.id).where(interactions.c.id == interaction_id)
    if connection.execute(found).one_or_none() is not None:
        raise Duplicate(reference=f"i:{interaction_id}")
    connection.execute(
        insert(interactions).values(
            id=interaction_id, token=token, expires_us=max(expires_us, now_us), received_us=now_us
        )
    )


def end(connection: Connection, *, interaction_id: int) -> None:
    """Forget the token: somebody was told, or never can be."""
    connection.execute(
        update(interactions)
        .where(interactions.c.id == interaction_id, interactions.c.token.is_not(None))
        .values(token=None)
    )


def unanswered(connection: Connection, *, now_us: int) -> tuple[OpenInteraction, ...]:
    """What a former process took and nothing came of, while it can still be answered.

    An accepted job shows itself, and a turn that was begun is owed its own end (`turns.owed`).
    """
    reference = literal("i:") + sql_cast(interactions.c.id, String)
    has_job = select(jobs.c.id).where(jobs.c.reference == reference).exists()
    has_turn = select(turns.c.id).where(turns.c.reference == reference).exists()
    rows = connection.execute(
        select(interactions.c.id, interactions.c.token)
        .where(
            interactions.c.token.is_not(None),
            interactions.c.expires_us > now_us,
            ~has_job,
            ~has_turn,
        )
        .order_by(interactions.c.id)
    )
    return tuple(OpenInteraction(id=row.id, token=cast(str, row.token)) for row in rows)


def purge(connection: Connection, *, now_us: int, before_us: int) -> None:
    """Forget tokens that are over (C-45), and keys that Discord cannot repeat any more."""
    connection.execute(
        update(interactions)
        .where(interactions.c.token.is_not(None), interactions.c.expires_us <= now_us)
        .values(token=None)
    )
    connection.execute(delete(interactions).where(interactions.c.received_us < before_us))
