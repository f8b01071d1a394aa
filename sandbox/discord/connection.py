"""One gateway websocket: frames go out in order, and what comes in is counted."""

from __future__ import annotations

import asyncio
from collections import deque

from aiohttp import web

from sandbox.discord.compression import Encoder
from sandbox.discord.errors import Json
from sandbox.discord.sessions import Session

# --- limits ------------------------------------------------------------------------------------
RECEIVED_PER_MINUTE_MAX = 120
"""Events that one connection may send in 60 s, else 4008."""
OUTGOING_MAX = 2_000
"""Frames waiting for a client that does not read; beyond it the connection is cut."""


class Connection:
    """One websocket: frames go out in order through one writer."""

    def __init__(self, ws: web.WebSocketResponse, request: web.Request, encoder: Encoder) -> None:
        self.ws = ws
        self.session: Session | None = None
        self.closed_by_us = False
        self.compress = request.query.get("compress")
        self._request = request
        self._encoder = encoder
        self._outgoing: asyncio.Queue[Json] = asyncio.Queue(maxsize=OUTGOING_MAX)
        self._received_s: deque[float] = deque(maxlen=RECEIVED_PER_MINUTE_MAX)

    def push(self, payload: Json) -> None:
        try:
            self._outgoing.put_nowait(payload)
        except asyncio.QueueFull:
            self.abort()

    async def write(self) -> None:
        """Send what is queued until the connection ends."""
        while not self.ws.closed:
            frame = self._encoder.encode(await self._outgoing.get())
            try:
                if isinstance(frame, str):
                    await self.ws.send_str(frame)
                else:
                    await self.ws.send_bytes(frame)
            except ConnectionError:
                return

    def abort(self) -> None:
        """Cut the TCP connection without a closing handshake."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def too_many(self, now_s: float) -> bool:
        """Note one received event; True when it is one too many within the minute."""
        full = len(self._received_s) == RECEIVED_PER_MINUTE_MAX
        over = full and now_s - self._received_s[0] < 60.0
        self._received_s.append(now_s)
        return over
