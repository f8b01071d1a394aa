"""What staff do to a balance, and what a member sees of it."""

from __future__ import annotations

import pytest

from storage.errors import Duplicate, InsufficientCredits
from storage.types import ActKind, BucketKind
from tests.unit.storage.bank import CREDIT, DAILY, DAY_US, NONE, NOON_US, SAM, TOM, Bank


def test_a_new_member_has_the_daily_allowance(bank: Bank) -> None:
    """The window is issued when it is first looked at, whole, and ends at midnight."""
    balance = bank.balance()
    assert balance.available_ucr == 20 * CREDIT
    assert balance.held_ucr == 0
    assert balance.allowance_resets_us == NOON_US + DAY_US // 2
    assert [b.kind for b in balance.buckets] == [BucketKind.ALLOWANCE]
    assert balance.buckets[0].ends_us == balance.allowance_resets_us


def test_looking_at_a_balance_twice_issues_once(bank: Bank) -> None:
    """Touching is idempotent."""
    assert bank.balance() == bank.balance()
    assert bank.account("issuer") == -20 * CREDIT


def test_members_without_an_allowance_have_nothing_and_no_reset(bank: Bank) -> None:
    """An allowance of zero makes no bucket at all."""
    bank.allowance = NONE
    balance = bank.balance()
    assert balance.available_ucr == 0
    assert balance.buckets == ()
    assert balance.allowance_resets_us is None


def test_a_grant_adds_a_bucket_without_end(bank: Bank) -> None:
    """It is listed behind the allowance, which ends sooner."""
    balance = bank.grant(5 * CREDIT)
    assert balance.available_ucr == 25 * CREDIT
    assert [(b.kind, b.ends_us is None) for b in balance.buckets] == [
        (BucketKind.ALLOWANCE, False),
        (BucketKind.GRANT, True),
    ]


def test_members_do_not_share_buckets(bank: Bank) -> None:
    """A grant to one changes nothing for another."""
    bank.grant(5 * CREDIT)
    assert bank.available(TOM) == 20 * CREDIT


def test_take_empties_the_bucket_that_ends_soonest_first(bank: Bank) -> None:
    """The order is the same as for holds; what was taken is back at the issuer."""
    bank.grant(5 * CREDIT)
    balance = bank.take(22 * CREDIT)
    assert [(b.kind, b.available_ucr) for b in balance.buckets] == [(BucketKind.GRANT, 3 * CREDIT)]
    assert bank.account("issuer") == -3 * CREDIT


def test_taking_more_than_is_available_is_refused(bank: Bank) -> None:
    """Nothing is taken; the error says how much there was and when more comes."""
    bank.hold(15 * CREDIT, reference="job")
    with pytest.raises(InsufficientCredits) as refused:
        bank.take(6 * CREDIT)
    assert refused.value.needed_ucr == 6 * CREDIT
    assert refused.value.available_ucr == 5 * CREDIT
    assert refused.value.resets_at_us == NOON_US + DAY_US // 2
    assert bank.available() == 5 * CREDIT


def test_without_an_allowance_the_refusal_names_no_reset(bank: Bank) -> None:
    """There is no moment at which more would come by itself."""
    bank.allowance = NONE
    with pytest.raises(InsufficientCredits) as refused:
        bank.take(1)
    assert refused.value.resets_at_us is None


@pytest.mark.parametrize("target", [0, 7 * CREDIT, 20 * CREDIT, 31 * CREDIT + 1])
def test_set_makes_available_exactly_the_target(bank: Bank, target: int) -> None:
    """Upwards, downwards and where it already is."""
    assert bank.set(target).available_ucr == target


def test_set_leaves_held_credits_alone(bank: Bank) -> None:
    """It is about what can be spent; running work keeps its hold."""
    bank.hold(8 * CREDIT, reference="job")
    balance = bank.set(1 * CREDIT)
    assert (balance.available_ucr, balance.held_ucr) == (1 * CREDIT, 8 * CREDIT)


@pytest.mark.parametrize("act", ["grant", "take", "set"])
def test_repeating_a_staff_act_changes_nothing(bank: Bank, act: str) -> None:
    """I-11: the second time answers with the present balance."""
    do = {"grant": bank.grant, "take": bank.take, "set": bank.set}[act]
    do(3 * CREDIT, reference="i:1")
    bank.grant(1 * CREDIT)
    before = bank.balance()
    assert do(3 * CREDIT, reference="i:1") == before
    assert bank.balance() == before


def test_a_repeated_take_is_not_refused_for_want_of_credits(bank: Bank) -> None:
    """The first effect stands even when it could not be done again."""
    bank.take(15 * CREDIT, reference="i:1")
    assert bank.take(15 * CREDIT, reference="i:1").available_ucr == 5 * CREDIT


def test_a_reference_of_another_act_is_a_duplicate(bank: Bank) -> None:
    """One interaction cannot be a grant and a take, nor meet two members."""
    bank.grant(3 * CREDIT, reference="i:1")
    with pytest.raises(Duplicate):
        bank.take(3 * CREDIT, reference="i:1")
    with pytest.raises(Duplicate):
        bank.grant(3 * CREDIT, reference="i:1", user_id=TOM)
    assert bank.available() == 23 * CREDIT


def test_history_shows_each_piece_of_work_once(bank: Bank) -> None:
    """Newest first: what it cost in the end, not what was held; staff acts with their reason."""
    bank.grant(5 * CREDIT, reference="i:1")
    bank.hold(9 * CREDIT, reference="job")
    bank.extend("job", 2 * CREDIT)
    bank.settle("job", 4 * CREDIT)
    bank.hold(1 * CREDIT, reference="other")
    bank.void("other")
    lines = bank.history()
    assert [(line.kind, line.delta_ucr, line.reference) for line in lines] == [
        (ActKind.SETTLE, -4 * CREDIT, "job"),
        (ActKind.GRANT, 5 * CREDIT, "i:1"),
        (ActKind.ALLOWANCE, 20 * CREDIT, "bucket:1"),
    ]
    assert (lines[1].actor_id, lines[1].reason) == (SAM, "for the party")
    assert (lines[0].actor_id, lines[0].reason) == (None, None)


def test_the_history_adds_up_to_the_balance(bank: Bank) -> None:
    """A member can check the account line by line."""
    bank.grant(5 * CREDIT)
    bank.take(1 * CREDIT)
    bank.hold(9 * CREDIT, reference="job")
    bank.settle("job", 4 * CREDIT + 1)
    bank.hold(3 * CREDIT, reference="running")
    balance = bank.balance()
    total = sum(line.delta_ucr for line in bank.history())
    assert total == balance.available_ucr + balance.held_ucr


def test_history_is_read_in_pages(bank: Bank) -> None:
    """`before_id` continues behind the last line shown."""
    for _ in range(5):
        bank.grant(CREDIT)
    first = bank.history(limit=4)
    second = bank.history(limit=4, before_id=first[-1].id)
    assert first + second == bank.history()
    assert len(second) == 2


def test_a_grant_of_nothing_is_a_bug_of_the_caller(bank: Bank) -> None:
    """Amounts are checked where they are typed; here they are asserted (F-141)."""
    for amount in (0, -1):
        with pytest.raises(AssertionError):
            bank.grant(amount)
        with pytest.raises(AssertionError):
            bank.take(amount)
    with pytest.raises(AssertionError):
        bank.set(-1)
    assert bank.allowance == DAILY
