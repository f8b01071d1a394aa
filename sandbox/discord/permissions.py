"""Who may do what: Discord's permission computation, with its implicit denials.

Order (Discord, "Permissions"): owner and Administrator have all; base = @everyone and roles;
then the channel's overwrites of @everyone, of the roles together, of the member.
"""

from __future__ import annotations

from enum import IntFlag

from sandbox.discord.errors import missing_access, missing_permissions
from sandbox.discord.world import Channel, ChannelKind, OverwriteKind, World


class Permission(IntFlag):
    """The bits that this sandbox decides by; the others pass through untouched."""

    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    SEND_TTS_MESSAGES = 1 << 12
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38


ALL = (1 << 53) - 1
"""Every bit that Discord had assigned when discord.py 2.7.1 was published."""

MEMBER = int(
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
    | Permission.CREATE_PUBLIC_THREADS
    | Permission.CREATE_PRIVATE_THREADS
    | Permission.SEND_MESSAGES_IN_THREADS
)
"""What @everyone of a fresh server may do, in the parts that matter here."""

DM = int(
    Permission.ADD_REACTIONS
    | Permission.VIEW_CHANNEL
    | Permission.SEND_MESSAGES
    | Permission.EMBED_LINKS
    | Permission.ATTACH_FILES
    | Permission.READ_MESSAGE_HISTORY
    | Permission.USE_EXTERNAL_EMOJIS
    | Permission.USE_APPLICATION_COMMANDS
)
"""A direct message has no roles: both sides have these."""

_NEEDS_SENDING = int(
    Permission.MENTION_EVERYONE
    | Permission.SEND_TTS_MESSAGES
    | Permission.ATTACH_FILES
    | Permission.EMBED_LINKS
)


def base_permissions(world: World, user_id: int) -> int:
    """What a member may do in the guild before any channel has its say."""
    member = world.members.get(user_id)
    if member is None:
        return 0
    if user_id == world.guild.owner_id:
        return ALL
    bits = world.roles[world.guild.id].permissions
    for role_id in member.role_ids:
        bits |= world.roles[role_id].permissions
    return ALL if bits & Permission.ADMINISTRATOR else bits


def permissions_in(world: World, user_id: int, channel: Channel) -> int:
    """What a user may do in a channel; 0 when it is hidden from them."""
    if channel.kind is ChannelKind.DM:
        return DM if user_id in channel.recipient_ids else 0
    bits = base_permissions(world, user_id)
    if bits == ALL or user_id not in world.members:
        return bits
    place = channel
    if channel.is_thread and channel.parent_id is not None:
        place = world.channels[channel.parent_id]
    bits = _with_overwrites(world, user_id, place, bits)
    if not bits & Permission.VIEW_CHANNEL:
        return 0
    sending = Permission.SEND_MESSAGES_IN_THREADS if channel.is_thread else Permission.SEND_MESSAGES
    return bits if bits & sending else bits & ~_NEEDS_SENDING


def _with_overwrites(world: World, user_id: int, channel: Channel, bits: int) -> int:
    everyone = channel.overwrites.get(world.guild.id)
    if everyone is not None:
        bits = bits & ~everyone.deny | everyone.allow
    allow = deny = 0
    for role_id in world.members[user_id].role_ids:
        overwrite = channel.overwrites.get(role_id)
        if overwrite is not None and overwrite.kind is OverwriteKind.ROLE:
            allow |= overwrite.allow
            deny |= overwrite.deny
    bits = bits & ~deny | allow
    own = channel.overwrites.get(user_id)
    if own is not None and own.kind is OverwriteKind.MEMBER:
        bits = bits & ~own.deny | own.allow
    return bits


def can_view(world: World, user_id: int, channel: Channel) -> bool:
    """True when the user sees the channel."""
    return bool(permissions_in(world, user_id, channel) & Permission.VIEW_CHANNEL)


def is_staff(world: World, user_id: int) -> bool:
    """True for members with Manage Server."""
    return bool(base_permissions(world, user_id) & Permission.MANAGE_GUILD)


def require(world: World, user_id: int, channel: Channel, needed: int) -> int:
    """Return the user's permissions; 50001 when the channel is hidden, 50013 when bits lack."""
    bits = permissions_in(world, user_id, channel)
    if not bits & Permission.VIEW_CHANNEL:
        raise missing_access()
    if bits & needed != needed:
        raise missing_permissions()
    return bits


def sending_bit(channel: Channel) -> int:
    """The permission that writing in this channel asks for."""
    if channel.is_thread:
        return int(Permission.SEND_MESSAGES_IN_THREADS)
    return int(Permission.SEND_MESSAGES)
