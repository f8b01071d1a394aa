"""Chat: a mention, a reply, a DM or `/chat` is a question; `/forget` drops what was said."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.catalogue.catalogue import Catalogue
from bot.discordio.buttons import StopButton
from bot.discordio.cards import text_card
from bot.discordio.client import AtelierBot
from bot.discordio.desk import Desk
from bot.discordio.people import may_forget, missing_permission
from bot.discordio.questions import from_command, from_message, is_addressed, is_unreadable
from bot.errors import BotPermissionMissing, PermissionMissing
from bot.limits import AUTOCOMPLETE_CHOICES_MAX, COMMAND_PROMPT_CHARS_MAX
from bot.text import cards
from bot.text import commands as texts
from bot.text.answers import UNREADABLE_REPLY

Prompt = app_commands.Range[str, 1, COMMAND_PROMPT_CHARS_MAX]


class Chat(commands.Cog):
    """Takes questions to the desk."""

    def __init__(self, bot: AtelierBot, desk: Desk, catalogue: Catalogue) -> None:
        self._bot = bot
        self._desk = desk
        self._models = catalogue.chat_models

    @commands.Cog.listener()
    async def on_message(self, message: discord.Message) -> None:
        """Answer what is said to the bot, and only that."""
        me = self._bot.user
        if me is None or not is_addressed(message, me) or not await self._bot.welcome(message):
            return
        missing = missing_permission(message)
        if missing is not None:
            raise BotPermissionMissing(permission=missing)
        if is_unreadable(message):
            await message.reply(UNREADABLE_REPLY, mention_author=False)
            return
        await self._desk.answer_message(message, from_message(message, me))

    @app_commands.command(name="chat", description=texts.CHAT)
    @app_commands.describe(
        prompt=texts.CHAT_PROMPT,
        file=texts.CHAT_FILE,
        model=texts.CHAT_MODEL,
        private=texts.CHAT_PRIVATE,
    )
    async def chat(
        self,
        interaction: discord.Interaction,
        prompt: Prompt,
        file: discord.Attachment | None = None,
        model: str | None = None,
        private: bool = False,  # noqa: FBT001, FBT002 - an option of a command is what it is.
    ) -> None:
        """Answer where the command was used."""
        question = from_command(
            interaction, prompt=prompt, file=file, model_id=model, private=private
        )
        await self._desk.answer_command(interaction, question)

    @chat.autocomplete("model")
    async def complete_model(
        self, _interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Models whose name contains what was typed."""
        typed = current.casefold()
        return [
            app_commands.Choice(name=model.label, value=model.id)
            for model in self._models.values()
            if typed in model.label.casefold() or typed in model.id
        ][:AUTOCOMPLETE_CHOICES_MAX]

    @app_commands.command(name="forget", description=texts.FORGET)
    async def forget(self, interaction: discord.Interaction) -> None:
        """Drop the channel's history: in a server for whoever may delete its messages."""
        if not may_forget(interaction):
            raise PermissionMissing(permission="manage_messages")
        assert interaction.channel_id is not None
        count = await self._desk.chat.forget(interaction.channel_id)
        await interaction.response.send_message(view=text_card(cards.forgotten_card(count)))


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    bot.add_dynamic_items(StopButton)
    await bot.add_cog(Chat(bot, Desk(bot.services), bot.services.catalogue))
