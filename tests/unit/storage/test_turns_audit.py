"""The audit finds turns that do not agree with what was held and paid for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from storage import ledger, turns
from storage.inline import InlineDatabase
from storage.types import Allowance, Cause, NewTurn

NOW_US = 1_763_640_000_000_000
ENDS = ("running", "finished", "broken", "braked", "stopped before its first word")


def _worked(connection: Connection) -> None:
    """One turn of each kind, numbered from 1."""
    for number in range(1, len(ENDS) + 1):
        reference = f"m:{number}"
        ledger.hold(
            connection,
            user_id=1,
            amount_ucr=9,
            floor_ucr=9,
            reference=reference,
            allowance=Allowance(amount_ucr=1_000),
            now_us=NOW_US,
        )
        turn = NewTurn(
            reference=reference,
            channel_id=1,
            guild_id=None,
            author_id=1,
            author_name="Mira",
            model="gpt-5-4",
            question="why?",
            attachments=(),
            cost_estimate_ucr=0,
        )
        turns.begin(connection, turn=turn, now_us=NOW_US)
    turns.finish(connection, reference="m:2", answer="so", tokens=1, now_us=NOW_US)
    for reference, cause in (
        ("m:3", Cause.STREAM_UNFINISHED),
        ("m:4", Cause.ABUSE_BRAKE),
        ("m:5", Cause.ANSWERED),
    ):
        turns.abandon(connection, reference=reference, cause=cause, now_us=NOW_US)
    ledger.void(connection, reference="m:3", cause=Cause.STREAM_UNFINISHED, now_us=NOW_US)
    for reference, cause in (
        ("m:2", Cause.HOLD_EXHAUSTED),
        ("m:4", Cause.ABUSE_BRAKE),
        ("m:5", Cause.ANSWERED),
    ):
        ledger.settle(connection, reference=reference, cost_ucr=9, cause=cause, now_us=NOW_US)


def _unguard(connection: Connection) -> None:
    triggers = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    for (name,) in triggers.all():
        connection.exec_driver_sql(f"DROP TRIGGER {name}")


@pytest.fixture(scope="module")
def damaged() -> Iterator[InlineDatabase]:
    """Each test damages it in a transaction that it rolls back."""
    database = InlineDatabase()
    database.run(_worked)
    assert database.view(ledger.audit) == ()
    database.run(_unguard)
    yield database
    database.engine.dispose()


_ABANDONED = "state = 'abandoned', cause = 'interrupted', question = '', ended_us = 1"

TAMPERING = {
    "a running turn without a hold": ("UPDATE turns SET reference = 'x' WHERE id = 1", "turn 1"),
    "a hold that outlives its turn": (
        f"UPDATE turns SET {_ABANDONED} WHERE id = 1",
        "turn 1: abandoned (interrupted); hold open",
    ),
    "a turn that outlives its hold": (
        "UPDATE turns SET state = 'pending', answer = NULL, ended_us = NULL WHERE id = 2",
        "turn 2: pending",
    ),
    "an unpaid answer in the history": (
        "UPDATE turns SET reference = 'm:3' WHERE id = 2",
        "turn 2: finished (None); hold voided",
    ),
    "a broken stream that was paid without the brake": (
        "UPDATE turns SET cause = 'stream_unfinished' WHERE id = 4",
        "turn 4: abandoned (stream_unfinished); hold settled",
    ),
    "a charge without a reason": (
        "UPDATE holds SET cause = 'interrupted' WHERE reference = 'm:5'",
        "turn 5: abandoned (answered); hold settled (interrupted)",
    ),
}


@pytest.mark.parametrize(("damage", "fact"), TAMPERING.values(), ids=TAMPERING)
def test_what_does_not_agree_is_found(damaged: InlineDatabase, damage: str, fact: str) -> None:
    """I-4, I-7: by its number, with both sides."""
    with damaged.engine.connect() as connection:
        if fact.endswith("hold voided"):
            connection.exec_driver_sql("DELETE FROM turns WHERE id = 3")
        connection.exec_driver_sql(damage)
        found = ledger.audit(connection)
        connection.rollback()
    assert any(one.startswith(f"I-4 {fact}") for one in found), found
