"""Credits of one owner with a common origin, start and end: a member's, or those of a budget.

No timer is needed: whatever time has changed is booked when an owner's buckets are touched
(asks.md 3.3). Time never runs backwards for an owner: a clock that was set back counts as standing
still at the start of the newest window seen, so that nothing is issued twice (F-118).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from storage.books import Act, Move, record
from storage.schema import ISSUER_ID, accounts, buckets
from storage.types import ActKind, BucketKind, Span

PRIORITY = {
    BucketKind.ALLOWANCE: 10,
    BucketKind.GRANT: 20,
    BucketKind.GIFT: 30,
    BucketKind.BOUGHT: 40,
}
"""Between buckets with the same end the lower number is spent first: what was paid for, last."""
ALWAYS_US = 0
"""The start of what may be spent at once, also while a clock is set back (F-118)."""
_NEVER_US = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose buckets: a member's, or those of a server's budget."""

    kind: str
    id: int

    def act(self, kind: ActKind, bucket_id: int, *, delta_ucr: int, at_us: int) -> Act:
        """A line about one bucket; a budget's credits are nobody's own."""
        is_user = self.kind == "user"
        return Act(
            kind=kind,
            user_id=self.id if is_user else None,
            guild_id=None if is_user else self.id,
            reference=f"bucket:{bucket_id}",
            at_us=at_us,
            delta_ucr=delta_ucr if is_user else 0,
        )


def member(user_id: int) -> Owner:
    """The owner of a wallet."""
    return Owner(kind="user", id=user_id)


