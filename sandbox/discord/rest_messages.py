"""REST: messages of a channel, typing, reactions."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from sandbox.discord.core import Core
from sandbox.discord.errors import (
    ApiError,
    Json,
    form_error,
    missing_permissions,
    unknown_message,
)
from sandbox.discord.http import Call, Reply, Route, snowflake
from sandbox.discord.permissions import Permission, require, sending_bit
from sandbox.discord.posting import Draft
from sandbox.discord.ratelimits import DELETES, MESSAGES, REACTIONS
from sandbox.discord.validation import check_message, check_not_empty
from sandbox.discord.world import Channel, ChannelKind, Message, MessageFlag, MessageType

# --- limits ------------------------------------------------------------------------------------
PAGE_MAX: Final = 100
"""Discord's largest page of messages."""
PAGE_DEFAULT: Final = 50
BULK_DELETE_MAX: Final = 100

_SHARED: Final = frozenset(
    {"content", "embeds", "flags", "allowed_mentions", "components", "attachments", "sticker_ids"}
)
CREATE_KEYS: Final = _SHARED | {
    "nonce",
    "enforce_nonce",
    "message_reference",
    "tts",
    "poll",
    "shared_client_theme",
}
EDIT_KEYS: Final = _SHARED | {"tts"}
"""`tts` is not in Discord's description of PATCH, but discord.py sends it always (discord.md)."""


def create_message(core: Core, call: Call) -> Reply:
    """POST /channels/{channel_id}/messages."""
    world, bot_id = core.world, core.world.bot_id
    channel = world.channel(call.id("channel_id"))
    body = call.data
    needed = sending_bit(channel) | (Permission.ATTACH_FILES if call.uploads else 0)
    require(world, bot_id, channel, int(needed))
    _require_open(core, channel)
    check_message(body)
    check_not_empty(body, has_files=bool(call.uploads))
    nonce = body.get("nonce")
    key = (bot_id, str(nonce))
    if nonce is not None and body.get("enforce_nonce"):
        made_id = core.nonces.find(key)
        if made_id is not None:
            # The first one, wherever it stands; 10008 if it was deleted (reliability.md 1.4).
            made = world.find_message(made_id)
            if made is None or made.deleted:
                raise unknown_message()
            return Reply(body=core.payloads.message(made))
    reference = _reference(core, channel, body.get("message_reference"))
    message = core.posting.create(
        Draft(
            author_id=bot_id,
            channel_id=channel.id,
            # Only answers to interactions can be ephemeral; elsewhere Discord ignores the flag.
            body=body | {"flags": (body.get("flags") or 0) & ~MessageFlag.EPHEMERAL},
            uploads=call.uploads,
            reference=reference,
            type=MessageType.DEFAULT if reference is None else MessageType.REPLY,
        )
    )
    if nonce is not None:
        core.nonces.note(key, message.id)
    return Reply(body=core.payloads.message(message))


