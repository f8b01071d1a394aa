"""What is no amount is refused at the border of the ledger, and changes nothing (F-51, F-141)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import budgets, ledger
from storage.budgets import BudgetChange
from storage.holds import LOSS_UCR_MAX
from storage.types import Cause
from tests.unit.storage.bank import CREDIT, MIRA, NONE, SAM, TOM, Bank, snapshot

NO_AMOUNTS: dict[str, Any] = {
    "negative": -1,
    "NaN": float("nan"),
    "a NaN of decimals": Decimal("NaN"),
    "infinity": float("inf"),
    "a fraction": 1.5,
    "a whole fraction": 2.0,
    "a decimal": Decimal(2),
    "a word": "1",
    "full-width digits": "１２",
    "an underscore": "1_000",
    "true": True,
}
HUGE = 10**30

_when: Callable[[Bank], dict[str, Any]] = lambda bank: {  # noqa: E731 - it is one.
    "allowance": bank.allowance,
    "now_us": bank.now_us,
}


def _run(bank: Bank, body: Callable[..., object], **facts: Any) -> object:
    return bank.database.run(body, **facts)


ACTS: dict[str, Callable[[Bank, Any], object]] = {
    "grant": lambda bank, amount: bank.grant(amount),
    "take": lambda bank, amount: bank.take(amount),
    "set": lambda bank, amount: bank.set(amount),
    "gift": lambda bank, amount: _run(
        bank,
        ledger.gift,
        giver_id=MIRA,
        receiver_id=TOM,
        amount_ucr=amount,
        reference="i:gift",
        **_when(bank),
    ),
    "purchase": lambda bank, amount: _run(
        bank, ledger.purchase, user_id=MIRA, amount_ucr=amount, reference="shop:1", **_when(bank)
    ),
    "hold": lambda bank, amount: bank.hold(amount, floor_ucr=0, reference="new"),
    "a hold's floor": lambda bank, amount: bank.hold(5, floor_ucr=amount, reference="new"),
    "extend": lambda bank, amount: bank.extend("job", amount),
    "a ceiling": lambda bank, amount: _run(
        bank,
        budgets.set_budget,
        guild_id=7,
        change=BudgetChange(month_ucr=amount),
        timezone="UTC",
        actor_id=SAM,
        reference="i:budget",
        now_us=bank.now_us,
    ),
}
ENDS: dict[str, Callable[[Bank, Any], object]] = {
    "settle": lambda bank, amount: bank.settle("job", amount),
    "void": lambda bank, amount: bank.void("job", loss_ucr=amount),
    "lose": lambda bank, amount: _run(
        bank,
        ledger.lose,
        user_id=MIRA,
        loss_ucr=amount,
        reference="loss:1",
        cause=Cause.LATE_RESULT,
        now_us=bank.now_us,
    ),
}


@pytest.fixture
def working(bank: Bank) -> Bank:
    """Mira has ten granted credits, two of them held."""
    bank.allowance = NONE
    bank.grant(10 * CREDIT)
    bank.hold(2 * CREDIT, reference="job")
    return bank


@pytest.mark.parametrize("what", NO_AMOUNTS)
@pytest.mark.parametrize("act", ACTS | ENDS)
def test_what_is_no_amount_is_refused(working: Bank, act: str, what: str) -> None:
    """F-51, F-141: before a statement is sent."""
    before = working.database.view(snapshot)
    with pytest.raises(AssertionError):
        (ACTS | ENDS)[act](working, NO_AMOUNTS[what])
    assert working.database.view(snapshot) == before


@pytest.mark.parametrize("act", ACTS)
def test_an_absurd_amount_is_refused(working: Bank, act: str) -> None:
    """F-141: no sum of ours may leave 64 bits."""
    before = working.database.view(snapshot)
    with pytest.raises(AssertionError):
        ACTS[act](working, HUGE)
    assert working.database.view(snapshot) == before


@pytest.mark.parametrize("act", ENDS)
def test_an_absurd_report_is_clamped(working: Bank, act: str) -> None:
    """F-51: the member pays at most the hold, the loss is bounded, and the work can end."""
    ENDS[act](working, HUGE)
    assert working.account("spent") == (2 * CREDIT if act == "settle" else 0)
    assert working.account("loss") == LOSS_UCR_MAX


@settings(deadline=None, max_examples=50)
@given(cost_ucr=st.integers(min_value=0), held_ucr=st.integers(0, 20 * CREDIT))
def test_whatever_is_reported_the_charge_is_within_the_hold(cost_ucr: int, held_ucr: int) -> None:
    """F-51, I-5: charged and returned are the hold, the excess is the operator's."""
    bank = Bank()
    bank.hold(held_ucr, reference="job")
    settlement = bank.settle("job", cost_ucr)
    assert settlement.charged_ucr == min(held_ucr, cost_ucr)
    assert settlement.charged_ucr + settlement.returned_ucr == held_ucr
    assert settlement.loss_ucr == min(cost_ucr - settlement.charged_ucr, LOSS_UCR_MAX)
    bank.assert_sound()
    bank.database.engine.dispose()
