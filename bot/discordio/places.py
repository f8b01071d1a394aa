"""The two places for an answer: messages in a channel, and the answer to an interaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import discord
import structlog

from bot.discordio.buttons import stop_view
from bot.discordio.faults import DISCORD_ERRORS, as_surface_error
from bot.discordio.first_answers import answer_first
from bot.discordio.rest_breaker import counting
from bot.discordio.surface import HEADING_PART, Page, SurfaceClosed, nonce_for
from bot.limits import POSTED_SEARCH_MESSAGES_MAX
from bot.text.answers import MOVED

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def _our_errors() -> AsyncGenerator[None]:
    try:
        yield
    except DISCORD_ERRORS as error:
        raise as_surface_error(error) from error


Channel = (
    discord.TextChannel
    | discord.VoiceChannel
    | discord.StageChannel
    | discord.Thread
    | discord.DMChannel
    | discord.PartialMessageable
)
"""Where a bot can write; groups are for users."""


def _is_ours(message: discord.Message) -> bool:
    me = message.guild.me if message.guild is not None else getattr(message.channel, "me", None)
    return message.author == me


def _view(page: Page) -> discord.ui.View | None:
    return None if page.stop_reference is None else stop_view(page.stop_reference)


class ChannelSurface:
    """Messages of the bot in a channel, thread or DM; the first replies to `question`.

    The others reply to the first, so that answers which are written at once can be told apart.
    Without a `question` nothing is a reply: the bot lacks the right to read the history.
    Embeds are suppressed when a message is made, and edits leave that flag alone (F-149).
    """

    def __init__(
        self,
        channel: Channel,
        *,
        question: discord.MessageReference | None = None,
    ) -> None:
        self._channel = channel
        self._question = question
        self._first: discord.MessageReference | None = None
        self._newest_id: int | None = None
        self._doubtful: set[str] = set()
        """Nonces of tries that may have made a message without our hearing of it (F-86)."""

    @property
    def lane(self) -> int:
        """Discord counts edits per channel."""
        return self._channel.id

    async def typing(self) -> None:
        async with _our_errors():
            await self._channel.typing()

    async def post(self, page: Page, *, nonce: str, is_first: bool) -> int:
        options: dict[str, Any] = {"nonce": nonce, "suppress_embeds": True}
        if self._question is not None:
            options["reference"] = (None if is_first else self._first) or self._question
        if page.stop_reference is not None:
            options["view"] = stop_view(page.stop_reference)
        message = await self._made(page, options)
        if is_first:
            self._first = message.to_reference(fail_if_not_exists=False)
        if nonce in self._doubtful:  # it may say what was true at an earlier try
            await self.edit(message.id, page)
        self._newest_id = message.id
        return message.id

    async def _made(self, page: Page, options: dict[str, Any]) -> discord.Message:
        """The message, which an earlier try may have made: a refusal is no proof then (I-23)."""
        nonce: str = options["nonce"]
        async with _our_errors():
            try:
                with counting() as tries:
                    return await self._channel.send(page.text, **options)
            except DISCORD_ERRORS as error:
                if tries.may_be_done:
                    self._doubtful.add(nonce)
                is_refusal = isinstance(as_surface_error(error), SurfaceClosed)
                found = None
                if is_refusal and nonce in self._doubtful:
                    found = await self._found(options.get("reference"))
                if found is None:
                    raise
                return found

    async def _found(self, replied_to: discord.MessageReference | None) -> discord.Message | None:
        """Our reply that came after all that we know of; without replies nothing can be read."""
        if replied_to is None or replied_to.message_id is None:
            return None
        after = discord.Object(self._newest_id or replied_to.message_id)
        async for one in self._channel.history(after=after, limit=POSTED_SEARCH_MESSAGES_MAX):
            reference = one.reference
            if _is_ours(one) and reference and reference.message_id == replied_to.message_id:
                return one
        return None

    async def edit(self, message_id: int, page: Page) -> None:
        async with _our_errors():
            message = self._channel.get_partial_message(message_id)
            await message.edit(content=page.text, view=_view(page))

    async def remove(self, message_id: int) -> None:
        async with _our_errors():
            await self._channel.get_partial_message(message_id).delete()


class InteractionSurface:
    """The first answer to an interaction, which lives 15 minutes, and the pages after it.

    Webhooks know no nonce, and discord.py repeats their requests after a 502 that may have had its
    effect. So later pages are messages in the channel, replies to the first (S-12); follow-ups are
    only for what nobody else may see, and where we may not write.
    """

    def __init__(self, interaction: discord.Interaction[Any], *, private: bool) -> None:
        self._interaction = interaction
        self._private = private
        self._original_id: int | None = None
        self._further: ChannelSurface | None = None
        self._further_ids: set[int] = set()

    @property
    def lane(self) -> int:
        """An interaction's webhook has a rate limit of its own."""
        if self._further is not None and self._further_ids:
            return self._further.lane
        return self._interaction.id

    async def typing(self) -> None:
        """Discord says by itself that the command was sent."""

    async def post(self, page: Page, *, nonce: str, is_first: bool) -> int:
        if self._further is not None:
            try:
                message_id = await self._further.post(page, nonce=nonce, is_first=False)
            except SurfaceClosed:
                if self._further_ids:
                    raise
                self._further = None
            else:
                self._further_ids.add(message_id)
                return message_id
        del is_first  # the first answer is Discord's own notion
        options: dict[str, Any] = {"ephemeral": self._private, "suppress_embeds": True}
        if page.stop_reference is not None:
            options["view"] = stop_view(page.stop_reference)
        async with _our_errors():
            if self._original_id is not None:
                message = await self._interaction.followup.send(page.text, wait=True, **options)
                return message.id
            self._original_id = await self._respond(page.text, options)
        self._further = None if self._private else _beside(self._interaction, self._original_id)
        return self._original_id

    async def _respond(self, text: str, options: dict[str, Any]) -> int:
        response = self._interaction.response
        if not response.is_done():
            sent = await answer_first(
                self._interaction,
                discord.InteractionResponseType.channel_message,
                lambda: response.send_message(text, **options),
            )
            if sent is not None and sent.message_id is not None:
                return sent.message_id
        # Our own, which may say what was true at an earlier try.
        standing = await self._interaction.edit_original_response(
            content=text, view=options.get("view")
        )
        return standing.id

    async def edit(self, message_id: int, page: Page) -> None:
        if self._further is not None and message_id in self._further_ids:
            await self._further.edit(message_id, page)
            return
        async with _our_errors():
            if message_id == self._original_id:
                await self._interaction.edit_original_response(content=page.text, view=_view(page))
            else:
                await self._interaction.followup.edit_message(
                    message_id, content=page.text, view=_view(page)
                )

    async def remove(self, message_id: int) -> None:
        if self._further is not None and message_id in self._further_ids:
            await self._further.remove(message_id)
            return
        async with _our_errors():
            if message_id == self._original_id:
                await self._interaction.delete_original_response()
            else:
                await self._interaction.followup.delete_message(message_id)


