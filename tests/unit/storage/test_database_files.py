"""The database's files: made once, kept private, never replaced, never opened damaged."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection

from storage import locks, preferences, readonly, sqlite
from storage.database import Database, lock_path, sqlite_path
from storage.errors import StoreCorrupt, StoreUnavailable


def put(connection: Connection, key: str, value: str = "1") -> None:
    preferences.put(connection, key=key, value=value, now_us=1)


async def test_files_are_for_their_owner_only(url: str) -> None:
    """C-34: directory 0700; the database, its log and its companions 0600."""
    database = await Database.open(url)
    path = sqlite_path(url)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    modes = {entry.name: entry.stat().st_mode & 0o777 for entry in path.parent.iterdir()}
    assert set(modes) >= {"atelier.db", "atelier.db-wal", "atelier.db.lock", "atelier.db.exists"}
    assert set(modes.values()) == {0o600}
    await database.close()


async def test_a_database_that_others_could_read_is_closed_to_them(url: str) -> None:
    """Such as one that was copied back from a backup."""
    await (await Database.open(url)).close()
    path = sqlite_path(url)
    path.chmod(0o644)
    await (await Database.open(url)).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("leftover", ["marker", "log"])
@pytest.mark.parametrize("how", ["removed", "emptied"])
async def test_a_missing_database_is_never_replaced_by_an_empty_one(
    url: str, how: str, leftover: str
) -> None:
    """F-113: the marker, or a log without its database, tells that one existed."""
    await (await Database.open(url)).close()
    path = sqlite_path(url)
    if leftover == "log":
        path.with_name("atelier.db.exists").unlink()
        path.with_name("atelier.db-wal").write_bytes(b"frames")
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(b"")
    with pytest.raises(StoreCorrupt) as refused:
        await Database.open(url)
    assert refused.value.cause == "missing"
    assert refused.value.path == str(path)
    assert path.exists() == (how == "emptied")


async def test_who_removes_the_marker_too_gets_a_new_database(url: str) -> None:
    """The deliberate way to begin anew."""
    await (await Database.open(url)).close()
    path = sqlite_path(url)
    path.unlink()
    path.with_name("atelier.db.exists").unlink()
    await (await Database.open(url)).close()
    assert path.stat().st_size > 0


async def _killed(url: str, folder: Path) -> Path:
    """The files as `kill -9` leaves them: the last commit is in the log alone."""
    database = await Database.open(url)
    await database.transact(put, "last")
    shutil.copytree(sqlite_path(url).parent, folder)
    await database.close()
    return folder / "atelier.db"


async def test_a_log_that_was_taken_away_is_missed(url: str, tmp_path: Path) -> None:
    """F-113: SQLite itself never leaves the index of a log without the log; commits are lost."""
    path = await _killed(url, tmp_path / "killed")
    log = path.with_name("atelier.db-wal")
    kept = log.read_bytes()
    log.unlink()
    before = path.read_bytes()
    for _ in range(2):
        with pytest.raises(StoreCorrupt) as refused:
            await Database.open(f"sqlite+aiosqlite:///{path}")
        assert refused.value.cause == "log missing"
        assert not log.exists()
    assert path.read_bytes() == before
    log.write_bytes(kept)
    database = await Database.open(f"sqlite+aiosqlite:///{path}")
    assert await database.read(preferences.get, key="last") == "1"
    assert not database.misses_log
    await database.close()


@pytest.mark.parametrize("companions", [("-wal", "-shm"), ()])
async def test_a_log_that_may_have_been_taken_away_is_told(
    url: str, tmp_path: Path, companions: tuple[str, ...]
) -> None:
    """F-113: both gone, after a kill: lost, or another tool wrote them into the database. Once."""
    path = await _killed(url, tmp_path / "killed")
    for companion in companions:
        path.with_name(path.name + companion).unlink()
    for is_told in (bool(companions), False):
        database = await Database.open(f"sqlite+aiosqlite:///{path}")
        assert database.misses_log is is_told
        await database.close()


async def test_a_log_is_not_missed_before_it_was_made_or_after_it_was_taken_in(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-113: killed between lock and first statement, or between last checkpoint and release."""
    path = sqlite_path(url)
    await (await Database.open(url)).close()
    lock = locks.FileLock.acquire(lock_path(path), database=path)
    shutil.copytree(path.parent, tmp_path / "before")
    lock.release()
    release = locks.FileLock.release

    def copied(lock: locks.FileLock) -> None:
        shutil.copytree(path.parent, tmp_path / "after")
        release(lock)

    database = await Database.open(url)
    with monkeypatch.context() as patch:
        patch.setattr(locks.FileLock, "release", copied)
        await database.close()
    for moment in ("before", "after"):
        assert not (tmp_path / moment / "atelier.db-wal").exists()
        assert lock_path(tmp_path / moment / "atelier.db").stat().st_size
        database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / moment / 'atelier.db'}")
        assert not database.misses_log
        await database.close()


