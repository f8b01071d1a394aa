"""A provider that takes no orders: said before anything is held, and to the operator (S-13)."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import visit
from tests.e2e.process import Process
from tests.e2e.world import World, visible_text

EMPTY = "The bot's own account is empty"


async def asked(world: World) -> int:
    requests = (await world.get("provider/requests", since="0"))["requests"]
    return sum(request["method"] == "POST" for request in requests)


async def test_an_empty_account_is_told_to_members_and_to_the_operator(data: Path) -> None:
    """F-32: the first question finds it out, and nobody asks the provider for nothing again."""
    with Process(data) as process:
        async with visit(process) as world:
            before = await world.balance("mira")
            await world.send("provider/account", {"balance": "0"}, method="PUT")
            assert EMPTY in await world.ask("mira", "general", "hello?")
            assert await asked(world) == 1
            assert EMPTY in await world.ask("mira", "general", "anybody?")
            order = await world.command("mira", "general", "imagine", prompt="a fox")
            assert EMPTY in visible_text(await world.responded("mira", "general", order))
            assert await asked(world) == 1
            assert await world.balance("mira") == before
            letters = await world.open_dm("olive")

            async def told() -> bool:
                found = await world.messages("olive", letters)
                return any("Top it up" in visible_text(message) for message in found)

            await world.until(told, "the operator is written to", user="olive")
        assert process.stop() == 0
