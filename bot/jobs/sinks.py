"""Cards into Discord: the progress of a job, and its outcome into the first sink that takes it.

    edit by the bot → edit by the token → new message → DM → the member's list, which cannot fail

The contract is reliability.md S-1 (sinks) and S-7: edits may be repeated at will, creates carry a
fixed nonce and are looked for in the channel's history, permanent troubles move on to the next
sink, troubles that pass are the engine's to try again.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from bot.clock import Clock
from bot.jobs.ports import (
    Card,
    Delivered,
    DeliveryPostponed,
    Messages,
    MessageTrouble,
    Showing,
    Shown,
    Trouble,
)
from bot.limits import (
    CLOSED_CHANNEL_S,
    CLOSED_CHANNELS_MAX,
    DELIVERY_RETRY_S,
    DELIVERY_TIMEOUT_S,
    NONCE_CHARS_MAX,
    SHOW_TIMEOUT_S,
    SHOWN_CARDS_MAX,
)
from storage.types import Job, Sink

_NONCE_KEY = b"atelier outbox v1"
"""Keeps these nonces apart from those of answers; a reference is unique by itself."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What we know of one job's card; it only saves requests, so it may be lost."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    digest: str | None = None
    message_id: int | None = None
    is_gone: bool = False
    is_over: bool = False


@dataclass(slots=True, kw_only=True)
class _Attempt:
    """One delivery on its way from sink to sink."""

    card: Card
    takes_files: bool = True
    is_gone: bool = False
    is_blocked: bool = False

    @property
    def job(self) -> Job:
        return self.card.job

    def showing(self, *, ping: bool = False, moved_from: int | None = None) -> Showing:
        return Showing(
            card=self.card, takes_files=self.takes_files, ping=ping, moved_from=moved_from
        )


_Road = Callable[[_Attempt], Awaitable[Delivered | None]]
"""One way to a member; None where it does not exist for this job."""


