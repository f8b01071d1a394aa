"""Gathers what a job's card shows."""

from __future__ import annotations

from pathlib import Path

from bot.catalogue.catalogue import Catalogue
from bot.clock import Clock
from bot.jobs.books import CardFacts, card_facts
from bot.jobs.failures import error_of
from bot.jobs.ports import Card, ResultFolder
from bot.limits import CREATES_PER_PROVIDER_MAX
from storage import ledger
from storage.database import Store
from storage.types import Allowance, Job, JobStatus


class Cards:
    """One reading of the books for each card; nothing is kept."""

    def __init__(
        self,
        *,
        database: Store,
        catalogue: Catalogue,
        allowance: Allowance,
        clock: Clock,
        folder: ResultFolder,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._allowance = allowance
        self._clock = clock
        self._folder = folder

    async def of(self, job: Job) -> Card:
        """Return the card of a job as it stands now. Raises `StoreUnavailable`."""
        return await self.of_id(job.id)

    async def of_id(self, job_id: int) -> Card:
        """Return the card of a job by its number. Raises `StoreUnavailable`."""
        facts = await self._database.read(card_facts, job_id=job_id)
        assert facts is not None, "rows of jobs stay for ever"
        job = facts.job
        return Card(
            job=job,
            model_label=self.label_of(job),
            place=facts.place,
            expected_us=self._expected_us(facts),
            error=error_of(job),
            artifacts=facts.artifacts,
            result_paths=tuple(self._path(artifact.path) for artifact in facts.artifacts),
            available_ucr=None if job.outcome is None else await self._available_ucr(job),
        )

    def label_of(self, job: Job) -> str:
        """A model that has left the catalogue keeps its id."""
        for models in (self._catalogue.image_models, self._catalogue.video_models):
            if (model := models.get(job.model)) is not None:
                return model.label
        return job.model

    def _path(self, name: str | None) -> Path | None:
        return None if name is None else self._folder.path_of(name)

    def _expected_us(self, facts: CardFacts) -> int | None:
        """Learned from former jobs only, and silent once it has proved wrong."""
        job, usual_us = facts.job, facts.usual_us
        if usual_us is None:
            return None
        now_us = self._clock.now_us()
        if job.status is JobStatus.QUEUED:
            rounds = 1 + ((facts.place or 1) - 1) // CREATES_PER_PROVIDER_MAX
            return now_us + usual_us * rounds
        if job.status in {JobStatus.SUBMITTING, JobStatus.RUNNING} and job.submitted_us is not None:
            expected_us = job.submitted_us + usual_us
            return expected_us if expected_us > now_us else None
        return None

    async def _available_ucr(self, job: Job) -> int:
        balance = await self._database.transact(
            ledger.balance,
            user_id=job.user_id,
            allowance=self._allowance,
            now_us=self._clock.now_us(),
        )
        return balance.available_ucr
