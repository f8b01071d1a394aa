"""A process that stores callbacks is killed in the middle of them (I-35, F-114)."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from tests.flood.load import Row, Told, blast, genuine
from tests.flood.stages import listener, stored_rows

ROUNDS = 3
SENDERS = 24
LIMIT_S = 60.0


async def test_whatever_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """I-35, F-114: each time at another moment, over the same file; not one 204 is lost."""
    path = tmp_path / "atelier.db"
    chance = random.Random(35)
    requests = genuine()
    acknowledged: set[Row] = set()
    for _ in range(ROUNDS):
        async with listener(path) as bot, asyncio.timeout(LIMIT_S):
            told = Told(milestone=chance.randint(50, 300))
            load = asyncio.create_task(
                blast(bot.port, requests, connections=SENDERS, seconds=LIMIT_S, told=told)
            )
            await told.reached.wait()
            bot.process.kill()
            await load
        assert bot.process.returncode == -9
        acknowledged |= set(told.stored)
        # More may be there: stored, and killed before the answer. Then it is known (F-10).
        assert acknowledged <= stored_rows(path)
    assert len(acknowledged) >= ROUNDS * 50
