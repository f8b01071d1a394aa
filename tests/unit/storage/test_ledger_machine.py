"""The ledger against a plain model, through any order of acts, days, outages and repeats.

2,000 runs of 50 steps, in shards that share the processes of the suite. `LEDGER_EXAMPLES` and
`LEDGER_STEPS` in the environment set how long it looks, `LEDGER_RANDOM` that it looks elsewhere
each time: a nightly run takes more than a developer waits for (reliability.md N-13).
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from storage.budgets import BudgetChange
from storage.types import Allowance, Budget, Cause
from tests.unit.storage.bank import HOUR_US, MIRA, TOM
from tests.unit.storage.ledger_driver import SERVERS, Driver

EXAMPLES = int(os.environ.get("LEDGER_EXAMPLES", "2000"))
STEPS = int(os.environ.get("LEDGER_STEPS", "50"))
SHARDS = 8

users = st.sampled_from([MIRA, TOM])
guilds = st.sampled_from([None, *SERVERS])
amounts = st.integers(1, 40).map(lambda n: n if n <= 30 else 10 ** (n - 28))
"""Mostly about as much as an allowance; up to 10^12."""
costs = st.integers(0, 40).map(lambda n: n if n <= 30 else 10 ** (n - 28))
reports = st.integers(0, 42).map(lambda n: n if n <= 30 else 10 ** (3 * (n - 30)))
"""What a provider says: up to 10^36."""
seldom = st.sampled_from([False, False, False, True])
newest = st.integers(0, 3)
"""Which of the last holds an act is about."""
ZONES = ("UTC", "Europe/Berlin", "Pacific/Kiritimati", "America/New_York")
plans = st.builds(
    Allowance, amount_ucr=st.sampled_from([0, 5, 20]), timezone=st.sampled_from(ZONES)
)
spans = st.sampled_from(
    [(None, None), (None, 5), (None, 48), (1, None), (1, 5), (30, 60), (30, 31)]
)
"""Start and end of a bucket, in hours from now."""


class LedgerMachine(RuleBasedStateMachine):
    """Each rule acts on the database and on the model, and compares what they answer."""

    @initialize(plan=plans, has_installation=seldom)
    def open(self, plan: Allowance, *, has_installation: bool) -> None:
        self.driver = Driver(plan)
        self.has_installation = has_installation

    # --- Time and the world ----------------------------------------------------------------------

    @rule(hours=st.sampled_from([1, 7, 23, 24, 25, 24 * 9, 24 * 31, -1, -30]))
    def advance(self, hours: int) -> None:
        """F-118: also backwards."""
        self.driver.now_us += hours * HOUR_US

    @rule(plan=plans)
    def change_plan(self, plan: Allowance) -> None:
        self.driver.plan = plan

    @rule(multiplier_ppm=st.sampled_from([0, 500_000, 1_000_000, 1_300_001]))
    def change_price(self, multiplier_ppm: int) -> None:
        """F-68: what a hold was opened with counts, so only new ones notice."""
        self.driver.multiplier_ppm = multiplier_ppm

    @rule(
        guild=st.sampled_from(SERVERS),
        day=st.sampled_from([None, None, 0, 1, 25, 10**6]),
        month=st.sampled_from([None, None, 0, 40, 10**7]),
        timezone=st.sampled_from([None, *ZONES]),
        again=seldom,
    )
    def change_budget(
        self, guild: int, day: int | None, month: int | None, timezone: str | None, *, again: bool
    ) -> None:
        change = BudgetChange(day_ucr=day, month_ucr=month, timezone=timezone)
        self.driver.set_budget(guild, change, again=again)

    @precondition(lambda machine: machine.has_installation)
    @rule(
        day=st.sampled_from([None, 1, 25, 10**6]),
        month=st.sampled_from([None, 40, 10**7]),
        timezone=st.sampled_from(ZONES),
    )
    def change_settings(self, day: int | None, month: int | None, timezone: str) -> None:
        """The operator's ceilings over all servers and direct messages, at each start."""
        budget = Budget(day_ucr=day, month_ucr=month, timezone=timezone)
        self.driver.set_installation(budget)

    @rule(statement=st.integers(1, 14), after=st.booleans())
    def break_soon(self, statement: int, *, after: bool) -> None:
        """F-14: a statement of the next act fails, before or after its effect."""
        self.driver.fail_next(statement, after=after)

    @rule(often=st.integers(0, 3))
    def crash(self, often: int) -> None:
        """The process ends within a transaction, and another opens what was committed."""
        if often == 0:
            self.driver.crash()

    @rule(user=users)
    def look(self, user: int) -> None:
        self.driver.look(user)

    # --- Credits ---------------------------------------------------------------------------------

    @rule(
        act=st.sampled_from(["grant", "take", "set"]),
        user=users,
        amount=amounts,
        again=seldom,
    )
    def staff(self, act: str, user: int, amount: int, *, again: bool) -> None:
        """I-11: repeating the request changes nothing."""
        getattr(self.driver, act)(user, amount, again=again)

    @rule(giver=users, amount=amounts, again=seldom)
    def gift(self, giver: int, amount: int, *, again: bool) -> None:
        self.driver.gift(giver, TOM if giver == MIRA else MIRA, amount, again=again)

    @rule(user=users, amount=amounts, span=spans, again=seldom)
    def purchase(
        self, user: int, amount: int, span: tuple[int | None, int | None], *, again: bool
    ) -> None:
        self.driver.purchase(user, amount, span, again=again)

    # --- Holds -----------------------------------------------------------------------------------

    @rule(user=users, guild=guilds, amount=costs, floor=st.sampled_from([0, 0, 2, 4]))
    def hold(self, user: int, guild: int | None, amount: int, floor: int) -> None:
        self.driver.hold(user, guild, amount, amount * floor // 4)

    def _has_jobs(self) -> bool:
        return bool(self.driver.references)

    @precondition(_has_jobs)
    @rule(job=newest)
    def hold_again(self, job: int) -> None:
        self.driver.hold_again(job)

    @precondition(_has_jobs)
    @rule(job=newest, amount=amounts)
    def extend(self, job: int, amount: int) -> None:
        self.driver.extend(job, amount)

    @precondition(_has_jobs)
    @rule(job=newest, cost=reports, loss=st.sampled_from([0, 0, 3]))
    def settle(self, job: int, cost: int, loss: int) -> None:
        """F-51: whatever was reported."""
        self.driver.settle(job, cost, loss)

    @precondition(_has_jobs)
    @rule(job=newest, loss=reports)
    def void(self, job: int, loss: int) -> None:
        self.driver.void(job, loss)

    @rule(user=users, loss=reports, again=seldom)
    def late_result(self, user: int, loss: int, *, again: bool) -> None:
        """S-6: booked on operator loss, once."""
        self.driver.lose(user, loss, Cause.LATE_RESULT, again=again)

    @rule(
        user=users,
        guild=guilds,
        amount=st.integers(1, 30),
        order=st.permutations(["hold", "hold", "end", "extend"]),
    )
    def parallel(self, user: int, guild: int | None, amount: int, order: list[str]) -> None:
        """F-140: the same credits wanted at once, in any order: every transaction is one piece."""
        for number, act in enumerate(order):
            if act == "hold":
                self.driver.hold(user, guild, amount, amount)
            elif self._has_jobs() and act == "extend":
                self.driver.extend(0, amount)
            elif self._has_jobs() and number % 2:
                self.driver.settle(0, amount, 0)
            elif self._has_jobs():
                self.driver.void(0, 0)

    # --- What holds at any time ------------------------------------------------------------------

    @invariant()
    def books_are_sound_and_as_in_the_model(self) -> None:
        """I-1 … I-5, I-8, I-10, account by account and entry by entry."""
        self.driver.check()

    def teardown(self) -> None:
        """I-1 … I-11 by the audit that operators run."""
        if hasattr(self, "driver"):
            self.driver.close()


@pytest.mark.timeout(0)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_ledger_does_what_the_model_does(shard: int) -> None:
    """Whatever the order: the same balances, the same refusals, the same ends."""
    machine = type(f"LedgerMachine{shard}", (LedgerMachine,), {})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES // SHARDS,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize="LEDGER_RANDOM" not in os.environ,
            # Explaining a failure takes longer than finding it.
            phases=[phase for phase in Phase if phase is not Phase.explain],
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
