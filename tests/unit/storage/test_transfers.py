"""Gifts, purchases, and buckets that start later or end sooner than others."""

from __future__ import annotations

import pytest

from storage import ledger
from storage.errors import Duplicate, InsufficientCredits
from storage.types import ActKind, Balance, BucketKind
from tests.unit.storage.bank import CREDIT, DAY_US, HOUR_US, MIRA, NONE, TOM, Bank
from tests.unit.storage.saboteur import MOMENTS, assert_all_or_nothing


def _gift(bank: Bank, amount_ucr: int, *, reference: str = "i:gift") -> Balance:
    return bank.database.run(
        ledger.gift,
        giver_id=MIRA,
        receiver_id=TOM,
        amount_ucr=amount_ucr,
        reference=reference,
        allowance=bank.allowance,
        now_us=bank.now_us,
    )


def _buy(
    bank: Bank,
    amount_ucr: int,
    *,
    reference: str = "shop:1",
    starts_us: int | None = None,
    ends_us: int | None = None,
) -> Balance:
    return bank.database.run(
        ledger.purchase,
        user_id=MIRA,
        amount_ucr=amount_ucr,
        reference=reference,
        allowance=bank.allowance,
        now_us=bank.now_us,
        starts_us=starts_us,
        ends_us=ends_us,
    )


# --- Gifts ---------------------------------------------------------------------------------------


def test_a_gift_moves_credits_from_one_member_to_the_other(bank: Bank) -> None:
    """Both accounts name the other member, and nothing comes into being."""
    bank.grant(5 * CREDIT)
    issued = bank.account("issuer")
    assert _gift(bank, 3 * CREDIT).available_ucr == 22 * CREDIT
    assert bank.account("issuer") == issued
    received = bank.balance(TOM)
    assert received.available_ucr == 23 * CREDIT
    assert [b.kind for b in received.buckets] == [BucketKind.ALLOWANCE, BucketKind.GIFT]
    line = bank.history(limit=1)[0]
    assert (line.kind, line.delta_ucr, line.actor_id) == (ActKind.GIFT, -3 * CREDIT, TOM)
    (theirs,) = [
        line
        for line in bank.database.view(ledger.history, user_id=TOM, limit=9)
        if line.kind == ActKind.GIFT
    ]
    assert (theirs.delta_ucr, theirs.actor_id) == (3 * CREDIT, MIRA)


def test_a_repeated_gift_changes_nothing(bank: Bank) -> None:
    """Once per reference, which is the interaction's."""
    bank.grant(5 * CREDIT)
    assert _gift(bank, 3 * CREDIT) == _gift(bank, 3 * CREDIT)
    assert bank.available(TOM) == 23 * CREDIT


def test_a_gift_under_the_reference_of_another_act_is_refused(bank: Bank) -> None:
    """One reference, one act, whatever its kind; also the other way round."""
    bank.grant(5 * CREDIT, reference="i:1")
    with pytest.raises(Duplicate):
        _gift(bank, CREDIT, reference="i:1")
    _gift(bank, CREDIT, reference="i:2")
    with pytest.raises(Duplicate):
        bank.take(CREDIT, reference="i:2")


def test_an_allowance_cannot_be_given_away(bank: Bank) -> None:
    """It is a share of the server's, per head: a second account would double it."""
    bank.grant(5 * CREDIT)
    with pytest.raises(InsufficientCredits) as refused:
        _gift(bank, 5 * CREDIT + 1)
    assert refused.value.available_ucr == 5 * CREDIT
    assert bank.available() == 25 * CREDIT


def test_held_credits_cannot_be_given_away(bank: Bank) -> None:
    """They belong to the work until it ends."""
    bank.allowance = NONE
    bank.grant(5 * CREDIT)
    bank.hold(4 * CREDIT, reference="job")
    with pytest.raises(InsufficientCredits):
        _gift(bank, 2 * CREDIT)


def test_a_gift_keeps_the_end_of_what_it_was_made_of(bank: Bank) -> None:
    """Giving credits back and forth must not make them live for ever."""
    bank.allowance = NONE
    _buy(bank, 2 * CREDIT, ends_us=bank.now_us + HOUR_US)
    _buy(bank, CREDIT, reference="shop:2", ends_us=bank.now_us + HOUR_US)
    bank.grant(5 * CREDIT)
    _gift(bank, 4 * CREDIT)
    received = bank.balance(TOM).buckets
    assert [(b.available_ucr, b.ends_us) for b in received] == [
        (3 * CREDIT, bank.now_us + HOUR_US),
        (CREDIT, None),
    ]
    bank.now_us += HOUR_US
    assert bank.available(TOM) == CREDIT


