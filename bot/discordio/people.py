"""Who somebody is and what they may do, read from what Discord sent with this very event."""

from __future__ import annotations

from typing import Any

import discord

from bot.errors import GuildOnly, MemberIsBot, MemberNotHere, PermissionMissing


def is_staff(interaction: discord.Interaction[Any]) -> bool:
    """*Manage Server* in this guild; nobody is staff in a DM."""
    granted = interaction.permissions
    return interaction.guild_id is not None and (granted.manage_guild or granted.administrator)


def require_staff(interaction: discord.Interaction[Any]) -> int:
    """The guild's id. Raises `GuildOnly`, `PermissionMissing`.

    A command's default permission can be overridden by a server's managers, so it is checked here.
    """
    if interaction.guild_id is None:
        raise GuildOnly
    if not is_staff(interaction):
        raise PermissionMissing(permission="manage_guild")
    return interaction.guild_id


def require_member(user: discord.User | discord.Member) -> None:
    """Somebody of this guild, and a person. Raises `MemberNotHere`, `MemberIsBot`.

    Discord resolves an option to a `Member` only when the user is one of the guild (F-142).
    """
    if not isinstance(user, discord.Member):
        raise MemberNotHere
    if user.bot:
        raise MemberIsBot


def may_forget(interaction: discord.Interaction[Any]) -> bool:
    """A channel's history belongs to everyone in it, so dropping it is like deleting messages."""
    return (
        interaction.guild_id is None
        or interaction.permissions.manage_messages
        or is_staff(interaction)
    )


def owns_guild(interaction: discord.Interaction[Any]) -> bool:
    """Whether the guild belongs to whoever used the command."""
    return interaction.guild is not None and interaction.guild.owner_id == interaction.user.id


def missing_permission(question: discord.Message) -> str | None:
    """What the bot lacks to answer where `question` stands, by Discord's name; None in a DM."""
    if question.guild is None or isinstance(question.channel, discord.PartialMessageable):
        return None  # a channel that we know nothing about: Discord will say
    granted = question.channel.permissions_for(question.guild.me)
    in_thread = isinstance(question.channel, discord.Thread)
    needed = "send_messages_in_threads" if in_thread else "send_messages"
    return next((name for name in ("view_channel", needed) if not getattr(granted, name)), None)


def reply_options(question: discord.Message) -> dict[str, Any]:
    """Arguments of `send` that make a reply; it needs the right to read the channel's history."""
    if question.guild is not None:
        granted = question.channel.permissions_for(question.guild.me)
        if not granted.read_message_history:
            return {}
    return {"reference": question.to_reference(fail_if_not_exists=False)}


def is_age_restricted(interaction: discord.Interaction[Any]) -> bool:
    """Whether this place is for adults: the server, the channel or its thread's parent (F-150).

    Never in direct messages, and never where Discord did not tell us enough.
    """
    guild, channel = interaction.guild, interaction.channel
    if guild is None or interaction.guild_id is None:
        return False
    if guild.nsfw_level is discord.NSFWLevel.age_restricted:
        return True
    if isinstance(channel, discord.Thread):
        parent = channel.parent or guild.get_channel(channel.parent_id)
        return isinstance(parent, discord.TextChannel | discord.ForumChannel) and parent.nsfw
    return bool(getattr(channel, "nsfw", False))
