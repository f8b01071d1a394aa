"""The control surface: HTTP routes that act as users and read what they see.

Ids are strings. Refusals answer {"error": …} with 400, 403, 404 or 409.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler

from sandbox.discord.actors import Actors, kind_name
from sandbox.discord.attachments import FILES_PER_MESSAGE_MAX, Upload
from sandbox.discord.compression import dumps
from sandbox.discord.core import Core
from sandbox.discord.errors import ApiError, Json
from sandbox.discord.interactions import Interaction
from sandbox.discord.invoking import Invocation, Refused
from sandbox.discord.permissions import can_view, is_staff

# --- limits ------------------------------------------------------------------------------------
BODY_BYTES_MAX: Final = 40 * 1024 * 1024
"""25 MiB of files as base64, and the words around them."""
MESSAGES_DEFAULT: Final = 50
MESSAGES_MAX: Final = 500

_LOOPBACK_NAMES: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep other websites away from /control, and word every refusal as JSON."""
    if not request.path.startswith("/control"):
        return await handler(request)
    # A foreign page may not post here, nor reach us by a name that it made resolve to loopback.
    origin = request.headers.get("Origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.host
    if foreign or urlsplit(f"//{request.host}").hostname not in _LOOPBACK_NAMES:
        return web.json_response({"error": "another origin"}, status=403)
    try:
        return await handler(request)
    except Refused as error:
        return web.json_response({"error": str(error)}, status=error.status)
    except ApiError as error:
        body = {"error": error.message, "code": error.code, "errors": error.errors}
        return web.json_response(body, status=error.status)


async def read_json(request: web.Request) -> Json:
    """The request's JSON object; Refused when it is none."""
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise Refused("the body is no JSON") from error
    if not isinstance(body, dict):
        raise Refused("the body is no JSON object")
    return body


def read_id(body: Json, key: str) -> int:
    """An id of the body; Refused when it is missing or no id."""
    text = str(body.get(key, ""))
    if not (text.isascii() and text.isdigit()):
        raise Refused(f"{key} must be an id")
    return int(text)


def path_id(request: web.Request, key: str) -> int:
    """An id of the path."""
    return read_id(dict(request.match_info), key)


def read_upload(told: Any, name: str) -> Upload:
    """A file of the body: {filename, content_type, data_base64}."""
    if not isinstance(told, dict):
        raise Refused("an attachment must be an object")
    try:
        data = base64.b64decode(str(told["data_base64"]), validate=True)
    except (KeyError, binascii.Error) as error:
        raise Refused("data_base64 is missing or wrong") from error
    return Upload(
        name=name,
        filename=str(told.get("filename") or "file"),
        data=data,
        content_type=str(told["content_type"]) if told.get("content_type") else None,
    )


def answer(body: Json, status: int = 200) -> web.Response:
    """JSON for the page and the tests."""
    return web.json_response(body, status=status, dumps=dumps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The routes that act as a user."""

    core: Core
    actors: Actors

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/state", self.state),
            web.get("/control/channels/{channel_id}/messages", self.messages),
            web.post("/control/dm", self.dm),
            web.post("/control/messages", self.write),
            web.post("/control/messages/edit", self.rewrite),
            web.post("/control/messages/delete", self.erase),
            web.post("/control/typing", self.typing),
            web.post("/control/commands", self.invoke),
            web.post("/control/autocomplete", self.complete),
            web.post("/control/components", self.press),
            web.post("/control/modals", self.submit),
            web.get("/control/interactions/{interaction_id}", self.interaction),
            web.get("/control/events", self.events),
        ]

    # --- reading -------------------------------------------------------------------------------

    async def state(self, _request: web.Request) -> web.Response:
        core, world = self.core, self.core.world
        people = [user for user in world.users.values() if not user.bot]
        return answer(
            {
                "bot_online": core.gateway.online,
                "bot": {
                    "id": str(world.bot_id),
                    "name": world.users[world.bot_id].display_name,
                    "avatar_color": world.users[world.bot_id].avatar_color,
                },
                "guild": {"id": str(world.guild.id), "name": world.guild.name},
                "users": [
                    {
                        "id": str(user.id),
                        "name": user.name,
                        "display_name": user.display_name,
                        "staff": is_staff(world, user.id),
                        "avatar_color": user.avatar_color,
                        "dms_open": user.dms_open,
                    }
                    for user in people
                ],
                "channels": [
                    {
                        "id": str(channel.id),
                        "name": channel.name,
                        "kind": kind_name(channel),
                        "nsfw": channel.nsfw,
                        "topic": channel.topic,
                        "parent_id": None if channel.parent_id is None else str(channel.parent_id),
                        "users": [
                            str(user.id) for user in people if can_view(world, user.id, channel)
                        ],
                    }
                    for channel in world.channels.values()
                ],
                "commands": world.command_objects(),
                "identifies": core.gateway.identifies,
                "invalid_requests": core.limiter.invalid_recently,
            }
        )

    async def messages(self, request: web.Request) -> web.Response:
        channel = self.core.world.channel(path_id(request, "channel_id"))
        query = dict(request.query)
        user_id = read_id(query, "user_id") if "user_id" in query else None
        if user_id is not None:
            self.actors.place(user_id, channel.id)
        limit = read_id(query, "limit") if "limit" in query else MESSAGES_DEFAULT
        before = read_id(query, "before") if "before" in query else None
        shown = [
            message
            for message in channel.messages.values()
            if message.ephemeral_for in {None, user_id} or user_id is None
            if before is None or message.id < before
        ]
        chosen = shown[-min(max(limit, 1), MESSAGES_MAX) :]
        return answer({"messages": [self.core.posting.told(message) for message in chosen]})

    async def interaction(self, request: web.Request) -> web.Response:
        found = self.core.interactions.get(path_id(request, "interaction_id"))
        if found is None:
            raise Refused("no such interaction", status=404)
        return answer(found.told())

    async def events(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        user_id = read_id(query, "user_id") if "user_id" in query else None
        return await self.core.hub.stream(request, user_id)

    # --- writing -------------------------------------------------------------------------------

    async def dm(self, request: web.Request) -> web.Response:
        channel = self.actors.dm(read_id(await read_json(request), "user_id"))
        return answer({"channel_id": str(channel.id)})

    async def write(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        files = body.get("attachments") or []
        if not isinstance(files, list) or len(files) > FILES_PER_MESSAGE_MAX:
            raise Refused(f"attachments: at most {FILES_PER_MESSAGE_MAX}")
        message = self.actors.write(
            user_id=read_id(body, "user_id"),
            channel_id=read_id(body, "channel_id"),
            content=str(body.get("content") or ""),
            reply_to=read_id(body, "reply_to") if body.get("reply_to") else None,
            uploads=tuple(read_upload(told, f"files[{index}]") for index, told in enumerate(files)),
        )
        return answer({"message_id": str(message.id)})

    async def rewrite(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        message = self.actors.rewrite(
            user_id=read_id(body, "user_id"),
            message_id=read_id(body, "message_id"),
            content=str(body.get("content") or ""),
        )
        return answer({"message_id": str(message.id)})

    async def erase(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        self.actors.erase(user_id=read_id(body, "user_id"), message_id=read_id(body, "message_id"))
        return answer({})

    async def typing(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        user_id = read_id(body, "user_id")
        self.core.posting.typing(self.actors.place(user_id, read_id(body, "channel_id")), user_id)
        return answer({})

    # --- interactions --------------------------------------------------------------------------

    async def invoke(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        call = self._invocation(body)
        kind = body.get("type", 1)
        if kind == 1:
            interaction = self.actors.invoke(call)
        elif kind in {2, 3}:
            target_id = read_id(body, "target_id")
            interaction = self.actors.use_menu(call, kind=kind, target_id=target_id)
        else:
            raise Refused("type must be 1, 2 or 3")
        return self._opened(interaction)

    async def complete(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        if not body.get("focused"):
            raise Refused("focused must name an option")
        interaction = await self.actors.complete(self._invocation(body))
        if interaction.choices is None:
            raise Refused(interaction.error or "no choices", status=504)
        return answer({"choices": interaction.choices})

    async def press(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        values = body.get("values")
        return self._opened(
            self.actors.press(
                user_id=read_id(body, "user_id"),
                message_id=read_id(body, "message_id"),
                custom_id=str(body.get("custom_id") or ""),
                values=None if values is None else [str(one) for one in values],
            )
        )

    async def submit(self, request: web.Request) -> web.Response:
        body = await read_json(request)
        return self._opened(
            self.actors.submit(
                user_id=read_id(body, "user_id"),
                interaction_id=read_id(body, "interaction_id"),
                values=body.get("values") or {},
            )
        )

    def _invocation(self, body: Json) -> Invocation:
        user_id = read_id(body, "user_id")
        files = body.get("attachments") or {}
        options = body.get("options") or {}
        if not isinstance(files, dict) or not isinstance(options, dict):
            raise Refused("options and attachments must be objects")
        return Invocation(
            user_id=user_id,
            channel=self.actors.place(user_id, read_id(body, "channel_id")),
            name=str(body.get("name") or ""),
            options=options,
            uploads={name: read_upload(told, name) for name, told in files.items()},
            override=bool(body.get("override")),
            focused=str(body["focused"]) if body.get("focused") else None,
        )

    @staticmethod
    def _opened(interaction: Interaction) -> web.Response:
        return answer({"interaction_id": str(interaction.id)})
