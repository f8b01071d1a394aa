"""Making, changing and removing messages, and telling everyone who may know of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sandbox.discord.attachments import AttachmentStore, Upload, clean_filename
from sandbox.discord.clock import Clock, iso
from sandbox.discord.component_render import rendered
from sandbox.discord.components import walk
from sandbox.discord.errors import FormErrors, Json
from sandbox.discord.events import EventHub
from sandbox.discord.gateway import Gateway
from sandbox.discord.mentions import PARSE_ALL, resolve_mentions
from sandbox.discord.payloads import Payloads
from sandbox.discord.permissions import can_view
from sandbox.discord.sessions import Intent
from sandbox.discord.validation import allowed_flags
from sandbox.discord.world import (
    Attachment,
    Channel,
    ChannelKind,
    Message,
    MessageFlag,
    MessageType,
    World,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A message to be made, after all checks. `body` is in Discord's request shape."""

    author_id: int
    channel_id: int
    body: Json
    uploads: tuple[Upload, ...] = ()
    parse_by_default: tuple[str, ...] = PARSE_ALL
    type: int = MessageType.DEFAULT
    reference: tuple[int, int] | None = None
    interaction: Json | None = None
    ephemeral_for: int | None = None
    extra_flags: int = 0


def described(body: Json, uploads: tuple[Upload, ...]) -> tuple[Upload, ...]:
    """Give the uploads the names and descriptions that `attachments` tells; files[n] has id n."""
    about = {str(one.get("id")): one for one in body.get("attachments") or []}
    told = []
    for upload in uploads:
        one = about.get(upload.name.removeprefix("files[").removesuffix("]"), {})
        told.append(
            replace(
                upload,
                filename=one.get("filename") or upload.filename,
                description=one.get("description"),
            )
        )
    return tuple(told)


