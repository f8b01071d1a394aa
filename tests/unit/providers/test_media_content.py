"""Films behind the key, and who makes what: `/content` and the registry."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping

import pytest
from aiohttp import web

from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    InvalidApiKey,
    ModelNotFound,
    ProviderError,
    ProviderRejected,
    ProviderUnreachable,
)
from bot.limits import CONTENT_BYTES_MAX, CONTENT_REDIRECTS_MAX
from bot.providers.base import Content
from bot.providers.http import ProviderHttp, Timeouts, make_session
from bot.providers.openai_video import OpenAIVideo
from bot.providers.registry import MediaProviders
from tests.unit.providers.media_support import (
    CATALOGUE,
    GPT_IMAGE,
    GROK,
    KLING,
    MP4,
    VIDEO_ERRORS,
    Lab,
    Step,
    open_lab,
)
from tests.unit.providers.support import API_KEY, answers, cut, reset


def film(
    data: bytes = MP4, content_type: str = "video/mp4", headers: Mapping[str, str] | None = None
) -> Step:
    return answers(data, headers={"Content-Type": content_type, **(headers or {})})


async def download(lab: Lab) -> bytes:
    async with lab.videos.content("video_123") as content:
        return await whole(content)


async def whole(content: Content) -> bytes:
    return b"".join([chunk async for chunk in content.chunks])


async def test_a_film_is_read_with_the_key() -> None:
    """Provider-docs 004; trap 46: the address is of no use without the key."""
    async with open_lab(film()) as lab, lab.videos.content("video_123") as content:
        assert (content.content_type, content.size_bytes) == ("video/mp4", len(MP4))
        assert content.redirect_url is None
        assert await whole(content) == MP4
    (seen,) = lab.seen
    assert (seen.method, seen.path) == ("GET", "/v1/videos/video_123/content")
    assert seen.headers["Authorization"] == f"Bearer {API_KEY}"


async def test_a_redirect_within_the_origin_is_followed() -> None:
    """Rule 8: at most a few."""
    moved = answers(b"", status=302, headers={"Location": "/v1/files/1"})
    async with open_lab(moved, film()) as lab:
        assert await download(lab) == MP4
    assert [seen.path for seen in lab.seen] == ["/v1/videos/video_123/content", "/v1/files/1"]


async def test_the_key_never_follows_a_redirect_to_another_origin() -> None:
    """Rule 4: the guarded fetcher decides about the other host, without our key."""
    async with open_lab(film()) as other, open_lab() as lab:
        place = f"{other.base_url}/files/1?sig=x"
        lab.script = [answers(b"", status=307, headers={"Location": place})]
        async with lab.videos.content("video_123") as content:
            assert content.redirect_url == place
            assert await whole(content) == b""
    assert not other.seen


@pytest.mark.parametrize("place", [None, "ftp://a/b", "http://", "http://me@host/", "http://[x"])
async def test_a_redirect_to_nowhere_is_malformed(place: str | None) -> None:
    """Whatever cannot be fetched safely is not handed on."""
    step = answers(b"", status=302, headers={"Location": place} if place is not None else {})
    async with open_lab(step) as lab:
        with pytest.raises(AnswerMalformed):
            await download(lab)


async def test_redirects_have_an_end() -> None:
    """A loop is cut."""
    async with open_lab(answers(b"", status=302, headers={"Location": "/v1/again"})) as lab:
        with pytest.raises(AnswerMalformed) as caught:
            await download(lab)
    assert caught.value.code == "redirect_loop"
    assert len(lab.seen) == CONTENT_REDIRECTS_MAX + 1


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (film(b'{"error":"not yet"}', "application/json"), "no_video"),
        (film(b"<html>", "text/html"), "no_video"),
        (film(b"<html>not a film at all</html>"), "no_video"),
        (film(b"short"), "no_video"),
        (film(b""), "no_video"),
        (answers(b"", status=204), "no_video"),
    ],
)
async def test_what_is_no_film_is_refused(step: Step, code: str) -> None:
    """Rule 8 and F-55: by its type, and by its first bytes."""
    async with open_lab(step) as lab:
        with pytest.raises(AnswerMalformed) as caught:
            await download(lab)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, VIDEO_ERRORS[400], ProviderRejected),
        (401, VIDEO_ERRORS[401], InvalidApiKey),
        (404, {"error": {"message": "not ready"}}, AnswerMalformed),
    ],
)
async def test_content_that_is_not_there_is_an_error(
    status: int, body: object, expected: type[ProviderError]
) -> None:
    """Providers.md 3.1, row *Content not ready*."""
    async with open_lab(answers(body, status=status)) as lab:
        with pytest.raises(expected):
            await download(lab)


async def test_a_film_that_says_it_is_too_large_is_not_begun() -> None:
    """F-54: by its own word."""

    async def huge(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        response.content_length = CONTENT_BYTES_MAX + 1
        await response.prepare(request)
        return response

    async with open_lab(huge) as lab:
        with pytest.raises(AnswerMalformed) as caught:
            await download(lab)
    assert caught.value.code == "too_large"


async def test_a_film_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """F-54: by count, whatever the head said."""
    monkeypatch.setattr("bot.limits.CONTENT_BYTES_MAX", 50_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        for _ in range(100):
            await response.write(MP4)
        return response

    async with open_lab(endless) as lab:
        with pytest.raises(AnswerMalformed) as caught:
            await download(lab)
    assert caught.value.code == "too_large"


async def test_a_film_that_is_cut_off_is_lost() -> None:
    """Providers.md 3.1: a gateway's own budget may end it; the GET may be repeated."""

    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        response.content_length = 2 * len(MP4)
        await response.prepare(request)
        await response.write(MP4)
        await cut(request)
        return response

    async with open_lab(half) as lab:
        with pytest.raises(AnswerLost):
            await download(lab)


