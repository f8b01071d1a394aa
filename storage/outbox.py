"""Messages that must be created once, as durable facts (S-7).

    ready ──> sending ──> sent
                 └──────> dead

`sending` is written before the request leaves: from then on nobody knows whether Discord has the
message, until an answer, or the channel's history, tells. Every move is a compare-and-set that
returns the row after it, or None when it came too late.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from storage.schema import outbox

NONCE_CHARS = 24
"""Discord takes 25 (S-7)."""
_NONCE_KEY = b"atelier outbox v1"
"""Keeps these nonces apart from those of answers; what they name is unique by itself."""


class Purpose(StrEnum):
    """What a message is for; a job has at most one of each."""

    STATUS = "status"
    """The card, where the interaction's token is of no more use."""
    RESULT = "result"
    """The outcome in the job's channel, in place of a card that is gone; pings its owner."""
    DM = "dm"
    """The outcome in the owner's direct messages."""


class PostState(StrEnum):
    """How far a message is."""

    READY = "ready"
    """Nothing of it was ever sent."""
    SENDING = "sending"
    """It may be there."""
    SENT = "sent"
    """It is, or was deleted since."""
    DEAD = "dead"
    """It will never be: the next sink has the outcome."""


_OPEN = frozenset({PostState.READY, PostState.SENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One row. `windows` counts the times that nothing of it was known to be there.

    `first_sent_us` is when the present one began; `digest` is of what was sent first in it.
    `is_marked` when a former one may have made the message all the same. `message_id` is None of
    what was posted and deleted meanwhile (F-91). `cause` says why it is dead.
    """

    job_id: int
    purpose: Purpose
    channel_id: int
    digest: str
    nonce: str
    state: PostState
    windows: int
    is_marked: bool
    first_sent_us: int | None
    message_id: int | None
    cause: str | None


def nonce_of(reference: str, purpose: Purpose) -> str:
    """The same for the same message of the same job, also after a restart (S-7)."""
    mac = hmac.digest(_NONCE_KEY, f"{reference}/{purpose}".encode(), "sha256")
    return base64.b32encode(mac).decode().lower()[:NONCE_CHARS]


_GET = select(*outbox.c).where(
    outbox.c.job_id == bindparam("of"), outbox.c.purpose == bindparam("for")
)


def get(connection: Connection, *, job_id: int, purpose: Purpose) -> Posting | None:
    """Read one message's row; None while nobody wanted to post it."""
    row = connection.execute(_GET, {"of": job_id, "for": purpose}).one_or_none()
    return None if row is None else _posting(row)


_BEGUN = select(outbox.c.purpose).where(
    outbox.c.job_id == bindparam("of"),
    outbox.c.state.in_([PostState.SENDING, PostState.SENT]),
)


def begun(connection: Connection, *, job_id: int) -> frozenset[Purpose]:
    """Which messages of a job may be there, or are."""
    return frozenset(map(Purpose, connection.execute(_BEGUN, {"of": job_id}).scalars()))


_WANT = insert(outbox)
_MOVE = (
    update(outbox)
    .where(
        outbox.c.job_id == bindparam("of"),
        outbox.c.purpose == bindparam("for"),
        outbox.c.state.in_(bindparam("leave", expanding=True)),
    )
    .returning(*outbox.c)
)
_BEGIN = _MOVE.values(windows=outbox.c.windows + 1)
_BEGIN_AGAIN = _BEGIN.where(outbox.c.first_sent_us == bindparam("since_us"))


def begin(
    connection: Connection,
    *,
    job_id: int,
    reference: str,
    purpose: Purpose,
    channel_id: int,
    digest: str,
    now_us: int,
) -> Posting | None:
    """Write down that it is about to be sent; only then may it be."""
    if get(connection, job_id=job_id, purpose=purpose) is None:
        connection.execute(
            _WANT,
            {
                "job_id": job_id,
                "purpose": purpose,
                "channel_id": channel_id,
                "digest": digest,
                "nonce": nonce_of(reference, purpose),
                "state": PostState.READY,
                "windows": 0,
                "is_marked": 0,
            },
        )
    return _move(
        connection,
        _BEGIN,
        job_id=job_id,
        purpose=purpose,
        leave={PostState.READY},
        state=PostState.SENDING,
        channel_id=channel_id,
        digest=digest,
        first_sent_us=now_us,
    )


def begin_again(
    connection: Connection, *, posting: Posting, digest: str, is_marked: bool, now_us: int
) -> Posting | None:
    """Open a new window for what is not in the channel's history, or where that is closed to us.

    `is_marked`: nobody could look, so it may be there twice, and says so.
    """
    return _move(
        connection,
        _BEGIN_AGAIN,
        job_id=posting.job_id,
        purpose=posting.purpose,
        leave={PostState.SENDING},
        since_us=posting.first_sent_us,
        digest=digest,
        is_marked=int(is_marked),
        first_sent_us=now_us,
    )


def record_sent(
    connection: Connection, *, job_id: int, purpose: Purpose, message_id: int | None
) -> Posting | None:
    """It is there; without `message_id` it was, and somebody deleted it (F-91)."""
    return _move(
        connection,
        _MOVE,
        job_id=job_id,
        purpose=purpose,
        leave={PostState.SENDING},
        state=PostState.SENT,
        message_id=message_id,
    )


def give_up(connection: Connection, *, job_id: int, purpose: Purpose, cause: str) -> Posting | None:
    """It will not be sent (again)."""
    return _move(
        connection,
        _MOVE,
        job_id=job_id,
        purpose=purpose,
        leave=_OPEN,
        state=PostState.DEAD,
        cause=cause,
    )


_CLOSE = (
    update(outbox)
    .where(outbox.c.job_id == bindparam("of"), outbox.c.state.in_(sorted(_OPEN)))
    .values(state=PostState.DEAD)
)


def close(connection: Connection, *, job_id: int, cause: str) -> int:
    """Give up whatever a job that is over had still on its way; how many."""
    return connection.execute(_CLOSE, {"of": job_id, "cause": cause}).rowcount


def _move(
    connection: Connection,
    statement: ReturningUpdate[*tuple[Any, ...]],
    /,
    *,
    job_id: int,
    purpose: Purpose,
    leave: Collection[PostState],
    **values: Any,
) -> Posting | None:
    keys = {"of": job_id, "for": purpose, "leave": sorted(leave)}
    row = connection.execute(statement, {**keys, **values}).one_or_none()
    return None if row is None else _posting(row)


def _posting(row: Any) -> Posting:  # its type has as many parameters as the table columns
    facts = row._asdict()
    facts["purpose"] = Purpose(facts["purpose"])
    facts["state"] = PostState(facts["state"])
    facts["is_marked"] = facts["is_marked"] == 1
    return Posting(**facts)
