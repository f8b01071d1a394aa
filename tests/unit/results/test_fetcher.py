"""Fetching results over real sockets, from hosts that mean well and hosts that do not (C-12)."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import shutil
import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bot.errors import (
    AttachmentTooLarge,
    AttachmentUnsupported,
    PictureGone,
    ResultUnavailable,
    ResultUnusable,
)
from bot.limits import ATTACHMENT_BYTES_MAX, RESULT_IMAGE_BYTES_MAX, RESULT_REDIRECTS_MAX
from storage.types import JobKind
from tests.unit.results.files import (
    MP4,
    PNG,
    QUICK,
    SAMPLES,
    FileHost,
    Zone,
    fetcher_in,
    folder_in,
    left_in,
    raw_host,
)

GIB = 1024**3


async def test_a_result_is_secured_with_the_facts_of_its_bytes(
    tmp_path: Path, host: FileHost
) -> None:
    """Its name and its header may say what they like."""
    url = host.serve("/a/b.exe", PNG, Content_Type="text/html", Content_Disposition="x; ../y")
    fetcher = await fetcher_in(tmp_path)
    fetched = await fetcher.secure(url, kind=JobKind.IMAGE)
    path = (await folder_in(tmp_path)).path_of(fetched.path)
    assert path is not None
    assert path.read_bytes() == PNG
    assert fetched.sha256 == hashlib.sha256(PNG).hexdigest()
    assert (fetched.content_type, fetched.extension) == ("image/png", ".png")
    film = await fetcher.secure(host.serve("/film", MP4), kind=JobKind.VIDEO)
    assert film.content_type == "video/mp4"


async def test_a_presigned_address_arrives_as_it_was_signed(tmp_path: Path, host: FileHost) -> None:
    """Its query is a signature over its own spelling."""
    host.serve("/a~b", PNG)
    url = host.url("/a%7Eb?X-Sig=%2b%2F%3D&y=a+b&empty=")
    await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert host.requests[0].raw_path == "/a%7Eb?X-Sig=%2b%2F%3D&y=a+b&empty="


async def test_no_key_no_cookie_and_no_proxy_ever(
    tmp_path: Path, host: FileHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-13: whatever the environment holds, and whatever a former answer wished to set."""
    proxied = host.on("/proxied", _never)
    netrc = tmp_path / "netrc"
    netrc.write_text("default login canary password canary\n")
    netrc.chmod(0o600)
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxied)
    monkeypatch.setenv("NETRC", str(netrc))
    host.serve("/there", PNG, Set_Cookie="canary=2")
    url = host.serve("/here", b"", status=302, Location="/there", Set_Cookie="canary=1; Path=/")
    fetcher = await fetcher_in(tmp_path)
    for _ in range(2):
        await fetcher.secure(url, kind=JobKind.IMAGE)
    assert host.paths == ["/here", "/there"] * 2
    allowed = {"Host", "Accept", "Accept-Encoding", "User-Agent", "Connection"}
    for request in host.requests:
        assert set(request.headers) <= allowed
        assert request.headers["Accept-Encoding"] == "identity"
        assert "canary" not in str(request.headers)


# --- What is refused for good -------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE html><html>Sign in</html>" + b" " * 100,
        b"<svg xmlns='http://www.w3.org/2000/svg'/>" + b" " * 100,
        b"PK\x03\x04" + b"\0" * 100,
        MP4,
        PNG[:12],
        b"",
    ],
)
async def test_what_is_no_picture_is_unusable(tmp_path: Path, host: FileHost, body: bytes) -> None:
    """F-55: though it calls itself one, with status 200."""
    url = host.serve("/a.png", body, Content_Type="image/png")
    with pytest.raises(ResultUnusable):
        await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []


async def test_a_compressed_answer_is_unusable(tmp_path: Path, host: FileHost) -> None:
    """We asked for none, and nothing unpacks a bomb."""
    bomb = gzip.compress(PNG + b"\0" * 10_000_000)
    for body, encoding in ((bomb, "gzip"), (PNG, "br"), (PNG, "identity, gzip")):
        url = host.serve("/a.png", body, Content_Encoding=encoding)
        with pytest.raises(ResultUnusable):
            await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []


