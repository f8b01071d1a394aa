"""REST: channels, threads, direct messages, and what the guild tells of itself."""

from __future__ import annotations

from typing import Any, Final

from sandbox.discord.core import Core
from sandbox.discord.errors import (
    ApiError,
    FormErrors,
    missing_access,
    missing_permissions,
    unknown_guild,
    unknown_member,
    unknown_user,
)
from sandbox.discord.http import Call, Reply, Route, snowflake
from sandbox.discord.permissions import Permission, permissions_in, require
from sandbox.discord.sessions import Intent
from sandbox.discord.world import Channel, ChannelKind, Message, MessageFlag

# --- limits ------------------------------------------------------------------------------------
NAME_CHARS_MAX: Final = 100
MEMBERS_PAGE_MAX: Final = 1_000
_ARCHIVE_MINUTES: Final = frozenset({60, 1_440, 4_320, 10_080})


def get_channel(core: Core, call: Call) -> Reply:
    """GET /channels/{channel_id}."""
    channel = core.world.channel(call.id("channel_id"))
    require(core.world, core.world.bot_id, channel, 0)
    return Reply(body=core.payloads.channel(channel))


def edit_channel(core: Core, call: Call) -> Reply:
    """PATCH /channels/{channel_id}: the name of any channel, and a thread's state."""
    world, body = core.world, call.data
    channel = world.channel(call.id("channel_id"))
    rights = require(world, world.bot_id, channel, 0)
    own_thread = channel.is_thread and channel.owner_id == world.bot_id
    needed = Permission.MANAGE_THREADS if channel.is_thread else Permission.MANAGE_CHANNELS
    if not own_thread and not rights & needed:
        raise missing_permissions()
    if "name" in body:
        channel.name = _name(body)
    if channel.is_thread:
        channel.archived = bool(body.get("archived", channel.archived))
        channel.locked = bool(body.get("locked", channel.locked))
        channel.auto_archive_min = _archive_minutes(body, channel.auto_archive_min)
    event = "THREAD_UPDATE" if channel.is_thread else "CHANNEL_UPDATE"
    core.gateway.dispatch(event, core.payloads.channel(channel), intent=Intent.GUILDS)
    core.hub.tell_all("channels", {"channel_id": str(channel.id)})
    return Reply(body=core.payloads.channel(channel))


def thread_from_message(core: Core, call: Call) -> Reply:
    """POST /channels/{channel_id}/messages/{message_id}/threads."""
    world = core.world
    parent = world.channel(call.id("channel_id"))
    message = world.message(parent.id, call.id("message_id"))
    _require_text(parent)
    require(world, world.bot_id, parent, int(Permission.CREATE_PUBLIC_THREADS))
    if message.id in world.channels:
        raise ApiError(400, 160004, "A thread has already been created for this message")
    thread = _make_thread(core, parent, call.data, ChannelKind.PUBLIC_THREAD, message)
    return Reply(body=core.payloads.channel(thread), status=201)


def thread_without_message(core: Core, call: Call) -> Reply:
    """POST /channels/{channel_id}/threads."""
    world = core.world
    parent = world.channel(call.id("channel_id"))
    _require_text(parent)
    private = call.data.get("type", ChannelKind.PRIVATE_THREAD) == ChannelKind.PRIVATE_THREAD
    needed = Permission.CREATE_PRIVATE_THREADS if private else Permission.CREATE_PUBLIC_THREADS
    require(world, world.bot_id, parent, int(needed))
    kind = ChannelKind.PRIVATE_THREAD if private else ChannelKind.PUBLIC_THREAD
    thread = _make_thread(core, parent, call.data, kind, None)
    return Reply(body=core.payloads.channel(thread), status=201)


def join_thread(core: Core, call: Call) -> Reply:
    """PUT /channels/{channel_id}/thread-members/@me."""
    thread = _thread(core, call)
    thread.thread_member_ids.add(core.world.bot_id)
    return Reply()


def leave_thread(core: Core, call: Call) -> Reply:
    """DELETE /channels/{channel_id}/thread-members/@me."""
    _thread(core, call).thread_member_ids.discard(core.world.bot_id)
    return Reply()


def add_to_thread(core: Core, call: Call) -> Reply:
    """PUT /channels/{channel_id}/thread-members/{user_id}."""
    thread, user_id = _thread(core, call), call.id("user_id")
    if user_id not in core.world.members:
        raise unknown_member()
    thread.thread_member_ids.add(user_id)
    return Reply()


def create_dm(core: Core, call: Call) -> Reply:
    """POST /users/@me/channels."""
    recipient_id = snowflake(call.data.get("recipient_id"), ("recipient_id",))
    recipient = core.world.users.get(recipient_id)
    if recipient is None:
        raise unknown_user()
    if recipient.bot:
        raise ApiError(400, 50007, "Cannot send messages to this user")
    return Reply(body=core.payloads.channel(core.posting.open_dm(recipient_id)))


def get_guild(core: Core, call: Call) -> Reply:
    """GET /guilds/{guild_id}."""
    _guild(core, call)
    guild = core.payloads.guild()
    if call.query.get("with_counts", "").lower() in {"1", "true"}:
        count = len(core.world.members)
        guild |= {"approximate_member_count": count, "approximate_presence_count": count}
    return Reply(body=guild)


def guild_channels(core: Core, call: Call) -> Reply:
    """GET /guilds/{guild_id}/channels."""
    _guild(core, call)
    places = [one for one in core.world.channels.values() if one.kind is ChannelKind.TEXT]
    return Reply(body=[core.payloads.channel(one) for one in places])


