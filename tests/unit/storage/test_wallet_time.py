"""What time does to a wallet: days, ends, grace, and clocks that go wrong."""

from __future__ import annotations

from datetime import UTC, datetime

from storage.types import ActKind, Allowance, BucketKind
from tests.unit.storage.bank import CREDIT, DAY_US, HOUR_US, NONE, Bank


def test_a_new_day_replaces_the_allowance(bank: Bank) -> None:
    """What was left of yesterday goes back to the issuer; nothing is carried over."""
    bank.take(5 * CREDIT)
    bank.now_us += DAY_US
    assert bank.available() == 20 * CREDIT
    assert [(line.kind, line.delta_ucr) for line in bank.history(limit=2)] == [
        (ActKind.ALLOWANCE, 20 * CREDIT),
        (ActKind.EXPIRE, -15 * CREDIT),
    ]
    assert bank.account("issuer") == -20 * CREDIT


def test_a_week_away_brings_one_allowance(bank: Bank) -> None:
    """Days that nobody touched are not issued afterwards."""
    bank.balance()
    bank.now_us += 7 * DAY_US
    assert bank.available() == 20 * CREDIT
    assert len(bank.history()) == 3


def test_grants_outlive_the_day(bank: Bank) -> None:
    """Only the allowance ends."""
    bank.grant(5 * CREDIT)
    bank.now_us += 30 * DAY_US
    assert bank.available() == 25 * CREDIT


def test_credits_that_return_after_midnight_have_a_day_of_grace(bank: Bank) -> None:
    """asks.md 3.3: the held part comes back spendable; what was not held has ended."""
    bank.hold(8 * CREDIT, reference="job")
    bank.now_us += DAY_US
    settlement = bank.settle("job", 3 * CREDIT)
    assert settlement.available_ucr == 5 * CREDIT
    balance = bank.balance()
    assert balance.available_ucr == 25 * CREDIT
    assert {b.ends_us for b in balance.buckets} == {
        bank.now_us + DAY_US,
        bank.now_us + DAY_US // 2,
    }
    bank.now_us += DAY_US
    assert bank.available() == 20 * CREDIT


def test_grace_is_for_what_was_held_only(bank: Bank) -> None:
    """The remainder that lay in the ended bucket does not profit, touched or not."""
    bank.hold(8 * CREDIT, reference="job")
    bank.now_us += DAY_US
    bank.void("job")
    assert [(line.kind, line.delta_ucr) for line in bank.history(limit=1)] == [
        (ActKind.EXPIRE, -12 * CREDIT)
    ]
    assert bank.available() == 28 * CREDIT


def test_a_hold_with_two_parts_of_one_bucket_expires_its_remainder_once(bank: Bank) -> None:
    """An extended hold names the same bucket twice."""
    bank.hold(2 * CREDIT, reference="job")
    bank.extend("job", 2 * CREDIT)
    bank.now_us += DAY_US
    assert bank.void("job").available_ucr == 4 * CREDIT


def test_grace_is_not_prolonged_while_it_runs(bank: Bank) -> None:
    """Holding and voiding in a circle keeps no credits alive."""
    bank.hold(8 * CREDIT, reference="first")
    bank.now_us += DAY_US
    bank.void("first")
    ends_us = bank.now_us + DAY_US
    bank.now_us += 2 * HOUR_US
    bank.hold(28 * CREDIT, reference="second")
    bank.void("second")
    assert ends_us in {b.ends_us for b in bank.balance().buckets}


