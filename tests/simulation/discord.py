"""Discord: what it truly shows, and whom it pinged. It outlives every process of the bot."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from bot.jobs.ports import MessageTrouble, Showing, Shown, Trouble
from storage.types import Job
from tests.simulation.faults import Fault
from tests.simulation.loop import START_US, VirtualLoop
from tests.simulation.process import Process
from tests.simulation.scene import Scene

T = TypeVar("T")

NONCE_WINDOW_S = 180.0
"""Discord's "a few minutes": more than the bot counts on, less than a restart may take."""
DM_BASE = 5_000_000_000
CARD_BASE = 7_000_000_000
MESSAGE_BASE = 9_000_000_000
CLOCKS_S = 60.0
"""The look into the history allows for a clock that goes wrong by this much."""
LIMITED_SHARE = 0.3
"""Of the lost answers: discord.py tried once more by itself, and that try met a limit."""
HANGING_S = 15.0
"""Longer than the bot waits for progress to be shown."""


@dataclass(slots=True, kw_only=True)
class Message:
    """One message as everybody sees it."""

    id: int
    channel_id: int
    made_s: float
    job_id: int
    reference: str
    outcome: str | None = None
    """What it says about the end: outcome, failure and charge; None while the job runs."""
    is_deleted: bool = False


@dataclass(slots=True)
class Discord:
    """The oracle of what members see."""

    scene: Scene
    messages: dict[int, Message] = field(default_factory=dict)
    closed_until_s: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    nonces: defaultdict[str, list[Message]] = field(default_factory=lambda: defaultdict(list))
    pings: Counter[str] = field(default_factory=Counter)
    """By order: how often its member was notified."""
    invalid_s: list[float] = field(default_factory=list)
    """When a request was answered 401, 403 or 429 (I-32)."""
    tries_s: defaultdict[tuple[int, int], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By process and job: when something about its end was asked for (I-31)."""
    unclear: set[str] = field(default_factory=set)
    """Orders of which a request about the end took effect without an answer."""
    unread: set[tuple[int, str]] = field(default_factory=set)
    """(channel, order) whose history could not be read."""
    doubles: list[str] = field(default_factory=list)
    taken_back: list[str] = field(default_factory=list)

    @property
    def loop(self) -> VirtualLoop:
        return self.scene.loop

    @property
    def rng(self) -> random.Random:
        return self.scene.rng

    def strikes(self, fault: Fault) -> bool:
        return self.scene.strikes(fault)

    def is_closed(self, channel_id: int) -> bool:
        """Whether the bot may not use it now."""
        if self.closed_until_s[channel_id] <= self.loop.now_s:
            is_dm = channel_id >= DM_BASE
            if not self.strikes(Fault.DM_CLOSED if is_dm else Fault.CHANNEL_CLOSED):
                return False
            lasts_s = 86_400.0 if is_dm else self.rng.uniform(30.0, 2_000.0)
            self.closed_until_s[channel_id] = self.loop.now_s + lasts_s
        return not self.scene.weather.is_calm

    def refuse(self, trouble: Trouble) -> MessageTrouble:
        """An answer that says no."""
        if trouble is Trouble.CLOSED:  # 403; what a filter takes is answered 400
            self.invalid_s.append(self.loop.now_s)
        return MessageTrouble(trouble)

    def living(self, message_id: int, channel_id: int) -> Message:
        message = self.messages.get(message_id)
        if message is None or message.is_deleted or message.channel_id != channel_id:
            raise MessageTrouble(Trouble.GONE)
        return message

    def post(self, job: Job, channel_id: int, message_id: int) -> Message:
        message = Message(
            id=message_id,
            channel_id=channel_id,
            made_s=self.loop.now_s,
            job_id=job.id,
            reference=job.reference,
        )
        self.messages[message_id] = message
        return message

    def say(self, message: Message, job: Job) -> None:
        """The message shows the job as it stood when the bot wrote this."""
        said = f"{job.outcome} {job.failure} {job.charged_ucr}" if job.outcome else None
        if said is None and message.outcome is not None:
            self.taken_back.append(f"{job.reference}: an outcome was taken back")
        message.outcome = said
        self.scene.trace("discord", f"{job.reference} {message.id} {said or job.status}")


class ProcessMessages:
    """`Messages` of one process: a request that left has its effect, whoever waits for it."""

    def __init__(self, discord: Discord, process: Process) -> None:
        self._discord = discord
        self._process = process
        self._limited_until_s = 0.0

    def is_reachable(self, job: Job) -> bool:
        del job
        return True

    def digest(self, showing: Showing) -> str:
        job = showing.card.job
        return f"{job.status} {job.outcome} {job.progress} {showing.card.place}"

    async def edit(self, showing: Showing, *, channel_id: int, message_id: int) -> Shown:
        discord, job = self._discord, showing.card.job

        def act() -> Shown:
            if discord.is_closed(channel_id):
                raise discord.refuse(Trouble.CLOSED)
            message = discord.living(message_id, channel_id)
            if discord.strikes(Fault.CARD_DELETED):
                message.is_deleted = True
                raise MessageTrouble(Trouble.GONE)
            self._judge(showing)
            discord.say(message, job)
            return _shown(showing, message_id)

        return await self._send(act, job)

    async def edit_by_token(self, showing: Showing, *, message_id: int | None) -> Shown:
        discord, job = self._discord, showing.card.job
        ends_us = job.interaction_expires_us
        assert ends_us is not None

        def act() -> Shown:
            if discord.loop.now_us() >= ends_us or discord.strikes(Fault.TOKEN_DEAD):
                raise MessageTrouble(Trouble.TOKEN_DEAD)
            original_id = CARD_BASE + job.id
            target_id = original_id if message_id is None else message_id
            if target_id == original_id and original_id not in discord.messages:
                discord.post(job, job.channel_id, original_id)
            message = discord.living(target_id, job.channel_id)
            self._judge(showing)
            discord.say(message, job)
            return _shown(showing, target_id)

        return await self._send(act, job)

    async def create(self, showing: Showing, *, channel_id: int, nonce: str) -> Shown:
        assert 0 < len(nonce) <= 25
        discord, job = self._discord, showing.card.job

        def act() -> Shown:
            if discord.is_closed(channel_id):
                raise discord.refuse(Trouble.CLOSED)
            self._judge(showing)
            known = discord.nonces[nonce]
            if known and discord.loop.now_s < known[-1].made_s + NONCE_WINDOW_S:
                message = discord.living(known[-1].id, channel_id)
                return _shown(showing, message.id)
            is_there = any(not one.is_deleted for one in known)
            if is_there and (channel_id, job.reference) not in discord.unread:
                discord.doubles.append(f"{job.reference}: posted twice with one nonce")
            message = discord.post(job, channel_id, MESSAGE_BASE + len(discord.messages))
            known.append(message)
            discord.say(message, job)
            if showing.ping:
                discord.pings[job.reference] += 1
            if discord.strikes(Fault.MESSAGE_DELETED):
                message.is_deleted = True
            return _shown(showing, message.id)

        return await self._send(act, job)

    async def find(
        self, job: Job, *, channel_id: int, after_us: int, with_answers: bool
    ) -> int | None:
        discord = self._discord
        after_s = (after_us - START_US) / 1_000_000 - CLOCKS_S

        def act() -> int | None:
            if discord.is_closed(channel_id):
                discord.unread.add((channel_id, job.reference))
                raise discord.refuse(Trouble.CLOSED)
            found = [
                message.id
                for message in discord.messages.values()
                if message.channel_id == channel_id
                and message.job_id == job.id
                and (with_answers or message.id != CARD_BASE + job.id)
                and (message.made_s >= after_s or message.id > (job.card_message_id or 0))
                and not message.is_deleted
            ]
            return max(found, default=None)

        return await self._send(act, job)

    async def open_dm(self, user_id: int) -> int:
        return await self._send(lambda: DM_BASE + user_id, None)

    def _judge(self, showing: Showing) -> None:
        if self._discord.strikes(Fault.BLOCKED):
            raise self._discord.refuse(Trouble.BLOCKED)
        if (
            showing.takes_files
            and showing.card.artifacts
            and self._discord.strikes(Fault.TOO_LARGE)
        ):
            raise MessageTrouble(Trouble.TOO_LARGE)

    def _limited(self) -> MessageTrouble:
        """A 429, and the time that discord.py keeps."""
        after_s = self._discord.rng.choice((0.5, 5.0, 60.0, 3_600.0))
        self._discord.invalid_s.append(self._discord.loop.now_s)
        self._limited_until_s = self._discord.loop.now_s + after_s
        return MessageTrouble(Trouble.PASSES, retry_after_s=after_s)

    def _note_unclear(self, job: Job | None) -> None:
        if job is not None and job.outcome is not None:
            self._discord.unclear.add(job.reference)

    async def _send(self, act: Callable[[], T], job: Job | None) -> T:
        """Let a request leave: it arrives, has its effect or none, and its answer may get lost."""
        discord, loop = self._discord, self._discord.loop
        self._process.check()
        if job is not None and job.outcome is not None:
            discord.tries_s[self._process.number, job.id].append(loop.now_s)
        left_s = self._limited_until_s - loop.now_s
        if left_s > 0:  # discord.py keeps back what would only be refused again
            await self._process.pause()
            raise MessageTrouble(Trouble.PASSES, retry_after_s=left_s)
        answer: Any = loop.create_future()

        def arrive() -> None:
            result: Any = None
            error: MessageTrouble | None = None
            is_hanging = False
            if discord.strikes(Fault.DISCORD_429):
                error = self._limited()
            elif discord.strikes(Fault.DISCORD_ERROR):
                error, is_hanging = MessageTrouble(Trouble.PASSES), discord.rng.random() < 0.3
            else:
                try:
                    result = act()
                except MessageTrouble as trouble:
                    error = trouble
                if error is None and not self._process.is_alive:  # F-16: nobody hears of it
                    self._note_unclear(job)
                if error is None and discord.strikes(Fault.DISCORD_LOST):
                    if discord.rng.random() < LIMITED_SHARE:
                        error = self._limited()
                    else:
                        error = MessageTrouble(Trouble.PASSES)
                        is_hanging = discord.rng.random() < 0.3
                    self._note_unclear(job)
            delay_s = HANGING_S if is_hanging else discord.rng.random() * 0.2
            loop.outside(delay_s, lambda: _give(answer, result, error))

        loop.outside(0.02 + discord.rng.random() * 0.2, arrive)
        found: T = await answer
        await self._process.pause()
        return found


def _give(answer: Any, result: Any, error: MessageTrouble | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(result)
    else:
        answer.set_exception(error)


def _shown(showing: Showing, message_id: int) -> Shown:
    """Files go along where they are taken; without a link they wait."""
    artifacts = showing.card.artifacts
    is_linked = all(artifact.source_url is not None for artifact in artifacts)
    return Shown(
        message_id=message_id,
        is_uploaded=bool(artifacts) and showing.takes_files,
        waits=not showing.takes_files and not is_linked,
    )
