"""Messages of jobs through the connected client: rendered, sent, and their troubles translated.

What to send where, and when again, is decided in `bot.jobs.sinks`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import discord
from discord.utils import DEFAULT_FILE_SIZE_LIMIT_BYTES

from bot.clock import Clock
from bot.discordio.by_token import ORIGINAL, hook_of
from bot.discordio.faults import DISCORD_ERRORS
from bot.discordio.job_cards import Beside, JobCards
from bot.discordio.pacing import ChannelPacer
from bot.discordio.parcels import Parcel, packed
from bot.discordio.posted import find_posted, is_readable
from bot.discordio.rest_breaker import delivering
from bot.discordio.troubles import as_trouble
from bot.jobs.ports import MessageTrouble, Showing, Shown, Trouble
from storage.types import Job

_MENTIONS_NONE = discord.AllowedMentions.none()
"""Said with each request: without words of its own discord.py leaves the client's default out."""


class DiscordMessages:
    """`bot.jobs.ports.Messages` through the connected client."""

    def __init__(
        self, client: discord.Client, *, cards: JobCards, pacer: ChannelPacer, clock: Clock
    ) -> None:
        self._client = client
        self._cards = cards
        self._pacer = pacer
        self._clock = clock

    def is_reachable(self, job: Job) -> bool:
        """Whether the client can be used: logged in, and with the job's server in its memory.

        A server that has an outage is waited for; one that we were removed from is not (F-95).
        """
        client = self._client
        if client.is_closed() or client.application_id is None or client.user is None:
            return False
        if job.guild_id is None:
            return True
        guild = client.get_guild(job.guild_id)
        return client.is_ready() if guild is None else not guild.unavailable

    def digest(self, showing: Showing) -> str:
        """Of the words and buttons; files are no part of progress."""
        components = self._cards.view(showing.card, _beside(showing)).to_components()  # type: ignore[no-untyped-call]  # the library's own gap
        return hashlib.sha256(json.dumps(components).encode()).hexdigest()

    async def edit(self, showing: Showing, *, channel_id: int, message_id: int) -> Shown:
        """Edit as the bot; progress takes its turn among the channel's edits."""
        job = showing.card.job
        if job.outcome is None:
            await self._pacer.turn(channel_id)
        message = self._channel(job, channel_id).get_partial_message(message_id)
        with self._translated(showing):
            parcel, view = self._rendered(showing, channel_id)
            options = _attachments(showing, parcel)
            await message.edit(view=view, allowed_mentions=_MENTIONS_NONE, **options)
        return _shown(showing, parcel, message_id)

    async def edit_by_token(self, showing: Showing, *, message_id: int | None) -> Shown:
        """Edit through the interaction's webhook, which needs no permission."""
        job = showing.card.job
        assert job.interaction_token is not None
        hook = hook_of(self._client, job.interaction_token)
        target: Any = ORIGINAL if message_id is None else message_id
        with self._translated(showing):
            parcel, view = self._rendered(showing, job.channel_id)
            options = _attachments(showing, parcel)
            message = await hook.edit_message(
                target, view=view, allowed_mentions=_MENTIONS_NONE, **options
            )
        return _shown(showing, parcel, message.id)

    async def create(self, showing: Showing, *, channel_id: int, nonce: str) -> Shown:
        """Post a message; nobody but the job's owner is ever notified."""
        job = showing.card.job
        owner = discord.AllowedMentions(
            everyone=False, roles=False, users=[discord.Object(job.user_id)], replied_user=False
        )
        with self._translated(showing):
            parcel, view = self._rendered(showing, channel_id)
            message = await self._channel(job, channel_id).send(
                view=view,
                files=parcel.files,
                nonce=nonce,
                allowed_mentions=owner if showing.ping else _MENTIONS_NONE,
            )
        return _shown(showing, parcel, message.id)

    async def find(
        self, job: Job, *, channel_id: int, after_us: int, with_answers: bool
    ) -> int | None:
        """Look through what was said in the channel since."""
        channel = self._channel(job, channel_id)
        with self._translated():
            found = await find_posted(
                channel, job, self._client, after_us=after_us, with_answers=with_answers
            )
            if found is None and not await is_readable(channel):
                raise MessageTrouble(Trouble.CLOSED)
        return found

    async def open_dm(self, user_id: int) -> int:
        """Discord gives the same channel each time."""
        with self._translated():
            return (await self._client.create_dm(discord.Object(user_id))).id

    # --- Parts --------------------------------------------------------------------------------

    def _rendered(self, showing: Showing, channel_id: int) -> tuple[Parcel, discord.ui.LayoutView]:
        parcel = Parcel()
        if showing.card.job.outcome is not None:
            limit_bytes = self._limit_bytes(showing.card.job, channel_id)
            parcel = packed(
                showing.card,
                limit_bytes=limit_bytes if showing.takes_files else None,
                now_us=self._clock.now_us(),
            )
        try:
            return parcel, self._cards.view(showing.card, _beside(showing, parcel))
        except Exception:
            parcel.close()
            raise

    def _channel(self, job: Job, channel_id: int) -> discord.PartialMessageable:
        guild_id = job.guild_id if channel_id == job.channel_id else None
        return self._client.get_partial_messageable(channel_id, guild_id=guild_id)

    def _limit_bytes(self, job: Job, channel_id: int) -> int:
        """What this server lets us upload; its boosts may have changed since the command."""
        is_there = job.guild_id is not None and channel_id == job.channel_id
        guild = self._client.get_guild(job.guild_id or 0) if is_there else None
        return DEFAULT_FILE_SIZE_LIMIT_BYTES if guild is None else guild.filesize_limit

    @contextmanager
    def _translated(self, showing: Showing | None = None) -> Iterator[None]:
        """One of our errors for whatever Discord, the network or a closed client does.

        All but progress is sent also while Discord must be spared (S-13).
        """
        is_result = showing is None or showing.card.job.outcome is not None
        try:
            with delivering(is_result=is_result) as tries:
                yield
        except DISCORD_ERRORS as error:
            raise as_trouble(error, may_be_done=tries.may_be_done) from error
        except Exception as error:
            if self._client.is_closed():  # discord.py raises anything then
                raise MessageTrouble(Trouble.PASSES) from error
            raise


def _beside(showing: Showing, parcel: Parcel | None = None) -> Beside:
    parcel = parcel or Parcel()
    return Beside(
        files=parcel.names,
        notes=tuple(parcel.notes),
        ping=showing.ping,
        moved_from=showing.moved_from,
        is_marked=showing.is_marked,
        is_private=showing.moved_from is not None,
    )


def _attachments(showing: Showing, parcel: Parcel) -> dict[str, Any]:
    """An outcome replaces what the message had; progress leaves attachments alone."""
    return {} if showing.card.job.outcome is None else {"attachments": parcel.files}


def _shown(showing: Showing, parcel: Parcel, message_id: int) -> Shown:
    return Shown(
        message_id=message_id,
        is_uploaded=0 < len(parcel.files) == len(showing.card.artifacts),
        waits=parcel.waits,
    )
