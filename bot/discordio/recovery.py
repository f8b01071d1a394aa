"""What a restart leaves behind: answers that end in the middle, and members who wait.

Everything here may happen again, because the process may end before it is noted: an edit is
repeated without harm, a message is looked for before it is sent (reliability.md S-7).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import discord
import structlog

from bot.discordio.by_token import ORIGINAL, hook_of
from bot.discordio.cards import notice_card
from bot.discordio.closing import with_note
from bot.discordio.faults import DISCORD_ERRORS
from bot.discordio.render import pages, width
from bot.discordio.standing import page_of, says, words_of
from bot.discordio.surface import HEADING_PART, NOTICE_PART, nonce_for
from bot.discordio.troubles import diagnosed
from bot.errors import Interrupted
from bot.jobs.ports import Trouble
from bot.limits import INTERRUPTED_TIMEOUT_S, MESSAGE_CHARS_MAX, POSTED_SEARCH_MESSAGES_MAX
from bot.text.answers import LATE, closing_text
from bot.text.jobs import SENT_AGAIN
from bot.text.messages import Notice, message, short_reference
from bot.text.money import Payment, payment_text
from storage.types import OwedTurn

CANNOT_REPLY = 160002
"""Discord's code where the bot may not read the history."""
_POSTS_REFUSED = frozenset({50013, 160005})
"""Codes of a channel in which what stands can still be edited: no right to write, thread locked."""
_AGAIN = f"\n-# {SENT_AGAIN}"
"""Under an answer of which nobody may look how much stands there already."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Place:
    """A channel in one round of telling: one telling at a time, and no refusal twice (I-32)."""

    is_closed: bool = False
    """Nothing can be written or edited there."""
    is_mute: bool = False
    """No message can be added there."""
    is_unreadable: bool = False
    """What stands there cannot be read, nor replied to."""
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def used(self) -> AsyncGenerator[None]:
        """Alone, so that no two answers mix; a refusal is remembered and raised again."""
        async with self._turn:
            try:
                yield
            except DISCORD_ERRORS as error:
                if diagnosed(error).trouble is Trouble.CLOSED:
                    code = getattr(error, "code", 0)
                    self.is_mute, self.is_closed = True, code not in _POSTS_REFUSED
                raise


Places = defaultdict[int, Place]
"""By channel."""


async def tell(client: discord.Client, turn: OwedTurn, places: Places | None = None) -> bool:
    """Close an answer whose end was not shown, or answer the question that has none.

    False when Discord could not be had and another start may try again. `places` is what the
    tellings of one round know together.
    """
    places = Places(Place) if places is None else places
    try:
        if _stands_nowhere(turn) or not await _told_in_channel(client, turn, places):
            await _tell_elsewhere(client, turn, places)
    except DISCORD_ERRORS as error:
        _log.info("interrupted_not_told", reference=turn.reference, error=repr(error))
        return not _passes(error)
    return True


def _stands_nowhere(turn: OwedTurn) -> bool:
    """A command whose answer nobody noted; a question has at least itself."""
    return turn.message_id is None and _question_id(turn) is None


async def _told_in_channel(client: discord.Client, turn: OwedTurn, places: Places) -> bool:
    """False where it is closed to us, or refuses this for good: the next sink has it (S-7)."""
    place = places[turn.channel_id]
    try:
        async with place.used():
            if place.is_closed or (place.is_mute and turn.message_id is None):
                return False
            if turn.answer is None:
                return await _tell_interrupted(client, turn, place)
            return await _show_whole(client, turn, turn.answer, place)
    except DISCORD_ERRORS as error:
        if _passes(error):
            raise
        _log.info("refused_in_channel", reference=turn.reference, error=repr(error))
        return False


def _passes(error: Exception) -> bool:
    """Whether it may be tried again in the same way."""
    return diagnosed(error).trouble is Trouble.PASSES


# --- It was interrupted ---------------------------------------------------------------------------


async def _tell_interrupted(client: discord.Client, turn: OwedTurn, place: Place) -> bool:
    """The end stands under the last words shown, or in a reply to them where it finds no room.

    No word that a member has read goes away (S-12). False when a reply is known to be refused.
    """
    channel = client.get_partial_messageable(turn.channel_id)
    if turn.message_id is None:
        asked_id = _question_id(turn)
        return asked_id is None or await _reply(client, channel, turn, place, to_id=asked_id)
    answer = await _standing(channel, turn.message_id, place)
    if answer is None:
        return await _reply(client, channel, turn, place, to_id=turn.message_id)
    if short_reference(turn.reference) in answer.content.rpartition("\n")[2]:
        return True  # told before
    shown = words_of(answer.content)
    both = f"{shown}\n{_notice(turn).markdown}".lstrip("\n")
    fits = width(both) <= MESSAGE_CHARS_MAX
    await answer.edit(content=both if fits else shown, view=None)
    return fits or await _reply(client, channel, turn, place, to_id=answer.id)


def _notice(turn: OwedTurn) -> Notice:
    payment = Payment(charged_ucr=turn.charged_ucr)
    return message(Interrupted(), reference=turn.reference, payment=payment)


async def _standing(
    channel: discord.PartialMessageable, message_id: int, place: Place
) -> discord.Message | None:
    """The message as it stands; None where we may not read: then it only loses its button."""
    if not place.is_unreadable:
        try:
            return await channel.fetch_message(message_id)
        except discord.Forbidden:
            place.is_unreadable = True
    await channel.get_partial_message(message_id).edit(view=None)
    return None


def _question_id(turn: OwedTurn) -> int | None:
    """The message that asked; None for a command."""
    return _asked_id(turn) if turn.reference.startswith("m:") else None


def _asked_id(turn: OwedTurn) -> int:
    """What asked, a message or a command: all that we answered is newer."""
    return int(turn.reference.partition(":")[2])


async def _reply(
    client: discord.Client,
    channel: discord.PartialMessageable,
    turn: OwedTurn,
    place: Place,
    *,
    to_id: int,
) -> bool:
    reference = short_reference(turn.reference)
    ours = await _ours_after(client, channel, to_id)
    if any(says(one.components, reference) for one in ours):
        return True
    options = {"view": notice_card(_notice(turn)), "nonce": nonce_for(turn.reference, NOTICE_PART)}
    return await _sent(channel, place, to_id, **options)


async def _sent(
    channel: discord.PartialMessageable, place: Place, to_id: int, **options: Any
) -> bool:
    """Reply, or just write where the bot may not read what it would reply to.

    False where nothing can be added.
    """
    if place.is_mute:
        return False
    to = discord.MessageReference(message_id=to_id, channel_id=channel.id, fail_if_not_exists=False)
    if not place.is_unreadable:
        try:
            await _created(channel.send(reference=to, **options), options.get("content"))
        except discord.Forbidden as error:
            if error.code != CANNOT_REPLY:
                raise
            place.is_unreadable = True
        else:
            return True
    await _created(channel.send(**options), options.get("content"))
    return True


async def _created(sending: Awaitable[discord.Message], text: str | None = None) -> None:
    """Send; what the nonce finds there instead gets the `text`, if there is one.

    It may be a draft that nobody noted (F-86). What was deleted counts as delivered (F-91).
    """
    try:
        made = await sending
        if text is not None and (made.content != text or made.components):
            await made.edit(content=text.removesuffix(_AGAIN), view=None)
    except discord.NotFound as error:
        if diagnosed(error).trouble is not Trouble.GONE:
            raise


async def _ours_after(
    client: discord.Client, channel: discord.PartialMessageable, message_id: int
) -> list[discord.Message]:
    """What we have written since; nothing where we may not read."""
    after = discord.Object(message_id)
    history = channel.history(limit=POSTED_SEARCH_MESSAGES_MAX, after=after)
    return [one async for one in history if one.author == client.user]


# --- It was whole and paid, but not shown to its end ----------------------------------------------


async def _show_whole(client: discord.Client, turn: OwedTurn, answer: str, place: Place) -> bool:
    """F-15: the member has paid for all of it; the pages go on where they stopped.

    False when they cannot: then the whole of it belongs elsewhere.
    """
    target = _whole(turn, answer)
    channel = client.get_partial_messageable(turn.channel_id)
    at, attempt, above_id = -1, 0, _asked_id(turn)
    if turn.message_id is not None:
        try:
            at = await _mended(channel, turn.message_id, target, place)
            above_id = turn.message_id
        except discord.NotFound as error:
            if diagnosed(error).trouble is not Trouble.GONE:
                raise
            attempt = 1  # F-90: once more, with the nonce of the writer's second try
    is_again = place.is_unreadable and turn.message_id is not None
    if is_again:
        target = _whole(turn, answer, again=_AGAIN)
    standing = {one.content for one in await _ours_after(client, channel, above_id)}
    for part in range(at + 1, len(target)):
        if target[part] not in standing:
            options = {"content": target[part], "nonce": nonce_for(turn.reference, part, attempt)}
            if not await _sent(channel, place, above_id, suppress_embeds=True, **options):
                return False
    if is_again:
        _log.warning("answer_sent_again", fault="F-87", reference=turn.reference)
    return True


async def _mended(
    channel: discord.PartialMessageable, message_id: int, target: list[str], place: Place
) -> int:
    """Bring the page that stands there to its end; which one it is, -1 for none or unknown."""
    shown = await _standing(channel, message_id, place)
    if shown is None:
        return -1
    at = page_of(words_of(shown.content), target)
    text = target[at] if at >= 0 else words_of(shown.content)
    if shown.content != text or shown.components:
        await shown.edit(content=text, view=None)
    return at


def _whole(turn: OwedTurn, answer: str, again: str = "") -> list[str]:
    closing = closing_text(turn.charged_ucr, reference=short_reference(turn.reference))
    return with_note(pages(answer), closing + again)


# --- Nobody noted where it stands, or we may not write there --------------------------------------


async def _tell_elsewhere(client: discord.Client, turn: OwedTurn, places: Places) -> None:
    """A command's token finds the answer while it lives; what is paid comes in private else."""
    if turn.token is not None:
        try:
            # F-84: discord.py would sit out a webhook's limit, however long.
            async with asyncio.timeout(INTERRUPTED_TIMEOUT_S):
                if await _told_by_token(client, turn, turn.token, places[turn.channel_id]):
                    return
        except DISCORD_ERRORS as error:
            if _passes(error):
                raise
            _log.info("answer_out_of_reach", reference=turn.reference, error=repr(error))
    if turn.answer is not None or turn.charged_ucr > 0:
        await _tell_in_private(client, turn, places)


