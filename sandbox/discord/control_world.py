"""The control surface's other half: requests, faults, the gateway, and changes to the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from sandbox.discord.actors import Actors
from sandbox.discord.attachments import FILE_BYTES_MAX
from sandbox.discord.control import answer, path_id, read_id, read_json
from sandbox.discord.core import Core
from sandbox.discord.faults import parse_fault
from sandbox.discord.invoking import Refused
from sandbox.discord.sessions import Intent
from sandbox.discord.world import Channel, ChannelKind, Overwrite, OverwriteKind

_CLOSE_CODES: Final = frozenset({1000, 1001, *range(4000, 4015)})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldControl:
    """The routes that act as Discord itself, or as the server's owner."""

    core: Core
    actors: Actors

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/requests", self.requests),
            web.post("/control/faults", self.add_fault),
            web.delete("/control/faults", self.clear_faults),
            web.post("/control/gateway", self.gateway),
            web.put("/control/limits", self.limits),
            web.post("/control/channels", self.add_channel),
            web.delete("/control/channels/{channel_id}", self.remove_channel),
            web.put("/control/channels/{channel_id}/overwrites", self.overwrite),
            web.post("/control/threads", self.add_thread),
            web.patch("/control/users/{user_id}", self.edit_user),
        ]

    async def requests(self, request: web.Request) -> web.Response:
        """What the bot asked for over REST."""
        query = dict(request.query)
        since = read_id(query, "since") if "since" in query else 0
        return answer({"requests": self.core.log.since(since)})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Order a fault."""
        try:
            fault = parse_fault(await read_json(request))
        except (TypeError, ValueError) as error:
            raise Refused(str(error)) from error
        self.core.faults.add(fault)
        return answer({})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        """Forget all faults that still wait."""
        return answer({"cleared": self.core.faults.clear()})

    async def gateway(self, request: web.Request) -> web.Response:
        """Disturb the bot's gateway connections."""
        body = await read_json(request)
        gateway = self.core.gateway
        match body.get("action"):
            case "drop":
                count = gateway.drop()
            case "reconnect":
                count = gateway.ask_to_reconnect()
            case "invalid_session":
                count = gateway.invalidate(resumable=bool(body.get("resumable")))
            case "close":
                code = body.get("code", 4000)
                if code not in _CLOSE_CODES:
                    raise Refused("code must be 1000, 1001 or within 4000..4014")
                count = await gateway.close_all(
                    code=code, resumable=bool(body.get("resumable", True))
                )
            case _:
                raise Refused("action must be drop, reconnect, invalid_session or close")
        return answer({"connections": count})

    async def limits(self, request: web.Request) -> web.Response:
        """{enabled?, file_bytes_max?}: the rate limits on or off, the upload limit per file."""
        body = await read_json(request)
        limiter, store = self.core.limiter, self.core.store
        limiter.enabled = bool(body.get("enabled", limiter.enabled))
        size = body.get("file_bytes_max", store.file_bytes_max)
        if type(size) is not int or not 1 <= size <= FILE_BYTES_MAX:
            raise Refused(f"file_bytes_max must be 1 to {FILE_BYTES_MAX}")
        store.file_bytes_max = size
        return answer({"enabled": limiter.enabled, "file_bytes_max": size})

    async def add_channel(self, request: web.Request) -> web.Response:
        """Make a text channel."""
        body = await read_json(request)
        world = self.core.world
        name = str(body.get("name") or "")
        if not 1 <= len(name) <= 100:
            raise Refused("name must have 1 to 100 characters")
        channel = world.add_channel(
            Channel(
                id=world.new_id(),
                kind=ChannelKind.TEXT,
                name=name,
                guild_id=world.guild.id,
                position=len(world.channels),
                nsfw=bool(body.get("nsfw")),
                topic=str(body["topic"]) if body.get("topic") else None,
                created_ms=self.core.clock.now_ms(),
            )
        )
        self._tell_channel("CHANNEL_CREATE", channel)
        return answer({"channel_id": str(channel.id)})

    async def remove_channel(self, request: web.Request) -> web.Response:
        """Delete a channel and its threads."""
        world = self.core.world
        channel = world.channel(path_id(request, "channel_id"))
        if channel.kind is ChannelKind.DM:
            raise Refused("a direct message cannot be deleted")
        threads = [one for one in world.channels.values() if one.parent_id == channel.id]
        for one in [*threads, channel]:
            del world.channels[one.id]
        self._tell_channel("THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE", channel)
        return answer({})

    async def overwrite(self, request: web.Request) -> web.Response:
        """Set a channel's permissions for a role or a member; both 0 takes them away."""
        body = await read_json(request)
        world = self.core.world
        channel = world.channel(path_id(request, "channel_id"))
        target_id = read_id(body, "target_id")
        if target_id not in world.roles and target_id not in world.members:
            raise Refused("target_id is neither a role nor a member", status=404)
        allow, deny = _bits(body, "allow"), _bits(body, "deny")
        is_role = target_id in world.roles
        channel.overwrites[target_id] = Overwrite(
            target_id=target_id,
            kind=OverwriteKind.ROLE if is_role else OverwriteKind.MEMBER,
            allow=allow,
            deny=deny,
        )
        if not allow and not deny:
            del channel.overwrites[target_id]
        self._tell_channel("CHANNEL_UPDATE", channel)
        return answer({})

    async def add_thread(self, request: web.Request) -> web.Response:
        """Start a public thread as a user, from a message when `message_id` is given."""
        body = await read_json(request)
        world = self.core.world
        user_id = read_id(body, "user_id")
        parent = self.actors.place(user_id, read_id(body, "channel_id"))
        if parent.kind is not ChannelKind.TEXT:
            raise Refused("threads start in text channels")
        start = (
            world.message(parent.id, read_id(body, "message_id"))
            if body.get("message_id")
            else None
        )
        thread = world.add_channel(
            Channel(
                id=world.new_id() if start is None else start.id,
                kind=ChannelKind.PUBLIC_THREAD,
                name=str(body.get("name") or "thread")[:100],
                guild_id=parent.guild_id,
                parent_id=parent.id,
                nsfw=parent.nsfw,
                owner_id=user_id,
                created_ms=self.core.clock.now_ms(),
                thread_member_ids={user_id},
            )
        )
        self._tell_channel("THREAD_CREATE", thread)
        return answer({"channel_id": str(thread.id)})

    async def edit_user(self, request: web.Request) -> web.Response:
        """Open or close a user's direct messages."""
        body = await read_json(request)
        user = self.core.world.users.get(path_id(request, "user_id"))
        if user is None:
            raise Refused("no such user", status=404)
        user.dms_open = bool(body.get("dms_open", user.dms_open))
        return answer({})

    def _tell_channel(self, event: str, channel: Channel) -> None:
        told = self.core.payloads.channel(channel)
        self.core.gateway.dispatch(event, told, intent=Intent.GUILDS)
        self.core.hub.tell_all("channels", {"channel_id": told["id"]})


def _bits(body: dict[str, Any], key: str) -> int:
    text = str(body.get(key, "0"))
    if not text.isdigit():
        raise Refused(f"{key} must be a number of permission bits")
    return int(text)
