"""The ledger against a plain model, through any order of acts, days, outages and repeats.

`LEDGER_EXAMPLES` and `LEDGER_STEPS` in the environment set how long it looks; a nightly run takes
more than a developer waits for (reliability.md N-13).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from sqlalchemy import Connection

from storage import ledger, wallet
from storage.errors import Duplicate, IllegalMove, InsufficientCredits
from storage.types import Allowance, Balance, Cause, Settlement
from tests.unit.storage.bank import HOUR_US, MIRA, NOON_US, SAM, TOM
from tests.unit.storage.bench import bench
from tests.unit.storage.model import FOREVER_US, Model, Refused

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "150"))
STEPS = int(os.environ.get("LEDGER_STEPS", "40"))

users = st.sampled_from([MIRA, TOM])
amounts = st.one_of(st.integers(1, 30), st.integers(1, 10**12))
costs = st.one_of(st.integers(0, 30), st.integers(0, 10**12))
plans = st.builds(
    Allowance,
    amount_ucr=st.sampled_from([0, 5, 20]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/New_York"]),
)


class LedgerMachine(RuleBasedStateMachine):
    """Each rule acts on the database and on the model, and compares what they answer."""

    jobs: Bundle[str] = Bundle("jobs")

    @initialize(plan=plans)
    def open(self, plan: Allowance) -> None:
        self.database = bench().reset()
        self.model = Model()
        self.now_us = NOON_US
        self.plan = plan
        self.number = 0
        self.idle = False

    def teardown(self) -> None:
        bench().close()

    def _next(self, prefix: str) -> str:
        self.number += 1
        return f"{prefix}:{self.number}"

    # --- Time and the world ----------------------------------------------------------------------

    @rule(hours=st.sampled_from([1, 7, 23, 24, 25, 24 * 9, -1, -30]))
    def advance(self, hours: int) -> None:
        self.idle = True
        self.now_us += hours * HOUR_US

    @rule(plan=plans)
    def change_plan(self, plan: Allowance) -> None:
        self.idle = True
        self.plan = plan

    @rule()
    def reopen(self) -> None:
        bench().close()

    @rule(user=users)
    def look(self, user: int) -> None:
        """Also after each refusal, which rolls back what time had changed."""
        self.model.touch(user, self.plan, self.now_us)
        balance = self.database.run(
            ledger.balance, user_id=user, allowance=self.plan, now_us=self.now_us
        )
        self._agree(user, balance)

    def _agree(self, user: int, balance: Balance) -> None:
        assert balance.available_ucr == self.model.available(user, self.now_us)
        assert balance.held_ucr == self.model.held(user)

    # --- Staff -----------------------------------------------------------------------------------

    def _staff(
        self, act: Callable[..., Balance], reference: str, user: int, **amount: int
    ) -> Balance:
        return self.database.run(
            act,
            user_id=user,
            actor_id=SAM,
            guild_id=None,
            reason="",
            reference=reference,
            allowance=self.plan,
            now_us=self.now_us,
            **amount,
        )

    @rule(user=users, amount=amounts, again=st.booleans())
    def grant(self, user: int, amount: int, *, again: bool) -> None:
        reference = self._next("act")
        now_us = self.model.touch(user, self.plan, self.now_us)
        self.model.give(user, amount, now_us)
        for _ in range(2 if again else 1):
            self._agree(user, self._staff(ledger.grant, reference, user, amount_ucr=amount))

    @rule(user=users, amount=amounts, again=st.booleans())
    def take(self, user: int, amount: int, *, again: bool) -> None:
        reference = self._next("act")
        try:
            self.model.touch(user, self.plan, self.now_us)
            self.model.pick(user, amount)
        except Refused:
            with pytest.raises(InsufficientCredits) as refused:
                self._staff(ledger.take, reference, user, amount_ucr=amount)
            assert refused.value.available_ucr == self.model.available(user, self.now_us)
            self.look(user)
            return
        for _ in range(2 if again else 1):
            self._agree(user, self._staff(ledger.take, reference, user, amount_ucr=amount))

    @rule(user=users, wanted=costs, again=st.booleans())
    def set_balance(self, user: int, wanted: int, *, again: bool) -> None:
        reference = self._next("act")
        now_us = self.model.touch(user, self.plan, self.now_us)
        difference = wanted - self.model.available(user, self.now_us)
        if difference > 0:
            self.model.give(user, difference, now_us)
        else:
            self.model.pick(user, -difference)
        for _ in range(2 if again else 1):
            balance = self._staff(ledger.set_balance, reference, user, target_ucr=wanted)
            self._agree(user, balance)
            assert balance.available_ucr == wanted

    # --- Holds -----------------------------------------------------------------------------------

    @rule(target=jobs, user=users, amount=costs, floor=st.floats(0, 1))
    def hold(self, user: int, amount: int, floor: float) -> str | MultipleResults[str]:
        reference = self._next("job")
        floor_ucr = int(amount * floor)
        self.model.touch(user, self.plan, self.now_us)
        try:
            held = self.model.hold(user, reference, amount, floor_ucr)
        except Refused:
            with pytest.raises(InsufficientCredits) as refused:
                self._hold(user, amount, floor_ucr, reference)
            assert refused.value.available_ucr == self.model.available(user, self.now_us)
            self.look(user)
            return multiple()
        assert self._hold(user, amount, floor_ucr, reference) == held
        return reference

    def _hold(self, user: int, amount: int, floor_ucr: int, reference: str) -> int:
        return self.database.run(
            ledger.hold,
            user_id=user,
            amount_ucr=amount,
            floor_ucr=floor_ucr,
            reference=reference,
            allowance=self.plan,
            now_us=self.now_us,
        ).amount_ucr

    @rule(job=jobs)
    def hold_again(self, job: str) -> None:
        with pytest.raises(Duplicate):
            self._hold(self.model.jobs[job].user, 1, 0, job)

    @rule(job=jobs, amount=amounts)
    def extend(self, job: str, amount: int) -> None:
        def act() -> int:
            return self.database.run(
                ledger.extend,
                reference=job,
                amount_ucr=amount,
                allowance=self.plan,
                now_us=self.now_us,
            ).amount_ucr

        if self.model.jobs[job].ended is not None:
            with pytest.raises(IllegalMove):
                act()
            return
        self.model.touch(self.model.jobs[job].user, self.plan, self.now_us)
        try:
            held = self.model.extend(job, amount)
        except Refused:
            with pytest.raises(InsufficientCredits):
                act()
            self.look(self.model.jobs[job].user)
            return
        assert act() == held

    @rule(job=jobs, cost=costs)
    def settle(self, job: str, cost: int) -> None:
        charged = min(self.model.jobs[job].amount, cost)
        self._end(
            job,
            ("settled", charged, cost - charged),
            lambda: self.database.run(
                ledger.settle,
                reference=job,
                cost_ucr=cost,
                cause=Cause.ANSWERED,
                now_us=self.now_us,
            ),
        )

    @rule(job=jobs, loss=costs)
    def void(self, job: str, loss: int) -> None:
        self._end(
            job,
            ("voided", 0, loss),
            lambda: self.database.run(
                ledger.void,
                reference=job,
                cause=Cause.PROVIDER_ERROR,
                loss_ucr=loss,
                now_us=self.now_us,
            ),
        )

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
        outcome = act()
        assert (outcome.charged_ucr, outcome.returned_ucr, outcome.loss_ucr) == (
            charged,
            returned,
            loss,
        )
        assert outcome.available_ucr == self.model.available(known.user, self.now_us)

    # --- What holds at any time ------------------------------------------------------------------

    @invariant()
    def books_are_sound_and_as_in_the_model(self) -> None:
        """I-1 … I-5; every bucket amount by amount and end by end; the common accounts."""
        if self.idle:
            # Nothing was written since the last look.
            self.idle = False
            return
        books = self.database.view(_books, users=tuple(self.model.pots), now_us=self.now_us)
        assert books.facts == ()
        assert (books.spent, books.loss) == (self.model.spent, self.model.loss)
        for found in books.wallets:
            assert sorted(
                (
                    b.ends_us or FOREVER_US,
                    0 if b.ended(found.now_us) else b.available_ucr,
                    b.held_ucr,
                )
                for b in found.buckets
                if b.held_ucr or (b.available_ucr and not b.ended(found.now_us))
            ) == sorted(
                (pot.end_us, pot.available if pot.end_us > found.now_us else 0, pot.held)
                for pot in self.model.pots[found.user_id]
                if pot.held or (pot.available and pot.end_us > found.now_us)
            )

    @precondition(lambda self: self.model.jobs)
    @rule(user=users)
    def history_adds_up(self, user: int) -> None:
        """The sum of a member's lines is what the member has."""
        self.look(user)
        lines = self.database.view(ledger.history, user_id=user, limit=10_000)
        have = self.model.available(user, self.now_us) + self.model.held(user)
        assert sum(line.delta_ucr for line in lines) == have


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The state of the ledger, read in one transaction."""

    facts: tuple[str, ...]
    spent: int
    loss: int
    wallets: tuple[wallet.Wallet, ...]


def _books(connection: Connection, *, users: tuple[int, ...], now_us: int) -> Books:
    rows = connection.exec_driver_sql(
        "SELECT kind, balance_ucr FROM accounts WHERE bucket_id IS NULL"
    )
    system = {kind: int(balance_ucr) for kind, balance_ucr in rows}
    return Books(
        facts=ledger.audit(connection),
        spent=system["spent"],
        loss=system["loss"],
        wallets=tuple(wallet.load(connection, user_id=u, now_us=now_us) for u in users),
    )


LedgerMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    # Explaining a failure takes longer than finding it.
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLedger = pytest.mark.timeout(0)(LedgerMachine.TestCase)