def test_a_graced_bucket_stays_ahead_while_it_ends_soonest(bank: Bank) -> None:
    """The order of spending follows the real end, grace included."""
    bank.hold(8 * CREDIT, reference="first")
    bank.now_us += DAY_US
    bank.void("first")
    assert [b.available_ucr // CREDIT for b in bank.balance().buckets] == [20, 8]
    bank.now_us += DAY_US - HOUR_US
    assert [b.available_ucr // CREDIT for b in bank.balance().buckets] == [8, 20]


def test_a_clock_that_goes_back_issues_no_day_twice(bank: Bank) -> None:
    """F-118: the member stays where time had already been."""
    bank.balance()
    bank.now_us += DAY_US
    bank.take(20 * CREDIT)
    bank.now_us -= DAY_US
    assert bank.available() == 0
    bank.now_us += DAY_US
    assert bank.available() == 0
    bank.now_us += DAY_US
    assert bank.available() == 20 * CREDIT


def test_a_grant_can_be_spent_while_the_clock_is_back(bank: Bank) -> None:
    """F-118: what was given from now on is not hidden by a clock that was set back after it."""
    bank.allowance = NONE
    bank.grant(CREDIT)
    bank.now_us -= DAY_US
    assert bank.available() == CREDIT


def test_credits_that_return_while_the_clock_is_back_keep_their_grace(bank: Bank) -> None:
    """For the member it is already tomorrow; when the clock is right again nothing is lost."""
    bank.hold(8 * CREDIT, reference="job")
    bank.now_us += DAY_US
    bank.balance()
    bank.now_us -= DAY_US
    bank.void("job")
    bank.now_us += DAY_US
    assert bank.available() == 28 * CREDIT


def test_a_zone_whose_day_began_with_the_last_one_starts_where_that_ended(bank: Bank) -> None:
    """London's 29 March 2026 begins with that of UTC and ends an hour before it.

    The hour that is left belongs to the next day: no day's allowance comes twice.
    """
    bank.now_us = int(datetime(2026, 3, 29, 12, tzinfo=UTC).timestamp()) * 1_000_000
    bank.allowance = Allowance(amount_ucr=CREDIT, timezone="Europe/London")
    bank.balance()
    bank.now_us += 11 * HOUR_US + HOUR_US // 2
    bank.allowance = Allowance(amount_ucr=CREDIT, timezone="UTC")
    balance = bank.balance()
    assert balance.available_ucr == CREDIT
    assert balance.allowance_resets_us == bank.now_us + HOUR_US // 2 + DAY_US


def test_another_time_zone_issues_no_day_twice(bank: Bank) -> None:
    """The running day ends where it would have ended; the next one follows the new zone."""
    before = bank.balance()
    bank.take(20 * CREDIT)
    bank.allowance = Allowance(amount_ucr=20 * CREDIT, timezone="Pacific/Kiritimati")
    assert bank.available() == 0
    assert before.allowance_resets_us is not None
    bank.now_us = before.allowance_resets_us
    after = bank.balance()
    assert after.available_ucr == 20 * CREDIT
    # Kiritimati is 14 hours ahead: its midnight comes ten hours later, and that is no day.
    assert after.allowance_resets_us == bank.now_us + 34 * HOUR_US


def test_the_day_ends_at_midnight_of_the_server(bank: Bank) -> None:
    """In Berlin in March that is 23:00 UTC."""
    bank.allowance = Allowance(amount_ucr=CREDIT, timezone="Europe/Berlin")
    assert bank.balance().allowance_resets_us == bank.now_us + 11 * HOUR_US


def test_raising_the_allowance_counts_at_once(bank: Bank) -> None:
    """asks.md 3.3: what was used in the window stays used, only the ceiling moves."""
    bank.hold(8 * CREDIT, reference="job")
    bank.settle("job", 6 * CREDIT)
    bank.allowance = Allowance(amount_ucr=30 * CREDIT)
    assert bank.available() == 24 * CREDIT


def test_lowering_the_allowance_never_goes_below_nothing(bank: Bank) -> None:
    """Used 6 of 20, now 5: none left; with 10 again, 4."""
    bank.hold(6 * CREDIT, reference="job")
    bank.settle("job", 6 * CREDIT)
    bank.allowance = Allowance(amount_ucr=5 * CREDIT)
    assert bank.available() == 0
    bank.allowance = Allowance(amount_ucr=10 * CREDIT)
    assert bank.available() == 4 * CREDIT


def test_credits_held_under_a_higher_ceiling_return_under_the_lower_one(bank: Bank) -> None:
    """The next look brings the bucket to what the plan allows now."""
    bank.hold(15 * CREDIT, reference="job")
    bank.allowance = Allowance(amount_ucr=10 * CREDIT)
    assert bank.available() == 0
    bank.void("job")
    assert bank.available() == 10 * CREDIT


def test_an_allowance_that_is_taken_away_takes_the_running_day(bank: Bank) -> None:
    """And comes back as it was, minus what was used."""
    bank.take(3 * CREDIT)
    bank.allowance = NONE
    balance = bank.balance()
    assert (balance.available_ucr, balance.allowance_resets_us) == (0, None)
    bank.allowance = Allowance(amount_ucr=20 * CREDIT)
    assert bank.available() == 17 * CREDIT


def test_staff_may_set_more_than_the_allowance_and_it_lasts(bank: Bank) -> None:
    """The difference is a grant, so the next day starts with both."""
    bank.set(50 * CREDIT)
    bank.now_us += DAY_US
    balance = bank.balance()
    assert balance.available_ucr == 50 * CREDIT
    assert [b.kind for b in balance.buckets] == [BucketKind.ALLOWANCE, BucketKind.GRANT]
