"""Files: the addresses that the provider gave, and the folder of the bot. Bytes are their names."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection
from pathlib import Path

from bot.errors import ResultUnavailable, ResultUnusable
from bot.results.records import Fetched
from storage.types import JobKind
from tests.simulation.faults import Fault
from tests.simulation.process import Process
from tests.simulation.scene import Scene


class Disk:
    """What lies in the folder; it outlives the processes."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.kept: dict[str, str] = {}
        """File name → the address that it came from."""
        self.written = 0


class ProcessFiles:
    """`Fetcher` and `ResultFolder` of one process."""

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process

    async def secure(self, url: str, *, kind: JobKind) -> Fetched:
        scene = self._disk.scene
        self._process.check()
        fault = scene.first((Fault.RESULT_GONE, Fault.RESULT_TOO_LARGE, Fault.RESULT_ODD))
        await self._process.wait(scene.rng.random() * 4.0)
        scene.trace("files", f"fetch {url} {fault.name if fault else 'kept'}")
        if fault is Fault.RESULT_GONE:
            raise ResultUnavailable("gone")
        if fault is not None:
            raise ResultUnusable("too_large" if fault is Fault.RESULT_TOO_LARGE else "type")
        kept = self._keep(url, kind)
        await self._process.pause()
        return kept

    async def keep(self, chunks: AsyncIterator[bytes], *, kind: JobKind) -> Fetched:
        text = b"".join([chunk async for chunk in chunks]).decode()
        return self._keep(text, kind)

    def _keep(self, url: str, kind: JobKind) -> Fetched:
        disk = self._disk
        disk.written += 1
        extension = ".png" if kind is JobKind.IMAGE else ".mp4"
        name = f"file-{disk.written}{extension}"
        disk.kept[name] = url
        return Fetched(
            path=name,
            content_type="image/png" if kind is JobKind.IMAGE else "video/mp4",
            extension=extension,
            size_bytes=len(url),
            sha256=hashlib.sha256(url.encode()).hexdigest(),
        )

    def path_of(self, name: str) -> Path | None:
        return Path("/results") / name if name in self._disk.kept else None

    async def missing_bytes(self, kind: JobKind) -> int:
        del kind
        return 0

    async def disk_free_ppm(self) -> int:
        return 500_000

    async def remove(self, names: Collection[str]) -> None:
        await self._process.pause()
        for name in names:
            self._disk.kept.pop(name, None)

    async def remove_others(self, names: Collection[str]) -> int:
        await self._process.pause()
        others = [name for name in self._disk.kept if name not in names]
        for name in others:
            del self._disk.kept[name]
        return len(others)
