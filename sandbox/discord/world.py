"""The state of the small world: one guild, its people, channels and messages. No I/O.

Ids are ints in here and strings on the wire.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from sandbox.discord.clock import Clock
from sandbox.discord.errors import ApiError, Json, unknown_channel, unknown_message

# --- limits ------------------------------------------------------------------------------------
MESSAGES_PER_CHANNEL_MAX = 2_000
"""What one channel keeps; a long e2e run makes a few hundred, a newcomer a few dozen."""
VERSIONS_PER_MESSAGE_MAX = 600
"""Earlier texts kept per message: ten minutes of streaming at one edit per second."""
CHANNELS_MAX = 500
"""Guild channels, threads and direct messages together; Discord's own limit per guild."""
COMMANDS_MAX = 1_000
"""All scopes together; Discord allows 100 slash commands per scope."""

DISCORD_EPOCH_MS = 1_420_070_400_000
_SEQUENCE_BITS = 22


class ChannelKind(IntEnum):
    """Discord's channel types, as far as this world has them."""

    TEXT = 0
    DM = 1
    PUBLIC_THREAD = 11
    PRIVATE_THREAD = 12


class OverwriteKind(IntEnum):
    """Whom an overwrite speaks of."""

    ROLE = 0
    MEMBER = 1


class MessageFlag:
    """Message flag bits (Discord, "Message Flags")."""

    SUPPRESS_EMBEDS = 1 << 2
    HAS_THREAD = 1 << 5
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    IS_COMPONENTS_V2 = 1 << 15


class MessageType:
    """Message types that this world makes."""

    DEFAULT = 0
    THREAD_CREATED = 18
    REPLY = 19
    CHAT_INPUT_COMMAND = 20


@dataclass(slots=True, kw_only=True)
class User:
    """An account; `dms_open` False makes a DM to them fail with 50007."""

    id: int
    name: str
    display_name: str
    avatar_color: str
    bot: bool = False
    dms_open: bool = True


@dataclass(slots=True, kw_only=True)
class Role:
    """A guild role; the one whose id is the guild's is @everyone."""

    id: int
    name: str
    permissions: int
    position: int
    color: int = 0
    mentionable: bool = False
    bot_id: int | None = None


@dataclass(slots=True, kw_only=True)
class Member:
    """A user in the guild."""

    user_id: int
    joined_ms: int
    role_ids: list[int] = field(default_factory=list)
    nick: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overwrite:
    """A channel's exception for a role or a member."""

    target_id: int
    kind: OverwriteKind
    allow: int = 0
    deny: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """An uploaded file; its bytes are with the attachment store."""

    id: int
    channel_id: int
    filename: str
    content_type: str
    size_bytes: int
    ephemeral: bool
    description: str | None = None
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """How a message looked before an edit."""

    content: str
    components: list[Json]
    flags: int
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Message:
    """One message with everything that the wire and the control surface tell about it."""

    id: int
    channel_id: int
    author_id: int
    type: int
    created_ms: int
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    tts: bool = False
    edited_ms: int | None = None
    mention_user_ids: list[int] = field(default_factory=list)
    mention_role_ids: list[int] = field(default_factory=list)
    mention_everyone: bool = False
    notified: list[int] = field(default_factory=list)
    nonce: str | int | None = None
    reference: tuple[int, int] | None = None
    interaction: Json | None = None
    application_id: int | None = None
    ephemeral_for: int | None = None
    deleted: bool = False
    reactions: dict[str, list[int]] = field(default_factory=dict)
    history: deque[Version] = field(default_factory=lambda: deque(maxlen=VERSIONS_PER_MESSAGE_MAX))

    def remember(self) -> None:
        """Keep the present look in the history, before an edit."""
        self.history.append(
            Version(
                content=self.content,
                components=self.components,
                flags=self.flags,
                at_ms=self.edited_ms or self.created_ms,
            )
        )


