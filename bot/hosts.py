"""Names of machines: which are addresses, and which exist in private networks only."""

from __future__ import annotations

import ipaddress


def is_address(host: str) -> bool:
    """Whether it is an IP address, of version 6 also in brackets."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_private(host: str) -> bool:
    """Whether nobody on the Internet reaches it, as far as its name tells."""
    if is_address(host):
        return not ipaddress.ip_address(host.strip("[]")).is_global
    return host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".lan"))
