"""Conversation history, per channel: threads and direct messages are channels too.

A turn enters the history only when it is finished, which happens in the transaction that settles
it (reliability.md S-12): a crash never leaves half a turn in the context. Texts live exactly as
long as they are needed; rows stay as keys, so that one message is never answered twice.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, String, bindparam, cast, func, insert, literal, select, update

from storage.errors import Duplicate, IllegalMove, UnknownReference
from storage.schema import holds, interactions, turns
from storage.types import (
    Cause,
    NewTurn,
    OpenTurn,
    OwedTurn,
    PastTurn,
    StoredAttachment,
    TurnState,
)

_ERASED = {"author_name": "", "question": "", "attachments": "[]"}


_WINDOW = (
    select(
        turns.c.author_id,
        turns.c.author_name,
        turns.c.question,
        turns.c.attachments,
        turns.c.answer,
        turns.c.tokens,
    )
    .where(
        turns.c.channel_id == bindparam("of"),
        turns.c.state == TurnState.FINISHED,
        turns.c.forgotten_us.is_(None),
    )
    .order_by(turns.c.id.desc())
    .limit(bindparam("most"))
)


def window(
    connection: Connection, *, channel_id: int, tokens_max: int, turns_max: int
) -> tuple[PastTurn, ...]:
    """The newest finished turns that fit into `tokens_max` together, oldest first.

    Without gaps: the first that does not fit ends the window. Turns stand in the order in which
    they were asked.
    """
    rows = connection.execute(_WINDOW, {"of": channel_id, "most": turns_max}).all()
    fitting: list[PastTurn] = []
    room = tokens_max
    for row in rows:
        assert row.answer is not None
        assert row.tokens is not None
        room -= row.tokens
        if room < 0:
            break
        fitting.append(
            PastTurn(
                author_id=row.author_id,
                author_name=row.author_name,
                question=row.question,
                attachments=_attachments(row.attachments),
                answer=row.answer,
                tokens=row.tokens,
            )
        )
    return tuple(reversed(fitting))


_KNOWN = select(turns.c.id).where(turns.c.reference == bindparam("of"))
_BEGIN = insert(turns)


def begin(connection: Connection, *, turn: NewTurn, now_us: int) -> None:
    """Store a question that is about to be asked. Raises Duplicate when it is known."""
    known = connection.execute(_KNOWN, {"of": turn.reference})
    if known.one_or_none() is not None:
        raise Duplicate(reference=turn.reference)
    attachments = [
        {"filename": a.filename, "content_type": a.content_type} for a in turn.attachments
    ]
    connection.execute(
        _BEGIN,
        {
            "reference": turn.reference,
            "channel_id": turn.channel_id,
            "guild_id": turn.guild_id,
            "author_id": turn.author_id,
            "author_name": turn.author_name,
            "model": turn.model,
            "question": turn.question,
            "attachments": json.dumps(attachments),
            "cost_estimate_ucr": turn.cost_estimate_ucr,
            "state": TurnState.PENDING,
            "begun_us": now_us,
        },
    )


_OF = update(turns).where(turns.c.reference == bindparam("of"))
_OF_PENDING = _OF.where(turns.c.state == TurnState.PENDING)
_OF_ENDED = _OF.where(turns.c.ended_us.is_not(None))


def note_cost(connection: Connection, *, reference: str, cost_estimate_ucr: int) -> None:
    """Remember what a pending turn has cost by now, for a restart (F-19).

    A note that comes too late, or for a turn that is not known, changes nothing.
    """
    connection.execute(_OF_PENDING, {"of": reference, "cost_estimate_ucr": cost_estimate_ucr})


def show_at(connection: Connection, *, reference: str, message_id: int) -> None:
    """Remember where the answer appears, for a restart. Raises UnknownReference."""
    shown = connection.execute(_OF, {"of": reference, "message_id": message_id})
    if shown.rowcount == 0:
        raise UnknownReference(reference=reference)


def finish(
    connection: Connection, *, reference: str, answer: str, tokens: int, now_us: int
) -> None:
    """Make a pending turn part of the history; together with `ledger.settle`.

    A turn that was forgotten while it was answered is finished without its texts. Raises
    IllegalMove when it is not pending, UnknownReference.
    """
    assert tokens >= 0
    forgotten = _pending(connection, reference, move="finish")
    connection.execute(
        _OF_PENDING,
        {
            "of": reference,
            "state": TurnState.FINISHED,
            "answer": "" if forgotten else answer,
            "tokens": tokens,
            "ended_us": now_us,
        },
    )


def abandon(
    connection: Connection, *, reference: str, cause: Cause, tokens: int = 0, now_us: int
) -> None:
    """Close a pending turn that never enters the history, and erase its texts.

    `tokens` is what its member had been shown. Raises IllegalMove when it is not pending,
    UnknownReference.
    """
    assert tokens >= 0
    _pending(connection, reference, move="abandon")
    connection.execute(
        _OF_PENDING,
        {
            "of": reference,
            "state": TurnState.ABANDONED,
            "cause": cause,
            "tokens": tokens,
            "ended_us": now_us,
            **_ERASED,
        },
    )


def mark_shown(connection: Connection, *, reference: str, now_us: int) -> None:
    """Remember that the end of a turn needs no telling any more."""
    connection.execute(_OF_ENDED, {"of": reference, "shown_us": now_us})


_OWED = (
    select(
        turns.c.reference,
        turns.c.channel_id,
        turns.c.author_id,
        turns.c.message_id,
        turns.c.answer,
        holds.c.charged_ucr,
        interactions.c.token,
    )
    .outerjoin(holds, holds.c.reference == turns.c.reference)
    .outerjoin(
        interactions,
        (turns.c.reference == literal("i:") + cast(interactions.c.id, String))
        & interactions.c.token.is_not(None)
        & (interactions.c.expires_us > bindparam("now_us")),
    )
    .where(turns.c.ended_us >= bindparam("since_us"), turns.c.shown_us.is_(None))
    .order_by(turns.c.id)
    .limit(bindparam("most"))
)


def owed(
    connection: Connection, *, since_us: int, turns_max: int, now_us: int
) -> tuple[OwedTurn, ...]:
    """The turns that ended since then and whose end nobody was shown, oldest first."""
    limits = {"since_us": since_us, "most": turns_max, "now_us": now_us}
    rows = connection.execute(_OWED, limits)
    return tuple(
        OwedTurn(
            reference=row.reference,
            channel_id=row.channel_id,
            author_id=row.author_id,
            message_id=row.message_id,
            answer=row.answer or None,
            charged_ucr=row.charged_ucr or 0,
            token=row.token,
        )
        for row in rows
    )


# --- Broken streams ------------------------------------------------------------------------------

_BROKEN = (Cause.STREAM_UNFINISHED, Cause.ABUSE_BRAKE)


def broken_endings(
    connection: Connection, *, author_id: int, since_us: int, outage_us: int, outage_members: int
) -> int:
    """How many uncharged answers of a member broke off since then, with some words shown.

    Not counted are those around which, by `outage_us` before or after, the answers of
    `outage_members` other members broke, too: that is the provider's doing.
    """
    mine, others = turns.alias("mine"), turns.alias("others")
    around = (
        select(func.count(others.c.author_id.distinct()))
        .where(
            others.c.cause.in_(_BROKEN),
            others.c.author_id != author_id,
            others.c.ended_us.between(mine.c.ended_us - outage_us, mine.c.ended_us + outage_us),
        )
        .scalar_subquery()
    )
    return connection.execute(
        select(func.count()).where(
            mine.c.cause == Cause.STREAM_UNFINISHED,
            mine.c.author_id == author_id,
            mine.c.ended_us >= since_us,
            mine.c.tokens > 0,
            around < outage_members,
        )
    ).scalar_one()


def others_broken(connection: Connection, *, author_id: int, since_us: int) -> int:
    """How many other members' answers broke off since then; each member counts once."""
    return connection.execute(
        select(func.count(turns.c.author_id.distinct())).where(
            turns.c.cause.in_(_BROKEN),
            turns.c.author_id != author_id,
            turns.c.ended_us >= since_us,
        )
    ).scalar_one()


