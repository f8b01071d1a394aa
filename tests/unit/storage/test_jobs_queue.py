"""Whose turn it is, leases, and being woken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import inbox, job_rows, jobs
from storage.inbox import Verdict
from storage.types import NEVER_US, NO_TRIES, JobStatus
from tests.unit.storage.bank import HOUR_US, MIRA, SAM, TOM
from tests.unit.storage.workshop import LEASE_US, MINUTE_US, Workshop

# --- Turns ---------------------------------------------------------------------------------------


def test_the_first_in_is_the_first_out(workshop: Workshop) -> None:
    """Of one member."""
    for name in "abc":
        workshop.order(name)
    assert workshop.claim() == ["a", "b", "c"]


def test_everybody_has_a_turn_before_anybody_has_a_second(workshop: Workshop) -> None:
    """Ten orders of one member do not keep the others waiting."""
    for name in ("m1", "m2", "m3"):
        workshop.order(name, user_id=MIRA)
    for name in ("t1", "t2"):
        workshop.order(name, user_id=TOM)
    workshop.order("s1", user_id=SAM)
    assert workshop.claim() == ["m1", "t1", "s1", "m2", "t2", "m3"]


def test_who_was_served_least_recently_is_next(workshop: Workshop) -> None:
    """However early the others ordered."""
    for name, user_id in (("m", MIRA), ("t", TOM)):
        workshop.now_us += 1
        workshop.begin(workshop.order(name, user_id=user_id))
    workshop.now_us += 1
    for name, user_id in (("t2", TOM), ("m2", MIRA), ("s1", SAM)):
        workshop.order(name, user_id=user_id)
    assert workshop.claim(limit=3, creates_max=3) == ["m", "t", "s1"]
    workshop.now_us += 1
    assert workshop.claim() == ["m2", "t2"]


def test_a_claim_that_is_not_yet_served_counts_as_a_turn(workshop: Workshop) -> None:
    """One claim after another gives the same order as one for all."""
    for name, user_id in (("m1", MIRA), ("m2", MIRA), ("t1", TOM)):
        workshop.order(name, user_id=user_id)
    assert [workshop.claim(limit=1) for _ in range(4)] == [["m1"], ["t1"], ["m2"], []]


def test_work_on_its_way_goes_before_the_queue(workshop: Workshop) -> None:
    """Deliveries and polls first, most overdue first; then new creates, as many as may be."""
    for name in ("q1", "q2", "q3"):
        workshop.order(name)
    running = workshop.at("running", "running")
    finished = workshop.at("finished", "finished")
    workshop.now_us += 2 * MINUTE_US
    assert running.due_us > finished.due_us
    assert workshop.claim(creates_max=2) == ["finished", "running", "q1", "q2"]
    assert workshop.claim(creates_max=0) == []
    assert workshop.claim(limit=1) == ["q3"]


def test_a_claim_takes_no_more_than_it_may(workshop: Workshop) -> None:
    """The limit counts both kinds together."""
    workshop.order("q")
    workshop.at("finished", "finished")
    assert workshop.claim(limit=1) == ["finished"]
    assert workshop.claim(limit=1) == ["q"]


def test_every_status_is_claimed_but_the_last(workshop: Workshop) -> None:
    """Submitting and unknown too: that is how a restart finds them (F-6)."""
    for status in JobStatus:
        workshop.at(status, status.value)
    workshop.now_us += 10 * 60 * MINUTE_US
    assert set(workshop.claim()) == set(JobStatus) - {"delivered"}


def test_the_place_in_the_queue_is_the_order_of_turns(workshop: Workshop) -> None:
    """1 is next; whoever is not waiting has none."""
    waiting = [
        workshop.order(name, user_id=user_id)
        for name, user_id in (("m1", MIRA), ("m2", MIRA), ("t1", TOM))
    ]
    running = workshop.at("running")

    def places() -> list[int | None]:
        view = workshop.database.view
        return [view(jobs.place_in_queue, job_id=job.id) for job in (*waiting, running)]

    # Mira's running job makes her the one who was served last.
    assert places() == [2, 3, 1, None]
    workshop.begin(waiting[2])
    workshop.now_us += 1
    assert places() == [1, 2, None, None]
    assert workshop.database.view(jobs.place_in_queue, job_id=99) is None


def test_every_provider_has_its_own_queue(workshop: Workshop) -> None:
    """One whose creates are all taken keeps nobody from being sent to another."""
    mine = [workshop.order(f"a{n}") for n in range(3)]
    others = [workshop.order(f"v{n}", user_id=TOM, provider="video") for n in range(2)]
    view = workshop.database.view
    assert [view(jobs.place_in_queue, job_id=job.id) for job in others] == [1, 2]
    wanted = {mine[0].id: 1, mine[1].id: 2, mine[2].id: 3, others[0].id: 1, others[1].id: 2}
    assert view(jobs.places) == wanted
    assert workshop.claim(creates_max=4, creates={"aivideo": 4, "video": 3}) == ["v0"]
    assert workshop.claim(creates_max=4, creates={"aivideo": 2}) == ["a0", "a1", "v1"]
    assert workshop.claim(creates_max=4, creates={"gone": 4}) == ["a2"]


def test_a_job_that_backs_off_keeps_its_place(workshop: Workshop) -> None:
    """F-36: it still waits; meanwhile the member's next one may go."""
    first, second = workshop.order("m1"), workshop.order("m2")
    workshop.begin(first)
    workshop.requeue(first)
    view = workshop.database.view
    assert [view(jobs.place_in_queue, job_id=job.id) for job in (first, second)] == [1, 2]
    assert workshop.claim() == ["m2"]


