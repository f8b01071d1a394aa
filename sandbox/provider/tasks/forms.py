"""A create in the OpenAI video format: multipart, every value a text (provider-docs 004)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from aiohttp import BodyPartReader, web

from sandbox.provider.errors import Refusal
from sandbox.provider.tasks.gateway_models import FORMAT_DEFAULT, FORMAT_MODELS, FormatModel
from sandbox.provider.tasks.models import Kind
from sandbox.provider.tasks.orders import Order, digest_of
from sandbox.provider.wire import Json

FILE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Of the picture; above Discord's upload limit."""
TEXT_BYTES_MAX: Final = 256 * 1024
"""Of one field: the longest prompt in four-byte characters."""
PARTS_MAX: Final = 16
FIELDS: Final = ("prompt", "model", "seconds", "size", "input_reference")
PICTURES: Final = ("image/png", "image/jpeg", "image/webp")

_MAGIC: Final = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRow:
    """One row of the error bodies of the format. Their statuses are the usual ones (trap 44)."""

    status: int
    code: str
    type: str
    message: str


def _row(status: int, code: str, kind: str, message: str) -> FormatRow:
    return FormatRow(status=status, code=code, type=kind, message=message)


FORMAT_ROWS: Final = {
    row.code: row
    for row in (
        _row(400, "invalid_parameter", "invalid_request_error", "Invalid request parameters"),
        _row(401, "invalid_api_key", "authentication_error", "Invalid API key"),
        _row(403, "insufficient_permissions", "permission_error", "Insufficient permissions"),
        _row(429, "rate_limit_exceeded", "rate_limit_error", "Rate limit exceeded"),
        _row(500, "internal_error", "server_error", "Internal server error"),
        # These two are not in the document; gateways of the format know them (providers.md 0, 3).
        _row(402, "insufficient_credits", "billing_error", "Insufficient balance"),
        _row(503, "model_not_found", "invalid_request_error", "No available channel"),
    )
}


class FormatError(Refusal):
    """An answer of `FORMAT_ROWS`."""

    def __init__(self, code: str, message: str | None = None, *, status: int | None = None) -> None:
        row = FORMAT_ROWS[code]
        super().__init__(message or row.message)
        self.row = row
        self.message = message or row.message
        self.status = status or row.status

    def body(self) -> Json:
        facts = {"message": self.message, "type": self.row.type, "code": self.row.code}
        return {"error": facts}


def bad(field: str, rule: str) -> FormatError:
    return FormatError("invalid_parameter", f"Invalid request parameters: '{field}' {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What came: the text fields, and the picture with its name and type."""

    fields: dict[str, str]
    picture: bytes | None = None
    filename: str = ""
    content_type: str = ""

    def shown(self) -> Json:
        """For the journal: facts of the picture in place of its bytes."""
        shown: Json = dict(self.fields)
        if self.picture is not None:
            shown["input_reference"] = {
                "filename": self.filename,
                "content_type": self.content_type,
                "size_bytes": len(self.picture),
                "sha256": hashlib.sha256(self.picture).hexdigest(),
            }
        return shown


async def read_parts(request: web.Request) -> Parts:
    """Raises `FormatError` for anything that is no such form."""
    if request.content_type != "multipart/form-data":
        raise FormatError("invalid_parameter", "Content-Type must be multipart/form-data")
    fields: dict[str, str] = {}
    picture: bytes | None = None
    filename = content_type = ""
    try:
        reader = await request.multipart()
        for _ in range(PARTS_MAX):
            part = await reader.next()
            if part is None:
                break
            name = part.name if isinstance(part, BodyPartReader) else None
            if not isinstance(part, BodyPartReader) or name not in FIELDS:
                raise bad(str(name)[:100], "is not supported.")
            if name in fields or (name == "input_reference" and picture is not None):
                raise bad(name, "must be given once.")
            if name == "input_reference":
                picture = await _read(part, FILE_BYTES_MAX)
                filename = part.filename or ""
                content_type = part.headers.get("Content-Type", "")
            else:
                fields[name] = (await _read(part, TEXT_BYTES_MAX)).decode()
        else:
            raise FormatError("invalid_parameter", "The form has too many parts")
    except ValueError as error:
        raise FormatError("invalid_parameter", "The form cannot be read") from error
    return Parts(fields=fields, picture=picture, filename=filename, content_type=content_type)


async def _read(part: BodyPartReader, bytes_max: int) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > bytes_max:
            raise bad(str(part.name), "is too large.")
    return bytes(data)


def read_form(parts: Parts) -> Order:
    """Raises `FormatError`."""
    fields = parts.fields
    model = _model(fields.get("model") or FORMAT_DEFAULT)
    prompt = fields.get("prompt", "")
    if not prompt.strip():
        raise bad("prompt", "is required.")
    if len(prompt) > model.prompt_chars_max:
        raise bad("prompt", f"must be at most {model.prompt_chars_max} characters.")
    seconds = fields.get("seconds", model.seconds[0])
    if seconds not in model.seconds:
        raise bad("seconds", f"must be one of {', '.join(model.seconds)}.")
    size = fields.get("size", model.sizes[0])
    if size not in model.sizes:
        raise bad("size", f"must be one of {', '.join(model.sizes)}.")
    _check_picture(parts)
    return Order(
        kind=Kind.VIDEO,
        model=model.id,
        prompt=prompt,
        price_ucr=model.amount_ucr(seconds=seconds, size=size),
        digest=digest_of(parts.shown()),
        size=size,
        seconds=int(seconds),
        images=() if parts.picture is None else (parts.picture,),
        inner_model=model.id,
    )


def _model(name: str) -> FormatModel:
    model = FORMAT_MODELS.get(name)
    if model is None:
        raise FormatError("model_not_found", f"No available channel for model {name[:100]}")
    return model


def _check_picture(parts: Parts) -> None:
    if parts.picture is None:
        return
    if not parts.filename:
        raise bad("input_reference", "must be a file.")
    if parts.content_type not in PICTURES or not _MAGIC.match(parts.picture):
        raise bad("input_reference", "must be a PNG, JPEG or WebP picture.")
