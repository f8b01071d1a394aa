"""What is known of a file that was secured."""

from __future__ import annotations

from dataclasses import dataclass

from bot.errors import ResultUnavailable

NO_ROOM = "no_room"
"""The fact of a `ResultUnavailable` when the folder or its disk is full (F-111)."""
NOT_STORED = "disk"
"""The fact of one when the disk did not take the file (F-112)."""


def is_ours(error: ResultUnavailable) -> bool:
    """Whether we could not keep the file: the provider still has it."""
    return not {NO_ROOM, NOT_STORED}.isdisjoint(error.args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that was secured: its name in the result folder, and what its bytes are.

    `extension` begins with a dot; `sha256` is in hexadecimal.
    """

    path: str
    content_type: str
    extension: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A member's picture in memory, with a name of ours (C-15)."""

    data: bytes
    content_type: str
    filename: str