@pytest.mark.parametrize("ahead", [MIRA, TOM])
def test_a_gift_can_be_spent_at_once_while_the_clock_is_back(bank: Bank, ahead: int) -> None:
    """F-118: whoever of the two lives at a later time."""
    bank.grant(5 * CREDIT)
    bank.now_us += DAY_US
    bank.available(ahead)
    bank.now_us -= DAY_US
    before = bank.available(TOM)
    _gift(bank, CREDIT)
    assert bank.available(TOM) == before + CREDIT


@pytest.mark.parametrize("amount", [0, -1])
def test_a_gift_of_nothing_or_less_is_a_mistake(bank: Bank, amount: int) -> None:
    """F-141: it would take from the receiver."""
    with pytest.raises(AssertionError):
        _gift(bank, amount)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_failing_statement_leaves_no_half_gift(moment: str) -> None:
    """F-14: what one loses the other has."""
    bank = Bank()
    bank.grant(5 * CREDIT)
    assert_all_or_nothing(bank, lambda b: _gift(b, 3 * CREDIT), moment=moment)
    bank.database.engine.dispose()


# --- Purchases -----------------------------------------------------------------------------------


def test_bought_credits_are_spent_last_of_those_with_the_same_end(bank: Bank) -> None:
    """Priority decides where the end does not: what was paid for goes last."""
    bank.allowance = NONE
    _buy(bank, CREDIT)
    bank.grant(CREDIT)
    assert [b.kind for b in bank.balance().buckets] == [BucketKind.GRANT, BucketKind.BOUGHT]


def test_bought_credits_that_end_sooner_are_spent_first(bank: Bank) -> None:
    """The end counts more than the priority; a hold gives back to the very same buckets."""
    bank.allowance = NONE
    bank.grant(CREDIT)
    _buy(bank, CREDIT, ends_us=bank.now_us + DAY_US)
    before = bank.balance().buckets
    bank.hold(CREDIT, reference="job")
    assert [(b.kind, b.held_ucr) for b in bank.balance().buckets] == [
        (BucketKind.BOUGHT, CREDIT),
        (BucketKind.GRANT, 0),
    ]
    bank.void("job")
    assert bank.balance().buckets == before


def test_a_repeated_purchase_changes_nothing(bank: Bank) -> None:
    """Once per reference, which is the shop's."""
    assert _buy(bank, CREDIT) == _buy(bank, CREDIT)
    with pytest.raises(Duplicate):
        bank.grant(CREDIT, reference="shop:1")


def test_a_purchase_of_nothing_is_a_mistake(bank: Bank) -> None:
    """F-141: no bucket without credits."""
    with pytest.raises(AssertionError):
        _buy(bank, 0)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_failing_statement_leaves_no_half_purchase(moment: str) -> None:
    """F-14: all of it or nothing."""
    bank = Bank()
    assert_all_or_nothing(bank, lambda b: _buy(b, CREDIT), moment=moment)
    bank.database.engine.dispose()


# --- Start and end -------------------------------------------------------------------------------


def test_a_bucket_that_has_not_started_cannot_be_spent(bank: Bank) -> None:
    """It is shown with its start, and is spendable from that moment on."""
    bank.allowance = NONE
    later_us = bank.now_us + HOUR_US
    balance = _buy(bank, CREDIT, starts_us=later_us)
    assert balance.available_ucr == 0
    assert [(b.available_ucr, b.starts_us) for b in balance.buckets] == [(CREDIT, later_us)]
    with pytest.raises(InsufficientCredits):
        bank.hold(1)
    with pytest.raises(InsufficientCredits):
        bank.take(1)
    with pytest.raises(InsufficientCredits):
        _gift(bank, 1)
    bank.now_us = later_us
    assert bank.balance().buckets[0].starts_us is None
    assert bank.hold(CREDIT).amount_ucr == CREDIT


def test_staff_may_grant_for_a_time(bank: Bank) -> None:
    """From its start to its end; what is left then goes back to the issuer."""
    bank.allowance = NONE
    bank.database.run(
        ledger.grant,
        user_id=MIRA,
        amount_ucr=CREDIT,
        starts_us=bank.now_us + HOUR_US,
        ends_us=bank.now_us + 2 * HOUR_US,
        actor_id=9,
        guild_id=7,
        reason="the evening",
        reference="i:1",
        allowance=NONE,
        now_us=bank.now_us,
    )
    assert bank.available() == 0
    bank.now_us += HOUR_US
    assert bank.available() == CREDIT
    bank.now_us += HOUR_US
    assert bank.available() == 0
    assert bank.account("issuer") == 0
