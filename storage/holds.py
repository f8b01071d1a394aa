"""Holds: credits reserved before the provider is called, and what becomes of them.

    open ── settle ──> settled    min(hold, cost) is spent, the rest goes back to its buckets
      └──── void ────> voided     all of it goes back

The functions are part of `storage.ledger`, where callers find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, insert, select, update

from storage import budgets
from storage import wallet as wallets
from storage.books import Act, Move, is_whole, record
from storage.budgets import Window
from storage.errors import Duplicate, IllegalMove
from storage.hold_rows import HoldRow, find, get, guild_of, resolve
from storage.schema import ISSUER_ID, LOSS_ID, hold_parts, holds
from storage.types import UCR_PER_CREDIT, ActKind, Allowance, Cause, Hold, HoldState, Settlement
from storage.wallet import Wallet

LOSS_UCR_MAX = 1_000_000 * UCR_PER_CREDIT
"""F-51: one piece of work costs less by far; an absurd report must not overflow the account."""
_PPM = 1_000_000

_HOLD = insert(holds).returning(holds.c.id)
_PARTS = insert(hold_parts)
_PARTS_COUNT = (
    select(func.count()).select_from(hold_parts).where(hold_parts.c.hold_id == bindparam("hold_id"))
)
_MORE = (
    update(holds)
    .where(holds.c.id == bindparam("hold_id"))
    .values(amount_ucr=holds.c.amount_ucr + bindparam("more_ucr"))
)
_END = (
    update(holds)
    .where(holds.c.id == bindparam("hold_id"), holds.c.state == HoldState.OPEN)
    .values(
        {
            name: bindparam(name)
            for name in ("state", "charged_ucr", "returned_ucr", "loss_ucr", "cause", "closed_us")
        }
    )
)


def hold(
    connection: Connection,
    *,
    user_id: int,
    amount_ucr: int,
    floor_ucr: int,
    reference: str,
    allowance: Allowance,
    now_us: int,
    guild_id: int | None = None,
) -> Hold:
    """Reserve `amount_ucr`, or what is available if that is at least `floor_ucr`.

    The same amount of the installation's budget is reserved with it, and in a server of the
    server's; without `guild_id`, in direct messages, there is none of those. Raises
    InsufficientCredits, BudgetExhausted, and Duplicate when the reference was ever used.
    """
    assert is_whole(amount_ucr)
    assert is_whole(floor_ucr, high=amount_ucr)
    if find(connection, reference) is not None:
        raise Duplicate(reference=reference)
    wallet = wallets.touch(connection, user_id=user_id, allowance=allowance, now_us=now_us)
    windows = budgets.touch(connection, guild_id=guild_id, now_us=now_us)
    if wallet.available_ucr < floor_ucr:
        raise wallet.insufficient(allowance, floor_ucr)
    held_ucr = _affordable(amount_ucr, wallet, windows)
    if held_ucr < floor_ucr:
        raise budgets.exhausted(windows, floor_ucr)
    _open(
        connection,
        wallet,
        windows,
        reference=reference,
        amount_ucr=held_ucr,
        guild_id=guild_id,
    )
    return Hold(reference=reference, user_id=user_id, amount_ucr=held_ucr, state=HoldState.OPEN)


def extend(
    connection: Connection, *, reference: str, amount_ucr: int, allowance: Allowance, now_us: int
) -> Hold:
    """Add up to `amount_ucr` to an open hold, as much as is available; the hold after it.

    The budgets' part comes from the windows that run now; each part returns to where it came from.
    Not idempotent: each call adds. Raises InsufficientCredits or BudgetExhausted when nothing is
    available, IllegalMove when the hold has ended, UnknownReference.
    """
    assert is_whole(amount_ucr, low=1)
    row = get(connection, reference)
    if row.state is not HoldState.OPEN:
        raise IllegalMove(reference=reference, state=row.state, move=ActKind.EXTEND)
    wallet = wallets.touch(connection, user_id=row.user_id, allowance=allowance, now_us=now_us)
    guild_id = guild_of(connection, row.id)
    windows = budgets.touch(connection, guild_id=guild_id, now_us=now_us)
    if wallet.available_ucr == 0:
        raise wallet.insufficient(allowance, amount_ucr)
    more_ucr = _affordable(amount_ucr, wallet, windows)
    if more_ucr == 0:
        raise budgets.exhausted(windows, amount_ucr)
    connection.execute(_MORE, {"hold_id": row.id, "more_ucr": more_ucr})
    act = Act(
        kind=ActKind.EXTEND,
        user_id=row.user_id,
        reference=reference,
        at_us=wallet.now_us,
        hold_id=row.id,
        guild_id=guild_id,
    )
    _reserve(connection, wallet, windows, act, hold_id=row.id, amount_ucr=more_ucr)
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
    assert is_whole(cost_ucr, high=None)
    assert is_whole(loss_ucr, high=None)
    row = get(connection, reference)
    charged_ucr = min(row.amount_ucr, cost_ucr)
    return _end(
        connection,
        row,
        _Outcome(
            state=HoldState.SETTLED,
            kind=ActKind.SETTLE,
            charged_ucr=charged_ucr,
            loss_ucr=loss_ucr + _provider_part_ucr(cost_ucr - charged_ucr, multiplier_ppm),
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
    assert is_whole(loss_ucr, high=None)
    return _end(
        connection,
        get(connection, reference),
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
    row = get(connection, reference)
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
    if find(connection, reference) is None:
        wallet = wallets.load(connection, user_id=user_id, now_us=now_us)
        _open(connection, wallet, (), reference=reference, amount_ucr=0, guild_id=None)
    return void(connection, reference=reference, cause=cause, loss_ucr=loss_ucr, now_us=now_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    state: HoldState
    kind: ActKind
    charged_ucr: int
    loss_ucr: int
    cause: Cause


def _provider_part_ucr(price_ucr: int, multiplier_ppm: int) -> int:
    """What the provider took for work at this price; free work has no price and no multiplier."""
    return price_ucr * _PPM // multiplier_ppm if price_ucr else 0


def _affordable(amount_ucr: int, wallet: Wallet, windows: Sequence[Window]) -> int:
    """As much of it as the member and every budget have."""
    left = (window.bucket.available_ucr for window in windows)
    return min((amount_ucr, wallet.available_ucr, *left))


def _open(
    connection: Connection,
    wallet: Wallet,
    windows: Sequence[Window],
    *,
    reference: str,
    amount_ucr: int,
    guild_id: int | None,
) -> None:
    row = {
        "reference": reference,
        "user_id": wallet.user_id,
        "amount_ucr": amount_ucr,
        "state": HoldState.OPEN,
        "opened_us": wallet.now_us,
    }
    hold_id = connection.execute(_HOLD, row).scalar_one()
    act = Act(
        kind=ActKind.HOLD,
        user_id=wallet.user_id,
        reference=reference,
        at_us=wallet.now_us,
        hold_id=hold_id,
        guild_id=guild_id,
    )
    _reserve(connection, wallet, windows, act, hold_id=hold_id, amount_ucr=amount_ucr)


def _reserve(
    connection: Connection,
    wallet: Wallet,
    windows: Sequence[Window],
    act: Act,
    *,
    hold_id: int,
    amount_ucr: int,
) -> None:
    """Move parts from available to held, and remember which, behind those already there."""
    parts = wallet.parts(amount_ucr)
    if parts:
        parts += tuple((window.bucket, amount_ucr) for window in windows)
        first = connection.execute(_PARTS_COUNT, {"hold_id": hold_id}).scalar_one()
        rows = [
            {
                "hold_id": hold_id,
                "position": position,
                "bucket_id": bucket.id,
                "amount_ucr": part_ucr,
            }
            for position, (bucket, part_ucr) in enumerate(parts, start=first)
        ]
        connection.execute(_PARTS, rows)
    moves = [
        Move(from_account_id=b.available_id, to_account_id=b.held_id, amount_ucr=part_ucr)
        for b, part_ucr in parts
    ]
    record(connection, act, moves)


def _end(connection: Connection, row: HoldRow, outcome: _Outcome, now_us: int) -> Settlement:
    """Leave the open state, once: a compare-and-set together with all that follows from it."""
    if row.state is not HoldState.OPEN:
        return _first_outcome(connection, row, outcome, now_us)
    wallet = wallets.load(connection, user_id=row.user_id, now_us=now_us)
    returned_ucr = row.amount_ucr - outcome.charged_ucr
    loss_ucr = min(outcome.loss_ucr, LOSS_UCR_MAX)
    end = {
        "hold_id": row.id,
        "state": outcome.state,
        "charged_ucr": outcome.charged_ucr,
        "returned_ucr": returned_ucr,
        "loss_ucr": loss_ucr,
        "cause": outcome.cause,
        "closed_us": wallet.now_us,
    }
    assert connection.execute(_END, end).rowcount == 1
    resolved = resolve(connection, row, wallet, outcome.charged_ucr)
    moves = resolved.moves
    if loss_ucr > 0:
        moves.append(Move(from_account_id=ISSUER_ID, to_account_id=LOSS_ID, amount_ucr=loss_ucr))
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
        loss_ucr=loss_ucr,
        available_ucr=wallet.available_ucr + resolved.spendable_ucr,
    )


def _first_outcome(
    connection: Connection, row: HoldRow, outcome: _Outcome, now_us: int
) -> Settlement:
    if row.state is not outcome.state:
        raise IllegalMove(reference=row.reference, state=row.state, move=outcome.kind)
    return _as_it_ended(connection, row, now_us)


def _as_it_ended(connection: Connection, row: HoldRow, now_us: int) -> Settlement:
    assert row.charged_ucr is not None
    assert row.returned_ucr is not None
    assert row.loss_ucr is not None
    return Settlement(
        charged_ucr=row.charged_ucr,
        returned_ucr=row.returned_ucr,
        loss_ucr=row.loss_ucr,
        available_ucr=wallets.load(connection, user_id=row.user_id, now_us=now_us).available_ucr,
    )
