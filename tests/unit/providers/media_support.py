"""A host on loopback for creates, states and films, and the documents' own samples."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.catalogue.loader import load
from bot.catalogue.media import MediaModel
from bot.providers.base import ImageFile, MediaRequest
from bot.providers.http import ProviderHttp, Timeouts, make_session
from bot.providers.openai_video import OpenAIVideo
from bot.providers.tasks import Tasks
from tests.unit.providers.support import API_KEY, InstantClock

CATALOGUE = load()
GPT_IMAGE = CATALOGUE.image_models["gpt-image-2"]
GROK = CATALOGUE.video_models["grok-imagine-text-to-video"]
KLING = CATALOGUE.video_models["kling-v2-master"]

Step = Callable[[web.Request], Awaitable[web.StreamResponse]]

# --- Provider-docs 001, word for word --------------------------------------------------------

CREATED: dict[str, Any] = {
    "code": 200,
    "msg": "success",
    "data": {"taskId": "397ce9f2-c04e-4244-ac33-3af19a7cc297"},
}
TASK_ID = "397ce9f2-c04e-4244-ac33-3af19a7cc297"
COMPLETED: dict[str, Any] = {
    "id": TASK_ID,
    "status": "completed",
    "model": "gpt-image-2",
    "created_at": 1775383908,
    "completed_at": 1775383910,
    "output": {
        "urls": ["https://file.aivideoapi.ai/images/2026/04/05/abc123.png"],
        "metadata": {"model": "gpt-image-2-image-to-image", "costTime": 70},
    },
}
FAILED: dict[str, Any] = {
    "id": "57c8772c-f834-46f3-9b7d-81f92e104050",
    "status": "failed",
    "model": "gpt-image-2",
    "created_at": 1775383908,
    "error": {"code": "upstream_error", "message": "Generation failed"},
}
INSUFFICIENT_CREDITS: dict[str, Any] = {
    "error": {
        "code": "insufficient_credits",
        "message": "Your credit balance is too low. Please top up.",
        "type": "billing_error",
    }
}
MODEL_REQUIRED: dict[str, Any] = {
    "error": {
        "code": "invalid_request",
        "message": "'model' is required.",
        "type": "invalid_request_error",
    }
}

# --- Provider-docs 004, word for word --------------------------------------------------------

VIDEO_QUEUED: dict[str, Any] = {
    "id": "video_123",
    "object": "video",
    "model": "sora-2",
    "status": "queued",
    "progress": 0,
    "created_at": 1712697600,
    "size": "1024x1808",
    "seconds": "8",
    "quality": "standard",
}
VIDEO_WITH_URL: dict[str, Any] = {
    **VIDEO_QUEUED,
    "status": "completed",
    "progress": 100,
    "url": "https://example.com/video.mp4",
}
VIDEO_DETAILS: dict[str, Any] = {
    "id": "video_123",
    "object": "video",
    "model": "sora-2",
    "status": "completed",
    "progress": 100,
    "created_at": 1712697600,
    "completed_at": 1712698000,
    "expires_at": 1712784400,
    "size": "1024x1808",
    "seconds": "8",
    "quality": "standard",
    "remixed_from_video_id": None,
    "error": None,
}
VIDEO_ERRORS: dict[int, dict[str, Any]] = {
    400: {
        "error": {
            "message": "Invalid request parameters",
            "type": "invalid_request_error",
            "code": "invalid_parameter",
        }
    },
    401: {
        "error": {
            "message": "Invalid API key",
            "type": "authentication_error",
            "code": "invalid_api_key",
        }
    },
    403: {
        "error": {
            "message": "Insufficient permissions",
            "type": "permission_error",
            "code": "insufficient_permissions",
        }
    },
    429: {
        "error": {
            "message": "Rate limit exceeded",
            "type": "rate_limit_error",
            "code": "rate_limit_exceeded",
        }
    },
    500: {
        "error": {
            "message": "Internal server error",
            "type": "server_error",
            "code": "internal_error",
        }
    },
}

MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(range(256)) * 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a form as it came."""

    text: str
    data: bytes
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, Part]
    peer: object


@dataclass(slots=True, kw_only=True)
class Lab:
    """A host that answers with the steps of `script` in order; the last one repeats."""

    script: list[Step] = field(default_factory=list)
    seen: list[Received] = field(default_factory=list)
    clock: InstantClock = field(default_factory=InstantClock)
    base_url: str = ""
    tasks: Tasks = field(init=False)
    videos: OpenAIVideo = field(init=False)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        form: dict[str, Part] = {}
        if request.content_type.startswith("multipart/"):
            form = await _parts(request)
        self.seen.append(
            Received(
                method=request.method,
                path=request.path,
                headers=dict(request.headers),
                body=b"" if form else await request.read(),
                form=form,
                peer=request.transport.get_extra_info("peername"),
            )
        )
        return await self.script[min(len(self.seen), len(self.script)) - 1](request)


async def _parts(request: web.Request) -> dict[str, Part]:
    parts = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            data = value.file.read()
            value.file.close()
            parts[name] = Part(
                text="", data=data, filename=value.filename, content_type=value.content_type
            )
        else:
            assert isinstance(value, str)
            parts[name] = Part(text=value, data=b"", filename=None, content_type=None)
    return parts


@asynccontextmanager
async def open_lab(*script: Step, timeouts: Timeouts | None = None) -> AsyncIterator[Lab]:
    """Run a host, with both protocols pointed at it."""
    lab = Lab(script=list(script))
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", lab.handle)
    async with TestServer(app, host="127.0.0.1") as server, make_session() as session:
        lab.base_url = str(server.make_url("/v1"))

        def http(provider: str) -> ProviderHttp:
            return ProviderHttp(
                session,
                provider=provider,
                base_url=lab.base_url,
                api_key=API_KEY,
                clock=lab.clock,
                rng=random.Random(7),
                timeouts=timeouts,
            )

        lab.tasks = Tasks(http("aivideo"))
        lab.videos = OpenAIVideo(http("video"))
        yield lab


def ask(model: MediaModel = GPT_IMAGE, prompt: str = "A cat", **fields: Any) -> MediaRequest:
    return MediaRequest(model=model, kind=model.kind, prompt=prompt, **fields)


async def fetch_png(_url: str) -> ImageFile:
    """Stand where the guarded fetcher stands; more than aiohttp likes to take as `bytes`."""
    return ImageFile(data=b"\x89PNG" + b"x" * 2_000_000, content_type="image/png", filename="i.png")
