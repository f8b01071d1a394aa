"""What bytes are, told from the bytes: pure (F-55).

A header can say anything, and Discord shows a file by its name, so the name must fit the bytes.
HTML, SVG, archives and every other kind are nothing to us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from storage.types import JobKind

HEAD_BYTES = 64
"""Enough for every mark below. A picture in one colour may be shorter than that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileType:
    """A kind of file that Discord shows. `extension` begins with a dot."""

    content_type: str
    extension: str
    kind: JobKind


PNG = FileType(content_type="image/png", extension=".png", kind=JobKind.IMAGE)
JPEG = FileType(content_type="image/jpeg", extension=".jpg", kind=JobKind.IMAGE)
WEBP = FileType(content_type="image/webp", extension=".webp", kind=JobKind.IMAGE)
GIF = FileType(content_type="image/gif", extension=".gif", kind=JobKind.IMAGE)
MP4 = FileType(content_type="video/mp4", extension=".mp4", kind=JobKind.VIDEO)
MOV = FileType(content_type="video/quicktime", extension=".mov", kind=JobKind.VIDEO)
WEBM = FileType(content_type="video/webm", extension=".webm", kind=JobKind.VIDEO)
TYPES = (PNG, JPEG, WEBP, GIF, MP4, MOV, WEBM)

_PATTERNS: tuple[tuple[re.Pattern[bytes], FileType], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kind)
    for pattern, kind in (
        (rb"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", PNG),
        # The third byte begins the next marker.
        (rb"\xff\xd8\xff[\xc0-\xfe]", JPEG),
        (rb"RIFF.{4}WEBPVP8[ LX]", WEBP),
        (rb"GIF8[79]a", GIF),
        # ISO base media: the size of the first box, its type, its brand.
        (rb"\0\0..ftypqt  ", MOV),
        (rb"\0\0..ftyp(?:isom|iso[2-9a-m]|mp4[12]|avc1|av01|hvc1|hev1)", MP4),
        (rb"\0\0..ftyp(?:M4V[ HP]|dash|msdh|cmfc|MSNV|mmp4|F4V |3g[pg2][0-9a-z]|XAVC)", MP4),
        # EBML, of which Matroska is another use: the document's type must be WebM.
        (rb"\x1a\x45\xdf\xa3.{1,48}?\x42\x82(?:\x84|\x40\x04|\x01\0{6}\x04)webm", WEBM),
    )
)


def file_type(head: bytes) -> FileType | None:
    """Judge the first `HEAD_BYTES` of a file, or all of a shorter one."""
    matching = (kind for pattern, kind in _PATTERNS if pattern.match(head[:HEAD_BYTES]))
    return next(matching, None)
