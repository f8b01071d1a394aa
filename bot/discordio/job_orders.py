"""Commands, presses and messages as orders for jobs: who asks, where, with which pictures."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import discord

from bot.catalogue.media import OptionValue
from bot.clock import Clock
from bot.discordio import endpoints
from bot.discordio.people import is_age_restricted, is_staff
from bot.errors import AttachmentTooLarge, AttachmentUnsupported, PictureGone, PictureMissing
from bot.jobs.ports import Order
from bot.jobs.variations import Press
from bot.limits import ATTACHMENT_BYTES_MAX, INTERACTION_TOKEN_S
from bot.text.jobs import PICTURES
from storage.types import JobKind

_EXPIRY = re.compile(r"[?&]ex=([0-9a-f]{1,12})(?:&|$)")
"""When a signed address of Discord's CDN ends, in seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture at its present address; `size` in pixels where Discord tells it."""

    url: str
    size: tuple[int, int] | None = None


def press_of(interaction: discord.Interaction[Any], clock: Clock) -> Press:
    """Who acts, as Discord sent it with this very interaction."""
    assert interaction.channel_id is not None
    return Press(
        reference=f"i:{interaction.id}",
        user_id=interaction.user.id,
        staff=is_staff(interaction),
        guild_id=interaction.guild_id,
        channel_id=interaction.channel_id,
        age_restricted=is_age_restricted(interaction),
        interaction_token=interaction.token,
        interaction_expires_us=token_end_us(clock),
    )


def order_of(
    press: Press,
    *,
    kind: JobKind,
    prompt: str,
    pictures: Sequence[Picture] = (),
    options: Mapping[str, OptionValue | None] | None = None,
    model_id: str | None = None,
    spoiler: bool = False,
) -> Order:
    """The order of a command."""
    return Order(
        reference=press.reference,
        kind=kind,
        user_id=press.user_id,
        guild_id=press.guild_id,
        channel_id=press.channel_id,
        prompt=prompt.strip(),
        model_id=model_id,
        image_urls=tuple(picture.url for picture in pictures),
        options=options or {},
        spoiler=spoiler,
        age_restricted=press.age_restricted,
        interaction_token=press.interaction_token,
        interaction_expires_us=press.interaction_expires_us,
    )


def token_end_us(clock: Clock) -> int:
    """Until when an interaction that came just now can be answered."""
    return clock.now_us() + int(INTERACTION_TOKEN_S * 1_000_000)


def attached(files: Iterable[discord.Attachment | None], *, kind: JobKind) -> list[Picture]:
    """Options of a command as pictures. Raises `AttachmentUnsupported`, `AttachmentTooLarge`."""
    found = []
    for file in files:
        if file is None:
            continue
        if not _is_picture(file.content_type, file.filename):
            raise AttachmentUnsupported(
                filename=file.filename,
                content_type=file.content_type or "",
                model="",
                accepted=(PICTURES,),
                kind=kind,
            )
        if file.size > ATTACHMENT_BYTES_MAX:
            raise AttachmentTooLarge(
                filename=file.filename, size_bytes=file.size, limit_bytes=ATTACHMENT_BYTES_MAX
            )
        found.append(_picture(file))
    return found


def picture_in(message: discord.Message) -> Picture:
    """The first picture of a message, attached or on a card. Raises `PictureMissing`.

    A card of another bot may show a stranger's address, and the provider would go there (C-15).
    """
    for file in message.attachments:
        if _is_picture(file.content_type, file.filename) and endpoints.is_on_cdn(file.url):
            return _picture(file)
    for media in _media(message.components):
        named = media.url.partition("?")[0]
        if _is_picture(media.content_type, named) and endpoints.is_on_cdn(media.url):
            return _picture(media)
    raise PictureMissing


def check_addresses(urls: Iterable[str], *, now_us: int) -> None:
    """Raise `PictureGone` when one has ended: the provider would fail on it."""
    for url in urls:
        ends = _EXPIRY.search(url)
        if ends is not None and int(ends[1], 16) * 1_000_000 <= now_us:
            raise PictureGone


def _picture(file: Any) -> Picture:
    known = file.width and file.height
    return Picture(url=file.url, size=(file.width, file.height) if known else None)


def _is_picture(content_type: str | None, filename: str) -> bool:
    named = content_type or mimetypes.guess_type(filename)[0] or ""
    return named.startswith("image/")


def _media(components: Iterable[Any]) -> Iterable[Any]:
    """Every medium on a card, top to bottom."""
    for component in components:
        for item in getattr(component, "items", ()):
            yield item.media
        yield from _media(getattr(component, "children", ()))
