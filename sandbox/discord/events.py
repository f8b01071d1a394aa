"""What happens in the world, told to the page and to tests as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from sandbox.discord.compression import dumps
from sandbox.discord.errors import Json

# --- limits ------------------------------------------------------------------------------------
SUBSCRIBERS_MAX = 100
"""Open pages and tests at once."""
WAITING_MAX = 2_000
"""Events queued for a reader that is slow; beyond it the stream ends and the page reconnects."""
KEEP_ALIVE_S = 15.0
"""A comment line this often keeps proxies and browsers from giving up."""


@dataclass(slots=True, eq=False)
class Subscriber:
    """One open stream. A None in the queue ends it."""

    user_id: int | None
    queue: asyncio.Queue[tuple[str, Json] | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=WAITING_MAX)
    )


class EventHub:
    """Passes events on to those who may see them."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()

    def publish(self, kind: str, data: Json, *, seen_by: Callable[[int], bool]) -> None:
        """Tell everyone for whom `seen_by(user_id)` holds; those without a user hear all."""
        for subscriber in list(self._subscribers):
            if subscriber.user_id is not None and not seen_by(subscriber.user_id):
                continue
            try:
                subscriber.queue.put_nowait((kind, data))
            except asyncio.QueueFull:
                self._end(subscriber)

    def tell_all(self, kind: str, data: Json) -> None:
        """Tell everyone what nobody may not know."""
        self.publish(kind, data, seen_by=lambda _user_id: True)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        for subscriber in list(self._subscribers):
            self._end(subscriber)

    def _end(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)
        while not subscriber.queue.empty():
            subscriber.queue.get_nowait()
        subscriber.queue.put_nowait(None)

    async def stream(self, request: web.Request, user_id: int | None) -> web.StreamResponse:
        """Answer one GET with the stream until either side ends it."""
        if len(self._subscribers) >= SUBSCRIBERS_MAX:
            return web.json_response({"error": "too many open event streams"}, status=503)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        subscriber = Subscriber(user_id)
        self._subscribers.add(subscriber)
        try:
            await response.prepare(request)
            await response.write(b": connected\n\n")
            await self._pump(response, subscriber)
        except ConnectionError:
            pass
        finally:
            self._subscribers.discard(subscriber)
        return response

    async def _pump(self, response: web.StreamResponse, subscriber: Subscriber) -> None:
        while True:
            try:
                item = await asyncio.wait_for(subscriber.queue.get(), KEEP_ALIVE_S)
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            if item is None:
                return
            kind, data = item
            await response.write(f"event: {kind}\ndata: {dumps(data)}\n\n".encode())
