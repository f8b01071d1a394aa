"""The folder of results on a real disk (F-12, F-54, F-111)."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import shutil
import stat
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import AnswerLost, ResultUnavailable, ResultUnusable, SettingsInvalid
from bot.limits import RESULT_IMAGE_BYTES_MAX
from bot.results.folder import BYTES_MAX, ResultFolder, folder_beside
from storage.types import JobKind
from tests.unit.results.files import CONTENT_TYPES, MP4, PNG, SAMPLES, folder_in, left_in, stream


def kind_of(extension: str) -> JobKind:
    return JobKind(CONTENT_TYPES[extension].partition("/")[0])


@pytest.mark.parametrize("extension", SAMPLES)
async def test_a_file_is_kept_under_a_name_of_ours(tmp_path: Path, extension: str) -> None:
    """With the facts of its bytes, readable by nobody else."""
    folder = await folder_in(tmp_path)
    data = SAMPLES[extension]
    kept = await folder.keep(stream(data[:5], b"", data[5:]), kind=kind_of(extension))
    path = folder.path_of(kept.path)
    assert path is not None
    assert path.read_bytes() == data
    assert kept.sha256 == hashlib.sha256(data).hexdigest()
    assert kept.size_bytes == len(data)
    assert (kept.extension, kept.content_type) == (extension, CONTENT_TYPES[extension])
    assert left_in(tmp_path) == [kept.path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_file_is_on_the_disk_before_anybody_hears_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F-115: first its bytes, then the name they appear under."""
    folder = await folder_in(tmp_path)
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        is_directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        names = left_in(tmp_path)
        synced.append("directory" if is_directory else f"file as {names[0][-5:]}")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    assert synced == ["file as .part", "directory"]


@given(cuts=st.lists(st.integers(1, 3_000), max_size=20))
async def test_how_the_bytes_are_cut_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    """One byte at a time or all at once: the same file."""
    folder = await folder_in(tmp_path_factory.mktemp("cuts"))
    data = PNG + bytes(range(256)) * 8
    chunks, rest = [], data
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]
    kept = await folder.keep(stream(*chunks, rest), kind=JobKind.IMAGE)
    assert kept.sha256 == hashlib.sha256(data).hexdigest()


async def test_a_short_file_is_a_file(tmp_path: Path) -> None:
    """It ends before the bytes that are looked at do."""
    folder = await folder_in(tmp_path)
    kept = await folder.keep(stream(PNG[:20], PNG[20:40]), kind=JobKind.IMAGE)
    assert kept.size_bytes == 40


async def test_equal_files_have_different_names(tmp_path: Path) -> None:
    """Two jobs may have the same picture, and one of them be deleted."""
    folder = await folder_in(tmp_path)
    first = await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    second = await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    assert first.path != second.path
    await folder.remove([first.path])
    assert folder.path_of(first.path) is None
    assert folder.path_of(second.path) is not None
    await folder.remove([first.path])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (MP4, JobKind.IMAGE),
        (PNG, JobKind.VIDEO),
        (b"<html>" + PNG, JobKind.IMAGE),
        (b"PK\x03\x04" + b"\0" * 100, JobKind.VIDEO),
        (PNG[:12], JobKind.IMAGE),
        (b"", JobKind.IMAGE),
    ],
)
async def test_what_is_no_result_of_this_kind_leaves_nothing_behind(
    tmp_path: Path, data: bytes, kind: JobKind
) -> None:
    """F-55: a film is no picture, and a page is neither."""
    folder = await folder_in(tmp_path)
    with pytest.raises(ResultUnusable):
        await folder.keep(stream(data), kind=kind)
    assert left_in(tmp_path) == []


async def test_a_wrong_kind_is_refused_before_the_rest_is_waited_for(tmp_path: Path) -> None:
    """Its first bytes are enough."""
    folder = await folder_in(tmp_path)
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        while True:
            seen += 1
            yield b"<html>" * 20

    with pytest.raises(ResultUnusable):
        await folder.keep(endless(), kind=JobKind.IMAGE)
    assert seen == 1


async def test_an_endless_file_is_cut_with_bounded_memory(tmp_path: Path) -> None:
    """F-54: counted while streaming; a picture has 64 MiB at most."""
    folder = await folder_in(tmp_path)
    chunk = b"\0" * 256 * 1024
    seen = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal seen
        yield PNG
        while True:
            seen += len(chunk)
            yield chunk

    tracemalloc.start()
    try:
        with pytest.raises(ResultUnusable):
            await folder.keep(endless(), kind=JobKind.IMAGE)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert RESULT_IMAGE_BYTES_MAX - len(chunk) <= seen <= RESULT_IMAGE_BYTES_MAX + len(chunk)
    assert peak_bytes < 8 * 1024 * 1024
    assert left_in(tmp_path) == []


async def test_an_error_of_the_source_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The provider's own errors stay what they are."""
    folder = await folder_in(tmp_path)

    async def cut() -> AsyncIterator[bytes]:
        yield MP4
        raise AnswerLost(provider="video")

    with pytest.raises(AnswerLost):
        await folder.keep(cut(), kind=JobKind.VIDEO)
    assert left_in(tmp_path) == []


