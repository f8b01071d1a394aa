"""A member's buckets at a moment: which there are, which have ended, what the day still issues."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import Connection

from storage import buckets
from storage.buckets import Bucket, Owner, member
from storage.errors import InsufficientCredits
from storage.types import Allowance, Balance, BucketKind, BucketView, Span
from storage.windows import window_after

GRACE_US = 24 * 60 * 60 * 1_000_000
"""A held part that comes back after its bucket's end may still be spent this long."""


@dataclass(frozen=True, kw_only=True)
class Wallet:
    """A member's open buckets in the order of spending, at `now_us`."""

    user_id: int
    now_us: int
    buckets: tuple[Bucket, ...]

    @property
    def owner(self) -> Owner:
        """As the books know the member."""
        return member(self.user_id)

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


def load(connection: Connection, *, user_id: int, now_us: int) -> Wallet:
    """Read a member's open buckets; books nothing."""
    found = buckets.open_buckets(connection, member(user_id))
    newest_start_us = max(
        (b.starts_us for b in found if b.kind is BucketKind.ALLOWANCE), default=now_us
    )
    return Wallet(user_id=user_id, now_us=max(now_us, newest_start_us), buckets=found)


def touch(connection: Connection, *, user_id: int, allowance: Allowance, now_us: int) -> Wallet:
    """Book what time has changed: ended remainders back, the day's allowance in."""
    assert allowance.amount_ucr >= 0
    wallet = load(connection, user_id=user_id, now_us=now_us)
    changed = buckets.expire(connection, wallet.owner, wallet.buckets, now_us=wallet.now_us)
    if wallet.window is None:
        changed |= _issue(connection, wallet, allowance)
    else:
        changed |= buckets.follow(
            connection,
            wallet.owner,
            wallet.window,
            ceiling_ucr=allowance.amount_ucr,
            at_us=wallet.now_us,
        )
    changed |= _close(connection, wallet)
    return load(connection, user_id=user_id, now_us=now_us) if changed else wallet


def _issue(connection: Connection, wallet: Wallet, allowance: Allowance) -> bool:
    """Start the running day with its allowance."""
    if allowance.amount_ucr == 0:
        return False
    newest = wallet.newest_window
    window = window_after(
        None if newest is None else newest.window_ends_us,
        now_us=wallet.now_us,
        span=Span.DAY,
        timezone=allowance.timezone,
    )
    buckets.issue_window(
        connection,
        wallet.owner,
        window=window,
        amount_ucr=allowance.amount_ucr,
        at_us=wallet.now_us,
    )
    return True


def _close(connection: Connection, wallet: Wallet) -> bool:
    """The newest window stays in sight: it is what keeps a day from being issued twice."""
    over = (
        b
        for b in wallet.buckets
        if b.held_ucr == 0
        and b is not wallet.newest_window
        and (b.available_ucr == 0 or b.ended(wallet.now_us))
    )
    return buckets.close(connection, over, now_us=wallet.now_us)


def give_grace(connection: Connection, wallet: Wallet, to: Iterable[Bucket]) -> None:
    """Let what comes back to ended buckets be spent a while longer; what is left there is not."""
    # A hold that was extended may have several parts of one bucket.
    ended = {b.id: b for b in to if b.ended(wallet.now_us)}
    if ended:
        buckets.expire(connection, wallet.owner, ended.values(), now_us=wallet.now_us)
        buckets.grace(connection, ended.values(), until_us=wallet.now_us + GRACE_US)
