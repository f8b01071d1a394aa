"""The launcher: two servers, one child, one line, an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.launcher import Options, Stopping, reserve_port, run_demo, run_sandbox

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0
"""For a process on a busy machine."""

OBEDIENT = """
import json, os, signal, socket, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
facts = {"environ": dict(os.environ), "cwd": os.getcwd(), "files": os.listdir()}
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as parent:
    parent.sendall(json.dumps(facts).encode() + b"\\n")
    signal.sigwait({signal.SIGTERM})
    parent.sendall(b"{}\\n")
"""
STUBBORN = OBEDIENT.replace("sigwait({signal.SIGTERM})", "sigwait({signal.SIGUSR1})")
BRIEF = "import sys; sys.exit(3)"


@dataclass(slots=True)
class Lines:
    """What the launcher says."""

    all: list[str] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, text: str) -> None:
        self.all.append(text)
        self._news.set()

    async def until(self, words: str) -> str:
        """The first line with these words."""
        async with asyncio.timeout(WAIT_S):
            while not (found := [line for line in self.all if words in line]):
                self._news.clear()
                await self._news.wait()
        return found[0]


class Reports:
    """Where the stand-ins tell what they see, and that they end in order."""

    def __init__(self) -> None:
        self._facts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._ends: asyncio.Queue[bytes] = asyncio.Queue()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._read, "127.0.0.1", 0)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def next(self) -> dict[str, Any]:
        """What the next child saw when it had started."""
        async with asyncio.timeout(WAIT_S):
            return await self._facts.get()

    async def ended_in_order(self) -> bool:
        """Whether the next child to end had been asked to."""
        async with asyncio.timeout(WAIT_S):
            return await self._ends.get() == b"{}\n"

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._facts.put_nowait(json.loads(await reader.readline()))
        self._ends.put_nowait(await reader.read())
        writer.close()


@pytest.fixture
async def reports() -> AsyncIterator[Reports]:
    """Listen to the stand-ins."""
    listening = Reports()
    await listening.start()
    yield listening
    await listening.stop()


@dataclass(slots=True)
class Launched:
    lines: Lines
    stopping: Stopping
    task: asyncio.Task[int]
    reports: Reports

    async def end(self) -> int:
        self.stopping.ask()
        async with asyncio.timeout(WAIT_S):
            return await self.task


@dataclass(frozen=True, slots=True)
class Bench:
    """What every launch in these tests needs."""

    data: Path
    reports: Reports

    def options(self, program: str, **changes: Any) -> Options:
        command = (sys.executable, "-c", program, str(self.reports.port))
        facts: dict[str, Any] = {"port": 0, "provider_port": 0, "data": self.data}
        return Options(**{**facts, "command": command, **changes})

    @asynccontextmanager
    async def sandbox(
        self, program: str, environ: dict[str, str] | None = None, **changes: Any
    ) -> AsyncIterator[Launched]:
        """A sandbox in this process with a stand-in for the bot."""
        lines, stopping = Lines(), Stopping()
        chosen = self.options(program, **changes)
        running = run_sandbox(chosen, environ or {}, stopping, say=lines.say, why=" (test)")
        started = Launched(lines, stopping, asyncio.create_task(running), self.reports)
        try:
            yield started
        finally:
            await started.end()


@pytest.fixture
def bench(tmp_path: Path, reports: Reports) -> Bench:
    """Launch from here."""
    return Bench(tmp_path / "data", reports)


def address_of(line: str) -> str:
    return next(word for word in line.split() if word.startswith("http://"))


async def test_one_line_says_where_the_page_is(bench: Bench) -> None:
    """Both servers answer by then; the child was given their addresses, and nothing else."""
    environ = {"DISCORD_TOKEN": "leak", "AIVIDEO_BASE_URL": "https://api.example.com"}
    async with bench.sandbox(OBEDIENT, environ) as sandbox, aiohttp.ClientSession() as http:
        address = address_of(await sandbox.lines.until("sandbox is at"))
        async with http.get(f"{address}/control/state") as answer:
            assert answer.status == 200
        facts = await sandbox.reports.next()
        child = facts["environ"]
        async with http.get(
            f"{child['AIVIDEO_BASE_URL']}/credits",
            headers={"Authorization": f"Bearer {child['AIVIDEO_API_KEY']}"},
        ) as answer:
            assert answer.status == 200
        async with http.get(
            f"{child['DISCORD_API_URL']}/users/@me",
            headers={"Authorization": f"Bot {child['DISCORD_TOKEN']}"},
        ) as answer:
            assert answer.status == 200
        async with http.get(f"{address}/control/provider/account") as answer:
            assert (await answer.json())["consumed"] == "0"
        assert "leak" not in child.values()
        assert facts["files"] == []
        assert await sandbox.end() == 0
    assert len(sandbox.lines.all) == 1
    assert await bench.reports.ended_in_order()


async def test_a_child_that_ends_is_told_and_not_restarted(bench: Bench) -> None:
    """Its exit code is said; the servers stay, and the launcher still ends with 0."""
    async with bench.sandbox(BRIEF) as sandbox:
        line = await sandbox.lines.until("by itself")
        assert "exit code 3" in line
        assert not sandbox.task.done()
        assert await sandbox.end() == 0


async def test_a_stubborn_child_is_killed_after_its_grace(bench: Bench) -> None:
    """The wait is bounded."""
    async with bench.sandbox(STUBBORN, stop_grace_s=0.1) as sandbox:
        await sandbox.reports.next()
        assert await sandbox.end() == 0
        assert "is killed" in sandbox.lines.all[-1]


async def test_a_second_request_to_end_does_not_wait(bench: Bench) -> None:
    """Ctrl-C twice."""
    async with bench.sandbox(STUBBORN, stop_grace_s=WAIT_S * 2) as sandbox:
        await sandbox.reports.next()
        sandbox.stopping.ask()
        assert await sandbox.end() == 0


@pytest.mark.parametrize("option", ["port", "provider_port"])
async def test_a_taken_port_is_one_clear_line(bench: Bench, option: str) -> None:
    """With exit code 1, and no child."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        lines = Lines()
        chosen = bench.options(OBEDIENT, **{option: port})
        assert await run_sandbox(chosen, {}, Stopping(), say=lines.say) == 1
    (line,) = lines.all
    assert f"Port {port} is already in use" in line
    assert f"--{option.replace('_', '-')}" in line


