"""The commands, used as a member and as staff."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.e2e.world import World, visible_text

CHAT_INPUT = 1


async def run(world: World, user: str, name: str, **options: object) -> str:
    interaction_id = await world.command(user, "bot-lab", name, **options)
    return visible_text(await world.responded(user, "bot-lab", interaction_id))


async def test_staff_grant_take_and_set_credits(world: World) -> None:
    """Each changes the balance by exactly what was said, and the history names who and why."""
    tom = world.users["tom"]
    start = await world.balance("tom")
    await run(world, "sam", "quota grant", member=tom, amount=25, reason="won the contest")
    assert await world.balance("tom") == start + 25
    await run(world, "sam", "quota take", member=tom, amount=5, reason="too many")
    assert await world.balance("tom") == start + 20
    await run(world, "sam", "quota set", member=tom, amount=500, reason="fresh start")
    assert await world.balance("tom") == Decimal(500)
    history = await run(world, "tom", "credits history")
    assert "won the contest" in history
    await run(world, "sam", "quota set", member=tom, amount=1000, reason="as before")


async def test_a_member_without_manage_server_cannot_use_quota(world: World) -> None:
    """The permission is checked in our code, whatever Discord shows."""
    tom = world.users["tom"]
    before = await world.balance("tom")
    text = await run(world, "mira", "quota grant", member=tom, amount=25, reason="please")
    assert "Manage Server" in text
    assert await world.balance("tom") == before


async def test_staff_cannot_give_themselves_credits(world: World) -> None:
    """F-142."""
    before = await world.balance("sam")
    await run(world, "sam", "quota grant", member=world.users["sam"], amount=25, reason="me")
    assert await world.balance("sam") == before


@pytest.mark.parametrize("command", ["credits prices", "help"])
async def test_prices_and_help_name_everything(world: World, command: str) -> None:
    """All models with prices; all registered commands."""
    text = await run(world, "mira", command)
    if command == "help":
        for registered in (await world.get("state"))["commands"]:
            slash = "/" if registered["type"] == CHAT_INPUT else ""
            assert f"{slash}{registered['name']}" in text
    else:
        for label in ("GPT", "2.5 Pro", "3.1 Pro"):
            assert label in text


async def test_the_model_option_completes_from_the_catalogue(world: World) -> None:
    """Typing narrows the list."""
    body = {
        "user_id": world.users["mira"],
        "channel_id": world.channels["general"],
        "name": "chat",
        "options": {"prompt": "x", "model": "gem"},
        "focused": "model",
    }
    choices = (await world.send("autocomplete", body))["choices"]
    assert {choice["value"] for choice in choices} == {"gemini-2.5-pro", "gemini-3.1-pro"}
