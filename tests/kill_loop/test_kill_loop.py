"""kill -9 at any moment, while members order all the time (T-3, F-114)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kill_loop.life import mistakes, read_log
from tests.kill_loop.loop import kill_loop

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
    """F-114, I-35; I-1 … I-5, I-20 … I-25 at each death; I-12, I-22, I-23 when all is over."""
    report = await kill_loop(KILLS, seed=seed, data=tmp_path, last_starts=last_starts)
    told = "\n".join(report.lines())
    assert not report.broken, told
    assert report.kills == KILLS, told
    assert report.jobs.total() > 0, told
    assert report.at_death.total() > 0, told


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
