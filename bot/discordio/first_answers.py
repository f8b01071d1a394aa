"""The first answer to an interaction, of which there is one: ours, also when its receipt got lost.

took effect, receipt lost   the next first answer meets 40060, which then is about our own (F-86)
40060 out of the blue       another instance answers (F-100)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import discord
from discord import InteractionResponseType, ui

from bot.discordio import endpoints
from bot.discordio.faults import DISCORD_ERRORS, is_answered_elsewhere
from bot.discordio.rest_breaker import counting

T = TypeVar("T")

_DOUBTFUL = "doubtful_answer"
"""Under this an interaction keeps the kind of its first answer that may have had its effect."""


async def answer_first(
    interaction: discord.Interaction[Any],
    kind: InteractionResponseType,
    give: Callable[[], Awaitable[T]],
) -> T | None:
    """Give the first answer; None where this one, or an earlier one of ours, stands already.

    Then `interaction.response.type` tells which. Raises one of `DISCORD_ERRORS`.
    """
    try:
        with counting() as tries:
            return await give()
    except DISCORD_ERRORS as error:
        if tries.may_be_done:
            interaction.extras.setdefault(_DOUBTFUL, kind)
        standing = interaction.extras.get(_DOUBTFUL)
        if standing is None or not is_answered_elsewhere(error):
            raise
        endpoints.note_response(interaction.response, standing)
        return None


async def acknowledge(interaction: discord.Interaction[Any], *, ephemeral: bool = False) -> None:
    """Say that the answer is on its way: *thinking…*, which only `ephemeral` hides from others.

    Raises one of `DISCORD_ERRORS`: then nothing may be done that the member would have to hear of.
    """
    response = interaction.response
    await answer_first(
        interaction,
        InteractionResponseType.deferred_channel_message,
        lambda: response.defer(thinking=True, ephemeral=ephemeral),
    )


async def acknowledge_press(interaction: discord.Interaction[Any]) -> None:
    """Say that a press was heard: its message stays as it is. Raises as `acknowledge` does."""
    response = interaction.response
    await answer_first(interaction, InteractionResponseType.deferred_message_update, response.defer)


async def show_privately(interaction: discord.Interaction[Any], view: ui.LayoutView) -> None:
    """Show a card to who asked alone, be it the first answer or a later one."""
    response = interaction.response
    if not response.is_done():
        kind = InteractionResponseType.channel_message
        await answer_first(
            interaction, kind, lambda: response.send_message(view=view, ephemeral=True)
        )
        if response.type is kind:
            return
        await take_back(interaction)
    await interaction.followup.send(view=view, ephemeral=True)


async def take_back(interaction: discord.Interaction[Any]) -> None:
    """Remove "thinking…", so that what follows can be private."""
    if interaction.response.type is InteractionResponseType.deferred_channel_message:
        with suppress(*DISCORD_ERRORS):
            await interaction.delete_original_response()
