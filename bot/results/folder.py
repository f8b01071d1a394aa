"""Where secured files wait until they are delivered: a folder beside the database.

A file is written under a hidden name, and appears under its own by one rename once all of it is on
the disk (F-12). Names are ours; nothing of a URL or a header gets into one. The blocking work runs
in threads.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

import structlog

from bot import limits
from bot.errors import Problem, ResultUnavailable, ResultUnusable, SettingsInvalid
from bot.results.magic import HEAD_BYTES, TYPES, FileType, file_type
from bot.results.records import NO_ROOM, NOT_STORED, Fetched
from storage.types import JobKind

BYTES_MAX = {
    JobKind.IMAGE: limits.RESULT_IMAGE_BYTES_MAX,
    JobKind.VIDEO: limits.RESULT_VIDEO_BYTES_MAX,
}

_EXTENSIONS = "|".join(re.escape(known.extension) for known in TYPES)
_OURS = re.compile(rf"[0-9a-f]{{32}}(?:{_EXTENSIONS})", re.ASCII)
_PART = re.compile(r"\.[0-9a-f]{32}\.part", re.ASCII)

_log = structlog.get_logger(__name__)


def folder_beside(database: Path) -> Path:
    """Each database has its own: another's sweep must not find these files."""
    return database.with_name(f"{database.name}-results")


@dataclass(frozen=True, slots=True)
class _Room:
    used_bytes: int
    free_bytes: int
    missing_bytes: int


class ResultFolder:
    """The folder of one running process; `open` makes it."""

    def __init__(
        self,
        directory: Path,
        *,
        folder_bytes_max: int = limits.RESULT_FOLDER_BYTES_MAX,
        disk_free_bytes_min: int = limits.RESULT_DISK_FREE_BYTES_MIN,
    ) -> None:
        self._directory = directory
        self._folder_bytes_max = folder_bytes_max
        self._disk_free_bytes_min = disk_free_bytes_min
        self._made: set[str] = set()
        """Names of this process, parts included; `remove_others` leaves them alone."""

    @classmethod
    async def open(cls, directory: Path) -> ResultFolder:
        """Make the folder (0700) where it is missing, and drop what was half written (F-12).

        Raises `SettingsInvalid` when it cannot be used.
        """
        folder = cls(directory)
        try:
            await asyncio.to_thread(folder._prepare)
        except OSError as error:
            what = f"{directory} cannot be used: {error.strerror or type(error).__name__}"
            raise SettingsInvalid(problems=[Problem(where="DATABASE_URL", what=what)]) from error
        return folder

    def path_of(self, name: str) -> Path | None:
        """Where the file is; None when it is gone. Raises `ValueError` for a foreign name."""
        path = self._path(name)
        return path if path.is_file() and not path.is_symlink() else None

    async def keep(self, chunks: AsyncIterator[bytes], *, kind: JobKind) -> Fetched:
        """Write what comes, if it is of this kind and within the bound of it (F-54, F-55).

        Raises `ResultUnusable`, `ResultUnavailable` when the disk has no room (F-111), and what
        `chunks` raises; then nothing is left behind.
        """
        try:
            part = await asyncio.to_thread(self._begin, BYTES_MAX[kind])
            try:
                found = await _copy(chunks, part, kind=kind)
                return await asyncio.to_thread(self._finish, part, found)
            finally:
                # A cancelled write may still be under way; it ends before the file is closed.
                await asyncio.shield(asyncio.to_thread(self._drop, part))
        except OSError as error:
            _log.error("result_not_stored", error=type(error).__name__, errno=error.errno)
            raise ResultUnavailable(NOT_STORED) from error

    async def missing_bytes(self, kind: JobKind) -> int:
        """What must go before one more result of this kind fits; 0 when it does (F-111).

        May raise `OSError`.
        """
        return (await asyncio.to_thread(self._measure, BYTES_MAX[kind])).missing_bytes

    async def disk_free_ppm(self) -> int:
        """How much of its disk is free, in millionths of all of it. May raise `OSError`."""
        disk = await asyncio.to_thread(shutil.disk_usage, self._directory)
        return disk.free * 1_000_000 // max(1, disk.total)

    async def remove(self, names: Collection[str]) -> None:
        """Delete these; those that are gone are no matter."""
        await asyncio.to_thread(self._remove, [self._path(name) for name in names])

    async def remove_others(self, names: Collection[str]) -> int:
        """Delete what former processes left, but not `names`; how many files that were."""
        return await asyncio.to_thread(self._remove_others, frozenset(names))

    # --- In threads ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory.chmod(0o700)
        self._remove([path for path in self._directory.iterdir() if _PART.fullmatch(path.name)])

    def _measure(self, bytes_max: int) -> _Room:
        used_bytes = sum(
            entry.stat(follow_symlinks=False).st_size for entry in os.scandir(self._directory)
        )
        free_bytes = shutil.disk_usage(self._directory).free
        over_bytes = used_bytes + bytes_max - self._folder_bytes_max
        short_bytes = self._disk_free_bytes_min + bytes_max - free_bytes
        return _Room(used_bytes, free_bytes, missing_bytes=max(0, over_bytes, short_bytes))

    def _begin(self, bytes_max: int) -> _Part:
        room = self._measure(bytes_max)
        if room.missing_bytes > 0:
            _log.error(
                "result_folder_full",
                used_bytes=room.used_bytes,
                free_bytes=room.free_bytes,
                fault="F-111",
            )
            raise ResultUnavailable(NO_ROOM)
        name = f".{secrets.token_hex(16)}.part"
        self._made.add(name)
        return _Part(self._directory / name, bytes_max=bytes_max)

    def _finish(self, part: _Part, found: FileType) -> Fetched:
        name = f"{secrets.token_hex(16)}{found.extension}"
        self._made.add(name)
        part.publish(self._directory / name)
        _sync_directory(self._directory)
        return Fetched(
            path=name,
            content_type=found.content_type,
            extension=found.extension,
            size_bytes=part.size_bytes,
            sha256=part.sha256,
        )

    def _drop(self, part: _Part) -> None:
        part.discard()
        self._made.discard(part.path.name)

    def _remove(self, paths: Collection[Path]) -> None:
        for path in paths:
            path.unlink(missing_ok=True)
            self._made.discard(path.name)

    def _remove_others(self, names: frozenset[str]) -> int:
        kept = names | self._made
        others = [
            path
            for path in self._directory.iterdir()
            if (_OURS.fullmatch(path.name) or _PART.fullmatch(path.name)) and path.name not in kept
        ]
        self._remove(others)
        return len(others)

    def _path(self, name: str) -> Path:
        if not _OURS.fullmatch(name):
            raise ValueError("not a name of the result folder")
        return self._directory / name


