"""The audit finds what is wrong with jobs once constraints and triggers are gone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from storage import ledger
from tests.unit.storage.workshop import PRICE, Workshop

JOBS = ("queued", "submitting", "running", "unknown", "finished", "delivered")


@pytest.fixture(scope="module")
def damaged() -> Iterator[Workshop]:
    """One job in each status, and a seventh with a late result, in a file without guards.

    Each test damages it in a transaction that it rolls back.
    """
    workshop = Workshop()
    for status in JOBS:
        workshop.at(status)
    seventh = workshop.at("running")
    workshop.fail(seventh)
    workshop.late(seventh)
    workshop.assert_sound()
    workshop.database.run(_unguard)
    yield workshop
    workshop.database.engine.dispose()


def _unguard(connection: Connection) -> None:
    guards = connection.exec_driver_sql(
        "SELECT type, name FROM sqlite_master"
        " WHERE type = 'trigger' OR (type = 'index' AND name LIKE 'job%_uq')"
    ).all()
    for kind, name in guards:
        connection.exec_driver_sql(f"DROP {kind} {name}")


_EVENT = "INSERT INTO job_events (job_id, old_status, new_status, cause, attempt, epoch, at_us)"

_POSTING = (
    "INSERT INTO outbox (job_id, purpose, channel_id, digest, nonce, state, windows, is_marked,"
    " first_sent_us, message_id, cause)"
)

TAMPERING = {
    "an outcome that is still on its way": (
        f"{_POSTING} VALUES (6, 'dm', 1, '', 'n', 'sending', 1, 0, 1, NULL, NULL)",
        "I-23 job 6: delivered by card, its dm is sending",
    ),
    "an outcome in two places": (
        f"{_POSTING} VALUES (6, 'result', 1, '', 'n', 'sent', 1, 0, 1, 77, NULL)",
        "I-23 job 6: delivered by card, its result is sent",
    ),
    "a job without a hold": ("UPDATE jobs SET reference = 'x' WHERE id = 1", "I-4 job 1"),
    "a hold that ended too early": (
        "UPDATE jobs SET status = 'running', outcome = NULL WHERE id = 5",
        "I-4 job 5",
    ),
    "a hold that outlives its job": ("UPDATE jobs SET status = 'finished' WHERE id = 3", "I-4"),
    "a paid failure": ("UPDATE jobs SET outcome = 'failed' WHERE id = 5", "I-4 job 5"),
    "a success that was given back": (
        "UPDATE jobs SET outcome = 'succeeded' WHERE id = 7",
        "I-4 job 7",
    ),
    "a hold of somebody else": ("UPDATE jobs SET user_id = 5 WHERE id = 1", "I-4 job 1"),
    "a hold of another size": ("UPDATE jobs SET price_ucr = 1 WHERE id = 1", "I-4 job 1"),
    "another charge": ("UPDATE jobs SET charged_ucr = 1 WHERE id = 5", "I-4 job 5"),
    "a loss that nobody booked": (
        "UPDATE holds SET loss_ucr = 1 WHERE reference = 'act:5'",
        "I-10",
    ),
    "a status without a move": ("UPDATE jobs SET status = 'running' WHERE id = 4", "I-20 job 4"),
    "a job without events": ("DELETE FROM job_events WHERE job_id = 1", "I-20 job 1"),
    "a missing event": (
        "DELETE FROM job_events WHERE job_id = 3 AND new_status = 'submitting'",
        "I-20 job 3: submitting to running (bound) after queued",
    ),
    "a missing beginning": (
        "DELETE FROM job_events WHERE job_id = 3 AND old_status IS NULL",
        "I-20 job 3: queued to submitting (submit) after None",
    ),
    "a move that is not legal": (
        f"{_EVENT} VALUES (4, 'unknown', 'queued', 'x', 1, 0, 0)",
        "I-20 job 4: unknown to queued",
    ),
    "a move out of the end": (
        f"{_EVENT} VALUES (6, 'delivered', 'queued', 'x', 1, 0, 0)",
        "I-21 job 6: delivered to queued",
    ),
    "a late loss of no job": (
        "UPDATE holds SET reference = 'late:elsewhere' WHERE reference LIKE 'late:%'",
        "I-10 loss late:elsewhere",
    ),
    "a late loss of somebody else": (
        "UPDATE holds SET user_id = 5 WHERE reference LIKE 'late:%'",
        "I-10 loss late:",
    ),
    "a look for what has come": ("UPDATE jobs SET looks = 1 WHERE id = 6", "I-22 job 6"),
    "a stillstand for no reason": (
        f"{_EVENT} VALUES (5, 'finished', 'finished', 'x', 1, 0, 0)",
        "I-20 job 5: finished to finished",
    ),
    "a second beginning": (
        f"{_EVENT} VALUES (1, NULL, 'queued', 'accepted', 0, 0, 0)",
        "I-20 job 1: None to queued",
    ),
    "an attempt that nobody began": ("UPDATE jobs SET attempt = 2 WHERE id = 3", "I-24 job 3"),
    "a second attempt after unknown": (
        f"{_EVENT} VALUES (4, 'queued', 'submitting', 'submit', 2, 0, 0)",
        "I-24 job 4",
    ),
    "an end without an outcome": (
        "UPDATE jobs SET status = 'finished' WHERE id = 3",
        "I-22 job 3",
    ),
    "an outcome without an end": ("UPDATE jobs SET outcome = 'failed' WHERE id = 3", "I-22 job 3"),
    "an end at no time": ("UPDATE jobs SET finished_us = NULL WHERE id = 5", "I-22 job 5"),
    "a failure without a name": ("UPDATE jobs SET failure = NULL WHERE id = 7", "I-22 job 7"),
    "a name without a failure": ("UPDATE jobs SET failure = 'x' WHERE id = 5", "I-22 job 5"),
    "a sink too early": ("UPDATE jobs SET sink = 'dm' WHERE id = 5", "I-22 job 5"),
    "a delivery at no time": ("UPDATE jobs SET delivered_us = NULL WHERE id = 6", "I-22 job 6"),
    "a paid job without a result": ("DELETE FROM artifacts WHERE job_id = 5", "I-22 job 5"),
    "a result that nobody paid": ("UPDATE artifacts SET job_id = 3 WHERE job_id = 7", "I-22 job 3"),
    "a success that is late": ("UPDATE jobs SET late_us = 1 WHERE id = 5", "I-22 job 5"),
    "a task of two jobs": ("UPDATE jobs SET task_id = 'task-2' WHERE id = 3", "I-25 task task-2"),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_the_audit_names(damaged: Workshop, what: str) -> None:
    """Each kind of damage under the number of its invariant."""
    statement, expected = TAMPERING[what]
    with damaged.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        try:
            connection.exec_driver_sql(statement)
            facts = ledger.audit(connection)
        finally:
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
            connection.rollback()
    assert [fact for fact in facts if fact.startswith(expected)], facts


def test_a_sound_database_has_no_facts(damaged: Workshop) -> None:
    """Guards or not; a refund, a late result and their loss are no damage."""
    damaged.assert_sound()
    assert damaged.account("loss") == PRICE
