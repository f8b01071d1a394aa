"""What a restart leaves behind: answers that end in the middle, and members who wait.

Everything here may happen again, because the process may end before it is noted: an edit is
repeated without harm, a message is looked for before it is sent (reliability.md S-7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import discord
import structlog

from bot.discordio.by_token import ORIGINAL, hook_of
from bot.discordio.cards import notice_card
from bot.discordio.closing import with_note
from bot.discordio.faults import DISCORD_ERRORS, as_surface_error
from bot.discordio.render import pages, width
from bot.discordio.surface import SurfaceBusy, nonce_for
from bot.errors import Interrupted
from bot.limits import MESSAGE_CHARS_MAX, POSTED_SEARCH_MESSAGES_MAX
from bot.text.answers import BOOKING_NOTE, LATE, PLACEHOLDERS, closing_text
from bot.text.messages import Notice, message, short_reference
from bot.text.money import Payment, payment_text
from storage.types import OwedTurn

_TOLD_PART = 1_000
"""The part number of this notice's nonce: far from any page's."""
CANNOT_REPLY = 160002
"""Discord's code where the bot may not read the history."""
_KNOWN_CHARS = 20
"""A page that begins with so many of the words that stand there is the one they belong to."""

_log = structlog.get_logger(__name__)


async def tell(client: discord.Client, turn: OwedTurn) -> bool:
    """Close an answer whose end was not shown, or answer the question that has none.

    False when Discord could not be had and another start may try again.
    """
    try:
        if turn.message_id is None and _question_id(turn) is None:
            await _tell_command(client, turn)
        elif turn.answer is None:
            await _tell_interrupted(client, turn)
        else:
            await _show_whole(client, turn, turn.answer)
    except DISCORD_ERRORS as error:
        _log.info("interrupted_not_told", reference=turn.reference, error=repr(error))
        return not isinstance(as_surface_error(error), SurfaceBusy)
    return True


# --- It was interrupted ---------------------------------------------------------------------------


async def _tell_interrupted(client: discord.Client, turn: OwedTurn) -> None:
    """The end stands under the last words shown, or in a reply to them where it finds no room.

    No word that a member has read goes away (S-12).
    """
    notice = _notice(turn)
    channel = client.get_partial_messageable(turn.channel_id)
    if turn.message_id is None:
        if (asked_id := _question_id(turn)) is not None:
            await _reply(client, channel, turn, notice, to_id=asked_id)
        return
    answer = await _standing(channel, turn.message_id)
    if answer is None:
        await _reply(client, channel, turn, notice, to_id=turn.message_id)
        return
    if short_reference(turn.reference) in answer.content.rpartition("\n")[2]:
        return  # told before
    shown = _words(answer.content)
    both = f"{shown}\n{notice.markdown}".lstrip("\n")
    fits = width(both) <= MESSAGE_CHARS_MAX
    await answer.edit(content=both if fits else shown, view=None)
    if not fits:
        await _reply(client, channel, turn, notice, to_id=answer.id)


def _notice(turn: OwedTurn) -> Notice:
    payment = Payment(charged_ucr=turn.charged_ucr)
    return message(Interrupted(), reference=turn.reference, payment=payment)


async def _standing(channel: discord.PartialMessageable, message_id: int) -> discord.Message | None:
    """The message as it stands; None where we may not read: then it only loses its button."""
    try:
        return await channel.fetch_message(message_id)
    except discord.Forbidden:
        await channel.get_partial_message(message_id).edit(view=None)
        return None


def _question_id(turn: OwedTurn) -> int | None:
    """The message that asked; None for a command."""
    kind, _, id_text = turn.reference.partition(":")
    return int(id_text) if kind == "m" else None


def _words(shown: str) -> str:
    """The model's words on a page, without what stood in for them or announced a price."""
    if shown in PLACEHOLDERS.values():
        return ""
    words, _, last = shown.rpartition("\n")
    return words if last == PLACEHOLDERS["stopped"] or last.startswith(BOOKING_NOTE) else shown


async def _reply(
    client: discord.Client,
    channel: discord.PartialMessageable,
    turn: OwedTurn,
    notice: Notice,
    *,
    to_id: int,
) -> None:
    reference = short_reference(turn.reference)
    ours = await _ours_after(client, channel, to_id)
    if any(_says(one.components, reference) for one in ours):
        return
    await _send(channel, turn, to_id, view=notice_card(notice), nonce=_nonce(turn, _TOLD_PART))


def _nonce(turn: OwedTurn, part: int) -> str:
    return nonce_for(turn.reference, part)


async def _send(
    channel: discord.PartialMessageable, turn: OwedTurn, to_id: int, **options: Any
) -> None:
    """Reply, or just write where the bot may not read what it would reply to."""
    to = discord.MessageReference(
        message_id=to_id, channel_id=turn.channel_id, fail_if_not_exists=False
    )
    try:
        await channel.send(reference=to, **options)
    except discord.Forbidden as error:
        if error.code != CANNOT_REPLY:
            raise
        await channel.send(**options)


