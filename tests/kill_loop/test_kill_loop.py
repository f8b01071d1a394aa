"""kill -9 at any moment, while members order all the time (T-3, F-114)."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from bot import settings
from sandbox.discord.world import Message, Version
from tests.kill_loop.life import mistakes, read_log
from tests.kill_loop.loop import kill_loop
from tests.kill_loop.secrets import CANARY, SECRETS, cells, lines, looks, spilt

KILLS = 25
"""Twice: each half finds a processor of its own."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("seed", "last_starts"),
    [
        pytest.param(1, 0, id="at any moment"),
        pytest.param(2, 20, id="F-17 twenty times in a row while it starts"),
    ],
)
async def test_nothing_acknowledged_is_lost_and_no_invariant_broken(
    seed: int, last_starts: int, tmp_path: Path
) -> None:
    """F-114, I-35; I-1 … I-5, I-20 … I-25 at each death; I-12, I-22, I-23, I-34 at the end."""
    report = await kill_loop(KILLS, seed=seed, data=tmp_path, last_starts=last_starts)
    told = "\n".join(report.lines())
    assert not report.broken, told
    assert report.kills == KILLS, told
    assert report.jobs.total() > 0, told
    assert report.at_death.total() > 0, told


def test_a_secret_is_found_wherever_it_stands(tmp_path: Path) -> None:
    """I-34: in each kind of place, plain and written otherwise; and nowhere else."""
    secret = "a secret/of 32 characters and more"
    written = quote(secret, safe=""), b64encode(secret.encode()).decode()
    database, log = tmp_path / "books.db", tmp_path / "bot.log"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE notes (number INTEGER, text TEXT, body BLOB)")
        rows = [(1, f"in {secret}", None), (2, None, secret.encode()), (3, "nothing", b"")]
        connection.executemany("INSERT INTO notes VALUES (?, ?, ?)", rows)
        connection.commit()
    log.write_text(f"nothing\n?key={written[0]}\nBasic {written[1]}\n", encoding="utf-8")
    message = Message(id=7, channel_id=1, author_id=1, type=0, created_ms=0, content="nothing")
    message.history.append(Version(content=secret, components=[], flags=0, at_ms=0))
    places = [*cells(database), *lines(log), *looks([message])]
    environment = {name: secret if name == "DISCORD_TOKEN" else CANARY for name in SECRETS}
    assert [*spilt(environment, places)] == [
        f"I-34 {where} holds DISCORD_TOKEN"
        for where in ("notes.text", "notes.body", "bot.log:2", "bot.log:3", "message 7")
    ]


def test_every_secret_setting_is_searched_for() -> None:
    """I-34: whoever adds one to the settings adds it to the search."""
    assert {name.upper() for name in settings._SECRETS} == set(SECRETS)


@pytest.mark.parametrize(
    ("line", "is_ours"),
    [
        ({"event": "evidence_broke", "exception": "Traceback …\nKeyError"}, True),
        ({"event": "Task exception was never retrieved", "exception": "…"}, True),
        ({"event": "failed", "error": "Unexpected", "exception": "…"}, True),
        ({"event": "failed", "error": "StoreUnavailable", "exception": "…"}, False),
        ({"event": "turn_not_booked", "exception": "…"}, False),
        ({"event": "step_lost"}, True),
        ({"event": "Traceback (most recent call last):"}, True),
        ({"event": "job_delivered", "level": "info"}, False),
    ],
)
def test_whatever_was_not_expected_is_a_mistake(
    tmp_path: Path, line: dict[str, object], *, is_ours: bool
) -> None:
    """Also what has no name yet; but not what a busy machine alone brings about."""
    log = tmp_path / "bot.log"
    log.write_text(f"former life\n{json.dumps(line)}\n", encoding="utf-8")
    assert bool(mistakes(read_log(log, len("former life\n")))) is is_ours
