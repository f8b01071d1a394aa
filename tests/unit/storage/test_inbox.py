"""What providers send is stored first, once, and kept until it was acted on (S-4)."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from storage import inbox
from storage.types import Callback
from tests.unit.storage.bank import snapshot
from tests.unit.storage.workshop import MINUTE_US, Workshop


def test_a_callback_is_kept_and_its_job_is_due(workshop: Workshop) -> None:
    """I-30: acted on at once, not at the next poll."""
    job = workshop.at("running", "a")
    assert workshop.call_back(job, '{"id": "t"}')
    assert workshop.callbacks(job) == (
        Callback(
            id=1,
            job_id=job.id,
            attempt=1,
            digest='{"id": "t"}'.rjust(64),
            body='{"id": "t"}',
            received_us=workshop.now_us,
            seen_us=None,
        ),
    )
    assert workshop.claim() == ["a"]


def test_a_repeated_callback_changes_nothing(workshop: Workshop) -> None:
    """F-10, F-61: the sender may have missed our answer."""
    job = workshop.at("running")
    workshop.call_back(job)
    workshop.claim()
    workshop.postpone(job, workshop.now_us + MINUTE_US)
    before = workshop.database.view(snapshot)
    workshop.now_us += 1
    assert not workshop.call_back(job)
    assert workshop.database.view(snapshot) == before


def test_another_body_or_attempt_is_another_callback(workshop: Workshop) -> None:
    """F-61: none of them is lost, in the order in which they came."""
    job, other = workshop.at("running"), workshop.at("running")
    assert workshop.call_back(job, "b")
    assert workshop.call_back(job, "a")
    assert workshop.call_back(job, "a", attempt=2)
    assert workshop.call_back(other, "a")
    found = [(callback.body, callback.attempt) for callback in workshop.callbacks(job)]
    assert found == [("b", 1), ("a", 1), ("a", 2)]


def test_a_job_that_is_not_there_has_no_callbacks(workshop: Workshop) -> None:
    """A genuine address of a database that was restored from before it."""
    job = workshop.order()
    assert not workshop.act(
        inbox.record_callback, job_id=job.id + 1, attempt=1, digest="d", body="{}"
    )


@pytest.mark.parametrize("status", ["finished", "delivered"])
def test_a_callback_does_not_disturb_a_success(workshop: Workshop, status: str) -> None:
    """It is stored; but there is nothing to learn, and a delivery keeps its own time."""
    job = workshop.at(status)
    workshop.postpone(job, workshop.now_us + MINUTE_US)
    due_us = workshop.job(job).due_us
    assert workshop.call_back(job)
    assert workshop.job(job).due_us == due_us


def test_a_callback_after_the_refund_wakes_the_job(workshop: Workshop) -> None:
    """F-63: the result may still be kept for the member."""
    job = workshop.at("running", "a")
    workshop.fail(job)
    workshop.deliver(job)
    assert workshop.call_back(job)
    assert workshop.claim() == ["a"]


def test_what_was_acted_on_is_marked(workshop: Workshop) -> None:
    """Only what was read: one that came meanwhile stays unseen; the first mark stands."""
    job = workshop.at("running")
    workshop.call_back(job, "a")
    read = [callback.id for callback in workshop.callbacks(job)]
    workshop.call_back(job, "b")
    first_us = workshop.now_us
    workshop.act(inbox.mark_seen, callback_ids=read)
    workshop.now_us += 1
    workshop.act(inbox.mark_seen, callback_ids=read)
    workshop.act(inbox.mark_seen, callback_ids=())
    assert [callback.seen_us for callback in workshop.callbacks(job)] == [first_us, None]


def test_old_bodies_are_deleted_once_they_are_of_no_use(workshop: Workshop) -> None:
    """C-45: seen, or of a job that has succeeded anyway; never what still waits (I-35)."""
    seen, succeeded, waiting, young = (workshop.at("running") for _ in range(4))
    for job in (seen, succeeded, waiting):
        workshop.call_back(job)
    (callback,) = workshop.callbacks(seen)
    workshop.act(inbox.mark_seen, callback_ids=[callback.id])
    workshop.succeed(succeeded)
    workshop.now_us += MINUTE_US
    workshop.call_back(young)
    (callback,) = workshop.callbacks(young)
    workshop.act(inbox.mark_seen, callback_ids=[callback.id])
    assert workshop.database.run(inbox.purge, before_us=workshop.now_us) == 2
    left = [bool(workshop.callbacks(job)) for job in (seen, succeeded, waiting, young)]
    assert left == [False, False, True, True]


def test_a_body_has_a_limit_in_the_database_too(workshop: Workshop) -> None:
    """C-10: the second defence behind the web layer's 64 KiB."""
    job = workshop.at("running")
    assert workshop.call_back(job, "x" * 65_536)
    with pytest.raises(IntegrityError):
        workshop.call_back(job, "x" * 65_537)
