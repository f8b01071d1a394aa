"""Commands are registered when Discord does not have them as they are, and only then (ask 53)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sandbox.discord.server import TOKEN
from tests.cogs.town import Inhabited

Json = Any
Loss = Callable[[dict[int, Json]], None]


def named(commands: dict[int, Json], name: str) -> Json:
    return next(command for command in commands.values() if command["name"] == name)


def everything(commands: dict[int, Json]) -> None:
    commands.clear()


def one_command(commands: dict[int, Json]) -> None:
    del commands[int(named(commands, "chat")["id"])]


def an_option(commands: dict[int, Json]) -> None:
    named(commands, "chat")["options"].pop()


def an_option_of_a_subcommand(commands: dict[int, Json]) -> None:
    (grant,) = [one for one in named(commands, "quota")["options"] if one["name"] == "grant"]
    grant["options"].pop()


def the_type_of_an_option(commands: dict[int, Json]) -> None:
    named(commands, "chat")["options"][0]["type"] = 4


def a_description(commands: dict[int, Json]) -> None:
    named(commands, "help")["description"] = "Something else"


@pytest.mark.parametrize(
    "loss",
    [
        everything,
        one_command,
        an_option,
        an_option_of_a_subcommand,
        the_type_of_an_option,
        a_description,
    ],
)
async def test_what_discord_lost_is_registered_once_more(loss: Loss) -> None:
    """The version is the same and so is its digest: only Discord can say what it has."""
    inhabited = Inhabited()
    async with inhabited.open() as town:
        loss(inhabited.sandbox.world.commands[None])
        for _restart in range(2):
            async with inhabited.client() as again:
                await again.login(TOKEN)
        assert [one["method"] for one in await town.requests()].count("PUT") == 2


async def test_what_discord_adds_by_itself_changes_nothing() -> None:
    """Versions, ids and defaults are Discord's own: a new build of theirs costs us no request."""
    inhabited = Inhabited()
    async with inhabited.open() as town:
        for command in inhabited.sandbox.world.commands[None].values():
            command |= {"version": "9", "handler": 1, "name_localizations": None, "nsfw": False}
        async with inhabited.client() as again:
            await again.login(TOKEN)
        assert [one["method"] for one in await town.requests()].count("PUT") == 1
