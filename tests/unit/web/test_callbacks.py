"""What comes to a callback's address, over real sockets (S-4, F-61, F-65, C-7, C-10)."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from hashlib import sha256

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from bot.limits import WEB_BODY_BYTES_MAX, WEB_REFUSALS_BURST, WEB_REFUSALS_PER_S
from storage.errors import StoreInUse, StoreUnavailable
from storage.inbox import Verdict
from tests.unit.web.listening import JSON_LINE, Listening, genuine, listening, post, status

JSON = {"Content-Type": "application/json"}
BODY = json.dumps({"id": "task-1", "status": "completed"}).encode()


async def send(
    at: Listening,
    path: str,
    *,
    body: bytes = BODY,
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    url = URL(at.base + path, encoded=True)
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.request(method, url, data=body, headers=headers or JSON) as answer,
    ):
        return answer.status, dict(answer.headers), await answer.read()


async def test_a_genuine_callback_is_stored_and_then_answered() -> None:
    """With the digest of its bytes."""
    async with listening() as at:
        code, headers, body = await send(at, genuine(7, 2))
        assert (code, body) == (204, b"")
        assert "Server" not in headers
        assert at.inbox.arrivals == {(7, 2, sha256(BODY).hexdigest()): BODY.decode()}


async def test_a_repeated_callback_is_answered_alike() -> None:
    """F-10, F-61, F-65: three attempts are documented; a replay cannot hammer the provider."""
    async with listening() as at:
        codes = [(await send(at, genuine()))[0] for _ in range(3)]
        other = (await send(at, genuine(), body=b'{"id": "another"}'))[0]
        assert codes == [204] * 3
        assert other == 204
        assert len(at.inbox.arrivals) == 2


FORGED = {
    "wrong signature": genuine()[:-1] + ("A" if genuine()[-1] != "A" else "E"),
    "another job's": genuine(8).replace("/8/", "/7/"),
    "another attempt's": genuine(7, 2).replace("/2/", "/1/"),
    "none": "/callbacks/7/1/",
    "short": "/callbacks/7/1/AAAA",
    "long": "/callbacks/7/1/" + "A" * 4_000,
    "leading zero": genuine().replace("/7/", "/07/"),
    "escaped digit": genuine().replace("/7/", "/%37/"),
    "escaped slash": genuine().replace("/7/1/", "/7%2f1/"),
    "no number": genuine().replace("/7/", "/seven/"),
    "huge number": genuine().replace("/7/", f"/{'9' * 400}/"),
    "negative": genuine().replace("/7/", "/-7/"),
    "too few segments": "/callbacks/7/1",
    "too many segments": genuine() + "/x",
    "final slash": genuine() + "/",
    "doubled slash": genuine().replace("/callbacks/", "/callbacks//"),
    "upper case": genuine().replace("/callbacks/", "/Callbacks/"),
    "another prefix": "/cb" + genuine(),
    "traversal": "/x/..%2f.." + genuine(),
    "not utf-8": "/callbacks/7/1/%ff%fe",
}


@pytest.mark.parametrize("path", FORGED.values(), ids=FORGED.keys())
async def test_a_forged_address_is_told_apart_without_the_database(path: str) -> None:
    """C-7: one answer for all of them, the same to the byte, whatever else they carry."""
    async with listening() as at:
        code, headers, body = await send(at, path)
        unknown = await send(at, "/nothing/here")
        empty = await send(at, path, body=b"", headers={"Content-Type": "text/plain"})
        del headers["Date"], unknown[1]["Date"], empty[1]["Date"]
        assert (code, headers, body) == unknown == empty
        assert code == 404
        assert at.inbox.calls == 0


async def test_a_job_that_is_no_more_looks_like_a_forged_one() -> None:
    """The signature was ours, but the database has no such job (F-117)."""
    async with listening() as at:
        forged = await send(at, FORGED["short"])
        at.inbox.verdict = Verdict.GONE
        gone = await send(at, genuine())
        del forged[1]["Date"], gone[1]["Date"]
        assert gone == forged


@pytest.mark.parametrize(
    "failure", [StoreUnavailable(cause="locked"), StoreInUse(path="x", pid=1, host="x")]
)
async def test_without_the_database_the_provider_is_asked_to_come_again(
    failure: Exception,
) -> None:
    """F-110, F-111: nothing is acknowledged that could be lost."""
    async with listening() as at:
        at.inbox.failure = failure
        assert (await send(at, genuine()))[0] == 503
        at.inbox.failure = None
        assert (await send(at, genuine()))[0] == 204


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_only_posts_are_callbacks(method: str) -> None:
    """F-135: others are told so, whoever signed the path."""
    async with listening() as at:
        for path in (genuine(), FORGED["wrong signature"]):
            code, headers, _ = await send(at, path, method=method, body=b"")
            assert code == 405
            assert headers["Allow"] == "POST"
        assert at.inbox.calls == 0


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "application/json; charset=utf-8"}, 204),
        ({"Content-Type": "APPLICATION/JSON"}, 204),
        ({"Content-Type": "application/cloudevents+json"}, 204),
        (JSON | {"Content-Encoding": "identity"}, 204),
        (JSON | {"X-Task-Id": "a-foreign-task", "X-Event": "task.completed"}, 204),
        (JSON | {"X-Forwarded-For": "203.0.113.9"}, 204),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json-seq"}, 415),
        ({"Content-Type": ""}, 415),
        (JSON | {"Content-Encoding": "gzip"}, 415),
        (JSON | {"Content-Encoding": "br"}, 415),
        (JSON | {"Content-Encoding": "identity, gzip"}, 415),
    ],
)
async def test_the_head_is_judged_before_the_body(headers: dict[str, str], code: int) -> None:
    """C-10: JSON as it is; hints in headers are neither needed nor believed."""
    async with listening() as at:
        assert (await send(at, genuine(), headers=headers))[0] == code
        assert at.inbox.calls == (code == 204)


async def test_a_compressed_bomb_is_not_unpacked() -> None:
    """F-132: 16 MiB of zeros in 16 KiB, genuine address or not."""
    bomb = gzip.compress(b"0" * 16 * 1024 * 1024)
    async with listening() as at:
        headers = JSON | {"Content-Encoding": "gzip"}
        assert (await send(at, genuine(), body=bomb, headers=headers))[0] == 415
        assert (await send(at, FORGED["short"], body=bomb, headers=headers))[0] == 404
        assert at.inbox.calls == 0


async def test_the_largest_body_is_stored_and_one_byte_more_is_not() -> None:
    """64 KiB, whether the length was declared or not."""
    fits = b'"' + b"x" * (WEB_BODY_BYTES_MAX - 2) + b'"'
    async with listening() as at:
        assert (await send(at, genuine(), body=fits))[0] == 204
        chunked = _chunk(fits) + b"0\r\n\r\n"
        request = post(genuine(8), JSON_LINE, "Transfer-Encoding: chunked", body=chunked)
        assert status(await at.raw(request)) == 204
        chunked = _chunk(fits) + _chunk(b"!") + b"0\r\n\r\n"
        request = post(genuine(9), JSON_LINE, "Transfer-Encoding: chunked", body=chunked)
        assert status(await at.raw(request)) == 413
        assert (await send(at, genuine(9), body=fits + b" "))[0] == 413
        assert at.inbox.calls == 2


async def test_a_huge_length_is_refused_before_a_byte_of_it() -> None:
    """F-132: 100 MB declared, none sent; the connection ends."""
    async with listening() as at:
        answer = await at.raw(post(genuine(), JSON_LINE, "Content-Length: 100000000"))
        assert status(answer) == 413
        assert b"connection: close" in answer.lower()
        assert at.inbox.calls == 0


async def test_an_endless_body_is_cut() -> None:
    """F-132: chunks without an end, sent for as long as the other side takes them."""
    async with listening() as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        head = post(genuine(), JSON_LINE, "Transfer-Encoding: chunked")
        writer.write(head)
        sent = 0
        try:
            async with asyncio.timeout(10):
                while not reader.at_eof():
                    writer.write(_chunk(b"x" * 65_536))
                    await writer.drain()
                    sent += 65_536
        except ConnectionError:
            pass
        finally:
            writer.close()
        assert sent < 1024 * 1024 * 1024
        assert at.inbox.calls == 0


async def test_a_slow_body_is_ended() -> None:
    """F-131: half of it came, the rest never; forged ones are not waited for at all."""
    async with listening(body_timeout_s=0.2) as at:
        half = post(genuine(), JSON_LINE, "Content-Length: 100", body=b"{")
        assert status(await at.raw(half)) == 408
        half = post(FORGED["short"], JSON_LINE, "Content-Length: 100", body=b"{")
        assert status(await at.raw(half)) == 404
        assert at.inbox.calls == 0


async def test_a_body_that_is_cut_off_is_not_stored() -> None:
    """The sender went away, or broke the framing: it will come again."""
    async with listening() as at:
        broken = post(genuine(), JSON_LINE, "Transfer-Encoding: chunked", body=b"zz\r\n")
        assert status(await at.raw(broken)) == 400
        reader, writer = await asyncio.open_connection("127.0.0.1", at.port)
        writer.write(post(genuine(), JSON_LINE, "Content-Length: 100", body=b"{"))
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert at.inbox.calls == 0


async def test_bytes_that_are_no_text_are_kept_as_far_as_they_are() -> None:
    """The signature is ours, so something did end; the engine asks the provider what."""
    async with listening() as at:
        assert (await send(at, genuine(), body=b'{"a": "\xff"}'))[0] == 204
        assert (await send(at, genuine(), body=b""))[0] == 204
        assert at.inbox.bodies == ['{"a": "\ufffd"}', ""]


@given(body=st.binary(max_size=200))
async def test_any_body_of_a_genuine_callback_is_stored_once(body: bytes) -> None:
    """C-8: it is a bell, not a message; nothing in it can make us fail."""
    async with listening() as at:
        assert (await send(at, genuine(), body=body))[0] == 204
        assert (await send(at, genuine(), body=body))[0] == 204
        assert at.inbox.bodies == [body.decode("utf-8", "replace")]


async def test_a_flood_of_forgeries_is_shortened_and_genuine_ones_still_pass() -> None:
    """F-134: 404 to the bucket's end, then 429; the provider behind the same proxy is not hit."""
    async with listening() as at, aiohttp.ClientSession() as session:

        async def code(path: str) -> int:
            async with session.post(at.base + path, data=BODY, headers=JSON) as answer:
                return answer.status

        flood = [await code(FORGED["short"]) for _ in range(WEB_REFUSALS_BURST + 50)]
        assert flood == [404] * WEB_REFUSALS_BURST + [429] * 50
        assert await code(genuine()) == 204
        at.inbox.failure = StoreUnavailable(cause="locked")
        assert {await code(genuine()) for _ in range(WEB_REFUSALS_BURST)} == {503}
        at.clock.now_s += 1
        again = [await code(FORGED["short"]) for _ in range(30)]
        assert again.count(404) == WEB_REFUSALS_PER_S
        assert at.inbox.calls == 1 + WEB_REFUSALS_BURST


async def test_nothing_of_a_callback_is_logged(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """C-3: neither its secret nor its body, whatever becomes of it."""
    caplog.set_level(logging.DEBUG)
    async with listening(body_timeout_s=0.1) as at:
        body = b'{"canary-body": 1}'
        await send(at, genuine(), body=body)
        await send(at, genuine(), body=body, headers={"Content-Type": "text/canary-kind"})
        at.inbox.failure = StoreUnavailable(cause="locked")
        await send(at, genuine(), body=body)
        at.inbox.failure = RuntimeError("a bug of ours")
        assert (await send(at, genuine(), body=body))[0] == 500
        await at.raw(post(genuine(), JSON_LINE, "Content-Length: 900", body=body))
        await at.raw(post(genuine() + "\0canary-path", JSON_LINE))
    printed = capsys.readouterr()
    text = caplog.text + printed.out + printed.err
    assert "a bug of ours" in text
    assert "not_stored" in text or "content_type" in text
    assert "canary" not in text
    assert genuine().rpartition("/")[2] not in text


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"
