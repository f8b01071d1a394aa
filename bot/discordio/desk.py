"""Puts a question to the chat and its answer where the question stands."""

from __future__ import annotations

import discord

from bot.chat.ports import Question
from bot.chat.service import ChatService
from bot.discordio.people import reply_options
from bot.discordio.places import ChannelSurface, InteractionSurface, private_surface
from bot.discordio.reading import reader_for_command, reader_for_message
from bot.discordio.services import Services
from bot.discordio.streaming import DiscordAnswer
from bot.discordio.surface import Surface
from bot.limits import ACKNOWLEDGE_DELAY_S


class Desk:
    """One answer per call; both return when its end is shown and raise what refused it."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def chat(self) -> ChatService:
        """The service behind the desk."""
        return self._services.chat

    async def answer_message(self, message: discord.Message, question: Question) -> None:
        """Stream the answer as a reply."""
        channel = message.channel
        assert not isinstance(channel, discord.GroupChannel), "bots cannot be in groups"

        async def move() -> Surface | None:
            return await private_surface(
                message.author, instead_of_id=channel.id, reference=question.reference
            )

        async def note_place(message_id: int) -> None:
            await self.chat.show_at(question.reference, message_id)

        answer = DiscordAnswer(
            ChannelSurface(channel, question=reply_options(message).get("reference")),
            reference=question.reference,
            pacer=self._services.pacer,
            clock=self._services.clock,
            on_shown=note_place,
            moved_to=move,
            demo=self._services.demo,
        )
        await answer.show(self.chat.reply(question, answer, reader_for_message(message)))

    async def answer_command(self, interaction: discord.Interaction, question: Question) -> None:
        """Stream the answer as the command's own; nobody else sees a private one."""

        async def move() -> Surface | None:
            return await private_surface(
                interaction.user, instead_of_id=question.channel_id, reference=question.reference
            )

        async def note_place(message_id: int) -> None:
            if not question.private:  # nobody can edit an ephemeral message after a restart
                await self.chat.show_at(question.reference, message_id)

        answer = DiscordAnswer(
            InteractionSurface(interaction, private=question.private),
            reference=question.reference,
            pacer=self._services.pacer,
            clock=self._services.clock,
            placeholder_delay_s=ACKNOWLEDGE_DELAY_S,
            on_shown=note_place,
            moved_to=move,
            demo=self._services.demo,
        )
        await answer.show(self.chat.reply(question, answer, reader_for_command(interaction)))
