"""`DISCORD_API_URL` moves REST, and the CDN where a simulator serves it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from discord.asset import Asset
from discord.http import Route

from bot.discordio.endpoints import is_on_cdn, use_api


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


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png",
        "https://cdn.discordapp.com.evil.example/a.png",
        "https://cdn.discordapp.com@evil.example/a.png",
        "https://cdn.discordapp.com:8443/a.png",
        "https://images-ext-1.discordapp.net/external/x/https/evil.example/a.png",
        "http://cdn.discordapp.com/a.png",
        "http://127.0.0.1:8700/cdn/a.png",
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "attachment://a.png",
        "",
    ],
)
def test_what_discord_does_not_serve_is_a_strangers(url: str) -> None:
    """C-15, F-147: the provider fetches what it is handed."""
    assert not is_on_cdn(url)


def test_discords_own_addresses_are_known() -> None:
    """And the simulator's, where one stands in for it."""
    assert is_on_cdn("https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=2&hm=3")
    assert is_on_cdn("https://media.discordapp.net/attachments/1/2/a.png")
    use_api("http://127.0.0.1:8700/api/v10")
    assert is_on_cdn("http://127.0.0.1:8700/cdn/attachments/1/2/a.png")
    assert not is_on_cdn("http://127.0.0.2:8700/cdn/attachments/1/2/a.png")
