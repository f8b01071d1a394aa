"""What is written about a hold: its row, its parts, and where each part goes when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text

from storage import buckets
from storage import wallet as wallets
from storage.books import Move
from storage.buckets import Bucket
from storage.errors import UnknownReference
from storage.schema import ISSUER_ID, SPENT_ID, hold_parts, holds, journal
from storage.schema import buckets as bucket_rows
from storage.types import HoldState, Span
from storage.wallet import Wallet


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """One row of `holds`."""

    id: int
    reference: str
    user_id: int
    amount_ucr: int
    state: HoldState
    charged_ucr: int | None
    returned_ucr: int | None
    loss_ucr: int | None


_HOLD = select(
    holds.c.id,
    holds.c.user_id,
    holds.c.amount_ucr,
    holds.c.state,
    holds.c.charged_ucr,
    holds.c.returned_ucr,
    holds.c.loss_ucr,
).where(holds.c.reference == bindparam("reference"))


def find(connection: Connection, reference: str) -> HoldRow | None:
    """By its reference, or None."""
    row = connection.execute(_HOLD, {"reference": reference}).one_or_none()
    if row is None:
        return None
    return HoldRow(
        id=row.id,
        reference=reference,
        user_id=row.user_id,
        amount_ucr=row.amount_ucr,
        state=HoldState(row.state),
        charged_ucr=row.charged_ucr,
        returned_ucr=row.returned_ucr,
        loss_ucr=row.loss_ucr,
    )


def get(connection: Connection, reference: str) -> HoldRow:
    """As `find`. Raises UnknownReference."""
    row = find(connection, reference)
    if row is None:
        raise UnknownReference(reference=reference)
    return row


_GUILD = select(journal.c.guild_id).where(
    # In these words, which are those of the unique index.
    journal.c.hold_id == bindparam("hold_id"),
    text("kind = 'hold'"),
)


def guild_of(connection: Connection, hold_id: int) -> int | None:
    """Where the hold was opened; its extensions count there, too."""
    return connection.execute(_GUILD, {"hold_id": hold_id}).scalar_one()


Parts = Sequence[tuple[Bucket, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What the end of a hold moves, and what of it the member may spend at once."""

    moves: list[Move]
    spendable_ucr: int


def resolve(connection: Connection, row: HoldRow, wallet: Wallet, charged_ucr: int) -> Resolved:
    """What is spent and what goes back: of the member's buckets, of each window of each budget.

    What a budget has spent goes back to the issuer: the member has paid, the budget only counted.
    """
    tracks = _parts(connection, row)
    spent, returned = _split(tracks.pop(None, ()), charged_ucr)
    wallets.give_grace(connection, wallet, (bucket for bucket, _part_ucr in returned))
    # Only after a clock was set back has a bucket, once spent from, not yet started.
    spendable_ucr = sum(part_ucr for b, part_ucr in returned if b.starts_us <= wallet.now_us)
    moves = [
        Move(from_account_id=b.held_id, to_account_id=SPENT_ID, amount_ucr=part_ucr)
        for b, part_ucr in spent
    ]
    for parts in tracks.values():
        # Staff may have begun the budget after the hold: it then holds a part of it only.
        counted_ucr = min(charged_ucr, sum(part_ucr for _bucket, part_ucr in parts))
        counted, uncounted = _split(parts, counted_ucr)
        moves += [
            Move(from_account_id=b.held_id, to_account_id=ISSUER_ID, amount_ucr=part_ucr)
            for b, part_ucr in counted
        ]
        returned = (*returned, *uncounted)
    moves += [
        Move(from_account_id=b.held_id, to_account_id=b.available_id, amount_ucr=part_ucr)
        for b, part_ucr in returned
    ]
    return Resolved(moves=moves, spendable_ucr=spendable_ucr)


_PARTS = (
    buckets.ROWS.add_columns(hold_parts.c.amount_ucr, bucket_rows.c.owner_id)
    .join(hold_parts, hold_parts.c.bucket_id == bucket_rows.c.id)
    .where(hold_parts.c.hold_id == bindparam("hold_id"))
    .order_by(hold_parts.c.position)
)


def _parts(connection: Connection, row: HoldRow) -> dict[tuple[int, Span] | None, Parts]:
    """The parts of a hold in the order of taking: the member's (None), each budget's by window."""
    tracks: dict[tuple[int, Span] | None, list[tuple[Bucket, int]]] = {}
    for *columns, part_ucr, owner_id in connection.execute(_PARTS, {"hold_id": row.id}):
        bucket = buckets.bucket_of(columns)
        track = None if bucket.span is None else (owner_id, bucket.span)
        tracks.setdefault(track, []).append((bucket, part_ucr))
    return dict(tracks)


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
