"""Budgets: what members together may spend per day and month, in a server and everywhere.

A window of a budget is a bucket of the server's, so that holds take their part of it in the same
transaction and with the same constraints as the member's part (S-3, I-8). The budget of the whole
installation is that of a server which does not exist, and in which everything counts:

    issuer ─ window begins ─> available ─ hold ─> held ─ settle ─> issuer     (spent)
       └───── window ended ────────┘  └─── what comes back ───┘
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    bindparam,
    func,
    insert,
    select,
)

from storage import buckets
from storage.books import is_whole, newest
from storage.buckets import Bucket, server
from storage.budget_schema import INSTALLATION_ID, budgets
from storage.errors import BudgetExhausted, Duplicate
from storage.types import Budget, BudgetWindow, Scope, Span
from storage.windows import window_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A running window under its ceiling."""

    scope: Scope
    span: Span
    ceiling_ucr: int
    bucket: Bucket
    resets_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChange:
    """What staff change: None leaves a ceiling as it is, 0 lifts it."""

    day_ucr: int | None = None
    month_ucr: int | None = None
    timezone: str | None = None


_of_one = budgets.alias("of_one")


def _newest_of(owner_id: int | BindParameter[int]) -> ColumnElement[int]:
    return select(func.max(_of_one.c.id)).where(_of_one.c.guild_id == owner_id).scalar_subquery()


_BUDGETS = (
    select(budgets.c.guild_id, budgets.c.day_ucr, budgets.c.month_ucr, budgets.c.timezone)
    .where(
        (budgets.c.id == _newest_of(INSTALLATION_ID))
        | (budgets.c.id == _newest_of(bindparam("guild_id")))
    )
    .order_by(budgets.c.guild_id)
)
_FIRST = select(budgets.c.guild_id).where(budgets.c.reference == bindparam("reference"))
_LAST = select(func.coalesce(func.max(budgets.c.id), 0))
_CHANGE = insert(budgets)


def budget_of(connection: Connection, *, guild_id: int) -> Budget | None:
    """The newest word of staff; None when they never spoke."""
    return _budgets(connection, guild_id).get(guild_id)


def _budgets(connection: Connection, guild_id: int | None) -> dict[int, Budget]:
    """Those in which a hold there counts, by whose they are: the installation's is the first."""
    return {
        owner_id: Budget(day_ucr=day_ucr, month_ucr=month_ucr, timezone=timezone)
        for owner_id, day_ucr, month_ucr, timezone in connection.execute(
            _BUDGETS, {"guild_id": guild_id}
        )
    }


def set_installation(connection: Connection, *, budget: Budget, now_us: int) -> None:
    """Make the ceilings over everything those of the operator's settings, from this moment on.

    As in a server, what is used in a running window stays used. Unchanged settings write nothing.
    """
    before = budget_of(connection, guild_id=INSTALLATION_ID)
    if budget == before or (before is None and not budget.ceilings()):
        return
    reference = f"settings:{connection.execute(_LAST).scalar_one()}"
    _change(connection, INSTALLATION_ID, budget, actor_id=0, reference=reference, now_us=now_us)


def set_budget(
    connection: Connection,
    *,
    guild_id: int,
    change: BudgetChange,
    timezone: str,
    actor_id: int,
    reference: str,
    now_us: int,
) -> Budget:
    """Change a server's ceilings, from this moment on; the budget after it.

    What is used in a running window stays used. `timezone` is that of a server which has chosen
    none. A repeated reference changes nothing. Raises Duplicate when it names another server's.
    """
    assert guild_id != INSTALLATION_ID
    assert change.day_ucr is None or is_whole(change.day_ucr)
    assert change.month_ucr is None or is_whole(change.month_ucr)
    before = budget_of(connection, guild_id=guild_id)
    if before is None:
        before = Budget(day_ucr=None, month_ucr=None, timezone=timezone)
    if _repeated(connection, guild_id=guild_id, reference=reference):
        return before
    after = Budget(
        day_ucr=before.day_ucr if change.day_ucr is None else change.day_ucr or None,
        month_ucr=before.month_ucr if change.month_ucr is None else change.month_ucr or None,
        timezone=change.timezone or before.timezone,
    )
    _change(connection, guild_id, after, actor_id=actor_id, reference=reference, now_us=now_us)
    return after


def _change(
    connection: Connection,
    owner_id: int,
    budget: Budget,
    *,
    actor_id: int,
    reference: str,
    now_us: int,
) -> None:
    row = {
        "guild_id": owner_id,
        "reference": reference,
        "day_ucr": budget.day_ucr,
        "month_ucr": budget.month_ucr,
        "timezone": budget.timezone,
        "actor_id": actor_id,
        "after_entry_id": newest(connection)[0],
        "at_us": now_us,
    }
    connection.execute(_CHANGE, row)
    _touch(connection, owner_id, budget, now_us)


