"""A task at the provider: asked about, its result secured, its price settled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import structlog

from bot.catalogue.pricing import charge_ucr
from bot.errors import (
    AtelierError,
    ModelNotFound,
    ProviderError,
    ResultUnavailable,
    ResultUnusable,
)
from bot.jobs.bench import Bench
from bot.jobs.books import Look, begin_look
from bot.jobs.failures import cause_of
from bot.jobs.hints import hint_of, is_of_own_task
from bot.jobs.machine import (
    AfterFetch,
    AfterPoll,
    Fail,
    Secure,
    Wait,
    after_fetch,
    after_poll,
    went_back,
)
from bot.jobs.money import reported_cost
from bot.jobs.ports import NO_ROOM, NOT_STORED, Fetched, is_ours
from bot.jobs.schedule import to_us
from bot.limits import (
    FETCH_TRIES,
    RESULT_FILES_MAX,
    RESULT_IMAGE_BYTES_MAX,
    RESULT_VIDEO_BYTES_MAX,
    SOURCE_KEPT_S,
)
from bot.providers.base import MediaProvider, TaskState
from storage import inbox, jobs
from storage.types import Artifact, Callback, Job, JobKind, Tries

_log = structlog.get_logger(__name__)


class Watcher:
    """Polls running jobs and brings their results home. Every effect follows our own read (I-26).

    May raise `StorageError`; then the job is looked at again when its lease ends.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def poll(self, job: Job) -> None:
        """Ask about a running job, and act on the answer."""
        assert job.task_id is not None
        look = await self._begin(job)
        if look.not_before_us is not None:
            await self._apply(job, Wait(due_us=look.not_before_us), job.tries, polled=False)
            return
        answer = await self._ask(job, job.task_id)
        if isinstance(answer, TaskState) and look.heard:
            await self._note_heard(job, look.heard)
        await self.act(job, answer)

    async def read(self, job: Job, task_id: str) -> TaskState | ProviderError | Wait:
        """Read a task with our key, in its turn; or when that may be (F-65)."""
        look = await self._begin(job)
        if look.not_before_us is not None:
            return Wait(due_us=look.not_before_us)
        return await self._ask(job, task_id)

    async def _begin(self, job: Job) -> Look:
        await self._bench.gate.passed()
        return await self._bench.database.transact(
            begin_look, job_id=job.id, now_us=self._bench.clock.now_us()
        )

    async def _ask(self, job: Job, task_id: str) -> TaskState | ProviderError:
        try:
            provider = self._bench.providers.for_provider(job.provider, model=job.model)
            return await provider.get(task_id)
        except ProviderError as error:
            self._bench.breakers.of(job.provider).note_operator_error(error)
            _log.info(
                "task_not_read",
                fault="F-35" if type(error).__name__ == "TaskNotFound" else "F-39",
                job=job.short_id,
                error=type(error).__name__,
                status=error.status,
            )
            return error

    async def act(self, job: Job, answer: TaskState | ProviderError) -> None:
        """Do what follows from the provider's answer about a running job."""
        bench = self._bench
        if isinstance(answer, TaskState) and went_back(job, answer):
            _log.warning("status_went_back", fault="F-50", job=job.short_id)
        decision, tries = after_poll(job, answer, now_us=bench.clock.now_us(), rng=bench.rng)
        if isinstance(decision, Secure):
            await self._finish(job, decision.state)
        else:
            await self._apply(job, decision, tries, polled=True)

    async def _note_heard(self, job: Job, heard: Sequence[Callback]) -> None:
        """What a callback said beside our own read changes nothing; a foreign one is told.

        One that may name another task that cost something waits for the end.
        """
        own = [one for one in heard if is_of_own_task(job, one)]
        for callback in own:
            if hint_of(callback.body) != job.task_id:
                _log.warning(
                    "callback_rejected", fault="F-65", job=job.short_id, reason="foreign_task"
                )
        await self._bench.database.transact(
            inbox.mark_seen,
            callback_ids=[one.id for one in own],
            now_us=self._bench.clock.now_us(),
        )

    async def _apply(
        self, job: Job, decision: AfterPoll | AfterFetch, tries: Tries, *, polled: bool
    ) -> None:
        bench = self._bench
        if isinstance(decision, Fail):
            await fail_job(bench, job, decision)
            return
        assert isinstance(decision, Wait)
        await bench.database.transact(
            jobs.postpone,
            job_id=job.id,
            status=job.status,
            due_us=decision.due_us,
            progress=decision.progress,
            polled=polled,
            tries=tries,
            now_us=bench.clock.now_us(),
        )

    # --- The result ---------------------------------------------------------------------------

    async def _finish(self, job: Job, state: TaskState) -> None:
        """Secure the bytes first, settle then: what nobody can show is not paid (S-1)."""
        bench = self._bench
        patient = job.tries.fetches + 1 < FETCH_TRIES
        try:
            files = await self.secured(job, state, patient=patient)
        except (ResultUnavailable, ResultUnusable) as error:
            _log.warning(
                "result_not_secured",
                fault=_fault_of(error),
                job=job.short_id,
                error=type(error).__name__,
            )
            decision, tries = after_fetch(
                job, error, state, now_us=bench.clock.now_us(), rng=bench.rng
            )
            await self._apply(job, decision, tries, polled=True)
            return
        await self._settle(job, state, files)

    async def _settle(self, job: Job, state: TaskState, files: tuple[Artifact, ...]) -> None:
        reported = reported_cost(job, state.reported_credits)
        if reported is not None and reported.alarm:
            _log.error(
                "reported_price_rejected",
                fault="F-51",
                job=job.short_id,
                model=job.model,
                listed_ucr=job.cost_ucr,
                reported_ucr=reported.cost_ucr,
            )
        cost_ucr = job.cost_ucr if reported is None else reported.cost_ucr
        finished = await self._bench.database.transact(
            jobs.succeed,
            job_id=job.id,
            artifacts=files,
            cost_ucr=charge_ucr(cost_ucr, job.multiplier_ppm),
            now_us=self._bench.clock.now_us(),
        )
        if finished is not None:
            _log.info("job_succeeded", job=job.short_id, charged_ucr=finished.charged_ucr)

    async def secured(self, job: Job, state: TaskState, *, patient: bool) -> tuple[Artifact, ...]:
        """Fetch the results: every picture, the first film that is one.

        While `patient`, a missing picture of several is a reason to try again; else those that
        came are the result, and so are those that we have room for when the deadline is over.
        Raises `ResultUnavailable`, `ResultUnusable`.
        """
        state = self._with_end(job, state)
        found: dict[str, tuple[Fetched, str | None]] = {}
        errors: list[ResultUnavailable | ResultUnusable] = []
        for url in state.urls[:RESULT_FILES_MAX]:
            try:
                secure = partial(self._bench.fetcher.secure, url, kind=job.kind)
                fetched = await self._roomy(job, secure)
            except (ResultUnavailable, ResultUnusable) as error:
                errors.append(error)
                continue
            found.setdefault(fetched.sha256, (fetched, url))
            if job.kind is JobKind.VIDEO:
                return _artifacts(job, state, tuple(found.values()))
        if not found and state.has_content:  # the provider's own copy, once
            try:
                content = await self._roomy(job, partial(self._content, job, state))
            except (ResultUnavailable, ResultUnusable) as error:
                errors.append(error)
            else:
                return _artifacts(job, state, ((content, None),))
        if not found or (patient and self._may_bring_more(job, errors)):
            if found:  # they will be fetched again, and would only be in the way
                await self._remove([fetched.path for fetched, _url in found.values()])
            raise _worst(errors)
        return _artifacts(job, state, tuple(found.values()))

    def _with_end(self, job: Job, state: TaskState) -> TaskState:
        """Tasks name no end of their addresses, but they have one (providers.md 1.5).

        When a late task ended nobody says: not promised for longer than from the job's own end.
        """
        if state.expires_us is not None:
            return state
        now_us = self._bench.clock.now_us()
        ended_us = now_us if job.finished_us is None else min(now_us, job.finished_us)
        return replace(state, expires_us=ended_us + to_us(SOURCE_KEPT_S))

    def _may_bring_more(self, job: Job, errors: Sequence[AtelierError]) -> bool:
        """Whether trying again could bring more; room is waited for until the deadline."""
        is_over = self._bench.clock.now_us() >= job.deadline_us
        return any(
            isinstance(error, ResultUnavailable) and not (is_over and is_ours(error))
            for error in errors
        )

    async def _roomy(self, job: Job, fetch: Callable[[], Awaitable[Fetched]]) -> Fetched:
        """Fetch one result; a full folder gives way with what was delivered long ago (F-111)."""
        try:
            return await fetch()
        except ResultUnavailable as error:
            if NO_ROOM not in error.args or not await self._made_room(job):
                raise
        return await fetch()

    async def _made_room(self, job: Job) -> bool:
        """Drop the oldest delivered files, enough for one more result; False without any."""
        is_image = job.kind is JobKind.IMAGE
        names = await self._bench.database.transact(
            jobs.drop_oldest_files,
            bytes_min=RESULT_IMAGE_BYTES_MAX if is_image else RESULT_VIDEO_BYTES_MAX,
        )
        await self._remove(names)
        _log.warning("made_room", fault="F-111", job=job.short_id, files_removed=len(names))
        return bool(names)

    async def _remove(self, names: Collection[str]) -> None:
        try:
            await self._bench.folder.remove(names)
        except OSError as error:
            raise ResultUnavailable(NOT_STORED) from error

    async def _content(self, job: Job, state: TaskState) -> Fetched:
        """The bytes behind the provider's own `/content`, with our key.

        Where that points at another host, the guarded fetcher goes, without the key.
        """
        bench = self._bench
        try:
            provider: MediaProvider = bench.providers.for_provider(job.provider, model=job.model)
            async with provider.content(state.task_id or job.task_id or "") as content:
                if content.redirect_url is None:
                    return await bench.folder.keep(content.chunks, kind=job.kind)
                redirect_url = content.redirect_url
        except (ProviderError, ModelNotFound) as error:
            raise ResultUnavailable from error
        return await bench.fetcher.secure(redirect_url, kind=job.kind)


