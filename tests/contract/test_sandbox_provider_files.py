"""Results are real files that differ by what was ordered, and each way in which they go wrong."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp
import av
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestServer
from PIL import Image, ImageChops, ImageStat

from sandbox.provider.studio.palette import chance
from sandbox.provider.studio.picture import Draft, NoPicture, draw, open_picture, png
from sandbox.provider.studio.scenes import SCENES, is_night, scene_of
from tests.contract.provider_client import KEY
from tests.contract.task_client import IMAGES, VIDEOS, Tasks, running_tasks

RED = png(Image.new("RGB", (400, 200), (220, 20, 20)))


def picture_of(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        picture.load()
        return picture.convert("RGB")


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of the channels, 0 to 255."""
    return sum(ImageStat.Stat(ImageChops.difference(one, other.resize(one.size))).mean) / 3


def frames_of(data: bytes) -> tuple[list[Image.Image], Any]:
    with av.open(io.BytesIO(data), "r") as container:
        stream = container.streams.video[0]
        facts = (stream.codec_context.name, stream.codec_context.pix_fmt, stream.average_rate)
        # PyAV types `to_image` only in parts.
        frames = [f.to_image() for f in container.decode(video=0)]  # type: ignore[no-untyped-call] # see above
        return frames, facts


@pytest.fixture
async def red_url() -> Any:
    """A picture on loopback."""
    app = web.Application()

    async def serve(request: web.Request) -> web.Response:
        kind = request.match_info["name"]
        if kind == "gone":
            return web.Response(status=404)
        return web.Response(body=RED if kind == "red" else b"<html>", content_type="image/png")

    app.router.add_get("/{name}", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/red"))


# --- Pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ({}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, (1360, 768)),
        ({"aspect_ratio": "2:3", "resolution": "2k"}, (1680, 2512)),
        ({"aspect_ratio": "16:9", "resolution": "4k"}, (3840, 2160)),
        ({"aspect_ratio": "9:21", "resolution": "4k"}, (1648, 3840)),
    ],
)
async def test_pictures_have_the_ordered_shape(
    tasks: Tasks, given: dict[str, str], size: tuple[int, int]
) -> None:
    """By ratio and resolution tier."""
    assert picture_of(await tasks.made("a fox", **given)).size == size


async def test_pictures_differ_by_prompt_and_by_turn(tasks: Tasks) -> None:
    """Each order has its own picture; so has the same order again, as with a real model."""
    fox, sea, again = [
        picture_of(await tasks.made(prompt)) for prompt in ("a fox", "the sea", "a fox")
    ]
    assert difference(fox, sea) > 10
    assert difference(fox, again) > 10


async def test_the_same_order_is_reproducible() -> None:
    """Two providers draw the same picture: nothing is left to chance."""
    draft = Draft(prompt="a fox", size=(320, 200))
    assert png(draw(draft)) == png(draw(draft))


async def test_given_pictures_can_be_recognised(tasks: Tasks, red_url: str) -> None:
    """The result takes the shape of the first one, and shows it; a stand-in for those far away."""
    made = picture_of(await tasks.made("gold", image_urls=[red_url]))
    assert made.width / made.height == pytest.approx(2, rel=0.03)
    other = picture_of(await tasks.made("gold", image_urls=["https://example.com/a.png"]))
    assert other.size == (1024, 1024)
    assert difference(made, other) > 10


@pytest.mark.parametrize("name", ["gone", "html"])
async def test_unreadable_pictures_fail_the_task(tasks: Tasks, red_url: str, name: str) -> None:
    """`upstream_error`, refunded."""
    url = red_url.replace("/red", f"/{name}")
    task = await tasks.end(await tasks.create(image_urls=[url]))
    assert (task["status"], task["error"]["code"]) == ("failed", "upstream_error")
    assert await tasks.provider.consumed() == 0