async def test_two_gibibytes_declared_are_refused_before_a_byte(
    tmp_path: Path, host: FileHost
) -> None:
    """F-54: by their Content-Length."""

    async def huge(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": str(2 * GIB)})
        await answer.prepare(request)
        return answer

    for kind in JobKind:
        with pytest.raises(ResultUnusable):
            await (await fetcher_in(tmp_path)).secure(host.on("/a", huge), kind=kind)
    assert left_in(tmp_path) == []


async def test_an_endless_body_is_cut_at_the_bound(tmp_path: Path, host: FileHost) -> None:
    """F-54: counted while streaming, whatever was not declared."""
    sent_bytes = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent_bytes
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(PNG)
        while True:
            await answer.write(b"\0" * 1024 * 1024)
            sent_bytes += 1024 * 1024

    patient = await fetcher_in(tmp_path, patience=replace(QUICK, image_s=30.0))
    with pytest.raises(ResultUnusable):
        await patient.secure(host.on("/a", endless), kind=JobKind.IMAGE)
    # What the sockets hold beyond the bound was sent, but never kept.
    assert RESULT_IMAGE_BYTES_MAX // 2 < sent_bytes < RESULT_IMAGE_BYTES_MAX + 32 * 1024 * 1024
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.2:{port}/secret",
        "http://localhost:{port}/secret",
        "http://0.0.0.0:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://127.1:{port}/secret",
        "http://[::1]:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://user@127.0.0.1:{port}/secret",
        "//127.0.0.2:{port}/secret",
        "https://127.0.0.2/secret",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/secret",
        "data:image/png;base64,iVBORw0KGgo=",
        "http://\\127.0.0.1:{port}/secret",
        "http://127.0.0.1:99999/secret",
        "",
    ],
)
async def test_a_redirect_to_a_forbidden_place_is_not_followed(
    tmp_path: Path, host: FileHost, to: str
) -> None:
    """C-12: also as the last of a chain; the place itself never hears of us."""
    host.on("/secret", _never)
    port = host.url("/").rpartition(":")[2].rstrip("/")
    first = host.redirect("/first", "/second")
    host.redirect("/second", to.format(port=port))
    with pytest.raises((ResultUnusable, ResultUnavailable)):
        await (await fetcher_in(tmp_path)).secure(first, kind=JobKind.IMAGE)
    assert host.paths in (["/first", "/second"], ["/first", *["/second"] * RESULT_REDIRECTS_MAX])
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_chain_of_redirects_has_a_bound(
    tmp_path: Path, host: FileHost, status: int
) -> None:
    """Three lead to the file, four do not."""
    for number in range(1, RESULT_REDIRECTS_MAX + 1):
        host.redirect(f"/{number}", f"{number - 1}", status=status)
    host.serve("/0", PNG)
    fetcher = await fetcher_in(tmp_path)
    fetched = await fetcher.secure(host.url(f"/{RESULT_REDIRECTS_MAX}"), kind=JobKind.IMAGE)
    assert fetched.size_bytes == len(PNG)
    host.requests.clear()
    host.redirect("/more", f"/{RESULT_REDIRECTS_MAX}")
    with pytest.raises(ResultUnusable):
        await fetcher.secure(host.url("/more"), kind=JobKind.IMAGE)
    assert len(host.requests) == RESULT_REDIRECTS_MAX + 1
    assert "/0" not in host.paths


async def test_a_redirect_to_nowhere_is_unusable(tmp_path: Path, host: FileHost) -> None:
    """Without a Location there is nothing to follow."""
    url = host.serve("/a", b"", status=302)
    with pytest.raises(ResultUnusable):
        await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)


async def test_a_refusal_is_logged_without_the_key_in_the_address(
    tmp_path: Path, host: FileHost
) -> None:
    """C-1: the path and the query of a presigned address open the file."""
    url = host.redirect("/canary-path?canary=1", "http://localhost/canary?canary=2")
    host.handlers["/canary-path"] = host.handlers.pop("/canary-path?canary=1")
    with capture_logs() as lines, pytest.raises(ResultUnusable):
        await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert [line["event"] for line in lines] == ["result_refused"]
    assert "canary" not in str(lines)


# --- What may be there the next time -------------------------------------------------------------


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 410, 429, 500, 503])
async def test_any_other_status_is_unavailable(tmp_path: Path, host: FileHost, status: int) -> None:
    """F-53: even with a picture for a body."""
    url = host.serve("/a.png", PNG if status not in {204, 304} else b"", status=status)
    with pytest.raises(ResultUnavailable):
        await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []


async def test_a_host_that_is_not_there_is_unavailable(tmp_path: Path, host: FileHost) -> None:
    """Refused connections and unknown names."""
    fetcher = await fetcher_in(tmp_path, allowed=("127.0.0.1", "no-such-host.invalid"))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}/a", "http://no-such-host.invalid:1/a"):
        with pytest.raises(ResultUnavailable):
            await fetcher.secure(url, kind=JobKind.IMAGE)
    assert host.requests == []


