"""Messages and commands as questions: who is addressed, and what was said."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence

import discord

from bot.chat.ports import Attachment, Question
from bot.discordio.markdown import clean
from bot.limits import QUOTED_CHARS_MAX
from bot.text.answers import QUOTED

_SPOKEN = frozenset({discord.MessageType.default, discord.MessageType.reply})
UNKNOWN_TYPE = "application/octet-stream"


def is_addressed(message: discord.Message, me: discord.abc.User) -> bool:
    """A person mentions the bot, replies to it, or writes to it alone. Bots never do (ask 27)."""
    if message.author.bot or message.webhook_id is not None or message.type not in _SPOKEN:
        return False
    return message.guild is None or me in message.mentions or replies_to(message, me)


def replies_to(message: discord.Message, me: discord.abc.User) -> bool:
    """Whether the message replies to one of the bot's."""
    original = _original(message)
    return original is not None and original.author.id == me.id


def is_unreadable(message: discord.Message) -> bool:
    """Discord hid the words: without the intent it shows only what mentions the bot."""
    hidden = not (message.content or message.attachments or message.stickers)
    return hidden and message.guild is not None


def from_message(message: discord.Message, me: discord.abc.User) -> Question:
    """The question in a message; a quoted message of somebody else goes in front of it."""
    said = _without_mention(message, me)
    attachments = list(message.attachments)
    original = _original(message)
    if original is not None and original.author.id != me.id:
        said = f"{_quotation(original)}\n\n{said}".strip()
        attachments += original.attachments
    return Question(
        reference=f"m:{message.id}",
        channel_id=message.channel.id,
        guild_id=message.guild.id if message.guild else None,
        author_id=message.author.id,
        author_name=clean(message.author.display_name),
        text=said,
        attachments=_described(attachments),
    )


def from_command(
    interaction: discord.Interaction,
    *,
    prompt: str,
    file: discord.Attachment | None,
    model_id: str | None,
    private: bool,
) -> Question:
    """The question of `/chat`."""
    assert interaction.channel_id is not None
    return Question(
        reference=f"i:{interaction.id}",
        channel_id=interaction.channel_id,
        guild_id=interaction.guild_id,
        author_id=interaction.user.id,
        author_name=clean(interaction.user.display_name),
        text=prompt.strip(),
        attachments=_described([] if file is None else [file]),
        model_id=model_id,
        private=private,
    )


def _original(message: discord.Message) -> discord.Message | None:
    resolved = message.reference.resolved if message.reference is not None else None
    return resolved if isinstance(resolved, discord.Message) else None


def _without_mention(message: discord.Message, me: discord.abc.User) -> str:
    """The words without the bot's own mention, and other mentions by name."""
    said = message.content
    for form in (f"<@{me.id}>", f"<@!{me.id}>"):
        said = said.replace(form, "")
    for user in message.mentions:
        name = f"@{clean(user.display_name)}"
        said = said.replace(f"<@{user.id}>", name).replace(f"<@!{user.id}>", name)
    return said.strip()


def _quotation(original: discord.Message) -> str:
    author = clean(original.author.display_name)
    words = original.content[:QUOTED_CHARS_MAX]
    if not words:
        return ""
    lines = "\n".join(f"> {line}" for line in words.split("\n"))
    return f"{QUOTED.format(author=author)}\n{lines}"


def _described(attachments: Sequence[discord.Attachment]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(
            filename=attachment.filename,
            content_type=_content_type(attachment),
            size_bytes=attachment.size,
            url=attachment.url,
        )
        for attachment in attachments
    )


def _content_type(attachment: discord.Attachment) -> str:
    named = attachment.content_type or mimetypes.guess_type(attachment.filename)[0]
    return (named or UNKNOWN_TYPE).partition(";")[0].strip().lower()
