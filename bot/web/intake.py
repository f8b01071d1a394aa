"""Callbacks that arrive together are stored together: one commit, and to each its own result.

A commit costs an fsync (`synchronous=FULL`), so while one is under way the next ones gather. Who
is answered was committed before (I-35); who gave up waiting costs the others nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot import limits
from bot.clock import Clock
from storage import inbox
from storage.database import Store
from storage.errors import StorageError, StoreUnavailable
from storage.inbox import Arrival, Verdict

_US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    arrival: Arrival
    verdict: asyncio.Future[Verdict]


@dataclass(slots=True, kw_only=True)
class Intake:
    """The way of callbacks into the database. `wake` is called after a commit with a new one."""

    database: Store
    clock: Clock
    wake: Callable[[], None]
    batch_max: int = limits.CALLBACKS_BATCH_MAX
    waiting_max: int = limits.CALLBACKS_WAITING_MAX
    timeout_s: float = limits.CALLBACK_STORE_TIMEOUT_S
    _queue: deque[_Waiting] = field(default_factory=deque, init=False)
    _worker: asyncio.Task[None] | None = field(default=None, init=False)
    _closed: bool = field(default=False, init=False)

    async def record(self, arrival: Arrival) -> Verdict:
        """Store one durably; what became of it.

        Raises `StorageError` when it was not stored, or not within `timeout_s` (F-110): then it
        may still be, and is known when it comes again.
        """
        if self._closed:
            raise StoreUnavailable(cause="closed")
        if len(self._queue) >= self.waiting_max:
            raise StoreUnavailable(cause="too many callbacks waiting")
        verdict: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(arrival=arrival, verdict=verdict))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        try:
            async with asyncio.timeout(self.timeout_s):
                return await verdict
        except TimeoutError as error:
            raise StoreUnavailable(cause="not stored in time") from error

    async def close(self) -> None:
        """Take no more, and finish what was taken (S-11)."""
        self._closed = True
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        """Store batch after batch until nobody waits."""
        batch: list[_Waiting] = []
        try:
            while batch := self._next_batch():
                await self._store(batch)
        finally:
            self._worker = None
            # Nobody is left, unless we were cancelled: then nobody else would tell them.
            for waiting in (*batch, *self._queue):
                waiting.verdict.cancel()
            self._queue.clear()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._queue and len(batch) < self.batch_max:
            waiting = self._queue.popleft()
            if not waiting.verdict.done():  # its sender is still there
                batch.append(waiting)
        return batch

    async def _store(self, batch: Sequence[_Waiting]) -> None:
        try:
            verdicts = await self._commit(batch)
        except StorageError as error:
            for waiting in batch:
                _refuse(waiting, error)
        except Exception as error:  # noqa: BLE001 - a bug of ours, in which only one may be at fault.
            if len(batch) == 1:
                _refuse(batch[0], error)
                return
            for waiting in batch:
                await self._store([waiting])
        else:
            for waiting, verdict in zip(batch, verdicts, strict=True):
                if not waiting.verdict.done():
                    waiting.verdict.set_result(verdict)
            if Verdict.NEW in verdicts:
                self.wake()

    async def _commit(self, batch: Sequence[_Waiting]) -> tuple[Verdict, ...]:
        now_us = self.clock.now_us()
        return await self.database.transact(
            inbox.record_callbacks,
            arrivals=[waiting.arrival for waiting in batch],
            bodies_max=limits.CALLBACK_BODIES_MAX,
            over_before_us=now_us - int(limits.CALLBACK_ADDRESS_S * _US_PER_S),
            now_us=now_us,
        )


def _refuse(waiting: _Waiting, error: Exception) -> None:
    if not waiting.verdict.done():
        waiting.verdict.set_exception(error)
        waiting.verdict.exception()  # its sender may leave before it is told; no bug then