@pytest.mark.parametrize("name", SCENES)
def test_every_motif_fills_its_canvas(name: str) -> None:
    """In upright, square and very wide shapes, by day and by night."""
    prompts = [f"{word} {number}" for word in ("night", "day") for number in range(2)]
    for size in ((96, 224), (160, 160), (336, 144)):
        for prompt in prompts:
            rng = chance(name, prompt)
            assert isinstance(is_night(prompt, rng), bool)
            picture = draw(Draft(prompt=f"{name} {prompt}", size=size))
            assert picture.size == size
            assert min(ImageStat.Stat(picture).stddev) > 3


def test_words_choose_the_motif() -> None:
    """The first word that can be drawn."""
    rng = chance("x")
    assert scene_of("A neon city by the sea", rng) is SCENES["city"]
    assert scene_of("the sea by a city", rng) is SCENES["waves"]
    assert scene_of("a lighthouse over the sea", rng) is SCENES["waves"]


async def test_a_demo_says_so_on_the_picture(tasks: Tasks) -> None:
    """In the corner of every result, and nowhere else."""
    async with running_tasks(label="demo") as demo:
        plain, marked = [picture_of(await one.made("a fox")) for one in (tasks, demo)]
    left, top, right, bottom = ImageChops.difference(plain, marked).getbbox() or (0, 0, 0, 0)
    assert left > plain.width / 2
    assert (right, top) > (left, 0)
    assert bottom < plain.height / 8


def test_bombs_and_rubbish_are_no_pictures() -> None:
    """A given picture is bounded before it is unpacked."""
    bomb = png(Image.new("1", (20_000, 20_000)))
    for data in (b"", b"\x89PNG\r\n\x1a\n", RED[:60], bomb):
        with pytest.raises(NoPicture):
            open_picture(data)


