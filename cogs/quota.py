"""`/quota`: staff change members' credits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import discord
from discord import app_commands
from discord.ext import commands

from bot.credits.service import BudgetState, CreditsService, StaffAct
from bot.discordio.acts import act
from bot.discordio.client import AtelierBot
from bot.discordio.people import owns_guild, require_member, require_staff
from bot.limits import (
    BUDGET_CREDITS_MAX,
    GRANT_CREDITS_MAX,
    REASON_CHARS_MAX,
    TIME_ZONE_CHARS_MAX,
)
from bot.text import cards
from bot.text import commands as texts
from bot.text.budgets import budget_card
from bot.text.messages import Tone
from storage.types import Balance

Amount = app_commands.Range[int, 1, GRANT_CREDITS_MAX]
Target = app_commands.Range[int, 0, GRANT_CREDITS_MAX]
Ceiling = app_commands.Range[int, 0, BUDGET_CREDITS_MAX]
TimeZone = app_commands.Range[str, 1, TIME_ZONE_CHARS_MAX]
Reason = app_commands.Range[str, 1, REASON_CHARS_MAX]
Change = Callable[[int, int, StaffAct], Awaitable[Balance]]

_described = app_commands.describe(
    member=texts.QUOTA_MEMBER, amount=texts.QUOTA_AMOUNT, reason=texts.QUOTA_REASON
)


@app_commands.guild_only()
@app_commands.default_permissions(manage_guild=True)
class Quota(commands.GroupCog, name="quota", description=texts.QUOTA):
    """Grant, take and set; the permission is checked here each time (reliability.md 1.4)."""

    def __init__(self, credits_service: CreditsService) -> None:
        self._credits = credits_service
        self._changes: dict[str, Change] = {
            "grant": credits_service.grant,
            "take": credits_service.take,
            "set": credits_service.set,
        }

    @app_commands.command(name="grant", description=texts.QUOTA_GRANT)
    @_described
    async def grant(
        self, interaction: discord.Interaction, member: discord.User, amount: Amount, reason: Reason
    ) -> None:
        """Give whole credits."""
        await self._staff_act("grant", interaction, member, amount, reason)

    @app_commands.command(name="take", description=texts.QUOTA_TAKE)
    @_described
    async def take(
        self, interaction: discord.Interaction, member: discord.User, amount: Amount, reason: Reason
    ) -> None:
        """Take whole credits back."""
        await self._staff_act("take", interaction, member, amount, reason)

    @app_commands.command(name="set", description=texts.QUOTA_SET)
    @_described
    async def set(
        self, interaction: discord.Interaction, member: discord.User, amount: Target, reason: Reason
    ) -> None:
        """Set the spendable amount."""
        await self._staff_act("set", interaction, member, amount, reason)

    @app_commands.command(name="budget", description=texts.QUOTA_BUDGET)
    @app_commands.describe(
        day=texts.QUOTA_BUDGET_DAY,
        month=texts.QUOTA_BUDGET_MONTH,
        time_zone=texts.QUOTA_BUDGET_ZONE,
    )
    async def budget(
        self,
        interaction: discord.Interaction,
        day: Ceiling | None = None,
        month: Ceiling | None = None,
        time_zone: TimeZone | None = None,
    ) -> None:
        """Show the server's ceilings; set those that are given."""
        guild_id = require_staff(interaction)

        async def change() -> BudgetState:
            if day is None and month is None and time_zone is None:
                return await self._credits.budget(guild_id)
            return await self._credits.set_budget(
                guild_id,
                day_credits=day,
                month_credits=month,
                timezone=time_zone,
                actor_id=interaction.user.id,
                reference=f"i:{interaction.id}",
            )

        await act(
            interaction,
            change,
            lambda state: budget_card(state.budget, state.windows),
            tone=Tone.PLAIN,
        )

    async def _staff_act(
        self,
        verb: str,
        interaction: discord.Interaction,
        member: discord.User | discord.Member,
        amount_credits: int,
        reason: str,
    ) -> None:
        """Check who acts, change the credits, confirm it to who acted."""
        who = _who(interaction, member, reason)
        await act(
            interaction,
            lambda: self._changes[verb](member.id, amount_credits, who),
            lambda balance: cards.quota_card(
                verb=verb,
                member_id=member.id,
                amount_credits=amount_credits,
                reason=reason,
                balance=balance,
            ),
        )


def _who(
    interaction: discord.Interaction, member: discord.User | discord.Member, reason: str
) -> StaffAct:
    """Who acts, checked. Raises what `require_staff` and `require_member` raise."""
    guild_id = require_staff(interaction)
    require_member(member)
    return StaffAct(
        actor_id=interaction.user.id,
        actor_owns_guild=owns_guild(interaction),
        guild_id=guild_id,
        reason=reason,
        reference=f"i:{interaction.id}",
    )


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    await bot.add_cog(Quota(bot.services.credits))