class Posting:
    """Changes messages of the world and announces the change on the gateway and to the page."""

    def __init__(
        self,
        *,
        world: World,
        clock: Clock,
        payloads: Payloads,
        store: AttachmentStore,
        gateway: Gateway,
        hub: EventHub,
    ) -> None:
        self._world = world
        self._clock = clock
        self._payloads = payloads
        self._store = store
        self._gateway = gateway
        self._hub = hub

    # --- changes -------------------------------------------------------------------------------

    def create(self, draft: Draft) -> Message:
        """Make the message; files too many or too large are refused first (50035, 40005)."""
        self._store.check(draft.uploads)
        body = draft.body
        message = Message(
            id=self._world.new_id(),
            channel_id=draft.channel_id,
            author_id=draft.author_id,
            type=draft.type,
            created_ms=self._clock.now_ms(),
            content=body.get("content") or "",
            flags=allowed_flags(body.get("flags")) | draft.extra_flags,
            tts=bool(body.get("tts")),
            nonce=body.get("nonce"),
            reference=draft.reference,
            interaction=draft.interaction,
            application_id=self._world.application_id if draft.interaction else None,
            ephemeral_for=draft.ephemeral_for,
        )
        self._require_uploads(body, draft.uploads)
        uploads = described(body, draft.uploads)
        _require_files(body, {clean_filename(upload.filename) for upload in uploads})
        message.attachments = self._stored(message, uploads)
        message.embeds = self._embeds(body.get("embeds"), message.attachments)
        message.components = self._components(body.get("components"), message.attachments)
        self._mention(message, body, draft.parse_by_default)
        self._world.add_message(message)
        self._announce("MESSAGE_CREATE", message)
        return message

    def edit(
        self,
        message: Message,
        body: Json,
        uploads: tuple[Upload, ...] = (),
        *,
        parse_by_default: tuple[str, ...] = PARSE_ALL,
    ) -> Message:
        """Change what `body` names; the former look goes to the history."""
        self._store.check(uploads)
        uploads = described(body, uploads)
        attachments = message.attachments
        if "attachments" in body:
            kept = {str(one.get("id")) for one in body["attachments"] or []}
            attachments = [one for one in attachments if str(one.id) in kept]
        names = {clean_filename(upload.filename) for upload in uploads}
        _require_files(body, names | {one.filename for one in attachments})
        message.remember()
        message.attachments = [*attachments, *self._stored(message, uploads)]
        if "content" in body:
            message.content = body["content"] or ""
        if "embeds" in body:
            message.embeds = self._embeds(body["embeds"], message.attachments)
        if "components" in body:
            message.components = self._components(body["components"], message.attachments)
        settable = MessageFlag.SUPPRESS_EMBEDS | MessageFlag.IS_COMPONENTS_V2
        if body.get("flags") is not None:
            kept_flags = message.flags & ~MessageFlag.SUPPRESS_EMBEDS
            message.flags = kept_flags | (int(body["flags"]) & settable)
        message.flags &= ~MessageFlag.LOADING
        message.edited_ms = self._clock.now_ms()
        if "content" in body or "components" in body or "allowed_mentions" in body:
            self._mention(message, body, parse_by_default)
        self._announce("MESSAGE_UPDATE", message)
        return message

    def delete(self, message: Message) -> None:
        """Take the message away; the control surface still tells of it."""
        message.deleted = True
        channel = self._world.channels[message.channel_id]
        told: Json = {"id": str(message.id), "channel_id": str(channel.id)}
        self._hub.publish(
            "message_delete", told, seen_by=lambda user_id: self.sees(user_id, message)
        )
        if message.ephemeral_for is None and self._bot_sees(channel):
            self._gateway.dispatch(
                "MESSAGE_DELETE",
                told | self.guild_part(channel),
                intent=self.messages_intent(channel),
            )

    def typing(self, channel: Channel, user_id: int) -> None:
        """Somebody writes."""
        told: Json = {"channel_id": str(channel.id), "user_id": str(user_id)}
        self._hub.publish(
            "typing", told, seen_by=lambda viewer: can_view(self._world, viewer, channel)
        )
        if user_id == self._world.bot_id or not self._bot_sees(channel):
            return
        in_dm = channel.kind is ChannelKind.DM
        event = told | self.guild_part(channel) | {"timestamp": self._clock.now_ms() // 1000}
        if not in_dm:
            event["member"] = self._payloads.full_member(self._world.members[user_id])
        intent = Intent.DIRECT_MESSAGE_TYPING if in_dm else Intent.GUILD_MESSAGE_TYPING
        self._gateway.dispatch("TYPING_START", event, intent=intent)

    def react(self, message: Message, emoji: str, user_id: int, *, added: bool) -> None:
        """Put or take back one reaction."""
        users = message.reactions.setdefault(emoji, [])
        if added == (user_id in users):
            return
        if added:
            users.append(user_id)
        else:
            users.remove(user_id)
            if not users:
                del message.reactions[emoji]
        channel = self._world.channels[message.channel_id]
        in_dm = channel.kind is ChannelKind.DM
        event: Json = {
            "user_id": str(user_id),
            "channel_id": str(channel.id),
            "message_id": str(message.id),
            "message_author_id": str(message.author_id),
            "emoji": {"id": None, "name": emoji},
            "burst": False,
            "type": 0,
        }
        intent = Intent.DIRECT_MESSAGE_REACTIONS if in_dm else Intent.GUILD_MESSAGE_REACTIONS
        name = "MESSAGE_REACTION_ADD" if added else "MESSAGE_REACTION_REMOVE"
        self._gateway.dispatch(name, event | self.guild_part(channel), intent=intent)
        self._publish("message_update", message)

    def open_dm(self, user_id: int) -> Channel:
        """The direct message between the bot and a user; a new one is told to the page."""
        count = len(self._world.channels)
        channel = self._world.dm_with(user_id)
        if len(self._world.channels) > count:
            self._hub.tell_all("channels", {"channel_id": str(channel.id)})
        return channel

    # --- who is told ---------------------------------------------------------------------------

    def sees(self, user_id: int, message: Message) -> bool:
        """True when the message is on this user's screen."""
        if message.ephemeral_for is not None:
            return user_id == message.ephemeral_for
        return can_view(self._world, user_id, self._world.channels[message.channel_id])

    def told(self, message: Message, *, versions_max: int | None = None) -> Json:
        """The message for the control surface: Discord's object and what only we know."""
        history = list(message.history)
        if versions_max is not None:
            history = history[len(history) - min(versions_max, len(history)) :]
        return self._payloads.message(message) | {
            "ephemeral_for": None if message.ephemeral_for is None else str(message.ephemeral_for),
            "deleted": message.deleted,
            "notified": [str(user_id) for user_id in message.notified],
            "versions": len(message.history),
            "history": [
                {
                    "content": one.content,
                    "components": one.components,
                    "flags": one.flags,
                    "at_ms": one.at_ms,
                    "at": iso(one.at_ms),
                }
                for one in history
            ],
        }

    def _announce(self, event: str, message: Message) -> None:
        created = event == "MESSAGE_CREATE"
        self._publish("message_create" if created else "message_update", message)
        channel = self._world.channels[message.channel_id]
        if message.ephemeral_for is not None or not self._bot_sees(channel):
            return
        self._gateway.dispatch(
            event,
            self._payloads.gateway_message(message),
            intent=self.messages_intent(channel),
            message_is_dm=channel.kind is ChannelKind.DM,
        )

    def _publish(self, kind: str, message: Message) -> None:
        # A stream that is edited each second would otherwise repeat its whole history each time.
        told = self.told(message, versions_max=1)
        self._hub.publish(kind, told, seen_by=lambda user_id: self.sees(user_id, message))

    def _bot_sees(self, channel: Channel) -> bool:
        return can_view(self._world, self._world.bot_id, channel)

    @staticmethod
    def guild_part(channel: Channel) -> Json:
        """`guild_id` for events in a guild, nothing for direct messages."""
        return {} if channel.guild_id is None else {"guild_id": str(channel.guild_id)}

    @staticmethod
    def messages_intent(channel: Channel) -> int:
        """The intent under which this channel's messages are told."""
        return Intent.DIRECT_MESSAGES if channel.kind is ChannelKind.DM else Intent.GUILD_MESSAGES

    # --- parts ---------------------------------------------------------------------------------

    def _mention(self, message: Message, body: Json, parse_by_default: tuple[str, ...]) -> None:
        replied_to = None
        if message.reference is not None:
            original = self._world.find_message(message.reference[1])
            replied_to = original.author_id if original is not None else None
        mentions = resolve_mentions(
            self._world,
            self._world.channels[message.channel_id],
            author_id=message.author_id,
            texts=(message.content, *_texts(message.components)),
            replied_to=replied_to,
            allowed=body.get("allowed_mentions"),
            parse_by_default=parse_by_default,
        )
        message.mention_user_ids = mentions.user_ids
        message.mention_role_ids = mentions.role_ids
        message.mention_everyone = mentions.everyone
        if message.ephemeral_for is not None or message.flags & MessageFlag.SUPPRESS_NOTIFICATIONS:
            return
        # An edit that mentions someone anew highlights the message for them: it counts as well.
        message.notified = sorted({*message.notified, *mentions.notified})

    @staticmethod
    def _require_uploads(body: Json, uploads: tuple[Upload, ...]) -> None:
        names = {upload.name for upload in uploads}
        errors = FormErrors()
        for index, one in enumerate(body.get("attachments") or []):
            if f"files[{one.get('id')}]" not in names:
                errors.add(
                    ("attachments", index, "id"),
                    "ATTACHMENT_NOT_FOUND",
                    "There is no uploaded file with this id.",
                )
        errors.raise_if_any()

    def _stored(self, message: Message, uploads: tuple[Upload, ...]) -> list[Attachment]:
        return [
            self._store.add(
                upload,
                attachment_id=self._world.new_id(),
                channel_id=message.channel_id,
                ephemeral=message.ephemeral_for is not None,
            )
            for upload in uploads
        ]

    def _embeds(self, embeds: Any, attachments: list[Attachment]) -> list[Json]:
        made = []
        for embed in embeds or []:
            one = {"type": "rich"} | embed
            for key in ("image", "thumbnail"):
                if isinstance(one.get(key), dict):
                    one[key] = self._media(one[key], attachments)
            made.append(one)
        return made

    def _components(self, components: Any, attachments: list[Attachment]) -> list[Json]:
        def resolve(media: Json) -> Json:
            found = self._media(media, attachments)
            return {
                "id": str(self._world.new_id()),
                "proxy_url": found["url"],
                "width": None,
                "height": None,
                "content_type": None,
            } | found

        return rendered(components or [], resolve)

    def _media(self, media: Json, attachments: list[Attachment]) -> Json:
        name = str(media.get("url", "")).removeprefix("attachment://")
        for one in attachments:
            if one.filename == name:
                url = self._store.url(one)
                return media | {
                    "url": url,
                    "proxy_url": url,
                    "content_type": one.content_type,
                    "width": one.width,
                    "height": one.height,
                }
        return media


def _require_files(body: Json, names: set[str]) -> None:
    """50035 when a component refers to a file that is not there."""
    errors = FormErrors()
    for one in walk(body.get("components") or []):
        for place in (one, *(one.get("items") or [])):
            media = place.get("file") or place.get("media") or {}
            url = str(media.get("url", ""))
            if url.startswith("attachment://") and url.removeprefix("attachment://") not in names:
                errors.add(
                    ("components",),
                    "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND",
                    "The referenced attachment was not found.",
                )
    errors.raise_if_any()


def _texts(components: list[Json]) -> list[str]:
    found: list[str] = []
    for one in components:
        if one.get("type") == 10:
            found.append(str(one.get("content", "")))
        found += _texts(one.get("components") or [])
    return found
