"""Accepting jobs, and moving them at the provider."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace
from typing import Any

import pytest

from storage import jobs
from storage.database import Database
from storage.errors import Duplicate, InsufficientCredits
from storage.schema import job_events
from storage.types import Allowance, JobStatus
from tests.unit.storage.bank import CREDIT, DAILY, NOON_US, TOM, snapshot
from tests.unit.storage.workshop import MINUTE_US, PRICE, Workshop, new_job

EVERYWHERE = ("queued", "submitting", "running", "unknown", "finished", "delivered")


# --- Acceptance ----------------------------------------------------------------------------------


def test_an_accepted_job_is_what_was_ordered(workshop: Workshop) -> None:
    """All facts of the order, a number, a reference for people, nothing else yet."""
    order = new_job("i:1", spoiler=True, prompt="«fox» \x00 🦊")
    job = workshop.database.run(jobs.enqueue, job=order, allowance=DAILY, now_us=workshop.now_us)
    ordered = asdict(order)
    assert {name: value for name, value in asdict(job).items() if name in ordered} == ordered
    assert (job.status, job.outcome, job.attempt, job.polls) == (JobStatus.QUEUED, None, 0, 0)
    assert (job.created_us, job.due_us) == (workshop.now_us, workshop.now_us)
    assert workshop.database.view(jobs.get, job_id=job.id) == job
    assert workshop.events(job) == [(None, "queued", "accepted", 0)]


def test_an_accepted_job_holds_its_price(workshop: Workshop) -> None:
    """S-2: hold and job exist together."""
    before = workshop.available()
    workshop.order()
    balance = workshop.balance()
    assert (before - balance.available_ucr, balance.held_ucr) == (PRICE, PRICE)


def test_a_job_that_cannot_be_paid_does_not_exist(workshop: Workshop) -> None:
    """Never a part of the price: the hold's floor is its amount."""
    workshop.set(PRICE - 1)
    before = workshop.database.view(snapshot)
    with pytest.raises(InsufficientCredits) as refused:
        workshop.order()
    assert (refused.value.needed_ucr, refused.value.available_ucr) == (PRICE, PRICE - 1)
    assert workshop.database.view(snapshot) == before


@pytest.mark.parametrize("status", EVERYWHERE)
def test_an_interaction_makes_one_job_for_ever(workshop: Workshop, status: str) -> None:
    """I-33: also when the first one is long over, and whoever repeats it."""
    workshop.at(status, "i:1")
    before = workshop.database.view(snapshot)
    with pytest.raises(Duplicate) as refused:
        workshop.order("i:1", user_id=TOM)
    assert refused.value.reference == "i:1"
    assert workshop.database.view(snapshot) == before


def test_a_reference_that_holds_credits_already_makes_no_job(workshop: Workshop) -> None:
    """A chat's turn and a job cannot share a hold."""
    workshop.hold(CREDIT, reference="i:1")
    with pytest.raises(Duplicate):
        workshop.order("i:1")


@pytest.mark.parametrize("free", [{"cost_ucr": 0}, {"multiplier_ppm": 0}])
def test_what_is_free_needs_no_credits(workshop: Workshop, free: dict[str, Any]) -> None:
    """asks.md 3.3: free by an explicit price or multiplier of nothing."""
    workshop.allowance = Allowance(amount_ucr=0)
    job = workshop.order(price_ucr=0, **free)
    workshop.begin(job)
    workshop.bind(job)
    finished = workshop.succeed(job, 0)
    assert finished is not None
    assert finished.charged_ucr == 0


def test_a_price_of_nothing_by_mistake_is_refused(workshop: Workshop) -> None:
    """A forgotten price must not give pictures away."""
    with pytest.raises(AssertionError):
        workshop.order(price_ucr=0)


def test_prices_are_those_of_acceptance(workshop: Workshop) -> None:
    """F-68: they stand in the row, and the database keeps them there."""
    job = workshop.order(price_ucr=7, cost_ucr=5, multiplier_ppm=1_400_000)
    assert (job.price_ucr, job.cost_ucr, job.multiplier_ppm) == (7, 5, 1_400_000)


def test_a_second_job_may_come_of_a_first(workshop: Workshop) -> None:
    """*Again*, *4K*, *Animate*."""
    first = workshop.order()
    assert workshop.order(parent_id=first.id).parent_id == first.id


async def test_fifty_orders_at_once_for_three_prices_make_three_jobs(database: Database) -> None:
    """I-8: through the real database, all in flight together."""
    orders = [
        database.transact(
            jobs.enqueue,
            job=new_job(f"i:{number}"),
            allowance=Allowance(amount_ucr=3 * PRICE),
            now_us=NOON_US,
        )
        for number in range(50)
    ]
    answers = await asyncio.gather(*orders, return_exceptions=True)
    accepted = [answer for answer in answers if not isinstance(answer, BaseException)]
    refused = [answer for answer in answers if isinstance(answer, InsufficientCredits)]
    assert (len(accepted), len(refused)) == (3, 47)


# --- At the provider -----------------------------------------------------------------------------


