"""One live process per database (reliability.md S-8, F-119).

Two defences: a file lock for the life of the process, and a number in the database that every
start raises and every write transaction compares. The second one stops a process that lost the
first without noticing: a lock file removed by hand, a volume mounted twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, select, update

from storage.errors import StoreInUse, StoreUnavailable
from storage.schema import instance

HOLDER_BYTES_MAX = 4_096
"""The note in the lock file is one short line of JSON; nobody else's file is read whole."""
NETWORK_FILESYSTEMS = frozenset(
    {"afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3"}
)
"""Where SQLite's and our own locks cannot be trusted (sqlite.org/howtocorrupt.html 2.1)."""


class FileLock:
    """An exclusive `flock` beside the database; the kernel drops it when the process dies."""

    def __init__(self, descriptor: int, *, was_left: bool) -> None:
        self._descriptor: int | None = descriptor
        self.was_left = was_left
        """A former holder died and left a write-ahead log, and no start since came about."""
        self._leaves = was_left

    @classmethod
    def acquire(cls, path: Path, *, database: Path) -> FileLock:
        """Take the lock at once or raise StoreInUse with what the holder wrote about itself."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            held = _held(descriptor, database)
            os.close(descriptor)
            raise held from error
        former = _said(os.pread(descriptor, HOLDER_BYTES_MAX, 0))
        lock = cls(descriptor, was_left=former.get("log") is True)
        lock._write(descriptor)
        return lock

    def note(self, *, log: bool) -> None:
        """Write down whether the holder's death would leave a write-ahead log (F-113)."""
        if self._descriptor is None:
            return
        self._leaves = log
        taken = os.fstat(self._descriptor)
        with suppress(OSError):  # a full disk: not worth a start, and an end least of all
            self._write(self._descriptor)
            os.utime(self._descriptor, ns=(taken.st_atime_ns, taken.st_mtime_ns))

    def _write(self, descriptor: int) -> None:
        """In one piece, over a longer note too: nobody finds half of it."""
        said = {"pid": os.getpid(), "host": socket.gethostname(), "log": self._leaves}
        note = json.dumps(said).encode()
        os.pwrite(descriptor, note.ljust(os.fstat(descriptor).st_size), 0)

    def release(self) -> None:
        """Let the next process in. The file stays: removing it would let two in at once."""
        if self._descriptor is not None:
            if not self._leaves:
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def assert_free(path: Path, *, database: Path) -> None:
    """Raise StoreInUse when a live process holds the lock file `path`; nothing is made or kept."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        # Shared, so that two who look at once do not see each other.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _held(descriptor, database) from error
    finally:
        os.close(descriptor)


def _held(descriptor: int, database: Path) -> StoreInUse:
    """Who holds it; the note was written when the lock was taken, so its age tells since when."""
    pid, host = _holder(os.read(descriptor, HOLDER_BYTES_MAX))
    since_us = os.fstat(descriptor).st_mtime_ns // 1_000
    return StoreInUse(path=str(database), pid=pid, host=host, since_us=since_us)


def _holder(note: bytes) -> tuple[int | None, str | None]:
    """Pid and host from a lock file; None where it is being written or is not ours."""
    said = _said(note)
    pid, host = said.get("pid"), said.get("host")
    return (
        pid if isinstance(pid, int) else None,
        host if isinstance(host, str) else None,
    )


def _said(note: bytes) -> dict[str, object]:
    """What a note says; nothing where it is none."""
    try:
        said = json.loads(note)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def refuse_network_filesystem(path: Path, *, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raise StoreUnavailable when `path` lies on a network file system (Linux only)."""
    if not mounts.exists():
        return
    kinds: dict[Path, str] = {}
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _device, point, kind, *_rest = line.split(" ")
        kinds[Path(point.replace(r"\040", " "))] = kind
    resolved = path.resolve()
    for folder in (resolved, *resolved.parents):
        if folder in kinds:
            if kinds[folder] in NETWORK_FILESYSTEMS:
                raise StoreUnavailable(cause=f"{kinds[folder]} is a network file system")
            return


# --- The fence inside the database --------------------------------------------------------------


_RAISE = (
    update(instance)
    .where(instance.c.id == 1)
    .values(epoch=instance.c.epoch + 1)
    .returning(instance.c.epoch)
)


def raise_epoch(connection: Connection) -> int:
    """Make this process the writer; every earlier one is fenced from now on."""
    mine = {"pid": os.getpid(), "host": socket.gethostname()}
    return connection.execute(_RAISE, mine).scalar_one()


_FENCE = select(instance.c.epoch, instance.c.pid, instance.c.host).where(instance.c.id == 1)


def assert_epoch(connection: Connection, *, epoch: int, database: Path) -> None:
    """Raise StoreInUse when a later process has taken over (I-29)."""
    found = connection.execute(_FENCE).one()
    if found.epoch != epoch:
        raise StoreInUse(path=str(database), pid=found.pid, host=found.host)