class _Part:
    """A file that is being written; one thread at a time."""

    def __init__(self, path: Path, *, bytes_max: int) -> None:
        self.path = path
        self.bytes_max = bytes_max
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        with self._lock:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
            self._digest.update(data)
            self.size_bytes += len(data)

    def publish(self, path: Path) -> None:
        """Appear under `path` with all bytes on the disk, or not at all."""
        with self._lock:
            os.fsync(self._file.fileno())
            self._file.close()
            self.path.rename(path)

    def discard(self) -> None:
        with self._lock:
            self._file.close()
            self.path.unlink(missing_ok=True)


async def _copy(chunks: AsyncIterator[bytes], part: _Part, *, kind: JobKind) -> FileType:
    """Write all of `chunks`, judged by their first bytes before the rest is waited for."""
    waiting = bytearray()
    found: FileType | None = None
    size_bytes = 0
    async for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > part.bytes_max:
            raise ResultUnusable("too_large")
        waiting += chunk
        if found is None and len(waiting) >= HEAD_BYTES:
            found = _judge(bytes(waiting[:HEAD_BYTES]), kind)
        if len(waiting) >= limits.RESULT_WRITE_BYTES:
            await asyncio.to_thread(part.write, bytes(waiting))
            waiting.clear()
    if found is None:
        found = _judge(bytes(waiting), kind)
    await asyncio.to_thread(part.write, bytes(waiting))
    return found


def _judge(head: bytes, kind: JobKind) -> FileType:
    found = file_type(head)
    if found is None or found.kind is not kind:
        raise ResultUnusable("wrong_type")
    return found


def _sync_directory(directory: Path) -> None:
    """The rename itself must survive a power loss, too (F-115)."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