# --- Leases --------------------------------------------------------------------------------------


def test_a_lease_keeps_others_away_until_it_ends(workshop: Workshop) -> None:
    """A process that died keeps a job no longer than this."""
    workshop.order("a")
    assert workshop.claim() == ["a"]
    workshop.now_us += LEASE_US - 1
    assert workshop.claim() == []
    workshop.now_us += 1
    assert workshop.claim() == ["a"]


def test_a_new_process_need_not_wait_for_the_leases_of_the_old(workshop: Workshop) -> None:
    """S-8: there is one process; who held them is gone."""
    workshop.order("a")
    workshop.order("b")
    workshop.order("c")
    assert workshop.claim(limit=2) == ["a", "b"]
    assert workshop.database.run(jobs.release_all) == 2
    assert workshop.claim() == ["a", "b", "c"]
    assert workshop.database.run(jobs.release_all) == 3
    assert workshop.database.run(jobs.release_all) == 0


def test_a_postponed_job_is_left_alone_until_it_is_due(workshop: Workshop) -> None:
    """S-5: the poll that found nothing new."""
    job = workshop.at("running", "a")
    due_us = workshop.now_us + MINUTE_US
    moved = workshop.postpone(job, due_us, progress=40, polled=True)
    assert moved is not None
    assert (moved.due_us, moved.progress, moved.polls) == (due_us, 40, 1)
    workshop.now_us = due_us - 1
    assert workshop.claim() == []
    workshop.now_us = due_us
    assert workshop.claim() == ["a"]
    again = workshop.postpone(job, due_us)
    assert again is not None
    assert (again.progress, again.polls) == (40, 1)
    assert workshop.claim() == ["a"]


def test_waking_brings_a_job_forward(workshop: Workshop) -> None:
    """Never back: what is overdue stays so, in its order."""
    job = workshop.at("running", "a")
    woken = workshop.act(jobs.wake, job_id=job.id)
    assert woken.due_us == workshop.now_us
    assert workshop.claim() == ["a"]
    workshop.now_us += LEASE_US
    assert workshop.act(jobs.wake, job_id=job.id).due_us == woken.due_us


def test_a_job_that_is_woken_while_it_is_held_is_due_when_it_is_let_go(
    workshop: Workshop,
) -> None:
    """I-30: what came during the poll does not wait for the next one; and wakes once."""
    job = workshop.at("running", "a")
    workshop.now_us = job.due_us
    workshop.claim()
    workshop.act(jobs.wake, job_id=job.id)
    assert workshop.claim() == []
    assert workshop.postpone(job, workshop.now_us + MINUTE_US)
    assert workshop.claim() == ["a"]
    assert workshop.postpone(job, workshop.now_us + MINUTE_US)
    assert workshop.claim() == []


def test_a_past_due_time_is_not_brought_back_by_a_wake(workshop: Workshop) -> None:
    """The earlier of the two counts."""
    job = workshop.at("running")
    workshop.act(jobs.wake, job_id=job.id)
    moved = workshop.postpone(job, workshop.now_us - 5)
    assert moved is not None
    assert moved.due_us == workshop.now_us - 5