def _beside(interaction: discord.Interaction[Any], answer_id: int) -> ChannelSurface | None:
    """The channel in which a command was answered; None where we may not write there."""
    channel, granted = interaction.channel, interaction.app_permissions
    if not isinstance(channel, Channel):
        return None
    in_thread = isinstance(channel, discord.Thread)
    may_write = granted.send_messages_in_threads if in_thread else granted.send_messages
    if not (may_write and granted.view_channel):
        return None
    answer = discord.MessageReference(
        message_id=answer_id, channel_id=channel.id, fail_if_not_exists=False
    )
    return ChannelSurface(channel, question=answer if granted.read_message_history else None)


async def private_surface(
    user: discord.User | discord.Member, *, instead_of_id: int, reference: str
) -> ChannelSurface | None:
    """The DM with `user`, where an answer goes when its channel closes; None when it is shut.

    `reference` is the turn's: what says why it is there stands above the answer once (S-7).
    """
    try:
        channel = await user.create_dm()
        if channel.id == instead_of_id:
            return None
        moved = await channel.send(
            MOVED.format(channel_id=instead_of_id),
            nonce=nonce_for(reference, HEADING_PART, is_private=True),
            suppress_embeds=True,
        )
    except DISCORD_ERRORS as error:
        _log.info("dm_closed", user_id=user.id, error=repr(error))
        return None
    return ChannelSurface(channel, question=moved.to_reference(fail_if_not_exists=False))
