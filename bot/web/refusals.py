"""What strangers send: counted, answered ever more shortly, and logged once a minute (3.5).

Only refused requests cost anything. A genuine callback is recognised before any of this and is
never turned away for what others did from the same address: behind a reverse proxy the provider
and its imitators share one. So `X-Forwarded-For` needs no belief either (F-136).
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from functools import lru_cache

import structlog

from bot import limits
from bot.clock import Clock

_log = structlog.get_logger(__name__)


class Buckets:
    """One token bucket per network: `burst` at once, then `per_s`."""

    def __init__(
        self,
        clock: Clock,
        *,
        per_s: float = limits.WEB_REFUSALS_PER_S,
        burst: float = limits.WEB_REFUSALS_BURST,
        networks_max: int = limits.WEB_NETWORKS_MAX,
    ) -> None:
        self._clock = clock
        self._per_s = per_s
        self._burst = burst
        self._networks_max = networks_max
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Network → tokens, and the moment when there were so many; the quietest first."""

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, network: str) -> bool:
        """Take one token, if there is one."""
        now_s = self._clock.monotonic_s()
        tokens, then_s = self._buckets.pop(network, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - then_s) * self._per_s)
        allowed = tokens >= 1
        self._buckets[network] = (tokens - 1 if allowed else tokens, now_s)
        if len(self._buckets) > self._networks_max:
            self._buckets.popitem(last=False)
        return allowed


class RefusalLog:
    """Counts by reason, told in one line per minute at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._told_s: float | None = None

    def note(self, reason: str) -> None:
        self._counts[reason] += 1
        now_s = self._clock.monotonic_s()
        if self._told_s is None or now_s - self._told_s >= limits.WEB_REFUSAL_LOG_S:
            _log.warning("web_refused", reasons=dict(self._counts), fault="F-65")
            self._counts.clear()
            self._told_s = now_s


@lru_cache(maxsize=limits.WEB_CONNECTIONS_MAX)
def network_of(remote: str | None) -> str:
    """One IPv4 address, or the /64 that one subscriber of IPv6 has."""
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
