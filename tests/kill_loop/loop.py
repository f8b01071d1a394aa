"""Kill, look, restart; for ever, until so many kills; then let everything end and look again."""

from __future__ import annotations

import asyncio
import math
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Final

from tests.kill_loop import checks, secrets, shot
from tests.kill_loop.life import (
    LOG,
    STARTS_WITHOUT_DELAY,
    Life,
    LifeFailed,
    forgive_starts,
    mistakes,
)
from tests.kill_loop.members import Members
from tests.kill_loop.report import Report
from tests.kill_loop.shot import Shot
from tests.kill_loop.town import EVENTS, Town, Tripwire, open_town
from tests.kill_loop.witness import Witness

STARTING_SHARE: Final = 0.25
"""Of the kills that fall before Discord is reached, where recovery runs (F-17)."""
BURST_SHARE: Final = 0.03
"""Of the lives that begin a burst of those."""
BURST: Final = 4
AIMED_SHARE: Final = 0.6
"""Of all others; what is left falls at any moment."""
LIFE_S: Final = 1.2
"""Longest time online of a life that is not aimed."""
AIM_S: Final = 2.0
"""How long an aimed life waits for its event."""
START_SHARE: Final = (0.5, 1.05)
"""Of a usual start, when one is killed: imports take most of it, the file is opened at its end."""
USUAL_START_S: Final = 1.0
"""Until the first has been seen."""
SETTLE_S: Final = 150.0
"""So long all may stand still when nothing goes wrong any more: longer than `OWED_DELAY_S`."""
SETTLE_S_MAX: Final = 900.0
"""Until all is over: a thousand lives of a second or two leave much that Discord's limits slow."""
CALM_S: Final = 0.02
"""What the servers need to take in what the dead bot had sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one life ends: `event` is what it is aimed at, "start" or "any"."""

    event: str
    delay_s: float