class Sinks:
    """`bot.jobs.ports.Delivery` over `Messages`."""

    def __init__(self, *, messages: Messages, clock: Clock) -> None:
        self._messages = messages
        self._clock = clock
        self._memories: OrderedDict[int, _Memory] = OrderedDict()
        self._closed_until_s: OrderedDict[int, float] = OrderedDict()

    # --- Progress -----------------------------------------------------------------------------

    async def show(self, card: Card) -> int | None:
        """Bring the card up to date; the id of its message, None without one. Never raises.

        A card that was deleted stays away until there is an outcome to show (F-90).
        """
        return await self._shown(card, only_first=False)

    async def show_first(self, card: Card) -> int | None:
        """Like `show`, for whoever accepted the job: the engine may have shown a newer state."""
        return await self._shown(card, only_first=True)

    async def _shown(self, card: Card, *, only_first: bool) -> int | None:
        job, memory = card.job, self._memory(card.job.id)
        try:
            async with asyncio.timeout(SHOW_TIMEOUT_S), memory.lock:
                is_stale = only_first and memory.digest is not None
                if not (is_stale or memory.is_over or memory.is_gone or job.outcome is not None):
                    await self._bring_up_to_date(card, memory)
        except Exception as error:  # noqa: BLE001 - progress is never worth a failed job.
            _log.info("card_not_shown", job=job.short_id, error=repr(error))
        return None if memory.is_gone else memory.message_id or job.card_message_id

    async def _bring_up_to_date(self, card: Card, memory: _Memory) -> None:
        job, showing = card.job, Showing(card=card)
        memory.message_id = job.card_message_id or memory.message_id
        digest = self._messages.digest(showing)
        if memory.digest == digest or not self._messages.is_reachable(job):
            return
        try:
            if memory.message_id is not None:
                await self._edit_wherever(showing, memory.message_id)
            elif self._token_lives(job):
                shown = await self._messages.edit_by_token(showing, message_id=None)
                memory.message_id = shown.message_id
            elif not self._is_closed(job.channel_id):
                memory.message_id = await self._posted_card(showing)
        except MessageTrouble as trouble:
            self._note(job.channel_id, trouble)
            memory.is_gone = trouble.trouble is Trouble.GONE
            raise
        memory.digest = digest

    async def _edit_wherever(self, showing: Showing, message_id: int) -> None:
        """As the bot; where it may not, through the token."""
        job = showing.card.job
        try:
            await self._messages.edit(showing, channel_id=job.channel_id, message_id=message_id)
        except MessageTrouble as trouble:
            may_not = trouble.trouble in {Trouble.CLOSED, Trouble.REFUSED}
            if not may_not or not self._token_lives(job):
                raise
            await self._messages.edit_by_token(showing, message_id=message_id)

    async def _posted_card(self, showing: Showing) -> int:
        job = showing.card.job
        found = await self._found(job, job.channel_id)
        if found is not None:
            return found
        shown = await self._messages.create(
            showing, channel_id=job.channel_id, nonce=nonce_for(job.reference, "status")
        )
        return shown.message_id

    # --- Outcome ------------------------------------------------------------------------------

    async def deliver(self, card: Card) -> Delivered:
        """Show the outcome in the first sink that takes it; raises only `DeliveryPostponed`."""
        job, memory = card.job, self._memory(card.job.id)
        memory.is_over = True
        if not self._messages.is_reachable(job):
            raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S)
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_S), memory.lock:
                delivered = await self._first_sink(_Attempt(card=card))
        except TimeoutError as error:
            raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S) from error
        except DeliveryPostponed:
            raise
        except Exception:  # noqa: BLE001 - our mistake; the member finds the job in the list.
            _log.exception("delivery_failed", job=job.short_id)
            return Delivered(sink=Sink.LIST)
        _log.info("delivered", job=job.short_id, sink=delivered.sink)
        return delivered

    async def _first_sink(self, attempt: _Attempt) -> Delivered:
        roads = (self._by_card, self._by_token, self._by_message, self._by_dm)
        for road in roads:
            delivered = await self._tried(road, attempt)
            if delivered is not None:
                return delivered
        return Delivered(sink=Sink.LIST)

    async def _tried(self, road: _Road, attempt: _Attempt) -> Delivered | None:
        """Go one road; once more without the files where they are too large."""
        while True:
            try:
                return await road(attempt)
            except MessageTrouble as trouble:
                if trouble.trouble is Trouble.PASSES:
                    raise DeliveryPostponed(retry_after_s=trouble.retry_after_s) from trouble
                name = getattr(road, "__name__", "")
                _log.info(
                    "sink_refused",
                    job=attempt.job.short_id,
                    road=name,
                    trouble=trouble.trouble.name,
                    error=repr(trouble.__cause__),
                )
                attempt.is_blocked |= trouble.trouble is Trouble.BLOCKED
                if trouble.trouble is not Trouble.TOO_LARGE or not attempt.takes_files:
                    return None
                attempt.takes_files = False

    async def _by_card(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        message_id = job.card_message_id or self._memory(job.id).message_id
        if message_id is None or self._is_closed(job.channel_id):
            return None
        try:
            shown = await self._messages.edit(
                attempt.showing(), channel_id=job.channel_id, message_id=message_id
            )
        except MessageTrouble as trouble:
            self._note(job.channel_id, trouble)
            attempt.is_gone = trouble.trouble is Trouble.GONE
            raise
        return _delivered(Sink.CARD, shown)

    async def _by_token(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        if attempt.is_gone or attempt.is_blocked or not self._token_lives(job):
            return None
        known = job.card_message_id or self._memory(job.id).message_id
        shown = await self._messages.edit_by_token(attempt.showing(), message_id=known)
        return _delivered(Sink.TOKEN, shown)

    async def _by_message(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        if attempt.is_blocked or self._is_closed(job.channel_id):
            return None
        showing = attempt.showing(ping=True)
        try:
            shown = await self._posted(showing, job.channel_id, purpose="result")
        except MessageTrouble as trouble:
            self._note(job.channel_id, trouble)
            raise
        return _delivered(Sink.MESSAGE, shown)

    async def _by_dm(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        channel_id = await self._messages.open_dm(job.user_id)
        if channel_id == job.channel_id:
            return None
        showing = attempt.showing(moved_from=job.channel_id)
        return _delivered(Sink.DM, await self._posted(showing, channel_id, purpose="dm"))

    async def _posted(self, showing: Showing, channel_id: int, *, purpose: str) -> Shown | None:
        """Post the outcome once; None when it was posted and deleted meanwhile (F-91).

        Outside the few minutes of the nonce the channel's history says what was posted (F-87).
        """
        job = showing.card.job
        found = await self._found(job, channel_id)
        if found is not None:
            return await self._messages.edit(showing, channel_id=channel_id, message_id=found)
        try:
            return await self._messages.create(
                showing, channel_id=channel_id, nonce=nonce_for(job.reference, purpose)
            )
        except MessageTrouble as trouble:
            if trouble.trouble is not Trouble.GONE:
                raise
            return None

    async def _found(self, job: Job, channel_id: int) -> int | None:
        """What was posted about this job; a history that may not be read is no obstacle."""
        try:
            return await self._messages.find(job, channel_id=channel_id, after_us=job.created_us)
        except MessageTrouble as trouble:
            if trouble.trouble is Trouble.PASSES:
                raise
            return None

    # --- Parts --------------------------------------------------------------------------------

    def _token_lives(self, job: Job) -> bool:
        expires_us = job.interaction_expires_us
        if job.interaction_token is None or expires_us is None:
            return False
        return self._clock.now_us() < expires_us

    def _memory(self, job_id: int) -> _Memory:
        memory = self._memories.setdefault(job_id, _Memory())
        self._memories.move_to_end(job_id)
        while len(self._memories) > SHOWN_CARDS_MAX:
            self._memories.popitem(last=False)
        return memory

    # --- Channels that refused us (F-89) -------------------------------------------------------

    def _note(self, channel_id: int, trouble: MessageTrouble) -> None:
        if trouble.trouble is Trouble.CLOSED:
            self._closed_until_s[channel_id] = self._clock.monotonic_s() + CLOSED_CHANNEL_S
            while len(self._closed_until_s) > CLOSED_CHANNELS_MAX:
                self._closed_until_s.popitem(last=False)

    def _is_closed(self, channel_id: int) -> bool:
        return self._closed_until_s.get(channel_id, 0.0) > self._clock.monotonic_s()


def _delivered(sink: Sink, shown: Shown | None) -> Delivered:
    """Words that arrived without their file leave the job to the list, where the file is."""
    if shown is None:
        return Delivered(sink=sink)
    if shown.waits:
        return Delivered(sink=Sink.LIST, message_id=shown.message_id)
    return Delivered(sink=sink, message_id=shown.message_id, is_uploaded=shown.is_uploaded)


def nonce_for(reference: str, purpose: str) -> str:
    """The same for the same message of the same job, also after a restart (S-7)."""
    mac = hmac.digest(_NONCE_KEY, f"{reference}/{purpose}".encode(), "sha256")
    return base64.b32encode(mac).decode().lower()[: NONCE_CHARS_MAX - 1]
