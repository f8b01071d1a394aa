"""`make flood` in small, so that it cannot rot; speed is judged where nobody else works."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.flood.load import HOST, genuine, one_by_one
from tests.flood.report import Line, percentile, table
from tests.flood.stages import Plan, flood

DROPPED_AND_NOT = 6


async def test_the_floods_promises_hold_in_small(tmp_path: Path) -> None:
    """F-130, F-133, F-134, I-35: stored is stored, forged costs no statement, slow ones end."""
    lines = await flood(Plan.smoke(), tmp_path)
    assert [line for line in lines if line.is_promise and line.is_missed] == []
    figures = {line.what: line.figure for line in lines}
    for what in ("valid callbacks, durable", "forged callbacks, refused", "slow sockets"):
        assert figures[what] > 0
    assert figures["  honest callbacks meanwhile"] > 0


async def test_a_callback_that_is_dropped_is_no_fast_answer() -> None:
    """F-134: every second connection is closed without a word; its sender must not call it good."""
    enough, accepted = asyncio.Event(), 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal accepted
        accepted += 1
        await reader.readuntil(b"\r\n\r\n")
        if accepted % 2:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            await writer.drain()
        if accepted == DROPPED_AND_NOT:
            enough.set()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    async with server, asyncio.timeout(10):
        told = await one_by_one(server.sockets[0].getsockname()[1], genuine(), enough=enough)
    assert (told.sent, told.statuses[204]) == (DROPPED_AND_NOT, DROPPED_AND_NOT // 2)
    assert len(told.latencies_s) == DROPPED_AND_NOT // 2
    assert told.unanswered == DROPPED_AND_NOT // 2


def test_a_goal_is_missed_on_the_wrong_side_of_it_only() -> None:
    """The table shows it; without a goal nothing is missed."""
    lines = [
        Line(what="fast enough", figure=1_000, unit="/s", at_least=1_000),
        Line(what="too slow", figure=999.4, unit="/s", at_least=1_000),
        Line(what="soon enough", figure=0.25, unit="ms", at_most=0.25),
        Line(what="too late", figure=1, at_most=0),
        Line(what="a fact", figure=12.34),
    ]
    assert [line.is_missed for line in lines] == [False, True, False, True, False]
    assert [line.split() for line in table(lines).splitlines()] == [
        ["what", "figure", "goal"],
        ["fast", "enough", "1,000", "/s", "≥", "1,000", "/s", "ok"],
        ["too", "slow", "999", "/s", "≥", "1,000", "/s", "MISSED"],
        ["soon", "enough", "0.2", "ms", "≤", "0.25", "ms", "ok"],
        ["too", "late", "1", "≤", "0", "MISSED"],
        ["a", "fact", "12.3"],
    ]


def test_a_percentile_is_a_value_that_was_measured() -> None:
    """The least that the share does not exceed."""
    values = [float(number) for number in range(100)]
    assert percentile([], 0.99) == 0.0
    assert percentile([7.0], 0.99) == 7.0
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (
        50.0,
        99.0,
        99.0,
    )
