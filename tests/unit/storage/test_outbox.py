"""Messages that must be created once: rows, moves, and what the database itself refuses (S-7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, text
from sqlalchemy.exc import IntegrityError

from bot.limits import NONCE_CHARS_MAX
from storage import outbox
from storage.outbox import Posting, PostState, Purpose, nonce_of
from storage.schema import outbox as table
from storage.types import Job
from tests.unit.storage.workshop import Workshop

CHANNEL = 9_001
SECOND_US = 1_000_000


def begun(workshop: Workshop, job: Job, purpose: Purpose = Purpose.RESULT) -> Posting | None:
    posting: Posting | None = workshop.act(
        outbox.begin,
        job_id=job.id,
        reference=job.reference,
        purpose=purpose,
        channel_id=CHANNEL,
        digest="first",
    )
    return posting


def sure(posting: Posting | None) -> Posting:
    assert posting is not None
    return posting


def row(workshop: Workshop, job: Job, purpose: Purpose = Purpose.RESULT) -> Posting | None:
    return workshop.database.view(outbox.get, job_id=job.id, purpose=purpose)


# --- Nonces --------------------------------------------------------------------------------------


def test_a_nonce_is_the_same_for_the_same_message_and_fits_discord() -> None:
    """Also after an update in the middle of a delivery, so its value stands here."""
    nonce = nonce_of("i:123", Purpose.RESULT)
    assert nonce == nonce_of("i:123", Purpose.RESULT) == "mjvk5giixolsr35xiasgahoi"
    assert len(nonce) == outbox.NONCE_CHARS < NONCE_CHARS_MAX
    others = {nonce_of("i:123", purpose) for purpose in Purpose} | {nonce_of("i:124", Purpose.DM)}
    assert len(others) == len(Purpose) + 1


# --- Moves ---------------------------------------------------------------------------------------


def test_intent_is_written_once_for_each_window(workshop: Workshop) -> None:
    """Who comes second begins nothing."""
    job = workshop.at("finished")
    assert row(workshop, job) is None
    first = sure(begun(workshop, job))
    assert first == row(workshop, job)
    assert (first.state, first.windows, first.is_marked) == (PostState.SENDING, 1, False)
    assert (first.first_sent_us, first.channel_id) == (workshop.now_us, CHANNEL)
    assert first.nonce == nonce_of(job.reference, Purpose.RESULT)
    assert begun(workshop, job) is None


def test_a_window_is_opened_again_by_one(workshop: Workshop) -> None:
    """The same nonce; two that looked at the same time are told apart by when it began."""
    job = workshop.at("finished")
    first = sure(begun(workshop, job))
    workshop.now_us += 200 * SECOND_US
    facts: dict[str, Any] = {"posting": first, "digest": "second", "is_marked": True}
    second = sure(workshop.act(outbox.begin_again, **facts))
    assert (second.windows, second.is_marked, second.digest) == (2, True, "second")
    assert (second.nonce, second.first_sent_us) == (first.nonce, workshop.now_us)
    assert workshop.act(outbox.begin_again, **facts) is None


@pytest.mark.parametrize("message_id", [77, None])
def test_sent_is_the_end(workshop: Workshop, message_id: int | None) -> None:
    """F-91: also for what was deleted before anybody heard of it."""
    job = workshop.at("finished")
    begun(workshop, job)
    facts: dict[str, Any] = {"job_id": job.id, "purpose": Purpose.RESULT}
    sent = sure(workshop.database.run(outbox.record_sent, message_id=message_id, **facts))
    assert (sent.state, sent.message_id) == (PostState.SENT, message_id)
    assert workshop.database.run(outbox.record_sent, message_id=message_id, **facts) is None
    assert workshop.database.run(outbox.give_up, cause="late", **facts) is None
    assert begun(workshop, job) is None
    assert row(workshop, job) == sent


def test_given_up_is_the_end(workshop: Workshop) -> None:
    """The next sink has it."""
    job = workshop.at("finished")
    begun(workshop, job)
    facts: dict[str, Any] = {"job_id": job.id, "purpose": Purpose.RESULT}
    dead = sure(workshop.database.run(outbox.give_up, cause="closed", **facts))
    assert (dead.state, dead.cause) == (PostState.DEAD, "closed")
    assert workshop.database.run(outbox.record_sent, message_id=1, **facts) is None
    assert begun(workshop, job) is None


def test_a_job_that_is_over_has_nothing_on_its_way(workshop: Workshop) -> None:
    """What was sent stays sent."""
    job, other = workshop.at("finished"), workshop.at("finished")
    for purpose in Purpose:
        begun(workshop, job, purpose)
    begun(workshop, other)
    workshop.database.run(outbox.record_sent, job_id=job.id, purpose=Purpose.STATUS, message_id=77)
    known = workshop.database.view(outbox.begun, job_id=job.id)
    assert known == set(Purpose)
    assert workshop.database.run(outbox.close, job_id=job.id, cause="delivered by list") == 2
    states = {purpose: sure(row(workshop, job, purpose)).state for purpose in Purpose}
    assert states == {
        Purpose.STATUS: PostState.SENT,
        Purpose.RESULT: PostState.DEAD,
        Purpose.DM: PostState.DEAD,
    }
    assert sure(row(workshop, other)).state is PostState.SENDING


# --- Refusals ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy() -> Iterator[Workshop]:
    """Jobs 1 to 3 are finished with a message being sent, sent, given up; job 4 still runs."""
    workshop = Workshop()
    for _ in range(3):
        begun(workshop, workshop.at("finished"))
    facts: dict[str, Any] = {"purpose": Purpose.RESULT}
    workshop.database.run(outbox.record_sent, job_id=2, message_id=77, **facts)
    workshop.database.run(outbox.give_up, job_id=3, cause="closed", **facts)
    assert workshop.at("running").id == 4
    yield workshop
    workshop.database.engine.dispose()


_ROW = (
    "INSERT INTO outbox (job_id, purpose, channel_id, digest, nonce, state, windows, is_marked,"
    " first_sent_us, message_id, cause)"
)
_TAKEN = nonce_of("act:1", Purpose.RESULT)
IMPOSSIBLE = {
    "one nonce": f"{_ROW} VALUES (1, 'dm', 1, '', '{_TAKEN}', 'ready', 0, 0, NULL, NULL, NULL)",
    "one row of each purpose": (
        f"{_ROW} VALUES (1, 'result', 1, '', 'n', 'ready', 0, 0, NULL, NULL, NULL)"
    ),
    "an outcome before there is one": (
        f"{_ROW} VALUES (4, 'result', 1, '', 'n', 'ready', 0, 0, NULL, NULL, NULL)"
    ),
    "a job that does not exist": (
        f"{_ROW} VALUES (9, 'status', 1, '', 'n', 'ready', 0, 0, NULL, NULL, NULL)"
    ),
    "outbox_purpose": f"{_ROW} VALUES (1, 'x', 1, '', 'n', 'ready', 0, 0, NULL, NULL, NULL)",
    "outbox_nonce": (
        f"{_ROW} VALUES (1, 'dm', 1, '', '{'n' * 26}', 'ready', 0, 0, NULL, NULL, NULL)"
    ),
    "outbox_state": f"{_ROW} VALUES (1, 'dm', 1, '', 'n', 'x', 0, 0, NULL, NULL, NULL)",
    "outbox_windows": "UPDATE outbox SET is_marked = 1 WHERE job_id = 1",
    "outbox_sent": "UPDATE outbox SET message_id = 5 WHERE job_id = 1",
    "sent without ever having been sent": "UPDATE outbox SET windows = 0 WHERE job_id = 1",
    "outbox_dead": "UPDATE outbox SET state = 'dead' WHERE job_id = 1",
    "one message for two rows": (
        "UPDATE outbox SET state = 'sent', message_id = 77 WHERE job_id = 1"
    ),
    "sent and then not": "UPDATE outbox SET state = 'ready', message_id = NULL WHERE job_id = 2",
    "dead and then not": "UPDATE outbox SET state = 'ready', cause = NULL WHERE job_id = 3",
    "another nonce": "UPDATE outbox SET nonce = 'n' WHERE job_id = 1",
    "forgotten": "DELETE FROM outbox WHERE job_id = 1",
    "replaced": (
        "INSERT OR REPLACE INTO outbox SELECT job_id, purpose, 1, digest, nonce, 'ready', 0, 0,"
        " NULL, NULL, NULL FROM outbox WHERE job_id = 2"
    ),
}


@pytest.mark.parametrize("statement", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_the_database_refuses(busy: Workshop, statement: str) -> None:
    """Section 4, last paragraph: whatever our code does."""
    with pytest.raises(IntegrityError), busy.database.engine.begin() as connection:
        connection.execute(text(statement))


def test_every_rule_of_the_table_is_broken_above() -> None:
    """A new CHECK needs a statement that it refuses."""
    rules = {str(one.name) for one in table.constraints if isinstance(one, CheckConstraint)}
    assert rules <= set(IMPOSSIBLE)
