"""A channel's history as the asking member may see it, for the model's search tool."""

from __future__ import annotations

import discord
import structlog

from bot.chat.ports import FoundMessage
from bot.discordio.faults import DISCORD_ERRORS
from bot.discordio.markdown import SMALL_PRINT, clean
from bot.limits import CHANNEL_SEARCH_MESSAGES_MAX, FOUND_CHARS_MAX, FOUND_MESSAGES_MAX

_log = structlog.get_logger(__name__)


class HistoryReader:
    """`bot.chat.ports.ChannelReader` over one channel; `before` is the question itself."""

    def __init__(self, channel: discord.abc.Messageable, *, before: discord.abc.Snowflake) -> None:
        self._channel = channel
        self._before = before

    async def search(self, query: str) -> tuple[FoundMessage, ...]:
        """Messages with every word of `query`, newest first; none where Discord says no."""
        words = query.casefold().split()
        found: list[FoundMessage] = []
        history = self._channel.history(limit=CHANNEL_SEARCH_MESSAGES_MAX, before=self._before)
        try:
            async for message in history:
                text = _said(message)
                if words and all(word in text.casefold() for word in words):
                    found.append(_found(message, text))
                if len(found) == FOUND_MESSAGES_MAX:
                    break
        except DISCORD_ERRORS as error:
            _log.info("history_not_read", error=repr(error))
        return tuple(found)


def _said(message: discord.Message) -> str:
    """The words of a message: a bot's price, balance and sources at the end are none."""
    lines = clean(message.content).split("\n")
    while message.author.bot and lines and lines[-1].startswith(SMALL_PRINT):
        lines.pop()
    return "\n".join(lines)


def _found(message: discord.Message, text: str) -> FoundMessage:
    return FoundMessage(
        author_name=clean(message.author.display_name),
        at_us=int(message.created_at.timestamp() * 1_000_000),
        text=text[:FOUND_CHARS_MAX],
    )


def reader_for_message(message: discord.Message) -> HistoryReader | None:
    """None where the member or the bot may not read the history."""
    if isinstance(message.author, discord.Member) and message.guild is not None:
        channel = message.channel
        both = (message.author, message.guild.me)
        if not all(channel.permissions_for(who).read_message_history for who in both):
            return None
    return HistoryReader(message.channel, before=message)


def reader_for_command(interaction: discord.Interaction) -> HistoryReader | None:
    """None where the member or the bot may not read the history."""
    channel = interaction.channel
    if not isinstance(channel, discord.abc.Messageable):
        return None
    if interaction.guild_id is not None:
        both = (interaction.permissions, interaction.app_permissions)
        if not all(granted.read_message_history for granted in both):
            return None
    return HistoryReader(channel, before=discord.Object(interaction.id))
