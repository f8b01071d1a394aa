"""What a running answer has cost so far, kept on disk for the case of a crash (F-19, I-10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from storage.errors import StorageError

_log = structlog.get_logger(__name__)

Write = Callable[[int], Awaitable[None]]
"""Stores so many µcr as the cost so far."""


class CostNotes:
    """Writes a new note whenever the last one is a step away from the truth, beside the reader.

    One note is written at a time, always the newest. A note that fails is left to the next step:
    the answer goes on, and only the loss after a crash is less exact.
    """

    def __init__(self, *, noted_ucr: int, step_ucr: int, write: Write) -> None:
        self._cost_ucr = self._noted_ucr = noted_ucr
        self._step_ucr = max(1, step_ucr)
        self._write = write
        self._writing: asyncio.Task[None] | None = None

    def note(self, cost_ucr: int) -> None:
        """Say what the answer has cost by now."""
        self._cost_ucr = cost_ucr
        if self._writing is None and self._is_stale():
            self._writing = asyncio.create_task(self._catch_up())

    async def settled(self) -> None:
        """Wait for a running note, so that nothing is written about a turn after its end."""
        if self._writing is not None:
            await asyncio.shield(self._writing)

    def _is_stale(self) -> bool:
        return abs(self._cost_ucr - self._noted_ucr) >= self._step_ucr

    async def _catch_up(self) -> None:
        try:
            while self._is_stale():
                self._noted_ucr = self._cost_ucr
                await self._write(self._noted_ucr)
        except Exception as error:  # noqa: BLE001 - the answer is worth more than its note.
            _log.warning(
                "cost_not_noted",
                fault="F-110",
                error=type(error).__name__,
                exc_info=None if isinstance(error, StorageError) else error,
            )
        finally:
            self._writing = None