@pytest.mark.parametrize("silent_after", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"])
async def test_a_silent_host_is_left(tmp_path: Path, silent_after: bytes) -> None:
    """F-56: before the head, and in the middle of the body."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(silent_after + (PNG if silent_after else b""))
        await reader.read()

    async with raw_host(silent) as port:
        url = f"http://127.0.0.1:{port}/a"
        async with asyncio.timeout(10):
            with pytest.raises(ResultUnavailable):
                await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []


async def test_a_byte_now_and_then_buys_no_time(tmp_path: Path, host: FileHost) -> None:
    """F-56: a stall is one bound, all of the file another."""

    async def drip(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(PNG)
        for _ in range(10_000):
            await answer.write(b"\0")
            await asyncio.sleep(0.02)  # the pace of this host
        return answer

    patient = await fetcher_in(tmp_path, patience=replace(QUICK, image_s=0.4))
    async with asyncio.timeout(10):
        with pytest.raises(ResultUnavailable):
            await patient.secure(host.on("/a", drip), kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + PNG,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + PNG[:64] + b"\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: " + b"a" * 20_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_a_cut_or_garbled_answer_is_unavailable(tmp_path: Path, answer: bytes) -> None:
    """Half a picture is none."""

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with raw_host(cut) as port:
        url = f"http://127.0.0.1:{port}/a"
        with pytest.raises(ResultUnavailable):
            await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert left_in(tmp_path) == []


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificate with openssl")
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    """C-14: also where the operator named the host; no byte of a request is sent."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    await asyncio.to_thread(subprocess.run, command.split(), check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    served = 0

    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += bool(await reader.read())

    async with raw_host(serve, tls=context) as port:
        url = f"https://127.0.0.1:{port}/a"
        with pytest.raises(ResultUnavailable) as caught:
            await (await fetcher_in(tmp_path)).secure(url, kind=JobKind.IMAGE)
    assert "Certificate" in str(caught.value)
    assert served == 0


# --- Pictures of members --------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [".png", ".jpg", ".webp", ".gif"])
async def test_a_members_picture_comes_as_bytes_with_a_name_of_ours(
    tmp_path: Path, host: FileHost, extension: str
) -> None:
    """C-15: nothing is written to the folder."""
    url = host.serve("/cdn/evil.exe", SAMPLES[extension], Content_Type="text/html")
    picture = await (await fetcher_in(tmp_path)).fetch_image(url)
    assert picture.data == SAMPLES[extension]
    assert picture.filename == f"picture{extension}"
    assert picture.content_type.startswith("image/")
    assert left_in(tmp_path) == []


async def test_a_members_picture_comes_from_discord_only(tmp_path: Path, host: FileHost) -> None:
    """C-15: no other host is asked, public or not."""
    zone = Zone(["127.0.0.1"])
    fetcher = await fetcher_in(tmp_path, allowed=(), resolver=zone)
    for url in (host.serve("/a.png", PNG), "https://example.com/a.png"):
        with pytest.raises(PictureGone):
            await fetcher.fetch_image(url)
    assert host.requests == []
    assert zone.asked == []
    with pytest.raises(PictureGone):
        await fetcher.fetch_image("https://cdn.discordapp.com/attachments/1/2/a.png?hm=3")
    assert zone.asked == ["cdn.discordapp.com"]


async def test_a_members_picture_that_is_gone_or_none_or_huge_is_named_so(
    tmp_path: Path, host: FileHost
) -> None:
    """Each has its own words for the member."""
    fetcher = await fetcher_in(tmp_path)
    with pytest.raises(PictureGone):
        await fetcher.fetch_image(host.url("/nothing"))
    for body in (b"<html>" * 50, MP4, b""):
        with pytest.raises(AttachmentUnsupported):
            await fetcher.fetch_image(host.serve("/a.png", body))
    declared = host.serve("/declared", PNG + b"\0" * ATTACHMENT_BYTES_MAX)
    with pytest.raises(AttachmentTooLarge) as caught:
        await fetcher.fetch_image(declared)
    assert caught.value.size_bytes > caught.value.limit_bytes == ATTACHMENT_BYTES_MAX

    async def chunked(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while True:
            await answer.write(PNG + b"\0" * 1024 * 1024)

    patient = await fetcher_in(tmp_path, patience=replace(QUICK, picture_s=30.0))
    with pytest.raises(AttachmentTooLarge):
        await patient.fetch_image(host.on("/endless", chunked))


# --- Parts ----------------------------------------------------------------------------------------


async def _never(_request: web.Request) -> web.StreamResponse:
    """What must not be reached; its body would even pass."""
    return web.Response(body=PNG)
