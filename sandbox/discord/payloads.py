"""How the world looks on the wire: pure renderings into Discord's JSON objects."""

from __future__ import annotations

from typing import Any

from sandbox.discord.attachments import AttachmentStore
from sandbox.discord.clock import iso
from sandbox.discord.errors import Json
from sandbox.discord.permissions import permissions_in
from sandbox.discord.world import (
    Attachment,
    Channel,
    ChannelKind,
    Member,
    Message,
    Role,
    User,
    World,
)


class Payloads:
    """Renders with the world's facts and the store's addresses."""

    def __init__(self, world: World, store: AttachmentStore) -> None:
        self._world = world
        self._store = store

    # --- people ----------------------------------------------------------------------------

    def user(self, user: User) -> Json:
        return {
            "id": str(user.id),
            "username": user.name,
            "discriminator": "0" if not user.bot else "0001",
            "global_name": None if user.bot else user.display_name,
            "avatar": None,
            "bot": user.bot,
            "system": False,
            "banner": None,
            "accent_color": int(user.avatar_color.removeprefix("#"), 16),
            "public_flags": 0,
            "flags": 0,
            "avatar_decoration_data": None,
            "collectibles": None,
            "primary_guild": None,
        }

    def own_user(self) -> Json:
        """The bot as `/users/@me` and READY tell it."""
        user = self.user(self._world.users[self._world.bot_id])
        return user | {
            "verified": True,
            "mfa_enabled": False,
            "locale": "en-US",
            "premium_type": 0,
            "email": None,
        }

    def member(self, member: Member) -> Json:
        """A guild member without its `user`, as messages carry it."""
        return {
            "roles": [str(role_id) for role_id in member.role_ids],
            "joined_at": iso(member.joined_ms),
            "nick": member.nick,
            "avatar": None,
            "banner": None,
            "premium_since": None,
            "pending": False,
            "deaf": False,
            "mute": False,
            "flags": 0,
            "communication_disabled_until": None,
        }

    def full_member(self, member: Member) -> Json:
        return self.member(member) | {"user": self.user(self._world.users[member.user_id])}

    def interaction_member(self, user_id: int, channel: Channel) -> Json:
        member = self.full_member(self._world.members[user_id])
        return member | {"permissions": str(permissions_in(self._world, user_id, channel))}

    def role(self, role: Role) -> Json:
        rendered: Json = {
            "id": str(role.id),
            "name": role.name,
            "description": None,
            "permissions": str(role.permissions),
            "position": role.position,
            "color": role.color,
            "colors": {
                "primary_color": role.color,
                "secondary_color": None,
                "tertiary_color": None,
            },
            "hoist": False,
            "managed": role.bot_id is not None,
            "mentionable": role.mentionable,
            "icon": None,
            "unicode_emoji": None,
            "flags": 0,
        }
        if role.bot_id is not None:
            rendered["tags"] = {"bot_id": str(role.bot_id)}
        return rendered

    # --- places ----------------------------------------------------------------------------

    def channel(self, channel: Channel) -> Json:
        if channel.kind is ChannelKind.DM:
            return self._dm(channel)
        if channel.is_thread:
            return self.thread(channel)
        return {
            "id": str(channel.id),
            "type": int(channel.kind),
            "guild_id": str(channel.guild_id),
            "name": channel.name,
            "topic": channel.topic,
            "position": channel.position,
            "nsfw": channel.nsfw,
            "parent_id": None,
            "rate_limit_per_user": 0,
            "last_message_id": _id(channel.last_message_id),
            "last_pin_timestamp": None,
            "flags": 0,
            "permission_overwrites": [
                {
                    "id": str(one.target_id),
                    "type": int(one.kind),
                    "allow": str(one.allow),
                    "deny": str(one.deny),
                }
                for one in channel.overwrites.values()
            ],
        }

    def _dm(self, channel: Channel) -> Json:
        others = [one for one in channel.recipient_ids if one != self._world.bot_id]
        return {
            "id": str(channel.id),
            "type": int(ChannelKind.DM),
            "last_message_id": _id(channel.last_message_id),
            "flags": 0,
            "recipients": [self.user(self._world.users[user_id]) for user_id in others],
        }

    def thread(self, channel: Channel) -> Json:
        written = sum(1 for message in channel.messages.values() if not message.deleted)
        rendered: Json = {
            "id": str(channel.id),
            "type": int(channel.kind),
            "guild_id": str(channel.guild_id),
            "parent_id": str(channel.parent_id),
            "owner_id": str(channel.owner_id),
            "name": channel.name,
            "last_message_id": _id(channel.last_message_id),
            "last_pin_timestamp": None,
            "rate_limit_per_user": 0,
            "message_count": written,
            "member_count": len(channel.thread_member_ids),
            "total_message_sent": len(channel.messages),
            "flags": 0,
            "thread_metadata": {
                "archived": channel.archived,
                "locked": channel.locked,
                "auto_archive_duration": channel.auto_archive_min,
                "archive_timestamp": iso(channel.created_ms),
                "create_timestamp": iso(channel.created_ms),
            },
        }
        if self._world.bot_id in channel.thread_member_ids:
            rendered["member"] = self.thread_member(channel, self._world.bot_id)
        return rendered

    def thread_member(self, channel: Channel, user_id: int) -> Json:
        return {
            "id": str(channel.id),
            "user_id": str(user_id),
            "join_timestamp": iso(channel.created_ms),
            "flags": 1,
        }

    def guild(self) -> Json:
        """The guild as REST tells it."""
        world = self._world
        return {
            "id": str(world.guild.id),
            "name": world.guild.name,
            "owner_id": str(world.guild.owner_id),
            "icon": None,
            "splash": None,
            "discovery_splash": None,
            "banner": None,
            "description": None,
            "region": "deprecated",
            "afk_channel_id": None,
            "afk_timeout": 300,
            "verification_level": 0,
            "default_message_notifications": 0,
            "explicit_content_filter": 0,
            "roles": [self.role(role) for role in world.roles.values()],
            "emojis": [],
            "stickers": [],
            "features": [],
            "mfa_level": 0,
            "nsfw_level": 0,
            "application_id": None,
            "system_channel_id": None,
            "system_channel_flags": 0,
            "rules_channel_id": None,
            "public_updates_channel_id": None,
            "safety_alerts_channel_id": None,
            "vanity_url_code": None,
            "premium_tier": 0,
            "premium_subscription_count": 0,
            "premium_progress_bar_enabled": False,
            "preferred_locale": "en-US",
            "max_presences": None,
            "max_members": 500_000,
            "max_video_channel_users": 25,
            "max_stage_video_channel_users": 50,
            "home_header": None,
            "widget_enabled": False,
            "widget_channel_id": None,
            "nsfw": False,
            "incidents_data": None,
        }

    def guild_create(self) -> Json:
        """The guild as the gateway tells it: with channels, threads and members."""
        world = self._world
        places = [one for one in world.channels.values() if one.kind is not ChannelKind.DM]
        return self.guild() | {
            "joined_at": iso(world.members[world.bot_id].joined_ms),
            "large": False,
            "unavailable": False,
            "member_count": len(world.members),
            "members": [self.full_member(member) for member in world.members.values()],
            "channels": [self.channel(one) for one in places if not one.is_thread],
            "threads": [self.thread(one) for one in places if one.is_thread and not one.archived],
            "voice_states": [],
            "presences": [],
            "stage_instances": [],
            "guild_scheduled_events": [],
            "soundboard_sounds": [],
        }

    # --- messages --------------------------------------------------------------------------

    def attachment(self, attachment: Attachment) -> Json:
        url = self._store.url(attachment)
        rendered: Json = {
            "id": str(attachment.id),
            "filename": attachment.filename,
            "size": attachment.size_bytes,
            "url": url,
            "proxy_url": url,
            "content_type": attachment.content_type,
            "content_scan_version": 0,
        }
        if attachment.width is not None:
            rendered |= {"width": attachment.width, "height": attachment.height}
        if attachment.description is not None:
            rendered["description"] = attachment.description
        if attachment.ephemeral:
            rendered["ephemeral"] = True
        return rendered

    def message(self, message: Message, *, with_reference: bool = True) -> Json:
        """The message as REST tells it (no `guild_id`, no `member`)."""
        world = self._world
        rendered: Json = {
            "id": str(message.id),
            "channel_id": str(message.channel_id),
            "type": message.type,
            "author": self.user(world.users[message.author_id]),
            "content": message.content,
            "timestamp": iso(message.created_ms),
            "edited_timestamp": iso(message.edited_ms) if message.edited_ms else None,
            "tts": message.tts,
            "pinned": False,
            "flags": message.flags,
            "mention_everyone": message.mention_everyone,
            "mention_roles": [str(role_id) for role_id in message.mention_role_ids],
            "mentions": [self.mentioned(user_id, message) for user_id in message.mention_user_ids],
            "attachments": [self.attachment(one) for one in message.attachments],
            "embeds": message.embeds,
            "components": message.components,
        }
        if message.reactions:
            rendered["reactions"] = [
                {
                    "emoji": {"id": None, "name": emoji},
                    "count": len(users),
                    "count_details": {"burst": 0, "normal": len(users)},
                    "me": world.bot_id in users,
                    "me_burst": False,
                    "burst_colors": [],
                }
                for emoji, users in message.reactions.items()
            ]
        if message.nonce is not None:
            rendered["nonce"] = message.nonce
        if message.application_id is not None:
            rendered["application_id"] = str(message.application_id)
            rendered["webhook_id"] = str(message.application_id)
        if message.interaction is not None:
            rendered["interaction_metadata"] = message.interaction
        thread = world.channels.get(message.id)
        if thread is not None:
            rendered["thread"] = self.thread(thread)
        if message.reference is not None and with_reference:
            rendered |= self._reference(message.reference)
        return rendered

    def _reference(self, reference: tuple[int, int]) -> Json:
        channel_id, message_id = reference
        channel = self._world.channels.get(channel_id)
        told: Json = {"type": 0, "message_id": str(message_id), "channel_id": str(channel_id)}
        if channel is not None and channel.guild_id is not None:
            told["guild_id"] = str(channel.guild_id)
        original = channel.messages.get(message_id) if channel is not None else None
        gone = original is None or original.deleted
        return {
            "message_reference": told,
            "referenced_message": None
            if gone or original is None
            else self.message(original, with_reference=False),
        }

    def mentioned(self, user_id: int, message: Message) -> Json:
        """A mentioned user, with the member part where there is a guild."""
        user = self.user(self._world.users[user_id])
        in_guild = self._world.channels[message.channel_id].guild_id is not None
        if in_guild and user_id in self._world.members:
            user["member"] = self.member(self._world.members[user_id])
        return user

    def gateway_message(self, message: Message) -> Json:
        """The message as MESSAGE_CREATE and MESSAGE_UPDATE tell it."""
        rendered = self.message(message)
        channel = self._world.channels[message.channel_id]
        rendered["channel_type"] = int(channel.kind)
        if channel.guild_id is not None:
            rendered["guild_id"] = str(channel.guild_id)
            if message.author_id in self._world.members:
                rendered["member"] = self.member(self._world.members[message.author_id])
        return rendered

    def redacted(self, rendered: Json, *, is_dm: bool) -> Json:
        """The message as an application without the message content intent sees it.

        Whole in direct messages, when the bot wrote it, and when the bot is mentioned.
        """
        own_id = str(self._world.bot_id)
        mentioned = any(user["id"] == own_id for user in rendered["mentions"])
        if is_dm or rendered["author"]["id"] == own_id or mentioned:
            seen = dict(rendered)
        else:
            empty: dict[str, Any] = {"embeds": [], "attachments": [], "components": []}
            seen = rendered | empty | {"content": ""}
        if seen.get("referenced_message"):
            seen["referenced_message"] = self.redacted(seen["referenced_message"], is_dm=is_dm)
        return seen


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)
