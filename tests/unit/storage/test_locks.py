"""One live process per database (reliability.md S-8, F-119)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage import locks, preferences
from storage.database import Database, sqlite_path
from storage.errors import StoreInUse, StoreUnavailable

HOLD = """
import asyncio, sys
from storage import preferences
from storage.database import Database
from storage.errors import StoreInUse

async def main():
    database = await Database.open(sys.argv[1])
    print("open", flush=True)
    for line in sys.stdin:
        try:
            await database.transact(preferences.put, key="zombie", value=line, now_us=1)
            print("written", flush=True)
        except StoreInUse as error:
            print(f"fenced by {error.pid}", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def other(url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the database open until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


async def test_a_second_process_is_told_who_holds_the_database(
    other: subprocess.Popen[str], url: str
) -> None:
    """S-8: pid, host, since when; and the moment the holder dies, however, the file is free."""
    with pytest.raises(StoreInUse) as refused:
        await Database.open(url)
    assert refused.value.pid == other.pid
    assert refused.value.host == socket.gethostname()
    assert refused.value.path == str(sqlite_path(url))
    assert refused.value.since_us is not None
    assert abs(refused.value.since_us / 1_000_000 - time.time()) < 60
    other.kill()
    other.wait()
    await (await Database.open(url)).close()


async def test_a_frozen_process_keeps_the_database(other: subprocess.Popen[str], url: str) -> None:
    """F-119: stopped is not dead; the kernel still holds its lock, so nobody else may write."""
    other.send_signal(signal.SIGSTOP)
    with pytest.raises(StoreInUse) as refused:
        await Database.open(url)
    assert refused.value.pid == other.pid
    other.send_signal(signal.SIGCONT)
    assert _say(other, "still here") == "written"


async def test_a_process_that_wakes_up_after_a_takeover_is_fenced(
    other: subprocess.Popen[str], url: str
) -> None:
    """F-119, I-29: frozen, its lock lost (another host, a removed file), then it goes on."""
    assert _say(other, "before") == "written"
    other.send_signal(signal.SIGSTOP)
    sqlite_path(url).with_name("atelier.db.lock").unlink()
    later = await Database.open(url)
    await later.transact(preferences.put, key="mine", value="1", now_us=2)
    other.send_signal(signal.SIGCONT)
    assert _say(other, "too late") == f"fenced by {os.getpid()}"
    assert await later.read(preferences.get, key="zombie") == "before\n"
    await later.close()


def _say(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


async def test_a_second_instance_in_one_process_is_refused_too(
    database: Database, url: str
) -> None:
    """The first goes on undisturbed."""
    with pytest.raises(StoreInUse) as refused:
        await Database.open(url)
    assert refused.value.pid == os.getpid()
    await database.transact(preferences.put, key="a", value="1", now_us=1)


async def test_an_instance_that_lost_its_lock_is_fenced_at_its_next_write(
    database: Database, url: str
) -> None:
    """I-29: somebody removed the lock file; the later instance wins, whole transactions only."""
    await database.transact(preferences.put, key="a", value="before", now_us=1)
    path = sqlite_path(url)
    path.with_name("atelier.db.lock").unlink()
    later = await Database.open(url)
    with pytest.raises(StoreInUse) as fenced:
        await database.transact(preferences.put, key="a", value="too late", now_us=2)
    assert (fenced.value.pid, fenced.value.host) == (os.getpid(), socket.gethostname())
    assert await later.read(preferences.get, key="a") == "before"
    await later.transact(preferences.put, key="a", value="after", now_us=3)
    await later.close()


async def test_every_start_raises_the_epoch(url: str) -> None:
    """Commits of different starts can be told apart."""
    epochs = []
    for _ in range(3):
        database = await Database.open(url)
        epochs.append(
            await database.read(
                lambda c: c.exec_driver_sql("SELECT epoch FROM instance").scalar_one()
            )
        )
        await database.close()
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[1]", b'{"pid": "x", "host": 3}', b"\xff\xfe", b"{}"]
)
def test_an_unreadable_note_still_means_in_use(tmp_path: Path, note: bytes) -> None:
    """The lock counts, not what is written in it."""
    path = tmp_path / "lock"
    held = locks.FileLock.acquire(path, database=tmp_path / "db")
    path.write_bytes(note)
    with pytest.raises(StoreInUse) as refused:
        locks.FileLock.acquire(path, database=tmp_path / "db")
    assert (refused.value.pid, refused.value.host) == (None, None)
    held.release()
    held.release()


def test_a_shorter_note_leaves_nothing_of_a_longer_one(tmp_path: Path) -> None:
    """The file is one JSON object, whatever stood there."""
    path = tmp_path / "lock"
    path.write_text("x" * 1_000, encoding="utf-8")
    held = locks.FileLock.acquire(path, database=tmp_path / "db")
    assert json.loads(path.read_text(encoding="utf-8"))["pid"] == os.getpid()
    held.release()


def test_a_later_note_is_as_old_as_the_lock(tmp_path: Path) -> None:
    """S-8: who is refused is told since when the database is held, not when it was closed."""
    path = tmp_path / "lock"
    held = locks.FileLock.acquire(path, database=tmp_path / "db")
    os.utime(path, ns=(1_000_000_000, 1_000_000_000))
    held.note(log=True)
    with pytest.raises(StoreInUse) as refused:
        locks.FileLock.acquire(path, database=tmp_path / "db")
    assert (refused.value.pid, refused.value.since_us) == (os.getpid(), 1_000_000)
    held.note(log=False)
    held.release()
    held.note(log=True)
    assert not path.read_bytes()


def test_network_file_systems_are_refused(tmp_path: Path) -> None:
    """S-8: their locks cannot be trusted; what counts is the innermost mount."""
    share = tmp_path / "my share"
    local = share / "local"
    local.mkdir(parents=True)
    mounts = tmp_path / "mounts"
    point = str(share).replace(" ", r"\040")
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nnas:/x {point} nfs4 rw 0 0\n"
        f"/dev/sdb1 {point}/local ext4 rw 0 0\n",
        encoding="utf-8",
    )
    with pytest.raises(StoreUnavailable, match="nfs4"):
        locks.refuse_network_filesystem(share, mounts=mounts)
    locks.refuse_network_filesystem(local, mounts=mounts)
    locks.refuse_network_filesystem(tmp_path, mounts=mounts)


def test_without_a_mount_table_nothing_is_refused(tmp_path: Path) -> None:
    """Other systems than Linux have none."""
    locks.refuse_network_filesystem(tmp_path, mounts=tmp_path / "none")
    (tmp_path / "empty").touch()
    locks.refuse_network_filesystem(tmp_path, mounts=tmp_path / "empty")
