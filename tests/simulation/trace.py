"""What happened, line by line; its hash says whether a replay was the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog

Line = tuple[float, str, str]


class Trace:
    """Lines of (virtual second, actor, event)."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.lines: list[Line] = []

    def __call__(self, actor: str, event: str) -> None:
        """Write one line."""
        self.lines.append((self._now_s(), actor, event))

    def digest(self) -> str:
        """The hash of everything so far."""
        text = "\n".join(f"{at_s:.6f} {actor} {event}" for at_s, actor, event in self.lines)
        return hashlib.sha256(text.encode()).hexdigest()

    def about(self, *words: str, last: int = 400) -> list[str]:
        """The newest lines that name one of these words; all without words."""
        chosen = [
            f"{at_s:11.3f}  {actor:<9} {event}"
            for at_s, actor, event in self.lines
            if not words or actor == "process" or any(_names(event, word) for word in words)
        ]
        return chosen[-last:]


def _names(event: str, word: str) -> bool:
    return word in event.split()


@contextmanager
def logged(take: Callable[[str, dict[str, Any]], None]) -> Iterator[None]:
    """Hand over what is logged, and draw nothing."""

    def processor(_logger: Any, _level: str, facts: Any) -> Any:
        take(facts.pop("event", ""), facts)
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[processor], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        structlog.configure(**before)
