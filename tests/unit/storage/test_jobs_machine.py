"""Jobs and the ledger against a plain model, through any order of moves, callbacks and crashes.

`JOB_EXAMPLES` and `JOB_STEPS` in the environment set how long it looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import Connection

from storage import inbox, jobs, ledger
from storage.errors import Duplicate, InsufficientCredits
from storage.types import Cause, Job, JobStatus, Outcome, Sink
from tests.unit.storage.bank import HOUR_US, MIRA, NONE, NOON_US, SAM, TOM
from tests.unit.storage.bench import bench
from tests.unit.storage.job_model import Board, Piece
from tests.unit.storage.workshop import LEASE_US, MINUTE_US, new_job, picture

EXAMPLES = int(os.environ.get("JOB_EXAMPLES", "60"))
STEPS = int(os.environ.get("JOB_STEPS", "40"))

users = st.sampled_from([MIRA, TOM])
prices = st.one_of(st.integers(0, 20), st.integers(1, 10**12))
costs = st.one_of(st.integers(0, 30), st.integers(0, 10**12))
waits = st.sampled_from([-MINUTE_US, 0, 1, LEASE_US, MINUTE_US, HOUR_US])
statuses = st.sampled_from(JobStatus)
tasks = st.sampled_from(["t1", "t2", "t3", "t4"])


class JobMachine(RuleBasedStateMachine):
    """Each rule acts on the database and on the model, and compares what they answer."""

    pieces: Bundle[Piece] = Bundle("pieces")

    @initialize(given=st.integers(0, 100))
    def open(self, given: int) -> None:
        self.database = bench().reset()
        self.board = Board()
        self.now_us = NOON_US
        self.acts = 0
        for user in (MIRA, TOM):
            self.grant(user, given + 1)

    def teardown(self) -> None:
        bench().close()

    def _act(self, body: Callable[..., Any], /, **arguments: Any) -> Any:
        return self.database.run(body, now_us=self.now_us, **arguments)

    def _moved(self, piece: Piece, job: Job | None, *, may: bool) -> None:
        """The move happened exactly when it may; what it returns is what stands there."""
        assert (job is not None) == may
        assert job is None or job == self.database.view(jobs.get, job_id=piece.id)

    # --- Time, crashes, money --------------------------------------------------------------------

    @rule(wait_us=waits)
    def advance(self, wait_us: int) -> None:
        self.now_us += wait_us

    @rule(start=st.booleans())
    def reopen(self, *, start: bool) -> None:
        """The process died; the next one may or may not have got as far as ending the leases."""
        bench().close()
        if start:
            held = [piece for piece in self.board.pieces if piece.lease is not None]
            for piece in held:
                piece.lease = None
            assert self.database.run(jobs.release_all) == len(held)

    @rule(user=users, amount=st.one_of(st.integers(1, 20), st.integers(1, 10**12)))
    def grant(self, user: int, amount: int) -> None:
        self.acts += 1
        self.board.given[user] = self.board.given.get(user, 0) + amount
        self._act(
            ledger.grant,
            user_id=user,
            amount_ucr=amount,
            actor_id=SAM,
            guild_id=None,
            reason="",
            reference=f"act:{self.acts}",
            allowance=NONE,
        )

    # --- Acceptance and turns --------------------------------------------------------------------

    def _enqueue(self, reference: str, user: int, price: int) -> Job:
        order = new_job(reference, user_id=user, price_ucr=price, cost_ucr=price)
        job: Job = self._act(jobs.enqueue, job=order, allowance=NONE)
        return job

    @rule(target=pieces, user=users, price=prices)
    def enqueue(self, user: int, price: int) -> Piece | MultipleResults[Piece]:
        number = len(self.board.pieces) + 1
        if self.board.available(user) < price:
            with pytest.raises(InsufficientCredits):
                self._enqueue(f"i:{number}", user, price)
            return multiple()
        assert self._enqueue(f"i:{number}", user, price).id == number
        piece = Piece(id=number, user=user, price=price, due=self.now_us)
        self.board.pieces.append(piece)
        return piece

    @rule(piece=pieces, user=users)
    def enqueue_again(self, piece: Piece, user: int) -> None:
        with pytest.raises(Duplicate):
            self._enqueue(f"i:{piece.id}", user, 0)

    @rule(limit=st.integers(1, 4), queued=st.none() | st.integers(0, 2))
    def claim(self, limit: int, queued: int | None) -> None:
        expected = self.board.claim(self.now_us, LEASE_US, limit, queued)
        found = self._act(jobs.claim_due, lease_us=LEASE_US, limit=limit, creates_max=queued)
        assert [job.id for job in found] == [piece.id for piece in expected]

    @rule(piece=pieces, wait_us=waits, polled=st.booleans(), stale=st.none() | statuses)
    def postpone(
        self, piece: Piece, wait_us: int, *, polled: bool, stale: JobStatus | None
    ) -> None:
        status = JobStatus(piece.status) if stale is None else stale
        may = piece.status == status
        if may:
            self.board.release(piece, self.now_us + wait_us, self.now_us)
        else:
            piece.lease, piece.woken = None, False
        due_us = self.now_us + wait_us
        job = self._act(jobs.postpone, job_id=piece.id, status=status, due_us=due_us, polled=polled)
        self._moved(piece, job, may=may)

    @rule(piece=pieces)
    def wake(self, piece: Piece) -> None:
        may = piece.status != "delivered"
        if may:
            piece.due, piece.woken = min(piece.due, self.now_us), True
        self._moved(piece, self._act(jobs.wake, job_id=piece.id), may=may)

    # --- At the provider -------------------------------------------------------------------------

    @rule(piece=pieces)
    def begin_submit(self, piece: Piece) -> None:
        may = piece.status == "queued"
        if may:
            piece.status, piece.served = "submitting", self.now_us
            piece.attempt += 1
        self._moved(piece, self._act(jobs.begin_submit, job_id=piece.id), may=may)

    @rule(piece=pieces, task=tasks, wait_us=waits)
    def bind(self, piece: Piece, task: str, wait_us: int) -> None:
        due_us = self.now_us + wait_us
        may = piece.status in {"submitting", "unknown"} and self.board.owner_of(task) is None
        if may:
            piece.status, piece.task = "running", task
            self.board.release(piece, due_us, self.now_us)
        job = self._act(jobs.bind, job_id=piece.id, task_id=task, due_us=due_us)
        self._moved(piece, job, may=may)

    @rule(piece=pieces, wait_us=waits)
    def mark_unknown(self, piece: Piece, wait_us: int) -> None:
        due_us = self.now_us + wait_us
        may = piece.status == "submitting"
        if may:
            piece.status = "unknown"
            self.board.release(piece, due_us, self.now_us)
        job = self._act(
            jobs.mark_unknown,
            job_id=piece.id,
            cause="timeout",
            grace_until_us=due_us,
            due_us=due_us,
        )
        self._moved(piece, job, may=may)

    @rule(piece=pieces, wait_us=waits)
    def requeue(self, piece: Piece, wait_us: int) -> None:
        due_us = self.now_us + wait_us
        may = piece.status == "submitting"
        if may:
            piece.status = "queued"
            self.board.release(piece, due_us, self.now_us)
        job = self._act(jobs.requeue, job_id=piece.id, due_us=due_us)
        self._moved(piece, job, may=may)

    # --- Ends ------------------------------------------------------------------------------------

    @rule(piece=pieces, cost=costs)
    def succeed(self, piece: Piece, cost: int) -> None:
        may = piece.status == "running"
        if may:
            charged = min(cost, piece.price)
            self.board.finish(piece, "succeeded", self.now_us, charged=charged, loss=cost - charged)
        job = self._act(
            jobs.succeed, job_id=piece.id, artifacts=(picture(0), picture(1)), cost_ucr=cost
        )
        self._moved(piece, job, may=may)

    @rule(piece=pieces, loss=costs)
    def fail(self, piece: Piece, loss: int) -> None:
        may = piece.status in {"queued", "submitting", "running", "unknown"}
        if may:
            self.board.finish(piece, "failed", self.now_us, charged=0, loss=loss)
        job = self._act(
            jobs.fail,
            job_id=piece.id,
            failure="TaskFailed",
            cause=Cause.PROVIDER_ERROR,
            loss_ucr=loss,
        )
        self._moved(piece, job, may=may)

    @rule(piece=pieces)
    def cancel(self, piece: Piece) -> None:
        may = piece.status in {"queued", "unknown"}
        if may:
            self.board.finish(piece, "cancelled", self.now_us, charged=0, loss=0)
        self._moved(piece, self._act(jobs.cancel, job_id=piece.id), may=may)

    @rule(piece=pieces, task=st.none() | tasks, loss=costs)
    def late_result(self, piece: Piece, task: str | None, loss: int) -> None:
        may = self.board.attach(piece, task, loss)
        job = self._act(
            jobs.late_result,
            job_id=piece.id,
            artifacts=(picture(),),
            loss_ucr=loss,
            task_id=task,
        )
        self._moved(piece, job, may=may)

    @rule(piece=pieces, sink=st.sampled_from(Sink), message_id=st.none() | st.integers(1, 9))
    def record_delivered(self, piece: Piece, sink: Sink, message_id: int | None) -> None:
        may = piece.status == "finished"
        if may:
            piece.status, piece.sink = "delivered", sink
            piece.woken = False
            self.board.release(piece, self.now_us, self.now_us)
        job = self._act(jobs.record_delivered, job_id=piece.id, sink=sink, message_id=message_id)
        self._moved(piece, job, may=may)

    # --- Callbacks -------------------------------------------------------------------------------

    @rule(piece=pieces, body=st.sampled_from("ab"))
    def call_back(self, piece: Piece, body: str) -> None:
        known = body in piece.bodies
        if not known:
            piece.bodies.add(body)
            piece.unseen.add(body)
            if piece.outcome != "succeeded" or piece.attempt != 1:
                piece.due, piece.woken = min(piece.due, self.now_us), True
        came = inbox.Arrival(job_id=piece.id, attempt=1, digest=body, body=body)
        (verdict,) = self._act(
            inbox.record_callbacks, arrivals=[came], bodies_max=2, over_before_us=0
        )
        assert verdict == ("known" if known else "new")

    @rule(piece=pieces)
    def act_on_callbacks(self, piece: Piece) -> None:
        found = self.database.view(inbox.callbacks_of, job_id=piece.id)
        unseen = {callback.body for callback in found if callback.seen_us is None}
        assert unseen == piece.unseen
        self._act(inbox.mark_seen, callback_ids=[callback.id for callback in found])
        piece.unseen.clear()

    # --- What holds at any time ------------------------------------------------------------------

    @invariant()
    def everything_is_sound_and_as_in_the_model(self) -> None:
        """The audit; every row; every member's credits; what the operator lost."""
        facts, found, system, next_due_us, places = self.database.view(_seen)
        assert facts == ()
        assert [_row(job) for job in found] == [
            (
                p.status,
                p.outcome,
                p.attempt,
                p.task,
                p.due,
                p.charged if p.outcome else None,
                p.late,
                p.sink,
            )
            for p in self.board.pieces
        ]
        assert system == {"spent": self.board.spent(), "loss": self.board.loss}
        assert next_due_us == self.board.next_due()
        assert places == {
            piece.id: place for place, piece in enumerate(self.board.turns(self.board.pieces), 1)
        }
        for user in (MIRA, TOM):
            balance = self._act(ledger.balance, user_id=user, allowance=NONE)
            assert balance.available_ucr == self.board.available(user)
            assert balance.held_ucr == self.board.held(user)