async def _told_by_token(client: discord.Client, turn: OwedTurn, token: str, place: Place) -> bool:
    """F-15, F-19: the first answer is brought to its end; what is whole with its price stays.

    False when there are pages after it, and no way for them into the channel.
    """
    hook = hook_of(client, token)
    first = await hook.fetch_message(ORIGINAL)
    last_line = first.content.rpartition("\n")[2]
    priced = turn.charged_ucr > 0 and payment_text(Payment(charged_ucr=turn.charged_ucr))
    if short_reference(turn.reference) in last_line or (priced and priced in last_line):
        return True
    if turn.answer is not None:
        target = _whole(turn, turn.answer)
        if len(target) > 1 and place.is_mute:
            return False
        if first.content != target[0] or first.components:
            await hook.edit_message(ORIGINAL, content=target[0], view=None)
        if len(target) > 1:
            async with place.used():
                shown_at = replace(turn, message_id=first.id)
                return await _show_whole(client, shown_at, turn.answer, place)
        return True
    # The answer to one member alone is not kept: its words are what was shown of it.
    shown, note = words_of(first.content), _notice(turn).markdown
    if shown and turn.charged_ucr > 0:
        note = closing_text(turn.charged_ucr, reference=short_reference(turn.reference))
    both = f"{shown}\n{note}".lstrip("\n")
    fits = width(both) <= MESSAGE_CHARS_MAX
    await hook.edit_message(ORIGINAL, content=both if fits else shown, view=None)
    if not fits:
        await hook.send(note, ephemeral=first.flags.ephemeral)
    return True


async def _tell_in_private(client: discord.Client, turn: OwedTurn, places: Places) -> None:
    channel_id = (await client.create_dm(discord.Object(turn.author_id))).id
    place = places[channel_id]
    async with place.used():
        if not place.is_mute:
            await _write_in_private(client, turn, channel_id)


async def _write_in_private(client: discord.Client, turn: OwedTurn, channel_id: int) -> None:
    """To its asker alone, once: the reference stands at its end."""
    channel = client.get_partial_messageable(channel_id)
    ours = await _ours_after(client, channel, _asked_id(turn))
    reference = short_reference(turn.reference)
    if any(reference in one.content or says(one.components, reference) for one in ours):
        return
    if turn.answer is None:
        nonce = nonce_for(turn.reference, NOTICE_PART, is_private=True)
        await _created(channel.send(view=notice_card(_notice(turn)), nonce=nonce))
        return
    heading = LATE.format(channel_id=turn.channel_id)
    standing = {one.content for one in ours}
    for part, text in [(HEADING_PART, heading), *enumerate(_whole(turn, turn.answer))]:
        if text not in standing:
            nonce = nonce_for(turn.reference, part, is_private=True)
            await _created(channel.send(text, nonce=nonce, suppress_embeds=True))
