"""Acts on a ledger and on its model, and the invariants that hold between them after each."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from storage import books, budgets, ledger, sqlite
from storage.books import Move
from storage.budget_schema import INSTALLATION_ID
from storage.budgets import BudgetChange
from storage.errors import (
    BudgetExhausted,
    Duplicate,
    IllegalMove,
    InsufficientCredits,
    StoreUnavailable,
)
from storage.inline import MEMORY, InlineDatabase
from storage.types import Allowance, Balance, Budget, Cause, Settlement
from tests.unit.storage.bank import HOUR_US, NOON_US, SAM
from tests.unit.storage.model import BOUGHT, FOREVER_US, GRANTED, Model, Refused
from tests.unit.storage.saboteur import MOMENTS, Saboteur

T = TypeVar("T")

SERVERS = (7, 8)
PPM = 1_000_000


class Bench:
    """One database of the process."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        # What is here already lives as long as the process: nothing to look through again.
        gc.freeze()
        self.connection = self.database.engine.connect()

    def run(self, body: Callable[..., T], **facts: Any) -> T:
        """As `InlineDatabase.run`, on a connection that is kept: taking one costs as much."""
        with sqlite.translating(MEMORY), self.connection.begin():
            return body(self.connection, **facts)


@cache
def bench() -> Bench:
    """The one of this process: making one costs more than a run of the machine."""
    return Bench()


class _Crash(BaseException):
    """The process ends here."""