def list_messages(core: Core, call: Call) -> Reply:
    """GET /channels/{channel_id}/messages, newest first, by before, after or around."""
    channel = core.world.channel(call.id("channel_id"))
    rights = require(core.world, core.world.bot_id, channel, 0)
    limit = _limit(call.query.get("limit"))
    messages = core.world.visible_messages(channel.id)
    if not rights & Permission.READ_MESSAGE_HISTORY:
        messages = []
    if "before" in call.query:
        before = snowflake(call.query["before"], ("before",))
        chosen = [one for one in messages if one.id < before][-limit:]
    elif "after" in call.query:
        after = snowflake(call.query["after"], ("after",))
        chosen = [one for one in messages if one.id > after][:limit]
    elif "around" in call.query:
        middle = snowflake(call.query["around"], ("around",))
        older = [one for one in messages if one.id < middle][-(limit // 2) :]
        newer = [one for one in messages if one.id >= middle][: limit - len(older)]
        chosen = older + newer
    else:
        chosen = messages[-limit:]
    return Reply(body=[_seen(core, channel, one) for one in reversed(chosen)])


def get_message(core: Core, call: Call) -> Reply:
    """GET /channels/{channel_id}/messages/{message_id}."""
    channel = core.world.channel(call.id("channel_id"))
    require(core.world, core.world.bot_id, channel, int(Permission.READ_MESSAGE_HISTORY))
    message = core.world.message(channel.id, call.id("message_id"))
    return Reply(body=_seen(core, channel, message))


def edit_message(core: Core, call: Call) -> Reply:
    """PATCH /channels/{channel_id}/messages/{message_id}."""
    channel, message = _own_or_managed(core, call)
    body = call.data
    if message.author_id != core.world.bot_id and set(body) - {"flags", "tts"}:
        raise ApiError(403, 50005, "Cannot edit a message authored by another user")
    _require_open(core, channel)
    check_message(body, prior_flags=message.flags)
    _require_something_left(message, body, has_files=bool(call.uploads))
    core.posting.edit(message, body, call.uploads)
    return Reply(body=core.payloads.message(message))


def delete_message(core: Core, call: Call) -> Reply:
    """DELETE /channels/{channel_id}/messages/{message_id}."""
    channel, message = _own_or_managed(core, call)
    _require_open(core, channel)
    core.posting.delete(message)
    return Reply()


def bulk_delete(core: Core, call: Call) -> Reply:
    """POST /channels/{channel_id}/messages/bulk-delete."""
    channel = core.world.channel(call.id("channel_id"))
    if channel.kind is ChannelKind.DM:
        raise ApiError(403, 50003, "Cannot execute action on a DM channel")
    require(core.world, core.world.bot_id, channel, int(Permission.MANAGE_MESSAGES))
    ids: Any = call.data.get("messages")
    if not isinstance(ids, list) or not 2 <= len(ids) <= BULK_DELETE_MAX:
        raise form_error(
            ("messages",), "BASE_TYPE_BAD_LENGTH", f"Must be between 2 and {BULK_DELETE_MAX}."
        )
    for index, one in enumerate(ids):
        message = channel.messages.get(snowflake(one, ("messages", index)))
        if message is not None and not message.deleted and message.ephemeral_for is None:
            core.posting.delete(message)
    return Reply()


def typing(core: Core, call: Call) -> Reply:
    """POST /channels/{channel_id}/typing."""
    channel = core.world.channel(call.id("channel_id"))
    require(core.world, core.world.bot_id, channel, sending_bit(channel))
    core.posting.typing(channel, core.world.bot_id)
    return Reply()


def put_reaction(core: Core, call: Call) -> Reply:
    """PUT …/reactions/{emoji}/@me."""
    channel = core.world.channel(call.id("channel_id"))
    needed = Permission.ADD_REACTIONS | Permission.READ_MESSAGE_HISTORY
    require(core.world, core.world.bot_id, channel, int(needed))
    message = core.world.message(channel.id, call.id("message_id"))
    core.posting.react(message, unquote(call.params["emoji"]), core.world.bot_id, added=True)
    return Reply()


def delete_reaction(core: Core, call: Call) -> Reply:
    """DELETE …/reactions/{emoji}/@me."""
    channel = core.world.channel(call.id("channel_id"))
    require(core.world, core.world.bot_id, channel, int(Permission.READ_MESSAGE_HISTORY))
    message = core.world.message(channel.id, call.id("message_id"))
    core.posting.react(message, unquote(call.params["emoji"]), core.world.bot_id, added=False)
    return Reply()


def list_reactions(core: Core, call: Call) -> Reply:
    """GET …/reactions/{emoji}."""
    channel = core.world.channel(call.id("channel_id"))
    require(core.world, core.world.bot_id, channel, int(Permission.READ_MESSAGE_HISTORY))
    message = core.world.message(channel.id, call.id("message_id"))
    users = message.reactions.get(unquote(call.params["emoji"]), [])
    return Reply(body=[core.payloads.user(core.world.users[one]) for one in users])


# --- shared rules ------------------------------------------------------------------------------


def _seen(core: Core, channel: Channel, message: Message) -> Json:
    """The message as this application may read it over REST."""
    rendered = core.payloads.message(message)
    if core.gateway.may_read_content:
        return rendered
    return core.payloads.redacted(rendered, is_dm=channel.kind is ChannelKind.DM)


def _own_or_managed(core: Core, call: Call) -> tuple[Channel, Message]:
    channel = core.world.channel(call.id("channel_id"))
    rights = require(core.world, core.world.bot_id, channel, 0)
    message = core.world.message(channel.id, call.id("message_id"))
    if message.author_id != core.world.bot_id:
        if channel.kind is ChannelKind.DM:
            raise ApiError(403, 50003, "Cannot execute action on a DM channel")
        if not rights & Permission.MANAGE_MESSAGES:
            if call.method == "PATCH":
                raise ApiError(403, 50005, "Cannot edit a message authored by another user")
            raise missing_permissions()
    return channel, message


def _require_open(core: Core, channel: Channel) -> None:
    if channel.is_thread and channel.locked:
        raise ApiError(400, 50083, "Thread is archived")
    if channel.kind is ChannelKind.DM:
        others = [one for one in channel.recipient_ids if one != core.world.bot_id]
        if not all(core.world.users[one].dms_open for one in others):
            raise ApiError(403, 50007, "Cannot send messages to this user")


def _require_something_left(message: Message, body: Json, *, has_files: bool) -> None:
    after = {
        "content": body.get("content", message.content) or "",
        "embeds": body.get("embeds", message.embeds) or [],
        "components": body.get("components", message.components) or [],
    }
    kept_files = body.get("attachments", message.attachments) or []
    check_not_empty(after, has_files=has_files or bool(kept_files))


def _reference(core: Core, channel: Channel, told: Any) -> tuple[int, int] | None:
    if not told:
        return None
    message_id = snowflake(told.get("message_id"), ("message_reference", "message_id"))
    rights = require(core.world, core.world.bot_id, channel, 0)
    if not rights & Permission.READ_MESSAGE_HISTORY:
        raise ApiError(403, 160002, "Cannot reply without permission to read message history")
    try:
        core.world.message(channel.id, message_id)
    except ApiError as error:
        if told.get("fail_if_not_exists", True):
            raise form_error(
                ("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message"
            ) from error
        return None
    return channel.id, message_id


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE_DEFAULT
    if not text.isdigit() or not 1 <= int(text) <= PAGE_MAX:
        raise form_error(
            ("limit",), "NUMBER_TYPE_MAX", f"int value should be between 1 and {PAGE_MAX}."
        )
    return int(text)


_ONE = "/channels/{channel_id}/messages/{message_id}"
_ALL = "/channels/{channel_id}/messages"
_EMOJI = _ONE + "/reactions/{emoji}"

ROUTES: Final = [
    Route(method="POST", path=_ALL, handler=create_message, rule=MESSAGES, known=CREATE_KEYS),
    Route(method="GET", path=_ALL, handler=list_messages),
    Route(
        method="POST",
        path=_ALL + "/bulk-delete",
        handler=bulk_delete,
        known=frozenset({"messages"}),
    ),
    Route(method="GET", path=_ONE, handler=get_message),
    Route(method="PATCH", path=_ONE, handler=edit_message, rule=MESSAGES, known=EDIT_KEYS),
    Route(method="DELETE", path=_ONE, handler=delete_message, rule=DELETES),
    Route(method="POST", path="/channels/{channel_id}/typing", handler=typing),
    Route(method="PUT", path=_EMOJI + "/@me", handler=put_reaction, rule=REACTIONS),
    Route(method="DELETE", path=_EMOJI + "/@me", handler=delete_reaction, rule=REACTIONS),
    Route(method="GET", path=_EMOJI, handler=list_reactions),
]
