"""The dangerous moment: intent on disk, one create, its verdict on disk (S-2, section 5)."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from bot.errors import ModelNotFound
from bot.jobs.bench import Bench
from bot.jobs.evidence import Adopted, Evidence
from bot.jobs.failures import cause_of
from bot.jobs.machine import (
    CRASH,
    Bind,
    Doubt,
    Fail,
    Requeue,
    after_create,
)
from bot.jobs.schedule import Facts, grace_until_us
from bot.jobs.variations import request_images, request_options
from bot.limits import PAUSED_DELAY_S, VERDICT_DELAY_S, VERDICT_WRITES_MAX
from bot.providers.base import (
    Created,
    CreateVerdict,
    MediaRequest,
    NotCreated,
    Unknown,
    UnknownCause,
)
from storage import jobs
from storage.database import Connection
from storage.errors import StorageError, StoreInUse
from storage.types import Job

P = ParamSpec("P")
T = TypeVar("T")

FOREIGN_TASK = "foreign_task"
"""The cause of a doubt: the create named a task that another job has (F-43)."""

_log = structlog.get_logger(__name__)


class Submitter:
    """Sends each intent at most once (I-24)."""

    def __init__(
        self,
        bench: Bench,
        evidence: Evidence,
        *,
        moved: Callable[[], None],
        begun: Callable[[Job], None],
    ) -> None:
        self._bench = bench
        self._evidence = evidence
        self._moved = moved
        """Told when a job was moved while its create is still in flight."""
        self._begun = begun
        """Told when a create is about to leave: the card's Cancel is over."""

    async def submit(self, job: Job, rung: asyncio.Event) -> None:
        """Send a queued job; `rung` is set whenever a callback was stored.

        Must not be cancelled while there is time: the answer alone names a task that is paid.
        May raise `StorageError` before anything was sent, or after the database was away for long.
        """
        facts = await self._bench.facts_of(job)
        breaker = self._bench.breakers.of(job.provider)
        if not breaker.admit():
            await self._wait(job, breaker.snapshot().until_us)
            return
        begun = None
        try:
            begun = await self._bench.database.transact(
                jobs.begin_submit,
                job_id=job.id,
                digest=request_digest(job),
                now_us=self._bench.clock.now_us(),
            )
        finally:
            if begun is None:  # cancelled meanwhile, or not written down: nothing is sent
                breaker.withdraw()
        if begun is None:
            return
        _log.info("create_begun", job=begun.short_id, attempt=begun.attempt)
        self._begun(begun)
        create = asyncio.create_task(self._create(begun))
        try:
            adopted = await self._listen(begun, create, rung)
            verdict = await create
        finally:
            create.cancel()
        breaker.note_verdict(verdict)
        if adopted is None:
            await self._record(begun, verdict, facts)
        else:
            _compare(adopted.job, verdict)

    async def _wait(self, job: Job, until_us: int | None) -> None:
        """The provider is paused: who was accepted keeps place and hold, until the deadline."""
        bench = self._bench
        due_us = bench.in_us(PAUSED_DELAY_S)
        await bench.database.transact(
            jobs.postpone,
            job_id=job.id,
            status=job.status,
            due_us=min(job.deadline_us, due_us if until_us is None else max(due_us, until_us)),
            now_us=bench.clock.now_us(),
        )

    # --- One create ---------------------------------------------------------------------------

    async def _create(self, job: Job) -> CreateVerdict:
        """One request at most, whatever happens; what is not understood is unclear."""
        bench = self._bench
        model = bench.model_of(job)
        if model is None:
            return NotCreated(error=ModelNotFound(provider=job.provider, model=job.model))
        try:
            provider = bench.providers.for_provider(job.provider, model=job.model)
        except ModelNotFound as error:
            return NotCreated(error=error)
        request = MediaRequest(
            model=model,
            kind=model.kind,
            prompt=job.prompt,
            image_urls=request_images(job),
            options=request_options(job),
            nsfw_checker=job.request.get("nsfw_checker") is not False,
        )
        try:
            return await provider.create(
                request,
                callback_url=bench.callback_url_of(job),
                fetch_image=bench.fetch_image,
            )
        except Exception:  # noqa: BLE001 - a paid call may not end in doubt about ourselves.
            # A mistake of ours in the middle of a paid call: it may have left already.
            _log.exception("create_broke", job=job.short_id)
            return Unknown(cause=UnknownCause.NO_ANSWER)

    async def _listen(
        self, job: Job, create: asyncio.Task[CreateVerdict], rung: asyncio.Event
    ) -> Adopted | None:
        """Wait for the answer; a callback that comes first may bring the task's name (F-62)."""
        while not create.done():
            ringing = asyncio.create_task(rung.wait())
            try:
                await asyncio.wait({create, ringing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                ringing.cancel()
            if create.done():
                break
            rung.clear()
            try:
                seen = await self._evidence.look(job.id)
            except StorageError as error:
                _log.error(
                    "evidence_not_read", fault="F-110", job=job.short_id, error=type(error).__name__
                )
                continue
            except Exception:  # noqa: BLE001 - nothing may break off the wait for the answer.
                _log.exception("evidence_broke", job=job.short_id)
                continue
            if isinstance(seen, Adopted):
                self._moved()
                return seen
        return None

    # --- Its verdict --------------------------------------------------------------------------

    async def _write(
        self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write what only this process knows, again and again while the database is away."""
        for _try in range(VERDICT_WRITES_MAX - 1):
            try:
                return await self._bench.database.transact(body, *args, **kwargs)
            except StoreInUse:
                raise
            except StorageError as error:
                _log.error("verdict_not_written", fault="F-110", error=type(error).__name__)
                await self._bench.clock.sleep(VERDICT_DELAY_S)
        return await self._bench.database.transact(body, *args, **kwargs)

    async def _record(self, job: Job, verdict: CreateVerdict, facts: Facts) -> None:
        bench = self._bench
        decision = after_create(job, verdict, facts, now_us=bench.clock.now_us(), rng=bench.rng)
        digest = None if isinstance(verdict, Created) else verdict.digest
        match decision:
            case Bind():
                await self._bind(job, decision, facts)
            case Requeue():
                _log.info("create_refused_for_now", fault="F-36", job=job.short_id)
                await self._write(
                    jobs.requeue,
                    job_id=job.id,
                    due_us=decision.due_us,
                    digest=digest,
                    tries=decision.tries,
                    now_us=bench.clock.now_us(),
                )
            case Doubt():
                await self.doubt(job, decision, digest=digest)
            case Fail():
                _log.warning("create_refused", job=job.short_id, failure=decision.failure)
                await self._write(
                    jobs.fail,
                    job_id=job.id,
                    failure=decision.failure,
                    cause=cause_of(decision.failure),
                    loss_ucr=decision.loss_ucr,
                    digest=digest,
                    now_us=bench.clock.now_us(),
                )

    async def _bind(self, job: Job, decision: Bind, facts: Facts) -> None:
        bench = self._bench
        bound = await self._write(
            jobs.bind,
            job_id=job.id,
            task_id=decision.task_id,
            now_us=bench.clock.now_us(),
            due_us=decision.due_us,
        )
        if bound is not None:
            _log.info("create_answered", job=job.short_id, attempt=job.attempt)
            return
        _log.error("task_bound_elsewhere", fault="F-43", job=job.short_id)
        until_us = grace_until_us(job, facts, now_us=bench.clock.now_us())
        await self.doubt(job, Doubt(cause=FOREIGN_TASK, grace_until_us=until_us))

    async def doubt(self, job: Job, decision: Doubt, *, digest: str | None = None) -> None:
        """Write down that nobody can tell; from here on it is never sent again."""
        _log.warning(
            "unknown",
            fault="F-6" if decision.cause == CRASH else "F-46",
            job=job.short_id,
            attempt=job.attempt,
            cause=decision.cause,
            digest=digest,
        )
        await self._write(
            jobs.mark_unknown,
            job_id=job.id,
            cause=decision.cause,
            grace_until_us=decision.grace_until_us,
            digest=digest,
            # At once: evidence may have come before the doubt.
            due_us=self._bench.clock.now_us(),
            now_us=self._bench.clock.now_us(),
        )


def request_digest(job: Job) -> str:
    """What is sent, for the record: two creates of the same have the same (section 5, point 1)."""
    sent = json.dumps([job.provider, job.model, job.prompt, job.request], sort_keys=True)
    return hashlib.sha256(sent.encode()).hexdigest()


def _compare(job: Job, verdict: CreateVerdict) -> None:
    """The late answer must agree with what was adopted (F-62)."""
    if isinstance(verdict, Created) and verdict.task_id != job.task_id:
        _log.error("late_answer_disagrees", fault="F-62", job=job.short_id)
    elif isinstance(verdict, NotCreated):
        _log.error("misclassified", job=job.short_id, digest=verdict.digest)
