"""The operator's budget over all servers and direct messages (S-3), read at each start."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import visit
from tests.e2e.process import Process

USED_UP = "The bot's budget is used up"


async def test_a_budget_of_the_settings_binds_until_a_start_without_it(data: Path) -> None:
    """I-8: in a server and in direct messages; nothing is charged, and the books are sound."""
    with Process(data, DAILY_BUDGET="0.001") as first:
        async with visit(first) as world:
            before = await world.balance("mira")
            for channel in ("general", await world.open_dm("mira")):
                assert USED_UP in await world.ask("mira", channel, "{bot} hello?")
            assert await world.balance("mira") == before
        assert first.stop() == 0

    with Process(data) as second:
        async with visit(second) as world:
            assert "Zebulon" in await world.ask("mira", "general", "my name is Zebulon")
            assert await world.balance("mira") < before
        assert second.stop() == 0