@pytest.mark.parametrize("refusal", ["log missing", "damaged", "killed at once"])
async def test_a_start_that_came_to_nothing_leaves_the_word_to_the_next(
    url: str, tmp_path: Path, refusal: str
) -> None:
    """F-113: whatever it was refused for, the commits in the lost log are still missing."""
    path = await _killed(url, tmp_path / "killed")
    before, index = path.read_bytes(), path.with_name("atelier.db-shm")
    path.with_name("atelier.db-wal").unlink()
    if refusal != "log missing":
        index.unlink()
    if refusal == "damaged":
        path.write_bytes(b"\xa5" * len(before))
    if refusal == "killed at once":
        lock = locks.FileLock.acquire(lock_path(path), database=path)
        note = lock_path(path).read_bytes()
        lock.release()
        lock_path(path).write_bytes(note)
    else:
        with pytest.raises(StoreCorrupt):
            await Database.open(f"sqlite+aiosqlite:///{path}")
    path.write_bytes(before)
    index.unlink(missing_ok=True)
    for is_told in (True, False):
        database = await Database.open(f"sqlite+aiosqlite:///{path}")
        assert database.misses_log is is_told
        await database.close()


async def test_no_log_is_missed_where_none_has_to_be(url: str) -> None:
    """Before the first start, after an orderly end, and when somebody only looked meanwhile."""
    for _ in range(3):
        database = await Database.open(url)
        assert not database.misses_log
        readonly.view(url, lambda c: c.exec_driver_sql("SELECT 1").close())
        await database.close()
        readonly.view(url, lambda c: c.exec_driver_sql("SELECT 1").close())


def _overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


@pytest.mark.parametrize("damage", ["header", "pages", "truncated", "another file"])
async def test_a_damaged_file_is_refused(url: str, damage: str) -> None:
    """F-113: nothing is repaired, nothing is replaced; a person must decide."""
    database = await Database.open(url)
    for number in range(50):
        await database.transact(put, f"key {number}", value="x" * 1_000)
    await database.close()
    path = sqlite_path(url)
    if damage == "header":
        _overwrite(path, 0, b"not SQLite at all")
    if damage == "pages":
        chance = random.Random(1)
        for page in range(1, path.stat().st_size // 4_096):
            _overwrite(path, page * 4_096, chance.randbytes(256))
    if damage == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    if damage == "another file":
        path.write_text("Dear diary, …\n" * 1_000, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt) as refused:
        await Database.open(url)
    assert refused.value.path == str(path)
    assert path.read_bytes() == before


async def test_flipped_bytes_are_refused_or_change_nothing_that_holds(url: str) -> None:
    """F-113: fifty random pages, one at a time; whatever opens is whole by every rule we have."""
    database = await Database.open(url)
    for number in range(50):
        await database.transact(put, f"key {number}", value="x" * 1_000)
    await database.close()
    path = sqlite_path(url)
    sound = path.read_bytes()
    chance, refused = random.Random(113), 0
    for _ in range(50):
        damaged = bytearray(sound)
        page = chance.randrange(len(sound) // 4_096)
        for _byte in range(64):
            damaged[page * 4_096 + chance.randrange(4_096)] ^= chance.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            opened = await Database.open(url)
        except StoreCorrupt:
            refused += 1
            assert path.read_bytes() == damaged
        else:
            assert await opened.read(sqlite.quick_check) is None
            await opened.close()
        for companion in ("-wal", "-shm"):
            path.with_name(path.name + companion).unlink(missing_ok=True)
    assert refused > 10  # the others hit what no page uses


async def test_a_database_of_a_later_release_is_left_alone(url: str) -> None:
    """F-113: nothing is undone; the operator installs that release again."""
    await (await Database.open(url)).close()
    path = sqlite_path(url)
    outside = sqlite3.connect(path)
    outside.execute("UPDATE alembic_version SET version_num = '9999'")
    outside.commit()
    outside.close()
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match="9999"):
        await Database.open(url)
    assert path.read_bytes() == before


async def test_a_row_that_breaks_a_rule_is_damage(url: str) -> None:
    """The check at the start reads every row against the schema, not only the pages."""
    await (await Database.open(url)).close()
    outside = sqlite3.connect(sqlite_path(url))
    outside.execute("PRAGMA ignore_check_constraints = ON")
    outside.execute("UPDATE accounts SET balance_ucr = -5 WHERE kind = 'spent'")
    outside.commit()
    outside.close()
    with pytest.raises(StoreCorrupt, match="accounts"):
        await Database.open(url)


async def test_damage_at_run_time_is_named(database: Database, url: str) -> None:
    """A file that is overwritten under us is corrupt, not merely unavailable."""
    await database.transact(put, "a", value="x" * 100_000)
    await database.transact(lambda c: c.exec_driver_sql("PRAGMA cache_size = 0").close())
    outside = sqlite3.connect(sqlite_path(url))
    outside.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    outside.close()
    path = sqlite_path(url)
    for page in range(1, path.stat().st_size // 4_096):
        _overwrite(path, page * 4_096, b"\xff" * 4_096)
    with pytest.raises(StoreCorrupt):
        await database.transact(put, "b")


async def test_an_unwritable_place_is_unavailable(tmp_path: Path) -> None:
    """Where the directory should be there is a file."""
    (tmp_path / "data").write_text("in the way", encoding="utf-8")
    with pytest.raises(StoreUnavailable):
        await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'data' / 'atelier.db'}")


async def test_a_directory_in_place_of_the_file_is_unavailable(url: str) -> None:
    """And its lock is let go, so that a second try says the same."""
    sqlite_path(url).mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await Database.open(url)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "atelier.db",
        "sqlite:///atelier.db",
        "postgresql+asyncpg://localhost/atelier",
        "sqlite+aiosqlite://",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///atelier.db?mode=ro",
    ],
)
async def test_other_urls_are_refused(wrong: str) -> None:
    """Only a plain file, named with its driver."""
    with pytest.raises(ValueError, match=r"URL|supported|file path"):
        await Database.open(wrong)