def _repeated(connection: Connection, *, guild_id: int, reference: str) -> bool:
    first = connection.execute(_FIRST, {"reference": reference}).scalar_one_or_none()
    if first is not None and first != guild_id:
        raise Duplicate(reference=reference)
    return first is not None


def budget_windows(
    connection: Connection, *, guild_id: int, now_us: int
) -> tuple[BudgetWindow, ...]:
    """How far a server's ceilings are used now; begins windows that are due."""
    budget = budget_of(connection, guild_id=guild_id)
    return tuple(
        BudgetWindow(
            span=window.span,
            ceiling_ucr=window.ceiling_ucr,
            spent_ucr=window.bucket.used_ucr,
            held_ucr=window.bucket.held_ucr,
            available_ucr=window.bucket.available_ucr,
            resets_us=window.resets_us,
        )
        for window in (() if budget is None else _touch(connection, guild_id, budget, now_us))
    )


def touch(connection: Connection, *, guild_id: int | None, now_us: int) -> tuple[Window, ...]:
    """The running windows in which a hold there counts, one per ceiling.

    Those of the installation, then those of the server; in direct messages there is none. Books
    what time and staff have changed: ended remainders back, new windows in.
    """
    found = _budgets(connection, guild_id)
    return tuple(
        window
        for owner_id, budget in found.items()
        for window in _touch(connection, owner_id, budget, now_us)
    )


def _touch(
    connection: Connection, owner_id: int, budget: Budget, now_us: int
) -> tuple[Window, ...]:
    if not budget.ceilings():
        return ()
    found, now_us = _load(connection, owner_id, now_us)
    owner = server(owner_id)
    changed = buckets.expire(connection, owner, found, now_us=now_us)
    changed |= _close(connection, found, now_us)
    for span, ceiling_ucr in budget.ceilings().items():
        last = _newest(found, span)
        if last is not None and not last.ended(now_us):
            changed |= buckets.follow(
                connection, owner, last, ceiling_ucr=ceiling_ucr, at_us=now_us
            )
        else:
            window = window_after(
                None if last is None else last.ends_us,
                now_us=now_us,
                span=span,
                timezone=budget.timezone,
            )
            buckets.issue_window(
                connection, owner, window=window, amount_ucr=ceiling_ucr, at_us=now_us, span=span
            )
            changed = True
    if changed:
        found, now_us = _load(connection, owner_id, now_us)
    scope = Scope.INSTALLATION if owner_id == INSTALLATION_ID else Scope.SERVER
    return tuple(_running(scope, budget, found))


def exhausted(windows: Sequence[Window], needed_ucr: int) -> BudgetExhausted:
    """The error for wanting more than the tightest window has."""
    # Of two that are equally tight the later one: it is what has to be waited for. Then the
    # installation's: nobody in the server can raise it.
    tightest = min(windows, key=lambda w: (w.bucket.available_ucr, -w.resets_us))
    return BudgetExhausted(
        scope=tightest.scope,
        span=tightest.span,
        ceiling_ucr=tightest.ceiling_ucr,
        needed_ucr=needed_ucr,
        available_ucr=tightest.bucket.available_ucr,
        resets_at_us=tightest.resets_us,
    )


def _load(connection: Connection, owner_id: int, now_us: int) -> tuple[tuple[Bucket, ...], int]:
    """The server's open buckets, and its own time (F-118)."""
    found = buckets.open_buckets(connection, server(owner_id))
    return found, max([now_us, *(b.starts_us for b in found)])


def _newest(found: Iterable[Bucket], span: Span) -> Bucket | None:
    return max((b for b in found if b.span is span), key=lambda b: b.starts_us, default=None)


def _close(connection: Connection, found: Sequence[Bucket], now_us: int) -> bool:
    """The newest window of each span stays in sight, so that none begins twice."""
    last = {_newest(found, span) for span in Span}
    over = (b for b in found if b.held_ucr == 0 and b.ended(now_us) and b not in last)
    return buckets.close(connection, over, now_us=now_us)


def _running(scope: Scope, budget: Budget, found: Sequence[Bucket]) -> Iterable[Window]:
    for span, ceiling_ucr in budget.ceilings().items():
        bucket = _newest(found, span)
        assert bucket is not None
        assert bucket.ends_us is not None
        yield Window(
            scope=scope,
            span=span,
            ceiling_ucr=ceiling_ucr,
            bucket=bucket,
            resets_us=bucket.ends_us,
        )
