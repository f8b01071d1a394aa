"""F-14: whatever statement fails, all of a transaction happens or nothing of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from storage import ledger, turns
from storage.types import Cause, NewTurn, StoredAttachment
from tests.unit.storage.bank import CREDIT, DAILY, DAY_US, MIRA, NOON_US, Bank
from tests.unit.storage.saboteur import MOMENTS, assert_all_or_nothing


def _prepared() -> Bank:
    """A wallet of three buckets, one of them ended, with two holds across all of them."""
    bank = Bank()
    bank.grant(2 * CREDIT)
    bank.hold(21 * CREDIT, reference="job")
    bank.hold(CREDIT // 2, reference="other")
    bank.database.run(turns.begin, turn=_turn("other"), now_us=bank.now_us)
    bank.now_us += DAY_US
    bank.grant(4 * CREDIT)
    return bank


def _turn(reference: str) -> NewTurn:
    return NewTurn(
        reference=reference,
        channel_id=1,
        guild_id=7,
        author_id=MIRA,
        author_name="Mira",
        model="gpt-5-4",
        question="why?",
        attachments=(StoredAttachment(filename="a.png", content_type="image/png"),),
        cost_estimate_ucr=9,
    )


def _finish_and_settle(connection: Connection, *, now_us: int) -> None:
    turns.finish(connection, reference="other", answer="because", tokens=9, now_us=now_us)
    ledger.settle(
        connection,
        reference="other",
        cost_ucr=CREDIT,
        cause=Cause.ANSWERED,
        now_us=now_us,
    )


def _hold_and_begin(connection: Connection, *, now_us: int) -> None:
    ledger.hold(
        connection,
        user_id=MIRA,
        amount_ucr=22 * CREDIT,
        floor_ucr=1,
        reference="new",
        allowance=DAILY,
        now_us=now_us + DAY_US,
    )
    turns.begin(connection, turn=_turn("new"), now_us=now_us)


ACTS: dict[str, Callable[[Bank], object]] = {
    "settle": lambda bank: bank.settle("job", 20 * CREDIT + 1),
    "settle with a loss": lambda bank: bank.settle("job", 50 * CREDIT),
    "void": lambda bank: bank.void("job", loss_ucr=7),
    "hold": lambda bank: bank.hold(22 * CREDIT, reference="new"),
    "extend": lambda bank: bank.extend("other", 22 * CREDIT),
    "grant": lambda bank: bank.grant(CREDIT),
    "take": lambda bank: bank.take(22 * CREDIT),
    "set": lambda bank: bank.set(CREDIT),
    "finish a turn": lambda bank: bank.database.run(_finish_and_settle, now_us=bank.now_us),
    "begin a turn": lambda bank: bank.database.run(_hold_and_begin, now_us=bank.now_us),
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("act", ACTS)
def test_a_failure_at_any_statement_leaves_all_or_nothing(act: str, moment: str) -> None:
    """F-14, F-112: the n-th statement fails, for every n; all is as before until none fails."""
    bank = _prepared()
    assert_all_or_nothing(bank, ACTS[act], moment=moment)
    assert bank.now_us == NOON_US + DAY_US
    bank.database.engine.dispose()
