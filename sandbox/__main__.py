"""`python -m sandbox`: a Discord and a provider on loopback, with the unmodified bot in them.

`python -m sandbox auto` is what `make run` calls: it chooses by the settings among the real bot,
the real Discord with a simulated provider (demo), and the sandbox.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox.launcher import (
    BOT_COMMAND,
    PORT,
    PROVIDER_PORT,
    Options,
    Stopping,
    run_demo,
    run_sandbox,
)
from sandbox.mode import EnvFileUnreadable, Mode, choose, given_settings

EXIT_CONFIG = 78
"""As the bot: settings cannot be read (sysexits.h)."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; the exit code."""
    chosen = parse(arguments)
    options = Options(
        port=chosen.port,
        provider_port=chosen.provider_port,
        data=chosen.data,
        with_bot=chosen.bot,
        tokens_per_s=chosen.pace,
        callbacks=chosen.callbacks,
    )
    if chosen.mode != "auto":
        return asyncio.run(_sandbox(options))
    try:
        given = given_settings(os.environ)
    except EnvFileUnreadable as error:
        say(f".env cannot be read: {error}")
        return EXIT_CONFIG
    match choose(given):
        case Mode.REAL:
            say("Atelier: the real Discord and the real provider.")
            return become_the_bot()
        case Mode.DEMO:
            say("Atelier demo: the real Discord, a simulated provider (no AIVIDEO_API_KEY is set).")
            return asyncio.run(_demo(options, given))
        case Mode.SANDBOX:
            return asyncio.run(_sandbox(options, why=", with no DISCORD_TOKEN set"))


def become_the_bot() -> int:
    """Replace this process: signals and the exit code are then the bot's own. Never returns."""
    os.execv(BOT_COMMAND[0], BOT_COMMAND)  # noqa: S606 - our own interpreter, fixed words.


def say(text: str) -> None:
    """One line on the terminal, at once."""
    print(text, flush=True)  # noqa: T201 - the terminal is the interface of the launcher.


async def _sandbox(options: Options, why: str = "") -> int:
    stopping = Stopping()
    stopping.listen()
    return await run_sandbox(options, os.environ, stopping, say=say, why=why)


async def _demo(options: Options, given: dict[str, str]) -> int:
    stopping = Stopping()
    stopping.listen()
    return await run_demo(options, os.environ, given, stopping, say=say)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument(
        "mode",
        nargs="?",
        choices=("sandbox", "auto"),
        default="sandbox",
        help="auto: choose by DISCORD_TOKEN and AIVIDEO_API_KEY, as make run does",
    )
    parser.add_argument("--port", type=_port, default=PORT, help="of Discord and the page; 0: any")
    parser.add_argument("--provider-port", type=_port, default=PROVIDER_PORT, help="0: any")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of sandbox.db")
    parser.add_argument("--no-bot", dest="bot", action="store_false", help="servers only")
    parser.add_argument(
        "--no-callbacks",
        dest="callbacks",
        action="store_false",
        help="the bot has no address: it must ask for the state of its tasks",
    )
    parser.add_argument(
        "--pace", type=_pace, metavar="TOKENS", help="tokens per second; 0: at once"
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or int(text) > 65_535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _pace(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError("tokens per second are a number from 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
