"""S-4 to the letter: the listener over real sockets, the database in a real file behind it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
import tracemalloc
from pathlib import Path

import pytest
import structlog

from bot.limits import (
    CALLBACK_ADDRESS_S,
    CALLBACK_BODIES_MAX,
    WEB_BODY_BYTES_MAX,
    WEB_REFUSALS_BURST,
)
from bot.web.signatures import CallbackSigner
from storage import jobs
from storage.database import Connection
from storage.errors import StoreUnavailable
from storage.types import Sink
from tests.unit.web.listening import (
    JSON_LINE,
    SIGNER,
    StillClock,
    genuine,
    listening,
    status,
    told,
)
from tests.unit.web.listening import (
    post as request,
)
from tests.unit.web.post import JOBS, Post, post, settled

OLD_KEY = b"an old key of thirty-two bytes..."
NEW_KEY = b"a new key of thirty-two bytes...."


def undated(answer: bytes) -> list[bytes]:
    """Every byte of an answer but those of its date."""
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"Date: ")]


async def deliver(at: Post, *, job_id: int, now_us: int) -> None:
    """Bring a job to its end."""

    def body(connection: Connection) -> None:
        jobs.cancel(connection, job_id=job_id, now_us=now_us)
        jobs.record_delivered(
            connection, job_id=job_id, sink=Sink.LIST, message_id=None, now_us=now_us
        )

    await at.store.inner.transact(body)


async def test_all_who_are_refused_see_the_same_bytes(tmp_path: Path) -> None:
    """S-4, C-7: a wrong signature, a job that is not there, a malformed path; F-117."""
    async with post(tmp_path) as at, listening(record=at.intake.record) as web:
        genuine_path = genuine(1)
        paths = {
            "wrong signature": genuine_path[:-1] + ("A" if genuine_path[-1] != "A" else "E"),
            "unknown job": genuine(JOBS + 1),
            "malformed": "/callbacks/x",
            "nothing of ours": "/",
            "query alone": "/?a=b",
        }
        answers = [
            await web.raw(request(path, JSON_LINE, "Content-Length: 2", body=b"{}"))
            for path in paths.values()
        ]
        assert {status(answer) for answer in answers} == {404}
        assert all(undated(answer) == undated(answers[0]) for answer in answers)
        # Only the unknown job was asked about: the others never came as far as the database.
        assert at.store.transactions == 1


async def test_the_address_of_a_job_that_is_over_is_good_for_a_week(tmp_path: Path) -> None:
    """S-4: late senders hear 204, so that they stop; then nobody is here."""
    clock = StillClock()
    async with post(tmp_path, clock=clock) as at, listening(record=at.intake.record) as web:
        await deliver(at, job_id=1, now_us=clock.now_us())
        clock.now_s += CALLBACK_ADDRESS_S
        assert status(await web.raw(told(b'"late"'))) == 204
        clock.now_s += 1
        assert status(await web.raw(told(b'"too late"'))) == 404
        assert at.bodies() == ['"late"']


async def test_while_the_database_is_locked_a_callback_is_sent_away(tmp_path: Path) -> None:
    """F-110: 503 in bounded time by a real second connection's lock; later it is stored."""
    async with post(tmp_path, timeout_s=0.3) as at, listening(record=at.intake.record) as web:
        outside = sqlite3.connect(at.path, isolation_level=None)
        outside.execute("BEGIN IMMEDIATE")
        began_s = time.monotonic()
        answers = await asyncio.gather(
            *(web.raw(told(b"%d" % number, job_id=1 + number % JOBS)) for number in range(12))
        )
        assert {status(answer) for answer in answers} == {503}
        assert time.monotonic() - began_s < 3
        outside.execute("ROLLBACK")
        outside.close()
        at.intake.timeout_s = 10
        assert status(await web.raw(told(b"again"))) == 204
        assert at.bodies()[-1] == "again"


async def test_a_full_disk_sends_a_callback_away(tmp_path: Path) -> None:
    """F-111: nothing is acknowledged that is not there; it heals without a restart."""

    def limit(connection: Connection, pages: int) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").close()

    async with post(tmp_path) as at, listening(record=at.intake.record) as web:
        await at.store.inner.transact(limit, 1)
        large = b'"' + b"x" * (WEB_BODY_BYTES_MAX - 2) + b'"'
        assert status(await web.raw(told(large))) == 503
        assert at.bodies() == []
        await at.store.inner.transact(limit, 1_000_000)
        assert status(await web.raw(told(large))) == 204
        assert at.bodies() == [large.decode()]


async def test_duplicates_and_a_crowd_of_bodies_are_bounded(tmp_path: Path) -> None:
    """F-10, F-61: one row for each different body, and not more than may matter."""
    async with post(tmp_path) as at, listening(record=at.intake.record) as web:
        for _ in range(3):
            assert status(await web.raw(told(b"0"))) == 204
        answers = [await web.raw(told(b"%d" % number)) for number in range(CALLBACK_BODIES_MAX)]
        assert {status(answer) for answer in answers} == {204}
        # The job has no task yet, so each of them may matter: one more must come again.
        assert status(await web.raw(told(b"one more"))) == 503
        await deliver(at, job_id=1, now_us=1)
        assert len(at.bodies()) == CALLBACK_BODIES_MAX


