"""One world: a bot that is killed and started again, everything around it, and the checker.

    world = World(seed, ground)
    report = world.run()

Faults and crashes until the weather clears; then members order once more, everything must come to
rest in time, and all promises are asked.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast

from aiohttp import web

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loader import load
from bot.chat.service import ChatService
from bot.credits.service import CreditsService
from bot.jobs.bell import Bell
from bot.jobs.bench import Bench, PollGate
from bot.jobs.cards import Cards
from bot.jobs.engine import Engine
from bot.jobs.service import JobService
from bot.jobs.sinks import Sinks
from bot.providers.breaker import Breakers
from bot.web.callbacks import CallbackRoute
from bot.web.intake import Intake
from bot.web.signatures import CallbackSigner
from storage import budgets, jobs, locks
from storage.errors import StorageError, StoreInUse
from storage.types import UCR_PER_CREDIT, Allowance, Budget
from tests.simulation.callbacks import NO_ANSWER, Callbacks
from tests.simulation.chat import ProcessChat, Screen, Talks
from tests.simulation.checker import Checker
from tests.simulation.crashes import Crashes
from tests.simulation.discord import Discord, ProcessMessages
from tests.simulation.faults import DATABASE, Fault, Weather
from tests.simulation.files import Disk, ProcessFiles
from tests.simulation.ground import Ground
from tests.simulation.invariants import Broken
from tests.simulation.job_promises import READS_APART_S
from tests.simulation.loop import (
    COMMITS_PER_MINUTE_MAX,
    START_US,
    Overdue,
    Runaway,
    Stuck,
    VirtualLoop,
    is_crash,
)
from tests.simulation.members import RUSH_S, Command, Crowd, Desk, drawn_commands, rush
from tests.simulation.pauses import Pauses
from tests.simulation.ports import ProcessProvider
from tests.simulation.process import Process, ProcessClock, ProcessStore
from tests.simulation.provider import PROVIDER, Provider, Task
from tests.simulation.report import Report, Spared
from tests.simulation.request import PostedRequest
from tests.simulation.scene import Scene
from tests.simulation.trace import Trace, logged
from tests.simulation.witness import Acknowledged, Witness, named_in

CATALOGUE: Catalogue = load(None)
PUBLIC_URL = "https://bot.example"
KEYS = (b"k" * 32,)
STARTS_S = (1.0,) * 12 + (5.0, 20.0, 60.0, 60.0, 110.0, 130.0, 400.0, 2_000.0, 7_200.0)
"""How long the bot is away after a crash (F-16)."""
STOP_S_MAX = 60.0
"""S-11: 25 s for answers, 5 s to tell them, and what a locked database may take."""
AUDITED_EVERY = 6
"""Starts between two audits of the whole database; the checker itself looks after each commit."""
TRIES_S = 90.0
"""A member whom nobody answers tries once more after this time."""
COMMANDS = (6, 12)
"""So many commands has a world, until the weather clears."""
RUSH = 16
"""So many has one of those in which they come at once."""
SLACK_S = 0.5
"""What the bot's transactions take in this world."""
LEASE_S = 30.0
"""A job whose step the database broke off is moved again so much later (F-110)."""
STORED_WITHIN_S = 2.0
"""In calm weather a callback is stored so soon before it is acknowledged."""
RUSH_SHARE = 0.15
"""Of the worlds: many order within a minute while the provider does not answer well (S-13)."""
_BROWN_OUT = (Fault.LOST_MADE, Fault.LOST_NOT_MADE, Fault.HTML, Fault.NO_BALANCE, Fault.BAD_KEY)
HAUNTED_SHARE = 0.15
"""Of the starts: the process before was not dead."""
BUDGET_EVERY = 5
"""Worlds between two in which the operator has set how much all members together may spend."""
BUDGET_UCR = 12 * UCR_PER_CREDIT
"""Enough for what most worlds order, and not for all at once."""
MULTIPLIERS_PPM = (1_000_000, 1_250_000, 1_500_000, 700_000)
OVER_S = 6 * 3_600.0
"""A world that has not come to rest so long after the faults is stuck."""
OUR_MISTAKES = frozenset({"engine_fenced", "step_lost"})
"""Log lines that only a bug of ours can cause, beside every one that carries a traceback."""
NOT_OURS = frozenset({"turn_not_booked"})
"""Those with a traceback that a broken database causes."""


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, ground: Ground, *, spared: Spared | None = None) -> None:
        spared = spared or Spared()
        ground.reset()
        self.seed = seed
        self._ground = ground
        self._loop = VirtualLoop()
        self.trace = Trace(self._loop.time)
        draw = random.Random(seed)
        self._until_s = draw.choice((600.0, 1_800.0, 3_600.0, 7_200.0))
        self.weather = Weather(_child(draw), until_s=self._until_s, number=seed)
        is_rush = draw.random() < RUSH_SHARE
        self._commands = self._drawn(_child(draw), spared, is_rush=is_rush)
        self.weather.spare(spared.faults)
        self._allowance = Allowance(amount_ucr=draw.choice((10, 30, 200)) * UCR_PER_CREDIT)
        has_budget = seed % BUDGET_EVERY == 2
        ceiling_ucr = BUDGET_UCR if has_budget else None
        self._budget = Budget(day_ucr=ceiling_ucr, month_ucr=ceiling_ucr, timezone="UTC")
        self._catalogue = replace(CATALOGUE, multiplier_ppm=draw.choice(MULTIPLIERS_PPM))
        self._is_public = draw.random() < 0.8
        self._rng = _child(draw)
        self.witness = Witness()
        self.talks = Talks()
        self._scene = Scene(
            loop=self._loop, weather=self.weather, rng=_child(draw), trace=self.trace
        )
        self.provider = Provider(self._scene)
        self.discord = Discord(self._scene)
        self._disk = Disk(self._scene)
        self._callbacks = Callbacks(
            self._scene, self.provider, witness=self.witness, post=self._post
        )
        self.checker = Checker(ground, witness=self.witness, provider=self.provider)
        self.checker.books.multiplier_ppm = self._catalogue.multiplier_ppm
        self.checker.books.capped_spans = tuple(self._budget.ceilings())
        self._crowd = Crowd(witness=self.witness, trace=self.trace, broke=self._fail)
        self._signer = CallbackSigner(KEYS)
        self._crashes = Crashes(
            self._loop,
            rng=_child(draw),
            until_s=self._until_s,
            spared=spared.crashes,
            is_busy=self.checker.books.is_open,
        )
        self._told_made, self.provider.made = self.provider.made, self._made
        self._failure: str | None = None
        self._boots = 0
        self._was_down = False
        self._process = Process(self._loop, number=0, rng=self._rng)
        self._process.is_alive = False
        self._engine: Engine | None = None
        self._route: CallbackRoute | None = None
        self._desk: Desk | None = None
        self._intake: Intake | None = None
        self._store: ProcessStore | None = None

    # --- The whole story ----------------------------------------------------------------------

    def run(self) -> Report:
        """Live until rest, or until a promise is broken."""
        loop = self._loop
        loop.on_step = self._kill
        loop.outside(0.0, self._boot)
        for command in self._commands:
            loop.outside(command.at_s, partial(self._command, command))
        loop.outside(self._until_s, self._clear)
        with logged(self._log):
            try:
                loop.run()
            except Stuck:
                self._fail("deadlock: everybody waits, and nothing is scheduled")
            except (Runaway, Overdue) as endless:
                self._fail(f"{type(endless).__name__.lower()}: {endless.__doc__}")
            self._bury()
        books = self.checker.books
        return Report(
            seed=self.seed,
            failure=self._failure,
            digest=self.trace.digest(),
            virtual_s=loop.now_s,
            steps=loop.steps,
            commits=self.checker.commits,
            crashes=self._crashes.done,
            busy_crashes=self._crashes.busy,
            deaths=self._crashes.deaths,
            boots=self._boots,
            hits=Counter({fault.name: count for fault, count in self.weather.hits.items()}),
            commands=len(self._commands),
            jobs=len(books.jobs),
            succeeded=sum(job.outcome == "succeeded" for job in books.jobs.values()),
            turns=len(books.turns),
            trace=self.trace,
        )

    def _drawn(self, rng: random.Random, spared: Spared, *, is_rush: bool) -> list[Command]:
        commands = drawn_commands(rng, count=rng.randrange(*COMMANDS), until_s=self._until_s * 0.8)
        if is_rush:
            commands = rush(rng, drawn_commands(rng, count=RUSH, until_s=self._until_s * 0.8))
            self.weather.spare(DATABASE)
            fault = rng.choice(_BROWN_OUT)
            self.weather.suffer(fault, since_s=commands[0].at_s, lasts_s=2 * RUSH_S)
        last = len(commands)
        commands += [
            Command(
                number=last + number,
                at_s=self._until_s + rng.uniform(700.0, 1_200.0),
                word="order",
                user_id=104,
                channel_id=9_003,
                choice=0.0,
            )
            for number in range(1, rng.randrange(2, 4))
        ]
        return [command for command in commands if command.number not in spared.commands]

    def _fail(self, fact: str) -> None:
        """The first broken promise ends the world."""
        if self._failure is None:
            self._failure = fact
            self.trace("checker", fact)
        self._loop.is_over = True

    def _ask(self, question: Callable[[], None]) -> None:
        """Ask the checker; what it raises must not be caught by the bot."""
        try:
            question()
        except Broken as broken:
            self._fail(str(broken))

    def _clear(self) -> None:
        self.trace("world", "the faults are over")
        self.weather.clear()
        self._crashes.stop()
        self._was_down = not self._process.is_up
        self._loop.outside(60.0, self._look)

    def _look(self) -> None:
        """Whether everything is at rest."""
        since_s = self._loop.now_s - self._until_s
        moving = self.checker.moving()
        waits = self._callbacks.waiting or not self._process.is_up
        if moving is None and not waits and since_s > 1_300.0:
            self._ask(self._quiet)
            self._stop(self._end)
        elif since_s > OVER_S:
            self._fail(f"I-30: no rest {since_s:.0f} s after the faults: {moving}")
        else:
            self._loop.outside(60.0, self._look)

    def _quiet(self) -> None:
        self.checker.quiet(self._clear_us(), self.discord, self.talks)

    def _clear_us(self) -> int:
        """From when on nothing went wrong, and the bot was there."""
        clear_s = max(self._until_s, self._process.began_s if self._was_down else 0.0)
        return self._loop.now_us() - round((self._loop.now_s - clear_s) * 1_000_000)

    def _end(self) -> None:
        self._loop.is_over = True

    # --- The process --------------------------------------------------------------------------

    def _boot(self) -> None:
        if self._loop.running_tasks():
            self._fail("a task outlives its process")
            return
        self._boots += 1
        self._process = Process(self._loop, number=self._boots, rng=self._rng)
        epoch = self._ground.run(locks.raise_epoch)
        self._ground.run(budgets.set_installation, budget=self._budget, now_us=self._loop.now_us())
        self.trace("process", f"start {self._boots}")
        if self._boots % AUDITED_EVERY == 0:
            self._ask(self.checker.audit)
        self._crashes.plan(self._boots)
        self._haunt(self._store)
        self.checker.pauses = Pauses()
        self._process.spawn(self._start(self._process, epoch)).add_done_callback(self._started)

    def _haunt(self, former: ProcessStore | None) -> None:
        """F-119: a process that was only frozen wakes up, and writes once more."""

        def write(former: ProcessStore) -> None:
            self.trace("process", "a former one writes")
            try:
                former.write_fenced(jobs.drop_tokens, now_us=self._loop.now_us())
            except StoreInUse:
                return
            self._fail("I-29: a former process has written")

        if former is not None and self._rng.random() < HAUNTED_SHARE:
            self._loop.outside(self._rng.random() * 20.0, partial(write, former))

    async def _start(self, process: Process, epoch: int) -> None:
        """Wire the parts as `bot/assembly.py` does, then begin in the order of S-10."""
        clock = ProcessClock(process, lambda: 0)
        store = self._store = self._opened(process, epoch)
        files = ProcessFiles(self._disk, process)
        media = self._media(process)
        cards = Cards(
            database=store,
            catalogue=self._catalogue,
            allowance=self._allowance,
            clock=clock,
            folder=files,
        )
        bell = Bell()
        breakers = Breakers(clock, probed=(PROVIDER,))
        sinks = Sinks(messages=ProcessMessages(self.discord, process), database=store, clock=clock)
        bench = Bench(
            database=store,
            catalogue=self._catalogue,
            providers=media,
            fetcher=files,
            folder=files,
            delivery=sinks,
            cards=cards,
            clock=clock,
            rng=self._rng,
            gate=PollGate(clock),
            callback_url=self._callback_url,
            breakers=breakers,
        )
        engine = Engine(bench)
        bell.listen(engine.wake)
        intake = Intake(database=store, clock=clock, wake=bell.ring)
        route = CallbackRoute(signer=self._signer, provider=PROVIDER, record=intake.record)
        desk_jobs = JobService(
            database=store,
            catalogue=self._catalogue,
            models=media,
            breakers=breakers,
            allowance=self._allowance,
            clock=clock,
            cards=cards,
            folder=files,
            wake=bell.ring,
        )
        chat = self._chat(process, store, clock, breakers)
        self._desk = Desk(
            jobs=desk_jobs,
            chat=chat,
            credits=self._credits(store, clock),
            screen=partial(Screen, self.talks, process, self._scene),
            sinks=sinks,
            now_s=self._loop.time,
        )
        self._route, self._intake, self._engine = route, intake, engine
        try:
            left = await chat.recover()
            await engine.start()
            for turn in left:
                self.talks.ends[turn.reference].append(turn.charged_ucr)
                await chat.told(turn.reference)
        except StorageError as error:
            self.trace("process", f"start failed {type(error).__name__}")
            self._crashes.die_now()
            return
        process.is_up = True
        self._probe(process, breakers)

    def _opened(self, process: Process, epoch: int) -> ProcessStore:
        return ProcessStore(
            self._ground,
            process,
            scene=self._scene,
            epoch=epoch,
            begins=self._crashes.begins,
            committed=self._committed,
        )

    def _media(self, process: Process) -> ProcessProvider:
        """The provider as this process sees it."""
        return ProcessProvider(
            self.provider,
            process,
            scene=self._scene,
            witness=self.witness,
            checker=self.checker,
            asked=self._ask,
            left=partial(self._crashes.happened, "create"),
        )

    def _credits(self, store: ProcessStore, clock: ProcessClock) -> CreditsService:
        return CreditsService(
            database=store, catalogue=self._catalogue, allowance=self._allowance, clock=clock
        )

    def _chat(
        self, process: Process, store: ProcessStore, clock: ProcessClock, breakers: Breakers
    ) -> ChatService:
        return ChatService(
            database=store,
            providers=ProcessChat(self.talks, process, self._scene),
            breakers=breakers,
            catalogue=self._catalogue,
            allowance=self._allowance,
            clock=clock,
        )

    def _started(self, task: Any) -> None:
        if not task.cancelled() and task.exception() and not is_crash(task.exception()):
            self._fail(f"the start or the end broke: {task.exception()!r}")

    def _probe(self, process: Process, breakers: Breakers) -> None:
        """Stands for the look at the provider's account while it is paused (F-32)."""
        if process.is_alive:
            self.checker.pauses.probed()
            for snapshot in breakers.snapshots():
                if snapshot.until_us is None:
                    breakers.of(snapshot.provider).note_probe_good()
            self._loop.outside(60.0, lambda: self._probe(process, breakers))

    def _kill(self) -> None:
        """The process is gone at this very moment."""
        if not self._process.is_alive:
            return
        if self._crashes.is_gentle and self._process.is_up:
            self._stop(self._boot_later)
            return
        self._crashes.died()
        self._note_unwritten()
        self.trace("process", f"killed {self._statuses()}")
        self._process.is_alive = self._process.is_up = False
        self._loop.kill_tasks()
        self._boot_later()

    def _note_unwritten(self) -> None:
        """F-16: an end that was shown, and whose sink nobody will remember."""
        for message in self.discord.messages.values():
            job = self.checker.books.jobs[message.job_id]
            if message.outcome is not None and job.status == "finished":
                self.discord.unclear.add(job.reference)

    def _boot_later(self) -> None:
        self._loop.outside(self._rng.choice(STARTS_S), self._boot)

    def _stop(self, then: Callable[[], None]) -> None:
        """End in order, as SIGTERM does (F-20)."""
        process, engine, desk, intake = self._process, self._engine, self._desk, self._intake
        assert engine is not None
        assert desk is not None
        assert intake is not None
        began_s = self._loop.now_s
        self.trace("process", "is told to stop")
        process.is_up = False

        async def stop() -> None:
            desk.jobs.close()
            await asyncio.gather(desk.chat.close(), engine.close())
            await intake.close()
            self._stopped(began_s)
            self._loop.outside(0.0, then)

        process.spawn(stop()).add_done_callback(self._started)

    def _stopped(self, began_s: float) -> None:
        """F-20, S-11: in time, and no doubt was made where an answer had come."""
        took_s = self._loop.now_s - began_s
        self.trace("process", f"stopped {self._statuses()}")
        self._note_unwritten()
        self._process.is_alive = False
        self._loop.kill_tasks()
        if took_s > STOP_S_MAX:
            self._fail(f"S-11: the end took {took_s:.0f} s")
        may_fail = not DATABASE.isdisjoint(self.weather.enabled)
        for job in self.checker.books.jobs.values():
            departures = self.witness.departures[job.reference]
            mine = [one for one in departures if one.process == self._process.number]
            answered = bool(mine) and mine[-1].told
            if job.status == "submitting" and answered and not may_fail:
                self._fail(f"F-20: job {job.id}: its create was answered, and that was not kept")

    def _bury(self) -> None:
        """Nothing of this world goes on."""
        self._process.is_alive = False
        self._loop.kill_tasks()
        self._loop.drain()
        if self._failure is None and self._loop.broken:
            self._failure = self._loop.broken[0]
        self._loop.close()

    def _statuses(self) -> str:
        found = Counter(job.status for job in self.checker.books.jobs.values())
        return " ".join(f"{status}={count}" for status, count in sorted(found.items()))

    # --- What reaches it ----------------------------------------------------------------------

    def _command(self, command: Command, tries: int = 2) -> None:
        if not self._process.is_up or self._desk is None:
            self.trace("member", f"i:{command.number} nobody answers")
            if tries > 1:
                self._loop.outside(TRIES_S, partial(self._command, command, tries - 1))
            return
        desk = self._desk
        for _time in range(1 + (command.word == "twice")):
            self._process.spawn(self._crowd.act(command, desk))

    def _post(self, url: str, body: str, told: Callable[[int], None]) -> None:
        """A callback comes to our address."""
        process, route = self._process, self._route
        if not process.is_up or route is None:
            told(NO_ANSWER)
            return
        state = [NO_ANSWER]

        async def handle() -> None:
            request = cast("web.BaseRequest", PostedRequest(url.removeprefix(PUBLIC_URL), body))
            answer = await route.handle(request)
            process.check()
            state[0] = answer.status
            if answer.status == 204 and answer.reason != "not_needed":
                self._acknowledge(url, body)

        def ended(task: Any) -> None:
            if not task.cancelled() and task.exception() and not is_crash(task.exception()):
                self._fail(f"the callback's route broke: {task.exception()!r}")
            self._loop.outside(0.01, lambda: told(state[0]))

        process.spawn(handle()).add_done_callback(ended)

    def _acknowledge(self, url: str, body: str) -> None:
        job, attempt, _mac = url.split("/")[-3:]
        one = self.witness.acknowledge(int(job), int(attempt), body, self._loop.now_s)
        # What a broken step has leased is left alone for a while.
        if self._loop.now_s > self._until_s + LEASE_S and self.weather.is_calm:
            for delay_s in (2.0, 7.0):
                self._loop.outside(delay_s + SLACK_S, partial(self._acted, one, delay_s))

    def _acted(self, one: Acknowledged, delay_s: float) -> None:
        """I-30: acted on within 2 s, or as soon as the task may be read again (F-65)."""
        job = self.checker.books.jobs[one.job_id]
        rows = [row for row in self.checker.books.callbacks.values() if row.job_id == one.job_id]
        # One that was known before waits for the next try of what it names (F-61).
        stored_us = START_US + round((one.at_s - STORED_WITHIN_S) * 1_000_000)
        waits = any(
            (row.attempt, row.digest) == (one.attempt, one.digest)
            and row.seen_us is None
            and row.received_us >= stored_us
            for row in rows
        )
        tasks, since_s = {one.task_id, job.task_id}, one.at_s
        if delay_s < READS_APART_S:  # whatever else the job was asked for may be in the way
            tasks |= {named_in(row.body) for row in rows}
            since_s -= READS_APART_S + SLACK_S
        read_s = self.witness.last_read_s(self._process.number, tasks)
        if waits and job.outcome is None and read_s < since_s and self._process.is_up:
            self._fail(f"I-30: job {one.job_id}: a callback of {one.at_s:.1f} s waits still")

    def _committed(self, body: str) -> None:
        self._ask(lambda: self.checker.committed(body, self._loop.now_s))
        self._crashes.committed(body)
        if self._loop.commits_too_often():
            self._fail(f"runaway: {COMMITS_PER_MINUTE_MAX} commits in a minute, now {body}")

    def _made(self, task: Task) -> None:
        """The create has had its effect; its answer is on the way."""
        self._told_made(task)
        self._crashes.happened("made")

    def _callback_url(self, job_id: int, attempt: int) -> str | None:
        if not self._is_public:
            return None
        return PUBLIC_URL + self._signer.path(job_id, attempt, PROVIDER)

    def _log(self, event: str, facts: dict[str, Any]) -> None:
        if not self._process.is_alive:
            return
        error = facts.get("exc_info")
        if event in OUR_MISTAKES or (error and event not in NOT_OURS):
            if error is True:
                error = sys.exception()
            self._fail(f"log: {event} {facts} {error!r}")


def _child(draw: random.Random) -> random.Random:
    """Each part draws for itself, so that one more draw here changes nothing there."""
    return random.Random(draw.getrandbits(64))
