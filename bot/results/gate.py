"""A connection that the guard watches: names, addresses and peers of one request (C-12).

A name that was harmless when it was judged may mean another address a moment later, so nothing is
cached: the addresses that are judged are the very ones that are connected to, and once connected
the peer is asked for its address before a byte is sent.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.results.guard import Forbidden, Target, check_address

AddressInfo = tuple[
    int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]
]


class AddressRefused(OSError):
    """A connection error for aiohttp; `Gate.refused` says what it was."""


class Gate:
    """Judges every address that the way to `target` leads over, and remembers a refusal."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._sockets: list[socket.socket] = []
        self.refused: Forbidden | None = None

    def check(self, address: object) -> None:
        """Raise `AddressRefused` unless `address` may be connected to."""
        try:
            check_address(str(address), is_private=self._target.is_private)
        except Forbidden as error:
            self.refused = error
            raise AddressRefused(error.reason) from error

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket for one address; also literal ones, which no resolver sees."""
        family, kind, protocol, _, address = info
        self.check(address[0])
        opened = socket.socket(family, kind, protocol)
        self._sockets.append(opened)
        return opened

    async def check_peer(self, *_: object) -> None:
        """Judge who is really at the other end, before the request leaves."""
        for opened in self._sockets:
            if opened.fileno() == -1:
                continue  # another address was faster
            try:
                self.check(opened.getpeername()[0])
            except AddressRefused:
                opened.shutdown(socket.SHUT_RDWR)
                raise


class CheckedResolver(AbstractResolver):
    """Every answer must pass: one that does not is a trick, whatever stands beside it."""

    def __init__(self, inner: AbstractResolver, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answers = await self._inner.resolve(host, port, family)
        for answer in answers:
            self._gate.check(answer["host"])
        return answers

    async def close(self) -> None:
        """The inner one is not ours."""


@asynccontextmanager
async def guarded_session(
    gate: Gate, *, resolver: AbstractResolver | None, connect_timeout_s: float
) -> AsyncIterator[aiohttp.ClientSession]:
    """Lend a session for one request: no pool, no cookies, no proxy, no credentials.

    Bodies come as they were sent; nothing unpacks them. TLS is verified (C-14).
    """
    trace = aiohttp.TraceConfig()

    async def on_connected(
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        _params: aiohttp.TraceConnectionCreateEndParams,
    ) -> None:
        await gate.check_peer()

    trace.on_connection_create_end.append(on_connected)
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(resolver or aiohttp.ThreadedResolver(), gate),
        socket_factory=gate.open_socket,
        use_dns_cache=False,
        force_close=True,
        limit=1,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        trace_configs=[trace],
    ) as session:
        yield session
