"""Creates over a real socket: what leaves, that it leaves once, and what comes back."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

import bot.providers
from bot.catalogue.media import MediaModel, MediaPrice, Option, OptionKind, PriceUnit
from bot.errors import AttachmentTooLarge, ProviderError, ProviderUnreachable, RequestInvalid
from bot.limits import CREATE_BODY_BYTES_MAX
from bot.providers.base import (
    Created,
    CreateVerdict,
    ImageFile,
    MediaProvider,
    NotCreated,
    Unknown,
    UnknownCause,
)
from bot.providers.http import ProviderHttp, Timeouts, make_session
from bot.providers.openai_video import OpenAIVideo
from bot.providers.tasks import Tasks, body_of
from tests.unit.providers.media_support import (
    CREATED,
    GPT_IMAGE,
    GROK,
    INSUFFICIENT_CREDITS,
    KLING,
    MODEL_REQUIRED,
    TASK_ID,
    VIDEO_ERRORS,
    VIDEO_QUEUED,
    Lab,
    Step,
    ask,
    fetch_png,
    open_lab,
)
from tests.unit.providers.support import API_KEY, PlainHost, answers, cut, error_body, reset

PROVIDERS = Path(bot.providers.__path__[0])

CALLBACK = "https://bot.example/callbacks/7/1/abc"
SOON = Timeouts(create_s=0.2)
FLAT = MediaPrice(per=PriceUnit.JOB, by=None, amounts_ucr={"": 1})

Create = Callable[[Lab], Awaitable[CreateVerdict]]


async def make_task(lab: Lab) -> CreateVerdict:
    return await lab.tasks.create(ask(), callback_url=CALLBACK)


async def make_video(lab: Lab) -> CreateVerdict:
    return await lab.videos.create(ask(KLING))


both = pytest.mark.parametrize("create", [make_task, make_video])

# --- What leaves -----------------------------------------------------------------------------


async def test_a_picture_is_asked_for_as_the_document_shows() -> None:
    """Provider-docs 001: parameters under `input`, the callback beside it, defaults spelt out."""
    async with open_lab(answers(CREATED)) as lab:
        verdict = await lab.tasks.create(
            ask(
                prompt="Turn this product photo into a clean studio shot on a white background",
                image_urls=("https://example.com/source.png",),
                options={"aspect_ratio": "1:1"},
            ),
            callback_url=CALLBACK,
        )
    assert verdict == Created(task_id=TASK_ID)
    (seen,) = lab.seen
    assert (seen.method, seen.path) == ("POST", "/v1/images/generations")
    assert seen.headers["Authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["Content-Type"] == "application/json"
    assert json.loads(seen.body) == {
        "model": "gpt-image-2",
        "input": {
            "prompt": "Turn this product photo into a clean studio shot on a white background",
            "image_urls": ["https://example.com/source.png"],
            "aspect_ratio": "1:1",
            "resolution": "1k",
            "nsfw_checker": True,
        },
        "callback_url": CALLBACK,
    }


async def test_a_video_by_task_has_its_own_path_and_names() -> None:
    """Providers.md 1.8: `duration` is a whole number there (trap 40), `size` becomes its parts."""
    async with open_lab(answers(CREATED)) as lab:
        await lab.tasks.create(ask(GROK, options={"seconds": "10", "size": "16:9 720P"}))
    (seen,) = lab.seen
    assert seen.path == "/v1/videos/generations"
    assert json.loads(seen.body) == {
        "model": "grok-imagine-text-to-video",
        "input": {
            "prompt": "A cat",
            "duration": 10,
            "resolution": "720p",
            "aspect_ratio": "16:9",
            "mode": "normal",
            "nsfw_checker": True,
        },
    }


async def test_pictures_alone_are_a_request_and_the_checker_can_be_off() -> None:
    """Trap 30; F-150 decides elsewhere when the check may be off."""
    async with open_lab(answers(CREATED)) as lab:
        await lab.tasks.create(
            ask(prompt=" ", image_urls=("https://example.com/a.png",), nsfw_checker=False)
        )
    sent = json.loads(lab.seen[0].body)["input"]
    assert "prompt" not in sent
    assert sent["nsfw_checker"] is False


async def test_half_a_surrogate_pair_does_not_stop_a_request() -> None:
    """F-143: Discord lets it through, UTF-8 cannot carry it."""
    async with open_lab(answers(CREATED), answers(VIDEO_QUEUED)) as lab:
        await lab.tasks.create(ask(prompt="é\ud800"))
        await lab.videos.create(ask(KLING, prompt="é\ud800"))
    assert json.loads(lab.seen[0].body)["input"]["prompt"] == "é?"
    assert lab.seen[1].form["prompt"].text == "é?"


async def test_a_video_in_the_openai_format_is_a_form_even_without_a_file() -> None:
    """Provider-docs 004 and trap 42: multipart, and `seconds` is text."""
    async with open_lab(answers(VIDEO_QUEUED)) as lab:
        verdict = await lab.videos.create(
            ask(KLING, prompt="A calico cat", options={"seconds": 10, "size": "720x1280"}),
            callback_url=CALLBACK,
        )
    assert verdict == Created(task_id="video_123")
    (seen,) = lab.seen
    assert (seen.method, seen.path) == ("POST", "/v1/videos")
    assert seen.headers["Authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert {name: part.text for name, part in seen.form.items()} == {
        "model": "kling-v2-master",
        "prompt": "A calico cat",
        "seconds": "10",
        "size": "720x1280",
    }


async def test_a_picture_for_a_video_goes_along_as_a_file() -> None:
    """Provider-docs 004: `input_reference` holds the bytes, with their type and name."""
    async with open_lab(answers(VIDEO_QUEUED)) as lab:
        request = ask(KLING, image_urls=("https://cdn.example/a.png",))
        assert isinstance(await lab.videos.create(request, fetch_image=fetch_png), Created)
    part = lab.seen[0].form["input_reference"]
    assert part.data == (await fetch_png("")).data
    assert (part.filename, part.content_type) == ("i.png", "image/png")


async def test_a_picture_that_cannot_be_fetched_stops_the_request_before_it_leaves() -> None:
    """Nothing was sent, so nothing was created."""

    async def too_large(_url: str) -> ImageFile:
        raise AttachmentTooLarge(filename="a.png", size_bytes=2, limit_bytes=1)

    request = ask(KLING, image_urls=("https://cdn.example/a.png",))
    async with open_lab(answers(VIDEO_QUEUED)) as lab:
        refused = await lab.videos.create(request, fetch_image=too_large)
        helpless = await lab.videos.create(request)
    assert isinstance(refused, NotCreated)
    assert isinstance(refused.error, AttachmentTooLarge)
    assert isinstance(helpless, NotCreated)
    assert isinstance(helpless.error, RequestInvalid)
    assert helpless.error.field == "input_reference"
    assert not lab.seen


@pytest.mark.parametrize("model", [GPT_IMAGE, KLING])
async def test_a_request_that_breaks_a_rule_never_leaves(model: MediaModel) -> None:
    """Trap 28 and all others: told before the network, as a verdict."""
    async with open_lab(answers(CREATED)) as lab:
        provider: MediaProvider = lab.tasks if model is GPT_IMAGE else lab.videos
        verdict = await provider.create(ask(model, prompt=""))
    assert isinstance(verdict, NotCreated)
    assert isinstance(verdict.error, RequestInvalid)
    assert not verdict.retryable
    assert not lab.seen


def test_the_name_at_the_provider_may_differ_from_ours() -> None:
    """Providers.md 0: ids are configuration."""
    other = replace(GROK, wire_id="grok-9")
    assert body_of(ask(other), callback_url=None)["model"] == "grok-9"


def test_addresses_of_other_media_travel_as_a_list() -> None:
    """An option of kind urls, such as a model that edits a video has."""
    films = Option(name="films", send="video_urls", kind=OptionKind.URLS, low=1, high=2)
    model = replace(GROK, options={"films": films}, price=FLAT, nsfw_checker=None)
    body = body_of(ask(model, options={"films": ("https://a.example/1.mp4",)}), callback_url=None)
    assert body["input"] == {"prompt": "A cat", "video_urls": ["https://a.example/1.mp4"]}


# --- Once, and only there -------------------------------------------------------------------------


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def half(request: web.Request) -> web.StreamResponse:
    """Answer the first half of a success, then drop the connection."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = 1_000
    await response.prepare(request)
    await response.write(json.dumps(CREATED).encode()[:40])
    await cut(request)
    return response


