"""Discord's rate limits: one bucket per route and major parameter, and 50 per second over all.

The first request of a window starts it; the window ends whole (Discord, "Rate Limits").
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from sandbox.discord.clock import Clock
from sandbox.discord.errors import ApiError

# --- limits ------------------------------------------------------------------------------------
BUCKETS_MAX: Final = 10_000
"""Expired ones are dropped when there are more."""
GLOBAL_PER_S: Final = 50
"""Discord's limit per bot; interaction and webhook routes are exempt."""
INVALID_WINDOW_S: Final = 600.0
INVALID_MAX: Final = 10_000
"""401, 403 and 429 answers per ten minutes, after which Discord bans the address."""
VIA: Final = "1.1 google"
"""discord.py takes a 429 without this header for a ban by Cloudflare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """So many requests per window."""

    limit: int
    window_s: float


MESSAGES: Final = Rule(limit=5, window_s=5.0)
DELETES: Final = Rule(limit=5, window_s=1.0)
REACTIONS: Final = Rule(limit=1, window_s=0.25)
WEBHOOKS: Final = Rule(limit=5, window_s=2.0)
ORDINARY: Final = Rule(limit=50, window_s=1.0)


@dataclass(slots=True, kw_only=True)
class _Window:
    ends_s: float
    used: int = 0


class RateLimiter:
    """Counts requests; with `enabled` False nothing is refused."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._global: deque[float] = deque(maxlen=GLOBAL_PER_S)
        self._invalid: deque[float] = deque(maxlen=INVALID_MAX)
        self._shorter: dict[str, float] = {}
        self.enabled = True

    def shorten(self, method: str, *, by: float) -> float:
        """Divide the windows of a method's message buckets, for tests; return the new length."""
        self._shorter[method] = by
        return MESSAGES.window_s / by

    def take_global(self) -> None:
        """Count one request of the bot as a whole, or 429 with `global`."""
        now_s = self._clock.monotonic_s()
        if self.enabled and len(self._global) == GLOBAL_PER_S:
            wait_s = self._global[0] + 1.0 - now_s
            if wait_s > 0:
                raise _limited(wait_s, {"X-RateLimit-Global": "true"}, scope="global")
        self._global.append(now_s)

    def take(self, *, route: str, major: str, rule: Rule) -> dict[str, str]:
        """Count one request of a route and return its headers, or 429."""
        now_s = self._clock.monotonic_s()
        key = f"{route}|{major}"
        window = self._windows.get(key)
        if window is None or now_s >= window.ends_s:
            self._make_room(now_s)
            length_s = rule.window_s / self._shorter.get(route.partition(" ")[0], 1.0)
            window = self._windows[key] = _Window(ends_s=now_s + length_s)
        left_s = window.ends_s - now_s
        if self.enabled and window.used >= rule.limit:
            raise _limited(left_s, self._headers(route, rule, 0, left_s), scope="user")
        window.used += 1
        remaining = rule.limit - window.used if self.enabled else rule.limit
        return self._headers(route, rule, max(0, remaining), left_s)

    def note_invalid(self) -> None:
        """Count an answer of 401, 403 or 429."""
        self._invalid.append(self._clock.monotonic_s())

    @property
    def invalid_recently(self) -> int:
        """Such answers within the last ten minutes."""
        since_s = self._clock.monotonic_s() - INVALID_WINDOW_S
        return sum(1 for at_s in self._invalid if at_s >= since_s)

    def _headers(self, route: str, rule: Rule, remaining: int, left_s: float) -> dict[str, str]:
        reset_s = self._clock.now_ms() / 1000 + left_s
        return {
            "X-RateLimit-Limit": str(rule.limit),
            "X-RateLimit-Remaining": str(remaining),
            "X-RateLimit-Reset": f"{reset_s:.3f}",
            "X-RateLimit-Reset-After": f"{left_s:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:32],
            "Via": VIA,
        }

    def _make_room(self, now_s: float) -> None:
        if len(self._windows) < BUCKETS_MAX:
            return
        self._windows = {
            key: window for key, window in self._windows.items() if window.ends_s > now_s
        }


def _limited(wait_s: float, headers: dict[str, str], *, scope: str) -> ApiError:
    # Rounded up to the millisecond, so that a client that waits exactly so long gets through.
    retry_after_s = math.ceil(wait_s * 1000) / 1000
    return ApiError(
        429,
        0,
        "You are being rate limited.",
        headers=headers
        | {
            "Retry-After": str(math.ceil(wait_s)),
            "X-RateLimit-Scope": scope,
            "Via": VIA,
        },
        extra={"retry_after": retry_after_s, "global": scope == "global"},
    )
