"""How jobs end, what that does to credits, and who has the outcome."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from storage import jobs
from storage.types import Job, JobStatus, Outcome, Sink
from tests.unit.storage.bank import DAY_US, snapshot
from tests.unit.storage.workshop import MINUTE_US, PRICE, Workshop, picture


def cause_of(workshop: Workshop, reference: str) -> str:
    def read(connection: Connection) -> str:
        return str(
            connection.exec_driver_sql(
                "SELECT cause FROM holds WHERE reference = ?", (reference,)
            ).scalar_one()
        )

    return workshop.database.view(read)


# --- Paid ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cost_ucr", "charged_ucr", "loss_ucr"),
    [(PRICE, PRICE, 0), (PRICE - 1, PRICE - 1, 0), (0, 0, 0), (PRICE + 7, PRICE, 7)],
)
def test_a_success_is_paid_at_most_with_what_is_held(
    workshop: Workshop, cost_ucr: int, charged_ucr: int, loss_ucr: int
) -> None:
    """I-6, I-9, F-51: less goes back, more is the operator's."""
    before = workshop.available()
    job = workshop.at("running")
    finished = workshop.succeed(job, cost_ucr)
    assert finished is not None
    assert (finished.outcome, finished.charged_ucr) == (Outcome.SUCCEEDED, charged_ucr)
    assert workshop.available() == before - charged_ucr
    assert (workshop.account("spent"), workshop.account("loss")) == (charged_ucr, loss_ucr)


def test_a_finished_job_is_due_for_delivery_at_once(workshop: Workshop) -> None:
    """Released, with its result attached, in the same transaction."""
    job = workshop.at("running", "a")
    workshop.now_us = job.due_us
    workshop.claim()
    finished = workshop.succeed(job)
    assert finished is not None
    assert (finished.status, finished.finished_us) == (JobStatus.FINISHED, workshop.now_us)
    assert workshop.claim() == ["a"]
    assert workshop.database.view(jobs.artifacts_of, job_id=job.id) == (picture(),)


def test_a_success_has_a_result(workshop: Workshop) -> None:
    """S-3: nothing is paid before its bytes are secured."""
    job = workshop.at("running")
    with pytest.raises(AssertionError):
        workshop.act(jobs.succeed, job_id=job.id, artifacts=(), cost_ucr=0)


# --- Given back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["queued", "submitting", "running", "unknown"])
def test_a_failure_gives_everything_back(workshop: Workshop, status: str) -> None:
    """Whatever it cost the operator."""
    before = workshop.available()
    failed = workshop.fail(workshop.at(status), loss_ucr=9)
    assert failed is not None
    assert (failed.outcome, failed.failure) == (Outcome.FAILED, "TaskFailed")
    assert failed.charged_ucr == 0
    assert (workshop.available(), workshop.account("loss")) == (before, 9)
    assert workshop.events(failed)[-1] == (status, "finished", "TaskFailed", failed.attempt)


def test_a_failure_has_a_name(workshop: Workshop) -> None:
    """The member is told why."""
    job = workshop.order()
    with pytest.raises(AssertionError):
        workshop.act(jobs.fail, job_id=job.id, failure="", cause="provider_error")


@pytest.mark.parametrize(("status", "cause"), [("queued", "cancelled"), ("unknown", "uncertain")])
def test_cancelling_gives_everything_back(workshop: Workshop, status: str, cause: str) -> None:
    """Before anything was sent, or instead of waiting for the end of the grace."""
    before = workshop.available()
    job = workshop.at(status)
    cancelled = workshop.cancel(job)
    assert cancelled is not None
    assert (cancelled.outcome, cancelled.failure) == (Outcome.CANCELLED, None)
    assert workshop.available() == before
    assert cause_of(workshop, job.reference) == cause


def test_a_second_attempt_can_be_cancelled_while_it_waits(workshop: Workshop) -> None:
    """It is proven that the first made no task: nothing is uncertain."""
    job = workshop.at("submitting")
    workshop.requeue(job)
    assert workshop.cancel(job)
    assert cause_of(workshop, job.reference) == "cancelled"


def test_of_cancel_and_submit_the_first_wins(workshop: Workshop) -> None:
    """The engine has claimed it; the member is faster, and nothing is sent."""
    job = workshop.order()
    workshop.claim()
    assert workshop.cancel(job)
    assert workshop.begin(job) is None


# --- Late (S-6) ----------------------------------------------------------------------------------


def _given_back(workshop: Workshop, *, delivered: bool, loss_ucr: int = 0) -> Job:
    job = workshop.at("running")
    workshop.fail(job, loss_ucr=loss_ucr)
    if delivered:
        workshop.deliver(job)
    return workshop.job(job)


@pytest.mark.parametrize("delivered", [False, True])
def test_a_late_result_is_kept_for_the_member_at_no_charge(
    workshop: Workshop, *, delivered: bool
) -> None:
    """F-63: attached, not acted on; the operator has the loss."""
    before = workshop.available()
    job = _given_back(workshop, delivered=delivered)
    workshop.now_us += DAY_US
    late = workshop.late(job)
    assert late is not None
    assert late.late_us == workshop.now_us
    assert (late.status, late.outcome, late.charged_ucr) == (job.status, Outcome.FAILED, 0)
    assert workshop.database.view(jobs.artifacts_of, job_id=job.id) == (picture(),)
    assert (workshop.available(), workshop.account("loss")) == (before, PRICE)
    assert workshop.events(job)[-1] == (job.status, job.status, "late_result", 1)
    assert [line.kind for line in workshop.history()] == ["allowance", "expire", "allowance"]


