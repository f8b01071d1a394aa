"""Acting as a user: writing, deleting, invoking, pressing, submitting."""

from __future__ import annotations

from typing import Any

from sandbox.discord.attachments import AttachmentStore, Upload
from sandbox.discord.components import LABEL, ROW, SELECTS, walk
from sandbox.discord.errors import Json
from sandbox.discord.interactions import Interaction, Interactions, Kind
from sandbox.discord.invoking import Invocation, Invoker, Refused
from sandbox.discord.permissions import Permission, permissions_in, sending_bit
from sandbox.discord.posting import Draft, Posting
from sandbox.discord.validation import check_message, check_not_empty
from sandbox.discord.world import Channel, ChannelKind, Message, MessageType, World


class Actors:
    """What a person at the screen can do. Refusals are `Refused` or Discord's `ApiError`."""

    def __init__(
        self,
        *,
        world: World,
        store: AttachmentStore,
        posting: Posting,
        interactions: Interactions,
        invoker: Invoker,
    ) -> None:
        self._world = world
        self._store = store
        self._posting = posting
        self._interactions = interactions
        self._invoker = invoker

    # --- messages ------------------------------------------------------------------------------

    def write(
        self,
        *,
        user_id: int,
        channel_id: int,
        content: str,
        reply_to: int | None = None,
        uploads: tuple[Upload, ...] = (),
    ) -> Message:
        """Send a message as a user."""
        channel = self.place(user_id, channel_id)
        rights = permissions_in(self._world, user_id, channel)
        if not rights & sending_bit(channel):
            raise Refused("the user may not write here", status=403)
        if channel.is_thread:
            channel.archived = False
            channel.thread_member_ids.add(user_id)
        body: Json = {"content": content}
        check_message(body)
        check_not_empty(body, has_files=bool(uploads))
        reference = None
        if reply_to is not None:
            original = self._shown(user_id, reply_to)
            if original.channel_id != channel.id:
                raise Refused("a reply stays in its channel")
            reference = (channel.id, original.id)
        return self._posting.create(
            Draft(
                author_id=user_id,
                channel_id=channel.id,
                body=body,
                uploads=uploads,
                reference=reference,
                type=MessageType.DEFAULT if reference is None else MessageType.REPLY,
            )
        )

    def rewrite(self, *, user_id: int, message_id: int, content: str) -> Message:
        """Edit one's own message."""
        message = self._shown(user_id, message_id)
        if message.author_id != user_id:
            raise Refused("only the author edits a message", status=403)
        check_message({"content": content})
        return self._posting.edit(message, {"content": content})

    def erase(self, *, user_id: int, message_id: int) -> None:
        """Delete one's own message, any message with Manage Messages, or hide an ephemeral one."""
        message = self._shown(user_id, message_id)
        channel = self._world.channels[message.channel_id]
        rights = permissions_in(self._world, user_id, channel)
        own = user_id in {message.author_id, message.ephemeral_for}
        if not own and not rights & Permission.MANAGE_MESSAGES:
            raise Refused("the user may not delete this message", status=403)
        self._posting.delete(message)

    # --- interactions --------------------------------------------------------------------------

    def invoke(self, call: Invocation) -> Interaction:
        """Use a slash command."""
        data = self._invoker.chat_input(call)
        return self._interactions.open(
            Kind.COMMAND, user_id=call.user_id, channel_id=call.channel.id, data=data
        )

    def use_menu(self, call: Invocation, *, kind: int, target_id: int) -> Interaction:
        """Use a user (2) or message (3) command."""
        data = self._invoker.menu(call, kind=kind, target_id=target_id)
        return self._interactions.open(
            Kind.COMMAND, user_id=call.user_id, channel_id=call.channel.id, data=data
        )

    async def complete(self, call: Invocation) -> Interaction:
        """Ask for completions and wait until they came or three seconds passed."""
        interaction = self._interactions.open(
            Kind.AUTOCOMPLETE,
            user_id=call.user_id,
            channel_id=call.channel.id,
            data=self._invoker.chat_input(call),
        )
        await interaction.settled.wait()
        return interaction

    def press(
        self, *, user_id: int, message_id: int, custom_id: str, values: list[str] | None
    ) -> Interaction:
        """Press a button or choose in a select."""
        message = self._shown(user_id, message_id)
        if message.author_id != self._world.bot_id:
            raise Refused("only the bot's messages have components")
        component = next(
            (one for one in walk(message.components) if one.get("custom_id") == custom_id), None
        )
        if component is None:
            raise Refused(f"no component {custom_id} on this message", status=404)
        if component.get("disabled"):
            raise Refused("the component is disabled", status=409)
        data: Json = {
            "id": component.get("id"),
            "custom_id": custom_id,
            "component_type": component["type"],
        }
        channel = self._world.channels[message.channel_id]
        if component["type"] in SELECTS:
            data |= self._invoker.selected(component, values or [], user_id, channel)
        return self._interactions.open(
            Kind.COMPONENT,
            user_id=user_id,
            channel_id=channel.id,
            data=data,
            source=message,
        )

    def submit(self, *, user_id: int, interaction_id: int, values: Json) -> Interaction:
        """Fill in the modal that an interaction was answered with."""
        parent = self._interactions.get(interaction_id)
        if parent is None or parent.modal is None or parent.user_id != user_id:
            raise Refused("this interaction has no modal for this user", status=404)
        modal = parent.modal
        rows = [self._filled(row, values) for row in modal["components"]]
        source = None
        if parent.source_id is not None:
            source = self._world.find_message(parent.source_id)
        return self._interactions.open(
            Kind.MODAL,
            user_id=user_id,
            channel_id=parent.channel_id,
            data={"custom_id": modal["custom_id"], "components": rows},
            source=source,
            parent=parent,
        )

    def _filled(self, row: Json, values: Json) -> Json:
        if row["type"] == ROW:
            inner = [self._field(one, values) for one in row["components"]]
            return {"type": ROW, "id": row.get("id") or 0, "components": inner}
        if row["type"] == LABEL:
            field = self._field(row["component"], values)
            return {"type": LABEL, "id": row.get("id") or 0, "component": field}
        return {"type": row["type"], "id": row.get("id") or 0}

    @staticmethod
    def _field(field: Json, values: Json) -> Json:
        custom_id = field["custom_id"]
        given: Any = values.get(custom_id)
        filled: Json = {
            "type": field["type"],
            "id": field.get("id") or 0,
            "custom_id": custom_id,
        }
        if field["type"] in SELECTS or field["type"] in {19, 22}:
            chosen = given if isinstance(given, list) else [given] if given is not None else []
            return filled | {"values": [str(one) for one in chosen]}
        if field["type"] == 23:
            return filled | {"value": bool(given)}
        text = str(given if given is not None else field.get("value") or "")
        low, high = field.get("min_length") or 0, field.get("max_length") or 4_000
        required = field.get("required", True)
        if (required and not text) or (text and not low <= len(text) <= high):
            raise Refused(f"{custom_id} must have {max(low, 1)} to {high} characters")
        return filled | {"value": text}

    # --- looking -------------------------------------------------------------------------------

    def place(self, user_id: int, channel_id: int) -> Channel:
        """A channel that this user sees."""
        if user_id not in self._world.users:
            raise Refused(f"no user {user_id}", status=404)
        channel = self._world.channel(channel_id)
        if not permissions_in(self._world, user_id, channel):
            raise Refused("the user does not see this channel", status=403)
        return channel

    def dm(self, user_id: int) -> Channel:
        """The user's direct messages with the bot."""
        user = self._world.users.get(user_id)
        if user is None or user.bot:
            raise Refused(f"no person {user_id}", status=404)
        return self._posting.open_dm(user_id)

    def _shown(self, user_id: int, message_id: int) -> Message:
        message = self._world.find_message(message_id)
        if message is None or message.deleted or not self._posting.sees(user_id, message):
            raise Refused(f"the user sees no message {message_id}", status=404)
        return message


def kind_name(channel: Channel) -> str:
    """The kind of a channel in the control surface's words."""
    if channel.kind is ChannelKind.DM:
        return "dm"
    return "thread" if channel.is_thread else "text"
