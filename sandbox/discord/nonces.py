"""`enforce_nonce`: the same author and nonce within minutes make one message."""

from __future__ import annotations

from sandbox.discord.clock import Clock

# --- limits ------------------------------------------------------------------------------------
NONCE_WINDOW_S = 180.0
"""Discord says "within a few minutes" (reliability.md 1.4)."""
NONCES_MAX = 10_000
"""Remembered at once; the oldest go first."""

Key = tuple[int, str]
"""Author and nonce; the channel is no part of Discord's rule."""


class NonceBook:
    """Remembers which message a nonce made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made: dict[Key, tuple[int, float]] = {}

    def find(self, key: Key) -> int | None:
        """The message that this nonce made recently."""
        made = self._made.get(key)
        if made is None or self._clock.monotonic_s() - made[1] > NONCE_WINDOW_S:
            return None
        return made[0]

    def note(self, key: Key, message_id: int) -> None:
        """Remember."""
        self._made.pop(key, None)
        self._made[key] = (message_id, self._clock.monotonic_s())
        while len(self._made) > NONCES_MAX:
            del self._made[next(iter(self._made))]
