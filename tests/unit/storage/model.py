"""What the ledger should do, as plainly as possible: numbers in Python objects, no database.

It shares with the ledger only the arithmetic of days (`window_after`, which has tests of its own).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from storage.types import Allowance, Span
from storage.windows import window_after

GRACE_US = 86_400 * 1_000_000
FOREVER_US = 2**63


class Refused(Exception):
    """There is not enough."""


@dataclass(eq=False)
class Pot:
    """A bucket."""

    daily: bool
    starts_us: int
    window_end_us: int
    end_us: int
    issued: int
    available: int
    held: int = 0


@dataclass
class Job:
    """A hold: what it took from where, and how it ended: (state, charged, returned, loss)."""

    user: int
    parts: list[tuple[Pot, int]]
    ended: tuple[str, int, int, int] | None = None

    @property
    def amount(self) -> int:
        return sum(amount for _pot, amount in self.parts)


@dataclass
class Model:
    """All members, all jobs, and the accounts that belong to nobody."""

    pots: dict[int, list[Pot]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    acts: set[str] = field(default_factory=set)
    spent: int = 0
    loss: int = 0

    def touch(self, user: int, allowance: Allowance, now_us: int) -> int:
        """Let time pass for a member; the member's own time."""
        pots = self.pots.setdefault(user, [])
        now_us = self.time_of(user, now_us)
        for pot in pots:
            if pot.end_us <= now_us:
                pot.available = 0
        days = [pot for pot in pots if pot.daily]
        today = next((pot for pot in days if pot.window_end_us > now_us), None)
        if today is not None:
            gone = today.issued - today.available - today.held
            left = max(0, allowance.amount_ucr - gone - today.held)
            today.issued += left - today.available
            today.available = left
        elif allowance.amount_ucr > 0:
            start_us, end_us = window_after(
                max((pot.window_end_us for pot in days), default=None),
                now_us=now_us,
                span=Span.DAY,
                timezone=allowance.timezone,
            )
            amount = allowance.amount_ucr
            pots.append(Pot(True, start_us, end_us, end_us, amount, amount))
        return now_us

    def time_of(self, user: int, now_us: int) -> int:
        return max([now_us, *(pot.starts_us for pot in self.pots.get(user, []) if pot.daily)])

    def available(self, user: int, now_us: int) -> int:
        now_us = self.time_of(user, now_us)
        return sum(pot.available for pot in self.pots.get(user, []) if pot.end_us > now_us)

    def held(self, user: int) -> int:
        return sum(pot.held for pot in self.pots.get(user, []))

    def give(self, user: int, amount: int, now_us: int) -> None:
        pot = Pot(False, now_us, FOREVER_US, FOREVER_US, amount, amount)
        self.pots[user].append(pot)

    def pick(self, user: int, amount: int) -> list[tuple[Pot, int]]:
        """Take from available: ends soonest, then the allowance before grants, then oldest."""
        if amount > sum(pot.available for pot in self.pots[user]):
            raise Refused
        parts = []
        for pot in sorted(self.pots[user], key=lambda p: (p.end_us, not p.daily, p.starts_us)):
            part = min(pot.available, amount)
            if part:
                pot.available -= part
                amount -= part
                parts.append((pot, part))
        return parts

    def hold(self, user: int, reference: str, amount: int, floor: int) -> int:
        amount = min(amount, sum(pot.available for pot in self.pots[user]))
        if amount < floor:
            raise Refused
        self.jobs[reference] = Job(user, [])
        self.reserve(reference, amount)
        return amount

    def extend(self, reference: str, amount: int) -> int:
        job = self.jobs[reference]
        amount = min(amount, sum(pot.available for pot in self.pots[job.user]))
        if amount == 0:
            raise Refused
        self.reserve(reference, amount)
        return job.amount

    def reserve(self, reference: str, amount: int) -> None:
        job = self.jobs[reference]
        parts = self.pick(job.user, amount)
        for pot, part in parts:
            pot.held += part
        job.parts += parts

    def end(self, reference: str, state: str, charged: int, loss: int, now_us: int) -> None:
        job = self.jobs[reference]
        now_us = self.time_of(job.user, now_us)
        job.ended = (state, charged, job.amount - charged, loss)
        self.spent += charged
        self.loss += loss
        late = []
        for pot, part in job.parts:
            pay = min(part, charged)
            charged -= pay
            pot.held -= part
            if part > pay and pot.end_us <= now_us:
                pot.available = 0
                late.append(pot)
        for pot in late:
            pot.end_us = now_us + GRACE_US
        self._give_back(job)

    def _give_back(self, job: Job) -> None:
        assert job.ended is not None
        back = job.ended[2]
        for pot, part in reversed(job.parts):
            pot.available += min(part, back)
            back -= min(part, back)