def page(raw: bytes, status: int = 200) -> Step:
    return answers(raw, status=status, headers={"Content-Type": "text/html"})


@both
@pytest.mark.parametrize(
    ("step", "cause"),
    [
        (reset, UnknownCause.NO_ANSWER),
        (hang, UnknownCause.NO_ANSWER),
        (half, UnknownCause.MALFORMED),
        (answers(error_body("internal_error"), status=500), UnknownCause.SERVER_ERROR),
        (page(b"<html>", status=502), UnknownCause.UNDOCUMENTED),
        (answers(b"", status=503), UnknownCause.UNDOCUMENTED),
        (answers(b"{}" * CREATE_BODY_BYTES_MAX), UnknownCause.MALFORMED),
        (page(b"<html>"), UnknownCause.MALFORMED),
        (answers({"code": 500, "msg": "x"}), UnknownCause.ENVELOPE),
        (answers({"code": 200, "data": {}}), UnknownCause.TASK_ID_MISSING),
    ],
)
async def test_a_create_leaves_once_whatever_happens(
    create: Create, step: Step, cause: UnknownCause
) -> None:
    """F-38, F-41 to F-43, F-46: read, then reset or nonsense; one request, and nobody knows."""
    async with open_lab(step, timeouts=SOON) as lab:
        verdict = await create(lab)
    assert isinstance(verdict, Unknown)
    assert verdict.cause is cause
    assert len(lab.seen) == 1
    assert not lab.clock.slept_s