async def test_a_cancelled_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """S-11: the process ends in the middle of a file."""
    folder = await folder_in(tmp_path)
    begun = asyncio.Event()

    async def stuck() -> AsyncIterator[bytes]:
        yield PNG
        begun.set()
        await asyncio.Event().wait()

    keeping = asyncio.create_task(folder.keep(stuck(), kind=JobKind.IMAGE))
    await begun.wait()
    assert [name.endswith(".part") for name in left_in(tmp_path)] == [True]
    keeping.cancel()
    await asyncio.wait({keeping})
    assert keeping.cancelled()
    assert left_in(tmp_path) == []


async def test_half_written_files_of_a_former_process_are_dropped(tmp_path: Path) -> None:
    """F-12: the rest is kept, and so is what is not ours."""
    directory = tmp_path / "results"
    directory.mkdir(mode=0o755)
    (directory / f".{'a' * 32}.part").write_bytes(PNG)
    (directory / f"{'b' * 32}.png").write_bytes(PNG)
    (directory / "notes.txt").write_text("the operator's")
    await ResultFolder.open(directory)
    assert left_in(tmp_path) == [f"{'b' * 32}.png", "notes.txt"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


async def test_the_sweep_takes_what_former_processes_left_and_nothing_else(
    tmp_path: Path,
) -> None:
    """Neither what the database names, nor what this process made a moment ago."""
    folder = await folder_in(tmp_path)
    directory = tmp_path / "results"
    named, orphan = f"{'a' * 32}.png", f"{'b' * 32}.mp4"
    for name in (named, orphan, f".{'c' * 32}.part", "notes.txt", "x.png"):
        (directory / name).write_bytes(PNG)
    fresh = await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    assert await folder.remove_others([named]) == 2
    assert left_in(tmp_path) == sorted([named, "notes.txt", "x.png", fresh.path])
    assert await folder.remove_others([named]) == 0


BAD_NAMES = [
    *("", ".", "..", "/etc/passwd", "../atelier.db", "a.png", f"{'a' * 32}.exe"),
    *(f"{'a' * 32}.png/..", f"../{'a' * 32}.png", f"{'A' * 32}.png", f"{'a' * 32}.png\n"),
    *(f"{'a' * 32}.png\0", f".{'a' * 32}.part", f"{'a' * 31}.png", f"{'a' * 32}"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_only_names_of_ours_lead_into_the_folder(tmp_path: Path, name: str) -> None:
    """Whatever somebody wrote into a row."""
    folder = await folder_in(tmp_path)
    with pytest.raises(ValueError, match="name"):
        folder.path_of(name)
    with pytest.raises(ValueError, match="name"):
        await folder.remove([name])


async def test_a_link_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A name of ours that leads elsewhere is no file of ours."""
    folder = await folder_in(tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("x")
    (tmp_path / "results" / f"{'a' * 32}.png").symlink_to(secret)
    assert folder.path_of(f"{'a' * 32}.png") is None
    await folder.remove([f"{'a' * 32}.png"])
    assert secret.exists()


async def test_a_full_folder_takes_no_more_until_something_left(tmp_path: Path) -> None:
    """The bound holds for all files together, whoever put them there."""
    folder = await folder_in(tmp_path, folder_bytes_max=BYTES_MAX[JobKind.IMAGE] + 1_000)
    ballast = tmp_path / "results" / f"{'a' * 32}.png"
    ballast.write_bytes(b"\0" * 1_001)
    with pytest.raises(ResultUnavailable):
        await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    assert await folder.missing_bytes(JobKind.IMAGE) == 1
    await folder.remove([ballast.name])
    assert await folder.missing_bytes(JobKind.IMAGE) == 0
    kept = await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    assert left_in(tmp_path) == [kept.path]


async def test_the_database_keeps_room_on_the_disk(tmp_path: Path) -> None:
    """F-111: files end before the disk does."""
    await folder_in(tmp_path)
    folder = ResultFolder(tmp_path / "results", disk_free_bytes_min=10**18)
    with pytest.raises(ResultUnavailable):
        await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []
    assert await folder.missing_bytes(JobKind.IMAGE) > 10**17


async def test_the_disk_says_how_much_of_it_is_free(tmp_path: Path) -> None:
    """F-111: in millionths of all of it."""
    folder = await folder_in(tmp_path)
    disk = shutil.disk_usage(tmp_path)
    assert await folder.disk_free_ppm() == pytest.approx(disk.free / disk.total * 1e6, abs=10_000)


async def test_a_disk_that_does_not_take_it_is_a_trouble_that_passes(tmp_path: Path) -> None:
    """F-112: an error in the middle of writing, by a real limit of the operating system."""
    folder = await folder_in(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(ResultUnavailable):
            await folder.keep(stream(PNG), kind=JobKind.IMAGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_in(tmp_path) == []


async def test_a_folder_that_cannot_be_made_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    """The operator reads where, before Discord hears of us."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SettingsInvalid) as caught:
        await ResultFolder.open(tmp_path / "taken" / "results")
    assert caught.value.problems[0]["where"] == "DATABASE_URL"


def test_each_database_has_a_folder_of_its_own() -> None:
    """Two installations in one directory must not sweep each other's files."""
    first, second = folder_beside(Path("data/a.db")), folder_beside(Path("data/b.db"))
    assert first != second
    assert first.parent == second.parent == Path("data")
