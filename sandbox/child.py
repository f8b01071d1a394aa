"""The bot as a child process: started, stopped in order, killed, and never restarted in silence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

STOP_GRACE_S: Final = 35.0
"""The bot may take 25 s to end the answers that are running."""


class Child:
    """One program that may run or not. `say` is told whenever it ends by itself."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: Path,
        say: Callable[[str], None],
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._command = tuple(command)
        self.environment = dict(environment)
        """Of the next start."""
        self._cwd = cwd
        self._say = say
        self._stop_grace_s = stop_grace_s
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._wanted = False
        self._changing = asyncio.Lock()
        self.ended = asyncio.Event()
        """Set when it has ended by itself."""

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    @property
    def exit_code(self) -> int | None:
        """Of the latest run; negative for a signal, None before its end."""
        return self._process.returncode if self._process else None

    async def start(self) -> bool:
        """Start it; False when it runs already. Raises OSError when there is no such program."""
        async with self._changing:
            if self.running:
                return False
            self._wanted = True
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self.environment,
                cwd=self._cwd,
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C reaches the whole group of the terminal; the child is stopped by us alone.
                start_new_session=True,
            )
            self._watcher = asyncio.create_task(self._watch(self._process))
            return True

    async def stop(self) -> None:
        """SIGTERM, a bounded wait, SIGKILL. Returns when it has ended."""
        async with self._changing:
            self._wanted = False
            process = self._process
            if process is None or not self.running:
                return
            self._signal(process, signal.SIGTERM)
            try:
                async with asyncio.timeout(self._stop_grace_s):
                    await process.wait()
            except TimeoutError:
                self._say(f"The bot did not end within {self._stop_grace_s:g} s and is killed.")
                self._signal(process, signal.SIGKILL)
                await process.wait()

    def kill(self) -> None:
        """SIGKILL at once, as a crash; also ends the wait of a running `stop`."""
        self._wanted = False
        if self._process is not None and self.running:
            self._signal(self._process, signal.SIGKILL)

    async def close(self) -> None:
        await self.stop()
        if self._watcher is not None:
            await self._watcher

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._wanted:
            self._wanted = False
            self._say(f"The bot has ended by itself with {describe(code)}.")
            self.ended.set()

    @staticmethod
    def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        # Not `process.send_signal`: that polls, and so may take the exit code away from asyncio's
        # own watcher, which then reports 255. Until that watcher has reaped it, the id is taken.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


def describe(code: int) -> str:
    """`exit code 1`, or the signal by its name."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"signal {signal.Signals(-code).name}"
    except ValueError:
        return f"signal {-code}"
