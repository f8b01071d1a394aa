"""The verbs as an operator meets them: real processes, plain lines, exit codes."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from bot.clock import SystemClock
from bot.text import console
from sandbox.discord.gateway import GatewayOptions
from sandbox.discord.server import DiscordSandbox
from storage import budgets, preferences
from storage.database import Database
from storage.errors import StoreCorrupt
from storage.locks import FileLock
from storage.types import Budget

ROOT = Path(__file__).parents[2]
TOKEN = "MTA1.Gb3xYz.canary-token-of-the-bot-0123456789"
KEY = "sk-canary0123456789abcdef"
PATIENCE_S = 60.0
"""A cold start on a busy machine; a verb that needs longer hangs."""


class Shell:
    """A folder in which `python -m bot` is run."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.database = home / "data" / "atelier.db"

    def run(self, verb: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bot", verb, *options],
            cwd=self.home,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                # Nothing listens there: whoever reaches for the network fails, fast and visibly.
                "DISCORD_API_URL": "http://127.0.0.1:9/api/v10",
                "AIVIDEO_BASE_URL": "http://127.0.0.1:9/v1",
                "WEB_PORT": "0",
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Lines for the operator's own shell."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["/bin/sh", "-c", script],
            cwd=self.home,
            env={"PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def run_with_keys(self, verb: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return self.run(verb, DISCORD_TOKEN=TOKEN, AIVIDEO_API_KEY=KEY, **environ)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a database that `migrate` has just made; to be copied."""
    template = Shell(tmp_path_factory.mktemp("made"))
    done = template.run("migrate")
    assert done.returncode == 0, done.stderr
    return template.database.parent


@pytest.fixture
def migrated(shell: Shell, made: Path) -> Shell:
    """A shell in whose folder the database exists."""
    shutil.copytree(made, shell.database.parent)
    return shell


def test_settings_problems_end_with_78_and_all_their_lines(shell: Shell) -> None:
    """Settings and catalogue together, before any network call, no traceback, no value."""
    catalogue = shell.home / "models.toml"
    catalogue.write_text('multiplier = "0"\n')
    done = shell.run("run", DISCORD_TOKEN="changeme", LOG_LEVEL="loud", CATALOGUE=str(catalogue))
    assert done.returncode == 78
    assert done.stdout == ""
    for words in ("DISCORD_TOKEN", "AIVIDEO_API_KEY", "LOG_LEVEL", "multiplier", "chat_model"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not shell.database.exists()


def test_a_catalogue_that_cannot_be_looked_at_ends_with_78_too(shell: Shell) -> None:
    """F-125: told once, beside the others, and no trace of where it was noticed."""
    done = shell.run("check", DISCORD_TOKEN="changeme", CATALOGUE="x" * 300)
    assert done.returncode == 78
    assert done.stderr.count("CATALOGUE") == 1
    assert "DISCORD_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_beside_the_process_is_read(shell: Shell) -> None:
    """`.env` in the working folder."""
    (shell.home / ".env").write_text(f"DISCORD_TOKEN={TOKEN}\nAIVIDEO_API_KEY={KEY}\n")
    assert shell.run("check").returncode == 0


def test_check_says_what_run_would_do_and_makes_nothing(shell: Shell) -> None:
    """No network, no database where there was none, no secret."""
    done = shell.run_with_keys("check", DAILY_ALLOWANCE="7.5", MONTHLY_BUDGET="900")
    assert done.returncode == 0
    for words in (
        "http://127.0.0.1:9/api/v10",
        "GPT-5.4",
        "7.5 credits",
        "at most 900 credits a month",
        "atelier.db",
    ):
        assert words in done.stdout
    assert "canary" not in done.stdout + done.stderr
    assert not shell.database.exists()


def test_check_changes_nothing_about_a_database_that_is_there(migrated: Shell) -> None:
    """It only looks: an older schema waits for `run`, and nobody is fenced."""
    with sqlite3.connect(migrated.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    before = migrated.database.read_bytes()
    assert migrated.run_with_keys("check").returncode == 0
    assert migrated.database.read_bytes() == before


def test_migrate_makes_the_database_without_any_key(migrated: Shell) -> None:
    """And with rights for its owner only (C-34)."""
    assert migrated.database.stat().st_mode & 0o777 == 0o600
    assert migrated.database.parent.stat().st_mode & 0o777 == 0o700
    assert migrated.run("migrate").returncode == 0


def test_audit_of_sound_books_ends_with_0(migrated: Shell) -> None:
    """One line says so."""
    done = migrated.run("audit")
    assert (done.returncode, done.stderr) == (0, "")
    assert "sound" in done.stdout


def test_audit_of_broken_books_ends_with_1_and_says_what(migrated: Shell) -> None:
    """Somebody changed a balance behind our back (I-1)."""
    with sqlite3.connect(migrated.database) as connection:
        connection.execute("UPDATE accounts SET balance_ucr = balance_ucr + 1 WHERE kind = 'spent'")
    connection.close()
    done = migrated.run("audit")
    assert done.returncode == 1
    assert "I-1" in done.stdout


def test_audit_without_a_database_does_not_make_one(shell: Shell) -> None:
    """There is nothing to be sound."""
    assert shell.run("audit").returncode == 74
    assert not shell.database.exists()


@pytest.mark.parametrize("verb", ["run", "check", "migrate", "audit"])
def test_a_damaged_database_ends_with_74(migrated: Shell, verb: str) -> None:
    """F-113: refused with the remedy, never repaired or replaced silently."""
    size = migrated.database.stat().st_size
    with migrated.database.open("r+b") as file:
        file.seek(0)
        file.write(b"\xa5" * min(size, 8_192))
    done = migrated.run_with_keys(verb)
    assert done.returncode == 74
    assert "backup" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_database_that_vanished_ends_with_74(migrated: Shell, verb: str) -> None:
    """F-113: never an empty one in place of a missing one."""
    migrated.database.unlink()
    done = migrated.run_with_keys(verb)
    assert done.returncode == 74
    assert "missing" in done.stderr
    assert not migrated.database.exists()


@pytest.mark.parametrize("verb", ["run", "check", "migrate", "audit"])
def test_a_database_without_its_log_ends_with_74(migrated: Shell, verb: str) -> None:
    """F-113: the commits in it are gone; nobody goes on as if they had never been."""
    migrated.database.with_name("atelier.db-shm").write_bytes(bytes(32_768))
    done = migrated.run_with_keys(verb)
    assert done.returncode == 74
    assert "atelier.db-wal" in done.stderr
    assert "backup" in done.stderr
    assert "Traceback" not in done.stderr
    assert not migrated.database.with_name("atelier.db-wal").exists()


def test_a_log_that_may_be_lost_is_told_whoever_comes_first(migrated: Shell) -> None:
    """F-113: `migrate` opens the database, so no later start can miss the log."""
    migrated.database.with_name("atelier.db.lock").write_text('{"log": true}', encoding="utf-8")
    done = migrated.run("migrate")
    assert done.returncode == 0
    assert "newest changes are lost" in done.stderr


def test_a_log_that_may_be_lost_is_told_at_the_start(migrated: Shell) -> None:
    """F-113: both companions of a killed process are gone."""
    migrated.database.with_name("atelier.db.lock").write_text('{"log": true}', encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = migrated.run_with_keys("run", WEB_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 78
    assert "database_log_missing" in done.stdout + done.stderr
    assert "newest changes are lost" in done.stdout + done.stderr
    assert "clock_behind_the_books" not in done.stdout + done.stderr


async def test_the_readmes_backup_and_restore_do_what_it_says(migrated: Shell) -> None:
    """F-113, F-116: copied beside the running bot, put back in place of a damaged file."""
    backup, restore, *_ = _backup_section()
    database = await Database.open(f"sqlite+aiosqlite:///{migrated.database}")
    try:
        await database.transact(preferences.put, key="a", value="kept", now_us=1)
        copied = await asyncio.to_thread(migrated.sh, backup)
        await database.transact(preferences.put, key="a", value="later", now_us=1)
    finally:
        await database.close()
    assert copied.returncode == 0, copied.stderr
    assert migrated.database.with_name("backup.db").stat().st_mode & 0o777 == 0o600
    migrated.database.write_bytes(b"\xa5" * 8_192)
    migrated.database.with_name("atelier.db-shm").write_bytes(bytes(32_768))
    told = migrated.run_with_keys("run").stderr
    restored = migrated.sh(restore)
    assert restored.returncode == 0, restored.stderr
    assert "sound" in restored.stdout
    assert "README.md" in told
    database = await Database.open(f"sqlite+aiosqlite:///{migrated.database}")
    assert await database.read(preferences.get, key="a") == "kept"
    await database.close()


async def test_books_from_a_time_to_come_are_told_at_the_start(migrated: Shell) -> None:
    """F-118: the clock was ahead for a moment; no new day begins until it is there again."""
    database = await Database.open(f"sqlite+aiosqlite:///{migrated.database}")
    now_us = SystemClock().now_us() + 2 * 86_400 * 1_000_000
    budget = Budget(day_ucr=5, month_ucr=None, timezone="UTC")
    await database.transact(budgets.set_installation, budget=budget, now_us=now_us)
    await database.close()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = await asyncio.to_thread(
            migrated.run_with_keys, "run", WEB_PORT=str(taken.getsockname()[1])
        )
    assert done.returncode == 78
    assert "clock_behind_the_books" in done.stdout + done.stderr
    assert "until the clock reaches" in done.stdout + done.stderr


def _backup_section() -> list[str]:
    """Its blocks for a shell: backup, restore, and how to enter the running or a new container."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("**Backup**")[2]
    return re.findall(r"```sh\n(.+?)\n```", section.partition("\n**")[0], re.DOTALL)


def test_a_restore_without_a_backup_takes_nothing_away(migrated: Shell) -> None:
    """F-113: the newest changes are in the log; its line and that of the message at the start."""
    log = migrated.database.with_name("atelier.db-wal")
    log.write_bytes(b"the newest changes")
    error = StoreCorrupt(path="data/atelier.db", cause="missing")
    for line in (_backup_section()[1], console.store_corrupt(error).splitlines()[-1]):
        assert "rm -f data/atelier.db-wal" in line
        assert migrated.sh(line).returncode != 0
        assert log.read_bytes() == b"the newest changes"


def test_the_readmes_container_lines_do_nothing_outside_the_container(shell: Shell) -> None:
    """F-113: `docker compose exec atelier a && b` does `b` on this machine; a shell does both."""
    for stub, words in (("docker", 'echo "$*"'), ("rm", "echo rm"), ("python", "echo python")):
        (shell.home / stub).write_text(f"#!/bin/sh\n{words}\n")
        (shell.home / stub).chmod(0o700)
    exec_, run = ("compose exec atelier sh", "compose run --rm atelier sh")
    running, stopped = _backup_section()[2:]
    path = f"PATH={shell.home}:$PATH"
    assert shell.sh(f"{path}\n{running}").stdout.splitlines() == [exec_]
    assert shell.sh(f"{path}\n{stopped}").stdout.splitlines() == ["compose stop", run]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    entering = re.findall(r"docker compose (?:exec|run)\b.*", readme)
    assert entering == [f"docker {exec_}", f"docker {run}"]


def test_the_container_has_what_the_readmes_lines_need() -> None:
    """`sh` is what is run, where `python -m bot` works, and `/data/` stands for `data/`."""
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert {"WORKDIR /app", "COPY bot bot", "VOLUME /data"} <= set(lines)
    assert not [line for line in lines if line.startswith("ENTRYPOINT")]
    assert "sqlite+aiosqlite:////data/atelier.db" in (ROOT / "compose.yaml").read_text("utf-8")
    for line in _backup_section()[:2]:
        assert line.count("data/") == len(
            re.findall(r"(?<![\w/])data/(?:atelier|backup)\.db", line)
        )


@pytest.fixture
def held(migrated: Shell) -> Iterator[Shell]:
    """A database that a live process holds: this one."""
    path = migrated.database
    lock = FileLock.acquire(path.with_name(f"{path.name}.lock"), database=path)
    yield migrated
    lock.release()


@pytest.mark.parametrize("verb", ["run", "check", "migrate"])
def test_a_second_process_ends_with_75_and_names_the_first(held: Shell, verb: str) -> None:
    """S-8, F-119, F-100: one line, before it talks to Discord or to the provider."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        base = f"http://127.0.0.1:{listening.getsockname()[1]}"
        done = held.run_with_keys(
            verb, DISCORD_API_URL=f"{base}/api/v10", AIVIDEO_BASE_URL=f"{base}/v1"
        )
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert done.returncode == 75
    assert f"process {os.getpid()} on {socket.gethostname()}, since " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("token", "environ", "remedy"),
    [
        (TOKEN, {"MESSAGE_CONTENT": "true"}, "Message Content"),
        ("another-token-of-this-bot-0123456789", {}, "DISCORD_TOKEN"),
    ],
    ids=["4014", "401"],
)
async def test_what_discord_refuses_ends_with_78_and_its_remedy(
    migrated: Shell, token: str, environ: dict[str, str], remedy: str
) -> None:
    """F-82, F-88: one line, and no second try that would spend a session."""
    sandbox = DiscordSandbox(token=token, options=GatewayOptions(token=token, privileged_intents=0))
    async with TestServer(sandbox.app) as server:
        sandbox.base_url = str(server.make_url("")).rstrip("/")
        done = await asyncio.to_thread(
            migrated.run_with_keys, "run", DISCORD_API_URL=sandbox.api_url, **environ
        )
        logins = [one for one in sandbox.core.log.since(0) if one["path"] == "/users/@me"]
    assert done.returncode == 78, done.stderr
    assert remedy in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len(logins) == 1


async def test_audit_works_beside_the_running_bot(migrated: Shell) -> None:
    """`docker exec` reaches a container whose bot holds the database and writes on."""
    database = await Database.open(f"sqlite+aiosqlite:///{migrated.database}")
    try:
        auditing = asyncio.create_task(asyncio.to_thread(migrated.run, "audit"))
        written = 0
        while not auditing.done():
            await database.transact(preferences.put, key="a", value=str(written), now_us=1)
            written += 1
        done = await auditing
        await database.transact(preferences.put, key="a", value="not fenced", now_us=1)
    finally:
        await database.close()
    assert (done.returncode, done.stderr) == (0, "")
    assert "sound" in done.stdout
    assert written


def test_audit_of_an_older_database_asks_for_its_migration(migrated: Shell) -> None:
    """It may not change what it looks at."""
    with sqlite3.connect(migrated.database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    done = migrated.run("audit")
    assert done.returncode == 74
    assert "migrate" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_occupied_port_ends_with_78(migrated: Shell) -> None:
    """Before Discord hears of us: the health listener comes first (S-10)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = migrated.run_with_keys("run", WEB_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 78
    assert "WEB_PORT" in done.stderr


def test_health_of_a_process_that_is_not_there_is_bad(shell: Shell) -> None:
    """What the container's health check sees."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert shell.run("health", WEB_PORT=str(port)).returncode == 69


def test_an_unknown_verb_shows_the_verbs(shell: Shell) -> None:
    """The usage, with the code that argparse gives."""
    done = shell.run("fly")
    assert done.returncode == 2
    for verb in ("run", "check", "migrate", "audit", "health"):
        assert verb in done.stderr
