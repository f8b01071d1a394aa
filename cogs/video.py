"""`/video` makes a video; length and size are offered as the chosen model takes them."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.catalogue.media import SECONDS, SIZE, MediaModel
from bot.discordio.choosing import (
    model_choices,
    second_choices,
    size_words,
    video_model,
)
from bot.discordio.client import AtelierBot
from bot.discordio.job_desk import JobDesk, ready
from bot.discordio.job_orders import attached, order_of, press_of
from bot.discordio.services import Services
from bot.limits import COMMAND_PROMPT_CHARS_MAX
from bot.text import commands as texts
from storage.types import JobKind

Prompt = app_commands.Range[str, 1, COMMAND_PROMPT_CHARS_MAX]


class Video(commands.Cog):
    """Takes orders for videos to the desk."""

    def __init__(self, desk: JobDesk, services: Services) -> None:
        self._desk = desk
        self._jobs = services.jobs
        self._clock = services.clock
        self._catalogue = services.catalogue

    @app_commands.command(name="video", description=texts.VIDEO)
    @app_commands.describe(
        prompt=texts.VIDEO_PROMPT,
        model=texts.VIDEO_MODEL,
        image=texts.VIDEO_IMAGE,
        seconds=texts.VIDEO_SECONDS,
        size=texts.VIDEO_SIZE,
    )
    async def video(  # noqa: PLR0917 - the options of a command are what they are.
        self,
        interaction: discord.Interaction,
        prompt: Prompt,
        model: str | None = None,
        image: discord.Attachment | None = None,
        seconds: int | None = None,
        size: str | None = None,
    ) -> None:
        """Order one video."""
        order = order_of(
            press_of(interaction, self._clock),
            kind=JobKind.VIDEO,
            prompt=prompt,
            pictures=attached((image,), kind=JobKind.VIDEO),
            options={SECONDS: seconds, SIZE: size},
            model_id=model,
        )
        await self._desk.place(interaction, ready(order))

    @video.autocomplete("model")
    async def complete_model(
        self, _interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Models whose name contains what was typed."""
        return model_choices(self._jobs.offered(JobKind.VIDEO), current)

    @video.autocomplete("seconds")
    async def complete_seconds(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[int]]:
        """The lengths that the chosen model makes."""
        return second_choices(self._chosen(interaction), current)

    @video.autocomplete("size")
    async def complete_size(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """The sizes that the chosen model makes."""
        return size_words(self._chosen(interaction), current)

    def _chosen(self, interaction: discord.Interaction) -> MediaModel | None:
        given = interaction.namespace
        return video_model(self._catalogue, given.model, has_picture=given.image is not None)


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    await bot.add_cog(Video(bot.job_desk, bot.services))
