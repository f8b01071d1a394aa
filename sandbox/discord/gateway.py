"""The gateway: one websocket route that speaks Discord's protocol, version 10.

Opcodes and close codes: Discord, "Opcodes and Status Codes"; order of events: "Gateway".
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.discord.clock import Clock
from sandbox.discord.compression import encoder_for
from sandbox.discord.connection import Connection
from sandbox.discord.errors import Json
from sandbox.discord.payloads import Payloads
from sandbox.discord.sessions import (
    PRIVILEGED,
    RESUME_WINDOW_S,
    SESSIONS_MAX,
    Intent,
    Session,
)
from sandbox.discord.world import World

# --- limits ------------------------------------------------------------------------------------
HEARTBEAT_INTERVAL_MS = 41_250
"""Discord's own."""
ACK_DELAY_S = 0.02
"""A short way to Discord and back."""
IDENTIFIES_MAX = 1_000
"""Per day over all connections; Discord resets the token of a bot that needs more."""
PAYLOAD_BYTES_MAX = 4_096
"""What a client may send at once, else 4002."""
MEMBERS_PER_CHUNK_MAX = 1_000
"""Discord's chunk size."""

FINAL_CODES = frozenset({4004, 4010, 4011, 4012, 4013, 4014})
"""After these no session is left to resume."""


class ProtocolError(Exception):
    """The client broke the protocol; `code` closes its connection."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What an operator of the sandbox may set.

    `identify_interval_s` is Discord's 5 s for max_concurrency 1; 0 keeps tests fast.
    """

    token: str
    heartbeat_interval_ms: int = HEARTBEAT_INTERVAL_MS
    identify_interval_s: float = 0.0
    privileged_intents: int = PRIVILEGED


