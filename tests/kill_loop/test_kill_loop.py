"""kill -9 at any moment, while members order all the time (T-3, F-114, F-17)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill_loop.loop import kill_loop

KILLS = 25
"""Twice: each half finds a processor of its own."""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_acknowledged_is_lost_and_no_invariant_broken(
    seed: int, tmp_path: Path
) -> None:
    """F-114, I-35; I-1 … I-5, I-20 … I-25 at each death; I-12, I-22, I-23 when all is over."""
    report = await kill_loop(KILLS, seed=seed, data=tmp_path)
    told = "\n".join(report.lines())
    assert not report.broken, told
    assert report.kills == KILLS, told
    assert report.jobs.total() >= KILLS // 4, told
    assert report.at_death.total() > 0, told