def active_threads(core: Core, call: Call) -> Reply:
    """GET /guilds/{guild_id}/threads/active."""
    _guild(core, call)
    bot_id = core.world.bot_id
    threads = [
        one
        for one in core.world.channels.values()
        if one.is_thread and not one.archived and permissions_in(core.world, bot_id, one)
    ]
    members = [
        core.payloads.thread_member(one, bot_id)
        for one in threads
        if bot_id in one.thread_member_ids
    ]
    return Reply(
        body={
            "threads": [core.payloads.thread(one) for one in threads],
            "members": members,
            "has_more": False,
        }
    )


def guild_roles(core: Core, call: Call) -> Reply:
    """GET /guilds/{guild_id}/roles."""
    _guild(core, call)
    return Reply(body=[core.payloads.role(one) for one in core.world.roles.values()])


def guild_members(core: Core, call: Call) -> Reply:
    """GET /guilds/{guild_id}/members; needs the privileged members intent."""
    _guild(core, call)
    if not core.gateway.may_list_members:
        raise missing_access()
    after = snowflake(call.query.get("after", "0"), ("after",))
    limit = int(call.query.get("limit", "1"))
    if not 1 <= limit <= MEMBERS_PAGE_MAX:
        errors = FormErrors()
        errors.add(
            ("limit",), "NUMBER_TYPE_MAX", f"int value should be between 1 and {MEMBERS_PAGE_MAX}."
        )
        errors.raise_if_any()
    ids = sorted(one for one in core.world.members if one > after)[:limit]
    return Reply(body=[core.payloads.full_member(core.world.members[one]) for one in ids])


def guild_member(core: Core, call: Call) -> Reply:
    """GET /guilds/{guild_id}/members/{user_id}."""
    _guild(core, call)
    member = core.world.members.get(call.id("user_id"))
    if member is None:
        raise unknown_member()
    return Reply(body=core.payloads.full_member(member))


# --- shared rules ------------------------------------------------------------------------------


def _guild(core: Core, call: Call) -> None:
    if call.id("guild_id") != core.world.guild.id:
        raise unknown_guild()
    if core.world.bot_id not in core.world.members:
        raise missing_access()


def _require_text(parent: Channel) -> None:
    if parent.kind is not ChannelKind.TEXT:
        raise ApiError(400, 50024, "Cannot execute action on this channel type")


def _thread(core: Core, call: Call) -> Channel:
    channel = core.world.channel(call.id("channel_id"))
    if not channel.is_thread:
        raise ApiError(400, 50024, "Cannot execute action on this channel type")
    require(core.world, core.world.bot_id, channel, 0)
    return channel


def _make_thread(
    core: Core, parent: Channel, body: dict[str, Any], kind: ChannelKind, start: Message | None
) -> Channel:
    world = core.world
    thread = world.add_channel(
        Channel(
            id=world.new_id() if start is None else start.id,
            kind=kind,
            name=_name(body),
            guild_id=parent.guild_id,
            parent_id=parent.id,
            nsfw=parent.nsfw,
            owner_id=world.bot_id,
            created_ms=core.clock.now_ms(),
            auto_archive_min=_archive_minutes(body, 1_440),
            thread_member_ids={world.bot_id},
        )
    )
    if start is not None:
        start.flags |= MessageFlag.HAS_THREAD
    told = core.payloads.thread(thread) | {"newly_created": True}
    core.gateway.dispatch("THREAD_CREATE", told, intent=Intent.GUILDS)
    core.hub.tell_all("channels", {"channel_id": told["id"]})
    return thread


def _name(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARS_MAX:
        errors = FormErrors()
        errors.add(
            ("name",), "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {NAME_CHARS_MAX} in length."
        )
        errors.raise_if_any()
    return str(name)


def _archive_minutes(body: dict[str, Any], default: int) -> int:
    minutes = body.get("auto_archive_duration") or default
    if minutes not in _ARCHIVE_MINUTES:
        errors = FormErrors()
        errors.add(
            ("auto_archive_duration",),
            "BASE_TYPE_CHOICES",
            "Value must be one of (60, 1440, 4320, 10080).",
        )
        errors.raise_if_any()
    return int(minutes)


_CHANNEL = "/channels/{channel_id}"
_GUILD = "/guilds/{guild_id}"
_THREAD_KEYS: Final = frozenset({"name", "auto_archive_duration", "rate_limit_per_user"})

ROUTES: Final = [
    Route(method="GET", path=_CHANNEL, handler=get_channel),
    Route(method="PATCH", path=_CHANNEL, handler=edit_channel),
    Route(
        method="POST",
        path=_CHANNEL + "/messages/{message_id}/threads",
        handler=thread_from_message,
        known=_THREAD_KEYS,
    ),
    Route(
        method="POST",
        path=_CHANNEL + "/threads",
        handler=thread_without_message,
        known=_THREAD_KEYS | {"type", "invitable"},
    ),
    Route(method="PUT", path=_CHANNEL + "/thread-members/@me", handler=join_thread),
    Route(method="DELETE", path=_CHANNEL + "/thread-members/@me", handler=leave_thread),
    Route(method="PUT", path=_CHANNEL + "/thread-members/{user_id}", handler=add_to_thread),
    Route(
        method="POST",
        path="/users/@me/channels",
        handler=create_dm,
        known=frozenset({"recipient_id", "access_tokens", "nicks"}),
    ),
    Route(method="GET", path=_GUILD, handler=get_guild),
    Route(method="GET", path=_GUILD + "/channels", handler=guild_channels),
    Route(method="GET", path=_GUILD + "/threads/active", handler=active_threads),
    Route(method="GET", path=_GUILD + "/roles", handler=guild_roles),
    Route(method="GET", path=_GUILD + "/members", handler=guild_members),
    Route(method="GET", path=_GUILD + "/members/{user_id}", handler=guild_member),
]
