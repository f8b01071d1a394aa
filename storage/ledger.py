"""Credits: granted, held, settled or given back, and never lost (reliability.md S-3, asks.md 3.3).

Double entry in whole micro-credits. A member owns buckets; a hold takes parts of them, ends
soonest first, then by priority, then oldest, and is left exactly once:

    open ── settle ──> settled    min(hold, cost) is spent, the rest goes back to its buckets
      └──── void ────> voided     all of it goes back

What the provider cost beyond the hold is operator loss. Every act has a reference; repeating one
changes nothing. All functions want a write transaction, except `history` and `audit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict, Unpack

from sqlalchemy import Connection, select

from storage import buckets
from storage import wallet as wallets
from storage.audit import audit
from storage.books import Act, Move, is_whole, record, repeated
from storage.holds import ended, extend, hold, lose, settle, void
from storage.schema import ISSUER_ID, journal
from storage.transfers import gift, purchase
from storage.types import ActKind, Allowance, Balance, BucketKind, HistoryLine
from storage.wallet import Wallet

__all__ = [
    "StaffFacts",
    "audit",
    "balance",
    "ended",
    "extend",
    "gift",
    "grant",
    "history",
    "hold",
    "lose",
    "purchase",
    "set_balance",
    "settle",
    "take",
    "void",
]


def balance(connection: Connection, *, user_id: int, allowance: Allowance, now_us: int) -> Balance:
    """What a member has now; books the running day's allowance on the way."""
    touched = wallets.touch(connection, user_id=user_id, allowance=allowance, now_us=now_us)
    return touched.balance(allowance)


# --- Staff ---------------------------------------------------------------------------------------


class StaffFacts(TypedDict):
    """Who acts, where and why; a `reference` that is known changes nothing."""

    actor_id: int
    guild_id: int | None
    reason: str
    reference: str
    allowance: Allowance
    now_us: int


def grant(
    connection: Connection,
    *,
    user_id: int,
    amount_ucr: int,
    starts_us: int | None = None,
    ends_us: int | None = None,
    **facts: Unpack[StaffFacts],
) -> Balance:
    """Give a member credits, from now on and without an end unless told; the balance after it.

    Raises Duplicate when the reference names another act.
    """
    assert is_whole(amount_ucr, low=1)
    span = (starts_us, ends_us)
    return _staff_act(
        connection, ActKind.GRANT, user_id, lambda _wallet: amount_ucr, facts, span=span
    )


def take(
    connection: Connection, *, user_id: int, amount_ucr: int, **facts: Unpack[StaffFacts]
) -> Balance:
    """Take credits that are not held; the balance after it.

    Raises InsufficientCredits when fewer are available, Duplicate as `grant`.
    """
    assert is_whole(amount_ucr, low=1)
    return _staff_act(connection, ActKind.TAKE, user_id, lambda _wallet: -amount_ucr, facts)


def set_balance(
    connection: Connection, *, user_id: int, target_ucr: int, **facts: Unpack[StaffFacts]
) -> Balance:
    """Make what is available exactly `target_ucr`; what is held stays held.

    Raises Duplicate as `grant`.
    """
    assert is_whole(target_ucr)

    def missing_ucr(wallet: Wallet) -> int:
        return target_ucr - wallet.available_ucr

    return _staff_act(connection, ActKind.SET, user_id, missing_ucr, facts)


def _staff_act(
    connection: Connection,
    kind: ActKind,
    user_id: int,
    delta_ucr: Callable[[Wallet], int],
    facts: StaffFacts,
    *,
    span: tuple[int | None, int | None] = (None, None),
) -> Balance:
    """Change what is available by `delta_ucr`, once; the balance after it."""
    allowance, now_us = facts["allowance"], facts["now_us"]
    wallet = wallets.touch(connection, user_id=user_id, allowance=allowance, now_us=now_us)
    act = Act(
        kind=kind,
        user_id=user_id,
        reference=facts["reference"],
        at_us=wallet.now_us,
        delta_ucr=delta_ucr(wallet),
        actor_id=facts["actor_id"],
        guild_id=facts["guild_id"],
        reason=facts["reason"],
    )
    if not repeated(connection, act):
        if wallet.available_ucr + act.delta_ucr < 0:
            raise wallet.insufficient(allowance, -act.delta_ucr)
        if act.delta_ucr > 0:
            _give(connection, wallet, act, span)
        else:
            _take_back(connection, wallet, act)
    return balance(connection, user_id=user_id, allowance=allowance, now_us=now_us)


def _give(
    connection: Connection, wallet: Wallet, act: Act, span: tuple[int | None, int | None]
) -> None:
    starts_us, ends_us = span
    _bucket_id, account_id = buckets.open_bucket(
        connection,
        wallet.owner,
        kind=BucketKind.GRANT,
        starts_us=buckets.ALWAYS_US if starts_us is None else starts_us,
        ends_us=ends_us,
        issued_ucr=act.delta_ucr,
    )
    record(connection, act, (buckets.issued(account_id, act.delta_ucr),))


def _take_back(connection: Connection, wallet: Wallet, act: Act) -> None:
    moves = [
        Move(from_account_id=bucket.available_id, to_account_id=ISSUER_ID, amount_ucr=part_ucr)
        for bucket, part_ucr in wallet.parts(-act.delta_ucr)
    ]
    record(connection, act, moves)


# --- Looking back -------------------------------------------------------------------------------


def history(
    connection: Connection, *, user_id: int, limit: int, before_id: int | None = None
) -> tuple[HistoryLine, ...]:
    """A member's account, newest first; the sum of all lines is what the member has.

    Holds and what they gave back are not lines: work appears once, with what it cost.
    `before_id` is the id of the last line already shown.
    """
    statement = (
        select(
            journal.c.id,
            journal.c.at_us,
            journal.c.kind,
            journal.c.delta_ucr,
            journal.c.actor_id,
            journal.c.reason,
            journal.c.reference,
        )
        .where(journal.c.user_id == user_id, journal.c.delta_ucr != 0)
        .order_by(journal.c.id.desc())
        .limit(limit)
    )
    if before_id is not None:
        statement = statement.where(journal.c.id < before_id)
    return tuple(
        HistoryLine(
            id=row.id,
            at_us=row.at_us,
            kind=row.kind,
            delta_ucr=row.delta_ucr,
            actor_id=row.actor_id,
            reason=row.reason,
            reference=row.reference,
        )
        for row in connection.execute(statement)
    )