# --- Films -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "size", "count"),
    [
        ({"duration": 2, "aspect_ratio": "16:9"}, (854, 480), 48),
        ({"duration": 9, "aspect_ratio": "9:16", "resolution": "720p"}, (480, 854), 72),
    ],
)
async def test_films_can_be_played(
    tasks: Tasks, given: dict[str, Any], size: tuple[int, int], count: int
) -> None:
    """H.264, yuv420p, 24 frames a second, the index before the pictures, and movement."""
    data = await tasks.made("a fox", path=VIDEOS, model="wan-2.7-text-to-video", **given)
    frames, facts = frames_of(data)
    assert facts == ("h264", "yuv420p", 24)
    assert (len(frames), frames[0].size) == (count, size)
    assert data.index(b"moov") < data.index(b"mdat")
    assert len(data) < 3 * 1024 * 1024
    assert difference(frames[0], frames[count // 2]) > 2


async def test_a_film_begins_with_the_given_picture(tasks: Tasks, red_url: str) -> None:
    """Animated, in its own colours."""
    data = await tasks.made(
        "it moves", path=VIDEOS, model="wan-2.7-image-to-video", image_urls=[red_url], duration=2
    )
    frames, _ = frames_of(data)
    red, green, blue = ImageStat.Stat(frames[0]).mean
    assert red > 2 * max(green, blue)
    assert len(frames) == 48


async def test_drawing_leaves_the_server_free(tasks: Tasks) -> None:
    """While films and a 4k picture are made, others are answered."""
    names = [
        await tasks.create(path=VIDEOS),
        await tasks.create(resolution="4k", aspect_ratio="16:9"),
    ]
    answers = 0
    while any([(await tasks.look(name))["status"] != "completed" for name in names]):
        answers += 1
    assert answers > 10


# --- What goes wrong with a file -------------------------------------------------------------


async def opened(tasks: Tasks, session: aiohttp.ClientSession) -> ClientResponse:
    task = await tasks.end(await tasks.create())
    return await session.get(task["output"]["urls"][0], allow_redirects=False)


@pytest.mark.parametrize("status", [403, 404, 410, 503])
async def test_a_file_can_be_gone(tasks: Tasks, status: int) -> None:
    """F-53: once, and then it is there."""
    await tasks.fault("file_error", status=status)
    async with aiohttp.ClientSession() as session:
        async with await opened(tasks, session) as answer:
            assert answer.status == status
        assert await tasks.file(str(answer.url))
    tasks_path = "/files/images/2026/01/01/none.png"
    assert (await tasks.provider.client.get(tasks_path)).status == 404


@pytest.mark.parametrize("declared", [True, False])
async def test_a_file_can_be_huge(tasks: Tasks, *, declared: bool) -> None:
    """F-54: 2 GiB that nobody has to hold; it begins like a picture."""
    await tasks.fault("file_huge", declared=declared)
    async with aiohttp.ClientSession() as session, await opened(tasks, session) as answer:
        assert answer.content_length == (2 * 1024**3 if declared else None)
        read = 0
        async for chunk in answer.content.iter_any():
            assert read or chunk.startswith(b"\x89PNG")
            read += len(chunk)
            if read > 8 * 1024 * 1024:
                break
    assert await tasks.made("still alive")


async def test_a_huge_file_ends_where_it_says(tasks: Tasks) -> None:
    """Bounded in either form."""
    for declared in (True, False):
        await tasks.fault("file_huge", size_bytes=3_000_000, declared=declared)
        assert len(await tasks.made(f"number {declared}")) == 3_000_000


@pytest.mark.parametrize(
    ("form", "content_type", "begins"),
    [
        ("html", "text/html", b"<!doctype"),
        ("svg", "image/svg+xml", b"<?xml"),
        ("zip", "application/zip", b"PK"),
        ("json", "application/json", b"{"),
        ("empty", "application/octet-stream", b""),
    ],
)
async def test_a_file_can_be_of_another_type(
    tasks: Tasks, form: str, content_type: str, begins: bytes
) -> None:
    """F-55: honestly, or in the name of a picture."""
    for claimed in (None, "image/png"):
        await tasks.fault("file_type", form=form, claimed=claimed)
        async with aiohttp.ClientSession() as session:
            answer = await opened(tasks, session)
            assert answer.content_type == (claimed or content_type)
            assert (await answer.read()).startswith(begins)


async def test_a_file_can_be_slow_or_cut(tasks: Tasks) -> None:
    """F-56; and a connection that breaks half way."""
    await tasks.fault("file_slow", bytes_per_s=20)
    async with aiohttp.ClientSession() as session:
        answer = await opened(tasks, session)
        first = await answer.content.readany()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await answer.read()
        assert len(first) < 20
        await tasks.fault("file_cut")
        answer = await opened(tasks, session)
        with pytest.raises(aiohttp.ClientError):
            await answer.read()


@pytest.mark.parametrize("location", [None, "http://10.0.0.1/a.png", "http://169.254.169.254/"])
async def test_a_file_can_be_elsewhere(tasks: Tasks, location: str | None) -> None:
    """To itself, which is allowed, or where nobody should follow."""
    await tasks.fault("file_redirect", location=location)
    async with aiohttp.ClientSession() as session:
        async with await opened(tasks, session) as answer:
            assert answer.status == 302
            where = answer.headers["Location"]
        assert where == (location or f"{answer.url.path}?again=1")
        if location is None:
            assert await tasks.file(f"{answer.url}?again=1")


async def test_faults_strike_the_content_as_well(tasks: Tasks) -> None:
    """The OpenAI format's own way to a film."""
    video = (await (await tasks.form(prompt="a cat")).json())["id"]
    await tasks.end(video)
    await tasks.fault("file_error", status=503, endpoint="openai")
    for status in (503, 200):
        path = f"/openai/v1/videos/{video}/content"
        assert (await tasks.provider.client.get(path, headers=KEY)).status == status
    assert (await tasks.facts(video))["downloads"] == 2


async def test_the_journal_shows_that_no_key_came(tasks: Tasks) -> None:
    """A client that sends its key to the file's host can be found out."""
    await tasks.made()
    journal = (await tasks.provider.control("GET", "requests"))["requests"]
    file = next(entry for entry in journal if entry["path"].startswith("/files/"))
    assert "Authorization" not in file["headers"]
    assert next(entry for entry in journal if entry["path"] == IMAGES)["headers"]["Authorization"]
