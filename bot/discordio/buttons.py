"""Buttons whose custom id says all they need, so that they outlive a restart."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Self

import discord
from discord import ui

from bot.discordio.client import AtelierBot
from bot.discordio.faults import DISCORD_ERRORS
from bot.discordio.people import is_staff
from bot.errors import TurnOver
from bot.text.answers import STOP_LABEL, STOPPING_LABEL


class StopButton(
    ui.DynamicItem[ui.Button[ui.View]], template=r"stop:(?P<reference>[mi]:[0-9]{1,20})"
):
    """Ends one running answer; for its asker and for staff."""

    def __init__(self, reference: str, *, pressed: bool = False) -> None:
        label = STOPPING_LABEL if pressed else STOP_LABEL
        super().__init__(ui.Button(label=label, custom_id=f"stop:{reference}", disabled=pressed))
        self._reference = reference

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], _item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        return cls(match["reference"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Stop, and show at once that it was heard: the model may take a while to end.

        discord.py would only log what is raised here.
        """
        client = interaction.client
        assert isinstance(client, AtelierBot)
        try:
            client.services.chat.stop(
                self._reference, user_id=interaction.user.id, staff=is_staff(interaction)
            )
            view = stop_view(self._reference, pressed=True)
            await interaction.response.edit_message(view=view)
        except TurnOver as error:  # a button that a former process left behind
            with suppress(*DISCORD_ERRORS):
                await interaction.response.edit_message(view=None)
            await client.report(interaction, error)
        except Exception as error:  # noqa: BLE001 - the one hook takes everything.
            await client.report(interaction, error)


def stop_view(reference: str, *, pressed: bool = False) -> ui.View:
    """The button to send along; discord.py need not remember the view (it is stopped)."""
    view = ui.View(timeout=None)
    view.add_item(StopButton(reference, pressed=pressed))
    view.stop()
    return view
