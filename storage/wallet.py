"""A member's buckets at a moment: which there are, which have ended, what the day still issues.

No timer is needed: whatever time has changed is booked when a wallet is touched (asks.md 3.3).
Time never runs backwards for a member: a clock that was set back counts as standing still at the
start of the newest window seen, so that no day is issued twice (F-118).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection, bindparam, insert, select, update

from storage.books import Act, Move, record
from storage.errors import InsufficientCredits
from storage.schema import ISSUER_ID, accounts, buckets
from storage.types import ActKind, Allowance, Balance, BucketKind, BucketView
from storage.windows import day_window

GRACE_US = 24 * 60 * 60 * 1_000_000
"""A held part that comes back after its bucket's end may still be spent this long."""
PRIORITY = {
    BucketKind.ALLOWANCE: 10,
    BucketKind.GRANT: 20,
    BucketKind.GIFT: 30,
    BucketKind.BOUGHT: 40,
}
"""Between buckets with the same end the lower number is spent first: what was paid for, last."""
_NEVER_US = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One row of `buckets` with the balances of its two accounts."""

    id: int
    kind: BucketKind
    priority: int
    starts_us: int
    window_ends_us: int | None
    ends_us: int | None
    issued_ucr: int
    available_id: int
    held_id: int
    available_ucr: int
    held_ucr: int

    @property
    def order(self) -> tuple[int, int, int, int]:
        """Ends soonest, then priority, then oldest."""
        ends_us = _NEVER_US if self.ends_us is None else self.ends_us
        return (ends_us, self.priority, self.starts_us, self.id)

    def ended(self, now_us: int) -> bool:
        """Past its end, and past its grace if it has one."""
        return self.ends_us is not None and self.ends_us <= now_us

    def spendable_ucr(self, now_us: int) -> int:
        """What may be taken now: nothing before its start and after its end."""
        return self.available_ucr if self.starts_us <= now_us and not self.ended(now_us) else 0


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """A member's open buckets in the order of spending, at `now_us`."""

    user_id: int
    now_us: int
    buckets: tuple[Bucket, ...]

    @cached_property
    def available_ucr(self) -> int:
        """Spendable now."""
        return sum(b.spendable_ucr(self.now_us) for b in self.buckets)

    @cached_property
    def held_ucr(self) -> int:
        """Reserved."""
        return sum(b.held_ucr for b in self.buckets)

    @cached_property
    def newest_window(self) -> Bucket | None:
        """The last allowance that was issued, ended or not."""
        windows = (b for b in self.buckets if b.kind is BucketKind.ALLOWANCE)
        return max(windows, key=lambda b: b.starts_us, default=None)

    @property
    def window(self) -> Bucket | None:
        """The allowance of the running day."""
        newest = self.newest_window
        if newest is None or newest.window_ends_us is None:
            return None
        return newest if newest.window_ends_us > self.now_us else None

    def resets_us(self, allowance: Allowance) -> int | None:
        """When the next allowance starts; None when the member has none."""
        if self.window is None or allowance.amount_ucr == 0:
            return None
        return self.window.window_ends_us

    def parts(self, amount_ucr: int) -> tuple[tuple[Bucket, int], ...]:
        """From which buckets `amount_ucr` comes; the caller has seen that there is enough."""
        assert 0 <= amount_ucr <= self.available_ucr
        taken = []
        for bucket in self.buckets:
            part_ucr = min(bucket.spendable_ucr(self.now_us), amount_ucr)
            if part_ucr > 0:
                taken.append((bucket, part_ucr))
                amount_ucr -= part_ucr
        return tuple(taken)

    def insufficient(self, allowance: Allowance, needed_ucr: int) -> InsufficientCredits:
        """The error for wanting more than there is."""
        return InsufficientCredits(
            needed_ucr=needed_ucr,
            available_ucr=self.available_ucr,
            resets_at_us=self.resets_us(allowance),
        )

    def balance(self, allowance: Allowance) -> Balance:
        """What the member is shown."""
        return Balance(
            available_ucr=self.available_ucr,
            held_ucr=self.held_ucr,
            buckets=tuple(
                BucketView(
                    kind=b.kind,
                    available_ucr=b.available_ucr,
                    held_ucr=b.held_ucr,
                    ends_us=b.ends_us,
                    starts_us=b.starts_us if b.starts_us > self.now_us else None,
                )
                for b in self.buckets
                if b.available_ucr > 0 or b.held_ucr > 0
            ),
            allowance_resets_us=self.resets_us(allowance),
        )


