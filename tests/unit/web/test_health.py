"""The listener over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest

from bot.errors import SettingsInvalid
from bot.web.health import add_health_routes
from bot.web.server import WebServer
from bot.web.site import Site


@asynccontextmanager
async def listening(ready: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    site = Site()
    add_health_routes(site, ready=ready)
    server = WebServer(site, host="127.0.0.1", port=0)
    port = await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.close()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def yes() -> bool:
    await asyncio.sleep(0)
    return True


async def no() -> bool:
    await asyncio.sleep(0)
    return False


async def test_a_bot_that_serves_is_healthy_and_ready() -> None:
    """Both probes answer 200 and tell nothing else."""
    async with listening(yes) as base:
        assert await get(f"{base}/healthz") == (200, "ok\n")
        assert await get(f"{base}/readyz") == (200, "ok\n")


async def test_a_bot_without_discord_is_healthy_but_not_ready() -> None:
    """An orchestrator must not restart a process that only waits for Discord."""
    async with listening(no) as base:
        assert (await get(f"{base}/healthz"))[0] == 200
        assert (await get(f"{base}/readyz"))[0] == 503


async def test_unknown_paths_are_plain_404() -> None:
    """Nothing is served by accident."""
    async with listening(yes) as base:
        assert (await get(f"{base}/metrics"))[0] == 404


async def test_a_taken_port_is_a_mistake_in_the_settings() -> None:
    """The operator reads WEB_PORT, not a stack trace."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = WebServer(Site(), host="127.0.0.1", port=taken.getsockname()[1])
        with pytest.raises(SettingsInvalid) as caught:
            await server.start()
    assert caught.value.problems[0]["where"] == "WEB_PORT"