def test_a_late_result_comes_once(workshop: Workshop) -> None:
    """Twice the callback, once the loss."""
    job = _given_back(workshop, delivered=True)
    workshop.late(job)
    before = workshop.database.view(snapshot)
    assert workshop.late(job) is None
    assert workshop.database.view(snapshot) == before


@pytest.mark.parametrize(("booked_ucr", "lost_ucr"), [(3, PRICE), (PRICE, PRICE), (2 * PRICE, 0)])
def test_what_the_failure_booked_is_not_lost_twice(
    workshop: Workshop, booked_ucr: int, lost_ucr: int
) -> None:
    """I-10: the provider was paid once."""
    workshop.late(_given_back(workshop, delivered=True, loss_ucr=booked_ucr))
    assert workshop.account("loss") == max(lost_ucr, booked_ucr)


def test_a_late_result_that_cost_nothing_is_no_loss(workshop: Workshop) -> None:
    """No line without an amount."""
    assert workshop.late(_given_back(workshop, delivered=True), loss_ucr=0)
    assert workshop.account("loss") == 0


def test_a_late_result_brings_the_task_that_nobody_knew(workshop: Workshop) -> None:
    """I-25: from now on it belongs to the job, and to no other."""
    job = workshop.at("unknown")
    workshop.cancel(job)
    late = workshop.late(job, task_id="lost")
    assert late is not None
    assert late.task_id == "lost"
    assert workshop.bind(workshop.at("submitting"), "lost") is None


def test_a_late_result_may_name_the_task_that_is_known(workshop: Workshop) -> None:
    """After a deadline the task is bound already."""
    job = _given_back(workshop, delivered=True)
    assert workshop.late(job, task_id=job.task_id)


def test_a_late_result_of_another_task_is_refused(workshop: Workshop) -> None:
    """F-65: neither a job's own task changes, nor is another job's taken."""
    job = _given_back(workshop, delivered=True)
    assert workshop.late(job, task_id="foreign") is None
    unknown = workshop.at("unknown")
    workshop.cancel(unknown)
    assert workshop.late(unknown, task_id=job.task_id) is None


@pytest.mark.parametrize("status", ["queued", "submitting", "running", "unknown", "delivered"])
def test_a_result_is_late_only_after_the_credits_went_back(workshop: Workshop, status: str) -> None:
    """Otherwise it is simply the result, or there has been one."""
    assert workshop.late(workshop.at(status)) is None


def test_what_was_never_sent_has_no_late_result(workshop: Workshop) -> None:
    """Whatever somebody claims."""
    job = workshop.order()
    workshop.cancel(job)
    assert workshop.late(job) is None


# --- In Discord ----------------------------------------------------------------------------------


def test_the_card_is_remembered(workshop: Workshop) -> None:
    """A restart goes on with the same message."""
    job = workshop.order()
    shown = workshop.database.run(jobs.record_card, job_id=job.id, message_id=9)
    assert shown is not None
    assert workshop.job(job).card_message_id == 9
    assert workshop.database.run(jobs.record_card, job_id=99, message_id=9) is None


@pytest.mark.parametrize("sink", Sink)
def test_the_sink_that_has_the_outcome_is_recorded_once(workshop: Workshop, sink: Sink) -> None:
    """I-22, C-45: delivered, and the interaction's token is gone."""
    job = workshop.at("finished")
    workshop.database.run(jobs.record_card, job_id=job.id, message_id=9)
    delivered = workshop.deliver(job, sink, 10)
    assert delivered is not None
    assert (delivered.status, delivered.sink) == (JobStatus.DELIVERED, sink)
    assert (delivered.delivered_us, delivered.interaction_token) == (workshop.now_us, None)
    in_channel = sink in {Sink.CARD, Sink.TOKEN, Sink.MESSAGE}
    assert delivered.card_message_id == (10 if in_channel else 9)
    assert workshop.events(job)[-1] == ("finished", "delivered", sink, 1)
    assert workshop.deliver(job, Sink.LIST) is None
    assert workshop.job(job).sink is sink


def test_a_card_that_is_learnt_late_does_not_replace_the_result(workshop: Workshop) -> None:
    """The command's answer may be slower than the job."""
    job = workshop.at("finished")
    workshop.deliver(job, Sink.MESSAGE, 10)
    assert workshop.database.run(jobs.record_card, job_id=job.id, message_id=9) is None
    other = workshop.at("finished")
    workshop.deliver(other, Sink.TOKEN)
    assert workshop.database.run(jobs.record_card, job_id=other.id, message_id=9)


def test_a_callback_that_waits_outlives_the_delivery(workshop: Workshop) -> None:
    """I-35: it came just before the refund was told."""
    job = workshop.at("unknown", "a")
    workshop.cancel(job)
    workshop.call_back(job)
    delivered = workshop.deliver(job)
    assert delivered is not None
    assert delivered.due_us == workshop.now_us
    assert workshop.claim() == ["a"]


def test_tokens_are_forgotten_when_they_end(workshop: Workshop) -> None:
    """C-45: fifteen minutes; the job goes on."""
    job = workshop.order(interaction_expires_us=workshop.now_us + 15 * MINUTE_US)
    lasting = workshop.order(interaction_expires_us=workshop.now_us + 16 * MINUTE_US)
    workshop.now_us += 15 * MINUTE_US
    assert workshop.act(jobs.drop_tokens) == 1
    assert workshop.job(job).interaction_token is None
    assert workshop.job(lasting).interaction_token == "token"
    assert workshop.act(jobs.drop_tokens) == 0