async def _ours_after(
    client: discord.Client, channel: discord.PartialMessageable, message_id: int
) -> list[discord.Message]:
    """What we have written since; nothing where we may not read."""
    after = discord.Object(message_id)
    history = channel.history(limit=POSTED_SEARCH_MESSAGES_MAX, after=after)
    return [one async for one in history if one.author == client.user]


def _says(components: Iterable[Any], reference: str) -> bool:
    for component in components:
        if reference in (getattr(component, "content", None) or ""):
            return True
        if _says(getattr(component, "children", ()), reference):
            return True
    return False


# --- It was whole and paid, but not shown to its end ----------------------------------------------


async def _show_whole(client: discord.Client, turn: OwedTurn, answer: str) -> None:
    """F-15: the member has paid for all of it; the pages go on where they stopped."""
    target = _whole(turn, answer)
    channel = client.get_partial_messageable(turn.channel_id)
    at, reply_to_id = -1, _question_id(turn)
    if turn.message_id is not None:
        reply_to_id = turn.message_id
        shown = await _standing(channel, turn.message_id)
        if shown is not None:
            at = _page_of(_words(shown.content), target)
            text = target[at] if at >= 0 else _words(shown.content)
            if shown.content != text or shown.components:
                await shown.edit(content=text, view=None)
    if reply_to_id is None:
        return
    standing = {one.content for one in await _ours_after(client, channel, reply_to_id)}
    for part in range(at + 1, len(target)):
        if target[part] not in standing:
            options = {"content": target[part], "nonce": _nonce(turn, part)}
            await _send(channel, turn, reply_to_id, suppress_embeds=True, **options)


def _whole(turn: OwedTurn, answer: str) -> list[str]:
    closing = closing_text(turn.charged_ucr, reference=short_reference(turn.reference))
    return with_note(pages(answer), closing)


def _page_of(shown: str, target: list[str]) -> int:
    """Which page of the whole answer stands there; -1 when it is none of them."""
    if not shown:
        return 0
    known = [_shared_chars(shown, page) for page in target]
    best = max(known)
    return known.index(best) if best >= min(_KNOWN_CHARS, len(shown)) else -1


def _shared_chars(first: str, second: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))


# --- It was a command's, and nobody noted where it stands -----------------------------------------


async def _tell_command(client: discord.Client, turn: OwedTurn) -> None:
    """The token finds the answer while it lives; what is paid comes in private after that."""
    if turn.token is not None:
        hook = hook_of(client, turn.token)
        try:
            first = await hook.fetch_message(ORIGINAL)
            await _end_by_token(client, turn, hook, first)
        except DISCORD_ERRORS as error:
            if isinstance(as_surface_error(error), SurfaceBusy):
                raise
            _log.info("answer_out_of_reach", reference=turn.reference, error=repr(error))
        else:
            return
    if turn.answer is not None or turn.charged_ucr > 0:
        await _tell_in_private(client, turn)


async def _end_by_token(
    client: discord.Client, turn: OwedTurn, hook: discord.Webhook, first: discord.Message
) -> None:
    """F-15, F-19: the first answer is brought to its end; what is whole with its price stays."""
    last_line = first.content.rpartition("\n")[2]
    priced = turn.charged_ucr > 0 and payment_text(Payment(charged_ucr=turn.charged_ucr))
    if short_reference(turn.reference) in last_line or (priced and priced in last_line):
        return
    if turn.answer is not None:
        target = _whole(turn, turn.answer)
        if first.content != target[0] or first.components:
            await hook.edit_message(ORIGINAL, content=target[0], view=None)
        if len(target) > 1:
            await _show_whole(client, replace(turn, message_id=first.id), turn.answer)
        return
    # The answer to one member alone is not kept: its words are what was shown of it.
    shown, note = _words(first.content), _notice(turn).markdown
    if shown and turn.charged_ucr > 0:
        note = closing_text(turn.charged_ucr, reference=short_reference(turn.reference))
    both = f"{shown}\n{note}".lstrip("\n")
    fits = width(both) <= MESSAGE_CHARS_MAX
    await hook.edit_message(ORIGINAL, content=both if fits else shown, view=None)
    if not fits:
        await hook.send(note, ephemeral=first.flags.ephemeral)


async def _tell_in_private(client: discord.Client, turn: OwedTurn) -> None:
    """To its asker alone, once: the reference stands at its end."""
    asked_id = int(turn.reference.partition(":")[2])
    channel_id = (await client.create_dm(discord.Object(turn.author_id))).id
    channel = client.get_partial_messageable(channel_id)
    ours = await _ours_after(client, channel, asked_id)
    reference = short_reference(turn.reference)
    if any(reference in one.content or _says(one.components, reference) for one in ours):
        return
    if turn.answer is None:
        await channel.send(view=notice_card(_notice(turn)), nonce=_nonce(turn, _TOLD_PART))
        return
    parts = [LATE.format(channel_id=turn.channel_id), *_whole(turn, turn.answer)]
    standing = {one.content for one in ours}
    for part, text in enumerate(parts):
        if text not in standing:
            await channel.send(text, nonce=_nonce(turn, part), suppress_embeds=True)
