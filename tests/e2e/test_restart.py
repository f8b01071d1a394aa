"""What survives when the process ends: history, balance, honesty."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import visit
from tests.e2e.process import Process
from tests.e2e.world import World, buttons, visible_text, whole_text


async def registrations(world: World) -> int:
    """How often the bot has registered its commands with this Discord."""
    requests = await world.requests()
    return sum(r["method"] == "PUT" and "/commands" in r["path"] for r in requests)


async def test_history_and_balance_survive_a_restart(data: Path) -> None:
    """The second process knows what the first was told."""
    with Process(data) as first:
        async with visit(first) as world:
            await world.ask("mira", "general", "my name is Zebulon")
            balance = await world.balance("mira")
            assert await registrations(world) == 1
        assert first.stop() == 0

    with Process(data) as second:
        async with visit(second) as world:
            assert await world.balance("mira") == balance
            assert "Zebulon" in await world.ask("mira", "general", "what is my name?")
        assert second.stop() == 0


async def test_a_killed_bot_charges_nothing_and_says_so_when_it_is_back(data: Path) -> None:
    """F-19: kill -9 in the middle of an answer; hold returned, message finished honestly."""
    with Process(data) as process:
        async with visit(process) as world:
            await world.pace(tokens_per_s=20)
            before = await world.balance("mira")
            message_id = await world.say("mira", "general", "{bot} write a very long story")
            await world.streaming("mira", "general", message_id)
            await world.send("bot", {"action": "kill"})
            await world.bot_offline()
            await world.send("bot", {"action": "start"})
            await world.bot_online()
            # asks.md 53: the same commands are not registered again.
            assert await registrations(world) == 1
            answers = await world.answered("mira", "general", message_id)
            assert "not charged" in whole_text(answers)
            assert await world.balance("mira") == before
        assert process.stop() == 0


async def test_a_bot_killed_on_the_third_page_keeps_what_was_shown(data: Path) -> None:
    """S-12: every shown word stays, the end stands at the end, and no Stop button is left."""
    text = "\n\n".join(f"Part {n}. " + f"Sentence of part {n} goes on. " * 19 for n in range(1, 12))
    assert len(text) >= 6_000
    with Process(data) as process:
        async with visit(process) as world:
            await world.provider_script(text)
            await world.pace(tokens_per_s=200)
            before = await world.balance("mira")
            message_id = await world.say("mira", "general", "{bot} everything, please")
            shown = await third_page_growing(world, message_id)
            await world.send("bot", {"action": "kill"})
            await world.bot_offline()
            await world.send("bot", {"action": "start"})
            await world.bot_online()
            told = await world.answered("mira", "general", message_id)
            assert [visible_text(page) for page in told[:2]] == shown[:2]
            assert visible_text(told[2]).startswith(shown[2])
            assert "Interrupted" in visible_text(told[-1])
            assert "not charged" in visible_text(told[-1])
            assert not any(buttons(page) for page in told)
            assert await world.balance("mira") == before
        assert process.stop() == 0


async def third_page_growing(world: World, message_id: str) -> list[str]:
    """The three pages, as soon as the third was edited once: by then the bot has noted it."""
    found: list[str] = []

    async def grows() -> bool:
        pages = await world.answers_to("mira", "general", message_id)
        found[:] = [visible_text(page) for page in pages]
        return len(pages) == 3 and bool(pages[2]["history"])

    await world.until(grows, "the third page grows", user="mira")
    return found


async def test_a_bot_killed_between_acknowledgement_and_acceptance_says_so(data: Path) -> None:
    """F-3: the deferred answer ends as interrupted; no job, and nothing is charged."""
    with Process(data) as process:
        async with visit(process) as world:
            before = await world.balance("mira")
            # Discord takes the acknowledgement and says 500: discord.py asks again a second later.
            fault = {
                "method": "POST",
                "path_regex": "/interactions/.*/callback$",
                "status": 500,
                "after_effect": True,
            }
            await world.send("faults", fault)
            interaction_id = await world.command("mira", "general", "imagine", prompt="a fox")

            async def deferred() -> bool:
                state = (await world.get(f"interactions/{interaction_id}"))["state"]
                return bool(state == "deferred")

            await world.until(deferred, "the command is acknowledged", user="mira")
            await world.send("bot", {"action": "kill"})
            await world.bot_offline()
            await world.send("bot", {"action": "start"})
            await world.bot_online()
            told = visible_text(await world.responded("mira", "general", interaction_id))
            assert "Restarting" in told
            assert "not charged" in told
            assert await world.balance("mira") == before
        assert process.stop() == 0
