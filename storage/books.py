"""Journal lines and their entries: the only place that moves money between accounts."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, text, update

from storage.errors import Duplicate
from storage.schema import JOURNAL_ONCE, accounts, entries, journal
from storage.types import ActKind

GENESIS = bytes(32)
"""What stands before the first digest."""


UCR_MAX = 10**15
"""A billion credits: no amount of ours is larger, so that no sum of them leaves 64 bits."""


def is_whole(amount_ucr: int, *, low: int = 0, high: int | None = UCR_MAX) -> bool:
    """What every amount is at the border of the ledger (F-51, F-141).

    Not isinstance: True is an int to Python, and nobody's intention.
    """
    return type(amount_ucr) is int and low <= amount_ucr and (high is None or amount_ucr <= high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`amount_ucr` from one account to another; always more than nothing."""

    from_account_id: int
    to_account_id: int
    amount_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One line of the journal; `user_id` is None when it is about a server's budget."""

    kind: ActKind
    user_id: int | None
    reference: str
    at_us: int
    delta_ucr: int = 0
    hold_id: int | None = None
    actor_id: int | None = None
    guild_id: int | None = None
    reason: str | None = None


def digest(
    previous: bytes, *, entry_id: int, move: Move, kind: str, hold_id: int | None, at_us: int
) -> bytes:
    """The link of the chain over one entry (I-2): SHA-256 over all that must never change."""
    facts = (
        entry_id,
        move.from_account_id,
        move.to_account_id,
        move.amount_ucr,
        kind,
        hold_id,
        at_us,
    )
    return hashlib.sha256(previous + "|".join(map(str, facts)).encode()).digest()


# Built once, here as in the other modules of the ledger: building a statement costs more than
# running it.
_LINE = insert(journal).returning(journal.c.id)
_ENTRIES = insert(entries)
_NEWEST = select(entries.c.id, entries.c.digest).order_by(entries.c.id.desc()).limit(1)
_FIRST = select(journal.c.kind, journal.c.user_id).where(
    journal.c.reference == bindparam("reference"), text(f"({JOURNAL_ONCE})")
)


def repeated(connection: Connection, act: Act) -> bool:
    """Whether this very act was already done; the unique index is the second defence.

    Raises Duplicate when its reference names another act.
    """
    first = connection.execute(_FIRST, {"reference": act.reference}).one_or_none()
    if first is None:
        return False
    if (first.kind, first.user_id) != (act.kind, act.user_id):
        raise Duplicate(reference=act.reference)
    return True


def record(connection: Connection, act: Act, moves: Sequence[Move]) -> None:
    """Write one act with all its movements and keep the balances equal to their sum (I-1).

    Entries are numbered here, one after the other, so that a missing number means a lost entry.
    """
    assert all(move.amount_ucr > 0 for move in moves)
    line = connection.execute(
        _LINE,
        {
            "kind": act.kind,
            "user_id": act.user_id,
            "reference": act.reference,
            "hold_id": act.hold_id,
            "delta_ucr": act.delta_ucr,
            "actor_id": act.actor_id,
            "guild_id": act.guild_id,
            "reason": act.reason,
            "at_us": act.at_us,
        },
    ).scalar_one()
    if moves:
        _append(connection, act, line, moves)
        _balance(connection, moves)


def newest(connection: Connection) -> tuple[int, bytes]:
    """Number and digest of the last entry."""
    last = connection.execute(_NEWEST).one_or_none()
    return (0, GENESIS) if last is None else (last.id, last.digest)


def _append(connection: Connection, act: Act, journal_id: int, moves: Sequence[Move]) -> None:
    """Add the entries at the end of the chain."""
    entry_id, link = newest(connection)
    rows = []
    for move in moves:
        entry_id += 1
        link = digest(
            link,
            entry_id=entry_id,
            move=move,
            kind=act.kind,
            hold_id=act.hold_id,
            at_us=act.at_us,
        )
        rows.append(
            {
                "id": entry_id,
                "journal_id": journal_id,
                "from_account_id": move.from_account_id,
                "to_account_id": move.to_account_id,
                "amount_ucr": move.amount_ucr,
                "digest": link,
            }
        )
    connection.execute(_ENTRIES, rows)


_ADD = (
    update(accounts)
    .where(accounts.c.id == bindparam("account_id"))
    .values(balance_ucr=accounts.c.balance_ucr + bindparam("delta_ucr"))
)


def _balance(connection: Connection, moves: Sequence[Move]) -> None:
    """Bring the stored balances along; the CHECK refuses one below zero (I-3)."""
    deltas: defaultdict[int, int] = defaultdict(int)
    for move in moves:
        deltas[move.from_account_id] -= move.amount_ucr
        deltas[move.to_account_id] += move.amount_ucr
    connection.execute(
        _ADD, [{"account_id": key, "delta_ucr": deltas[key]} for key in sorted(deltas)]
    )
