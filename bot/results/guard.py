"""Which foreign address we may visit: pure, no I/O (reliability.md C-12, C-15).

A result's host varies (providers.md 1.5), so any public host may hold one, and none that is not
public: the guard judges the URL before a name is resolved, and each address before it is
connected to. `ALLOWED_PRIVATE_HOSTS` are the operator's own exceptions, by name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from yarl import URL

URL_CHARS_MAX = 8_192
"""Presigned addresses have up to some 2,000."""
HOST_CHARS_MAX = 253
"""Of a name in the DNS."""

DISCORD_HOSTS = frozenset({"cdn.discordapp.com", "media.discordapp.net"})
"""Where members' pictures are (C-15)."""

_AUTHORITY = re.compile(
    r"https?://(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?(?=[/?#]|$)",
    re.IGNORECASE | re.ASCII,
)
"""Only plain ones: no percent signs, no zones, no letters that Unicode folds into others."""
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
"""A last label like this makes resolvers read the whole as an IPv4 address (127.1, 0x7f.1)."""
_LOCAL_NAMES = (
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "lan",
    "home",
    "corp",
    "private",
    "arpa",
    "onion",
    "invalid",
)
"""Top-level labels that never name a host of the public Internet."""


def _networks4(*texts: str) -> tuple[IPv4Network, ...]:
    return tuple(IPv4Network(text) for text in texts)


def _networks6(*texts: str) -> tuple[IPv6Network, ...]:
    return tuple(IPv6Network(text) for text in texts)


