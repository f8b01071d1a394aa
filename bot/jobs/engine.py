"""The only mover of jobs (architecture.md, idea 2).

    claim what is due, under a lease → decide (`machine`) → act → write it down → let go

Everybody else records what they saw and rings the bell. Nothing is recovered at a start: whatever
was left is due work, and a `submitting` row without its process is a doubt (F-6), never a repeat.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress

import structlog

from bot.jobs.bench import Bench
from bot.jobs.books import Claim, claim_work, let_go
from bot.jobs.delivering import Deliverer
from bot.jobs.evidence import Adopted, Evidence, Later, waits_for_evidence
from bot.jobs.housekeeping import Housekeeper
from bot.jobs.late import Latecomers
from bot.jobs.machine import (
    Deliver,
    Doubt,
    Fail,
    Poll,
    Step,
    Submit,
    Wait,
    after_stumble,
    next_step,
)
from bot.jobs.refreshing import Refresher
from bot.jobs.schedule import US_PER_S, Facts, to_us
from bot.jobs.submitting import Submitter
from bot.jobs.watching import Watcher, fail_job
from bot.limits import (
    CREATE_SLOT_DELAY_S,
    CREATES_PER_PROVIDER_MAX,
    JOB_LEASE_S,
    JOB_STEPS_MAX,
    JOB_SWEEP_S,
    SHUTDOWN_TELL_S,
    SHUTDOWN_WAIT_S,
    STORE_TROUBLE_DELAY_S,
)
from storage import jobs
from storage.errors import StorageError, StoreInUse
from storage.types import Job, JobStatus, Tries

_log = structlog.get_logger(__name__)


class Engine:
    """Moves jobs from acceptance to delivery, and survives being stopped anywhere."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._watcher = Watcher(bench)
        self._evidence = Evidence(bench, self._watcher)
        self._latecomers = Latecomers(bench, self._watcher)
        self._deliverer = Deliverer(bench)
        self._refresher = Refresher(bench)
        self._housekeeper = Housekeeper(bench)
        self._bell = asyncio.Event()
        self._submitter = Submitter(
            bench, self._evidence, moved=self._bell.set, begun=self._refresher.moved
        )
        self._rung: dict[int, asyncio.Event] = {}
        """One for each create in flight: a callback may come before its answer."""
        self._creates: dict[int, tuple[str, asyncio.Task[None]]] = {}
        """By job: the provider, and the task that waits for its answer."""
        self._steps: dict[int, asyncio.Task[None]] = {}
        self._claimed_twice: set[int] = set()
        self._mover: asyncio.Task[None] | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False

    # --- From outside -------------------------------------------------------------------------

    def wake(self) -> None:
        """Look now: a job was accepted or cancelled, or a callback was stored."""
        self._bell.set()
        for rung in self._rung.values():
            rung.set()

    async def start(self) -> None:
        """Take over what a former process left, and begin. May raise `StorageError`."""
        await self._housekeeper.take_over()
        self._mover = asyncio.create_task(self._run())
        self._loops = [
            self._mover,
            asyncio.create_task(self._refresher.run()),
            asyncio.create_task(self._housekeeper.run()),
        ]

    async def close(self) -> None:
        """Let creates in flight be answered, they are the dangerous ones; cut the rest (S-11)."""
        self._closing = True
        self._bell.set()
        if self._creates:
            _log.info("waiting_for_creates", count=len(self._creates), wait_s=SHUTDOWN_WAIT_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_WAIT_S):
                while dangerous := self._dangerous():
                    await asyncio.wait(dangerous)
        if steps := list(self._steps.values()):
            await asyncio.wait(steps, timeout=SHUTDOWN_TELL_S)
        left = [task for _provider, task in self._creates.values()]
        left += [*self._steps.values(), *self._loops]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _dangerous(self) -> list[asyncio.Task[None]]:
        """What must not be cut: the creates, and who might begin one."""
        found = [task for _provider, task in self._creates.values()]
        if self._mover is not None:
            found.append(self._mover)
        return [task for task in found if not task.done()]

    # --- The loop -----------------------------------------------------------------------------

    async def _run(self) -> None:
        while not self._closing:
            self._bell.clear()
            try:
                pause_s = await self._turn()
            except StoreInUse:
                _log.error("engine_fenced", fault="F-119")
                return
            except StorageError as error:
                _log.warning("engine_waits", fault="F-110", error=type(error).__name__)
                pause_s = STORE_TROUBLE_DELAY_S
            except Exception:  # noqa: BLE001 - a mover that stops is the worst mistake of all.
                _log.exception("engine_broke")
                pause_s = STORE_TROUBLE_DELAY_S
            await self._rest(pause_s)

    async def _turn(self) -> float:
        """Begin to move what is due; how long nothing else can be."""
        next_us = await self._bench.database.read(jobs.next_due_us)
        while next_us is not None and next_us <= self._bench.clock.now_us():
            free = JOB_STEPS_MAX - len(self._steps)
            if free <= 0:
                return CREATE_SLOT_DELAY_S
            claim = await self._claim(free)
            for job in claim.jobs:
                if self._closing:  # its lease is let go at the next start
                    return 0.0
                await self._take(job)
            if not claim.jobs:
                # Nothing of what is due can be claimed while every create is taken.
                return CREATE_SLOT_DELAY_S
            next_us = claim.next_due_us
        if next_us is None:
            return JOB_SWEEP_S
        return min((next_us - self._bench.clock.now_us()) / US_PER_S, JOB_SWEEP_S)

    async def _claim(self, free: int) -> Claim:
        return await self._bench.database.transact(
            claim_work,
            lease_us=to_us(JOB_LEASE_S),
            limit=free,
            creates_max=CREATES_PER_PROVIDER_MAX,
            creates=Counter(provider for provider, _task in self._creates.values()),
            now_us=self._bench.clock.now_us(),
        )

    async def _rest(self, pause_s: float) -> None:
        sleeping = asyncio.create_task(self._bench.clock.sleep(pause_s))
        ringing = asyncio.create_task(self._bell.wait())
        try:
            await asyncio.wait({sleeping, ringing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            ringing.cancel()

    async def _take(self, job: Job) -> None:
        """Begin to move a claimed job, unless that is being done."""
        if job.id in self._steps:
            self._claimed_twice.add(job.id)
        elif job.id in self._creates:
            if job.status in {JobStatus.QUEUED, JobStatus.SUBMITTING}:
                self._claimed_twice.add(job.id)
            else:  # adopted while its answer is awaited
                self._begin_step(job)
        elif job.status is JobStatus.QUEUED and not self._has_slot(job.provider):
            await self._postpone(job, Wait(due_us=self._bench.in_us(CREATE_SLOT_DELAY_S)))
        elif job.status is JobStatus.QUEUED:
            self._begin_create(job)
        else:
            self._begin_step(job)

    def _has_slot(self, provider: str) -> bool:
        taken = sum(provider == other for other, _task in self._creates.values())
        return taken < CREATES_PER_PROVIDER_MAX

    def _begin_step(self, job: Job) -> None:
        task = asyncio.create_task(self._run_step(job))
        self._steps[job.id] = task
        task.add_done_callback(_look_at)

    async def _run_step(self, job: Job) -> None:
        try:
            await self._guarded(job, self._step(job))
        finally:
            del self._steps[job.id]
        await self._moved(job)

    def _begin_create(self, job: Job) -> None:
        task = asyncio.create_task(self._run_create(job))
        self._creates[job.id] = (job.provider, task)
        task.add_done_callback(_look_at)

    async def _run_create(self, job: Job) -> None:
        rung = self._rung[job.id] = asyncio.Event()
        try:
            await self._guarded(job, self._queued(job, rung))
        finally:
            del self._creates[job.id]
            del self._rung[job.id]
        await self._moved(job)

    # --- One job ------------------------------------------------------------------------------

    async def _guarded(self, job: Job, work: Coroutine[object, object, None]) -> None:
        """Whatever happens to one job, the others go on."""
        if job.card_message_id is None:
            self._refresher.moved(job)
        try:
            await work
            if job.tries.stumbles:
                await self._note_stumbles(job, 0)  # only those in a row count
        except StorageError as error:
            # The lease ends soon enough; until then the database has time to recover.
            _log.warning(
                "job_not_moved", fault="F-110", job=job.short_id, error=type(error).__name__
            )
        except Exception:  # noqa: BLE001 - one job's trouble is not the others'.
            _log.exception("step_broke", job=job.short_id, status=job.status)
            await self._stumbled(job)

    async def _moved(self, job: Job) -> None:
        """A lease that was taken once more meanwhile is ended, or the next move would wait."""
        if job.id in self._claimed_twice:
            self._claimed_twice.discard(job.id)
            try:
                await self._bench.database.transact(
                    let_go, job_id=job.id, now_us=self._bench.clock.now_us()
                )
            except StorageError as error:
                _log.info("lease_not_ended", job=job.short_id, error=type(error).__name__)
        if job.status in {JobStatus.RUNNING, JobStatus.FINISHED, JobStatus.DELIVERED}:
            self._refresher.note()  # where it goes from there, its delivery shows
        else:
            self._refresher.moved(job)
        self._bell.set()

    async def _step(self, job: Job) -> None:
        looked = await self._evidence.look(job.id) if waits_for_evidence(job) else None
        if isinstance(looked, Adopted):
            await self._watcher.act(looked.job, looked.state)
        elif job.status is JobStatus.DELIVERED:
            await self._after_late(job, looked)
        else:
            await self._decide(job, looked)

    async def _after_late(self, job: Job, looked: Later | None) -> None:
        """A job that is over is let go for good, unless a callback waits or its task still runs."""
        if looked is not None:
            await self._postpone(job, looked)
        elif job.looks > 0:
            await self._postpone(job, await self._latecomers.watch(job))
        else:
            await self._postpone(job, Wait(due_us=job.due_us))

    async def _decide(self, job: Job, looked: Later | None) -> None:
        """The one `match` over what can be done with a job."""
        bench = self._bench
        decision = await self._next(job)
        match decision:
            case Poll():
                await self._watcher.poll(job)
            case Deliver(to_list=to_list):
                await self._deliverer.deliver(job, to_list=to_list)
            case Doubt():
                await self._submitter.doubt(job, decision)
            case Fail():
                await fail_job(bench, job, decision)
            case Wait():
                sooner = looked is not None and looked.due_us < decision.due_us
                await self._postpone(job, looked if looked and sooner else decision)
            case Submit():
                raise AssertionError("queued jobs take a create's slot first")

    async def _next(self, job: Job) -> Step:
        bench = self._bench
        # Only a doubt hangs on what was learned.
        is_doubt = job.status is JobStatus.SUBMITTING
        facts = await bench.facts_of(job) if is_doubt else Facts()
        return next_step(job, facts, now_us=bench.clock.now_us())

    async def _queued(self, job: Job, rung: asyncio.Event) -> None:
        """Send it, unless its time is over, or a callback tells that it was sent all the same."""
        looked = await self._evidence.look(job.id) if waits_for_evidence(job) else None
        if isinstance(looked, Adopted):
            await self._watcher.act(looked.job, looked.state)
            return
        decision = await self._next(job)
        if isinstance(decision, Fail):
            # The deadline goes before what may still be heard: that comes late, and is taken (S-6).
            await fail_job(self._bench, job, decision)
        elif isinstance(looked, Later):
            await self._postpone(job, Later(due_us=min(looked.due_us, job.deadline_us)))
        elif isinstance(decision, Wait):
            await self._postpone(job, decision)
        elif not self._closing:
            assert isinstance(decision, Submit)
            await self._submitter.submit(job, rung)

    async def _postpone(self, job: Job, until: Wait | Later, *, tries: Tries | None = None) -> None:
        await self._bench.database.transact(
            jobs.postpone,
            job_id=job.id,
            status=job.status,
            due_us=until.due_us,
            tries=tries,
            now_us=self._bench.clock.now_us(),
        )

    async def _note_stumbles(self, job: Job, stumbles: int) -> None:
        await self._bench.database.transact(jobs.note_stumbles, job_id=job.id, stumbles=stumbles)

    async def _stumbled(self, job: Job) -> None:
        """A mistake of ours: later again, and not for ever."""
        bench = self._bench
        try:
            now = await bench.database.read(jobs.get, job_id=job.id)
            assert now is not None
            decision, tries = after_stumble(now, now_us=bench.clock.now_us())
            if isinstance(decision, Fail):
                await fail_job(bench, now, decision)
            elif now.status is JobStatus.SUBMITTING:
                await self._note_stumbles(now, tries.stumbles)
            else:
                await self._postpone(now, decision, tries=tries)
        except StorageError as error:
            _log.warning(
                "job_not_moved", fault="F-110", job=job.short_id, error=type(error).__name__
            )


def _look_at(task: asyncio.Task[None]) -> None:
    """An ended task's error was logged where it happened; a cancelled one has none."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("step_lost", error=type(error).__name__)
