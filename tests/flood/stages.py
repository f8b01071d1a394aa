"""The floods one after the other, each with what it must not do to the bot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.limits import WEB_BODY_TIMEOUT_S, WEB_IDLE_TIMEOUT_S
from tests.flood.load import Row, Told, blast, dawdle, forged, genuine, one_by_one
from tests.flood.report import Line, percentile

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of each; the timeouts are the bot's own, but where nothing is measured."""

    seconds: float = 20.0
    senders: int = 64
    forgers: int = 400
    slow_sockets: int = 2_000
    idle_timeout_s: float = WEB_IDLE_TIMEOUT_S
    body_timeout_s: float = WEB_BODY_TIMEOUT_S

    @classmethod
    def smoke(cls) -> Plan:
        return cls(
            seconds=0.5,
            senders=16,
            forgers=32,
            slow_sockets=200,
            idle_timeout_s=0.4,
            body_timeout_s=0.4,
        )


class Listener:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port

    async def ask(self) -> dict[str, Any]:
        """Facts since the last question: `lags_s`; since its start: `statements`, `cpu_s`."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"?\n")
        return await _answer(self.process)

    def resident_bytes(self) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the kernel tells no VmRSS")


async def _answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "the listener is gone"
    facts: dict[str, Any] = json.loads(line)
    return facts


@asynccontextmanager
async def listener(
    path: Path,
    *,
    idle_timeout_s: float = WEB_IDLE_TIMEOUT_S,
    body_timeout_s: float = WEB_BODY_TIMEOUT_S,
) -> AsyncIterator[Listener]:
    """The listener as a process; ended in order unless it is gone already."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.flood.listener", str(path), f"{idle_timeout_s}", f"{body_timeout_s}"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=64 * MIB,
    )
    try:
        yield Listener(process, (await _answer(process))["ready"])
        if process.returncode is None:
            assert process.stdin is not None
            process.stdin.close()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    finally:
        await process.wait()


def stored_rows(path: Path) -> set[Row]:
    """What is in the file, read by somebody else."""
    with contextlib.closing(sqlite3.connect(path)) as outside:
        assert outside.execute("PRAGMA quick_check").fetchone() == ("ok",)
        return set(outside.execute("SELECT job_id, attempt, digest FROM callbacks"))


async def flood(plan: Plan, folder: Path) -> list[Line]:
    """Run every stage against one listener; the lines of the report."""
    path = folder / "atelier.db"
    async with listener(
        path, idle_timeout_s=plan.idle_timeout_s, body_timeout_s=plan.body_timeout_s
    ) as bot:
        requests = genuine()
        await blast(bot.port, requests, connections=4, seconds=min(1.0, plan.seconds))  # warm
        before = await bot.ask()
        durable = await blast(bot.port, requests, connections=plan.senders, seconds=plan.seconds)
        lines = _durable(durable, before, await bot.ask())
        lines += await _forged(plan, bot)
        lines += await _slow(plan, bot, path, durable)
    missing = set(durable.stored) - stored_rows(path)
    lines.insert(
        3,
        _never("  answered 204 and not in the file", len(missing)),
    )
    return lines


def _durable(told: Told, before: dict[str, Any], after: dict[str, Any]) -> list[Line]:
    return [
        Line(what="valid callbacks, durable", figure=told.per_s(204), unit="/s", at_least=1_000),
        _latency("  answered within, p50", told.latencies_s, 0.5, None),
        _latency("  answered within, p99", told.latencies_s, 0.99, 100),
        *_others(told, 204),
        _effort(told, before, after),
        *_heartbeat(after),
    ]


async def _forged(plan: Plan, bot: Listener) -> list[Line]:
    before, resident = await bot.ask(), bot.resident_bytes()
    told = await blast(
        bot.port,
        forged(),
        connections=plan.forgers,
        networks=plan.forgers,
        seconds=plan.seconds,
    )
    after = await bot.ask()
    refused = told.statuses[404] + told.statuses[429]
    refused_per_s = refused / told.elapsed_s
    grown = (bot.resident_bytes() - resident) / MIB
    asked = after["statements"] - before["statements"]
    return [
        Line(
            what="forged callbacks, refused",
            figure=refused_per_s,
            unit="/s",
            at_least=5_000,
        ),
        Line(
            what="  of them 404 (429 beyond a network's share)", figure=told.per_s(404), unit="/s"
        ),
        *_others(told, 404, 429),
        _never("  database statements", asked),
        Line(
            what="  memory grown by",
            figure=max(0.0, grown),
            unit="MiB",
            at_most=64,
            is_promise=True,
        ),
        _effort(told, before, after),
        *_heartbeat(after),
    ]


async def _slow(plan: Plan, bot: Listener, path: Path, durable: Told) -> list[Line]:
    enough = asyncio.Event()
    requests = genuine()
    for _ in range(1 + len(stored_rows(path))):  # they were sent already
        next(requests)
    honest = asyncio.create_task(one_by_one(bot.port, requests, enough=enough))
    lasted_s = await dawdle(bot.port, sockets=plan.slow_sockets)
    enough.set()
    told = await honest
    durable.stored += told.stored
    facts = await bot.ask()
    return [
        Line(what="slow sockets", figure=len(lasted_s)),
        Line(
            what="  the last one closed after",
            figure=max(lasted_s),
            unit="s",
            at_most=10,
            is_promise=True,
        ),
        Line(
            what="  honest callbacks meanwhile",
            figure=told.statuses[204],
            at_least=1,
            is_promise=True,
        ),
        *_others(told, 204),
        _latency("  connected, sent, answered within, p99", told.latencies_s, 0.99, 250),
        *_heartbeat(facts),
    ]


def _never(what: str, figure: float) -> Line:
    """What must not happen, on any machine."""
    return Line(what=what, figure=figure, at_most=0, is_promise=True)


def _others(told: Told, *good: int) -> list[Line]:
    """What was answered otherwise; and what was not, as whoever is slow for the bot's timeouts."""
    answered_well = sum(told.statuses[status] for status in good)
    return [
        _never("  answered otherwise", told.statuses.total() - answered_well),
        Line(what="  not answered", figure=told.unanswered, at_most=0),
    ]


def _latency(what: str, values_s: Sequence[float], share: float, at_most_ms: float | None) -> Line:
    return Line(
        what=what, figure=percentile(values_s, share) * 1_000, unit="ms", at_most=at_most_ms
    )


def _effort(told: Told, before: dict[str, Any], after: dict[str, Any]) -> Line:
    """What one request costs the listener, also where others work on the same cores."""
    spent_s = after["cpu_s"] - before["cpu_s"]
    return Line(
        what="  processor time for each", figure=spent_s / told.statuses.total() * 1e6, unit="µs"
    )


def _heartbeat(facts: dict[str, Any]) -> list[Line]:
    """N-6: the gateway shares the loop, and Discord drops who does not beat."""
    lags_s: list[float] = facts["lags_s"]
    return [
        _latency("  heartbeat late by, p99", lags_s, 0.99, 100),
        _latency("  heartbeat late by, at most", lags_s, 1.0, 1_000),
    ]
