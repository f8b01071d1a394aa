"""`/credits`: a member's own wallet."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.credits.service import CreditsService
from bot.discordio.acts import act
from bot.discordio.cards import text_card
from bot.discordio.client import AtelierBot
from bot.discordio.job_cards import short_prompt
from bot.discordio.people import require_member
from bot.jobs.service import JobService
from bot.limits import GRANT_CREDITS_MAX, HISTORY_PROMPT_CHARS_MAX
from bot.text import cards
from bot.text import commands as texts
from bot.text.prices import MediaPriceLine, PriceLine, prices_card
from storage.types import JobKind


class Credits(commands.GroupCog, name="credits", description=texts.CREDITS):
    """What the asker has, where it went, what things cost."""

    def __init__(self, credits_service: CreditsService, jobs: JobService) -> None:
        self._credits = credits_service
        self._jobs = jobs

    @app_commands.command(name="balance", description=texts.CREDITS_BALANCE)
    async def balance(self, interaction: discord.Interaction) -> None:
        """Show the spendable and the held credits."""
        balance = await self._credits.balance(interaction.user.id)
        await _show(interaction, cards.balance_card(balance))

    @app_commands.command(name="history", description=texts.CREDITS_HISTORY)
    async def history(self, interaction: discord.Interaction) -> None:
        """Show the newest lines of the account."""
        history = await self._credits.history(interaction.user.id)
        works = {
            reference: cards.Work(
                kind=job.kind,
                model_label=self._jobs.label_of(job),
                prompt=short_prompt(job.prompt, HISTORY_PROMPT_CHARS_MAX),
            )
            for reference, job in (await self._credits.jobs_of(history)).items()
        }
        await _show(interaction, cards.history_card(history, works))

    @app_commands.command(name="prices", description=texts.CREDITS_PRICES)
    async def prices(self, interaction: discord.Interaction) -> None:
        """Show what each model costs."""
        prices = [
            PriceLine(
                label=price.model.label,
                input_ucr=price.input_ucr,
                output_ucr=price.output_ucr,
                typical_ucr=price.typical_ucr,
            )
            for price in self._credits.prices()
        ]
        offered = [model for kind in JobKind for model in self._jobs.offered(kind)]
        media = [
            MediaPriceLine(model=price.model, amounts_ucr=price.amounts_ucr)
            for price in self._credits.media_prices(offered)
        ]
        await _show(interaction, prices_card(prices, media))

    @app_commands.command(name="gift", description=texts.CREDITS_GIFT)
    @app_commands.describe(member=texts.CREDITS_GIFT_MEMBER, amount=texts.CREDITS_GIFT_AMOUNT)
    async def gift(
        self,
        interaction: discord.Interaction,
        member: discord.User,
        amount: app_commands.Range[int, 1, GRANT_CREDITS_MAX],
    ) -> None:
        """Give credits to another member of this server."""
        require_member(member)
        await act(
            interaction,
            lambda: self._credits.gift(
                interaction.user.id, member.id, amount, reference=f"i:{interaction.id}"
            ),
            lambda balance: cards.gift_card(
                member_id=member.id, amount_credits=amount, balance=balance
            ),
        )


async def _show(interaction: discord.Interaction, text: cards.CardText) -> None:
    await interaction.response.send_message(view=text_card(text), ephemeral=True)


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    await bot.add_cog(Credits(bot.services.credits, bot.services.jobs))
