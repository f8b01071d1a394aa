"""How others tell the engine that there is something new."""

from __future__ import annotations

from collections.abc import Callable


class Bell:
    """Made before the engine is: whoever only records and rings need not know it."""

    def __init__(self) -> None:
        self._wake: Callable[[], None] | None = None

    def listen(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def ring(self) -> None:
        """Wake the engine; before it listens there is nobody to wake, and it begins awake."""
        if self._wake is not None:
            self._wake()
