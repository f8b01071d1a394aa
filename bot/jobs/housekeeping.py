"""What a start takes over, what is forgotten in time, and the disk (S-10, C-45, F-111)."""

from __future__ import annotations

import structlog

from bot.jobs.bench import Bench
from bot.limits import (
    CALLBACKS_KEPT_S,
    DISK_FREE_PPM_ALARM,
    DISK_FREE_PPM_LOW,
    HOUSEKEEPING_S,
    INTERACTIONS_KEPT_S,
    RESULTS_KEPT_S,
)
from storage import inbox, interactions, jobs
from storage.errors import StorageError, StoreInUse

_log = structlog.get_logger(__name__)


class Housekeeper:
    """Runs beside the mover and touches nothing that a job still needs."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    async def take_over(self) -> None:
        """End the leases of the former process, and delete files that no row names (F-12).

        May raise `StorageError`.
        """
        released = await self._bench.database.transact(jobs.release_all)
        kept = await self._bench.database.read(jobs.kept_files)
        removed = await self._bench.folder.remove_others(kept)
        if released or removed:
            _log.info("jobs_taken_over", released=released, files_removed=removed)

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._look_at_disk()
            try:
                await self.tidy()
            except StoreInUse:
                return
            except StorageError as error:
                _log.info("not_tidied", error=type(error).__name__)
            except Exception:  # noqa: BLE001 - the next round may do better.
                _log.exception("housekeeping_broke")
            await self._bench.clock.sleep(HOUSEKEEPING_S)

    async def _look_at_disk(self) -> None:
        """Warn while there is time to make room, and be loud when there is none left (F-111)."""
        try:
            free_ppm = await self._bench.folder.disk_free_ppm()
        except OSError as error:
            _log.error("disk_not_read", fault="F-111", errno=error.errno)
            return
        if free_ppm < DISK_FREE_PPM_LOW:
            write = _log.error if free_ppm < DISK_FREE_PPM_ALARM else _log.warning
            write("disk_fills", fault="F-111", free_percent=free_ppm // 1_000 / 10)

    async def tidy(self) -> None:
        """Forget tokens that are over, old callbacks, and files of what was delivered long ago."""
        bench = self._bench
        await bench.database.transact(jobs.drop_tokens, now_us=bench.clock.now_us())
        await bench.database.transact(
            interactions.purge,
            now_us=bench.clock.now_us(),
            before_us=bench.in_us(-INTERACTIONS_KEPT_S),
        )
        await bench.database.transact(inbox.purge, before_us=bench.in_us(-CALLBACKS_KEPT_S))
        names = await bench.database.transact(
            jobs.drop_files, before_us=bench.in_us(-RESULTS_KEPT_S)
        )
        if names:
            await bench.folder.remove(names)
