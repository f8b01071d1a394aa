"""Start both servers and the unmodified bot, say where the page is, stop everything in order."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sandbox.child import STOP_GRACE_S, Child
from sandbox.discord.server import DiscordSandbox
from sandbox.mode import LOOPBACK, demo_environment, sandbox_environment
from sandbox.page.routes import add_page
from sandbox.provider.delivery import Pace
from sandbox.provider.server import ProviderSandbox

ROOT: Final = Path(__file__).parents[1]
"""Where the packages of the project stand."""
PORT: Final = 8700
PROVIDER_PORT: Final = 8701
SHUTDOWN_S: Final = 2.0
"""Requests that run when the servers stop: the bot has ended before."""
BODY_BYTES_MAX: Final = 4 * 1024
"""Of a request to `/control/bot`: one word."""
BOT_COMMAND: Final = (sys.executable, "-m", "bot", "run")
DEMO_LABEL: Final = "demo"
ACTIONS: Final = ("start", "stop", "kill", "restart")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Port 0 is any free one. `tokens_per_s` None is the believable pace, 0 at once."""

    port: int = PORT
    provider_port: int = PROVIDER_PORT
    data: Path = Path("data")
    with_bot: bool = True
    tokens_per_s: float | None = None
    command: Sequence[str] = BOT_COMMAND
    stop_grace_s: float = STOP_GRACE_S
    callbacks: bool = True
    """Whether the bot is told its own address, so that the provider can call it back."""

    @property
    def pace(self) -> Pace:
        if self.tokens_per_s is None:
            return Pace()
        if self.tokens_per_s == 0:
            return Pace(tokens_per_s=0, first_token_delay_s=0)
        return Pace(tokens_per_s=self.tokens_per_s)


class CannotListen(Exception):
    """A port cannot be had; the text is for the operator."""


@dataclass(slots=True)
class Stopping:
    """Ctrl-C or SIGTERM: the first one asks for an orderly end, the second one for an end now."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    child: Child | None = None

    def ask(self) -> None:
        if self.asked.is_set() and self.child is not None:
            self.child.kill()
        self.asked.set()

    def listen(self) -> None:
        """Take the signals of this process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.ask)


async def run_sandbox(
    options: Options, environ: Mapping[str, str], stopping: Stopping, *, say: Say, why: str = ""
) -> int:
    """Serve until asked to stop; exit code 0, or 1 when a port is taken.

    `why` is added to the one line that says where the page is.
    """
    discord = DiscordSandbox()
    provider = ProviderSandbox(pace=options.pace)
    try:
        async with AsyncExitStack() as stack:
            provider_url = await _serve(
                stack, provider.app, options.provider_port, "--provider-port"
            )
            home = stack.enter_context(tempfile.TemporaryDirectory(prefix="atelier-sandbox-"))
            child = Child(
                options.command,
                environment={},
                cwd=Path(home),
                say=lambda text: say(f"{text} The page can start it again; Ctrl-C ends all."),
                stop_grace_s=options.stop_grace_s,
            )
            add_page(discord.app, provider_url)
            if options.with_bot:
                discord.app.router.add_get("/control/bot", BotControl(child, say).state)
                discord.app.router.add_post("/control/bot", BotControl(child, say).act)
            discord.base_url = await _serve(stack, discord.app, options.port, "--port")
            web_port = reserve_port(stack)
            child.environment = sandbox_environment(
                environ,
                root=ROOT,
                token=discord.token,
                api_url=discord.api_url,
                provider_url=provider_url,
                data=options.data,
                web_port=web_port,
                callbacks=options.callbacks,
            )
            say(f"Atelier's sandbox is at {discord.base_url}{why} (Ctrl-C ends it)")
            if options.with_bot:
                await _start(stack, child, stopping)
            await stopping.asked.wait()
    except CannotListen as error:
        say(str(error))
        return 1
    return 0


async def run_demo(
    options: Options,
    environ: Mapping[str, str],
    given: Mapping[str, str],
    stopping: Stopping,
    *,
    say: Say,
) -> int:
    """Serve the provider and run the bot in the real Discord until one of them is to end."""
    provider = ProviderSandbox(pace=options.pace, label=DEMO_LABEL)
    try:
        async with AsyncExitStack() as stack:
            url = await _serve(stack, provider.app, options.provider_port, "--provider-port")
            environment = demo_environment(
                environ, given, root=ROOT, provider_url=url, callbacks=options.callbacks
            )
            child = Child(
                options.command,
                environment=environment,
                cwd=Path.cwd(),
                say=say,
                stop_grace_s=options.stop_grace_s,
            )
            await _start(stack, child, stopping)
            waits = [asyncio.ensure_future(e.wait()) for e in (stopping.asked, child.ended)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if child.ended.is_set():
                return child.exit_code or 0
    except CannotListen as error:
        say(str(error))
        return 1
    return 0


async def _start(stack: AsyncExitStack, child: Child, stopping: Stopping) -> None:
    stopping.child = child
    stack.push_async_callback(child.close)
    await child.start()


async def _serve(stack: AsyncExitStack, app: web.Application, port: int, option: str) -> str:
    """Listen on loopback until the stack ends; the address. Raises `CannotListen`."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            text = f"Port {port} is already in use: choose another one with {option}."
        else:
            text = f"Cannot listen on port {port}: {error.strerror or error}. See {option}."
        raise CannotListen(text) from error
    return f"http://{LOOPBACK}:{runner.addresses[0][1]}"


def reserve_port(stack: ExitStack | AsyncExitStack) -> int:
    """A free port for the bot's listener, the same one after each of its restarts.

    Where the system lets a listener share a port with a socket that only holds it, it is held: no
    outgoing connection can then take it while the bot is down.
    """
    holder = socket.socket()
    stack.callback(holder.close)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((LOOPBACK, 0))
    port: int = holder.getsockname()[1]
    if sys.platform != "linux":
        holder.close()
    return port


class BotControl:
    """`/control/bot`: whether the bot runs, and switches to stop, start, kill and restart it."""

    def __init__(self, child: Child, say: Say) -> None:
        self._child = child
        self._say = say

    async def state(self, _request: web.Request) -> web.Response:
        return web.json_response(self._facts())

    async def act(self, request: web.Request) -> web.Response:
        """{action}: answers when it is done; 409 when the bot runs already."""
        action = await _action_of(request)
        if action not in ACTIONS:
            text = f"action must be one of {', '.join(ACTIONS)}"
            return web.json_response({"error": text}, status=400)
        if action == "kill":
            self._child.kill()
        if action != "start":
            await self._child.stop()
        if action in {"start", "restart"} and not await self._child.start():
            return web.json_response({"error": "the bot runs already"}, status=409)
        self._say(f"The page asked for it: {action} of the bot.")
        return web.json_response(self._facts())

    def _facts(self) -> dict[str, Any]:
        child = self._child
        return {"running": child.running, "pid": child.pid, "exit_code": child.exit_code}


async def _action_of(request: web.Request) -> str | None:
    # Another website can send neither this type nor, hence, an action.
    if request.content_type != "application/json":
        return None
    if (request.content_length or BODY_BYTES_MAX + 1) > BODY_BYTES_MAX:
        return None
    try:
        body = await request.json()
    except ValueError:
        return None
    action = body.get("action") if isinstance(body, dict) else None
    return action if isinstance(action, str) else None
