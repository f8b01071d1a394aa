"""Takes orders for pictures and videos: price, question, acknowledgement, card; and the presses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import discord
import structlog

from bot.catalogue.media import PromptRule, fitting_model
from bot.discordio.confirmations import Confirmations
from bot.discordio.faults import DISCORD_ERRORS
from bot.discordio.first_answers import (
    acknowledge,
    acknowledge_press,
    show_privately,
    take_back,
)
from bot.discordio.job_cards import Beside, JobCards, confirm_view
from bot.discordio.job_orders import (
    check_addresses,
    order_of,
    picture_in,
    press_of,
    token_end_us,
)
from bot.discordio.modals import PromptModal
from bot.discordio.parcels import packed
from bot.discordio.services import Services
from bot.discordio.troubles import diagnosed
from bot.errors import JobNotFound, NotOwner, PictureGone, PictureMissing, ResultUnavailable
from bot.jobs.ports import Card, Order, Quote, Trouble
from bot.jobs.service import JobService
from bot.jobs.sinks import Sinks
from bot.jobs.variations import Changes, Variation
from bot.limits import ACKNOWLEDGE_DELAY_S
from bot.text.jobs import (
    ANIMATE_TITLE,
    FILE_GONE,
    IN_DIRECT_MESSAGES,
    PICTURE_TITLE,
    PROMPT_TITLE,
    JobAction,
    posted_line,
)
from storage.types import JobKind, Outcome, Sink

_SAME = Changes()
_VARIATIONS = {
    JobAction.RETRY: Variation.AGAIN,
    JobAction.AGAIN: Variation.AGAIN,
    JobAction.UPSCALE: Variation.LARGE,
    JobAction.ANIMATE: Variation.ANIMATE,
}

_log = structlog.get_logger(__name__)


class JobDesk:
    """Every method answers its interaction, or raises what refused it."""

    def __init__(self, services: Services, *, cards: JobCards, delivery: Sinks) -> None:
        self._services = services
        self._clock = services.clock
        self._cards = cards
        self._delivery = delivery
        self._confirmations = Confirmations(services.clock)

    @property
    def jobs(self) -> JobService:
        """The service behind the desk."""
        return self._services.jobs

    # --- Orders -------------------------------------------------------------------------------

    async def place(self, interaction: discord.Interaction[Any], order: Awaitable[Order]) -> None:
        """Price an order and accept it, or ask first where it is dear.

        While the price is not there yet nobody knows whether the answer is private, so Discord is
        told only after a moment; a refusal is private either way.
        """
        pricing = asyncio.ensure_future(self._priced(order))
        try:
            await asyncio.wait({pricing}, timeout=ACKNOWLEDGE_DELAY_S)
            if not pricing.done():
                await acknowledge(interaction)
            wanted, quote = await pricing
            if quote.needs_confirmation:
                await self._ask(interaction, wanted, quote)
            else:
                await self._accept(interaction, wanted)
        except Exception:
            pricing.cancel()
            await take_back(interaction)
            raise

    async def confirm(self, interaction: discord.Interaction[Any], key: int) -> None:
        """The price was agreed to: the card stands where everybody sees it."""
        question = self._confirmations.answer(key, user_id=interaction.user.id)
        order = replace(
            question.order,
            # The press is what the card answers: a restart must find its job by it (F-4).
            reference=f"i:{interaction.id}",
            interaction_token=interaction.token,
            interaction_expires_us=token_end_us(self._clock),
        )
        try:
            await self._accept(interaction, order)
        except Exception:
            await take_back(interaction)
            raise
        finally:
            assert interaction.message is not None
            with suppress(*DISCORD_ERRORS):
                await question.asked_by.followup.delete_message(interaction.message.id)

    async def _priced(self, order: Awaitable[Order]) -> tuple[Order, Quote]:
        wanted = await order
        check_addresses(wanted.image_urls, now_us=self._clock.now_us())
        return wanted, await self.jobs.quote(wanted)

    async def _ask(self, interaction: discord.Interaction[Any], order: Order, quote: Quote) -> None:
        key = self._confirmations.ask(order, interaction)
        view = confirm_view(quote, prompt=order.prompt, key=key)
        await take_back(interaction)
        await show_privately(interaction, view)

    async def _accept(self, interaction: discord.Interaction[Any], order: Order) -> None:
        """Acknowledge, accept, show.

        After the acceptance nothing may end in a refusal: the engine shows what is missing.
        """
        if not interaction.response.is_done():
            await acknowledge(interaction)
        job = await self.jobs.request(order)
        try:
            message_id = await self._delivery.show_first(await self.jobs.card_of(job))
            if message_id is not None:
                await self.jobs.show_at(job, message_id=message_id)
        except Exception:  # noqa: BLE001 - the member would read "not charged", which is untrue.
            _log.exception("card_not_recorded", job=job.short_id)

    async def edit_picture(
        self, interaction: discord.Interaction[Any], message: discord.Message
    ) -> None:
        """Right click: ask for words, then make a picture with the one that was clicked."""
        picture = picture_in(message)

        async def submit(filled: discord.Interaction[Any], prompt: str) -> None:
            press = press_of(filled, self._clock)
            order = order_of(press, kind=JobKind.IMAGE, prompt=prompt, pictures=[picture])
            await self.place(filled, ready(order))

        await interaction.response.send_modal(PromptModal(title=PICTURE_TITLE, submit=submit))

    async def animate_picture(
        self, interaction: discord.Interaction[Any], message: discord.Message
    ) -> None:
        """Right click: a video that begins with the picture; words where the model needs them."""
        picture = picture_in(message)

        async def submit(filled: discord.Interaction[Any], prompt: str) -> None:
            press = press_of(filled, self._clock)
            order = order_of(press, kind=JobKind.VIDEO, prompt=prompt, pictures=[picture])
            await self.place(filled, ready(order))

        models = self._services.catalogue.video_models
        default = models.get(self._services.catalogue.default_video_model or "")
        fitting = None if default is None else fitting_model(models, default, 1)
        if fitting is None or fitting.prompt_rule is PromptRule.OR_IMAGES:
            await submit(interaction, "")
        else:
            await interaction.response.send_modal(PromptModal(title=ANIMATE_TITLE, submit=submit))

    # --- Looking ------------------------------------------------------------------------------

    async def show(self, interaction: discord.Interaction[Any], short_id: str) -> None:
        """A job's card for who asked, with the file while we have it. Raises `JobNotFound`."""
        press = press_of(interaction, self._clock)
        card = await self.jobs.show(
            short_id, user_id=press.user_id, staff=press.staff, guild_id=press.guild_id
        )
        await acknowledge(interaction, ephemeral=True)
        try:
            await self._show_with(interaction, card, limit_bytes=interaction.filesize_limit)
        except discord.HTTPException as error:
            if diagnosed(error).trouble is not Trouble.TOO_LARGE:
                raise
            await self._show_with(interaction, card, limit_bytes=None)

    async def _show_with(
        self, interaction: discord.Interaction[Any], card: Card, *, limit_bytes: int | None
    ) -> None:
        parcel = packed(card, limit_bytes=limit_bytes, now_us=self._clock.now_us())
        notes = [note for note in parcel.notes if note != FILE_GONE or not _place_of(card)]
        place = "" if parcel.files else _place_of(card)
        beside = Beside(
            files=parcel.names,
            notes=(*notes, *([place] if place else [])),
            is_private=card.job.user_id == interaction.user.id,
        )
        view = self._cards.view(card, beside)
        await interaction.edit_original_response(view=view, attachments=parcel.files)

    # --- Presses ------------------------------------------------------------------------------

    async def press(
        self, interaction: discord.Interaction[Any], action: JobAction, short_id: str
    ) -> None:
        """A button under a card was pressed; every press is checked anew (F-151)."""
        match action:
            case JobAction.CANCEL | JobAction.REFUND:
                await self._cancel(interaction, short_id)
            case JobAction.EDIT:
                await self._edit(interaction, short_id)
            case JobAction.DELETE:
                await self._own(interaction, short_id)
                await acknowledge_press(interaction)
                await interaction.delete_original_response()
            case _:
                await self.place(interaction, self._varied(interaction, action, short_id))

    async def _cancel(self, interaction: discord.Interaction[Any], short_id: str) -> None:
        """The card says so at once; the engine would need a moment."""
        await acknowledge_press(interaction)
        press = press_of(interaction, self._clock)
        job = await self.jobs.cancel(
            short_id, user_id=press.user_id, staff=press.staff, guild_id=press.guild_id
        )
        view = self._cards.view(await self.jobs.card_of(job))
        with suppress(*DISCORD_ERRORS):
            await interaction.edit_original_response(view=view)

    async def _edit(self, interaction: discord.Interaction[Any], short_id: str) -> None:
        card = await self._own(interaction, short_id)

        async def submit(filled: discord.Interaction[Any], prompt: str) -> None:
            press = press_of(filled, self._clock)
            await self.place(
                filled, self.jobs.again(short_id, press, changes=Changes(prompt=prompt))
            )

        modal = PromptModal(title=PROMPT_TITLE, prompt=card.job.prompt, submit=submit)
        await interaction.response.send_modal(modal)

    async def _varied(
        self, interaction: discord.Interaction[Any], action: JobAction, short_id: str
    ) -> Order:
        variation = _VARIATIONS[action]
        changes = _SAME if variation is Variation.AGAIN else _with_picture(interaction)
        press = press_of(interaction, self._clock)
        try:
            return await self.jobs.again(short_id, press, variation=variation, changes=changes)
        except ResultUnavailable as error:
            raise PictureGone from error

    async def _own(self, interaction: discord.Interaction[Any], short_id: str) -> Card:
        """The job's card, for its owner and staff. Raises `NotOwner`."""
        press = press_of(interaction, self._clock)
        try:
            return await self.jobs.show(
                short_id, user_id=press.user_id, staff=press.staff, guild_id=press.guild_id
            )
        except JobNotFound as error:
            raise NotOwner from error


def _with_picture(interaction: discord.Interaction[Any]) -> Changes:
    """The result as the message shows it now: its address is fresh with each interaction."""
    assert interaction.message is not None
    try:
        picture = picture_in(interaction.message)
    except PictureMissing:
        return _SAME  # it went out as a link: the provider's own address serves while it lives
    return Changes(image_urls=(picture.url,), size=picture.size)


def _place_of(card: Card) -> str:
    """A line that leads to the message with the result; "" where there is none."""
    job = card.job
    if job.outcome is None or job.sink in {Sink.LIST, None} or job.late_us is not None:
        return ""
    if job.sink is Sink.DM:
        return IN_DIRECT_MESSAGES if job.outcome is Outcome.SUCCEEDED else ""
    if job.card_message_id is None:
        return ""
    server = "@me" if job.guild_id is None else str(job.guild_id)
    return posted_line(
        f"https://discord.com/channels/{server}/{job.channel_id}/{job.card_message_id}"
    )


async def ready(order: Order) -> Order:
    """An order that needs nothing to be looked up, for `place`."""
    return order