def _row(job: Job) -> tuple[object, ...]:
    return (
        job.status,
        job.outcome,
        job.attempt,
        job.task_id,
        job.due_us,
        job.charged_ucr,
        job.late_us is not None,
        job.sink,
    )


Seen = tuple[tuple[str, ...], list[Job], dict[str, int], int | None, dict[int, int]]


def _seen(connection: Connection) -> Seen:
    """All that is compared, read in one transaction."""
    pages = (jobs.list_for(connection, user_id=user, limit=10_000) for user in (MIRA, TOM))
    found = sorted((job for page in pages for job in page), key=lambda job: job.id)
    rows = connection.exec_driver_sql(
        "SELECT kind, balance_ucr FROM accounts WHERE kind IN ('spent', 'loss')"
    )
    system = {kind: int(balance_ucr) for kind, balance_ucr in rows}
    places = {job.id: jobs.place_in_queue(connection, job_id=job.id) for job in found}
    for job in found:
        files = jobs.artifacts_of(connection, job_id=job.id)
        assert len(files) == (2 if job.outcome is Outcome.SUCCEEDED else int(bool(job.late_us)))
    return (
        ledger.audit(connection),
        found,
        system,
        jobs.next_due_us(connection),
        {job_id: place for job_id, place in places.items() if place is not None},
    )


JobMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    # Explaining a failure takes longer than finding it.
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestJobs = pytest.mark.timeout(0)(JobMachine.TestCase)
