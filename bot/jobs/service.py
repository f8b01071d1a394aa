"""What members do with jobs: ask for the price, order, look, cancel, once more.

Nothing here touches the provider or Discord: an order becomes a row with its hold, and the engine
does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.media import MediaModel
from bot.clock import Clock
from bot.errors import (
    JobNotCancellable,
    JobNotFound,
    NoRoom,
    NotOwner,
    Restarting,
    TaskUnreadable,
    TooManyJobs,
)
from bot.jobs.books import accept_job, cancel_job, name_task
from bot.jobs.cards import Cards
from bot.jobs.orders import Plan, models_of, plan
from bot.jobs.ports import Card, Order, Quote, ResultFolder
from bot.jobs.variations import Changes, Former, Press, Variation, vary
from bot.limits import CONFIRM_ABOVE_CREDITS, JOBS_PER_USER_MAX, JOBS_SHOWN_MAX
from bot.providers.breaker import Breakers
from bot.providers.classify import is_task_id
from storage import jobs, ledger
from storage.database import Store
from storage.types import UCR_PER_CREDIT, Allowance, Job, JobKind

__all__ = ["Changes", "JobService", "MediaModels", "Press", "Variation"]

_log = structlog.get_logger(__name__)

_SAME = Changes()


class MediaModels(Protocol):
    """Which models this installation can use; `MediaProviders` is one."""

    def available(self, model: MediaModel) -> bool: ...


class JobService:
    """Every method may raise `StoreUnavailable`; then nothing has changed."""

    def __init__(
        self,
        *,
        database: Store,
        catalogue: Catalogue,
        models: MediaModels,
        breakers: Breakers,
        allowance: Allowance,
        clock: Clock,
        cards: Cards,
        folder: ResultFolder,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._models = models
        self._breakers = breakers
        self._allowance = allowance
        self._clock = clock
        self._cards = cards
        self._folder = folder
        self._wake = wake
        self._closing = False

    def offered(self, kind: JobKind) -> tuple[MediaModel, ...]:
        """Return the models whose provider is set up, in the catalogue's order."""
        models = models_of(kind, self._catalogue).values()
        return tuple(model for model in models if self._models.available(model))

    async def quote(self, order: Order) -> Quote:
        """Return what it would cost; nothing is stored.

        Raises `ModelUnknown`, `ModelOff`, `PromptEmpty`, `PromptTooLong`, `RequestInvalid`,
        `ProviderPaused`, `NoRoom`.
        """
        planned = self._plan(order)
        await self._check_room(order.kind)
        balance = await self._database.transact(
            ledger.balance,
            user_id=order.user_id,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )
        return Quote(
            model_id=planned.model.id,
            model_label=planned.model.label,
            price_ucr=planned.price_ucr,
            available_ucr=balance.available_ucr,
            needs_confirmation=planned.price_ucr > CONFIRM_ABOVE_CREDITS * UCR_PER_CREDIT,
        )

    async def request(self, order: Order) -> Job:
        """Accept an order: the job and its hold in one transaction, once per `reference`.

        Raises what `quote` raises, `TooManyJobs`, `InsufficientCredits`, `Duplicate` (the first
        one stands), `Restarting`.
        """
        if self._closing:
            raise Restarting
        planned = self._plan(order)
        await self._check_room(order.kind)
        now_us = self._clock.now_us()
        job = await self._database.transact(
            accept_job,
            job=planned.new_job(now_us=now_us),
            open_max=JOBS_PER_USER_MAX,
            allowance=self._allowance,
            now_us=now_us,
        )
        if job is None:
            raise TooManyJobs(limit=JOBS_PER_USER_MAX)
        _log.info("job_accepted", job=job.short_id, model=job.model, price_ucr=job.price_ucr)
        self._wake()
        return job

    async def cancel(
        self, short_id: str, *, user_id: int, staff: bool, guild_id: int | None
    ) -> Job:
        """End a job that the provider does not have, and give its credits back.

        An unclear one (`UNKNOWN`) may be ended too: *give my credits back now*. `staff` counts in
        the job's own server only. Raises `JobNotFound`, `NotOwner`, `JobNotCancellable`.
        """
        job = await self._get(short_id)
        if not _may(job, user_id=user_id, staff=staff, guild_id=guild_id):
            raise NotOwner
        cancelled = await self._database.transact(
            cancel_job, job=job, actor_id=user_id, now_us=self._clock.now_us()
        )
        if cancelled is None:
            raise JobNotCancellable(job=await self._get(short_id))
        _log.info("job_cancelled", job=job.short_id, former=job.status)
        self._wake()
        return cancelled

    async def bind(
        self, short_id: str, task_id: str, *, actor_id: int, guild_id: int, reference: str
    ) -> Job:
        """Name a task for a job of staff's own server (section 5, evidence d).

        It is a hint like a callback's: the engine reads the task itself, and only what it confirms
        counts. `reference` makes it happen once. Raises `JobNotFound`, `TaskUnreadable`.
        """
        job = await self._get(short_id)
        if job.guild_id != guild_id:
            raise JobNotFound
        if not is_task_id(task_id):
            raise TaskUnreadable
        await self._database.transact(
            name_task,
            job=job,
            task_id=task_id,
            actor_id=actor_id,
            reference=reference,
            now_us=self._clock.now_us(),
        )
        _log.warning("task_named", job=job.short_id, actor=actor_id, status=job.status)
        self._wake()
        return job

    async def show(self, short_id: str, *, user_id: int, staff: bool, guild_id: int | None) -> Card:
        """Return a job's card. Raises `JobNotFound`, also for a job of somebody else."""
        job = await self._get(short_id)
        if not _may(job, user_id=user_id, staff=staff, guild_id=guild_id):
            raise JobNotFound
        return await self._cards.of(job)

    async def list(self, user_id: int, *, before_id: int | None = None) -> tuple[Card, ...]:
        """Return the member's jobs, newest first; at most `JOBS_SHOWN_MAX`, older than an id."""
        found = await self._database.read(
            jobs.list_for, user_id=user_id, limit=JOBS_SHOWN_MAX, before_id=before_id
        )
        return tuple([await self._cards.of(job) for job in found])

    def label_of(self, job: Job) -> str:
        """Return the name of the job's model for members."""
        return self._cards.label_of(job)

    async def card_of(self, job: Job) -> Card:
        """Return everything the job's card shows now."""
        return await self._cards.of(job)

    async def show_at(self, job: Job, *, message_id: int) -> None:
        """Remember which message is the job's card."""
        await self._database.transact(jobs.record_card, job_id=job.id, message_id=message_id)

    async def again(
        self,
        short_id: str,
        press: Press,
        *,
        variation: Variation = Variation.AGAIN,
        changes: Changes = _SAME,
    ) -> Order:
        """Return the order for one more job like this one; the presser orders it and pays.

        For the owner and the staff of the job's server. Raises `JobNotFound`, `NotOwner`,
        `ResultUnavailable` (the result it builds on is gone), `RequestInvalid`.
        """
        job = await self._get(short_id)
        if not _may(job, user_id=press.user_id, staff=press.staff, guild_id=press.guild_id):
            raise NotOwner
        artifacts = await self._database.read(jobs.artifacts_of, job_id=job.id)
        return vary(
            Former(job=job, artifacts=artifacts),
            variation,
            changes,
            press,
            catalogue=self._catalogue,
            available=self._models.available,
            now_us=self._clock.now_us(),
        )

    def close(self) -> None:
        """Take no new orders (S-11)."""
        self._closing = True

    def _plan(self, order: Order) -> Plan:
        """Judge an order; refused while its provider is paused, before any hold (S-13)."""
        planned = plan(order, self._catalogue, self._models.available)
        self._breakers.of(planned.model.provider).check()
        return planned

    async def _check_room(self, kind: JobKind) -> None:
        """Refuse what could not be kept; files that were delivered give way to it (F-111)."""
        missing_bytes: int | None
        try:
            missing_bytes = await self._folder.missing_bytes(kind)
        except OSError:
            missing_bytes = None
        if missing_bytes == 0:
            return
        if missing_bytes is None or missing_bytes > await self._database.read(jobs.droppable_bytes):
            _log.error("order_refused", fault="F-111", missing_bytes=missing_bytes)
            raise NoRoom(missing_bytes=missing_bytes)

    async def _get(self, short_id: str) -> Job:
        job = await self._database.read(jobs.by_short_id, short_id=short_id)
        if job is None:
            raise JobNotFound
        return job


def _may(job: Job, *, user_id: int, staff: bool, guild_id: int | None) -> bool:
    """Staff of one server have no say in another, nor in direct messages."""
    return job.user_id == user_id or (staff and guild_id is not None and job.guild_id == guild_id)
