"""Where the fetcher may go: a table of tricks, and properties over all addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.results.guard import (
    DISCORD_HOSTS,
    HOST_CHARS_MAX,
    URL_CHARS_MAX,
    Forbidden,
    Guard,
    Reach,
    Reason,
    Target,
    check_address,
    reach_of,
)

GUARD = Guard(allowed_private_hosts=("127.0.0.1", "sandbox", "[FD00::1]", "files.lan"))

ALLOWED = {
    "https://file.aivideoapi.ai/a/b.png": "file.aivideoapi.ai",
    "https://FILE.Aivideoapi.AI/a.png": "file.aivideoapi.ai",
    "HTTPS://file.aivideoapi.ai/a.png": "file.aivideoapi.ai",
    "https://file.aivideoapi.ai": "file.aivideoapi.ai",
    "https://file.aivideoapi.ai:443/a.png": "file.aivideoapi.ai",
    "https://file.aivideoapi.ai?x=1": "file.aivideoapi.ai",
    "https://file.aivideoapi.ai#top": "file.aivideoapi.ai",
    "https://my_bucket.s3-eu.example.com/k?X-Sig=a%2Fb%3D&y=%7E": "my_bucket.s3-eu.example.com",
    "https://xn--bcher-kva.example/x": "xn--bcher-kva.example",
    "https://example.com/p@th/with:colons?u=http://10.0.0.1/": "example.com",
    "https://example.com/ein bild.png".replace(" ", "%20"): "example.com",
    "https://example.com/grün/图.png": "example.com",
    "https://8.8.8.8/x": "8.8.8.8",
    "https://[2606:4700::1111]/x": "2606:4700::1111",
    "https://[2606:4700:0:0:0:0:0:1111]/x": "2606:4700::1111",
    "https://[::ffff:8.8.8.8]/x": "::ffff:808:808",
    "https://1x.example/x": "1x.example",
    "http://127.0.0.1:8701/files/a.png": "127.0.0.1",
    "https://127.0.0.1/files/a.png": "127.0.0.1",
    "http://sandbox:9/a": "sandbox",
    "http://SANDBOX/a": "sandbox",
    "http://[fd00:0:0::1]:8080/a": "fd00::1",
    "http://files.lan/a": "files.lan",
}

REFUSED = {
    # Other ways to fetch, and ways that are none.
    "http://example.com/x": Reason.SCHEME,
    "http://8.8.8.8/x": Reason.SCHEME,
    "file:///etc/passwd": Reason.SCHEME,
    "ftp://example.com/x": Reason.SCHEME,
    "gopher://example.com/x": Reason.SCHEME,
    "data:image/png;base64,AAAA": Reason.SCHEME,
    "javascript:alert(1)": Reason.SCHEME,
    "//example.com/x": Reason.SCHEME,
    "/etc/passwd": Reason.SCHEME,
    "example.com/x": Reason.SCHEME,
    "": Reason.SCHEME,
    "https:example.com/x": Reason.SCHEME,
    "https:/example.com/x": Reason.SCHEME,
    "https:///x": Reason.HOST,
    "https://": Reason.HOST,
    "https://?x": Reason.HOST,
    "https://:443/x": Reason.HOST,
    # Who is the host?
    "https://user@example.com/x": Reason.USER_INFO,
    "https://user:password@example.com/x": Reason.USER_INFO,
    "https://@example.com/x": Reason.USER_INFO,
    "https://example.com@127.0.0.1/x": Reason.USER_INFO,
    "http://127.0.0.1:80@example.com/x": Reason.USER_INFO,
    "https://a@b@example.com/x": Reason.USER_INFO,
    "https://example.com\\@127.0.0.1/x": Reason.MALFORMED,
    "https://example.com\\.evil.example/x": Reason.MALFORMED,
    "https://exa mple.com/x": Reason.MALFORMED,
    "https://example.com/a b": Reason.MALFORMED,
    " https://example.com/x": Reason.MALFORMED,
    "https://example.com/x\n": Reason.MALFORMED,
    "https://example.com/x\r\nHost: evil": Reason.MALFORMED,
    "https://exa\tmple.com/x": Reason.MALFORMED,
    "https://example.com\0.evil.example/x": Reason.MALFORMED,
    "https://example.com/\x7f": Reason.MALFORMED,
    "https://ex%61mple.com/x": Reason.HOST,
    "https://127.0.0.1%2f@example.com": Reason.USER_INFO,
    "https://example.com%00.evil.example/x": Reason.HOST,
    "https://example.com;evil/x": Reason.HOST,
    "https://example.com,evil/x": Reason.HOST,
    "https://example..com/x": Reason.HOST,
    "https://.example.com/x": Reason.HOST,
    "https://-example.com/x": Reason.HOST,
    "https://example.com./x": Reason.HOST,
    "https://localhost./x": Reason.HOST,
    f"https://{'a' * 64}.example/x": Reason.HOST,
    f"https://{'a.' * 130}example/x": Reason.HOST,
    # Letters that fold into others.
    "https://bücher.example/x": Reason.HOST,
    "https://ⓛocalhost/x": Reason.HOST,
    "https://ｅxample.com/x": Reason.HOST,
    "https://127。0。0。1/x": Reason.HOST,
    "https://１２７.0.0.1/x": Reason.HOST,
    "https://example.com:４４３/x": Reason.HOST,
    # Ports.
    "https://example.com:80/x": Reason.PORT,
    "https://example.com:8443/x": Reason.PORT,
    "https://example.com:0/x": Reason.PORT,
    "https://example.com:22/x": Reason.PORT,
    "https://example.com:/x": Reason.HOST,
    "https://example.com:+443/x": Reason.HOST,
    "https://example.com:443:80/x": Reason.HOST,
    "https://example.com:65536/x": Reason.MALFORMED,
    "https://example.com:99999/x": Reason.MALFORMED,
    "https://example.com:4294967739/x": Reason.HOST,
    # IPv4, in the spellings that resolvers take.
    "https://127.0.0.2/x": Reason.NOT_PUBLIC,
    "https://2130706433/x": Reason.HOST,
    "https://0x7f000001/x": Reason.HOST,
    "https://0x7f.0x0.0x0.0x1/x": Reason.HOST,
    "https://0177.0.0.1/x": Reason.HOST,
    "https://017700000001/x": Reason.HOST,
    "https://127.1/x": Reason.HOST,
    "https://127.0.1/x": Reason.HOST,
    "https://127.0.0.01/x": Reason.HOST,
    "https://256.1.1.1/x": Reason.HOST,
    "https://1.2.3.4.5/x": Reason.HOST,
    "https://example.0x/x": Reason.HOST,
    "https://0.0.0.0/x": Reason.NOT_PUBLIC,
    "https://0/x": Reason.HOST,
    "https://10.0.0.1/x": Reason.NOT_PUBLIC,
    "https://100.64.0.1/x": Reason.NOT_PUBLIC,
    "https://172.16.0.1/x": Reason.NOT_PUBLIC,
    "https://172.31.255.255/x": Reason.NOT_PUBLIC,
    "https://192.168.1.1/x": Reason.NOT_PUBLIC,
    "https://192.0.2.1/x": Reason.NOT_PUBLIC,
    "https://198.18.0.1/x": Reason.NOT_PUBLIC,
    "https://224.0.0.1/x": Reason.NOT_PUBLIC,
    "https://240.0.0.1/x": Reason.NOT_PUBLIC,
    "https://255.255.255.255/x": Reason.NOT_PUBLIC,
    "https://169.254.169.254/latest/meta-data/": Reason.NOT_PUBLIC,
    "https://168.63.129.16/metadata": Reason.NOT_PUBLIC,
    "https://100.100.100.200/latest": Reason.NOT_PUBLIC,
    # IPv6.
    "https://[::1]/x": Reason.NOT_PUBLIC,
    "https://[::]/x": Reason.NOT_PUBLIC,
    "https://[::ffff:127.0.0.1]/x": Reason.NOT_PUBLIC,
    "https://[::ffff:7f00:1]/x": Reason.NOT_PUBLIC,
    "https://[::ffff:a9fe:a9fe]/x": Reason.NOT_PUBLIC,
    "https://[::127.0.0.1]/x": Reason.NOT_PUBLIC,
    "https://[64:ff9b::127.0.0.1]/x": Reason.NOT_PUBLIC,
    "https://[64:ff9b::a00:1]/x": Reason.NOT_PUBLIC,
    "https://[64:ff9b:1::808:808]/x": Reason.NOT_PUBLIC,
    "https://[2002:7f00:1::]/x": Reason.NOT_PUBLIC,
    "https://[2001::7f00:1]/x": Reason.NOT_PUBLIC,
    "https://[2001:db8::1]/x": Reason.NOT_PUBLIC,
    "https://[fe80::1]/x": Reason.NOT_PUBLIC,
    "https://[fe80::1%25eth0]/x": Reason.HOST,
    "https://[fd00::2]/x": Reason.NOT_PUBLIC,
    "https://[fd00:ec2::254]/x": Reason.NOT_PUBLIC,
    "https://[fec0::1]/x": Reason.NOT_PUBLIC,
    "https://[ff02::1]/x": Reason.NOT_PUBLIC,
    "https://[v1.x]/x": Reason.HOST,
    "https://[::1/x": Reason.HOST,
    "https://[1:2:3]/x": Reason.HOST,
    "https://[127.0.0.1]/x": Reason.MALFORMED,
    "https://::1/x": Reason.HOST,
    # Names that mean this network.
    "https://localhost/x": Reason.NOT_PUBLIC,
    "https://LOCALHOST/x": Reason.NOT_PUBLIC,
    "https://a.localhost/x": Reason.NOT_PUBLIC,
    "https://metadata.google.internal/x": Reason.NOT_PUBLIC,
    "https://printer.local/x": Reason.NOT_PUBLIC,
    "https://nas.lan/x": Reason.NOT_PUBLIC,
    "https://router/x": Reason.NOT_PUBLIC,
    "https://1.0.0.127.in-addr.arpa/x": Reason.NOT_PUBLIC,
    "http://localhost:8701/x": Reason.SCHEME,
    "http://sandbox.example/x": Reason.SCHEME,
    "http://a.files.lan/x": Reason.SCHEME,
    f"https://example.com/{'a' * URL_CHARS_MAX}": Reason.TOO_LONG,
}


@pytest.mark.parametrize(("url", "host"), ALLOWED.items())
def test_a_public_or_named_host_may_be_visited(url: str, host: str) -> None:
    """Any public host over https, and what the operator named in any way."""
    target = GUARD.check_url(url)
    assert target.host == host
    assert target.is_private == (host in {"127.0.0.1", "sandbox", "fd00::1", "files.lan"})
    assert target.url.fragment == ""


@pytest.mark.parametrize(("url", "reason"), REFUSED.items())
def test_a_trick_is_refused_for_its_reason(url: str, reason: Reason) -> None:
    """C-12, F-147: before any name is resolved."""
    with pytest.raises(Forbidden) as caught:
        GUARD.check_url(url)
    assert caught.value.reason is reason


def test_a_presigned_address_arrives_as_it_was_signed() -> None:
    """Re-encoding would break the signature in its query."""
    text = "https://example.com/a%2Fb/%7Euser?X-Sig=%2b%2F%3D&empty=&y=a+b"
    assert str(GUARD.check_url(text).url) == text


def test_a_public_page_cannot_lead_into_the_named_network() -> None:
    """A redirect to a named host counts only when it came from one."""
    public = GUARD.check_url("https://example.com/x")
    named = GUARD.check_url("http://sandbox/x")
    for url in ("http://sandbox/x", "https://sandbox/x", "https://127.0.0.1/x"):
        with pytest.raises(Forbidden):
            GUARD.check_url(url, came_from=public)
        assert GUARD.check_url(url, came_from=named).is_private
    assert not GUARD.check_url("https://example.org/x", came_from=named).is_private


def test_pictures_of_members_come_from_discord_only() -> None:
    """C-15: its two hosts, exactly, or one that the operator named."""
    guard = Guard(allowed_private_hosts=("127.0.0.1",), only_hosts=DISCORD_HOSTS)
    for url in (
        "https://cdn.discordapp.com/attachments/1/2/a.png?ex=1&is=2&hm=3",
        "https://media.discordapp.net/attachments/1/2/a.png",
        "http://127.0.0.1:8700/cdn/attachments/1/2/a.png",
    ):
        assert guard.check_url(url).is_private == url.startswith("http:")
    for url in (
        "https://example.com/a.png",
        "https://cdn.discordapp.com.evil.example/a.png",
        "https://evil-cdn.discordapp.com/a.png",
        "https://discordapp.com/a.png",
        "https://8.8.8.8/a.png",
    ):
        with pytest.raises(Forbidden) as caught:
            guard.check_url(url)
        assert caught.value.reason is Reason.HOST
    with pytest.raises(Forbidden):
        guard.check_url("http://cdn.discordapp.com/a.png")


def test_the_longest_name_is_still_one() -> None:
    """253 characters of labels."""
    name = ("a" * 49 + ".") * 5 + "abc"
    assert len(name) == HOST_CHARS_MAX
    assert GUARD.check_url(f"https://{name}/x").host == name


@given(st.text(max_size=60))
@example("https://[")
@example("https://[]")
@example("https://example.com:\u0661/")
def test_any_text_is_judged_and_nothing_else_raised(text: str) -> None:
    """A provider may send anything at all as a URL."""
    for url in (text, f"https://{text}", f"https://{text}@example.com/", f"http://[{text}]/"):
        try:
            target = GUARD.check_url(url)
        except Forbidden:
            continue
        assert isinstance(target, Target)
        assert target.is_private or target.url.scheme == "https"


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_what_counts_as_public_is_public_for_python_too(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Ours is the stricter list; only addresses that carry an IPv4 one are read deeper."""
    if reach_of(address) is Reach.PUBLIC and address.version == 4:
        assert address.is_global
        assert not address.is_multicast
    if reach_of(address) is Reach.PUBLIC and address in ipaddress.ip_network("2000::/3"):
        assert address.is_global


