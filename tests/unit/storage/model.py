"""What the ledger should do, as plainly as possible: numbers in Python objects, no database.

It shares with the ledger only the arithmetic of the calendar (`window_after`, which has tests of
its own). Pots are numbered as they come into being, as the database numbers its buckets.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from storage.budget_schema import INSTALLATION_ID
from storage.types import Allowance, Budget, Scope, Span
from storage.windows import window_after

GRACE_US = 86_400 * 1_000_000
FOREVER_US = 2**63 - 1
LOSS_MAX = 10**12
DAILY, GRANTED, GIVEN, BOUGHT = 10, 20, 30, 40
"""Kinds of pots, in the order of spending."""


class Refused(Exception):
    """There is not enough: of the member's, or in a `window` of a budget."""

    def __init__(self, window: Pot | None = None) -> None:
        super().__init__(window)
        self.window = window


@dataclass(eq=False, slots=True)
class Pot:
    """A bucket."""

    number: int
    kind: int
    starts_us: int
    window_end_us: int
    end_us: int
    issued: int
    available: int
    held: int = 0
    span: Span | None = None
    guild: int | None = None

    @property
    def scope(self) -> Scope:
        return Scope.INSTALLATION if self.guild == INSTALLATION_ID else Scope.SERVER

    def spendable(self, now_us: int) -> int:
        return self.available if self.starts_us <= now_us < self.end_us else 0


Parts = list[tuple[Pot, int]]


@dataclass(slots=True)
class Job:
    """A hold: what it took from where, and how it ended: (state, charged, returned, loss)."""

    user: int
    guild: int | None
    parts: Parts = field(default_factory=list)
    counted: dict[tuple[int | None, Span | None], Parts] = field(default_factory=dict)
    ended: tuple[str, int, int, int] | None = None

    @property
    def amount(self) -> int:
        return sum(amount for _pot, amount in self.parts)


