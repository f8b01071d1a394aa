"""Credits that do not come from staff: a gift of another member, a purchase.

The functions are part of `storage.ledger`, where callers find them.
"""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection

from storage import buckets
from storage import wallet as wallets
from storage.books import Act, Move, is_whole, record, repeated
from storage.buckets import Bucket, Owner, member
from storage.errors import InsufficientCredits
from storage.types import ActKind, Allowance, Balance, BucketKind
from storage.wallet import Wallet


def gift(
    connection: Connection,
    *,
    giver_id: int,
    receiver_id: int,
    amount_ucr: int,
    reference: str,
    allowance: Allowance,
    now_us: int,
) -> Balance:
    """Move credits from one member to another; the giver's balance after it.

    The allowance cannot be given away: it is a share of the server's, per head. What has an end
    keeps it, so that no gift makes credits live longer. A repeated reference changes nothing.
    Raises InsufficientCredits when the giver has less than that to give, Duplicate when the
    reference names another act.
    """
    assert giver_id != receiver_id
    assert is_whole(amount_ucr, low=1)
    wallet = wallets.touch(connection, user_id=giver_id, allowance=allowance, now_us=now_us)
    line = Act(
        kind=ActKind.GIFT,
        user_id=giver_id,
        reference=reference,
        at_us=wallet.now_us,
        delta_ucr=-amount_ucr,
        actor_id=receiver_id,
    )
    if not repeated(connection, line):
        parts = _parts(wallet, amount_ucr)
        record(connection, line, _moves(connection, member(receiver_id), parts))
        record(
            connection,
            Act(
                kind=ActKind.GIFT,
                user_id=receiver_id,
                reference=reference,
                at_us=wallet.now_us,
                delta_ucr=amount_ucr,
                actor_id=giver_id,
            ),
            (),
        )
    after = wallets.touch(connection, user_id=giver_id, allowance=allowance, now_us=now_us)
    return after.balance(allowance)


def purchase(
    connection: Connection,
    *,
    user_id: int,
    amount_ucr: int,
    reference: str,
    allowance: Allowance,
    now_us: int,
    starts_us: int | None = None,
    ends_us: int | None = None,
) -> Balance:
    """Put bought credits into a bucket of their own; the balance after it.

    `reference` is the shop's own key: repeated, it changes nothing. Without `starts_us` they may
    be spent at once. Raises Duplicate when the reference names another act.
    """
    assert is_whole(amount_ucr, low=1)
    wallet = wallets.touch(connection, user_id=user_id, allowance=allowance, now_us=now_us)
    act = Act(
        kind=ActKind.PURCHASE,
        user_id=user_id,
        reference=reference,
        at_us=wallet.now_us,
        delta_ucr=amount_ucr,
    )
    if not repeated(connection, act):
        _bucket_id, account_id = buckets.open_bucket(
            connection,
            wallet.owner,
            kind=BucketKind.BOUGHT,
            starts_us=buckets.ALWAYS_US if starts_us is None else starts_us,
            ends_us=ends_us,
            issued_ucr=amount_ucr,
        )
        record(connection, act, (buckets.issued(account_id, amount_ucr),))
    after = wallets.touch(connection, user_id=user_id, allowance=allowance, now_us=now_us)
    return after.balance(allowance)


Parts = tuple[tuple[Bucket, int], ...]


def _parts(wallet: Wallet, amount_ucr: int) -> Parts:
    """From which buckets a gift comes, in the order of spending."""
    mine = Wallet(
        user_id=wallet.user_id,
        now_us=wallet.now_us,
        buckets=tuple(b for b in wallet.buckets if b.kind is not BucketKind.ALLOWANCE),
    )
    if mine.available_ucr < amount_ucr:
        raise InsufficientCredits(
            needed_ucr=amount_ucr, available_ucr=mine.available_ucr, resets_at_us=None
        )
    return mine.parts(amount_ucr)


def _moves(connection: Connection, receiver: Owner, parts: Parts) -> tuple[Move, ...]:
    """One bucket of the receiver's for each end; straight from account to account."""
    by_end: defaultdict[int | None, list[tuple[Bucket, int]]] = defaultdict(list)
    for bucket, part_ucr in parts:
        by_end[bucket.ends_us].append((bucket, part_ucr))
    moves = []
    for ends_us, shares in by_end.items():
        _bucket_id, account_id = buckets.open_bucket(
            connection,
            receiver,
            kind=BucketKind.GIFT,
            starts_us=buckets.ALWAYS_US,
            ends_us=ends_us,
            issued_ucr=sum(part_ucr for _bucket, part_ucr in shares),
        )
        moves += [
            Move(from_account_id=b.available_id, to_account_id=account_id, amount_ucr=part_ucr)
            for b, part_ucr in shares
        ]
    return tuple(moves)
