"""Cards of jobs that are not over: kept up to date beside the mover, never in its way."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from bot.jobs.bench import Bench
from bot.jobs.ports import Card
from bot.limits import CARD_INTERVAL_S, CARD_REFRESHES_MAX, CARDS_PER_ROUND_MAX
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
    """Rounds over the cards on show, at most one per `CARD_INTERVAL_S`, only after changes."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._changed = asyncio.Event()
        self._noted: dict[int, Job] = {}
        self._shown: dict[int, _Face] = {}

    def note(self, job: Job | None = None) -> None:
        """Something moved; with `job`, one whose card may not be on show yet (F-4)."""
        if job is not None and len(self._noted) < CARDS_PER_ROUND_MAX:
            self._noted[job.id] = job
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._round()
            except StoreInUse:
                return
            except StorageError as error:
                _log.info("cards_not_read", error=type(error).__name__)
            except Exception:  # noqa: BLE001 - the next round may do better.
                _log.exception("cards_not_shown")
            await self._bench.clock.sleep(CARD_INTERVAL_S)

    async def _round(self) -> None:
        noted, self._noted = self._noted, {}
        on_show = await self._bench.database.read(jobs.open_cards, limit=CARDS_PER_ROUND_MAX)
        cards = noted | {job.id: job for job in on_show}
        self._shown = {job_id: face for job_id, face in self._shown.items() if job_id in cards}
        free = asyncio.Semaphore(CARD_REFRESHES_MAX)
        async with asyncio.TaskGroup() as group:
            for job in cards.values():
                group.create_task(self._refresh(job, free))

    async def _refresh(self, job: Job, free: asyncio.Semaphore) -> None:
        async with free:
            try:
                await self._bring_up_to_date(job)
            except StorageError as error:
                _log.info("card_not_read", job=job.short_id, error=type(error).__name__)

    async def _bring_up_to_date(self, job: Job) -> None:
        card = await self._bench.cards.of(job)
        face = _face(card)
        if card.job.outcome is not None or self._shown.get(job.id) == face:
            return
        message_id = await self._bench.delivery.show(card)
        self._shown[job.id] = face
        if message_id is not None and message_id != card.job.card_message_id:
            await self._bench.database.transact(
                jobs.record_card, job_id=job.id, message_id=message_id
            )


def _face(card: Card) -> _Face:
    return _Face(status=card.job.status, progress=card.job.progress, place=card.place)
