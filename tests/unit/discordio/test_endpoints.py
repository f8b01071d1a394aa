"""`DISCORD_API_URL` moves REST, and the CDN where a simulator serves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from discord.asset import Asset
from discord.http import Route

from bot.discordio.endpoints import use_api


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = Route.BASE, Asset.BASE
    Asset.BASE = "https://cdn.discordapp.com"
    yield
    Route.BASE, Asset.BASE = before


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:8700", "http://localhost:1", "http://[::1]:5"]
)
def test_a_simulator_on_this_machine_serves_pictures_too(origin: str) -> None:
    """All three addresses move."""
    use_api(f"{origin}/api/v10/")

    assert Route("GET", "/users/@me").url == f"{origin}/api/v10/users/@me"
    assert f"{origin}/cdn" == Asset.BASE


@pytest.mark.parametrize("host", ["proxy.example", "10.0.0.7"])
def test_a_rest_proxy_serves_no_pictures(host: str) -> None:
    """Avatars go on coming from Discord."""
    use_api(f"http://{host}/api/v10")

    assert Route("GET", "/gateway/bot").url == f"http://{host}/api/v10/gateway/bot"
    assert Asset.BASE == "https://cdn.discordapp.com"