async def test_the_page_can_stop_and_start_the_bot(bench: Bench) -> None:
    """Start, stop, kill, restart; each one is said, and a second start is refused."""
    async with bench.sandbox(OBEDIENT) as sandbox, aiohttp.ClientSession() as http:
        address = address_of(await sandbox.lines.until("sandbox is at"))

        async def act(body: Any) -> tuple[int, dict[str, Any]]:
            async with http.post(f"{address}/control/bot", json=body) as answer:
                return answer.status, await answer.json()

        await sandbox.reports.next()
        status, _ = await act({"action": "start"})
        assert status == 409
        status, facts = await act({"action": "stop"})
        assert (status, facts["running"], facts["exit_code"]) == (200, False, 0)
        status, facts = await act({"action": "start"})
        first = facts["pid"]
        assert facts["running"]
        status, facts = await act({"action": "restart"})
        assert facts["pid"] != first
        wrongs: list[Any] = [{"action": "dance"}, {}, [], {"action": 7}]
        for wrong in wrongs:
            assert (await act(wrong))[0] == 400
        await bench.reports.next()
        status, facts = await act({"action": "kill"})
        assert (facts["running"], facts["exit_code"]) == (False, -signal.SIGKILL)
        async with http.get(f"{address}/control/bot") as answer:
            assert await answer.json() == facts
        async with http.post(f"{address}/control/bot", data=b'{"action":"kill"}') as answer:
            assert answer.status == 400
    assert not [line for line in sandbox.lines.all if "by itself" in line]


