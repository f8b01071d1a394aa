"""Commands that change the books: acknowledged first, and never called refused once they did."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import discord
import structlog

from bot.discordio.cards import text_card
from bot.discordio.faults import DISCORD_ERRORS, as_surface_error
from bot.discordio.first_answers import acknowledge
from bot.discordio.rest_breaker import delivering
from bot.discordio.surface import SurfaceBusy
from bot.limits import CONFIRM_ATTEMPTS_MAX
from bot.text.cards import CardText
from bot.text.messages import Tone

T = TypeVar("T")

_log = structlog.get_logger(__name__)


async def act(
    interaction: discord.Interaction[Any],
    work: Callable[[], Awaitable[T]],
    words: Callable[[T], CardText],
    *,
    tone: Tone = Tone.GOOD,
) -> None:
    """Acknowledge, do `work`, and confirm it by `words` to who acted alone (S-2).

    Raises one of `DISCORD_ERRORS` when who acted cannot be acknowledged, and what `work` raises:
    either way nothing was done. After it nothing is raised: a notice would say *not charged*, and
    whoever believes it does it again.
    """
    await acknowledge(interaction, ephemeral=True)
    done = await work()
    try:
        await _confirm(interaction, text_card(words(done), tone=tone))
    except Exception:  # noqa: BLE001 - also a mistake of ours in the words is no refusal.
        _log.exception("confirmation_not_shown", reference=f"i:{interaction.id}")


async def _confirm(interaction: discord.Interaction[Any], view: discord.ui.LayoutView) -> None:
    """An edit may be repeated at will, so a cut connection is no end."""
    for attempt in range(1, CONFIRM_ATTEMPTS_MAX + 1):
        try:
            with delivering(is_result=True):  # S-13: it is booked by now
                await interaction.edit_original_response(view=view)
        except DISCORD_ERRORS as error:
            is_passing = isinstance(as_surface_error(error), SurfaceBusy)
            if attempt == CONFIRM_ATTEMPTS_MAX or not is_passing:
                raise
        else:
            return
