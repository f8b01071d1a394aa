"""One event of a stream, before it is bytes."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.provider.wire import Json, dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`tokens` is what a reader has got with it; `closing` marks the end group of a stream."""

    data: Json | str
    name: str | None = None
    tokens: int = 0
    closing: bool = False

    def encode(self, newline: str = "\n") -> bytes:
        text = self.data if isinstance(self.data, str) else dumps(self.data)
        head = f"event: {self.name}{newline}" if self.name else ""
        return f"{head}data: {text}{newline}{newline}".encode()
