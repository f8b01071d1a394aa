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

    The end stands under the last words shown, or in a reply to them where it finds no room: no
    word that a member has read goes away (reliability.md S-12).

    Raises `discord.HTTPException` where that is not possible.
    """
    notice = message(Restarting(), reference=turn.reference)
    channel = client.get_partial_messageable(turn.channel_id)
    kind, _, id_text = turn.reference.partition(":")
    if turn.message_id is None:
        if kind == "m":
            await _reply(channel, turn, notice, to_id=int(id_text))
        return
    answer = await channel.fetch_message(turn.message_id)
    shown = _words(answer.content)
    both = f"{shown}\n{notice.markdown}".lstrip("\n")
    fits = width(both) <= MESSAGE_CHARS_MAX
    await answer.edit(content=both if fits else shown, view=None)
    if not fits:
        await _reply(channel, turn, notice, to_id=answer.id)


def _words(shown: str) -> str:
    """The model's words on a page, without what stood in for them or announced a price."""
    if shown in PLACEHOLDERS.values():
        return ""
    return shown.removesuffix(f"\n{PLACEHOLDERS['stopped']}")


async def _reply(
    channel: discord.PartialMessageable, turn: OpenTurn, notice: Notice, *, to_id: int
) -> None:
    await channel.send(
        view=notice_card(notice),
        nonce=nonce_for(turn.reference, _TOLD_PART),
        reference=discord.MessageReference(
            message_id=to_id, channel_id=turn.channel_id, fail_if_not_exists=False
        ),
    )