def test_the_intent_is_written_before_the_create(workshop: Workshop) -> None:
    """Decision 1: attempt and time are on disk; the lease stays with who is about to send."""
    job = workshop.order()
    workshop.claim()
    workshop.now_us += 5
    begun = workshop.begin(job)
    assert begun is not None
    assert (begun.status, begun.attempt, begun.submitted_us) == (
        JobStatus.SUBMITTING,
        1,
        workshop.now_us,
    )
    assert workshop.claim() == []
    assert workshop.events(job)[-1] == ("queued", "submitting", "submit", 1)


def test_a_created_task_belongs_to_its_job(workshop: Workshop) -> None:
    """Found again by its id, which only means something at its provider."""
    job = workshop.at("submitting")
    running = workshop.bind(job, "t-1")
    assert running is not None
    assert (running.status, running.task_id) == (JobStatus.RUNNING, "t-1")
    assert running.due_us == workshop.now_us + MINUTE_US
    view = workshop.database.view
    assert view(jobs.by_task, provider="aivideo", task_id="t-1") == running
    assert view(jobs.by_task, provider="video", task_id="t-1") is None
    assert workshop.events(job)[-1] == ("submitting", "running", "bound", 1)


@pytest.mark.parametrize("status", ["submitting", "unknown"])
@pytest.mark.parametrize("owner", ["running", "finished", "delivered"])
def test_a_task_of_another_job_is_never_bound(workshop: Workshop, status: str, owner: str) -> None:
    """F-43, I-25: nothing changes; the classifier calls it unknown."""
    first = workshop.at(owner)
    second = workshop.at(status)
    assert first.task_id is not None
    before = workshop.database.view(snapshot)
    assert workshop.bind(second, first.task_id) is None
    assert workshop.database.view(snapshot) == before


def test_two_providers_may_use_the_same_id(workshop: Workshop) -> None:
    """Ids are unique where they were made, nowhere else."""
    assert workshop.bind(workshop.at("submitting"), "1")
    assert workshop.bind(workshop.at("submitting", provider="video"), "1")


def test_a_lost_answer_waits_for_evidence(workshop: Workshop) -> None:
    """Section 5: the hold stays; the classifier's word is kept."""
    job = workshop.at("submitting")
    unknown = workshop.lose_answer(job)
    assert unknown is not None
    assert unknown.status is JobStatus.UNKNOWN
    assert unknown.grace_until_us == unknown.due_us
    assert workshop.balance().held_ucr == PRICE
    assert workshop.events(job)[-1] == ("submitting", "unknown", "reset", 1)


def test_evidence_turns_unknown_into_running(workshop: Workshop) -> None:
    """F-8, F-62: a callback adopts the task."""
    bound = workshop.bind(workshop.at("unknown"), "adopted")
    assert bound is not None
    assert bound.status is JobStatus.RUNNING


def test_what_was_proven_not_created_is_sent_again(workshop: Workshop) -> None:
    """F-36, F-45: a second attempt, the same hold, and the member counts as served."""
    job = workshop.at("submitting")
    queued = workshop.requeue(job)
    assert queued is not None
    assert (queued.status, queued.attempt) == (JobStatus.QUEUED, 1)
    assert queued.due_us == workshop.now_us + MINUTE_US
    again = workshop.begin(job)
    assert again is not None
    assert again.attempt == 2
    assert [event[2] for event in workshop.events(job)] == [
        "accepted",
        "submit",
        "not_created",
        "submit",
    ]


MOVES = {
    "begin": ("queued",),
    "bind": ("submitting", "unknown"),
    "lose_answer": ("submitting",),
    "requeue": ("submitting",),
    "succeed": ("running",),
    "fail": ("queued", "submitting", "running", "unknown"),
    "cancel": ("queued", "unknown"),
    "deliver": ("finished",),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("status", EVERYWHERE)
def test_a_move_happens_only_from_where_it_may(workshop: Workshop, move: str, status: str) -> None:
    """I-20, I-21: too late, too early and never again are all None, and change nothing."""
    job = workshop.at(status)
    before = workshop.database.view(snapshot)
    moved = getattr(workshop, move)(job)
    if status in MOVES[move]:
        assert moved == workshop.job(job)
        assert moved.status != status
        assert workshop.events(job)[-1][:2] == (status, moved.status)
    else:
        assert moved is None
        assert workshop.database.view(snapshot) == before


@pytest.mark.parametrize("move", MOVES)
def test_a_job_that_is_not_there_does_not_move(workshop: Workshop, move: str) -> None:
    """None like any other that cannot."""
    ghost = replace(workshop.order(), id=99)
    assert getattr(workshop, move)(ghost) is None


def test_the_legal_moves_are_those_of_the_database() -> None:
    """One table in the code, one CHECK, one trigger: none wider than another."""
    rules = " ".join(str(getattr(rule, "sqltext", "")) for rule in job_events.constraints)
    for old in JobStatus:
        for new in JobStatus:
            assert ((old, new) in jobs.LEGAL_MOVES) == (f"'{old}>{new}'" in rules)


async def test_events_carry_the_epoch_of_their_process(database: Database) -> None:
    """I-29: the real database counts its starts."""
    await database.transact(jobs.enqueue, job=new_job("i:1"), allowance=DAILY, now_us=NOON_US)
    epochs = await database.read(
        lambda c: c.exec_driver_sql("SELECT epoch FROM job_events").scalars().all()
    )
    assert epochs == [1]
