"""The buttons of jobs, found by their custom ids alone, so that they work for ever."""

from __future__ import annotations

import re
from typing import Any, Self

import discord
from discord import ui

from bot.discordio.client import AtelierBot
from bot.discordio.job_cards import CONFIRM_ID, CUSTOM_ID
from bot.text.jobs import JobAction


class JobButton(ui.DynamicItem[ui.Button[ui.LayoutView]], template=CUSTOM_ID):
    """Does something with one job; for its owner and the staff of its server."""

    def __init__(
        self, button: ui.Button[ui.LayoutView], *, action: JobAction, short_id: str
    ) -> None:
        super().__init__(button)
        self._action = action
        self._short_id = short_id

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        assert isinstance(item, ui.Button)
        return cls(item, action=JobAction(match["action"]), short_id=match["short_id"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """discord.py would only log what is raised here."""
        client = interaction.client
        assert isinstance(client, AtelierBot)
        if not await client.welcome(interaction):
            return
        try:
            await client.job_desk.press(interaction, self._action, self._short_id)
        except Exception as error:  # noqa: BLE001 - the one hook takes everything.
            await client.report(interaction, error)


class ConfirmButton(ui.DynamicItem[ui.Button[ui.LayoutView]], template=CONFIRM_ID):
    """Agrees to a price; for who was asked."""

    def __init__(self, button: ui.Button[ui.LayoutView], *, key: int) -> None:
        super().__init__(button)
        self._key = key

    @classmethod
    async def from_custom_id(
        cls, _interaction: discord.Interaction[Any], item: ui.Item[Any], match: re.Match[str], /
    ) -> Self:
        assert isinstance(item, ui.Button)
        return cls(item, key=int(match["key"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        client = interaction.client
        assert isinstance(client, AtelierBot)
        if not await client.welcome(interaction):
            return
        try:
            await client.job_desk.confirm(interaction, self._key)
        except Exception as error:  # noqa: BLE001 - the one hook takes everything.
            await client.report(interaction, error)
