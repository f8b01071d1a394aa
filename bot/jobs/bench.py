"""What the parts of the engine share: the world around them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.media import MediaModel
from bot.clock import Clock
from bot.jobs.cards import Cards
from bot.jobs.ports import Delivery, Fetcher, ResultFolder
from bot.jobs.schedule import Facts, to_us
from bot.limits import POLLS_PER_S_MAX
from bot.providers.base import FetchImage, MediaProvider
from bot.providers.breaker import Breakers
from storage import jobs
from storage.database import Store
from storage.types import Job


class Providers(Protocol):
    """Who speaks for a stored job; `MediaProviders` is one."""

    def for_provider(self, provider: str, *, model: str | None = None) -> MediaProvider:
        """Return it. Raises `ModelNotFound` when the provider is off."""
        ...


CallbackUrl = Callable[[int, int], str | None]
"""(job id, attempt) -> where the provider reports its end; None without PUBLIC_URL."""


class Gate:
    """Spaces what many do: at most `per_s` pass in a second, each in its turn."""

    def __init__(self, clock: Clock, *, per_s: float) -> None:
        self._clock = clock
        self._per_s = per_s
        self._next_s = 0.0

    async def passed(self) -> None:
        """Return when it is this caller's turn."""
        now_s = self._clock.monotonic_s()
        turn_s = max(self._next_s, now_s)
        self._next_s = turn_s + 1 / self._per_s
        if turn_s > now_s:
            await self._clock.sleep(turn_s - now_s)


class PollGate(Gate):
    """Spaces the reads of all jobs together (S-5)."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, per_s=POLLS_PER_S_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """`fetch_image` brings a member's picture, guarded, to protocols that fetch nothing."""

    database: Store
    catalogue: Catalogue
    providers: Providers
    fetcher: Fetcher
    folder: ResultFolder
    delivery: Delivery
    cards: Cards
    clock: Clock
    rng: random.Random
    gate: PollGate
    callback_url: CallbackUrl
    breakers: Breakers
    fetch_image: FetchImage | None = None

    def model_of(self, job: Job) -> MediaModel | None:
        """The job's model, None when it has left the catalogue since."""
        models = self.catalogue.image_models.get(job.model)
        return models or self.catalogue.video_models.get(job.model)

    def wire_id_of(self, job: Job) -> str:
        model = self.model_of(job)
        return job.model if model is None else model.wire_id

    def callback_url_of(self, job: Job) -> str | None:
        """Where this attempt's task reports; None where the protocol or the operator has none."""
        model = self.model_of(job)
        if model is None or not model.calls_back:
            return None
        return self.callback_url(job.id, max(job.attempt, 1))  # before the first: as for it

    async def facts_of(self, job: Job) -> Facts:
        """What the machine is told beside the row. May raise `StoreUnavailable`."""
        learned = await self.database.read(jobs.durations, model=job.model)
        return Facts(
            usual_us=None if learned is None else learned.median_us,
            slowest_us=None if learned is None else learned.p99_us,
            reachable=self.callback_url_of(job) is not None,
        )

    def in_us(self, delay_s: float) -> int:
        """The moment after a delay, in Unix microseconds."""
        return self.clock.now_us() + to_us(delay_s)
