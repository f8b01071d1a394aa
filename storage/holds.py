"""Holds: credits reserved before the provider is called, and what becomes of them.

    open ── settle ──> settled    min(hold, cost) is spent, the rest goes back to its buckets
      └──── void ────> voided     all of it goes back

The functions are part of `storage.ledger`, where callers find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from storage import wallet as wallets
from storage.books import Act, Move, record
from storage.errors import Duplicate, IllegalMove, UnknownReference
from storage.schema import ISSUER_ID, LOSS_ID, SPENT_ID, hold_parts, holds
from storage.types import ActKind, Allowance, Cause, Hold, HoldState, Settlement
from storage.wallet import Bucket, Wallet

_PPM = 1_000_000


def hold(
    connection: Connection,
    *,
    user_id: int,
    amount_ucr: int,
    floor_ucr: int,
    reference: str,
    allowance: Allowance,
    now_us: int,
) -> Hold:
    """Reserve `amount_ucr`, or what is available if that is at least `floor_ucr`.

    Raises InsufficientCredits, and Duplicate when the reference was ever used.
    """
    assert 0 <= floor_ucr <= amount_ucr
    if _find(connection, reference) is not None:
        raise Duplicate(reference=reference)
    wallet = wallets.touch(connection, user_id=user_id, allowance=allowance, now_us=now_us)
    held_ucr = min(amount_ucr, wallet.available_ucr)
    if held_ucr < floor_ucr:
        raise wallet.insufficient(allowance, floor_ucr)
    _open(connection, wallet, reference=reference, amount_ucr=held_ucr)
    return Hold(reference=reference, user_id=user_id, amount_ucr=held_ucr, state=HoldState.OPEN)


def extend(
    connection: Connection, *, reference: str, amount_ucr: int, allowance: Allowance, now_us: int
) -> Hold:
    """Add up to `amount_ucr` to an open hold, as much as is available; the hold after it.

    Not idempotent: each call adds. Raises InsufficientCredits when nothing is available,
    IllegalMove when the hold has ended, UnknownReference.
    """
    assert amount_ucr > 0
    row = _get(connection, reference)
    if row.state is not HoldState.OPEN:
        raise IllegalMove(reference=reference, state=row.state, move=ActKind.EXTEND)
    wallet = wallets.touch(connection, user_id=row.user_id, allowance=allowance, now_us=now_us)
    more_ucr = min(amount_ucr, wallet.available_ucr)
    if more_ucr == 0:
        raise wallet.insufficient(allowance, amount_ucr)
    connection.execute(
        update(holds).where(holds.c.id == row.id).values(amount_ucr=holds.c.amount_ucr + more_ucr)
    )
    _reserve(
        connection, wallet, ActKind.EXTEND, hold_id=row.id, reference=reference, amount_ucr=more_ucr
    )
    return Hold(
        reference=reference,
        user_id=row.user_id,
        amount_ucr=row.amount_ucr + more_ucr,
        state=HoldState.OPEN,
    )


def settle(
    connection: Connection,
    *,
    reference: str,
    cost_ucr: int,
    cause: Cause,
    now_us: int,
    multiplier_ppm: int = _PPM,
    loss_ucr: int = 0,
) -> Settlement:
    """Pay for the work: at most the hold; the rest goes back, what is beyond is operator loss.

    `cost_ucr` is the member's price, so what is beyond cost the operator its `multiplier_ppm`th
    part (I-12). `loss_ucr` comes on top: what the provider took for what nobody pays. Repeated, it
    returns the first outcome. Raises IllegalMove after `void`, UnknownReference.
    """
    assert cost_ucr >= 0
    assert loss_ucr >= 0
    row = _get(connection, reference)
    charged_ucr = min(row.amount_ucr, cost_ucr)
    return _end(
        connection,
        row,
        _Outcome(
            state=HoldState.SETTLED,
            kind=ActKind.SETTLE,
            charged_ucr=charged_ucr,
            loss_ucr=loss_ucr + (cost_ucr - charged_ucr) * _PPM // multiplier_ppm,
            cause=cause,
        ),
        now_us,
    )


def void(
    connection: Connection, *, reference: str, cause: Cause, loss_ucr: int = 0, now_us: int
) -> Settlement:
    """Give the whole hold back; `loss_ucr` is what the provider cost nevertheless, estimated.

    Repeated, it returns the first outcome. Raises IllegalMove after `settle`, UnknownReference.
    """
    assert loss_ucr >= 0
    return _end(
        connection,
        _get(connection, reference),
        _Outcome(
            state=HoldState.VOIDED,
            kind=ActKind.VOID,
            charged_ucr=0,
            loss_ucr=loss_ucr,
            cause=cause,
        ),
        now_us,
    )


def ended(connection: Connection, *, reference: str, now_us: int) -> Settlement:
    """How a hold ended. Raises IllegalMove while it is open, UnknownReference."""
    row = _get(connection, reference)
    if row.state is HoldState.OPEN:
        raise IllegalMove(reference=reference, state=row.state, move="look back")
    return _as_it_ended(connection, row, now_us)


def lose(
    connection: Connection,
    *,
    user_id: int,
    loss_ucr: int,
    reference: str,
    cause: Cause,
    now_us: int,
) -> Settlement:
    """Book what the provider cost when the member's hold has already ended (S-6, I-10).

    An empty hold of its own, voided at once: the loss has a reference and a cause like any other,
    and the member's credits are not touched. Repeated, it returns the first outcome.
    """
    if _find(connection, reference) is None:
        wallet = wallets.load(connection, user_id=user_id, now_us=now_us)
        _open(connection, wallet, reference=reference, amount_ucr=0)
    return void(connection, reference=reference, cause=cause, loss_ucr=loss_ucr, now_us=now_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class _HoldRow:
    id: int
    reference: str
    user_id: int
    amount_ucr: int
    state: HoldState
    charged_ucr: int | None
    returned_ucr: int | None
    loss_ucr: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    state: HoldState
    kind: ActKind
    charged_ucr: int
    loss_ucr: int
    cause: Cause


def _find(connection: Connection, reference: str) -> _HoldRow | None:
    row = connection.execute(
        select(
            holds.c.id,
            holds.c.user_id,
            holds.c.amount_ucr,
            holds.c.state,
            holds.c.charged_ucr,
            holds.c.returned_ucr,
            holds.c.loss_ucr,
        ).where(holds.c.reference == reference)
    ).one_or_none()
    if row is None:
        return None
    return _HoldRow(
        id=row.id,
        reference=reference,
        user_id=row.user_id,
        amount_ucr=row.amount_ucr,
        state=HoldState(row.state),
        charged_ucr=row.charged_ucr,
        returned_ucr=row.returned_ucr,
        loss_ucr=row.loss_ucr,
    )


def _get(connection: Connection, reference: str) -> _HoldRow:
    row = _find(connection, reference)
    if row is None:
        raise UnknownReference(reference=reference)
    return row


def _open(connection: Connection, wallet: Wallet, *, reference: str, amount_ucr: int) -> None:
    hold_id = connection.execute(
        insert(holds)
        .values(
            reference=reference,
            user_id=wallet.user_id,
            amount_ucr=amount_ucr,
            state=HoldState.OPEN,
            opened_us=wallet.now_us,
        )
        .returning(holds.c.id)
    ).scalar_one()
    _reserve(
        connection,
        wallet,
        ActKind.HOLD,
        hold_id=hold_id,
        reference=reference,
        amount_ucr=amount_ucr,
    )


def _reserve(
    connection: Connection,
    wallet: Wallet,
    kind: ActKind,
    *,
    hold_id: int,
    reference: str,
    amount_ucr: int,
) -> None:
    """Move parts from available to held, and remember which, behind those already there."""
    parts = wallet.parts(amount_ucr)
    if parts:
        first = connection.execute(
            select(func.count()).select_from(hold_parts).where(hold_parts.c.hold_id == hold_id)
        ).scalar_one()
        rows = [
            {
                "hold_id": hold_id,
                "position": position,
                "bucket_id": bucket.id,
                "amount_ucr": part_ucr,
            }
            for position, (bucket, part_ucr) in enumerate(parts, start=first)
        ]
        connection.execute(insert(hold_parts), rows)
    act = Act(
        kind=kind,
        user_id=wallet.user_id,
        reference=reference,
        at_us=wallet.now_us,
        hold_id=hold_id,
    )
    moves = [
        Move(from_account_id=b.available_id, to_account_id=b.held_id, amount_ucr=part_ucr)
        for b, part_ucr in parts
    ]
    record(connection, act, moves)


def _end(connection: Connection, row: _HoldRow, outcome: _Outcome, now_us: int) -> Settlement:
    """Leave the open state, once: a compare-and-set together with all that follows from it."""
    if row.state is not HoldState.OPEN:
        return _first_outcome(connection, row, outcome, now_us)
    wallet = wallets.load(connection, user_id=row.user_id, now_us=now_us)
    returned_ucr = row.amount_ucr - outcome.charged_ucr
    ended = connection.execute(
        update(holds)
        .where(holds.c.id == row.id, holds.c.state == HoldState.OPEN)
        .values(
            state=outcome.state,
            charged_ucr=outcome.charged_ucr,
            returned_ucr=returned_ucr,
            loss_ucr=outcome.loss_ucr,
            cause=outcome.cause,
            closed_us=wallet.now_us,
        )
    )
    assert ended.rowcount == 1
    spent, returned = _split(_parts(connection, row, wallet), outcome.charged_ucr)
    wallets.give_grace(connection, wallet, (bucket for bucket, _part_ucr in returned))
    moves = [
        Move(from_account_id=b.held_id, to_account_id=SPENT_ID, amount_ucr=part_ucr)
        for b, part_ucr in spent
    ]
    moves += [
        Move(from_account_id=b.held_id, to_account_id=b.available_id, amount_ucr=part_ucr)
        for b, part_ucr in returned
    ]
    if outcome.loss_ucr > 0:
        moves.append(
            Move(from_account_id=ISSUER_ID, to_account_id=LOSS_ID, amount_ucr=outcome.loss_ucr)
        )
    act = Act(
        kind=outcome.kind,
        user_id=row.user_id,
        reference=row.reference,
        at_us=wallet.now_us,
        delta_ucr=-outcome.charged_ucr,
        hold_id=row.id,
    )
    record(connection, act, moves)
    return Settlement(
        charged_ucr=outcome.charged_ucr,
        returned_ucr=returned_ucr,
        loss_ucr=outcome.loss_ucr,
        available_ucr=_available_ucr(connection, row, now_us),
    )


def _first_outcome(
    connection: Connection, row: _HoldRow, outcome: _Outcome, now_us: int
) -> Settlement:
    if row.state is not outcome.state:
        raise IllegalMove(reference=row.reference, state=row.state, move=outcome.kind)
    return _as_it_ended(connection, row, now_us)


def _as_it_ended(connection: Connection, row: _HoldRow, now_us: int) -> Settlement:
    assert row.charged_ucr is not None
    assert row.returned_ucr is not None
    assert row.loss_ucr is not None
    return Settlement(
        charged_ucr=row.charged_ucr,
        returned_ucr=row.returned_ucr,
        loss_ucr=row.loss_ucr,
        available_ucr=_available_ucr(connection, row, now_us),
    )


def _available_ucr(connection: Connection, row: _HoldRow, now_us: int) -> int:
    return wallets.load(connection, user_id=row.user_id, now_us=now_us).available_ucr


Parts = Sequence[tuple[Bucket, int]]


def _parts(connection: Connection, row: _HoldRow, wallet: Wallet) -> Parts:
    """The parts of a hold in the order of taking; a bucket with held credits is always open."""
    by_id = {bucket.id: bucket for bucket in wallet.buckets}
    found = connection.execute(
        select(hold_parts.c.bucket_id, hold_parts.c.amount_ucr)
        .where(hold_parts.c.hold_id == row.id)
        .order_by(hold_parts.c.position)
    )
    return [(by_id[part.bucket_id], part.amount_ucr) for part in found]


def _split(parts: Parts, charged_ucr: int) -> tuple[Parts, Parts]:
    """What is spent, first taken first, and what goes back, last taken first."""
    spent: list[tuple[Bucket, int]] = []
    returned: list[tuple[Bucket, int]] = []
    for bucket, amount_ucr in parts:
        part_ucr = min(amount_ucr, charged_ucr)
        charged_ucr -= part_ucr
        if part_ucr > 0:
            spent.append((bucket, part_ucr))
        if part_ucr < amount_ucr:
            returned.append((bucket, amount_ucr - part_ucr))
    assert charged_ucr == 0
    return spent, returned[::-1]
