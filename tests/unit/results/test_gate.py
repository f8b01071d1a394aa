"""Names that change their meaning between two looks (C-12)."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bot.errors import ResultUnavailable, ResultUnusable
from bot.results.gate import Gate, guarded_session
from bot.results.guard import Reason, Target
from storage.types import JobKind
from tests.unit.results.files import HOST, PNG, FileHost, Zone, fetcher_in, left_in

PRIVATE = ["127.0.0.1", "10.0.0.1", "::1", "::ffff:127.0.0.1", "fd00::1", "64:ff9b::7f00:1"]


@pytest.mark.parametrize("address", [*PRIVATE, "0.0.0.0", "169.254.169.254", "fe80::1"])
async def test_a_public_name_that_means_this_network_is_refused(
    tmp_path: Path, address: str
) -> None:
    """F-147, rebinding: the name passes, its address does not; beside a good address neither."""
    zone = Zone([address], ["8.8.8.8", address])
    fetcher = await fetcher_in(tmp_path, resolver=zone)
    for _ in range(2):
        with pytest.raises(ResultUnusable) as caught:
            await fetcher.secure("https://files.example.com/a.png", kind=JobKind.IMAGE)
        assert str(caught.value) == Reason.NOT_PUBLIC
    assert zone.asked == ["files.example.com"] * 2
    assert left_in(tmp_path) == []


async def test_a_name_is_looked_up_for_every_request_and_judged_each_time(
    tmp_path: Path, host: FileHost
) -> None:
    """F-147: nothing is cached, so nothing changes between the judgement and the connection."""
    zone = Zone(["127.0.0.1"], ["127.0.0.1"], ["169.254.169.254"])
    fetcher = await fetcher_in(tmp_path, allowed=("files.lan",), resolver=zone)
    host.redirect("/first", "/second")
    host.redirect("/second", "/third")
    host.serve("/third", PNG)
    with pytest.raises(ResultUnusable):
        await fetcher.secure(host.url("/first", host="files.lan"), kind=JobKind.IMAGE)
    assert host.paths == ["/first", "/second"]
    assert zone.asked == ["files.lan"] * 3


async def test_a_name_that_the_operator_named_may_be_private(
    tmp_path: Path, host: FileHost
) -> None:
    """As in a compose network, where the sandbox has a name and a private address."""
    zone = Zone(["127.0.0.1"])
    fetcher = await fetcher_in(tmp_path, allowed=("sandbox",), resolver=zone)
    host.serve("/a.png", PNG)
    fetched = await fetcher.secure(host.url("/a.png", host="sandbox"), kind=JobKind.IMAGE)
    assert fetched.size_bytes == len(PNG)
    assert host.requests[0].host.startswith("sandbox:")


async def test_a_name_without_an_address_is_unavailable(tmp_path: Path) -> None:
    """F-123: name servers come back."""
    fetcher = await fetcher_in(tmp_path, resolver=Zone())
    with pytest.raises(ResultUnavailable):
        await fetcher.secure("https://files.example.com/a.png", kind=JobKind.IMAGE)


def public(url: str) -> Target:
    """A target as if the guard had taken it for public, on any port."""
    return Target(url=URL(url), host=URL(url).raw_host or "", is_private=False)


async def test_an_address_is_judged_again_at_the_connection(host: FileHost) -> None:
    """Literal ones, too, which no resolver sees; the host never hears of us."""
    host.serve("/a", PNG)
    for url, zone in (
        (host.url("/a"), Zone()),
        (host.url("/a", host="rebind.example"), Zone(["127.0.0.1"])),
    ):
        gate = Gate(public(url))
        async with guarded_session(gate, resolver=zone, connect_timeout_s=2.0) as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(url)
        assert gate.refused is not None
    assert host.requests == []


async def test_the_peer_is_judged_before_the_request_leaves(host: FileHost) -> None:
    """Should an address have been judged that is not the one connected to."""
    host.serve("/a", PNG)

    class Blind(Gate):
        """Sees only who is at the other end."""

        def check(self, address: object) -> None:
            if self.connected:
                super().check(address)

        connected = False

        async def check_peer(self, *_: object) -> None:
            self.connected = True
            await super().check_peer()

    gate = Blind(public(host.url("/a")))
    async with guarded_session(gate, resolver=Zone(), connect_timeout_s=2.0) as session:
        with pytest.raises(aiohttp.ClientOSError):
            await session.get(host.url("/a"))
    assert gate.refused is not None
    assert host.requests == []


async def test_a_slower_address_does_not_matter(tmp_path: Path, host: FileHost) -> None:
    """Of several good addresses the first that answers is used; the others are closed."""
    host.serve("/a.png", PNG)
    zone = Zone(["::1", "127.0.0.1", "127.0.0.3"])
    fetcher = await fetcher_in(tmp_path, allowed=("files.lan",), resolver=zone)
    url = host.url("/a.png", host="files.lan")
    fetched = await fetcher.secure(url, kind=JobKind.IMAGE)
    assert fetched.size_bytes == len(PNG)
    assert len(host.requests) == 1
    assert HOST not in zone.asked
