"""What a restart leaves behind: answers that end in the middle, and members who wait."""

from __future__ import annotations

import discord

from bot.discordio.cards import notice_card
from bot.discordio.render import width
from bot.discordio.surface import nonce_for
from bot.errors import Restarting
from bot.limits import MESSAGE_CHARS_MAX
from bot.text.answers import PLACEHOLDERS
from bot.text.messages import Notice, message
from storage.types import OpenTurn

_TOLD_PART = 1_000
"""The part number of this notice's nonce: far from any page's."""


async def tell(client: discord.Client, turn: OpenTurn) -> None:
    """Close an answer that stands unfinished, or answer the question that has none.

    Raises `discord.HTTPException` where that is not possible.
    """
    notice = message(Restarting(), reference=turn.reference)
    channel = client.get_partial_messageable(turn.channel_id)
    kind, _, id_text = turn.reference.partition(":")
    if turn.message_id is not None:
        answer = await channel.fetch_message(turn.message_id)
        await answer.edit(content=_closed(answer.content, notice), view=None)
    elif kind == "m":
        await channel.send(
            view=notice_card(notice),
            nonce=nonce_for(turn.reference, _TOLD_PART),
            reference=discord.MessageReference(
                message_id=int(id_text), channel_id=turn.channel_id, fail_if_not_exists=False
            ),
        )


def _closed(shown: str, notice: Notice) -> str:
    """What was shown, and its end; the notice wins where both do not fit."""
    if shown in PLACEHOLDERS.values() or width(shown) + 1 + width(notice.markdown) > (
        MESSAGE_CHARS_MAX
    ):
        return notice.markdown
    return f"{shown}\n{notice.markdown}"
