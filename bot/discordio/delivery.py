"""Cards into Discord: the progress of a job, and its outcome into the first sink that takes it.

The contract is reliability.md S-1 (sinks) and S-7: edits may be repeated at will, creates carry a
fixed nonce and are looked for in the channel's history first, permanent errors move on to the next
sink, troubles that pass are the engine's to try again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import discord
import structlog
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from bot.clock import Clock
from bot.discordio.faults import DISCORD_ERRORS
from bot.discordio.job_cards import Beside, JobCards
from bot.discordio.pacing import ChannelPacer
from bot.discordio.parcels import Parcel, packed
from bot.discordio.posted import find_posted
from bot.discordio.surface import nonce_for
from bot.discordio.troubles import Trouble, diagnosed
from bot.jobs.ports import Card, Delivered, DeliveryPostponed
from bot.limits import (
    CLOSED_CHANNEL_S,
    CLOSED_CHANNELS_MAX,
    DELIVERY_RETRY_S,
    DELIVERY_TIMEOUT_S,
    SHOW_TIMEOUT_S,
    SHOWN_CARDS_MAX,
)
from storage.types import Job, Sink

_CARD_PART, _RESULT_PART, _DM_PART = 2_001, 2_002, 2_003
"""Parts of a job's nonces: one message each, far from the pages of an answer."""
_MENTIONS_NONE = discord.AllowedMentions.none()
"""Said with each request: without words of its own discord.py leaves the client's default out."""
_ORIGINAL: Any = "@original"
"""Discord's own name for the first answer to an interaction, where a message's id may stand."""

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
    waits: bool = False
    is_uploaded: bool = False

    @property
    def job(self) -> Job:
        return self.card.job


_Road = Callable[[_Attempt], Awaitable[Delivered | None]]
"""One way to a member; None where it does not exist for this job."""


