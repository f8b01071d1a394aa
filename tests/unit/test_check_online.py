"""`check --online` as an operator meets it: a real process against servers on loopback."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    DiscordRefused,
    DiscordUnreachable,
    InvalidApiKey,
    IpNotAllowed,
    ProviderError,
    ProviderUnreachable,
    RateLimited,
)
from bot.text import console
from sandbox.discord.server import DiscordSandbox
from sandbox.provider.server import ProviderSandbox
from storage.database import Database
from tests.unit.test_main import KEY, TOKEN, Shell

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    async with TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/")


@asynccontextmanager
async def outside(balance: str = "99.75") -> AsyncIterator[dict[str, str]]:
    """A Discord and a provider; the settings that lead there."""
    discord, provider = DiscordSandbox(token=TOKEN), ProviderSandbox(balance=Decimal(balance))
    async with serving(discord.app) as discord_url, serving(provider.app) as provider_url:
        discord.base_url = discord_url
        yield {
            "DISCORD_TOKEN": TOKEN,
            "DISCORD_API_URL": f"{discord_url}/api/v10",
            "AIVIDEO_API_KEY": KEY,
            "AIVIDEO_BASE_URL": f"{provider_url}/v1",
        }


@asynccontextmanager
async def always(handler: Handler) -> AsyncIterator[str]:
    """A server that answers everything alike."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with serving(app) as url:
        yield url


async def html(_request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def unauthorized(_request: web.Request) -> web.StreamResponse:
    body = {"error": {"code": "invalid_api_key", "message": "no", "type": "t"}, "code": 0}
    return web.json_response(body, status=401)


async def check(shell: Shell, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(shell.run, "check", *options, **environ)


async def test_both_are_asked_and_told(shell: Shell) -> None:
    """The bot's name in Discord, and what the operator's account holds."""
    async with outside() as environ:
        done = await check(shell, "--online", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert "in order" in done.stdout
    assert "Atelier" in done.stdout.partition("Asked just now")[2]
    assert "99.75 credits" in done.stdout
    assert "canary" not in done.stdout
    assert not shell.database.exists()


async def test_without_the_flag_nobody_is_asked(shell: Shell) -> None:
    """No network, as before."""
    asked: list[str] = []

    async def note(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.json_response({})

    async with always(note) as url:
        done = await check(
            shell,
            DISCORD_TOKEN=TOKEN,
            AIVIDEO_API_KEY=KEY,
            DISCORD_API_URL=f"{url}/api/v10",
            AIVIDEO_BASE_URL=f"{url}/v1",
        )
    assert done.returncode == 0
    assert "Asked" not in done.stdout
    assert not asked


async def test_a_refusal_of_each_is_told_beside_the_other(shell: Shell) -> None:
    """Neither hides the other; the keys are the operator's to mend, hence 78."""
    async with outside() as environ, always(unauthorized) as url:
        closed = await check(shell, "--online", **{**environ, "AIVIDEO_BASE_URL": f"{url}/v1"})
        unknown = await check(shell, "--online", **{**environ, "DISCORD_API_URL": f"{url}/api"})
    assert closed.returncode == unknown.returncode == 78
    assert "AIVIDEO_API_KEY" in closed.stdout
    assert "Atelier" in closed.stdout
    assert "DISCORD_TOKEN" in unknown.stdout
    assert "99.75 credits" in unknown.stdout
    assert "Traceback" not in closed.stderr + unknown.stderr


async def test_another_server_in_their_place_is_told_in_plain_words(shell: Shell) -> None:
    """A login page with status 200: neither is what its address promises."""
    async with outside() as environ, always(html) as url:
        environ |= {"DISCORD_API_URL": f"{url}/api", "AIVIDEO_BASE_URL": f"{url}/v1"}
        done = await check(shell, "--online", **environ)
    assert done.returncode == 69
    for words in ("DISCORD_API_URL", "AIVIDEO_BASE_URL"):
        assert words in done.stdout.partition("Asked just now")[2]
    assert "Traceback" not in done.stderr


async def test_unreachable_servers_end_with_69(shell: Shell) -> None:
    """Nothing listens on the discard port."""
    done = await check(shell, "--online", DISCORD_TOKEN=TOKEN, AIVIDEO_API_KEY=KEY)
    assert done.returncode == 69
    assert done.stdout.count("could not be reached") == 2


async def test_beside_the_running_bot_they_are_asked_all_the_same(shell: Shell) -> None:
    """As in `docker exec`; that `run` would refuse is said as before."""
    shell.database.parent.mkdir()
    database = await Database.open(f"sqlite+aiosqlite:///{shell.database}")
    try:
        async with outside() as environ:
            done = await check(shell, "--online", **environ)
    finally:
        await database.close()
    assert done.returncode == 75
    assert "99.75 credits" in done.stdout
    assert "in order" not in done.stdout
    assert "already running" in done.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (InvalidApiKey(provider="aivideo"), "AIVIDEO_API_KEY"),
        (IpNotAllowed(provider="aivideo"), "this machine"),
        (RateLimited(provider="aivideo"), "minute"),
        (AnswerLost(provider="aivideo"), "in time"),
        (AnswerMalformed(provider="aivideo"), "AIVIDEO_BASE_URL"),
        (ProviderUnreachable(provider="aivideo"), "could not be reached"),
        (ProviderError(provider="aivideo", status=503), "HTTP 503"),
        (ProviderError(provider="aivideo"), "an error"),
    ],
)
def test_what_the_provider_refuses_has_words_for_the_operator(
    error: ProviderError, words: str
) -> None:
    """Not those for a member, who is told to ask the operator."""
    text = console.online_report(discord="Atelier#1", provider=error)
    assert words in text
    assert "aivideo:" not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DiscordRefused(), "DISCORD_TOKEN"),
        (DiscordUnreachable(attempts=1), "could not be reached"),
    ],
)
def test_what_discord_refuses_has_its_words(
    error: DiscordRefused | DiscordUnreachable, words: str
) -> None:
    """The same remedies as when `run` meets them."""
    assert words in console.online_report(discord=error, provider=Decimal("1E+2"))


def test_a_balance_is_written_out() -> None:
    """No exponent, no trailing zeros; nonsense stays short."""
    assert " 100 credits" in console.online_report(discord="x", provider=Decimal("1E+2"))
    assert "1E+999999 credits" in console.online_report(discord="x", provider=Decimal("1E+999999"))
    assert " 99.5 credits" in console.online_report(discord="x", provider=Decimal("99.50"))
