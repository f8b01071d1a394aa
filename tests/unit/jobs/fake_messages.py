"""Discord's messages as Discord has them: channels, rights, nonces with a window, deletions."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from bot.clock import Clock
from bot.jobs.ports import MessageTrouble, Showing, Shown, Trouble
from storage.types import Job
from tests.unit.jobs.fakes import Fuse

NONCE_WINDOW_S = 180.0
"""Discord's "a few minutes": more than we count on, less than a restart may take."""
DM_BASE = 5_000_000_000
"""The direct messages of user n are channel `DM_BASE + n`."""
CARD_BASE = 7_000_000_000
"""The answer to the command of job n is message `CARD_BASE + n`, once it was edited."""


@dataclass(slots=True, kw_only=True)
class Message:
    """One message as everybody sees it; `notified` were pinged when it was made."""

    id: int
    channel_id: int
    created_us: int
    showing: Showing
    notified: tuple[int, ...] = ()
    is_deleted: bool = False
    edits: int = 0

    @property
    def job(self) -> Job:
        return self.showing.card.job

    @property
    def has_outcome(self) -> bool:
        return self.job.outcome is not None


@dataclass(slots=True, kw_only=True)
class Channel:
    """What the bot may do in a channel, and whether files are taken there."""

    is_open: bool = True
    """Otherwise nothing can be done there, not even an edit."""
    is_writable: bool = True
    has_history: bool = True
    """Otherwise what was said before is not told."""
    file_bytes_max: int = 10 * 1024 * 1024
    has_filter: bool = False
    """AutoMod takes whatever the bot writes."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """What befalls one request: before it has its effect, or after it (the answer gets lost)."""

    trouble: MessageTrouble
    is_after: bool = False


def passing(retry_after_s: float = 5.0, *, made: bool = False) -> Fault:
    """A 429; `made` by a try of discord.py's own before it, whose answer was a 502."""
    trouble = MessageTrouble(Trouble.PASSES, retry_after_s=retry_after_s)
    return Fault(trouble=trouble, is_after=made)


def lost(*, made: bool = True) -> Fault:
    """A 5xx or a lost connection: from outside nobody can tell whether it was done."""
    return Fault(trouble=MessageTrouble(Trouble.PASSES), is_after=made)


def refusal(trouble: Trouble, *, made: bool = False, repeated: bool = False) -> Fault:
    """A 4xx; `repeated` where a try of discord.py's own before it was answered 502."""
    return Fault(trouble=MessageTrouble(trouble, may_be_done=made or repeated), is_after=made)


