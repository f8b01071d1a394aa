"""`/help`: what the bot can do, read from the commands themselves."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.discordio.cards import text_card
from bot.discordio.client import AtelierBot
from bot.text import cards
from bot.text import commands as texts


class Help(commands.Cog):
    """Lists every registered command."""

    def __init__(self, tree: app_commands.CommandTree[AtelierBot]) -> None:
        self._tree = tree

    @app_commands.command(name="help", description=texts.HELP)
    async def help(self, interaction: discord.Interaction) -> None:
        """Show the list to the asker alone."""
        found = sorted(
            (command.qualified_name, command.description)
            for command in self._tree.walk_commands()
            if isinstance(command, app_commands.Command)
        )
        entries = self._tree.get_commands(type=discord.AppCommandType.message)
        menus = sorted(entry.name for entry in entries)
        await interaction.response.send_message(
            view=text_card(cards.help_card(found, menus)), ephemeral=True
        )


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    await bot.add_cog(Help(bot.tree))
