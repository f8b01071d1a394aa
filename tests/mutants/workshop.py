"""Runs the suite against mutants, each in a copy of the tree of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutants.mutant import Edit, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("bot", "cogs", "sandbox", "storage", "tests", "pyproject.toml")
KILLER_TIMEOUT_S = 900.0
"""One killer. A slow machine must not kill a mutant: who takes longer has not judged it."""
WORLDS_FAILED = 1
"""The simulation's exit code when a promise was broken."""
TESTS_FAILED = 1
"""pytest's exit code for it; others mean that nothing was judged."""


class Fate(StrEnum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"
    """It could not be judged: the killer itself did not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One mutant's fate; `killer` is the first test that failed."""

    mutant: Mutant
    fate: Fate
    killer: str
    took_s: float


def applied(text: str, edit: Edit) -> str:
    """Return the edited text. Raises ValueError unless `old` stands there exactly once."""
    found = text.count(edit.old)
    if found != 1:
        raise ValueError(f"{edit.path}: {found} times in the file: {edit.old!r}")
    return text.replace(edit.old, edit.new)


class Workshop:
    """A copy of the tree, in which one mutant after the other lives."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @classmethod
    @contextmanager
    def opened(cls) -> Iterator[Workshop]:
        """Copy the tree, and remove the copy in the end."""
        root = Path(tempfile.mkdtemp(prefix="atelier-mutants-"))
        try:
            for name in COPIED:
                source = ROOT / name
                if source.is_dir():
                    shutil.copytree(
                        source, root / name, ignore=shutil.ignore_patterns("__pycache__", "data")
                    )
                else:
                    shutil.copy2(source, root / name)
            yield cls(root)
        finally:
            shutil.rmtree(root, ignore_errors=True)

    def judge(self, mutant: Mutant) -> Verdict:
        """Let the mutant live until a killer fails."""
        began_s = time.monotonic()
        originals: dict[Path, str] = {}
        try:
            for edit in mutant.edits:
                path = self._root / edit.path
                text = path.read_text()
                originals.setdefault(path, text)
                path.write_text(applied(text, edit))
            fate, killer = self._hunted(mutant.killers)
            if fate is Fate.KILLED and mutant.seeds:
                fate, seed = self._simulated(mutant.seeds)
                killer = f"{killer} and {seed}"
        except ValueError as error:  # the program has changed, and the mutant does not fit it
            fate, killer = Fate.BROKEN, str(error)
        finally:
            for path, text in originals.items():
                path.write_text(text)
        took_s = time.monotonic() - began_s
        return Verdict(mutant=mutant, fate=fate, killer=killer, took_s=took_s)

    def _hunted(self, killers: Sequence[str]) -> tuple[Fate, str]:
        for killer in killers:
            fate, name = self._run(killer)
            if fate is not Fate.SURVIVED:
                return fate, name
        return Fate.SURVIVED, ""

    def _simulated(self, seeds: int) -> tuple[Fate, str]:
        """Look for a world in which the mistake shows."""
        command = [sys.executable, "-m", "tests.simulation.run", "--processes", "1"]
        done = self._ended([*command, "--seeds", str(seeds)])
        if done is None or done.returncode not in {0, WORLDS_FAILED}:
            return Fate.BROKEN, "the simulation did not end"
        seed = re.search(r"^SEED=\d+", done.stdout, re.MULTILINE)
        if done.returncode == 0 or seed is None:
            return Fate.SURVIVED, f"no seed of {seeds}"
        return Fate.KILLED, seed[0]

    def _run(self, killer: str) -> tuple[Fate, str]:
        command = [
            *(sys.executable, "-m", "pytest", "--exitfirst", "--quiet", "--no-header"),
            *("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=no"),
            *killer.split(),
        ]
        done = self._ended(command)
        if done is None:
            return Fate.BROKEN, f"{killer} did not end"
        if done.returncode == 0:
            return Fate.SURVIVED, ""
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        if done.returncode == TESTS_FAILED and failed:
            return Fate.KILLED, failed[1]
        return Fate.BROKEN, (done.stdout + done.stderr)[-2_000:]

    def _ended(self, command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
        """Run it in the copy; None when it takes too long to be judged."""
        try:
            return subprocess.run(
                command,
                cwd=self._root,
                env=_environment(),
                capture_output=True,
                text=True,
                check=False,
                timeout=KILLER_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired:
            return None


def _environment() -> Mapping[str, str]:
    """No byte code: an edit within the same second would not be seen."""
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": ""}
