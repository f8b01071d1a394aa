"""Every request that the bot made, for tests and for checking against Discord's description."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from sandbox.discord.errors import Json

# --- limits ------------------------------------------------------------------------------------
REQUESTS_MAX = 20_000
"""Kept at most; a long e2e run makes a few thousand."""
PAGE_MAX = 5_000
"""Told at once."""


@dataclass(slots=True, kw_only=True)
class Entry:
    """One request. `path` has no /api/v10; `body` is the JSON, also of a multipart request.

    `unknown` lists top-level properties that Discord would silently ignore; `route` is the
    template that answered, None when there is none; `error` tells a fault of the sandbox itself.
    """

    n: int
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    at_ms: int
    route: str | None = None
    body: Any = None
    files: list[Json] = field(default_factory=list)
    status: int | None = None
    code: int | None = None
    unknown: list[str] = field(default_factory=list)
    error: str | None = None

    def told(self) -> Json:
        """The entry as the control surface shows it."""
        return {
            "n": self.n,
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "query": self.query,
            "headers": self.headers,
            "body": self.body,
            "files": self.files,
            "status": self.status,
            "code": self.code,
            "unknown": self.unknown,
            "error": self.error,
            "at_ms": self.at_ms,
        }


class RequestLog:
    """Numbered from 1; old entries go when there are too many."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=REQUESTS_MAX)
        self._count = 0

    def open(
        self, *, method: str, path: str, query: dict[str, str], headers: dict[str, str], at_ms: int
    ) -> Entry:
        """Note a request before anything is known of its outcome."""
        self._count += 1
        entry = Entry(
            n=self._count, method=method, path=path, query=query, headers=headers, at_ms=at_ms
        )
        self._entries.append(entry)
        return entry

    def since(self, n: int) -> list[Json]:
        """The entries after number `n`, oldest first, bounded."""
        return [entry.told() for entry in self._entries if entry.n > n][:PAGE_MAX]
