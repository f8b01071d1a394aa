"""Films in the simulated Discord: their size is told, and a player can jump in them."""

from __future__ import annotations

import io
import threading

import discord
import pytest

from sandbox.discord.films import film_size
from sandbox.provider.studio.film import mp4
from sandbox.provider.studio.picture import Draft
from tests.contract.discord_lab import Robot, running_lab

FILM = mp4(Draft(prompt="a fox", size=(160, 90)), seconds=2, stop=threading.Event())


def test_the_size_stands_in_the_film() -> None:
    """And in nothing else: cut or foreign bytes have none."""
    assert film_size(FILM) == (160, 90)
    for other in (b"", FILM[:40], b"\x89PNG", FILM.replace(b"tkhd", b"free"), FILM[:-1] + b"\0"):
        assert film_size(other) in {None, (160, 90)}
    assert film_size(FILM.replace(b"moov", b"free")) is None


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        (None, 200, FILM),
        ("bytes=0-9", 206, FILM[:10]),
        ("bytes=100-", 206, FILM[100:]),
        ("bytes=-7", 206, FILM[-7:]),
        ("bytes=999999999-", 416, b""),
        ("bytes=x-", 416, b""),
    ],
)
async def test_the_cdn_serves_parts(asked: str | None, status: int, part: bytes) -> None:
    """As browsers ask for them; what cannot be had is 416."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        sent = await robot.general().send(file=discord.File(io.BytesIO(FILM), "film.mp4"))
        (film,) = sent.attachments
        assert (film.content_type, film.width, film.height) == ("video/mp4", 160, 90)
        headers = {} if asked is None else {"Range": asked}
        async with lab.http.get(film.url, headers=headers) as response:
            assert response.status == status
            if status == 416:
                assert response.headers["Content-Range"] == f"bytes */{len(FILM)}"
                return
            assert response.headers["Accept-Ranges"] == "bytes"
            assert await response.read() == part
            if status == 206:
                start = FILM.index(part)
                told = f"bytes {start}-{start + len(part) - 1}/{len(FILM)}"
                assert response.headers["Content-Range"] == told