_OPEN = (
    select(
        turns.c.reference,
        turns.c.channel_id,
        turns.c.author_id,
        turns.c.message_id,
        turns.c.cost_estimate_ucr,
    )
    .where(turns.c.state == TurnState.PENDING)
    .order_by(turns.c.id)
)


def open_turns(connection: Connection) -> tuple[OpenTurn, ...]:
    """What a former process left pending, oldest first; as many as it had running at once."""
    rows = connection.execute(_OPEN)
    return tuple(
        OpenTurn(
            reference=row.reference,
            channel_id=row.channel_id,
            author_id=row.author_id,
            message_id=row.message_id,
            cost_estimate_ucr=row.cost_estimate_ucr or 0,
        )
        for row in rows
    )


def forget(connection: Connection, *, channel_id: int, now_us: int) -> int:
    """Erase the texts of a channel; the number of turns that left its history.

    A question that is being answered just now is forgotten too, but was not yet history.
    """
    of_channel = (turns.c.channel_id == channel_id) & turns.c.forgotten_us.is_(None)
    dropped = connection.execute(
        update(turns)
        .where(of_channel, turns.c.state == TurnState.FINISHED)
        .values(answer="", forgotten_us=now_us, **_ERASED)
    ).rowcount
    connection.execute(
        update(turns)
        .where(of_channel, turns.c.state == TurnState.PENDING)
        .values(forgotten_us=now_us, **_ERASED)
    )
    return dropped


_STATE = select(turns.c.state, turns.c.forgotten_us).where(turns.c.reference == bindparam("of"))


def _pending(connection: Connection, reference: str, *, move: str) -> bool:
    """See that the turn may still end; whether it was forgotten meanwhile."""
    row = connection.execute(_STATE, {"of": reference}).one_or_none()
    if row is None:
        raise UnknownReference(reference=reference)
    if row.state != TurnState.PENDING:
        raise IllegalMove(reference=reference, state=row.state, move=move)
    return row.forgotten_us is not None


def _attachments(stored: str) -> tuple[StoredAttachment, ...]:
    return tuple(
        StoredAttachment(filename=item["filename"], content_type=item["content_type"])
        for item in json.loads(stored)
    )
