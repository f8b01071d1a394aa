"""What providers send is stored first, once, and kept until it was acted on (S-4)."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import IntegrityError

from storage import inbox
from storage.inbox import Verdict
from storage.types import Callback
from tests.unit.storage.bank import snapshot
from tests.unit.storage.saboteur import MOMENTS, assert_all_or_nothing
from tests.unit.storage.workshop import BODIES_MAX, MINUTE_US, WEEK_US, Workshop, arrival


def test_a_callback_is_kept_and_its_job_is_due(workshop: Workshop) -> None:
    """I-30: acted on at once, not at the next poll."""
    job = workshop.at("running", "a")
    assert workshop.call_back(job, '{"id": "t"}') is Verdict.NEW
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
    assert workshop.call_back(job) is Verdict.KNOWN
    assert workshop.database.view(snapshot) == before


def test_another_body_or_attempt_is_another_callback(workshop: Workshop) -> None:
    """F-61: none of them is lost, in the order in which they came."""
    job, other = workshop.at("running"), workshop.at("running")
    assert workshop.call_back(job, "b") is Verdict.NEW
    assert workshop.call_back(job, "a") is Verdict.NEW
    assert workshop.call_back(job, "a", attempt=2) is Verdict.NEW
    assert workshop.call_back(other, "a") is Verdict.NEW
    found = [(callback.body, callback.attempt) for callback in workshop.callbacks(job)]
    assert found == [("b", 1), ("a", 1), ("a", 2)]


def test_a_job_that_is_not_there_has_no_callbacks(workshop: Workshop) -> None:
    """F-117: a genuine address of a database that was restored from before it."""
    job = workshop.order()
    before = workshop.database.view(snapshot)
    assert workshop.arrive(arrival(job.id + 1)) == (Verdict.GONE,)
    assert workshop.database.view(snapshot) == before


def test_each_of_a_batch_has_its_own_verdict(workshop: Workshop) -> None:
    """Stored in one commit; what is wrong with one concerns no other."""
    job, other = workshop.at("running", "a"), workshop.at("running", "b")
    workshop.call_back(job, "old")
    verdicts = workshop.arrive(
        arrival(job.id, "new"),
        arrival(99, "new"),
        arrival(job.id, "old"),
        arrival(other.id, "new"),
        arrival(job.id, "new"),
        arrival(job.id, "new", attempt=2),
    )
    assert verdicts == (
        Verdict.NEW,
        Verdict.GONE,
        Verdict.KNOWN,
        Verdict.NEW,
        Verdict.KNOWN,
        Verdict.NEW,
    )
    assert [(one.body, one.attempt) for one in workshop.callbacks(job)] == [
        ("old", 1),
        ("new", 1),
        ("new", 2),
    ]
    assert workshop.claim() == ["a", "b"]


def test_an_address_is_answered_for_a_week_after_the_end(workshop: Workshop) -> None:
    """S-4: late senders are told that it arrived, so that they stop; then it is unknown."""
    job = workshop.at("delivered")
    workshop.now_us += WEEK_US
    assert workshop.call_back(job, "late") is Verdict.NEW
    workshop.now_us += 1
    assert workshop.call_back(job, "too late") is Verdict.GONE
    assert workshop.call_back(job, "late") is Verdict.GONE
    assert len(workshop.callbacks(job)) == 1


def test_a_job_that_never_ends_keeps_its_address(workshop: Workshop) -> None:
    """However old it is: what is not over may still need to hear."""
    job = workshop.at("unknown")
    workshop.now_us += 10 * WEEK_US
    assert workshop.call_back(job) is Verdict.NEW


# --- How many bodies are kept --------------------------------------------------------------------

BODIES = [f"body {number}" for number in range(BODIES_MAX)]


@pytest.mark.parametrize("status", ["running", "finished", "delivered"])
def test_no_more_bodies_are_kept_where_none_could_say_anything(
    workshop: Workshop, status: str
) -> None:
    """F-61, F-65: our own read of the task is due, or has ended it; the sender may stop."""
    job = workshop.at(status)
    assert workshop.arrive(*(arrival(job.id, body) for body in BODIES)) == (Verdict.NEW,) * 4
    assert workshop.call_back(job, "one more") is Verdict.NOT_NEEDED
    assert workshop.call_back(job, BODIES[0]) is Verdict.KNOWN
    assert [one.body for one in workshop.callbacks(job)] == BODIES


def test_each_attempt_and_job_has_its_own_bound(workshop: Workshop) -> None:
    """Who floods one address does not fill another; a former attempt's task is nobody's poll."""
    job, other = workshop.at("running"), workshop.at("running")
    workshop.arrive(*(arrival(job.id, body) for body in BODIES))
    verdicts = workshop.arrive(
        arrival(job.id, "one more"),
        arrival(other.id, "one more"),
        *(arrival(job.id, body, attempt=2) for body in [*BODIES, "one more"]),
    )
    assert verdicts == (Verdict.NOT_NEEDED, *(Verdict.NEW,) * 5, Verdict.CROWDED)


@pytest.mark.parametrize("status", ["queued", "unknown"])
def test_where_a_body_may_matter_nothing_is_lost(workshop: Workshop, status: str) -> None:
    """I-35: only the callback names the task: it must come again, or what was read makes room."""
    job = workshop.at(status)
    assert workshop.arrive(*(arrival(job.id, body) for body in [*BODIES, "one more"])) == (
        *(Verdict.NEW,) * 4,
        Verdict.CROWDED,
    )
    seen = workshop.callbacks(job)[1:3]
    workshop.act(inbox.mark_seen, callback_ids=[one.id for one in seen])
    assert workshop.arrive(
        arrival(job.id, "one more"), arrival(job.id, "another"), arrival(job.id, "the last")
    ) == (Verdict.NEW, Verdict.NEW, Verdict.CROWDED)
    kept = [one.body for one in workshop.callbacks(job)]
    assert kept == [BODIES[0], BODIES[3], "one more", "another"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_batch_is_stored_whole_or_not_at_all(workshop: Workshop, moment: str) -> None:
    """F-112, I-35: also what makes room stays, when the n-th statement fails, for every n."""
    job, other = workshop.at("unknown"), workshop.at("running")
    workshop.arrive(*(arrival(job.id, body) for body in BODIES))
    workshop.act(inbox.mark_seen, callback_ids=[one.id for one in workshop.callbacks(job)])
    assert_all_or_nothing(
        workshop,
        lambda each: each.arrive(arrival(job.id, "new"), arrival(other.id), arrival(99)),
        moment=moment,
    )
    assert "new" in [one.body for one in workshop.callbacks(job)]


def test_a_refunded_job_still_wants_to_hear(workshop: Workshop) -> None:
    """S-6, F-63: its result may come late; once it has, nothing more can."""
    job = workshop.at("running")
    workshop.fail(job)
    workshop.arrive(*(arrival(job.id, body) for body in BODIES))
    assert workshop.call_back(job, "one more") is Verdict.CROWDED
    assert workshop.late(job)
    assert workshop.call_back(job, "one more") is Verdict.NOT_NEEDED


@pytest.mark.parametrize("status", ["finished", "delivered"])
def test_a_callback_does_not_disturb_a_success(workshop: Workshop, status: str) -> None:
    """It is stored; but there is nothing to learn, and a delivery keeps its own time."""
    job = workshop.at(status)
    workshop.postpone(job, workshop.now_us + MINUTE_US)
    due_us = workshop.job(job).due_us
    assert workshop.call_back(job) is Verdict.NEW
    assert workshop.job(job).due_us == due_us


def test_a_callback_after_the_refund_wakes_the_job(workshop: Workshop) -> None:
    """F-63: the result may still be kept for the member."""
    job = workshop.at("running", "a")
    workshop.fail(job)
    workshop.deliver(job)
    assert workshop.call_back(job) is Verdict.NEW
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


def test_what_was_not_acted_on_is_found_with_its_tries(workshop: Workshop) -> None:
    """I-35, F-65: how often the named task was read outlives the process."""
    job = workshop.at("unknown")
    workshop.arrive(arrival(job.id, "a"), arrival(job.id, "b"))
    first, second = workshop.callbacks(job)
    workshop.act(inbox.mark_seen, callback_ids=[first.id])
    workshop.database.run(inbox.tried, callback_ids=[second.id])
    (left,) = workshop.database.view(inbox.unseen_of, job_id=job.id)
    assert (left.body, left.tries, first.tries) == ("b", second.tries + 1, second.tries)


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
    assert workshop.call_back(job, "x" * 65_536) is Verdict.NEW
    with pytest.raises(IntegrityError):
        workshop.call_back(job, "x" * 65_537)
