"""A scripted host, and the client that speaks with it over a real socket."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.providers.chat_completions import ChatCompletions
from bot.providers.http import ProviderHttp, Timeouts, make_session
from bot.providers.responses import Responses
from tests.unit.providers.support import API_KEY, Host, InstantClock

MakeHttp = Callable[..., ProviderHttp]


@pytest.fixture
def clock() -> InstantClock:
    return InstantClock()


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
async def server(host: Host) -> AsyncIterator[TestServer]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.handle)
    running = TestServer(app, host="127.0.0.1")
    async with running:
        yield running


@pytest.fixture
async def make_http(server: TestServer, clock: InstantClock) -> AsyncIterator[MakeHttp]:
    """Make a client for the scripted host, or for another address."""
    async with make_session() as session:

        def make(base_url: str | None = None, timeouts: Timeouts | None = None) -> ProviderHttp:
            return ProviderHttp(
                session,
                provider="aivideo",
                base_url=base_url or str(server.make_url("/v1")),
                api_key=API_KEY,
                clock=clock,
                rng=random.Random(7),
                timeouts=timeouts,
            )

        yield make


@pytest.fixture
def http(make_http: MakeHttp) -> ProviderHttp:
    return make_http()


@pytest.fixture
def responses(http: ProviderHttp) -> Responses:
    return Responses(http)


@pytest.fixture
def completions(http: ProviderHttp) -> ChatCompletions:
    return ChatCompletions(http)
