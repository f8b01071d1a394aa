"""Cards of jobs that are not over: kept up to date beside the mover, never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from bot.jobs.bench import Bench, Gate
from bot.jobs.books import CardPage, open_faces
from bot.limits import CARD_INTERVAL_S, CARD_REFRESHES_MAX, CARDS_PER_ROUND_MAX, CARDS_PER_S_MAX
from storage import jobs
from storage.errors import StorageError, StoreInUse
from storage.types import Job, JobStatus

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Face:
    """What a member would see change."""

    status: JobStatus
    progress: int | None
    place: int | None


class Refresher:
    """Shows at once where a job stands; how far it is, in rounds over all cards.

    A job that was moved is shown in its turn: its buttons say what can still be done with it.
    Progress and places change often: every `CARD_INTERVAL_S` at most, and only after changes.
    """

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._gate = Gate(bench.clock, per_s=CARDS_PER_S_MAX)
        self._free = asyncio.Semaphore(CARD_REFRESHES_MAX)
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()
        self._waiting: set[int] = set()
        """Moved jobs whose cards are to be shown."""
        self._busy: set[int] = set()
        """One at a time for each card, or an older face could come last."""
        self._shown: dict[int, _Face] = {}
        self._after_id = 0

    def note(self) -> None:
        """Something changed: progress, or places in the queue."""
        self._changed.set()

    def moved(self, job: Job) -> None:
        """A job stands elsewhere, or its card may not be on show yet (F-4)."""
        self._waiting.add(job.id)
        self._moved.set()
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled; what a former process left unsaid is said first (F-6)."""
        self._changed.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._loop(self._moved, self._show_moved, pause_s=0.0))
            group.create_task(self._loop(self._changed, self._round, pause_s=CARD_INTERVAL_S))

    async def _loop(
        self, bell: asyncio.Event, work: Callable[[], Awaitable[None]], *, pause_s: float
    ) -> None:
        while True:
            await bell.wait()
            bell.clear()
            try:
                await work()
            except StoreInUse:
                return
            except StorageError as error:
                _log.info("cards_not_read", error=type(error).__name__)
            except Exception:  # noqa: BLE001 - the next round may do better.
                _log.exception("cards_not_shown")
            await self._bench.clock.sleep(pause_s)

    async def _show_moved(self) -> None:
        waiting = self._waiting - self._busy
        self._waiting -= waiting
        await self._refresh(waiting)

    async def _round(self) -> None:
        """Look at one page of the cards on show, and show what differs."""
        page = await self._page()
        changed = {
            job.id
            for job in page.jobs
            if self._shown.get(job.id) != _face(job, page.places.get(job.id))
        }
        await self._refresh(changed - self._busy)

    async def _page(self) -> CardPage:
        read = self._bench.database.read
        page = await read(open_faces, after_id=self._after_id, limit=CARDS_PER_ROUND_MAX)
        if len(page.jobs) < CARDS_PER_ROUND_MAX:
            if self._after_id == 0:  # all of them: whoever is missing is over
                here = {job.id for job in page.jobs} | self._busy
                self._shown = {key: face for key, face in self._shown.items() if key in here}
            self._after_id = 0
        else:
            self._after_id = page.jobs[-1].id
            self._changed.set()
        return page

    async def _refresh(self, job_ids: set[int]) -> None:
        async with asyncio.TaskGroup() as group:
            for job_id in sorted(job_ids):
                self._busy.add(job_id)
                group.create_task(self._refresh_one(job_id))

    async def _refresh_one(self, job_id: int) -> None:
        try:
            async with self._free:
                await self._gate.passed()
                await self._bring_up_to_date(job_id)
        except StorageError as error:
            _log.info("card_not_read", job=job_id, error=type(error).__name__)
        finally:
            self._busy.discard(job_id)
            if job_id in self._waiting:
                self._moved.set()

    async def _bring_up_to_date(self, job_id: int) -> None:
        card = await self._bench.cards.of_id(job_id)
        face = _face(card.job, card.place)
        if card.job.outcome is not None:
            self._shown.pop(job_id, None)
            return
        if self._shown.get(job_id) == face:
            return
        message_id = await self._bench.delivery.show(card)
        if message_id is None:  # Discord is not there yet: nothing else may ever move this job
            self._changed.set()
            return
        self._shown[job_id] = face
        if message_id != card.job.card_message_id:
            await self._bench.database.transact(
                jobs.record_card, job_id=job_id, message_id=message_id
            )


def _face(job: Job, place: int | None) -> _Face:
    return _Face(status=job.status, progress=job.progress, place=place)
