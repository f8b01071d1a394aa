"""Outcomes into Discord: tried until a sink has it, and then written down (S-7)."""

from __future__ import annotations

import structlog

from bot.jobs.bench import Bench
from bot.jobs.books import record_outcome
from bot.jobs.machine import after_postponed
from bot.jobs.ports import Delivered, DeliveryPostponed
from storage import jobs
from storage.types import Job, JobStatus, Sink

_log = structlog.get_logger(__name__)


class Deliverer:
    """Shows first and writes then: a crash in between shows the same once more, in place."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._unwritten: dict[int, Delivered] = {}
        """By job: what a sink has, and the database did not take yet."""

    async def deliver(self, job: Job, *, to_list: bool) -> None:
        """Bring a finished job to its member. May raise `StorageError`."""
        bench = self._bench
        delivered = self._unwritten.get(job.id)
        if delivered is None:
            delivered = Delivered(sink=Sink.LIST) if to_list else await self._try(job)
        if delivered is None:
            return
        # Shown once more, it could end in another sink, and stand in two places (I-23).
        self._unwritten[job.id] = delivered
        recorded = await bench.database.transact(
            record_outcome, job_id=job.id, delivered=delivered, now_us=bench.clock.now_us()
        )
        self._unwritten.pop(job.id, None)
        if recorded is not None:
            _log.info("job_delivered", job=job.short_id, sink=delivered.sink, outcome=job.outcome)
            await self._remove(recorded.unneeded)

    async def _remove(self, names: tuple[str, ...]) -> None:
        """What stands in Discord is not kept here; what is left over goes at the next start."""
        try:
            if names:
                await self._bench.folder.remove(names)
        except OSError as error:
            _log.warning("files_not_removed", error=type(error).__name__, count=len(names))

    async def _try(self, job: Job) -> Delivered | None:
        bench = self._bench
        card = await bench.cards.of(job)
        if card.job.status is not JobStatus.FINISHED:  # a stale timer (S-7): it was done meanwhile
            return None
        is_away = False
        try:
            return await bench.delivery.deliver(card)
        except DeliveryPostponed as postponed:
            retry_after_s, is_away = postponed.retry_after_s, postponed.is_away
            _log.info("delivery_postponed", job=job.short_id, retry_after_s=retry_after_s)
        except Exception:  # noqa: BLE001 - our mistake; the outcome still belongs to the member.
            _log.exception("delivery_broke", job=job.short_id)
            retry_after_s = 0.0
        wait = after_postponed(
            job,
            retry_after_s=retry_after_s,
            is_away=is_away,
            now_us=bench.clock.now_us(),
            rng=bench.rng,
        )
        await bench.database.transact(
            jobs.postpone,
            job_id=job.id,
            status=job.status,
            due_us=wait.due_us,
            now_us=bench.clock.now_us(),
        )
        return None