class KillLoop:
    """`say` is told the progress; the same seed makes the same plan, not the same interleaving.

    The last `last_starts` kills fall in a row, each before Discord is reached.
    """

    def __init__(
        self,
        data: Path,
        *,
        seed: int,
        say: Callable[[str], None] = lambda _: None,
        last_starts: int = 0,
    ) -> None:
        self._data = data
        self._last_starts = last_starts
        self._rng = random.Random(seed)
        self._say = say
        self._report = Report(seed=seed)
        self._shot = Shot()
        self._checking: asyncio.Task[tuple[str, ...]] | None = None
        self._burst = 0
        self._starts = 0

    async def run(self, kills: int) -> Report:
        """The report; with what was broken, if anything was."""
        report, began_s = self._report, time.monotonic()
        async with open_town(self._data) as town:
            members = Members(town, random.Random(self._rng.random()))
            witness = Witness(town)
            people = asyncio.create_task(members.run())
            try:
                while report.kills < kills and not report.broken:
                    if report.kills == kills - self._last_starts:
                        self._burst = self._last_starts
                    life = await self._live(town, self._plan())
                    report.kills += 1
                    report.phases[life.phase] += 1
                    report.broken = await self._checked()
                    await self._look(life, witness, members)
                    if report.kills % 50 == 0:
                        self._say(f"{report.kills} kills, {len(self._shot.jobs)} jobs")
                report.seconds = time.monotonic() - began_s
                members.is_quiet = True
                report.broken = report.broken or await self._checked()
                if not report.broken:
                    report.broken = await self._end(town, witness, members)
            except LifeFailed as error:
                report.broken = (str(error),)
            finally:
                people.cancel()
                with suppress(asyncio.CancelledError):
                    await people
            self._sum_up(witness, members)
        return report

    # --- one life ---------------------------------------------------------------------------------

    def _plan(self) -> Plan:
        rng = self._rng
        if self._burst == 0 and rng.random() < BURST_SHARE:
            self._burst = BURST
        if self._burst or rng.random() < STARTING_SHARE:
            self._burst = max(0, self._burst - 1)
            usual_s = median(self._report.online_s or [USUAL_START_S])
            return Plan(event="start", delay_s=rng.uniform(*START_SHARE) * usual_s)
        if rng.random() < AIMED_SHARE:
            delay_s = rng.choice((0.0, 0.0, rng.uniform(0.001, 0.03)))
            return Plan(event=rng.choice(EVENTS), delay_s=delay_s)
        return Plan(event="any", delay_s=rng.uniform(0, LIFE_S))

    async def _live(self, town: Town, plan: Plan) -> Life:
        """From a start to a kill as planned."""
        if self._starts >= STARTS_WITHOUT_DELAY:
            await asyncio.to_thread(forgive_starts, self._data)
            self._starts = 0
        self._starts += 1
        town.another_day()
        life = await Life.start(town, self._data)
        self._report.aims[plan.event] += 1
        try:
            await self._wait(town, life, plan)
        finally:
            life.kill()
        code = await life.end()
        if code != -signal.SIGKILL:
            raise LifeFailed(f"the bot ended by itself with {code}")
        return life

    async def _wait(self, town: Town, life: Life, plan: Plan) -> None:
        """Until it is to be killed, or has been."""
        if plan.event == "start":
            await asyncio.sleep(plan.delay_s)
            return
        await life.online()
        if plan.event == "any":
            await asyncio.sleep(plan.delay_s)
        else:
            await self._aim(town, life, plan)

    async def _aim(self, town: Town, life: Life, plan: Plan) -> None:
        """Wait until the event has killed it, or in vain."""
        town.tripwire = Tripwire(plan.event, plan.delay_s, life.kill)
        until_s = time.monotonic() + AIM_S
        while not life.is_over and time.monotonic() < until_s:
            town.watch_callbacks()
            await asyncio.sleep(0.001)
        self._report.hits[plan.event] += life.killed_s is not None
        town.tripwire = None

    async def _look(self, life: Life, witness: Witness, members: Members) -> None:
        """Copy the file of a dead bot and ask the world; they are compared while the next lives."""
        report = self._report
        if life.online_s is not None:
            report.online_s.append(life.online_s)
        await asyncio.sleep(CALM_S)
        witness.look(iter(list(members.asked)))
        copy = shot.copy_of(self._data, self._data / "shot")
        if copy is not None:
            check = self._check(copy, mistakes(life.lines), witness, members)
            self._checking = asyncio.create_task(check)

    async def _checked(self) -> tuple[str, ...]:
        """What was broken at the last death."""
        checking, self._checking = self._checking, None
        return () if checking is None else await checking

    async def _check(
        self, copy: Path, mistakes: list[str], witness: Witness, members: Members
    ) -> tuple[str, ...]:
        taken = await asyncio.to_thread(shot.take, copy, after=self._shot)
        if taken is None:
            return ()
        self._report.at_death += taken.open_work()
        members.open_jobs = sum(job.is_open for job in taken.jobs.values())
        before, self._shot = self._shot, taken
        return (*mistakes, *checks.broken_at_death(witness, taken, before))

    # --- the end ----------------------------------------------------------------------------------

    async def _end(self, town: Town, witness: Witness, members: Members) -> tuple[str, ...]:
        """No kills and no orders any more: everything must come to its end, and be right."""
        began_s = time.monotonic()
        await asyncio.to_thread(forgive_starts, self._data)
        life = await Life.start(town, self._data)
        await life.online()
        moved_s, least, calm = began_s, math.inf, 0
        while calm < 3 and time.monotonic() < min(moved_s + SETTLE_S, began_s + SETTLE_S_MAX):
            await asyncio.sleep(0.5)
            await town.call_back()
            left = await self._left(witness, members)
            if left < least:
                moved_s, least = time.monotonic(), left
            calm = 0 if left else calm + 1
        health = [(page, await town.page(page)) for page in ("healthz", "readyz")]
        code = await life.end(signal.SIGTERM)
        self._report.settling_s = time.monotonic() - began_s
        await self._look(life, witness, members)
        return (
            *([f"F-20 SIGTERM ended the bot with {code}"] if code else []),
            *await self._checked(),
            *await asyncio.to_thread(self._spilt, town, health),
            *checks.broken_at_end(
                witness, self._shot, members.asked, town.provider._account.consumed_ucr
            ),
        )

    def _spilt(self, town: Town, health: list[secrets.Place]) -> tuple[str, ...]:
        """I-34: secrets anywhere in what all lives have left behind."""
        places = (
            secrets.cells(self._data / shot.DATABASE),
            secrets.lines(self._data / LOG),
            secrets.looks(town.messages()),
            health,
        )
        return tuple(secrets.spilt(town.environment, chain.from_iterable(places)))

    async def _left(self, witness: Witness, members: Members) -> int:
        """How much is left to do: a look beside the running bot."""
        taken = await asyncio.to_thread(shot.peek, self._data)
        witness.look(iter(list(members.asked)))
        return len(checks.unfinished(witness, taken))

    def _sum_up(self, witness: Witness, members: Members) -> None:
        report, taken = self._report, self._shot
        report.asked = members.counts
        report.jobs = Counter(job.outcome or job.status for job in taken.jobs.values())
        report.turns = Counter(turn.state for turn in taken.turns.values())
        report.entries = taken.entries
        report.held = len(checks.held(witness, taken))
        report.out_of_reach = len(witness.out_of_reach())
        report.acknowledged = Counter(
            cards=len(witness.cards),
            answers=sum(bool(answer.prices_ucr) for answer in witness.answers.values()),
            grants=len(witness.grants),
            callbacks=sum(paid.is_called_back for paid in witness.paid.values()),
        )


async def kill_loop(
    kills: int,
    *,
    seed: int,
    data: Path,
    say: Callable[[str], None] = lambda _: None,
    last_starts: int = 0,
) -> Report:
    """Run in `data`; what is found there afterwards is only worth keeping on failure."""
    report = await KillLoop(data, seed=seed, say=say, last_starts=last_starts).run(kills)
    report.kept = str(data)
    return report