_available = accounts.alias("available")
_held = accounts.alias("held")
_OPEN = (
    select(
        buckets.c.id,
        buckets.c.kind,
        buckets.c.priority,
        buckets.c.starts_us,
        buckets.c.ends_us,
        buckets.c.grace_until_us,
        buckets.c.issued_ucr,
        _available.c.id.label("available_id"),
        _held.c.id.label("held_id"),
        _available.c.balance_ucr.label("available_ucr"),
        _held.c.balance_ucr.label("held_ucr"),
    )
    .join(_available, (_available.c.bucket_id == buckets.c.id) & (_available.c.kind == "available"))
    .join(_held, (_held.c.bucket_id == buckets.c.id) & (_held.c.kind == "held"))
    .where(
        buckets.c.owner_kind == "user",
        buckets.c.owner_id == bindparam("owner_id"),
        buckets.c.closed_us.is_(None),
    )
)


def load(connection: Connection, *, user_id: int, now_us: int) -> Wallet:
    """Read a member's open buckets; books nothing."""
    found = [
        Bucket(
            id=row.id,
            kind=BucketKind(row.kind),
            priority=row.priority,
            starts_us=row.starts_us,
            window_ends_us=row.ends_us,
            ends_us=row.ends_us if row.grace_until_us is None else row.grace_until_us,
            issued_ucr=row.issued_ucr,
            available_id=row.available_id,
            held_id=row.held_id,
            available_ucr=row.available_ucr,
            held_ucr=row.held_ucr,
        )
        for row in connection.execute(_OPEN, {"owner_id": user_id})
    ]
    newest_start_us = max(
        (b.starts_us for b in found if b.kind is BucketKind.ALLOWANCE), default=now_us
    )
    return Wallet(
        user_id=user_id,
        now_us=max(now_us, newest_start_us),
        buckets=tuple(sorted(found, key=lambda b: b.order)),
    )


def touch(connection: Connection, *, user_id: int, allowance: Allowance, now_us: int) -> Wallet:
    """Book what time has changed: ended remainders back, the day's allowance in."""
    assert allowance.amount_ucr >= 0
    wallet = load(connection, user_id=user_id, now_us=now_us)
    changed = expire(connection, wallet, wallet.buckets)
    if wallet.window is None:
        changed |= _issue(connection, wallet, allowance)
    else:
        changed |= _follow(connection, wallet, wallet.window, allowance)
    changed |= _close(connection, wallet)
    return load(connection, user_id=user_id, now_us=now_us) if changed else wallet


def expire(connection: Connection, wallet: Wallet, among: Iterable[Bucket]) -> bool:
    """Give what is left in ended buckets back to the issuer."""
    ended = [b for b in among if b.ended(wallet.now_us) and b.available_ucr > 0]
    for bucket in ended:
        act = _act(wallet, ActKind.EXPIRE, bucket.id, -bucket.available_ucr)
        record(connection, act, (_back(bucket, bucket.available_ucr),))
    return bool(ended)


def _issue(connection: Connection, wallet: Wallet, allowance: Allowance) -> bool:
    """Start the running day with its allowance."""
    if allowance.amount_ucr == 0:
        return False
    starts_us, ends_us = day_window(wallet.now_us, timezone=allowance.timezone)
    newest = wallet.newest_window
    if newest is not None and newest.window_ends_us is not None:
        # After a change of time zone the new day may have begun before the old one ended.
        starts_us = max(starts_us, newest.window_ends_us)
    bucket_id, account_id = open_bucket(
        connection,
        user_id=wallet.user_id,
        kind=BucketKind.ALLOWANCE,
        starts_us=starts_us,
        ends_us=ends_us,
        issued_ucr=allowance.amount_ucr,
    )
    act = _act(wallet, ActKind.ALLOWANCE, bucket_id, allowance.amount_ucr)
    record(connection, act, (issued(account_id, allowance.amount_ucr),))
    return True


