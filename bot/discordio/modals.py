"""The one form: words for a picture or a video."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

import discord
from discord import ui

from bot.limits import MODAL_TEXT_CHARS_MAX
from bot.text.jobs import PROMPT_FIELD

Submit = Callable[[discord.Interaction[Any], str], Awaitable[None]]
"""What to do with the words."""


@runtime_checkable
class Reporter(Protocol):
    """The client, as far as a form needs it: the door, and the one hook for errors."""

    async def welcome(self, asked: discord.Interaction[Any]) -> bool: ...

    async def report(self, where: discord.Interaction[Any], error: Exception) -> None: ...


class PromptModal(ui.Modal):
    """Asks for a prompt. It lives in this process; Discord keeps the words when it is gone."""

    def __init__(
        self, *, title: str, submit: Submit, prompt: str = "", required: bool = True
    ) -> None:
        super().__init__(title=title)
        self._submit = submit
        self._field: ui.TextInput[PromptModal] = ui.TextInput(
            style=discord.TextStyle.paragraph,
            default=prompt[:MODAL_TEXT_CHARS_MAX] or None,
            max_length=MODAL_TEXT_CHARS_MAX,
            required=required,
            custom_id="prompt",
        )
        self.add_item(ui.Label(text=PROMPT_FIELD, component=self._field))

    async def on_submit(self, interaction: discord.Interaction[Any], /) -> None:
        assert isinstance(interaction.client, Reporter)
        if await interaction.client.welcome(interaction):
            await self._submit(interaction, self._field.value)

    async def on_error(  # type: ignore[override]  # a modal's has no item: the library's own gap
        self, interaction: discord.Interaction[Any], error: Exception, /
    ) -> None:
        """discord.py would only log it."""
        assert isinstance(interaction.client, Reporter)
        await interaction.client.report(interaction, error)
