"""The gateway: compression, resume, reconnect, invalid sessions, close codes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest

from sandbox.discord.compression import zstd_available
from sandbox.discord.gateway import GatewayOptions
from sandbox.discord.seed import BOT_ID, MIRA_ID
from sandbox.discord.sessions import Intent
from tests.contract.discord_lab import WAIT_S, Lab, Robot, running_lab

ALL_MESSAGES = Intent.GUILDS | Intent.GUILD_MESSAGES | Intent.MESSAGE_CONTENT


@asynccontextmanager
async def _socket(lab: Lab, query: str = "") -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = f"{lab.sandbox.core.gateway.url}?v=10&encoding=json{query}"
    async with lab.http.ws_connect(url, timeout=aiohttp.ClientWSTimeout(ws_close=1)) as socket:
        yield socket


def _identify(lab: Lab, **more: Any) -> dict[str, Any]:
    told = {"token": lab.sandbox.token, "intents": ALL_MESSAGES, "properties": {}}
    return {"op": 2, "d": told | more}


async def _next(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return await socket.receive_json(timeout=WAIT_S)


async def test_a_plain_socket_says_hello_acknowledges_and_greets() -> None:
    """HELLO, ACK, READY with the resume address, GUILD_CREATE; events are numbered."""
    async with running_lab() as lab, _socket(lab) as socket:
        hello = await _next(socket)
        assert (hello["op"], hello["d"]["heartbeat_interval"]) == (10, 41_250)
        await socket.send_json({"op": 1, "d": None})
        assert (await _next(socket))["op"] == 11
        await socket.send_json(_identify(lab))
        ready = await _next(socket)
        assert (ready["t"], ready["s"]) == ("READY", 1)
        assert ready["d"]["resume_gateway_url"] == lab.sandbox.core.gateway.url
        guild = await _next(socket)
        assert (guild["t"], guild["s"]) == ("GUILD_CREATE", 2)
        assert str(BOT_ID) in [one["user"]["id"] for one in guild["d"]["members"]]


async def test_zlib_stream_is_one_stream_of_flushed_messages() -> None:
    """Each frame ends with the sync flush marker and continues the same stream."""
    async with running_lab() as lab, _socket(lab, "&compress=zlib-stream") as socket:
        stream = zlib.decompressobj()

        async def read() -> Any:
            frame = await socket.receive_bytes(timeout=WAIT_S)
            assert frame.endswith(b"\x00\x00\xff\xff")
            return json.loads(stream.decompress(frame))

        assert (await read())["op"] == 10
        await socket.send_json(_identify(lab))
        assert (await read())["t"] == "READY"
        assert (await read())["t"] == "GUILD_CREATE"


@pytest.mark.skipif(not zstd_available(), reason="zstandard belongs to the `speed` extra")
async def test_discord_py_uses_zstd_when_it_can() -> None:
    """With zstandard importable the client asks for zstd-stream, and it works."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        (connection,) = lab.sandbox.core.gateway.connections
        assert connection.compress == "zstd-stream"
        await lab.write(f"<@{BOT_ID}> hi")
        assert (await robot.next_message()).author.id == MIRA_ID


CHILD = """
import sys
sys.modules["zstandard"] = None
import discord, yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route
Route.BASE, gateway, token = sys.argv[1:]
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
client = discord.Client(intents=discord.Intents.default())
client._connection.guild_ready_timeout = 0.02
@client.event
async def on_ready():
    print("ready with", discord.utils._ActiveDecompressionContext.COMPRESSION_TYPE)
    await client.close()
client.run(token, log_handler=None)
"""


async def test_discord_py_without_zstandard_uses_zlib(tmp_path: Path) -> None:
    """The same client without the extra package logs in with zlib-stream."""
    async with running_lab() as lab:
        script = tmp_path / "client.py"
        script.write_text(CHILD)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "ignore", str(script), lab.sandbox.api_url),
            *(lab.sandbox.core.gateway.url, lab.sandbox.token),
            stdout=subprocess.PIPE,
        )
        async with asyncio.timeout(WAIT_S * 3):
            output, _ = await child.communicate()
        assert output.decode().strip() == "ready with zlib-stream"


async def test_an_unknown_compression_closes_the_socket() -> None:
    """4002, instead of frames that nobody can read."""
    async with running_lab() as lab, _socket(lab, "&compress=brotli") as socket:
        message = await socket.receive(timeout=WAIT_S)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 4002)


