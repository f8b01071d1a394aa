"""One life of the bot: the unmodified process on the real file, from its start to SIGKILL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sandbox.launcher import BOT_COMMAND
from tests.kill_loop.shot import DATABASE
from tests.kill_loop.town import Town

START_S_MAX: Final = 30.0
"""Far more than a start takes on a busy machine; then the loop gives up."""
STARTS_WITHOUT_DELAY: Final = 3
"""Failed starts that the start guard forgives by itself (S-9)."""

LOOK_S: Final = 0.005
LOG: Final = "bot.log"


class LifeFailed(Exception):
    """It did not live until it was killed; the text says what it did instead."""


_FORGIVE: Final = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA wal_autocheckpoint = 0")
try:
    connection.execute("UPDATE preferences SET value = '0' WHERE key LIKE 'start_guard.%'")
except sqlite3.OperationalError:
    pass
os._exit(0)
"""
"""Ends without closing the file: what was not checkpointed is the next life's to recover."""


def forgive_starts(data: Path) -> None:
    """Let half an hour of stable connection have passed, as far as the start guard knows."""
    if (data / DATABASE).exists():
        subprocess.run(
            [sys.executable, "-S", "-E", "-c", _FORGIVE, str(data / DATABASE)], check=True
        )


@dataclass(slots=True, kw_only=True)
class Life:
    """`started_s` is of the loop's clock; the log is read only after the death."""

    town: Town
    log_path: Path
    log_from: int
    process: asyncio.subprocess.Process
    started_s: float
    killed_s: float | None = None
    online_s: float | None = None
    """Seconds from the start to the gateway."""
    lines: list[dict[str, object]] = field(default_factory=list)

    @classmethod
    async def start(cls, town: Town, data: Path) -> Life:
        log_path = data / LOG
        with log_path.open("ab") as log:
            log_from = log.tell()
            process = await asyncio.create_subprocess_exec(
                *BOT_COMMAND,
                env=town.environment,
                cwd=data,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(
            town=town,
            log_path=log_path,
            log_from=log_from,
            process=process,
            started_s=time.monotonic(),
        )

    @property
    def is_over(self) -> bool:
        return self.killed_s is not None or self.process.returncode is not None

    async def online(self) -> None:
        """Wait until Discord has it. Raises `LifeFailed` when that does not come about."""
        while not self.town.online:
            if self.process.returncode is not None:
                raise LifeFailed(f"the bot ended by itself with {self.process.returncode}")
            if time.monotonic() - self.started_s > START_S_MAX:
                raise LifeFailed(f"the bot was not online within {START_S_MAX} s")
            await asyncio.sleep(LOOK_S)
        self.online_s = time.monotonic() - self.started_s

    def kill(self) -> None:
        """SIGKILL, at once; a second time nothing happens."""
        if not self.is_over:
            self.killed_s = time.monotonic()
            os.kill(self.process.pid, signal.SIGKILL)

    async def end(self, number: signal.Signals | None = None) -> int:
        """Wait for the end, after a signal if one is given; the exit code."""
        if number is not None:
            os.kill(self.process.pid, number)
        code = await self.process.wait()
        await self.town.offline()
        self.lines = read_log(self.log_path, self.log_from)
        return code

    def has_said(self, event: str) -> bool:
        return any(line.get("event") == event for line in self.lines)

    @property
    def phase(self) -> str:
        """How far it had come when it died."""
        if self.online_s is not None:
            return "online"
        return "listening" if self.has_said("listening") else "starting"


# --- What it said ---------------------------------------------------------------------------------

_BUGS: Final = frozenset({"step_lost"})
"""Without an exception, and a mistake of ours all the same."""
_OUTSIDE: Final = frozenset(
    {
        # F-110: on a busy machine the file's queue grows too long; the member was told.
        ("failed", "StoreUnavailable"),
        ("turn_not_booked", None),
    }
)
"""Event and named error of those lines with an exception that no mistake of ours is needed for."""


def read_log(path: Path, offset: int = 0) -> list[dict[str, object]]:
    """Its lines from a byte on; one that is no JSON is an event of its own."""
    with path.open("rb") as log:
        log.seek(offset)
        return [_parsed(line) for line in log.read().splitlines()]


def mistakes(lines: list[dict[str, object]]) -> list[str]:
    """Those that a bot writes only when it has a bug."""
    return [f"log: {json.dumps(line)[:400]}" for line in lines if _is_mistake(line)]


def _is_mistake(line: dict[str, object]) -> bool:
    event = line.get("event")
    if "exception" in line:
        return (event, line.get("error")) not in _OUTSIDE
    return event in _BUGS or str(event).startswith("Traceback")


def _parsed(line: bytes) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"event": line.decode(errors="replace")}
