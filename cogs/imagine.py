"""`/imagine` makes a picture; a right click on a message edits or animates the one in it."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.ext import commands

from bot.discordio.choosing import choices_for, image_model
from bot.discordio.client import AtelierBot
from bot.discordio.job_buttons import ConfirmButton, JobButton
from bot.discordio.job_desk import JobDesk, ready
from bot.discordio.job_orders import attached, order_of, press_of
from bot.discordio.services import Services
from bot.limits import COMMAND_PROMPT_CHARS_MAX
from bot.text import commands as texts
from storage.types import JobKind

Prompt = app_commands.Range[str, 1, COMMAND_PROMPT_CHARS_MAX]


class Imagine(commands.Cog):
    """Takes orders for pictures to the desk."""

    def __init__(self, bot: AtelierBot, desk: JobDesk, services: Services) -> None:
        self._tree = bot.tree
        self._desk = desk
        self._clock = services.clock
        self._model = image_model(services.catalogue)
        self._menus = (
            app_commands.ContextMenu(name=texts.EDIT_IMAGE, callback=self.edit_image),
            app_commands.ContextMenu(name=texts.ANIMATE_IMAGE, callback=self.animate_image),
        )

    async def cog_load(self) -> None:
        """Menus cannot be declared inside a cog."""
        for menu in self._menus:
            self._tree.add_command(menu)

    async def cog_unload(self) -> None:
        """And so are not removed with it."""
        for menu in self._menus:
            self._tree.remove_command(menu.name, type=menu.type)

    @app_commands.command(name="imagine", description=texts.IMAGINE)
    @app_commands.describe(
        prompt=texts.IMAGINE_PROMPT,
        aspect_ratio=texts.IMAGINE_RATIO,
        resolution=texts.IMAGINE_RESOLUTION,
        image1=texts.IMAGINE_IMAGE,
        image2=texts.IMAGINE_IMAGE,
        image3=texts.IMAGINE_IMAGE,
        image4=texts.IMAGINE_IMAGE,
        spoiler=texts.IMAGINE_SPOILER,
    )
    async def imagine(  # noqa: PLR0917 - the options of a command are what they are.
        self,
        interaction: discord.Interaction,
        prompt: Prompt,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        image1: discord.Attachment | None = None,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        spoiler: bool = False,  # noqa: FBT001, FBT002 - as above.
    ) -> None:
        """Order one picture."""
        order = order_of(
            press_of(interaction, self._clock),
            kind=JobKind.IMAGE,
            prompt=prompt,
            pictures=attached((image1, image2, image3, image4), kind=JobKind.IMAGE),
            options={"aspect_ratio": aspect_ratio, "resolution": resolution},
            spoiler=spoiler,
        )
        await self._desk.place(interaction, ready(order))

    @imagine.autocomplete("aspect_ratio")
    async def complete_ratio(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """The model's ratios, for the chosen resolution."""
        return choices_for(self._model, "aspect_ratio", current, interaction.namespace)

    @imagine.autocomplete("resolution")
    async def complete_resolution(
        self, interaction: discord.Interaction, current: str
    ) -> list[app_commands.Choice[str]]:
        """The model's resolutions."""
        return choices_for(self._model, "resolution", current, interaction.namespace)

    async def edit_image(self, interaction: discord.Interaction, message: discord.Message) -> None:
        """Ask for words, then make a picture from the clicked one."""
        await self._desk.edit_picture(interaction, message)

    async def animate_image(
        self, interaction: discord.Interaction, message: discord.Message
    ) -> None:
        """Make a video that begins with the clicked picture."""
        await self._desk.animate_picture(interaction, message)


async def setup(bot: AtelierBot) -> None:
    """Entry point of the extension."""
    bot.add_dynamic_items(JobButton, ConfirmButton)
    await bot.add_cog(Imagine(bot, bot.job_desk, bot.services))