class DiscordDelivery:
    """`bot.jobs.ports.Delivery` through the connected client."""

    def __init__(
        self, client: discord.Client, *, cards: JobCards, pacer: ChannelPacer, clock: Clock
    ) -> None:
        self._client = client
        self._cards = cards
        self._pacer = pacer
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
        job = card.job
        memory.message_id = job.card_message_id or memory.message_id
        view = self._cards.view(card)
        digest = _digest(view)
        if memory.digest == digest or not self._is_usable(job):
            return
        try:
            if memory.message_id is not None:
                await self._pacer.turn(job.channel_id)
                await self._edit_wherever(job, memory.message_id, view)
            elif self._token_lives(job):
                memory.message_id = await self._edit_by_token(job, None, view)
            elif not self._is_closed(job.channel_id):
                channel = self._channel(job)
                posted = await find_posted(channel, job, self._client)
                nonce = nonce_for(job.reference, _CARD_PART)
                message = posted or await channel.send(view=view, nonce=nonce)
                memory.message_id = message.id
        except discord.HTTPException as error:
            self._note(job.channel_id, error)
            memory.is_gone = diagnosed(error).trouble is Trouble.GONE
            raise
        memory.digest = digest

    async def _edit_wherever(self, job: Job, message_id: int, view: discord.ui.LayoutView) -> None:
        """As the bot; where it may not, through the token."""
        try:
            await (
                self._channel(job)
                .get_partial_message(message_id)
                .edit(view=view, allowed_mentions=_MENTIONS_NONE)
            )
        except discord.HTTPException as error:
            trouble = diagnosed(error).trouble
            if trouble not in {Trouble.CLOSED, Trouble.REFUSED} or not self._token_lives(job):
                raise
            await self._edit_by_token(job, message_id, view)

    # --- Outcome ------------------------------------------------------------------------------

    async def deliver(self, card: Card) -> Delivered:
        """Show the outcome in the first sink that takes it; raises only `DeliveryPostponed`."""
        job, memory = card.job, self._memory(card.job.id)
        memory.is_over = True
        if not self._is_usable(job):
            raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S)
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_S), memory.lock:
                attempt = _Attempt(card=card)
                delivered = await self._first_sink(attempt)
        except TimeoutError as error:
            raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S) from error
        except DeliveryPostponed:
            raise
        except Exception as error:
            if self._client.is_closed():
                raise DeliveryPostponed(retry_after_s=DELIVERY_RETRY_S) from error
            _log.exception("delivery_failed", job=job.short_id)
            return Delivered(sink=Sink.LIST)
        _log.info("delivered", job=job.short_id, sink=delivered.sink)
        if attempt.waits:  # the words arrived, the file did not
            return Delivered(sink=Sink.LIST, message_id=delivered.message_id)
        is_uploaded = attempt.is_uploaded and delivered.message_id is not None
        return replace(delivered, is_uploaded=is_uploaded)

    async def _first_sink(self, attempt: _Attempt) -> Delivered:
        roads = (self._by_card, self._by_token, self._by_message, self._by_dm)
        for road in roads:
            delivered = await self._tried(road, attempt)
            if delivered is not None:
                return delivered
        attempt.is_uploaded = False
        return Delivered(sink=Sink.LIST)

    async def _tried(self, road: _Road, attempt: _Attempt) -> Delivered | None:
        """Go one road; once more without the files where they are too large."""
        while True:
            try:
                return await road(attempt)
            except DISCORD_ERRORS as error:
                diagnosis = diagnosed(error)
                if diagnosis.trouble is Trouble.PASSES:
                    raise DeliveryPostponed(retry_after_s=diagnosis.retry_after_s) from error
                name = getattr(road, "__name__", "")
                _log.info("sink_refused", job=attempt.job.short_id, road=name, error=repr(error))
                attempt.is_blocked |= diagnosis.trouble is Trouble.BLOCKED
                if diagnosis.trouble is not Trouble.TOO_LARGE or not attempt.takes_files:
                    return None
                attempt.takes_files = False

    async def _by_card(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        message_id = job.card_message_id or self._memory(job.id).message_id
        if message_id is None or self._is_closed(job.channel_id):
            return None
        parcel, view = self._packed(attempt, limit_bytes=self._limit_bytes(job))
        message = self._channel(job).get_partial_message(message_id)
        try:
            await message.edit(view=view, attachments=parcel.files, allowed_mentions=_MENTIONS_NONE)
        except discord.HTTPException as error:
            self._note(job.channel_id, error)
            attempt.is_gone = diagnosed(error).trouble is Trouble.GONE
            raise
        return Delivered(sink=Sink.CARD, message_id=message_id)

    async def _by_token(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        if attempt.is_gone or attempt.is_blocked or not self._token_lives(job):
            return None
        known = job.card_message_id or self._memory(job.id).message_id
        parcel, view = self._packed(attempt, limit_bytes=self._limit_bytes(job))
        message_id = await self._edit_by_token(job, known, view, parcel.files)
        return Delivered(sink=Sink.TOKEN, message_id=message_id)

    async def _by_message(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        if attempt.is_blocked or self._is_closed(job.channel_id):
            return None
        try:
            message_id = await self._posted(
                attempt, self._channel(job), part=_RESULT_PART, limit_bytes=self._limit_bytes(job)
            )
        except discord.HTTPException as error:
            self._note(job.channel_id, error)
            raise
        return Delivered(sink=Sink.MESSAGE, message_id=message_id)

    async def _by_dm(self, attempt: _Attempt) -> Delivered | None:
        job = attempt.job
        channel = await self._client.create_dm(discord.Object(job.user_id))
        if channel.id == job.channel_id:
            return None
        message_id = await self._posted(
            attempt, channel, part=_DM_PART, limit_bytes=DEFAULT_FILE_SIZE_LIMIT_BYTES
        )
        return Delivered(sink=Sink.DM, message_id=message_id)

    async def _posted(
        self,
        attempt: _Attempt,
        channel: discord.PartialMessageable | discord.DMChannel,
        *,
        part: int,
        limit_bytes: int,
    ) -> int | None:
        """Post the outcome once; None when it was posted and deleted meanwhile (F-91).

        Outside the few minutes of the nonce the channel's history says what was posted (F-87).
        """
        job = attempt.job
        is_moved = channel.id != job.channel_id
        posted = await find_posted(channel, job, self._client)
        parcel, view = self._packed(
            attempt,
            limit_bytes=limit_bytes,
            moved_from=job.channel_id if is_moved else None,
            ping=not is_moved,
        )
        if posted is not None:
            await posted.edit(view=view, attachments=parcel.files, allowed_mentions=_MENTIONS_NONE)
            return posted.id
        owner = discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(job.user_id)], replied_user=False
        )
        try:
            message = await channel.send(
                view=view,
                files=parcel.files,
                nonce=nonce_for(job.reference, part),
                allowed_mentions=_MENTIONS_NONE if is_moved else owner,
            )
        except discord.NotFound as error:
            if diagnosed(error).trouble is not Trouble.GONE:
                raise
            return None
        return message.id

    # --- Parts --------------------------------------------------------------------------------

    def _packed(
        self,
        attempt: _Attempt,
        *,
        limit_bytes: int,
        moved_from: int | None = None,
        ping: bool = False,
    ) -> tuple[Parcel, discord.ui.LayoutView]:
        parcel = packed(
            attempt.card,
            limit_bytes=limit_bytes if attempt.takes_files else None,
            now_us=self._clock.now_us(),
        )
        attempt.waits = parcel.waits
        attempt.is_uploaded = 0 < len(parcel.files) == len(attempt.card.artifacts)
        beside = Beside(
            files=parcel.names, notes=tuple(parcel.notes), ping=ping, moved_from=moved_from
        )
        try:
            return parcel, self._cards.view(attempt.card, beside)
        except Exception:
            parcel.close()
            raise

    async def _edit_by_token(
        self,
        job: Job,
        message_id: int | None,
        view: discord.ui.LayoutView,
        files: list[discord.File] | None = None,
    ) -> int:
        assert job.interaction_token is not None
        application_id = self._client.application_id
        assert application_id is not None, "known since the login"
        hook = discord.Webhook.partial(application_id, job.interaction_token, client=self._client)
        options: dict[str, Any] = {} if files is None else {"attachments": files}
        target: Any = _ORIGINAL if message_id is None else message_id
        message = await hook.edit_message(
            target, view=view, allowed_mentions=_MENTIONS_NONE, **options
        )
        return message.id

    def _channel(self, job: Job) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(job.channel_id, guild_id=job.guild_id)

    def _limit_bytes(self, job: Job) -> int:
        """What this server lets us upload; its boosts may have changed since the command."""
        guild = None if job.guild_id is None else self._client.get_guild(job.guild_id)
        return DEFAULT_FILE_SIZE_LIMIT_BYTES if guild is None else guild.filesize_limit

    def _token_lives(self, job: Job) -> bool:
        expires_us = job.interaction_expires_us
        if job.interaction_token is None or expires_us is None:
            return False
        return self._clock.now_us() < expires_us

    def _is_usable(self, job: Job) -> bool:
        """Whether the client can be used: logged in, and with the job's server in its memory."""
        client = self._client
        if client.is_closed() or client.application_id is None or client.user is None:
            return False
        in_reach = job.guild_id is None or client.get_guild(job.guild_id) is not None
        return in_reach or client.is_ready()

    def _memory(self, job_id: int) -> _Memory:
        memory = self._memories.setdefault(job_id, _Memory())
        self._memories.move_to_end(job_id)
        while len(self._memories) > SHOWN_CARDS_MAX:
            self._memories.popitem(last=False)
        return memory

    # --- Channels that refused us (F-89) -------------------------------------------------------

    def _note(self, channel_id: int, error: discord.HTTPException) -> None:
        if diagnosed(error).trouble is Trouble.CLOSED:
            self._closed_until_s[channel_id] = self._clock.monotonic_s() + CLOSED_CHANNEL_S
            while len(self._closed_until_s) > CLOSED_CHANNELS_MAX:
                self._closed_until_s.popitem(last=False)

    def _is_closed(self, channel_id: int) -> bool:
        return self._closed_until_s.get(channel_id, 0.0) > self._clock.monotonic_s()


def _digest(view: discord.ui.LayoutView) -> str:
    components = view.to_components()  # type: ignore[no-untyped-call]  # the library's own gap
    return hashlib.sha256(json.dumps(components).encode()).hexdigest()