@pytest.mark.parametrize("slow", [Timeouts(content_idle_s=0.1), Timeouts(content_s=0.1)])
async def test_a_film_that_stops_is_lost(slow: Timeouts) -> None:
    """F-56: between two chunks, and in all."""

    async def stall(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        await response.write(MP4)
        await asyncio.Event().wait()
        return response

    async with open_lab(stall, timeouts=slow) as lab:
        with pytest.raises(AnswerLost):
            await download(lab)


async def test_trouble_of_the_reader_stays_its_own() -> None:
    """A full disk while a film is stored is not the provider's fault."""
    async with open_lab(film()) as lab:
        with pytest.raises(OSError, match="disk full"):
            async with lab.videos.content("video_123"):
                raise OSError("disk full")


async def test_a_film_of_a_host_that_is_not_there() -> None:
    """F-45: no connection; the engine tries again."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with make_session() as session:
        videos = OpenAIVideo(
            ProviderHttp(
                session, provider="video", base_url=f"http://127.0.0.1:{port}/v1", api_key=API_KEY
            )
        )
        with pytest.raises(ProviderUnreachable):
            async with videos.content("video_123"):
                pass


async def test_a_film_whose_host_says_nothing_is_lost() -> None:
    """F-46 for a read: worth another try."""
    async with open_lab(reset) as lab:
        with pytest.raises(AnswerLost):
            await download(lab)


async def test_first_bytes_may_come_one_by_one() -> None:
    """The marks of a film may straddle chunks."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "video/mp4"})
        await response.prepare(request)
        for position in range(20):
            await response.write(MP4[position : position + 1])
            await asyncio.sleep(0)
        await response.write(MP4[20:])
        return response

    async with open_lab(drip) as lab:
        assert await download(lab) == MP4


# --- Who makes what ----------------------------------------------------------------------------


async def test_models_are_off_while_their_host_is_not_set_up() -> None:
    """Without VIDEO_API_KEY the gateway's models are off, the others work."""
    async with make_session() as session:
        aivideo, video = (
            ProviderHttp(session, provider=name, base_url="http://127.0.0.1:9/v1", api_key=API_KEY)
            for name in ("aivideo", "video")
        )
        some = MediaProviders(aivideo)
        both = MediaProviders(aivideo, video)
    assert [some.available(model) for model in (GPT_IMAGE, GROK, KLING)] == [True, True, False]
    with pytest.raises(ModelNotFound) as caught:
        some.for_model(KLING)
    assert caught.value.model == KLING.id
    assert both.for_model(KLING) is both.for_provider("video")
    assert both.for_model(GROK) is both.for_model(GPT_IMAGE)
    models = [*CATALOGUE.image_models.values(), *CATALOGUE.video_models.values()]
    assert all(both.available(model) for model in models)