async def test_one_that_could_not_be_answered_is_known_when_it_returns(tmp_path: Path) -> None:
    """F-10: stored, and the connection was gone before the 204; one row in the end."""
    async with post(tmp_path) as at, listening(record=at.intake.record) as web:
        at.store.open.clear()
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(told(b"1"))
        await writer.drain()
        await at.store.asked.wait()
        writer.transport.abort()
        assert await _nothing(reader)
        at.store.open.set()
        assert status(await web.raw(told(b"1"))) == 204
        assert at.bodies() == ["1"]
        assert len(at.woken) == 1


async def _nothing(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_what_was_accepted_is_answered_at_the_end(tmp_path: Path) -> None:
    """S-11: the listener waits for the commit that is under way, and its 204 goes out."""
    async with post(tmp_path) as at, listening(record=at.intake.record) as web:
        at.store.open.clear()
        answer = asyncio.create_task(web.raw(told(b"1")))
        await at.store.asked.wait()
        closing = asyncio.create_task(web.server.close())
        await settled()
        at.store.open.set()
        assert status(await answer) == 204
        await closing
        assert at.bodies() == ["1"]
        with pytest.raises(ConnectionError):
            await web.raw(told(b"2"))


async def test_both_keys_open_while_one_is_rotated() -> None:
    """C-5: running jobs carry the old one's signature; when it is taken away they are strangers."""
    old, new = CallbackSigner([OLD_KEY]), CallbackSigner([NEW_KEY])
    requests = [
        request(signer.path(1, 1, "aivideo"), JSON_LINE, "Content-Length: 2", body=b"{}")
        for signer in (old, new, SIGNER)
    ]
    async with listening(signer=CallbackSigner([NEW_KEY, OLD_KEY])) as web:
        assert [status(await web.raw(one)) for one in requests] == [204, 204, 404]
    async with listening(signer=new) as web:
        assert [status(await web.raw(one)) for one in requests] == [404, 204, 404]


@pytest.mark.parametrize(
    "header",
    [
        "X-Timestamp: 0",
        "X-Timestamp: 99999999999",
        "X-Timestamp: nonsense",
        "X-Event: task.failed",
        "webhook-signature: v1,AAAA v1,BBBB",
        "webhook-id: repeated",
        "webhook-timestamp: 0",
    ],
)
async def test_headers_of_signing_senders_open_and_close_nothing(header: str) -> None:
    """F-66: no provider of ours signs; the address is the signature, and it knows no time.

    What applies of the row is our own signature: a wrong or foreign one, two keys, a missing one
    (above and in `test_signatures.py`), and that a repeated callback has one effect (F-61).
    """
    async with listening() as web:
        length = "Content-Length: 2"
        for _ in range(2):
            ours = request(genuine(1), JSON_LINE, length, header, body=b"{}")
            assert status(await web.raw(ours)) == 204
        forged = request("/callbacks/1/1/x", JSON_LINE, length, header, body=b"{}")
        assert status(await web.raw(forged)) == 404
        assert len(web.inbox.arrivals) == 1


async def test_a_dripping_body_buys_no_time() -> None:
    """F-131: the clock runs from the last header, not from the last byte."""
    async with listening(body_timeout_s=0.3) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        writer.write(request(genuine(1), JSON_LINE, "Content-Length: 60000"))
        # Who still writes when the connection is closed may lose the answer to a reset.
        answer = asyncio.create_task(reader.readuntil(b"\r\n"))
        began_s = time.monotonic()
        while not answer.done():
            writer.write(b" ")
            await asyncio.wait({answer}, timeout=0.02)
        writer.close()
        assert time.monotonic() - began_s < 5
        assert status(await answer) == 408
        assert web.inbox.calls == 0


async def test_a_body_of_a_hundred_megabytes_is_not_kept() -> None:
    """F-132: 413 at its head; what the sender pushes on is dropped as it comes."""
    async with listening() as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
        tracemalloc.start()
        try:
            writer.write(request(genuine(1), JSON_LINE, "Content-Length: 100000000"))
            assert status(await reader.readuntil(b"\r\n")) == 413
            for _ in range(100):
                writer.write(b"x" * 1_000_000)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
            _, peak_bytes = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak_bytes < 8 * 1024 * 1024
        assert web.inbox.calls == 0


async def test_who_names_another_sender_is_still_the_same_network() -> None:
    """F-136: `X-Forwarded-For` is a stranger's word; the bucket is the peer's."""
    async with listening() as web:
        answers = [
            await web.raw(request("/callbacks/1/1/x", f"X-Forwarded-For: 203.0.113.{number}"))
            for number in range(WEB_REFUSALS_BURST + 5)
        ]
        assert [status(answer) for answer in answers] == [404] * WEB_REFUSALS_BURST + [429] * 5


async def test_refusals_are_counted_by_reason_and_told_once_a_minute(tmp_path: Path) -> None:
    """3.5: no line per request, no body, no address; what was not stored is told apart."""
    async with post(tmp_path) as at, listening(record=at.intake.record) as web:
        with structlog.testing.capture_logs() as logged:
            for _ in range(3):
                await web.raw(request("/callbacks/1/1/x"))
            await web.raw(told(b"1"))
            await web.raw(told(b"1"))
            await web.raw(told(job_id=JOBS + 1))
            at.store.refusals = [StoreUnavailable(cause="locked")]
            await web.raw(told(b"2"))
            web.clock.now_s += 61
            await web.raw(request("/favicon.ico"))
        lines = [entry["reasons"] for entry in logged if entry["event"] == "web_refused"]
        assert lines == [
            {"forged": 1},
            {"forged": 2, "duplicate": 1, "gone": 1, "not_stored": 1, "unknown_path": 1},
        ]