class Gateway:
    """All sessions of the one bot."""

    def __init__(
        self,
        *,
        world: World,
        payloads: Payloads,
        clock: Clock,
        options: GatewayOptions,
        on_presence: Callable[[bool], None],
    ) -> None:
        self._world = world
        self._payloads = payloads
        self._clock = clock
        self._options = options
        self._on_presence = on_presence
        self._sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self._last_identify_s: float | None = None
        self.identifies = 0
        self.base_url = ""

    @property
    def url(self) -> str:
        """Where clients connect, and resume."""
        return self.base_url.replace("http", "ws", 1) + "/gateway"

    @property
    def online(self) -> bool:
        """True while an identified client is connected."""
        return any(session.wire is not None for session in self._sessions.values())

    def start_limit(self) -> Json:
        """`session_start_limit` of GET /gateway/bot."""
        return {
            "total": IDENTIFIES_MAX,
            "remaining": max(0, IDENTIFIES_MAX - self.identifies),
            "reset_after": 86_400_000,
            "max_concurrency": 1,
        }

    def dispatch(
        self, event: str, data: Json, *, intent: int = 0, message_is_dm: bool | None = None
    ) -> None:
        """Send an event to every session that asked for it.

        `message_is_dm` not None marks message payloads, which are redacted without the content
        intent.
        """
        self._forget_old_sessions()
        for session in list(self._sessions.values()):
            if not session.wants(intent):
                continue
            seen = data
            if message_is_dm is not None and not session.intents & Intent.MESSAGE_CONTENT:
                seen = self._payloads.redacted(data, is_dm=message_is_dm)
            session.dispatch(event, seen)

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        """The route: hello, then whatever the client sends."""
        ws = web.WebSocketResponse(max_msg_size=4 * PAYLOAD_BYTES_MAX, autoping=True)
        await ws.prepare(request)
        encoder = encoder_for(request.query.get("compress"))
        if encoder is None or request.query.get("encoding", "json") != "json":
            await ws.close(code=4002, message=b"Unsupported encoding or compression.")
            return ws
        if request.query.get("v", "10") != "10":
            await ws.close(code=4012, message=b"Invalid API version.")
            return ws
        connection = Connection(ws, request, encoder)
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        try:
            interval_ms = self._options.heartbeat_interval_ms
            connection.push({"op": 10, "d": {"heartbeat_interval": interval_ms, "_trace": []}})
            await self._read(connection)
        finally:
            self.connections.discard(connection)
            self._detach(connection)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return ws

    async def _read(self, connection: Connection) -> None:
        ws = connection.ws
        # Discord closes a connection whose heartbeats stay away.
        silence_s = self._options.heartbeat_interval_ms / 1000 * 2
        while not ws.closed:
            try:
                message = await ws.receive(timeout=silence_s)
            except TimeoutError:
                await ws.close(code=4009, message=b"Session timed out.")
                return
            if message.type is not aiohttp.WSMsgType.TEXT:
                if message.type in {
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSED,
                    aiohttp.WSMsgType.CLOSING,
                    aiohttp.WSMsgType.ERROR,
                }:
                    return
                await ws.close(code=4002, message=b"Error while decoding payload.")
                return
            try:
                self._receive(connection, message.data)
            except ProtocolError as error:
                if error.code in FINAL_CODES and connection.session is not None:
                    self._sessions.pop(connection.session.id, None)
                connection.closed_by_us = True
                await ws.close(code=error.code)
                return

    def _receive(self, connection: Connection, text: str) -> None:
        """Act on one payload, or ProtocolError."""
        if len(text.encode()) > PAYLOAD_BYTES_MAX:
            raise ProtocolError(4002)
        if connection.too_many(self._clock.monotonic_s()):
            raise ProtocolError(4008)
        try:
            payload = json.loads(text)
            opcode, data = payload["op"], payload.get("d")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProtocolError(4002) from error
        match opcode:
            case 1:
                # discord.py notes the sending after the send: an answer in no time at all would
                # read as one interval late, and it warns that it cannot keep up.
                asyncio.get_running_loop().call_later(ACK_DELAY_S, connection.push, {"op": 11})
            case 2:
                self._identify(connection, data)
            case 6:
                self._resume(connection, data)
            case 3 | 4:
                if connection.session is None:
                    raise ProtocolError(4003)
            case 8:
                self._request_members(connection, data)
            case _:
                raise ProtocolError(4001)

    def _authenticate(self, connection: Connection, data: Any) -> Json:
        """The data of an identify or resume whose token is right."""
        if connection.session is not None:
            raise ProtocolError(4005)
        if not isinstance(data, dict) or data.get("token") != self._options.token:
            raise ProtocolError(4004)
        return data

    def _identify(self, connection: Connection, data: Any) -> None:
        told = self._authenticate(connection, data)
        if self.identifies >= IDENTIFIES_MAX:
            # Discord resets the token of a bot that goes on identifying.
            raise ProtocolError(4004)
        intents = told.get("intents")
        if not isinstance(intents, int) or intents < 0:
            raise ProtocolError(4013)
        if intents & PRIVILEGED & ~self._options.privileged_intents:
            raise ProtocolError(4014)
        if list(told.get("shard") or [0, 1]) != [0, 1]:
            raise ProtocolError(4010)
        now_s = self._clock.monotonic_s()
        last_s = self._last_identify_s
        if last_s is not None and now_s - last_s < self._options.identify_interval_s:
            connection.push({"op": 9, "d": False})
            return
        self._last_identify_s = now_s
        self.identifies += 1
        session = Session(id=secrets.token_hex(16), intents=intents, wire=connection)
        connection.session = session
        self._sessions[session.id] = session
        while len(self._sessions) > SESSIONS_MAX:
            del self._sessions[next(iter(self._sessions))]
        self._greet(session)

    def _greet(self, session: Session) -> None:
        guild_id = str(self._world.guild.id)
        ready = {
            "v": 10,
            "user": self._payloads.own_user(),
            "user_settings": {},
            "guilds": [{"id": guild_id, "unavailable": True}],
            "private_channels": [],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.url,
            "shard": [0, 1],
            "application": {"id": str(self._world.application_id), "flags": self.application_flags},
            "_trace": [],
        }
        session.dispatch("READY", ready)
        if session.wants(Intent.GUILDS):
            session.dispatch("GUILD_CREATE", self._payloads.guild_create())
        self._on_presence(True)

    @property
    def may_read_content(self) -> bool:
        """True when the application has the message content intent switched on."""
        return bool(self._options.privileged_intents & Intent.MESSAGE_CONTENT)

    @property
    def may_list_members(self) -> bool:
        """True when the application has the members intent switched on."""
        return bool(self._options.privileged_intents & Intent.GUILD_MEMBERS)

    @property
    def application_flags(self) -> int:
        """Which privileged intents are on, in the flags for bots in fewer than 100 guilds."""
        flags = 0
        for intent, flag in (
            (Intent.GUILD_PRESENCES, 1 << 13),
            (Intent.GUILD_MEMBERS, 1 << 15),
            (Intent.MESSAGE_CONTENT, 1 << 19),
        ):
            if self._options.privileged_intents & intent:
                flags |= flag
        return flags

    def _resume(self, connection: Connection, data: Any) -> None:
        told = self._authenticate(connection, data)
        self._forget_old_sessions()
        session = self._sessions.get(str(told.get("session_id")))
        sequence = told.get("seq")
        missed = session.missed_after(sequence or 0) if session is not None else None
        if session is None or missed is None:
            connection.push({"op": 9, "d": False})
            return
        if isinstance(session.wire, Connection):
            session.wire.session = None
            session.wire.abort()
        for payload in missed:
            connection.push(payload)
        connection.session = session
        session.wire = connection
        session.dispatch("RESUMED", {"_trace": []})
        self._on_presence(True)

    def _request_members(self, connection: Connection, data: Any) -> None:
        session = connection.session
        if session is None:
            raise ProtocolError(4003)
        if not isinstance(data, dict):
            raise ProtocolError(4002)
        wanted = data.get("user_ids")
        query, limit = data.get("query"), int(data.get("limit") or 0)
        everyone = not wanted and not query and limit == 0
        if everyone and not session.intents & Intent.GUILD_MEMBERS:
            return
        ids = {str(one) for one in (wanted if isinstance(wanted, list) else [wanted]) if one}
        found = [
            member
            for member in self._world.members.values()
            if (str(member.user_id) in ids if ids else True)
            and self._world.users[member.user_id].name.startswith(str(query or "").lower())
        ]
        chunk: Json = {
            "guild_id": str(self._world.guild.id),
            "members": [
                self._payloads.full_member(member)
                for member in found[: min(limit or MEMBERS_PER_CHUNK_MAX, MEMBERS_PER_CHUNK_MAX)]
            ],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": sorted(ids - {str(member.user_id) for member in found}),
        }
        if data.get("nonce") is not None:
            chunk["nonce"] = data["nonce"]
        session.dispatch("GUILD_MEMBERS_CHUNK", chunk)

    def _detach(self, connection: Connection) -> None:
        session = connection.session
        if session is None or session.wire is not connection:
            return
        session.wire = None
        session.lost_at_s = self._clock.monotonic_s()
        # A client that says goodbye with 1000 or 1001 ends its session.
        if connection.ws.close_code in {1000, 1001} and not connection.closed_by_us:
            self._sessions.pop(session.id, None)
        if not self.online:
            self._on_presence(False)

    def _forget_old_sessions(self) -> None:
        now_s = self._clock.monotonic_s()
        for session in list(self._sessions.values()):
            if session.wire is None and now_s - session.lost_at_s > RESUME_WINDOW_S:
                del self._sessions[session.id]

    # --- faults ----------------------------------------------------------------------------------

    def drop(self) -> int:
        """Cut every connection without a word; sessions stay. Returns how many."""
        for connection in list(self.connections):
            connection.abort()
        return len(self.connections)

    def ask_to_reconnect(self) -> int:
        """Opcode 7 to every client."""
        for connection in self.connections:
            connection.push({"op": 7, "d": None})
        return len(self.connections)

    def invalidate(self, *, resumable: bool) -> int:
        """Opcode 9 to every client; without `resumable` the sessions are gone."""
        for connection in self.connections:
            if not resumable and connection.session is not None:
                self._sessions.pop(connection.session.id, None)
            connection.push({"op": 9, "d": resumable})
        return len(self.connections)

    async def close_all(self, *, code: int, resumable: bool) -> int:
        """Close every connection with a code."""
        connections = list(self.connections)
        for connection in connections:
            session = connection.session
            if session is not None and (not resumable or code in FINAL_CODES):
                self._sessions.pop(session.id, None)
            connection.closed_by_us = True
            await connection.ws.close(code=code)
        return len(connections)