def server(guild_id: int) -> Owner:
    """The owner of a budget; `INSTALLATION_ID` for that of all servers."""
    return Owner(kind="guild", id=guild_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One row of `buckets` with the balances of its two accounts."""

    id: int
    kind: BucketKind
    span: Span | None
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
    def order(self) -> tuple[int, int, int]:
        """Ends soonest, then priority, then oldest."""
        ends_us = _NEVER_US if self.ends_us is None else self.ends_us
        return (ends_us, self.priority, self.id)

    @property
    def used_ucr(self) -> int:
        """What was spent of it, or taken from it."""
        return self.issued_ucr - self.available_ucr - self.held_ucr

    def ended(self, now_us: int) -> bool:
        """Past its end, and past its grace if it has one."""
        return self.ends_us is not None and self.ends_us <= now_us

    def spendable_ucr(self, now_us: int) -> int:
        """What may be taken now: nothing before its start and after its end."""
        return self.available_ucr if self.starts_us <= now_us and not self.ended(now_us) else 0


_available = accounts.alias("available")
_held = accounts.alias("held")
ROWS = (
    select(
        buckets.c.id,
        buckets.c.kind,
        buckets.c.span,
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
)
# Built once: building it costs more than running it.
_OPEN = ROWS.where(
    buckets.c.owner_kind == bindparam("owner_kind"),
    buckets.c.owner_id == bindparam("owner_id"),
    buckets.c.closed_us.is_(None),
)


def open_buckets(connection: Connection, owner: Owner) -> tuple[Bucket, ...]:
    """An owner's buckets that are still of use, in the order of spending."""
    rows = connection.execute(_OPEN, {"owner_kind": owner.kind, "owner_id": owner.id})
    return tuple(sorted(map(bucket_of, rows), key=lambda b: b.order))


_NEWEST = select(func.coalesce(func.max(buckets.c.starts_us), 0)).where(
    buckets.c.closed_us.is_(None)
)


def newest_start_us(connection: Connection) -> int:
    """The latest time that any owner has lived to, as far as windows tell; 0 without any."""
    return connection.execute(_NEWEST).scalar_one()


def bucket_of(row: Sequence[Any]) -> Bucket:
    """A bucket of the columns of `ROWS`, by their places: by name takes twice as long."""
    (bucket_id, kind, span, priority, starts_us, ends_us, grace_until_us, *rest) = row
    issued_ucr, available_id, held_id, available_ucr, held_ucr = rest
    return Bucket(
        id=bucket_id,
        kind=BucketKind(kind),
        span=None if span is None else Span(span),
        priority=priority,
        starts_us=starts_us,
        window_ends_us=ends_us,
        ends_us=ends_us if grace_until_us is None else grace_until_us,
        issued_ucr=issued_ucr,
        available_id=available_id,
        held_id=held_id,
        available_ucr=available_ucr,
        held_ucr=held_ucr,
    )


_BUCKET = insert(buckets).returning(buckets.c.id)
_ACCOUNT = insert(accounts).returning(accounts.c.id)
_MORE = (
    update(buckets)
    .where(buckets.c.id == bindparam("bucket_id"))
    .values(issued_ucr=buckets.c.issued_ucr + bindparam("delta_ucr"))
)
_CLOSE = (
    update(buckets)
    .where(buckets.c.id == bindparam("bucket_id"))
    .values(closed_us=bindparam("at_us"))
)
_GRACE = (
    update(buckets)
    .where(buckets.c.id == bindparam("bucket_id"))
    .values(grace_until_us=bindparam("until_us"))
)


def open_bucket(
    connection: Connection,
    owner: Owner,
    *,
    kind: BucketKind,
    starts_us: int,
    ends_us: int | None,
    issued_ucr: int,
    span: Span | None = None,
) -> tuple[int, int]:
    """A new, empty bucket; its id and that of the account to put `issued_ucr` on."""
    row = {
        "owner_kind": owner.kind,
        "owner_id": owner.id,
        "kind": kind,
        "priority": PRIORITY[kind],
        "starts_us": starts_us,
        "ends_us": ends_us,
        "issued_ucr": issued_ucr,
        "span": span,
    }
    bucket_id = connection.execute(_BUCKET, row).scalar_one()
    account = {"bucket_id": bucket_id, "balance_ucr": 0}
    connection.execute(_ACCOUNT, {"kind": "held", **account})
    account_id = connection.execute(_ACCOUNT, {"kind": "available", **account}).scalar_one()
    return bucket_id, account_id


def issue_window(
    connection: Connection,
    owner: Owner,
    *,
    window: tuple[int, int],
    amount_ucr: int,
    at_us: int,
    span: Span | None = None,
) -> None:
    """Begin a window with all it has."""
    bucket_id, account_id = open_bucket(
        connection,
        owner,
        kind=BucketKind.ALLOWANCE,
        starts_us=window[0],
        ends_us=window[1],
        issued_ucr=amount_ucr,
        span=span,
    )
    act = owner.act(ActKind.ALLOWANCE, bucket_id, delta_ucr=amount_ucr, at_us=at_us)
    record(connection, act, (issued(account_id, amount_ucr),))


def follow(
    connection: Connection, owner: Owner, window: Bucket, *, ceiling_ucr: int, at_us: int
) -> bool:
    """Move the ceiling of a running window where it is now; what is used stays used."""
    left_ucr = max(0, ceiling_ucr - window.used_ucr - window.held_ucr)
    delta_ucr = left_ucr - window.available_ucr
    if delta_ucr == 0:
        return False
    connection.execute(_MORE, {"bucket_id": window.id, "delta_ucr": delta_ucr})
    act = owner.act(ActKind.ALLOWANCE, window.id, delta_ucr=delta_ucr, at_us=at_us)
    if delta_ucr > 0:
        record(connection, act, (issued(window.available_id, delta_ucr),))
    else:
        record(connection, act, (_back(window, -delta_ucr),))
    return True


def expire(connection: Connection, owner: Owner, among: Iterable[Bucket], *, now_us: int) -> bool:
    """Give what is left in ended buckets back to the issuer."""
    ended = [b for b in among if b.ended(now_us) and b.available_ucr > 0]
    for bucket in ended:
        act = owner.act(ActKind.EXPIRE, bucket.id, delta_ucr=-bucket.available_ucr, at_us=now_us)
        record(connection, act, (_back(bucket, bucket.available_ucr),))
    return bool(ended)


def close(connection: Connection, over: Iterable[Bucket], *, now_us: int) -> bool:
    """Take buckets out of sight that nothing can come back to."""
    rows = [{"bucket_id": b.id, "at_us": now_us} for b in over]
    if rows:
        connection.execute(_CLOSE, rows)
    return bool(rows)


def grace(connection: Connection, to: Iterable[Bucket], *, until_us: int) -> None:
    """Let ended buckets end later."""
    connection.execute(_GRACE, [{"bucket_id": b.id, "until_us": until_us} for b in to])


def issued(account_id: int, amount_ucr: int) -> Move:
    """Credits come into being."""
    return Move(from_account_id=ISSUER_ID, to_account_id=account_id, amount_ucr=amount_ucr)


def _back(bucket: Bucket, amount_ucr: int) -> Move:
    return Move(from_account_id=bucket.available_id, to_account_id=ISSUER_ID, amount_ucr=amount_ucr)
