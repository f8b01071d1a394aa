"""A result packed for one message: files where they fit, links with their end, else words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.discordio.parcels import Parcel, packed
from bot.jobs.ports import Card
from storage.types import Artifact
from tests.unit.text.test_jobs import DONE

LIMIT = 1_000
NOW_US = 1_000_000


def artifact(position: int = 0, **more: Any) -> Artifact:
    facts: dict[str, Any] = {
        "position": position,
        "filename": f"a b/{position}.png",
        "content_type": "image/png",
        "size_bytes": 10,
        "sha256": "0" * 64,
        "path": "x",
        "source_url": None,
        "source_expires_us": None,
    }
    return Artifact(**(facts | more))


@contextmanager
def parcel(
    *artifacts: Artifact, paths: tuple[Path | None, ...], limit_bytes: int | None = LIMIT
) -> Iterator[Parcel]:
    card = Card(job=DONE, model_label="M", artifacts=artifacts, result_paths=paths)
    made = packed(card, limit_bytes=limit_bytes, now_us=NOW_US)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x"
    path.write_bytes(b"0123456789")
    return path


def test_names_are_what_discord_makes_of_them(file: Path) -> None:
    """`attachment://` refers to the name after Discord's own cleaning."""
    with parcel(artifact(), paths=(file,)) as made:
        assert made.names == ("a_b_0.png",)
        assert made.notes == []


def test_a_message_takes_ten_files_and_no_more(file: Path) -> None:
    """The others are told."""
    artifacts = tuple(artifact(position) for position in range(12))

    with parcel(*artifacts, paths=(file,) * 12) as made:
        assert len(made.files) == 10
        assert made.waits


def test_all_files_together_stay_below_what_a_request_may_have(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 MiB for everything, whatever one file may have."""
    monkeypatch.setattr("bot.discordio.parcels.UPLOAD_BYTES_MAX", 15)

    with parcel(artifact(0), artifact(1), paths=(file, file)) as made:
        assert len(made.files) == 1
        assert made.waits


def test_a_file_that_vanished_after_the_look_is_gone(tmp_path: Path) -> None:
    """Somebody cleans up beside us."""
    with parcel(artifact(), paths=(tmp_path / "gone",)) as made:
        assert made.notes == ["The file is no longer here."]
        assert not made.waits


def test_without_a_path_a_link_is_all_there_is() -> None:
    """Nothing is said about sizes then."""
    here = artifact(source_url="https://x.example/a", source_expires_us=NOW_US + 1)

    with parcel(here, paths=()) as made:
        assert made.notes == ["[Open the picture](<https://x.example/a>), until <t:1:f>"]


@pytest.mark.parametrize(
    "url", ["https://x.example/" + "a" * 3_000, "https://x.example/a)b", "https://x.example/a>b"]
)
def test_an_address_that_breaks_the_card_is_not_shown(file: Path, url: str) -> None:
    with parcel(artifact(source_url=url), paths=(file,), limit_bytes=None) as made:
        assert url not in "".join(made.notes)
        assert made.waits


def test_links_share_the_room_of_one_card(file: Path) -> None:
    """Text of a message is bounded by 4,000 characters in all."""
    long = "https://x.example/" + "a" * 2_000
    artifacts = (artifact(0, source_url=long), artifact(1, source_url=long))

    with parcel(*artifacts, paths=(file, file), limit_bytes=None) as made:
        assert sum(long in note for note in made.notes) == 1
        assert made.waits