def _follow(connection: Connection, wallet: Wallet, window: Bucket, allowance: Allowance) -> bool:
    """Move the ceiling of the running day where the plan has it now; what is used stays used."""
    used_ucr = window.issued_ucr - window.available_ucr - window.held_ucr
    left_ucr = max(0, allowance.amount_ucr - used_ucr - window.held_ucr)
    delta_ucr = left_ucr - window.available_ucr
    if delta_ucr == 0:
        return False
    connection.execute(
        update(buckets)
        .where(buckets.c.id == window.id)
        .values(issued_ucr=buckets.c.issued_ucr + delta_ucr)
    )
    act = _act(wallet, ActKind.ALLOWANCE, window.id, delta_ucr)
    if delta_ucr > 0:
        record(connection, act, (issued(window.available_id, delta_ucr),))
    else:
        record(connection, act, (_back(window, -delta_ucr),))
    return True


def _close(connection: Connection, wallet: Wallet) -> bool:
    """Take buckets out of sight that nothing can come back to.

    The newest window stays: it is what keeps a day from being issued twice.
    """
    over = [
        b.id
        for b in wallet.buckets
        if b.held_ucr == 0
        and b is not wallet.newest_window
        and (b.available_ucr == 0 or b.ended(wallet.now_us))
    ]
    if over:
        connection.execute(
            update(buckets).where(buckets.c.id.in_(over)).values(closed_us=wallet.now_us)
        )
    return bool(over)


def open_bucket(
    connection: Connection,
    *,
    user_id: int,
    kind: BucketKind,
    starts_us: int,
    ends_us: int | None,
    issued_ucr: int,
) -> tuple[int, int]:
    """A new, empty bucket; its id and that of the account to put `issued_ucr` on."""
    bucket_id = connection.execute(
        insert(buckets)
        .values(
            owner_kind="user",
            owner_id=user_id,
            kind=kind,
            priority=PRIORITY[kind],
            starts_us=starts_us,
            ends_us=ends_us,
            issued_ucr=issued_ucr,
        )
        .returning(buckets.c.id)
    ).scalar_one()
    connection.execute(insert(accounts).values(kind="held", bucket_id=bucket_id, balance_ucr=0))
    account_id = connection.execute(
        insert(accounts)
        .values(kind="available", bucket_id=bucket_id, balance_ucr=0)
        .returning(accounts.c.id)
    ).scalar_one()
    return bucket_id, account_id


def give_grace(connection: Connection, wallet: Wallet, to: Iterable[Bucket]) -> None:
    """Let what comes back to ended buckets be spent a while longer; what is left there is not."""
    # A hold that was extended may have several parts of one bucket.
    ended = {b.id: b for b in to if b.ended(wallet.now_us)}
    if ended:
        expire(connection, wallet, ended.values())
        connection.execute(
            update(buckets)
            .where(buckets.c.id.in_(ended))
            .values(grace_until_us=wallet.now_us + GRACE_US)
        )


def issued(account_id: int, amount_ucr: int) -> Move:
    """Credits come into being."""
    return Move(from_account_id=ISSUER_ID, to_account_id=account_id, amount_ucr=amount_ucr)


def _back(bucket: Bucket, amount_ucr: int) -> Move:
    return Move(from_account_id=bucket.available_id, to_account_id=ISSUER_ID, amount_ucr=amount_ucr)


def _act(wallet: Wallet, kind: ActKind, bucket_id: int, delta_ucr: int) -> Act:
    return Act(
        kind=kind,
        user_id=wallet.user_id,
        reference=f"bucket:{bucket_id}",
        at_us=wallet.now_us,
        delta_ucr=delta_ucr,
    )