class Driver:
    """One run: a ledger, its model, and the world around them."""

    def __init__(self, plan: Allowance) -> None:
        self.bench = bench()
        self.database = self.bench.database
        self.database.restore()
        self.driver: Any = self.database.engine.raw_connection().driver_connection
        self.model = Model()
        self.plan = plan
        self.now_us = NOON_US
        self.multiplier_ppm = PPM
        self.number = 0
        self.references: list[str] = []
        self.multipliers: dict[str, int] = {}
        self.fails = (0, "")
        self.idle = True
        self.balances = [0, 0, 0]
        self.entry_id, self.link = 0, books.GENESIS

    # --- How an act runs -------------------------------------------------------------------------

    def run(self, body: Callable[..., T], **facts: Any) -> T:
        """One transaction; if it is to fail first, it leaves nothing, and is tried again."""
        self.idle = False
        fail_at, moment = self.fails
        if fail_at:
            self.fails = (0, "")
            before = self._accounts()
            with Saboteur(fail_at=fail_at, moment=moment).at_work(self.database):
                try:
                    return self.database.run(body, **facts)
                except StoreUnavailable:
                    assert self._accounts() == before
        return self.bench.run(body, **facts)

    def fail_next(self, statement: int, *, after: bool) -> None:
        self.fails = (statement, MOMENTS[after])

    def crash(self) -> None:
        """Within a transaction that did something; what was committed is all there is."""

        def act(connection: Connection) -> None:
            ledger.balance(connection, user_id=1, allowance=self.plan, now_us=self.now_us)
            raise _Crash

        with pytest.raises(_Crash):
            self.database.run(act)
        self.database.restore(self.database.image())
        self.idle = False

    def _next(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}:{self.number}"

    def _refused(self, user: int, act: Callable[[], object], refused: Refused) -> None:
        """The database refuses for the same reason, with the same facts."""
        if refused.window is None:
            with pytest.raises(InsufficientCredits):
                act()
        else:
            with pytest.raises(BudgetExhausted) as caught:
                act()
            assert caught.value.span is refused.window.span
            assert caught.value.scope is refused.window.scope
        assert self.model.time_of(user, self.now_us) >= self.now_us

    # --- Looking ---------------------------------------------------------------------------------

    def look(self, user: int) -> None:
        self.model.touch(user, self.plan, self.now_us)
        self._agree(user, self.run(ledger.balance, user_id=user, **self._when()))

    def _when(self) -> dict[str, Any]:
        return {"allowance": self.plan, "now_us": self.now_us}

    def _agree(self, user: int, balance: Balance) -> None:
        assert balance.available_ucr == self.model.available(user, self.now_us)
        assert balance.held_ucr == self.model.held(user)

    # --- Staff, gifts, purchases -----------------------------------------------------------------

    def _staff(self, act: Callable[..., Balance], user: int, *, again: bool, **amount: int) -> None:
        facts = {"actor_id": SAM, "guild_id": None, "reason": "", "reference": self._next("act")}
        for _ in range(2 if again else 1):
            balance = self.run(act, user_id=user, **facts, **self._when(), **amount)
            self._agree(user, balance)

    def grant(self, user: int, amount: int, *, again: bool) -> None:
        self.model.touch(user, self.plan, self.now_us)
        self.model.give(user, GRANTED, amount, (0, FOREVER_US))
        self._staff(ledger.grant, user, again=again, amount_ucr=amount)

    def take(self, user: int, amount: int, *, again: bool) -> None:
        try:
            with self.model.trying(user):
                now_us = self.model.touch(user, self.plan, self.now_us)
                self.model.pick(user, amount, now_us)
        except Refused as refused:
            self._refused(
                user,
                lambda: self._staff(ledger.take, user, again=False, amount_ucr=amount),
                refused,
            )
        else:
            self._staff(ledger.take, user, again=again, amount_ucr=amount)

    def set(self, user: int, wanted: int, *, again: bool) -> None:
        now_us = self.model.touch(user, self.plan, self.now_us)
        difference = wanted - self.model.available(user, self.now_us)
        if difference > 0:
            self.model.give(user, GRANTED, difference, (0, FOREVER_US))
        else:
            self.model.pick(user, -difference, now_us)
        self._staff(ledger.set_balance, user, again=again, target_ucr=wanted)
        assert self.model.available(user, self.now_us) == wanted

    def gift(self, giver: int, receiver: int, amount: int, *, again: bool) -> None:
        facts = {"giver_id": giver, "receiver_id": receiver, "reference": self._next("gift")}
        facts |= {"amount_ucr": amount, **self._when()}
        try:
            with self.model.trying(giver):
                self.model.touch(giver, self.plan, self.now_us)
                self.model.gift(giver, receiver, amount, self.now_us)
        except Refused as refused:
            self._refused(giver, lambda: self.run(ledger.gift, **facts), refused)
            return
        for _ in range(2 if again else 1):
            self._agree(giver, self.run(ledger.gift, **facts))

    def purchase(
        self, user: int, amount: int, span: tuple[int | None, int | None], *, again: bool
    ) -> None:
        now_us = self.model.touch(user, self.plan, self.now_us)
        starts_us, ends_us = (None if h is None else now_us + h * HOUR_US for h in span)
        window = (starts_us or 0, ends_us or FOREVER_US)
        self.model.give(user, BOUGHT, amount, window)
        reference = self._next("shop")
        for _ in range(2 if again else 1):
            balance = self.run(
                ledger.purchase,
                user_id=user,
                amount_ucr=amount,
                reference=reference,
                starts_us=starts_us,
                ends_us=ends_us,
                **self._when(),
            )
            self._agree(user, balance)

    def set_budget(self, guild: int, change: BudgetChange, *, again: bool) -> None:
        old = self.model.budgets.get(guild, Budget(day_ucr=None, month_ucr=None, timezone="UTC"))
        new = Budget(
            day_ucr=old.day_ucr if change.day_ucr is None else change.day_ucr or None,
            month_ucr=old.month_ucr if change.month_ucr is None else change.month_ucr or None,
            timezone=change.timezone or old.timezone,
        )
        self.model.budgets[guild] = new
        self.model.touch_budget(guild, self.now_us)
        reference = self._next("budget")
        for _ in range(2 if again else 1):
            budget = self.run(
                budgets.set_budget,
                guild_id=guild,
                change=change,
                timezone="UTC",
                actor_id=SAM,
                reference=reference,
                now_us=self.now_us,
            )
            assert budget == new

    def set_installation(self, budget: Budget) -> None:
        """A start with other settings."""
        if self.model.budgets.get(INSTALLATION_ID) != budget:
            self.model.budgets[INSTALLATION_ID] = budget
            self.model.touch_budget(INSTALLATION_ID, self.now_us)
        self.run(budgets.set_installation, budget=budget, now_us=self.now_us)

    # --- Holds -----------------------------------------------------------------------------------

    def hold(self, user: int, guild: int | None, amount: int, floor: int) -> None:
        reference = self._next("job")

        def act() -> int:
            return self.run(
                ledger.hold,
                user_id=user,
                amount_ucr=amount,
                floor_ucr=floor,
                reference=reference,
                guild_id=guild,
                **self._when(),
            ).amount_ucr

        try:
            with self.model.trying(user, guild):
                self.model.touch(user, self.plan, self.now_us)
                held = self.model.hold(user, guild, reference, (amount, floor), self.now_us)
        except Refused as refused:
            self._refused(user, act, refused)
            return
        self.references.append(reference)
        self.multipliers[reference] = self.multiplier_ppm
        assert act() == held

    def _job(self, newest: int) -> str:
        """One of the last holds."""
        return self.references[-1 - newest % len(self.references)]

    def hold_again(self, newest: int) -> None:
        job = self._job(newest)
        with pytest.raises(Duplicate):
            self.run(
                ledger.hold,
                user_id=self.model.jobs[job].user,
                amount_ucr=1,
                floor_ucr=0,
                reference=job,
                **self._when(),
            )

    def extend(self, newest: int, amount: int) -> None:
        reference = self._job(newest)
        job = self.model.jobs[reference]

        def act() -> int:
            facts = {"reference": reference, "amount_ucr": amount, **self._when()}
            return self.run(ledger.extend, **facts).amount_ucr

        if job.ended is not None:
            with pytest.raises(IllegalMove):
                act()
            return
        try:
            with self.model.trying(job.user, job.guild):
                self.model.touch(job.user, self.plan, self.now_us)
                held = self.model.extend(reference, amount, self.now_us)
        except Refused as refused:
            self._refused(job.user, act, refused)
            return
        assert act() == held

    def settle(self, newest: int, cost: int, loss: int) -> None:
        job = self._job(newest)
        multiplier_ppm = self.multipliers[job]
        if multiplier_ppm == 0:
            cost = 0  # free work has no price
        charged = min(self.model.jobs[job].amount, cost)
        beyond = (cost - charged) * PPM // multiplier_ppm if cost else 0
        self._end(
            job,
            ("settled", charged, loss + beyond),
            lambda: self.run(
                ledger.settle,
                reference=job,
                cost_ucr=cost,
                loss_ucr=loss,
                multiplier_ppm=multiplier_ppm,
                cause=Cause.ANSWERED,
                now_us=self.now_us,
            ),
        )

    def void(self, newest: int, loss: int) -> None:
        job = self._job(newest)
        facts = {"cause": Cause.PROVIDER_ERROR, "loss_ucr": loss, "now_us": self.now_us}
        self._end(job, ("voided", 0, loss), lambda: self.run(ledger.void, reference=job, **facts))

    def _end(self, job: str, end: tuple[str, int, int], act: Callable[[], Settlement]) -> None:
        """The first end stands; the same kind again repeats it, the other kind is refused."""
        known = self.model.jobs[job]
        if known.ended is None:
            self.model.end(job, *end, self.now_us)
        assert known.ended is not None
        state, charged, returned, loss = known.ended
        if state != end[0]:
            with pytest.raises(IllegalMove):
                act()
            return
        available = self.model.available(known.user, self.now_us)
        assert act() == Settlement(
            charged_ucr=charged, returned_ucr=returned, loss_ucr=loss, available_ucr=available
        )

    def lose(self, user: int, loss: int, cause: Cause, *, again: bool) -> None:
        reference = self._next("loss")
        self.model.lose(user, reference, loss, self.now_us)
        for _ in range(2 if again else 1):
            settlement = self.run(
                ledger.lose,
                user_id=user,
                loss_ucr=loss,
                reference=reference,
                cause=cause,
                now_us=self.now_us,
            )
            assert (settlement.charged_ucr, settlement.returned_ucr) == (0, 0)

    # --- What holds at any time ------------------------------------------------------------------

    def _accounts(self) -> list[int]:
        return [
            row[0] for row in self.driver.execute("SELECT balance_ucr FROM accounts ORDER BY id")
        ]

    def check(self) -> None:
        """After each step, by plain SQL: what was written since the last, and every balance."""
        if self.idle:
            return
        self.idle = True
        self._follow_the_chain()
        accounts = self._accounts()
        assert sum(accounts) == 0, "I-1"
        assert min(accounts[1:]) >= 0, "I-3"
        assert accounts == self.balances, "I-1: a balance is the sum of its entries"
        assert accounts == self.model.accounts(), "I-4, I-5, I-8, I-10: as in the model"
        assert self._holds() == self._model_holds(), "I-5"

    def _follow_the_chain(self) -> None:
        """I-2: numbers without a gap, digests that follow; I-3: never below zero on the way."""
        self.balances += [0] * (3 + 2 * len(self.model.all) - len(self.balances))
        rows = self.driver.execute(
            "SELECT e.id, e.from_account_id, e.to_account_id, e.amount_ucr, e.digest, j.kind,"
            " j.hold_id, j.at_us FROM entries e JOIN journal j ON j.id = e.journal_id"
            " WHERE e.id > ? ORDER BY e.id",
            (self.entry_id,),
        )
        for entry_id, source, target, amount, digest, kind, hold_id, at_us in rows:
            assert entry_id == self.entry_id + 1, "I-2"
            move = Move(from_account_id=source, to_account_id=target, amount_ucr=amount)
            self.link = books.digest(
                self.link, entry_id=entry_id, move=move, kind=kind, hold_id=hold_id, at_us=at_us
            )
            assert digest == self.link, "I-2"
            self.entry_id = entry_id
            self.balances[source - 1] -= amount
            self.balances[target - 1] += amount
            assert source == 1 or self.balances[source - 1] >= 0, "I-3"

    def _holds(self) -> tuple[int, ...]:
        """How many are open and over, and their sums."""
        return tuple(
            self.driver.execute(
                "SELECT count(*), coalesce(sum(state = 'open'), 0), coalesce(sum(amount_ucr), 0),"
                " coalesce(sum(charged_ucr), 0), coalesce(sum(returned_ucr), 0),"
                " coalesce(sum(loss_ucr), 0) FROM holds"
            ).fetchone()
        )

    def _model_holds(self) -> tuple[int, ...]:
        jobs = self.model.jobs.values()
        ends = [job.ended for job in jobs if job.ended is not None]
        return (
            len(jobs),
            len(jobs) - len(ends),
            sum(job.amount for job in jobs),
            sum(end[1] for end in ends),
            sum(end[2] for end in ends),
            sum(end[3] for end in ends),
        )

    def close(self) -> None:
        """The whole audit over what every fourth run has left; it costs as much as ten steps."""
        if self.number % 4 == 0:
            assert self.database.view(ledger.audit) == ()
