"""Every cog loads, and its commands are what product.md names."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import discord
import pytest
from discord import app_commands

import cogs
from bot.discordio.client import EXTENSIONS, AtelierBot
from tests.cogs.town import Inhabited

DESCRIPTION_CHARS_MAX = 100
MENUS = {"Edit this image", "Animate this image"}

COMMANDS = {
    "chat": ["prompt", "file?", "model?", "private?"],
    "forget": [],
    "imagine": [
        "prompt",
        "aspect_ratio?",
        "resolution?",
        "image1?",
        "image2?",
        "image3?",
        "image4?",
        "spoiler?",
    ],
    "video": ["prompt", "model?", "image?", "seconds?", "size?"],
    "jobs list": [],
    "jobs show": ["job"],
    "jobs cancel": ["job"],
    "jobs bind": ["job", "task"],
    "credits balance": [],
    "credits history": [],
    "credits prices": [],
    "credits gift": ["member", "amount"],
    "quota grant": ["member", "amount", "reason"],
    "quota take": ["member", "amount", "reason"],
    "quota set": ["member", "amount", "reason"],
    "quota budget": ["day?", "month?", "time_zone?"],
    "help": [],
}


@pytest.fixture
async def bot() -> AsyncGenerator[AtelierBot]:
    inhabited = Inhabited()
    async with inhabited.client() as client:
        for extension in EXTENSIONS:
            await client.load_extension(extension)
        yield client
    await inhabited.database.close()


def leaves(bot: AtelierBot) -> list[app_commands.Command[Any, ..., Any]]:
    return [one for one in bot.tree.walk_commands() if isinstance(one, app_commands.Command)]


def test_every_file_in_the_folder_is_an_extension() -> None:
    """A cog that nobody loads would be dead code."""
    (folder,) = cogs.__path__
    files = {f"cogs.{path.stem}" for path in Path(folder).glob("[!_]*.py")}

    assert files == set(EXTENSIONS)


def test_no_cog_is_longer_than_two_hundred_lines() -> None:
    """style.md: what is longer has logic in it that belongs elsewhere."""
    (folder,) = cogs.__path__
    lengths = {path.name: len(path.read_text().splitlines()) for path in Path(folder).glob("*.py")}

    assert max(lengths.values()) <= 200, lengths


async def test_the_commands_and_options_are_those_of_the_product(bot: AtelierBot) -> None:
    """Names are fixed; `?` marks what may be left out."""
    found = {
        command.qualified_name: [
            option.name + ("" if option.required else "?") for option in command.parameters
        ]
        for command in leaves(bot)
    }

    assert found == COMMANDS


async def test_a_right_click_on_a_message_offers_what_the_product_names(bot: AtelierBot) -> None:
    """Menus are no slash commands; their names are what a member reads."""
    found = {menu.name for menu in bot.tree.get_commands(type=discord.AppCommandType.message)}

    assert found == MENUS


async def test_the_menus_go_with_their_cog(bot: AtelierBot) -> None:
    """They are added by hand, so they are removed by hand."""
    await bot.unload_extension("cogs.imagine")

    assert bot.tree.get_commands(type=discord.AppCommandType.message) == []


async def test_no_command_is_named_twice(bot: AtelierBot) -> None:
    """Discord would refuse the whole tree."""
    names = Counter(command.qualified_name for command in bot.tree.walk_commands())

    assert set(names.values()) == {1}


async def test_every_description_fits_and_says_something(bot: AtelierBot) -> None:
    """At most a hundred characters, and none left to discord.py's "…"."""
    texts = [command.description for command in bot.tree.walk_commands()]
    texts += [option.description for command in leaves(bot) for option in command.parameters]

    for text in texts:
        assert 3 < len(str(text)) <= DESCRIPTION_CHARS_MAX, text


async def test_staff_commands_are_for_servers_and_hidden_from_members(bot: AtelierBot) -> None:
    """The default only; the cog checks again."""
    quota = bot.tree.get_command("quota")

    assert isinstance(quota, app_commands.Group)
    assert quota.guild_only
    assert quota.default_permissions is not None
    assert quota.default_permissions.manage_guild


async def test_amounts_are_bounded_where_they_are_typed(bot: AtelierBot) -> None:
    """1 … 1,000,000; `set` allows 0."""
    lows = {
        command.name: option.min_value
        for command in leaves(bot)
        if command.parent is not None and command.parent.name == "quota"
        for option in command.parameters
        if option.name == "amount"
    }

    assert lows == {"grant": 1, "take": 1, "set": 0}