# Python's own `is_global` changed between patch releases; IANA's registries are written out here.
_NEVER_4 = _networks4(
    "0.0.0.0/8",  # this network: Linux connects it to itself
    "169.254.0.0/16",  # link-local, with the metadata of every large cloud
    "168.63.129.16/32",  # Azure's host, public by number only
    "100.100.100.200/32",  # Alibaba's metadata
    "192.0.0.192/32",  # Oracle's metadata
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
_PRIVATE_4 = _networks4(
    "10.0.0.0/8",
    "100.64.0.0/10",  # shared by carriers
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # AMT
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",
    "192.175.48.0/24",  # AS112
    "198.18.0.0/15",  # benchmarks
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
)
_PRIVATE_6 = _networks6("::1/128", "fc00::/7")
_METADATA_6 = IPv6Address("fd00:ec2::254")
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_GLOBAL_6 = _networks6(
    "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4 carries any IPv4 address
    "2620:4f:8000::/48",  # AS112
    "3fff::/20",  # documentation
)
_NAT64 = IPv6Network("64:ff9b::/96")


class Reason(StrEnum):
    """Why an address is refused; a closed set, for logs and counters."""

    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    SCHEME = "scheme"
    USER_INFO = "user_info"
    HOST = "host"
    PORT = "port"
    NOT_PUBLIC = "not_public"


class Forbidden(ValueError):
    """We do not go there."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Reach(StrEnum):
    """How far out an address lies."""

    PUBLIC = "public"
    #: Loopback, private and shared networks: only for hosts that the operator named.
    PRIVATE = "private"
    #: Metadata services, link-local, multicast, reserved: nobody may name these.
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL that may be visited. `is_private` when the operator's exception let its host pass."""

    url: URL
    host: str
    is_private: bool


class Guard:
    """Judges URLs and addresses. `only_hosts` narrows the public ones to a list (C-15)."""

    def __init__(
        self,
        *,
        allowed_private_hosts: Iterable[str] = (),
        only_hosts: frozenset[str] | None = None,
    ) -> None:
        self._private = frozenset(_canonical(host) for host in allowed_private_hosts)
        self._only = only_hosts

    def check_url(self, text: str, *, came_from: Target | None = None) -> Target:
        """Return where `text` leads. Raises `Forbidden`.

        `came_from` is the page that redirected here: a public one cannot lead into the
        operator's network, whatever the operator named.
        """
        url = _parse(text)
        host = _host(url)
        is_private = host in self._private and (came_from is None or came_from.is_private)
        if url.scheme != "https" and not (is_private and url.scheme == "http"):
            raise Forbidden(Reason.SCHEME)
        if is_private:
            return Target(url=url, host=host, is_private=True)
        if url.port != 443:
            raise Forbidden(Reason.PORT)
        _check_public_host(host)
        if self._only is not None and host not in self._only:
            raise Forbidden(Reason.HOST)
        return Target(url=url, host=host, is_private=False)


def check_address(address: str, *, is_private: bool) -> None:
    """Judge one resolved address right before it is connected to. Raises `Forbidden`."""
    try:
        reach = reach_of(ipaddress.ip_address(address))
    except ValueError as error:
        raise Forbidden(Reason.MALFORMED) from error
    if reach is Reach.NEVER or (reach is Reach.PRIVATE and not is_private):
        raise Forbidden(Reason.NOT_PUBLIC)


def reach_of(address: IPv4Address | IPv6Address) -> Reach:
    """Tell how far out an address lies; one that carries an IPv4 address is judged by that."""
    if isinstance(address, IPv4Address):
        return _reach4(address)
    if address.ipv4_mapped is not None:
        return _reach4(address.ipv4_mapped)
    if address in _NAT64:
        # Only DNS64 makes these, of public addresses; any other is somebody's trick.
        embedded = _reach4(IPv4Address(address.packed[-4:]))
        return Reach.PUBLIC if embedded is Reach.PUBLIC else Reach.NEVER
    return _reach6(address)


def _reach4(address: IPv4Address) -> Reach:
    if any(address in network for network in _NEVER_4):
        return Reach.NEVER
    if any(address in network for network in _PRIVATE_4):
        return Reach.PRIVATE
    return Reach.PUBLIC


def _reach6(address: IPv6Address) -> Reach:
    if address.scope_id is not None or address == _METADATA_6:
        return Reach.NEVER
    if any(address in network for network in _PRIVATE_6):
        return Reach.PRIVATE
    if address not in _GLOBAL_6 or any(address in network for network in _NOT_GLOBAL_6):
        return Reach.NEVER
    return Reach.PUBLIC


def _parse(text: str) -> URL:
    if len(text) > URL_CHARS_MAX:
        raise Forbidden(Reason.TOO_LONG)
    # Parsers disagree about these: browsers drop some of them and read `\` as `/`.
    if "\\" in text or any(char <= " " or char == "\x7f" for char in text):
        raise Forbidden(Reason.MALFORMED)
    scheme, _, rest = text.partition("://")
    if scheme.lower() not in {"http", "https"}:
        raise Forbidden(Reason.SCHEME)
    if "@" in re.split(r"[/?#]", rest, maxsplit=1)[0]:
        raise Forbidden(Reason.USER_INFO)
    if not _AUTHORITY.match(text):
        raise Forbidden(Reason.HOST)
    try:
        # Verbatim where possible: a presigned address must arrive as it was signed.
        url = URL(text, encoded=text.isascii()).with_fragment(None)
        _ = url.raw_host, url.port  # parsed only when asked for
    except ValueError as error:
        raise Forbidden(Reason.MALFORMED) from error
    return url


def _host(url: URL) -> str:
    """Return the host in its one spelling: lower case, addresses canonical."""
    host = (url.raw_host or "").lower()
    if ":" in host:
        try:
            return str(IPv6Address(host))
        except ValueError as error:
            raise Forbidden(Reason.HOST) from error
    # A final dot makes another name of the same host; nobody needs it.
    if len(host) > HOST_CHARS_MAX or not _NAME.fullmatch(host):
        raise Forbidden(Reason.HOST)
    if _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise Forbidden(Reason.HOST) from error
    return host


def _check_public_host(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        _, dot, last = host.rpartition(".")
        if not dot or last in _LOCAL_NAMES:
            raise Forbidden(Reason.NOT_PUBLIC) from None
    else:
        check_address(host, is_private=False)


def _canonical(host: str) -> str:
    bare = host.strip().strip("[]").lower()
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return bare