async def test_servers_can_run_without_a_bot(bench: Bench) -> None:
    """Then there is nothing to start or stop."""
    async with bench.sandbox(OBEDIENT, with_bot=False) as sandbox:
        address = address_of(await sandbox.lines.until("sandbox is at"))
        async with aiohttp.ClientSession() as http, http.get(f"{address}/control/bot") as answer:
            assert answer.status == 404


async def test_a_demo_ends_with_its_bot(bench: Bench) -> None:
    """Without a page there is nothing left to serve; the code is the bot's own."""
    lines = Lines()
    code = await run_demo(bench.options(BRIEF), {}, {}, Stopping(), say=lines.say)
    assert code == 3
    assert lines.all == ["The bot has ended by itself with exit code 3."]


async def test_a_demo_labels_its_answers(bench: Bench) -> None:
    """The child talks to a provider that says *demo*; Ctrl-C ends both with 0."""
    lines, stopping = Lines(), Stopping()
    running = run_demo(bench.options(OBEDIENT), {}, {}, stopping, say=lines.say)
    demo = Launched(lines, stopping, asyncio.create_task(running), bench.reports)
    child = (await bench.reports.next())["environ"]
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{child['AIVIDEO_BASE_URL']}/responses",
            json={"model": "gpt-5-4", "input": "Hello"},
            headers={"Authorization": f"Bearer {child['AIVIDEO_API_KEY']}"},
        ) as answer,
    ):
        assert "*demo*" in await answer.text()
    assert await demo.end() == 0


# --- the real process ---------------------------------------------------------------------------


def sandbox_process(*arguments: str, cwd: Path, **environ: str) -> subprocess.Popen[str]:
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def test_the_bots_port_is_its_own_through_restarts() -> None:
    """It can listen there, end, and listen there again; others are given other ports."""

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    with ExitStack() as stack:
        port = reserve_port(stack)
        assert reserve_port(stack) != port
        for _ in range(2):
            server = await asyncio.start_server(serve, "127.0.0.1", port)
            async with server:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                assert await reader.read() == b""
                writer.close()
                await writer.wait_closed()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_end_the_process_in_order(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM, a closed terminal: exit code 0, and one line was all it said."""
    ports = ("--port", "0", "--provider-port", "0")
    process = sandbox_process("auto", *ports, "--no-bot", cwd=tmp_path)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert "with no DISCORD_TOKEN set" in first
    assert address_of(first).startswith("http://127.0.0.1:")
    process.send_signal(number)
    rest, _ = process.communicate(timeout=WAIT_S)
    assert (process.returncode, rest) == (0, "")


def test_auto_becomes_the_bot_when_everything_is_set(tmp_path: Path) -> None:
    """The bot itself judges the values: here it refuses them with its own exit code."""
    (tmp_path / ".env").write_text("DISCORD_TOKEN=short\nAIVIDEO_API_KEY=sk-short\n")
    process = sandbox_process("auto", cwd=tmp_path)
    output, _ = process.communicate(timeout=WAIT_S)
    assert output.startswith("Atelier: the real Discord and the real provider.\n")
    assert "DISCORD_TOKEN" in output
    assert process.returncode == 78


def test_auto_says_when_the_file_cannot_be_read(tmp_path: Path) -> None:
    """Instead of starting something else."""
    (tmp_path / ".env").write_bytes(b"DISCORD_TOKEN=\xff\n")
    process = sandbox_process("auto", cwd=tmp_path)
    output, _ = process.communicate(timeout=WAIT_S)
    assert output.startswith(".env cannot be read")
    assert process.returncode == 78


@pytest.mark.parametrize("wrong", [["--port", "x"], ["--port", "70000"], ["--pace", "-1"], ["?"]])
def test_wrong_options_are_refused(tmp_path: Path, wrong: list[str]) -> None:
    """With the usual exit code of a command line."""
    process = sandbox_process(*wrong, cwd=tmp_path)
    process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
