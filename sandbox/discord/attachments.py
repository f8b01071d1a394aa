"""Uploaded files: storing them within a bound, and the CDN that hands them out again.

Addresses look like Discord's (`ex`, `is`, `hm`) and are checked like Discord's: without a valid
signature, or after a day, the answer is 404.
"""

from __future__ import annotations

import hashlib
import hmac
import mimetypes
import re
import secrets
import struct
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from sandbox.discord.clock import Clock
from sandbox.discord.errors import FormErrors, too_large
from sandbox.discord.films import film_size
from sandbox.discord.world import Attachment

# --- limits ------------------------------------------------------------------------------------
FILE_BYTES_MAX = 10 * 1024 * 1024
"""Discord's default per file since 2024; told in `attachment_size_limit` (reliability.md 1.4)."""
STORE_BYTES_MAX = 256 * 1024 * 1024
"""All files together, kept in memory; beyond it the oldest answer 404."""
FILES_PER_MESSAGE_MAX = 10
"""Discord's limit."""
FILENAME_CHARS_MAX = 255
"""Longer names are cut, as file systems would."""
URL_LIFE_S = 24 * 60 * 60
"""Discord's signed addresses live for a day."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it came in. `name` is the form field, such as "files[0]"."""

    name: str
    filename: str
    data: bytes
    content_type: str | None = None
    description: str | None = None


def clean_filename(name: str) -> str:
    """The name that Discord gives a file; `attachment://` refers to this one."""
    return _UNSAFE.sub("_", name)[-FILENAME_CHARS_MAX:] or "unknown"


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF or JPEG from its header; None for anything else."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        width, height = struct.unpack(">II", data[16:24])
        return width, height
    if data[:6] in {b"GIF87a", b"GIF89a"} and len(data) >= 10:
        width, height = struct.unpack("<HH", data[6:10])
        return width, height
    return _jpeg_size(data) if data[:2] == b"\xff\xd8" else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in range(0xC0, 0xD0) and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None


class AttachmentStore:
    """Keeps the bytes and signs the addresses. `base_url` is told once the port is known."""

    def __init__(self, *, clock: Clock, file_bytes_max: int = FILE_BYTES_MAX) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._files: dict[int, tuple[Attachment, bytes]] = {}
        self._stored_bytes = 0
        self.file_bytes_max = file_bytes_max
        self.base_url = ""

    def check(self, uploads: tuple[Upload, ...]) -> None:
        """Refuse too many (50035) or too large files (40005)."""
        if len(uploads) > FILES_PER_MESSAGE_MAX:
            errors = FormErrors()
            errors.add(
                ("attachments",),
                "BASE_TYPE_MAX_LENGTH",
                f"Must be {FILES_PER_MESSAGE_MAX} or fewer in length.",
            )
            errors.raise_if_any()
        if any(len(upload.data) > self.file_bytes_max for upload in uploads):
            raise too_large()

    def add(
        self, upload: Upload, *, attachment_id: int, channel_id: int, ephemeral: bool = False
    ) -> Attachment:
        """Store one file that `check` let pass."""
        filename = clean_filename(upload.filename)
        guessed = mimetypes.guess_type(filename)[0]
        size = picture_size(upload.data) or film_size(upload.data)
        attachment = Attachment(
            id=attachment_id,
            channel_id=channel_id,
            filename=filename,
            content_type=guessed or upload.content_type or "application/octet-stream",
            size_bytes=len(upload.data),
            ephemeral=ephemeral,
            description=upload.description,
            width=size[0] if size else None,
            height=size[1] if size else None,
        )
        self._files[attachment.id] = (attachment, upload.data)
        self._stored_bytes += len(upload.data)
        while self._stored_bytes > STORE_BYTES_MAX and len(self._files) > 1:
            _, old = self._files.pop(next(iter(self._files)))
            self._stored_bytes -= len(old)
        return attachment

    def url(self, attachment: Attachment) -> str:
        """A signed address, valid for a day from now (whole hours, so that it stays stable)."""
        issued_s = self._clock.now_ms() // 3_600_000 * 3_600
        expires, start = f"{issued_s + URL_LIFE_S:x}", f"{issued_s:x}"
        path = self._path(attachment)
        return (
            f"{self.base_url}/cdn/{path}"
            f"?ex={expires}&is={start}&hm={self._sign(path, expires, start)}&"
        )

    async def serve(self, request: web.Request) -> web.Response:
        """GET /cdn/(ephemeral-)attachments/{channel}/{attachment}/{filename}."""
        stored = self._files.get(int(request.match_info["attachment_id"]))
        if stored is None or not self._signature_holds(stored[0], request):
            return web.Response(status=404, text="This content is no longer available.")
        attachment, data = stored
        part = _range_of(request, len(data))
        if part is None:
            headers = {"Content-Range": f"bytes */{len(data)}"}
            return web.Response(status=416, headers=headers)
        told = {}
        if "Range" in request.headers:
            told = {"Content-Range": f"bytes {part.start}-{part.stop - 1}/{len(data)}"}
        return web.Response(
            status=206 if told else 200,
            body=data[part.start : part.stop],
            headers={
                **told,
                # Without it a browser's player cannot jump.
                "Accept-Ranges": "bytes",
                "Content-Type": attachment.content_type,
                "X-Content-Type-Options": "nosniff",
                # A page of the same origin must not be scripted by an uploaded file.
                "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
            },
        )

    def _signature_holds(self, attachment: Attachment, request: web.Request) -> bool:
        path = self._path(attachment)
        if request.path != f"/cdn/{path}":
            return False
        expires, start = request.query.get("ex", ""), request.query.get("is", "")
        if not re.fullmatch(r"[0-9a-f]{1,12}", expires):
            return False
        if int(expires, 16) * 1000 < self._clock.now_ms():
            return False
        mac = request.query.get("hm", "")
        return hmac.compare_digest(self._sign(path, expires, start).encode(), mac.encode())

    def _sign(self, path: str, expires: str, start: str) -> str:
        text = f"{path}|{expires}|{start}".encode()
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    @staticmethod
    def _path(attachment: Attachment) -> str:
        folder = "ephemeral-attachments" if attachment.ephemeral else "attachments"
        name = quote(attachment.filename)
        return f"{folder}/{attachment.channel_id}/{attachment.id}/{name}"


def _range_of(request: web.Request, size_bytes: int) -> range | None:
    """The bytes that are asked for; None when there are none such."""
    try:
        asked = request.http_range
    except ValueError:
        return None
    start, stop, _ = asked.indices(size_bytes)
    return range(start, stop) if start < stop or "Range" not in request.headers else None


def cdn_routes(store: AttachmentStore) -> list[web.RouteDef]:
    """Where the files are fetched from."""
    place = r"{channel_id:\d{1,20}}/{attachment_id:\d{1,20}}/{filename}"
    return [
        web.get(f"/cdn/attachments/{place}", store.serve),
        web.get(f"/cdn/ephemeral-attachments/{place}", store.serve),
    ]
