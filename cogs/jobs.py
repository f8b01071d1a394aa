"""`/jobs`: a member's own pictures and videos; results that could not be posted wait here."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.discordio.acts import act
from bot.discordio.cards import text_card
from bot.discordio.choosing import job_choices
from bot.discordio.client import AtelierBot
from bot.discordio.job_cards import short_prompt
from bot.discordio.job_desk import JobDesk
from bot.discordio.markdown import clean
from bot.discordio.people import is_staff, require_staff
from bot.limits import JOBS_LISTED_MAX, TASK_ID_CHARS_MAX
from bot.text import commands as texts
from bot.text import jobs as words

TaskId = app_commands.Range[str, 1, TASK_ID_CHARS_MAX]

_described = app_commands.describe(job=texts.JOBS_JOB)


class Jobs(commands.GroupCog, name="jobs", description=texts.JOBS):
    """Everything is shown to the asker alone."""

    def __init__(self, desk: JobDesk) -> None:
        self._desk = desk

    @app_commands.command(name="list", description=texts.JOBS_LIST)
    async def list_jobs(self, interaction: discord.Interaction) -> None:
        """Show the newest jobs."""
        cards = await self._desk.jobs.list(interaction.user.id)
        lines = [
            words.job_line(
                card.job, model_label=card.model_label, prompt=short_prompt(card.job.prompt)
            )
            for card in cards[:JOBS_LISTED_MAX]
        ]
        await interaction.response.send_message(
            view=text_card(words.jobs_card(lines)), ephemeral=True
        )

    @app_commands.command(name="show", description=texts.JOBS_SHOW)
    @_described
    async def show(self, interaction: discord.Interaction, job: str) -> None:
        """Show one job's card with its result."""
        await self._desk.show(interaction, job.strip())

    @app_commands.command(name="cancel", description=texts.JOBS_CANCEL)
    @_described
    async def cancel(self, interaction: discord.Interaction, job: str) -> None:
        """Give a job's credits back before it is made."""
        await act(
            interaction,
            lambda: self._desk.jobs.cancel(
                job.strip(),
                user_id=interaction.user.id,
                staff=is_staff(interaction),
                guild_id=interaction.guild_id,
            ),
            words.cancelled_card,
        )

    @app_commands.command(name="bind", description=texts.JOBS_BIND)
    @app_commands.describe(job=texts.JOBS_JOB, task=texts.JOBS_TASK)
    async def bind(self, interaction: discord.Interaction, job: str, task: TaskId) -> None:
        """Name the task of a job whose create's answer got lost (reliability.md 5, point 4d)."""
        guild_id = require_staff(interaction)
        await act(
            interaction,
            lambda: self._desk.jobs.bind(
                job.strip(),
                task.strip(),
                actor_id=interaction.user.id,
                guild_id=guild_id,
                reference=f"i:{interaction.id}",
            ),
            lambda named: words.bind_card(named, clean(task.strip())),
        )

    @show.autocomplete("job")
    async def complete_any(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """The member's newest jobs."""
        return job_choices(await self._desk.jobs.list(interaction.user.id), current)

    @cancel.autocomplete("job")
    async def complete_open(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """Those that can still be cancelled."""
        found = await self._desk.jobs.list(interaction.user.id)
        return job_choices([card for card in found if words.is_cancellable(card.job)], current)


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    await bot.add_cog(Jobs(bot.job_desk))