@dataclass(slots=True, kw_only=True)
class FakeMessages:
    """`bot.jobs.ports.Messages` over a Discord that outlives every process of ours.

    `faults` befall the next requests by name: `edit`, `edit_by_token`, `create`, `find`,
    `open_dm`. The process can end before each request has its effect, and before its answer.
    """

    clock: Clock
    fuse: Fuse = field(default_factory=Fuse)
    messages: dict[int, Message] = field(default_factory=dict)
    channels: defaultdict[int, Channel] = field(default_factory=lambda: defaultdict(Channel))
    closed_dms: set[int] = field(default_factory=set)
    """Members who take no direct messages."""
    faults: defaultdict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    requests: list[tuple[str, int]] = field(default_factory=list)
    """Every request with its channel, in order."""
    is_up: bool = True
    slow_s: float = 0.05
    nonces: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(channel, nonce) -> the message it made, and when."""
    doubles: int = 0
    """Messages made by a nonce that had made one before (I-27)."""

    # --- The port -----------------------------------------------------------------------------

    def is_reachable(self, job: Job) -> bool:
        del job
        return self.is_up

    def digest(self, showing: Showing) -> str:
        job = showing.card.job
        return f"{job.status} {job.outcome} {job.progress} {showing.card.place}"

    async def edit(self, showing: Showing, *, channel_id: int, message_id: int) -> Shown:
        with await self._request("edit", channel_id):
            self._check_rights(channel_id, needs_write=False)
            self._check_words(showing, channel_id)
            self._change(self._living(message_id, channel_id), showing)
        return _shown(showing, message_id)

    async def edit_by_token(self, showing: Showing, *, message_id: int | None) -> Shown:
        job = showing.card.job
        with await self._request("edit_by_token", job.channel_id):
            expires_us = job.interaction_expires_us
            if job.interaction_token is None or expires_us is None:
                raise MessageTrouble(Trouble.TOKEN_DEAD)
            if self.clock.now_us() >= expires_us:
                raise MessageTrouble(Trouble.TOKEN_DEAD)
            self._check_words(showing, job.channel_id)
            message_id = message_id or CARD_BASE + job.id
            if message_id == CARD_BASE + job.id and message_id not in self.messages:
                self._make(showing, job.channel_id, message_id)
            self._change(self._living(message_id, job.channel_id), showing)
        return _shown(showing, message_id)

    async def create(self, showing: Showing, *, channel_id: int, nonce: str) -> Shown:
        assert 0 < len(nonce) <= 25
        with await self._request("create", channel_id):
            self._check_rights(channel_id, needs_write=True)
            self._check_words(showing, channel_id)
            made_id, made_us = self.nonces.get(nonce, (0, 0))
            if made_id and self.clock.now_us() < made_us + int(NONCE_WINDOW_S * 1_000_000):
                message = self._living(made_id, channel_id)
            else:
                self.doubles += made_id != 0
                message = self._make(showing, channel_id, 9_000_000_000 + len(self.messages))
                self.nonces[nonce] = (message.id, message.created_us)
                if showing.ping:
                    message.notified = (showing.card.job.user_id,)
        return _shown(showing, message.id)

    async def find(
        self, job: Job, *, channel_id: int, after_us: int, with_answers: bool
    ) -> int | None:
        with await self._request("find", channel_id):
            channel = self.channels[channel_id]
            if not channel.has_history or not channel.is_open:
                raise MessageTrouble(Trouble.CLOSED)
            found = [
                message.id
                for message in self.messages.values()
                if message.channel_id == channel_id
                and message.job.id == job.id
                and (with_answers or message.id != CARD_BASE + job.id)
                and (message.created_us >= after_us or message.id > (job.card_message_id or 0))
                and not message.is_deleted
            ]
        return max(found, default=None)

    async def open_dm(self, user_id: int) -> int:
        with await self._request("open_dm", DM_BASE + user_id):
            pass
        return DM_BASE + user_id

    # --- The truth ----------------------------------------------------------------------------

    def of(self, job: Job) -> list[Message]:
        """What everybody sees of a job."""
        return [m for m in self.messages.values() if m.job.id == job.id and not m.is_deleted]

    def with_outcome(self, job: Job) -> list[Message]:
        return [message for message in self.of(job) if message.has_outcome]

    def pings(self, job: Job) -> int:
        """How often the owner was notified, by messages that are gone, too (I-28)."""
        return sum(len(m.notified) for m in self.messages.values() if m.job.id == job.id)

    def delete(self, message_id: int) -> None:
        """A member or a moderator takes it away."""
        self.messages[message_id].is_deleted = True

    def count(self, name: str) -> int:
        return sum(one == name for one, _channel in self.requests)

    # --- Parts --------------------------------------------------------------------------------

    async def _request(self, name: str, channel_id: int) -> AbstractContextManager[None]:
        self.fuse.check()
        self.requests.append((name, channel_id))
        await asyncio.sleep(self.slow_s)
        self.fuse.point()
        return self._answered(self.faults[name].pop(0) if self.faults[name] else None)

    @contextmanager
    def _answered(self, fault: Fault | None) -> Iterator[None]:
        if fault is not None and not fault.is_after:
            raise fault.trouble
        yield
        self.fuse.point()
        if fault is not None:
            raise fault.trouble

    def _check_rights(self, channel_id: int, *, needs_write: bool) -> None:
        channel = self.channels[channel_id]
        is_closed_dm = channel_id - DM_BASE in self.closed_dms
        if is_closed_dm or not channel.is_open or (needs_write and not channel.is_writable):
            raise MessageTrouble(Trouble.CLOSED)

    def _check_words(self, showing: Showing, channel_id: int) -> None:
        channel = self.channels[channel_id]
        if channel.has_filter:
            raise MessageTrouble(Trouble.BLOCKED)
        sizes = [artifact.size_bytes for artifact in showing.card.artifacts]
        if showing.takes_files and sum(sizes) > channel.file_bytes_max:
            raise MessageTrouble(Trouble.TOO_LARGE)

    def _living(self, message_id: int, channel_id: int) -> Message:
        message = self.messages.get(message_id)
        if message is None or message.is_deleted or message.channel_id != channel_id:
            raise MessageTrouble(Trouble.GONE)
        return message

    def _make(self, showing: Showing, channel_id: int, message_id: int) -> Message:
        message = Message(
            id=message_id,
            channel_id=channel_id,
            created_us=self.clock.now_us(),
            showing=showing,
        )
        self.messages[message_id] = message
        return message

    def _change(self, message: Message, showing: Showing) -> None:
        message.showing = showing
        message.edits += 1


def _shown(showing: Showing, message_id: int) -> Shown:
    """Files go along where they are taken; without a link they wait."""
    artifacts = showing.card.artifacts
    linked = all(artifact.source_url is not None for artifact in artifacts)
    return Shown(
        message_id=message_id,
        is_uploaded=bool(artifacts) and showing.takes_files,
        waits=not showing.takes_files and not linked,
    )