async def fail_job(bench: Bench, job: Job, decision: Fail) -> None:
    """End a job without a result, and give its hold back."""
    failed = await bench.database.transact(
        jobs.fail,
        job_id=job.id,
        failure=decision.failure,
        cause=cause_of(decision.failure),
        loss_ucr=decision.loss_ucr,
        looks=decision.looks,
        now_us=bench.clock.now_us(),
    )
    if failed is not None:
        _log.warning(
            "job_failed",
            job=job.short_id,
            failure=decision.failure,
            former=job.status,
            attempt=job.attempt,
            loss_ucr=decision.loss_ucr,
        )


def _fault_of(error: ResultUnavailable | ResultUnusable) -> str:
    if isinstance(error, ResultUnusable):
        return "F-55"
    return "F-111" if is_ours(error) else "F-53"


def _worst(errors: Sequence[ResultUnavailable | ResultUnusable]) -> AtelierError:
    """What could still come is worth another try, and ours is no try of the provider's.

    What is no picture never will be one.
    """
    passing = [error for error in errors if isinstance(error, ResultUnavailable)]
    ours = [error for error in passing if is_ours(error)]
    return next(iter((*ours, *passing, *errors)), ResultUnavailable())


def _artifacts(
    job: Job, state: TaskState, found: tuple[tuple[Fetched, str | None], ...]
) -> tuple[Artifact, ...]:
    stem = f"atelier-{job.short_id.lower()}"
    return tuple(
        Artifact(
            position=position,
            filename=f"{stem}-{position + 1}{fetched.extension}"
            if len(found) > 1
            else f"{stem}{fetched.extension}",
            content_type=fetched.content_type,
            size_bytes=fetched.size_bytes,
            sha256=fetched.sha256,
            path=fetched.path,
            source_url=url,
            source_expires_us=state.expires_us if url is not None else None,
        )
        for position, (fetched, url) in enumerate(found)
    )
