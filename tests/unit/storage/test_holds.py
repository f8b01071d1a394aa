"""Hold, extend, settle, void."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from storage import ledger
from storage.errors import Duplicate, IllegalMove, InsufficientCredits, UnknownReference
from storage.types import BucketKind, Cause, HoldState, Settlement
from tests.unit.storage.bank import CREDIT, MIRA, NONE, Bank


def test_a_hold_moves_credits_from_available_to_held(bank: Bank) -> None:
    """Nothing is spent yet."""
    hold = bank.hold(3 * CREDIT, reference="job")
    assert (hold.amount_ucr, hold.state, hold.user_id) == (3 * CREDIT, HoldState.OPEN, MIRA)
    balance = bank.balance()
    assert (balance.available_ucr, balance.held_ucr) == (17 * CREDIT, 3 * CREDIT)
    assert bank.account("spent") == 0


def test_a_hold_shrinks_to_what_is_available(bank: Bank) -> None:
    """As long as that is at least the floor."""
    assert bank.hold(50 * CREDIT, floor_ucr=20 * CREDIT).amount_ucr == 20 * CREDIT


def test_a_hold_below_the_floor_is_refused(bank: Bank) -> None:
    """And leaves no trace, so that the same reference may be used later."""
    with pytest.raises(InsufficientCredits) as refused:
        bank.hold(50 * CREDIT, floor_ucr=20 * CREDIT + 1, reference="job")
    assert refused.value.needed_ucr == 20 * CREDIT + 1
    assert refused.value.available_ucr == 20 * CREDIT
    bank.grant(CREDIT)
    assert bank.hold(21 * CREDIT, reference="job").amount_ucr == 21 * CREDIT


def test_free_work_can_be_held_with_an_empty_wallet(bank: Bank) -> None:
    """A price of zero is a hold of zero, with the same life."""
    bank.allowance = NONE
    assert bank.hold(0, reference="job").amount_ucr == 0
    assert bank.settle("job", 0).charged_ucr == 0


@pytest.mark.parametrize("state", ["open", "settled", "voided"])
def test_a_reference_is_held_once_for_ever(bank: Bank, state: str) -> None:
    """I-5: also when its hold has long ended."""
    bank.hold(CREDIT, reference="job")
    if state == "settled":
        bank.settle("job", 1)
    if state == "voided":
        bank.void("job")
    before = bank.balance()
    with pytest.raises(Duplicate):
        bank.hold(CREDIT, reference="job")
    assert bank.balance() == before


def test_settling_charges_the_cost_and_returns_the_rest(bank: Bank) -> None:
    """Exactly to the micro-credit."""
    bank.hold(3 * CREDIT, reference="job")
    settlement = bank.settle("job", 1_234_567)
    assert settlement.charged_ucr == 1_234_567
    assert settlement.returned_ucr == 3 * CREDIT - 1_234_567
    assert settlement.loss_ucr == 0
    assert settlement.available_ucr == 20 * CREDIT - 1_234_567
    assert bank.account("spent") == 1_234_567
    assert bank.balance().held_ucr == 0


def test_cost_beyond_the_hold_is_operator_loss(bank: Bank) -> None:
    """S-3: a member never pays more than was held."""
    bank.hold(2 * CREDIT, reference="job")
    settlement = bank.settle("job", 5 * CREDIT)
    assert (settlement.charged_ucr, settlement.loss_ucr) == (2 * CREDIT, 3 * CREDIT)
    assert settlement.available_ucr == 18 * CREDIT
    assert bank.account("loss") == 3 * CREDIT


def test_work_that_cost_nothing_returns_everything(bank: Bank) -> None:
    """A settlement of zero is not a void: the work was done."""
    bank.hold(2 * CREDIT, reference="job")
    assert bank.settle("job", 0).returned_ucr == 2 * CREDIT
    with pytest.raises(IllegalMove):
        bank.void("job")


def test_voiding_returns_everything_and_books_the_loss(bank: Bank) -> None:
    """S-12: what a broken stream cost the operator is visible, and not the member's."""
    bank.hold(2 * CREDIT, reference="job")
    settlement = bank.void("job", loss_ucr=CREDIT // 2)
    assert settlement.charged_ucr == 0
    assert settlement.returned_ucr == 2 * CREDIT
    assert settlement.loss_ucr == CREDIT // 2
    assert settlement.available_ucr == 20 * CREDIT
    assert bank.account("loss") == CREDIT // 2


def test_the_first_settlement_stands(bank: Bank) -> None:
    """Repeated with another cost, it returns the first outcome and moves nothing."""
    bank.hold(3 * CREDIT, reference="job")
    first = bank.settle("job", CREDIT)
    assert bank.settle("job", 3 * CREDIT) == first
    assert bank.available() == 19 * CREDIT


def test_the_first_void_stands(bank: Bank) -> None:
    """Also its loss."""
    bank.hold(3 * CREDIT, reference="job")
    first = bank.void("job", loss_ucr=5)
    assert bank.void("job", loss_ucr=7) == first
    assert bank.account("loss") == 5


def test_a_repeated_outcome_shows_the_present_balance(bank: Bank) -> None:
    """What was charged is history; what is available is now."""
    bank.hold(3 * CREDIT, reference="job")
    bank.settle("job", CREDIT)
    bank.grant(CREDIT)
    assert bank.settle("job", CREDIT).available_ucr == 20 * CREDIT


def test_settled_and_voided_exclude_each_other(bank: Bank) -> None:
    """I-5: never both, in either order."""
    bank.hold(CREDIT, reference="paid")
    bank.hold(CREDIT, reference="free")
    bank.settle("paid", 1)
    bank.void("free")
    with pytest.raises(IllegalMove) as after_settle:
        bank.void("paid")
    with pytest.raises(IllegalMove) as after_void:
        bank.settle("free", 1)
    assert (after_settle.value.state, after_settle.value.move) == ("settled", "void")
    assert (after_void.value.state, after_void.value.move) == ("voided", "settle")


def test_unknown_references_are_named(bank: Bank) -> None:
    """Nothing can be ended that was never held."""
    with pytest.raises(UnknownReference) as unknown:
        bank.settle("nothing", 1)
    assert unknown.value.reference == "nothing"
    with pytest.raises(UnknownReference):
        bank.void("nothing")
    with pytest.raises(UnknownReference):
        bank.extend("nothing", 1)


def test_extending_adds_to_the_same_hold(bank: Bank) -> None:
    """asks.md 3.3: in steps, while the answer grows."""
    bank.hold(2 * CREDIT, reference="job")
    assert bank.extend("job", 3 * CREDIT).amount_ucr == 5 * CREDIT
    assert bank.extend("job", CREDIT).amount_ucr == 6 * CREDIT
    assert bank.settle("job", 6 * CREDIT).charged_ucr == 6 * CREDIT


def test_extending_takes_what_is_left(bank: Bank) -> None:
    """Less than asked is still more time to answer; nothing left is an error."""
    bank.hold(19 * CREDIT, reference="job")
    assert bank.extend("job", 3 * CREDIT).amount_ucr == 20 * CREDIT
    with pytest.raises(InsufficientCredits) as refused:
        bank.extend("job", 3 * CREDIT)
    assert refused.value.available_ucr == 0


@pytest.mark.parametrize("state", ["settled", "voided"])
def test_an_ended_hold_cannot_be_extended(bank: Bank, state: str) -> None:
    """The stream that wants more comes too late."""
    bank.hold(CREDIT, reference="job")
    if state == "settled":
        bank.settle("job", 1)
    else:
        bank.void("job")
    with pytest.raises(IllegalMove) as refused:
        bank.extend("job", 1)
    assert (refused.value.state, refused.value.move) == (state, "extend")


def test_parts_are_taken_from_what_ends_soonest(bank: Bank) -> None:
    """The allowance first, then grants, the oldest before the newest."""
    bank.grant(2 * CREDIT)
    bank.now_us += 1
    bank.grant(3 * CREDIT)
    bank.hold(23 * CREDIT, reference="job")
    held = [(b.kind, b.held_ucr) for b in bank.balance().buckets]
    assert held == [
        (BucketKind.ALLOWANCE, 20 * CREDIT),
        (BucketKind.GRANT, 2 * CREDIT),
        (BucketKind.GRANT, 1 * CREDIT),
    ]


def test_the_rest_goes_back_where_it_was_taken_last(bank: Bank) -> None:
    """What ends soonest is spent first, so that the longest-lived credits come back."""
    bank.grant(2 * CREDIT)
    bank.hold(21 * CREDIT, reference="job")
    bank.extend("job", CREDIT)
    bank.settle("job", 15 * CREDIT)
    left = [(b.kind, b.available_ucr) for b in bank.balance().buckets]
    assert left == [(BucketKind.ALLOWANCE, 5 * CREDIT), (BucketKind.GRANT, 2 * CREDIT)]


def test_the_rest_is_booked_in_reverse(bank: Bank) -> None:
    """asks.md 3.3: the entries of a return retrace those of the hold."""
    bank.grant(2 * CREDIT)
    bank.hold(22 * CREDIT, reference="job")
    bank.void("job")

    def booked(connection: Connection, kind: str) -> list[tuple[int, int]]:
        rows = connection.exec_driver_sql(
            "SELECT from_account_id, to_account_id FROM entries"
            " JOIN journal ON journal.id = journal_id WHERE kind = ? ORDER BY entries.id",
            (kind,),
        )
        return [(from_id, to_id) for from_id, to_id in rows]

    held = bank.database.view(booked, "hold")
    back = bank.database.view(booked, "void")
    assert len(held) == 2
    assert back == [(to_id, from_id) for from_id, to_id in reversed(held)]


def test_an_emptied_grant_disappears_from_the_balance(bank: Bank) -> None:
    """A member sees buckets with credits only."""
    bank.grant(2 * CREDIT)
    bank.hold(22 * CREDIT, reference="job")
    bank.settle("job", 22 * CREDIT)
    assert bank.balance().buckets == ()
    assert bank.balance().allowance_resets_us is not None


def test_wrong_amounts_are_bugs_of_the_caller(bank: Bank) -> None:
    """Prices are positive (asks.md 3.3); a negative one must never pay a member."""
    bank.hold(CREDIT, reference="job")
    with pytest.raises(AssertionError):
        bank.hold(1, floor_ucr=2)
    with pytest.raises(AssertionError):
        bank.hold(1, floor_ucr=-1)
    with pytest.raises(AssertionError):
        bank.extend("job", 0)
    with pytest.raises(AssertionError):
        bank.settle("job", -1)
    with pytest.raises(AssertionError):
        bank.void("job", loss_ucr=-1)


# --- Loss without a hold -------------------------------------------------------------------------


def _lose(bank: Bank, loss_ucr: int) -> Settlement:
    return bank.database.run(
        ledger.lose,
        user_id=MIRA,
        loss_ucr=loss_ucr,
        reference="loss:job",
        cause=Cause.LATE_RESULT,
        now_us=bank.now_us,
    )


def test_a_loss_after_the_end_is_booked_without_touching_the_member(bank: Bank) -> None:
    """S-6, I-10: it has a reference and a cause of its own; the member sees no line of it."""
    bank.hold(CREDIT, reference="job")
    bank.void("job", loss_ucr=2)
    before, lines = bank.balance(), bank.history()
    assert _lose(bank, 5).loss_ucr == 5
    assert (bank.balance(), bank.history()) == (before, lines)
    assert bank.account("loss") == 7


def test_a_loss_is_booked_once(bank: Bank) -> None:
    """The first amount stands."""
    _lose(bank, 5)
    assert _lose(bank, 6).loss_ucr == 5
    assert bank.account("loss") == 5


@pytest.mark.parametrize(
    ("price", "multiplier_ppm", "unpaid", "lost"),
    [
        pytest.param(30, 1_000_000, 0, 10, id="at cost"),
        pytest.param(30, 2_000_000, 0, 5, id="at twice the cost"),
        pytest.param(30, 500_000, 0, 20, id="at half the cost"),
        pytest.param(15, 2_000_000, 7, 7, id="nobody's share"),
    ],
)
def test_a_loss_is_what_the_operator_pays(
    bank: Bank, price: int, multiplier_ppm: int, unpaid: int, lost: int
) -> None:
    """I-10, I-12: in the provider's price, whatever a member would have paid for it."""
    bank.hold(20, reference="job")
    settlement = bank.database.run(
        ledger.settle,
        reference="job",
        cost_ucr=price,
        cause=Cause.ANSWERED,
        now_us=bank.now_us,
        multiplier_ppm=multiplier_ppm,
        loss_ucr=unpaid,
    )
    assert (settlement.charged_ucr, settlement.loss_ucr) == (min(price, 20), lost)
    assert bank.account("loss") == lost