async def test_a_dropped_client_resumes_and_gets_what_it_missed() -> None:
    """One identify in all; the message that was written meanwhile is replayed (F-80)."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        await lab.call("POST", "gateway", {"action": "drop"})
        await lab.write(f"<@{BOT_ID}> are you there?")
        heard = await robot.next_message()
        assert heard.content.endswith("are you there?")
        await asyncio.wait_for(robot.resumed.wait(), WAIT_S)
        assert (await lab.call("GET", "state"))["identifies"] == 1


async def test_opcode_7_makes_the_client_resume() -> None:
    """The session goes on under the same id."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        session_id = robot.ws.session_id
        await lab.call("POST", "gateway", {"action": "reconnect"})
        await asyncio.wait_for(robot.resumed.wait(), WAIT_S)
        assert robot.ws.session_id == session_id


async def test_an_invalid_session_makes_the_client_identify_anew() -> None:
    """Opcode 9 without resume (F-81): a new session, and messages arrive again."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        robot.is_online.clear()
        await lab.call("POST", "gateway", {"action": "invalid_session", "resumable": False})
        await asyncio.wait_for(robot.is_online.wait(), WAIT_S)
        assert (await lab.call("GET", "state"))["identifies"] == 2
        await lab.write(f"<@{BOT_ID}> hello again")
        await robot.next_message()
        assert not robot.resumed.is_set()


async def test_a_resumable_invalid_session_is_resumed() -> None:
    """Opcode 9 with resume."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        await lab.call("POST", "gateway", {"action": "invalid_session", "resumable": True})
        await asyncio.wait_for(robot.resumed.wait(), WAIT_S)
        assert (await lab.call("GET", "state"))["identifies"] == 1


@pytest.mark.parametrize("code", [4004, 4013, 4014])
async def test_a_final_close_code_ends_the_client(code: int) -> None:
    """discord.py raises and does not come back (F-82)."""
    async with running_lab() as lab:
        robot = Robot()
        running = asyncio.create_task(robot.start(lab.sandbox.token))
        await asyncio.wait_for(robot.is_online.wait(), WAIT_S)
        await lab.call("POST", "gateway", {"action": "close", "code": code})
        error = discord.PrivilegedIntentsRequired if code == 4014 else discord.ConnectionClosed
        with pytest.raises(error):
            await asyncio.wait_for(running, WAIT_S)
        await robot.close()
        assert (await lab.call("GET", "state"))["bot_online"] is False


async def test_a_close_that_allows_it_is_resumed() -> None:
    """4000 is an ordinary hiccup."""
    async with running_lab() as lab, Robot().online(lab) as robot:
        await lab.call("POST", "gateway", {"action": "close", "code": 4000})
        await asyncio.wait_for(robot.resumed.wait(), WAIT_S)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 0}}, 4004),
        ({"op": 2, "d": {"intents": 0}}, 4004),
        ({"op": 99, "d": None}, 4001),
        ({"op": 3, "d": {}}, 4003),
        ({"d": None}, 4002),
    ],
)
async def test_a_client_that_breaks_the_protocol_is_closed(
    payload: dict[str, Any], code: int
) -> None:
    """Each mistake has Discord's close code."""
    async with running_lab() as lab, _socket(lab) as socket:
        await _next(socket)
        await socket.send_json(payload)
        message = await socket.receive(timeout=WAIT_S)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, code)


async def test_intents_that_are_not_switched_on_are_refused() -> None:
    """4014, when the application lacks the message content intent."""
    options = GatewayOptions(token="", privileged_intents=0)
    intents = discord.Intents.default()
    intents.message_content = True
    async with running_lab(options=options) as lab:
        robot = Robot(intents)
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await robot.start(lab.sandbox.token)
        await robot.close()


async def test_a_session_that_said_goodbye_cannot_be_resumed() -> None:
    """After a close with 1000 a resume gets opcode 9 without resume."""
    async with running_lab() as lab:
        async with _socket(lab) as socket:
            await _next(socket)
            await socket.send_json(_identify(lab))
            session_id = (await _next(socket))["d"]["session_id"]
        async with _socket(lab) as socket:
            await _next(socket)
            told = {"token": lab.sandbox.token, "session_id": session_id, "seq": 1}
            await socket.send_json({"op": 6, "d": told})
            assert await _next(socket) == {"op": 9, "d": False}


async def test_members_are_sent_in_chunks() -> None:
    """discord.py's own chunking fills its cache."""
    intents = discord.Intents.default()
    intents.members = True
    async with running_lab() as lab, Robot(intents).online(lab) as robot:
        guild = robot.guilds[0]
        assert {member.name for member in guild.members} >= {"mira", "tom", "sam", "olive"}


async def test_the_start_limit_counts_identifies() -> None:
    """GET /gateway/bot tells how many are left."""
    async with running_lab() as lab, Robot().online(lab):
        status, told = await lab.rest("GET", "/gateway/bot")
        assert status == 200
        assert told["url"] == lab.sandbox.core.gateway.url
        assert told["session_start_limit"]["remaining"] == 999