@pytest.mark.parametrize("ending", ["cancel", "fail"])
def test_who_comes_too_late_postpones_nothing(workshop: Workshop, ending: str) -> None:
    """S-1: decided for a status that it has left; the lease ends, and the outcome is due."""
    job = workshop.at("unknown", "a")
    getattr(workshop, ending)(job)
    assert workshop.claim() == ["a"]
    before = workshop.job(job)
    tries = replace(NO_TRIES, stumbles=2)
    late = workshop.postpone(job, workshop.now_us + HOUR_US, progress=9, polled=True, tries=tries)
    assert late is None
    assert workshop.job(job) == before
    assert workshop.claim() == ["a"]


@pytest.mark.parametrize("move", ["bind", "lose_answer", "requeue"])
def test_a_callback_during_the_create_is_looked_at_as_soon_as_it_is_over(
    workshop: Workshop, move: str
) -> None:
    """F-62: it may come before the create's own answer."""
    job = workshop.order("a")
    workshop.claim()
    workshop.begin(job)
    assert workshop.call_back(job) is Verdict.NEW
    assert getattr(workshop, move)(job).due_us == workshop.now_us
    assert workshop.claim() == ["a"]


def test_nobody_looks_at_what_was_delivered(workshop: Workshop) -> None:
    """Not even when asked to."""
    job = workshop.at("delivered")
    assert job.due_us == NEVER_US
    assert workshop.act(jobs.wake, job_id=job.id) is None
    postponed = workshop.postpone(job, workshop.now_us)
    assert postponed is not None
    assert postponed.due_us == NEVER_US
    assert workshop.claim() == []


def test_a_late_callback_is_looked_at_until_it_was_acted_on(workshop: Workshop) -> None:
    """F-63, I-35: over crashes, and over a provider that cannot be asked just now."""
    job = workshop.at("unknown", "a")
    workshop.cancel(job)
    workshop.deliver(job)
    assert workshop.claim() == []
    workshop.call_back(job)
    assert workshop.claim() == ["a"]
    workshop.database.run(jobs.release_all)
    assert workshop.claim() == ["a"]
    retry = workshop.postpone(workshop.job(job), workshop.now_us + MINUTE_US)
    assert retry is not None
    assert retry.due_us == workshop.now_us + MINUTE_US
    workshop.now_us += MINUTE_US
    assert workshop.claim() == ["a"]
    (callback,) = workshop.callbacks(job)
    workshop.act(inbox.mark_seen, callback_ids=(callback.id,))
    over = workshop.postpone(workshop.job(job), workshop.now_us)
    assert over is not None
    assert over.due_us == NEVER_US


@pytest.mark.parametrize(("refused", "heard"), [(False, False), (True, True)])
def test_after_a_doubt_that_a_former_task_may_have_ended_the_last_attempt_is_heard(
    workshop: Workshop, *, refused: bool, heard: bool
) -> None:
    """I-10, I-35: though the job has succeeded, its last attempt may have made a task, too."""
    job = workshop.order("a")
    if refused:
        workshop.begin(job)
        workshop.requeue(job)
    workshop.begin(job)
    workshop.lose_answer(job)
    workshop.bind(job)
    workshop.succeed(job)
    workshop.deliver(job)
    workshop.call_back(job, attempt=workshop.job(job).attempt)
    assert workshop.claim() == (["a"] if heard else [])


# --- When to look again --------------------------------------------------------------------------


def test_the_engine_knows_when_to_look_again(workshop: Workshop) -> None:
    """The earliest due time, or the end of a lease that hides it."""
    view = workshop.database.view
    assert view(jobs.next_due_us) is None
    workshop.at("delivered")
    assert view(jobs.next_due_us) is None
    job = workshop.at("running")
    assert view(jobs.next_due_us) == job.due_us
    workshop.order()
    assert view(jobs.next_due_us) == workshop.now_us
    workshop.claim()
    assert view(jobs.next_due_us) == workshop.now_us + LEASE_US


def test_a_misspelt_column_is_no_change(workshop: Workshop) -> None:
    """SQLAlchemy keeps silent about it where another one is known."""
    job = workshop.order()
    with pytest.raises(AssertionError, match="stumbels"):
        workshop.database.run(job_rows.change, job_id=job.id, stumbels=5, looks=3)
    times = {**job_rows.released(due_us=1, now_us=1), "until_woke_us": 1}
    with pytest.raises(AssertionError, match="until_woke_us"):
        workshop.database.run(job_rows.change, job_rows.MOVE_AND_RELEASE, job_id=job.id, **times)
    assert workshop.job(job) == job
