"""The sandbox with the real bot in it, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
START_TIMEOUT_S = 60.0
"""Two servers and a bot that logs in, on a machine that does other things too."""
STOP_TIMEOUT_S = 45.0
"""The bot may take 25 s to end its answers, the launcher waits 35 s."""
TOKENS_PER_S = 400
"""Fast, and still slow enough that an answer is seen growing."""


class Process:
    """`python -m sandbox` as a child: both servers and the unmodified bot."""

    def __init__(self, data: Path, *options: str, **environment: str) -> None:
        self._log = (data / "sandbox.log").open("ab")
        self.log_path = data / "sandbox.log"
        offset = self._log.tell()
        command = [sys.executable, "-m", "sandbox", "--port", "0", "--provider-port", "0"]
        self._child = subprocess.Popen(
            [*command, "--data", str(data), "--pace", str(TOKENS_PER_S), *options],
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**clean_environment(), "DAILY_ALLOWANCE": "1000", **environment},
        )
        self._offset = offset

    async def address(self) -> str:
        """The address in the one line that the launcher prints."""
        async with asyncio.timeout(START_TIMEOUT_S):
            while True:
                text = self.log_path.read_bytes()[self._offset :].decode(errors="replace")
                if found := re.search(r"http://127\.0\.0\.1:\d+", text):
                    return found[0]
                if self._child.poll() is not None:
                    raise RuntimeError(f"the sandbox ended with {self._child.returncode}:\n{text}")
                await asyncio.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """End it as Ctrl-C does; its exit code."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)
        try:
            return self._child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            raise
        finally:
            self._log.close()

    @property
    def log(self) -> str:
        """What the launcher and the bot have printed."""
        return self.log_path.read_text(errors="replace")


def clean_environment() -> dict[str, str]:
    """The environment without what this machine's owner set for a bot of their own."""
    mine = ("DISCORD_", "AIVIDEO_", "VIDEO_", "DATABASE_", "DAILY_", "LOG_", "CATALOGUE")
    return {name: value for name, value in os.environ.items() if not name.startswith(mine)}