@dataclass
class Model:
    """All members and budgets, all jobs, and the accounts that belong to nobody."""

    all: list[Pot] = field(default_factory=list)
    pots: dict[int, list[Pot]] = field(default_factory=dict)
    windows: dict[int, list[Pot]] = field(default_factory=dict)
    budgets: dict[int, Budget] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    spent: int = 0
    loss: int = 0

    def accounts(self) -> list[int]:
        """Balances by account: issuer, spent, loss; then held and available of each pot."""
        balances = [0, self.spent, self.loss]
        for pot in self.all:
            balances += (pot.held, pot.available)
        balances[0] = -sum(balances)
        return balances

    @contextmanager
    def trying(self, user: int, guild: int | None = None) -> Iterator[None]:
        """What is refused leaves no trace, not even of the time that has passed."""
        pots = [*self.pots.get(user, ())]
        for owner in _counting(guild):
            pots += self.windows.get(owner, ())
        kept = [(pot, pot.available, pot.held, pot.issued) for pot in pots]
        count = len(self.all)
        try:
            yield
        except Refused:
            for pot, available, held, issued in kept:
                pot.available, pot.held, pot.issued = available, held, issued
            for new in self.all[count:]:
                for owned in (*self.pots.values(), *self.windows.values()):
                    if new in owned:
                        owned.remove(new)
            del self.all[count:]
            raise

    def _new(
        self,
        owned: list[Pot],
        kind: int,
        window: tuple[int, int],
        amount: int,
        *,
        span: Span | None = None,
        guild: int | None = None,
    ) -> None:
        pot = Pot(len(self.all) + 1, kind, *window, window[1], amount, amount, 0, span, guild)
        self.all.append(pot)
        owned.append(pot)

    # --- Members ---------------------------------------------------------------------------------

    def touch(self, user: int, allowance: Allowance, now_us: int) -> int:
        """Let time pass for a member; the member's own time."""
        pots = self.pots.setdefault(user, [])
        now_us = self.time_of(user, now_us)
        _expire(pots, now_us)
        days = [pot for pot in pots if pot.kind == DAILY]
        if days and days[-1].window_end_us > now_us:
            _follow(days[-1], allowance.amount_ucr)
        elif allowance.amount_ucr > 0:
            window = window_after(
                days[-1].window_end_us if days else None,
                now_us=now_us,
                span=Span.DAY,
                timezone=allowance.timezone,
            )
            self._new(pots, DAILY, window, allowance.amount_ucr)
        return now_us

    def time_of(self, user: int, now_us: int) -> int:
        starts = [pot.starts_us for pot in self.pots.get(user, ()) if pot.kind == DAILY]
        return max(now_us, *starts) if starts else now_us

    def available(self, user: int, now_us: int) -> int:
        now_us = self.time_of(user, now_us)
        return sum(pot.spendable(now_us) for pot in self.pots.get(user, ()))

    def held(self, user: int) -> int:
        return sum(pot.held for pot in self.pots.get(user, ()))

    def give(self, user: int, kind: int, amount: int, window: tuple[int, int]) -> None:
        self._new(self.pots.setdefault(user, []), kind, window, amount)

    def pick(self, user: int, amount: int, now_us: int, *, giving: bool = False) -> Parts:
        """Take from available: ends soonest, then by kind, then oldest; no allowance in a gift."""
        pots = [
            pot
            for pot in self.pots[user]
            if pot.spendable(now_us) and not (giving and pot.kind == DAILY)
        ]
        if amount > sum(pot.available for pot in pots):
            raise Refused
        parts = []
        for pot in sorted(pots, key=lambda p: (p.end_us, p.kind, p.number)):
            part = min(pot.available, amount)
            if part:
                pot.available -= part
                amount -= part
                parts.append((pot, part))
        return parts

    def gift(self, giver: int, receiver: int, amount: int, now_us: int) -> None:
        """What has an end keeps it."""
        by_end: dict[int, int] = {}
        for pot, part in self.pick(giver, amount, self.time_of(giver, now_us), giving=True):
            by_end[pot.end_us] = by_end.get(pot.end_us, 0) + part
        for end_us, part in by_end.items():
            self.give(receiver, GIVEN, part, (0, end_us))

    # --- Budgets ---------------------------------------------------------------------------------

    def touch_budgets(self, guild: int | None, now_us: int) -> list[Pot]:
        """The running windows in which a hold there counts."""
        return [pot for owner in _counting(guild) for pot in self.touch_budget(owner, now_us)]

    def touch_budget(self, guild: int, now_us: int) -> list[Pot]:
        """Let time pass for a server, or for the installation; its running windows."""
        budget = self.budgets.get(guild)
        if budget is None or not budget.ceilings():
            return []
        pots = self.windows.setdefault(guild, [])
        now_us = max([now_us, *(pot.starts_us for pot in pots)])
        _expire(pots, now_us)
        running = []
        for span, ceiling in budget.ceilings().items():
            before = [pot for pot in pots if pot.span is span]
            if before and before[-1].end_us > now_us:
                _follow(before[-1], ceiling)
            else:
                window = window_after(
                    before[-1].end_us if before else None,
                    now_us=now_us,
                    span=span,
                    timezone=budget.timezone,
                )
                self._new(pots, DAILY, window, ceiling, span=span, guild=guild)
                before = pots[-1:]
            running.append(before[-1])
        return running

    # --- Holds -----------------------------------------------------------------------------------

    def hold(
        self, user: int, guild: int | None, reference: str, wish: tuple[int, int], now_us: int
    ) -> int:
        amount, floor = wish
        windows = self.touch_budgets(guild, now_us)
        if self.available(user, now_us) < floor:
            raise Refused
        amount = min([amount, self.available(user, now_us), *(pot.available for pot in windows)])
        if amount < floor:
            raise Refused(_tightest(windows))
        self.jobs[reference] = Job(user, guild)
        self._reserve(self.jobs[reference], windows, amount, now_us)
        return amount

    def extend(self, reference: str, amount: int, now_us: int) -> int:
        job = self.jobs[reference]
        windows = self.touch_budgets(job.guild, now_us)
        if self.available(job.user, now_us) == 0:
            raise Refused
        amount = min(
            [amount, self.available(job.user, now_us), *(pot.available for pot in windows)]
        )
        if amount == 0:
            raise Refused(_tightest(windows))
        self._reserve(job, windows, amount, now_us)
        return job.amount

    def _reserve(self, job: Job, windows: list[Pot], amount: int, now_us: int) -> None:
        parts = self.pick(job.user, amount, self.time_of(job.user, now_us))
        job.parts += parts
        for pot in windows if amount else ():
            pot.available -= amount
            job.counted.setdefault((pot.guild, pot.span), []).append((pot, amount))
            parts = [*parts, (pot, amount)]
        for pot, part in parts:
            pot.held += part

    def end(self, reference: str, state: str, charged: int, loss: int, now_us: int) -> None:
        job = self.jobs[reference]
        now_us = self.time_of(job.user, now_us)
        loss = min(loss, LOSS_MAX)
        job.ended = (state, charged, job.amount - charged, loss)
        self.spent += charged
        self.loss += loss
        back = _unspent(job.parts, charged)
        for pot in {pot.number: pot for pot, _part in back if pot.end_us <= now_us}.values():
            pot.available = 0
            pot.end_us = now_us + GRACE_US
        for parts in job.counted.values():
            back += _unspent(parts, charged)
        for pot, part in (*job.parts, *(one for parts in job.counted.values() for one in parts)):
            pot.held -= part
        for pot, part in back:
            pot.available += part

    def lose(self, user: int, reference: str, loss: int, now_us: int) -> None:
        """A cost without a hold: nothing of the member's moves."""
        self.jobs[reference] = Job(user, None)
        self.end(reference, "voided", 0, loss, now_us)


def _expire(pots: list[Pot], now_us: int) -> None:
    for pot in pots:
        if pot.end_us <= now_us:
            pot.available = 0


def _follow(window: Pot, ceiling: int) -> None:
    """The ceiling moves; what is gone or held stays so."""
    gone = window.issued - window.available - window.held
    left = max(0, ceiling - gone - window.held)
    window.issued += left - window.available
    window.available = left


def _counting(guild: int | None) -> list[int]:
    """Whose budgets a hold counts in."""
    return [INSTALLATION_ID] if guild is None else [INSTALLATION_ID, guild]


def _tightest(windows: list[Pot]) -> Pot:
    return min(windows, key=lambda pot: (pot.available, -pot.end_us))


def _unspent(parts: Parts, charged: int) -> Parts:
    """First taken is first spent; the rest goes back to where it came from."""
    back = []
    for pot, part in parts:
        pay = min(part, charged)
        charged -= pay
        if part > pay:
            back.append((pot, part - pay))
    return back
