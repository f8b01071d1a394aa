"""How interactions look on the wire: the gateway event, the metadata, the callback response."""

from __future__ import annotations

from typing import Any, Protocol

from sandbox.discord.attachments import AttachmentStore
from sandbox.discord.errors import Json
from sandbox.discord.payloads import Payloads
from sandbox.discord.permissions import permissions_in
from sandbox.discord.world import Channel, ChannelKind, Message, MessageFlag, World

LOCALE = "en-US"


class Told(Protocol):
    """The facts of an interaction that go over the wire."""

    @property
    def id(self) -> int: ...
    @property
    def token(self) -> str: ...
    @property
    def kind(self) -> int: ...
    @property
    def user_id(self) -> int: ...
    @property
    def channel_id(self) -> int: ...
    @property
    def data(self) -> Json: ...
    @property
    def source_id(self) -> int | None: ...
    @property
    def original_id(self) -> int | None: ...
    @property
    def response_type(self) -> int | None: ...
    @property
    def parent(self) -> Any: ...


def metadata(told: Told, payloads: Payloads, world: World) -> Json:
    """`interaction_metadata` of a message that an interaction made."""
    channel = world.channels[told.channel_id]
    made: Json = {
        "id": str(told.id),
        "type": int(told.kind),
        "user": payloads.user(world.users[told.user_id]),
        "authorizing_integration_owners": owners(channel),
    }
    if told.kind == 2:
        made |= {"name": told.data["name"], "command_type": told.data.get("type", 1)}
    if told.original_id is not None:
        made["original_response_message_id"] = str(told.original_id)
    if told.source_id is not None and told.kind == 3:
        made["interacted_message_id"] = str(told.source_id)
    if told.parent is not None:
        made["triggering_interaction_metadata"] = metadata(told.parent, payloads, world)
    return made


def owners(channel: Channel) -> Json:
    """Who installed the application where this happens: the guild, or "0" in its own DM."""
    return {"0": str(channel.guild_id) if channel.guild_id is not None else "0"}


class InteractionPayloads:
    """Renders interactions."""

    def __init__(self, *, world: World, payloads: Payloads, store: AttachmentStore) -> None:
        self._world = world
        self._store = store
        self.payloads = payloads

    def event(self, told: Told, source: Message | None) -> Json:
        """The data of INTERACTION_CREATE."""
        world, payloads = self._world, self.payloads
        channel = world.channels[told.channel_id]
        in_dm = channel.kind is ChannelKind.DM
        user_rights = permissions_in(world, told.user_id, channel)
        event: Json = {
            "id": str(told.id),
            "application_id": str(world.application_id),
            "type": int(told.kind),
            "data": told.data,
            "token": told.token,
            "version": 1,
            "channel_id": str(channel.id),
            "channel": payloads.channel(channel) | {"permissions": str(user_rights)},
            "app_permissions": str(permissions_in(world, world.bot_id, channel)),
            "locale": LOCALE,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": owners(channel),
            "context": 1 if in_dm else 0,
            "attachment_size_limit": self._store.file_bytes_max,
        }
        if in_dm:
            event["user"] = payloads.user(world.users[told.user_id])
        else:
            event |= {
                "guild_id": str(world.guild.id),
                "guild": {"id": str(world.guild.id), "locale": LOCALE, "features": []},
                "guild_locale": LOCALE,
                "member": payloads.interaction_member(told.user_id, channel),
            }
        if source is not None:
            event["message"] = payloads.message(source)
        return event

    def callback(self, told: Told, message: Message | None) -> Json:
        """The answer to `?with_response=true`."""
        interaction: Json = {"id": str(told.id), "type": int(told.kind)}
        if told.original_id is not None and told.response_type in {4, 5, 6, 7}:
            interaction["response_message_id"] = str(told.original_id)
            interaction["response_message_loading"] = told.response_type == 5
            ephemeral = message is not None and bool(message.flags & MessageFlag.EPHEMERAL)
            interaction["response_message_ephemeral"] = ephemeral
        response: Json = {"interaction": interaction}
        if told.response_type in {4, 7} and message is not None:
            resource: Json = {
                "type": told.response_type,
                "message": self.payloads.message(message),
            }
            response["resource"] = resource
        elif told.response_type in {5, 6, 8, 9}:
            response["resource"] = {"type": told.response_type}
        return response
