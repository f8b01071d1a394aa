"""Results as files: whole, or bent by a switch. No key is asked for, and none should come."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from typing import Final

from aiohttp import web

from sandbox.provider.delivery import ClientLeft, Delivery, Pace
from sandbox.provider.studio.studio import Rendered
from sandbox.provider.tasks.switches import Switch

CHUNK_BYTES: Final = 64 * 1024
ZEROS: Final = bytes(CHUNK_BYTES)
HTML: Final = b"<!doctype html><title>Sign in</title><script>alert(1)</script><h1>Sign in</h1>"
SVG: Final = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="64" height="64">'
    b"<script>alert(1)</script><rect width='64' height='64' fill='red'/></svg>"
)


class FileServer:
    """Serves one result at a time; `closing` ends those that never would."""

    def __init__(self, closing: asyncio.Event) -> None:
        self._closing = closing

    async def serve(
        self,
        request: web.Request,
        rendered: Rendered,
        switch: Switch | None,
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        """Raises `ClientLeft`."""
        if switch is None:
            return web.Response(
                body=rendered.data, content_type=rendered.content_type, headers=headers
            )
        match switch.kind:
            case "file_error":
                return web.Response(status=switch["status"], text="<Error>NoSuchKey</Error>")
            case "file_redirect":
                location = switch["location"] or f"{request.path}?again=1"
                return web.Response(status=302, headers={"Location": location})
            case "file_type":
                data, content_type = other_file(switch["form"])
                return web.Response(body=data, content_type=switch["claimed"] or content_type)
        return await self._stream(request, rendered, switch, headers)

    async def _stream(
        self,
        request: web.Request,
        rendered: Rendered,
        switch: Switch,
        headers: Mapping[str, str],
    ) -> web.StreamResponse:
        delivery = Delivery(request, Pace, self._closing)
        response = web.StreamResponse(headers=headers)
        response.content_type = rendered.content_type
        if switch.kind == "file_huge":
            if switch["declared"]:
                response.content_length = max(switch["size_bytes"], len(rendered.data))
            chunks = _padded(rendered.data, switch["size_bytes"])
        else:
            response.content_length = len(rendered.data)
            chunks = _pieces(rendered.data, switch, delivery)
        await response.prepare(request)
        try:
            async for chunk in chunks:
                delivery.require_client()
                await response.write(chunk)
            if switch.kind == "file_cut":
                delivery.abort()
                raise ClientLeft
            await response.write_eof()
        except ConnectionError as error:
            raise ClientLeft from error
        return response


async def _padded(data: bytes, size_bytes: int) -> AsyncIterator[bytes]:
    """The file, and then nothing but zeros."""
    yield data
    left = size_bytes - len(data)
    while left > 0:
        yield ZEROS[:left]
        left -= CHUNK_BYTES


async def _pieces(data: bytes, switch: Switch, delivery: Delivery) -> AsyncIterator[bytes]:
    if switch.kind == "file_cut":
        yield data[: len(data) // 2]
        return
    rate = switch["bytes_per_s"]
    size = max(1, int(rate / 20))
    for start in range(0, len(data), size):
        yield data[start : start + size]
        await delivery.wait(size / rate)


def other_file(form: str) -> tuple[bytes, str]:
    """Bytes and honest content type of what no picture and no film is."""
    match form:
        case "html":
            return HTML, "text/html"
        case "svg":
            return SVG, "image/svg+xml"
        case "zip":
            target = io.BytesIO()
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("picture.png", "no picture")
            return target.getvalue(), "application/zip"
        case "json":
            return b'{"error":{"code":"expired"}}', "application/json"
        case _:
            return b"", "application/octet-stream"