@dataclass(slots=True, kw_only=True)
class Channel:
    """A text channel, a thread or a direct message."""

    id: int
    kind: ChannelKind
    name: str
    guild_id: int | None = None
    position: int = 0
    nsfw: bool = False
    topic: str | None = None
    parent_id: int | None = None
    owner_id: int | None = None
    archived: bool = False
    locked: bool = False
    auto_archive_min: int = 1_440
    created_ms: int = 0
    recipient_ids: tuple[int, ...] = ()
    thread_member_ids: set[int] = field(default_factory=set)
    overwrites: dict[int, Overwrite] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)

    @property
    def is_thread(self) -> bool:
        return self.kind in {ChannelKind.PUBLIC_THREAD, ChannelKind.PRIVATE_THREAD}

    @property
    def last_message_id(self) -> int | None:
        return next(reversed(self.messages), None)


@dataclass(slots=True, kw_only=True)
class Guild:
    """The one server of this world."""

    id: int
    name: str
    owner_id: int


class World:
    """Everything there is, and the source of new ids.

    `commands` maps a guild id (None = global) to the registered commands by id.
    """

    def __init__(self, *, clock: Clock, guild: Guild, bot_id: int, application_id: int) -> None:
        self.clock = clock
        self.guild = guild
        self.bot_id = bot_id
        self.application_id = application_id
        self.users: dict[int, User] = {}
        self.members: dict[int, Member] = {}
        self.roles: dict[int, Role] = {}
        self.channels: dict[int, Channel] = {}
        self.commands: dict[int | None, dict[int, Json]] = {None: {}}
        self._last_id = 0

    def new_id(self) -> int:
        """A snowflake: later ones are larger, also within one millisecond."""
        at_ms = self.clock.now_ms() - DISCORD_EPOCH_MS
        self._last_id = max(at_ms << _SEQUENCE_BITS, self._last_id + 1)
        return self._last_id

    def channel(self, channel_id: int) -> Channel:
        """The channel, or 10003."""
        channel = self.channels.get(channel_id)
        if channel is None:
            raise unknown_channel()
        return channel

    def add_channel(self, channel: Channel) -> Channel:
        """Take in a new channel, or 30013 when there are too many."""
        if len(self.channels) >= CHANNELS_MAX:
            raise ApiError(400, 30013, f"Maximum number of guild channels reached ({CHANNELS_MAX})")
        self.channels[channel.id] = channel
        return channel

    def dm_with(self, user_id: int) -> Channel:
        """The direct message between the bot and a user, made when it is not there yet."""
        for channel in self.channels.values():
            if channel.kind is ChannelKind.DM and user_id in channel.recipient_ids:
                return channel
        return self.add_channel(
            Channel(
                id=self.new_id(),
                kind=ChannelKind.DM,
                name="",
                created_ms=self.clock.now_ms(),
                recipient_ids=(user_id, self.bot_id),
            )
        )

    def message(self, channel_id: int, message_id: int) -> Message:
        """A message that is still there and not ephemeral, or 10008."""
        message = self.channel(channel_id).messages.get(message_id)
        if message is None or message.deleted or message.ephemeral_for is not None:
            raise unknown_message()
        return message

    def find_message(self, message_id: int) -> Message | None:
        """A message by its id alone, deleted and ephemeral ones too."""
        for channel in self.channels.values():
            message = channel.messages.get(message_id)
            if message is not None:
                return message
        return None

    def add_message(self, message: Message) -> None:
        """Take in a new message; the oldest of a full channel goes."""
        messages = self.channels[message.channel_id].messages
        messages[message.id] = message
        while len(messages) > MESSAGES_PER_CHANNEL_MAX:
            del messages[next(iter(messages))]

    def visible_messages(self, channel_id: int) -> list[Message]:
        """The channel as everyone sees it, oldest first."""
        return [
            message
            for message in self.channel(channel_id).messages.values()
            if not message.deleted and message.ephemeral_for is None
        ]

    def command_objects(self) -> list[dict[str, Any]]:
        """Every registered command, global ones first."""
        return [command for scope in self.commands.values() for command in scope.values()]
