"""Where Discord is: `DISCORD_API_URL` moves REST, and with it the gateway and the CDN.

discord.py has no setting for this, so three class attributes are set before login (discord.md).
Also here: what is mended in the library while it runs.
This is the only module that touches its private names; the check below fails at import when a new
version of the library has moved them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import traceback
from dataclasses import dataclass
from typing import Any

import discord
from discord.asset import Asset
from discord.client import Client
from discord.gateway import DiscordWebSocket
from discord.http import HTTPClient, Route
from discord.utils import MISSING
from yarl import URL

from bot.limits import GLOBAL_LIMIT_REST_S
from bot.results.guard import DISCORD_HOSTS, Forbidden, Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """Answer of `GET /gateway/bot`: the address, and what is left of today's session starts."""

    url: URL
    starts_remaining: int
    starts_reset_after_s: float


def use_api(api_url: str) -> None:
    """Send every REST request to `api_url`, such as `http://127.0.0.1:8700/api/v10`.

    A REST proxy serves no pictures, so the CDN moves only to a simulator on this machine.
    """
    url = URL(api_url.rstrip("/"))
    Route.BASE = str(url)
    if _is_loopback(url.host):
        Asset.BASE = str(url.origin() / "cdn")


def is_on_cdn(url: str) -> bool:
    """Whether Discord itself serves this address: all else is a stranger's (C-15, F-147)."""
    base = URL(Asset.BASE)
    simulated = (base.host,) if base.host is not None and _is_loopback(base.host) else ()
    try:
        Guard(allowed_private_hosts=simulated, only_hosts=DISCORD_HOSTS).check_url(url)
    except Forbidden:
        return False
    return True


def is_api(url: URL) -> bool:
    """Whether a request goes to Discord's REST interface, not to its CDN or gateway."""
    return str(url).startswith(f"{Route.BASE}/")


async def use_gateway(http: HTTPClient) -> Gateway:
    """Ask where the gateway is and connect there: the plain client would not ask.

    Raises what `HTTPClient.request` raises.
    """
    answer = await http.request(Route("GET", "/gateway/bot"))
    limit = answer["session_start_limit"]
    gateway = Gateway(
        url=URL(answer["url"]),
        starts_remaining=int(limit["remaining"]),
        starts_reset_after_s=int(limit["reset_after"]) / 1_000,
    )
    DiscordWebSocket.DEFAULT_GATEWAY = gateway.url
    return gateway


async def hang_up(error: BaseException) -> None:
    """Close the connection whose session did not come about, which raised `error`.

    discord.py only lets go of it: its thread of heartbeats would go on. Nobody but the frames that
    the error, or the one behind it, passed through still knows the connection.
    """
    cause: BaseException | None = error
    while cause is not None:
        for frame, _line in traceback.walk_tb(cause.__traceback__):
            caller = frame.f_locals.get("self")
            if isinstance(caller, DiscordWebSocket):
                await caller.close()
                return
        cause = cause.__cause__ or cause.__context__


def is_without_session(client: Client, error: AttributeError) -> bool:
    """Whether `connect` raised `error` because the gateway failed before there was a session.

    discord.py then asks the session that it never had how far it got (its issue 10520); why the
    gateway failed is the context of the error.
    """
    return error.name == "sequence" and error.obj is None and client.ws is None


async def forget_session(http: HTTPClient) -> None:
    """Close what a failed login opened; the library makes a new session but keeps its connector."""
    await http.close()
    http.connector = MISSING


def free_global_limit(http: HTTPClient) -> None:
    """Let nobody hold all requests back for ever (F-84).

    While one request sits out a global limit the library holds back all others, and lets go when
    it has slept; a caller who is cancelled meanwhile, for want of patience, never lets go.
    """
    plain = http.request

    async def request(route: Route, **options: Any) -> Any:
        try:
            return await plain(route, **options)
        except asyncio.CancelledError:
            over = http._global_over  # noqa: SLF001 - the gate that was left shut
            if not over.is_set():
                asyncio.get_running_loop().call_later(GLOBAL_LIMIT_REST_S, over.set)
            raise

    http.request = request  # type: ignore[method-assign]  # of this client alone


def note_response(
    response: discord.InteractionResponse[Any], kind: discord.InteractionResponseType
) -> None:
    """Let an interaction know of the first answer that Discord has, whose receipt got lost."""
    response._response_type = kind  # noqa: SLF001 - else the library would answer once more


def _is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_library() -> None:
    """The attributes exist, and the library still reads them where we rely on it."""
    assert isinstance(Route.BASE, str)
    assert isinstance(Asset.BASE, str)
    assert isinstance(DiscordWebSocket.DEFAULT_GATEWAY, URL)
    assert "DEFAULT_GATEWAY" in DiscordWebSocket.from_client.__code__.co_names
    assert {"ws", "sequence"} <= set(Client.connect.__code__.co_names)
    assert {"_global_over", "clear", "set"} <= set(HTTPClient.request.__code__.co_names)
    assert "_response_type" in discord.InteractionResponse.__slots__
    assert Route("GET", "/x").url == f"{Route.BASE}/x"


_check_library()
