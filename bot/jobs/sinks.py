"""Cards into Discord: the progress of a job, and its outcome into the first sink that takes it.

    edit by the bot → edit by the token → new message → DM → the member's list, which cannot fail

The contract is reliability.md S-1 (sinks) and S-7: edits may be repeated at will, creates carry a
fixed nonce and are looked for in the channel's history, permanent troubles move on to the next
sink, troubles that pass are the engine's to try again.
"""

from __future__ import annotations

import asyncio
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
from bot.jobs.posting import Poster
from bot.limits import (
    CLOSED_CHANNEL_S,
    CLOSED_CHANNELS_MAX,
    DELIVERY_RETRY_S,
    DELIVERY_TIMEOUT_S,
    SHOW_TIMEOUT_S,
    SHOWN_CARDS_MAX,
)
from storage.database import Store
from storage.errors import StorageError
from storage.outbox import Purpose
from storage.types import Job, Sink

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
    begun: frozenset[Purpose] = frozenset()

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

    def __init__(self, *, messages: Messages, database: Store, clock: Clock) -> None:
        self._messages = messages
        self._poster = Poster(messages=messages, database=database, clock=clock)
        self._clock = clock
        self._memories: OrderedDict[int, _Memory] = OrderedDict()
        self._closed_until_s: OrderedDict[int, float] = OrderedDict()

    # --- Progress -----------------------------------------------------------------------------

    async def show(self, card: Card) -> int | None:
        """Bring the card up to date; the id of its message. Never raises.

        None without a message, or when a trouble that passes was in the way: try again.
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
                    if not self._messages.is_reachable(job):
                        return None
                    await self._bring_up_to_date(card, memory)
        except Exception as error:  # noqa: BLE001 - progress is never worth a failed job.
            is_known = isinstance(error, MessageTrouble | TimeoutError | StorageError)
            _log.info(
                "card_not_shown",
                job=job.short_id,
                error=repr(error),
                exc_info=None if is_known else error,
            )
            if _passes(error):
                return None
        return None if memory.is_gone else memory.message_id or job.card_message_id

    async def _bring_up_to_date(self, card: Card, memory: _Memory) -> None:
        job, showing = card.job, Showing(card=card)
        memory.message_id = job.card_message_id or memory.message_id
        digest = self._messages.digest(showing)
        if memory.digest == digest:
            return
        try:
            message_id = await self._somewhere(showing, memory.message_id)
        except MessageTrouble as trouble:
            memory.is_gone = trouble.trouble is Trouble.GONE
            raise
        if message_id is not None:
            memory.message_id, memory.digest = message_id, digest

    async def _somewhere(self, showing: Showing, known: int | None) -> int | None:
        """As the bot; where it may not, through the token; None where neither can.

        A channel that refused us is left alone: progress would ask there every few seconds, and
        too many refusals get the whole machine banned (F-89, I-32).
        """
        job = showing.card.job
        is_first = known is None and self._token_lives(job)
        if not is_first and not self._is_closed(job.channel_id):
            try:
                return await self._by_the_bot(showing, known)
            except MessageTrouble as trouble:
                self._note(job.channel_id, trouble)
                may_not = trouble.trouble in {Trouble.CLOSED, Trouble.REFUSED}
                if not may_not or not self._token_lives(job):
                    raise
        if not self._token_lives(job):
            return None
        return (await self._messages.edit_by_token(showing, message_id=known)).message_id

    async def _by_the_bot(self, showing: Showing, known: int | None) -> int:
        if known is None:
            return await self._posted_card(showing)
        job = showing.card.job
        await self._messages.edit(showing, channel_id=job.channel_id, message_id=known)
        return known

    async def _posted_card(self, showing: Showing) -> int:
        """The card of an order whose interaction is over, and which has none that we know of."""
        job = showing.card.job
        known = await self._poster.card_of(job)
        if known is not None:
            await self._messages.edit(showing, channel_id=job.channel_id, message_id=known)
            return known
        shown = await self._poster.post(showing, purpose=Purpose.STATUS, channel_id=job.channel_id)
        if shown is None:
            raise MessageTrouble(Trouble.GONE)
        return shown.message_id

    # --- Outcome ------------------------------------------------------------------------------

    async def deliver(self, card: Card) -> Delivered:
        """Show the outcome in the first sink that takes it; raises only `DeliveryPostponed`."""
        job, memory = card.job, self._memory(card.job.id)
        memory.is_over = True
        if not self._messages.is_reachable(job):
            raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S, is_away=True)
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_S), memory.lock:
                begun = await self._poster.begun(job)
                delivered = await self._first_sink(_Attempt(card=card, begun=begun))
        except (TimeoutError, StorageError) as error:
            raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S) from error
        except DeliveryPostponed:
            raise
        except Exception:  # noqa: BLE001 - our mistake; the member finds the job in the list.
            _log.exception("delivery_failed", job=job.short_id)
            return Delivered(sink=Sink.LIST)
        _log.info("delivered", job=job.short_id, sink=delivered.sink)
        return delivered

    async def _first_sink(self, attempt: _Attempt) -> Delivered:
        """In order; but a message that may be there already is finished first (I-23)."""
        posted = {Purpose.RESULT: self._by_message, Purpose.DM: self._by_dm}
        first = [road for purpose, road in posted.items() if purpose in attempt.begun]
        roads: list[_Road] = [self._by_card, self._by_token, self._by_message, self._by_dm]
        for road in (*first, *(road for road in roads if road not in first)):
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
        if self._is_closed(job.channel_id):
            return None
        try:
            message_id = await self._card_id(job)
            if message_id is None:
                return None
            shown = await self._messages.edit(
                attempt.showing(), channel_id=job.channel_id, message_id=message_id
            )
        except MessageTrouble as trouble:
            self._note(job.channel_id, trouble)
            attempt.is_gone = trouble.trouble is Trouble.GONE
            raise
        return _delivered(Sink.CARD, shown)

    async def _card_id(self, job: Job) -> int | None:
        """The card's message. While the token lives it needs no search: the token knows it."""
        memory = self._memory(job.id)
        known = job.card_message_id or memory.message_id
        if known is None and not self._token_lives(job):
            known = memory.message_id = await self._poster.card_of(job)
        return known

    async def _by_token(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        if attempt.is_gone or attempt.is_blocked or not self._token_lives(job):
            return None
        known = job.card_message_id or self._memory(job.id).message_id
        shown = await self._messages.edit_by_token(attempt.showing(), message_id=known)
        return _delivered(Sink.TOKEN, shown)

    async def _by_message(self, attempt: _Attempt) -> Delivered | None:
        if attempt.is_blocked:
            return None
        showing = attempt.showing(ping=True)
        return await self._by_post(attempt, showing, attempt.job.channel_id, Purpose.RESULT)

    async def _by_dm(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        channel_id = await self._messages.open_dm(job.user_id)
        if channel_id == job.channel_id:
            return None
        showing = attempt.showing(moved_from=job.channel_id)
        return await self._by_post(attempt, showing, channel_id, Purpose.DM)

    async def _by_post(
        self, attempt: _Attempt, showing: Showing, channel_id: int, purpose: Purpose
    ) -> Delivered | None:
        """A message that was there for sure and was deleted is not posted once more (F-90)."""
        if self._is_closed(channel_id) and purpose not in attempt.begun:
            return None
        try:
            shown = await self._poster.post(showing, purpose=purpose, channel_id=channel_id)
        except MessageTrouble as trouble:
            self._note(channel_id, trouble)
            if trouble.trouble is Trouble.GONE:
                return Delivered(sink=Sink.LIST)
            raise
        return _delivered(Sink.MESSAGE if purpose is Purpose.RESULT else Sink.DM, shown)

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


def _passes(error: Exception) -> bool:
    trouble = error.trouble if isinstance(error, MessageTrouble) else None
    return isinstance(error, TimeoutError) or trouble is Trouble.PASSES
