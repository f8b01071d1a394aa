"""What a file is stands in its first bytes, and nowhere else (F-55)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.results.magic import HEAD_BYTES, TYPES, file_type
from storage.types import JobKind
from tests.unit.results.files import CONTENT_TYPES, REST, SAMPLES


@pytest.mark.parametrize("extension", SAMPLES)
def test_each_kind_is_known_by_its_mark(extension: str) -> None:
    """With the name and the type that Discord shows it by."""
    found = file_type(SAMPLES[extension])
    assert found is not None
    assert (found.extension, found.content_type) == (extension, CONTENT_TYPES[extension])
    assert (found.kind is JobKind.VIDEO) == found.content_type.startswith("video/")


def test_every_kind_has_a_sample() -> None:
    """None is added without one."""
    assert {known.extension for known in TYPES} == set(SAMPLES)


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypmp42" + REST,
        b"\0\0\0\x1cftypM4V " + REST,
        b"\0\0\0\x24ftypdash" + REST,
        b"\0\0\0\x1cftyp3gp5" + REST,
        b"\0\0\0\x1cftypMSNV" + REST,
        b"\0\0\0\x1cftypF4V " + REST,
        b"\0\0\x01\x00ftypiso6" + REST,
        b"GIF87a" + REST,
        b"\xff\xd8\xff\xdb" + REST,
        b"RIFF\0\0\0\0WEBPVP8X" + REST,
        b"RIFF\0\0\0\0WEBPVP8L" + REST,
        # A long EBML header, and a size in eight bytes.
        b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x86\x81\x01\x42\x82\x84webm" + REST,
        b"\x1a\x45\xdf\xa3\x9f\x42\x82\x01\0\0\0\0\0\0\x04webm" + REST,
    ],
)
def test_relatives_of_a_kind_are_known(head: bytes) -> None:
    """Encoders differ in brands and sizes."""
    assert file_type(head) is not None


@pytest.mark.parametrize(
    "head",
    [
        b"<!DOCTYPE html><html><body>Access denied</body></html>",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        b'{"error": {"code": "expired"}}',
        b"PK\x03\x04\x14\0\0\0",
        b"PK\x05\x06",
        b"\x1f\x8b\x08\0",
        b"Rar!\x1a\x07\x01\0",
        b"7z\xbc\xaf\x27\x1c",
        b"%PDF-1.7",
        b"\x7fELF\x02\x01\x01",
        b"MZ\x90\0",
        b"#!/bin/sh\n",
        b"BM\0\0\0\0",
        b"II*\0",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"RIFF\0\0\0\0AVI LIST",
        b"RIFF\0\0\0\0WEBPEVIL",
        b"OggS\0",
        b"ID3\x04",
        b"fLaC",
        b"\0\0\x01\xba",
        b"\0\0\0\x1cftypheic",
        b"\0\0\0\x1cftypavif",
        b"\0\0\0\x1cftypM4A ",
        b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska",
        b"\x89PNG\r\n\x1a\n\0\0\0\x0dJUNK",
        b"\x89PNG\n\x1a\n",
        b"\xff\xd8\xff\0",
        b"GIF88a",
        b" \x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
        b"x",
    ],
)
def test_everything_else_is_nothing(head: bytes) -> None:
    """However long it is, and whatever picture hides behind its first byte."""
    assert file_type(head + REST) is None
    assert file_type(head + SAMPLES[".png"]) is None


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES * 2))
def test_chance_makes_no_picture(head: bytes) -> None:
    """Only what begins with a mark is one, and judging never raises."""
    marks = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"\x1a\x45\xdf\xa3")
    assert file_type(head) is None or head.startswith(marks) or head[4:8] == b"ftyp"


@given(st.sampled_from(sorted(SAMPLES)), st.integers(0, HEAD_BYTES))
def test_a_mark_that_was_cut_off_is_none(extension: str, size: int) -> None:
    """More bytes never change a judgement that was made."""
    found = file_type(SAMPLES[extension][:size])
    assert found is None or found == file_type(SAMPLES[extension])
    assert file_type(SAMPLES[extension][: min(size, 3)]) is None


def test_a_picture_in_one_colour_is_short() -> None:
    """Forty bytes are a whole lossless WebP of 64 by 64 pixels."""
    picture = b"RIFF\x20\0\0\0WEBPVP8L\x13\0\0\0\x2f\x3f\xc0\x0f\0\x07\x10\x11\xfd\x8f"
    found = file_type(picture)
    assert found is not None
    assert found.extension == ".webp"
