"""How many may be connected, and for how long without a word (C-10, F-122, F-130).

aiohttp bounds neither: this stands between its protocol and the socket.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Connections:
    """A protocol factory for `loop.create_server` with at most `limit` open connections.

    When one more comes, the one that was silent for longest makes room: a genuine callback speaks
    at once and is done in milliseconds, so it gets through a crowd of slow sockets. Who has said
    everything and waits for our answer is not silent; it makes room only where all others do so.
    """

    def __init__(
        self, make: Callable[[], asyncio.Protocol], *, limit: int, unread_timeout_s: float
    ) -> None:
        self._make = make
        self._limit = limit
        self._unread_timeout_s = unread_timeout_s
        self._open: OrderedDict[_Connection, asyncio.Transport] = OrderedDict()
        self._asked: dict[asyncio.BaseTransport, Callable[[], bool]] = {}

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self._make(), self, self._unread_timeout_s)

    def admit(self, connection: _Connection, transport: asyncio.Transport) -> None:
        if len(self._open) >= self._limit:
            self._make_room()
        self._open[connection] = transport

    def _make_room(self) -> None:
        silent = (one for one, transport in self._open.items() if not self._waits(transport))
        oldest = next(silent, None) or next(iter(self._open))
        self._open.pop(oldest).abort()

    def _waits(self, transport: asyncio.Transport) -> bool:
        is_whole = self._asked.get(transport)
        return is_whole is not None and is_whole()

    @contextmanager
    def answering(
        self, transport: asyncio.BaseTransport | None, is_whole: Callable[[], bool]
    ) -> Iterator[None]:
        """While a request of this connection is answered; `is_whole` once its body has come."""
        if transport is None:  # gone already
            yield
            return
        self._asked[transport] = is_whole
        try:
            yield
        finally:
            del self._asked[transport]

    def heard(self, connection: _Connection) -> None:
        with suppress(KeyError):  # it made room a moment ago
            self._open.move_to_end(connection)

    def dismiss(self, connection: _Connection) -> None:
        self._open.pop(connection, None)


class _Connection(asyncio.Protocol):
    """Hands everything on; drops a client that does not read what it asked for."""

    def __init__(
        self, inner: asyncio.Protocol, connections: Connections, unread_timeout_s: float
    ) -> None:
        self._inner = inner
        self._connections = connections
        self._unread_timeout_s = unread_timeout_s
        self._transport: asyncio.Transport | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.admit(self, transport)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.dismiss(self)
        self._cancel_unread()
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._connections.heard(self)
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Its buffers are full of answers that nobody reads."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._unread = loop.call_later(self._unread_timeout_s, self._transport.abort)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._cancel_unread()
        self._inner.resume_writing()

    def _cancel_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
