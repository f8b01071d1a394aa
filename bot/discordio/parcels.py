"""A result packed for one message: files where they fit, else links with their end, else words."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import discord

from bot.discordio.job_cards import safe_filename
from bot.jobs.ports import Card
from bot.limits import CARD_LINK_CHARS_MAX, GALLERY_ITEMS_MAX, UPLOAD_BYTES_MAX
from bot.text import jobs as texts
from storage.types import Artifact, JobKind


@dataclass(slots=True, kw_only=True)
class Parcel:
    """`waits` when a file exists and neither it nor a link could go along."""

    files: list[discord.File] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    waits: bool = False

    def close(self) -> None:
        """For a parcel that is not sent; a request closes its files itself."""
        for file in self.files:
            file.close()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(file.filename for file in self.files)


def packed(card: Card, *, limit_bytes: int | None, now_us: int) -> Parcel:
    """Pack a card's results. `limit_bytes` per file; None when Discord refused the files.

    A `discord.File` is used up by one request, so each try packs anew.
    """
    parcel = Parcel()
    room_bytes = UPLOAD_BYTES_MAX
    links = _Links(card.job.kind, now_us)
    pairs = zip_longest(card.artifacts, card.result_paths[: len(card.artifacts)])
    for artifact, path in pairs:
        fits = limit_bytes is not None and artifact.size_bytes <= min(limit_bytes, room_bytes)
        if fits and len(parcel.files) < GALLERY_ITEMS_MAX:
            file = _opened(artifact, path)
            if file is not None:
                parcel.files.append(file)
                room_bytes -= artifact.size_bytes
                continue
        is_here = path is not None and path.is_file()
        if is_here:
            parcel.notes.append(texts.too_large_line(artifact.size_bytes, limit_bytes))
        link = links.line(artifact)
        if link is not None:
            parcel.notes.append(link)
        elif is_here:
            parcel.waits = True
            parcel.notes.append(texts.kept_line(card.job.short_id))
        else:
            parcel.notes.append(texts.FILE_GONE)
    return parcel


def _opened(artifact: Artifact, path: Path | None) -> discord.File | None:
    """None when the file is gone."""
    if path is None:
        return None
    try:
        return discord.File(path, filename=safe_filename(artifact.filename))
    except OSError:
        return None


class _Links:
    """Lines for results at the provider, as many as one card has room for."""

    def __init__(self, kind: JobKind, now_us: int) -> None:
        self._kind = kind
        self._now_us = now_us
        self._room_chars = CARD_LINK_CHARS_MAX

    def line(self, artifact: Artifact) -> str | None:
        url, expires_us = artifact.source_url, artifact.source_expires_us
        if url is None or (expires_us is not None and expires_us <= self._now_us):
            return None
        if len(url) > self._room_chars or any(char in url for char in "<> \n)"):
            return None
        self._room_chars -= len(url)
        return texts.link_line(self._kind, url, expires_us=expires_us)
