"""Gateway sessions: what each client asked for, the numbered events, and the replay buffer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.discord.errors import Json

# --- limits ------------------------------------------------------------------------------------
REPLAY_EVENTS_MAX = 1_000
"""Events kept for a resume; a client that missed more has to identify again."""
RESUME_WINDOW_S = 180.0
"""How long a session outlives its connection; Discord keeps it for some minutes."""
SESSIONS_MAX = 20
"""Sessions kept at once: one bot, its past connections, and tests that open several."""


class Intent:
    """Gateway intent bits (Discord, "Gateway Intents")."""

    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_PRESENCES = 1 << 8
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    GUILD_MESSAGE_TYPING = 1 << 11
    DIRECT_MESSAGES = 1 << 12
    DIRECT_MESSAGE_REACTIONS = 1 << 13
    DIRECT_MESSAGE_TYPING = 1 << 14
    MESSAGE_CONTENT = 1 << 15


PRIVILEGED = Intent.GUILD_MEMBERS | Intent.GUILD_PRESENCES | Intent.MESSAGE_CONTENT


class Wire(Protocol):
    """A live connection, as a session sees it."""

    def push(self, payload: Json) -> None:
        """Queue one payload for sending."""
        ...


@dataclass(slots=True, kw_only=True)
class Session:
    """One identified client. `wire` is None while it is disconnected."""

    id: str
    intents: int
    sequence: int = 0
    wire: Wire | None = None
    lost_at_s: float = 0.0
    buffer: deque[Json] = field(default_factory=lambda: deque(maxlen=REPLAY_EVENTS_MAX))

    def wants(self, intent: int) -> bool:
        """True when the intent was asked for; 0 stands for events that need none."""
        return intent == 0 or bool(self.intents & intent)

    def dispatch(self, event: str, data: Json) -> None:
        """Number the event, keep it for replay, and send it when connected."""
        self.sequence += 1
        payload = {"op": 0, "t": event, "s": self.sequence, "d": data}
        self.buffer.append(payload)
        if self.wire is not None:
            self.wire.push(payload)

    def missed_after(self, sequence: int) -> list[Json] | None:
        """The events after `sequence`; None when they are no longer all there."""
        if not 0 <= sequence <= self.sequence:
            return None
        missed = [payload for payload in self.buffer if payload["s"] > sequence]
        return missed if len(missed) == self.sequence - sequence else None