@both
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed_and_the_key_stays(create: Create, status: int) -> None:
    """F-44: neither to another path nor to another host."""
    async with open_lab(answers(CREATED)) as other, open_lab() as lab:
        for place in (f"{other.base_url}/images/generations", "/v1/elsewhere"):
            lab.script = [answers(b"", status=status, headers={"Location": place})]
            verdict = await create(lab)
            assert isinstance(verdict, Unknown)
            assert verdict.cause is UnknownCause.REDIRECT
            assert verdict.status == status
    assert len(lab.seen) == 2
    assert not other.seen


@both
async def test_every_create_has_a_connection_of_its_own(create: Create) -> None:
    """A pooled one may be stale, which would make the answer unknown for nothing."""
    async with open_lab(answers({**CREATED, "id": "video_1", "code": 200})) as lab:
        await create(lab)
        await create(lab)
    assert lab.seen[0].peer != lab.seen[1].peer


@both
async def test_without_a_connection_it_may_be_tried_again(create: Create) -> None:
    """F-45: refused; the engine decides when, the client does not."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with make_session() as session:
        http = ProviderHttp(
            session, provider="aivideo", base_url=f"http://127.0.0.1:{port}/v1", api_key=API_KEY
        )
        lab = Lab()
        lab.tasks, lab.videos = Tasks(http), OpenAIVideo(http)
        verdict = await create(lab)
    assert isinstance(verdict, NotCreated)
    assert isinstance(verdict.error, ProviderUnreachable)
    assert verdict.retryable


async def test_a_failed_handshake_is_no_connection() -> None:
    """F-45: over TLS nothing leaves before the handshake ends."""
    async with PlainHost(b"no TLS here") as port, make_session() as session:
        http = ProviderHttp(
            session, provider="aivideo", base_url=f"https://127.0.0.1:{port}/v1", api_key=API_KEY
        )
        verdict = await Tasks(http).create(ask())
    assert isinstance(verdict, NotCreated)
    assert isinstance(verdict.error, ProviderUnreachable)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02",
        b"HTTP/1.1 banana\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde",
        HEAD + b"Content-Length: 50\r\n\r\n{",
        HEAD + b"X-Long: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: \xff\xfe\r\nRetry-After: \xff\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_http_are_unknown_and_no_exception(raw: bytes) -> None:
    """`create` never raises for anything that the wire does."""
    async with PlainHost(raw) as port, make_session() as session:
        http = ProviderHttp(
            session,
            provider="aivideo",
            base_url=f"http://127.0.0.1:{port}/v1",
            api_key=API_KEY,
            timeouts=Timeouts(create_s=2.0),
        )
        assert isinstance(await Tasks(http).create(ask()), Unknown)


# --- Both error tables -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, MODEL_REQUIRED, "ProviderRejected"),
        (401, error_body("invalid_api_key"), "InvalidApiKey"),
        (402, INSUFFICIENT_CREDITS, "ProviderCreditsExhausted"),
        (403, error_body("ip_not_allowed"), "IpNotAllowed"),
        (404, error_body("model_not_found"), "ModelNotFound"),
        (429, error_body("rate_limit_exceeded"), "RateLimited"),
        (429, error_body("spend_limit_exceeded"), "SpendLimitExceeded"),
        (503, error_body("upstream_error"), "UpstreamError"),
        (200, {"code": 402, "msg": "no"}, "ProviderCreditsExhausted"),
    ],
)
async def test_each_refusal_of_the_task_document(status: int, body: Any, expected: str) -> None:
    """F-30 … F-37, F-40, F-42: not created, one request, and the error has its class."""
    step = answers(body, status=status, headers={"Retry-After": "12"})
    async with open_lab(step) as lab:
        verdict = await make_task(lab)
    assert isinstance(verdict, NotCreated)
    assert type(verdict.error).__name__ == expected
    assert isinstance(verdict.error, ProviderError)
    assert verdict.error.provider == "aivideo"
    assert verdict.retryable == (expected == "RateLimited")
    assert verdict.retry_after_s == (12.0 if verdict.retryable else None)
    assert len(lab.seen) == 1


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, "ProviderRejected"),
        (401, "InvalidApiKey"),
        (403, "InsufficientPermissions"),
        (429, "RateLimited"),
        (500, "server_error"),
    ],
)
async def test_each_error_of_the_video_document(status: int, expected: str) -> None:
    """Provider-docs 004, its five bodies word for word; 500 is unknown, as everywhere."""
    async with open_lab(answers(VIDEO_ERRORS[status], status=status)) as lab:
        verdict = await make_video(lab)
    if isinstance(verdict, NotCreated):
        assert type(verdict.error).__name__ == expected
    else:
        assert isinstance(verdict, Unknown)
        assert verdict.cause == expected


def test_nothing_that_tries_again_is_within_reach_of_a_create() -> None:
    """Section 5, test (iv), decision 2: tenacity wraps reads in one module, and no create."""
    users = {path.name for path in PROVIDERS.parent.rglob("*.py") if "tenacity" in path.read_text()}
    assert users == {"http.py"}
    create_road = ("tasks.py", "openai_video.py", "media_http.py", "../jobs/submitting.py")
    for name in create_road:
        source = (PROVIDERS / name).read_text()
        assert not re.search(r"\b(_tries|Retrying|retry)\(|\.post\(path", source), name
        assert "_http.post(" not in source, name
        assert "send_create(" in source or "provider.create(" in source, name