@given(st.ip_addresses(v=4))
def test_an_address_inside_an_address_reaches_no_further(address: ipaddress.IPv4Address) -> None:
    """Mapped ones count as what they carry; NAT64 carries public ones only; 6to4 never counts."""
    inner = reach_of(address)
    assert reach_of(ipaddress.IPv6Address(f"::ffff:{address}")) is inner
    nat64 = Reach.PUBLIC if inner is Reach.PUBLIC else Reach.NEVER
    assert reach_of(ipaddress.IPv6Address(f"64:ff9b::{address}")) is nat64
    sixtofour = ipaddress.IPv6Address((0x2002 << 112) | (int(address) << 80))
    assert reach_of(sixtofour) is Reach.NEVER


@given(st.ip_addresses())
def test_an_address_is_judged_alike_in_a_url_and_at_the_connection(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Neither of the two doors is wider."""
    host = str(address) if address.version == 4 else f"[{address}]"
    guard = Guard()
    doors = []
    for check in (
        lambda: guard.check_url(f"https://{host}/x"),
        lambda: check_address(str(address), is_private=False),
    ):
        try:
            check()
        except Forbidden:
            doors.append(False)
        else:
            doors.append(True)
    assert doors == [reach_of(address) is Reach.PUBLIC] * 2


@pytest.mark.parametrize(
    ("address", "public", "named"),
    [
        ("8.8.8.8", True, True),
        ("2606:4700::1111", True, True),
        ("127.0.0.1", False, True),
        ("10.1.2.3", False, True),
        ("100.64.0.1", False, True),
        ("::1", False, True),
        ("fd00::5", False, True),
        ("0.0.0.0", False, False),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fd00:ec2::254", False, False),
        ("fe80::1%eth0", False, False),
        ("2606:4700::1111%eth0", False, False),
        ("224.0.0.1", False, False),
        ("not an address", False, False),
        ("", False, False),
    ],
)
def test_a_resolved_address_is_judged_by_its_host(address: str, public: bool, named: bool) -> None:  # noqa: FBT001 - columns of the table
    """A named host may be private, but never a metadata service or this machine's 0.0.0.0."""
    for is_private, expected in ((False, public), (True, named)):
        try:
            check_address(address, is_private=is_private)
        except Forbidden:
            assert not expected
        else:
            assert expected
