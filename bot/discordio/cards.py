"""Cards: Components V2 containers with one accent colour, a heading, and two or three lines."""

from __future__ import annotations

from collections.abc import Sequence

from discord import Colour, ui

from bot.limits import CARD_CHARS_MAX
from bot.text.cards import CardText
from bot.text.messages import Notice, Tone

ACCENTS = {
    Tone.PLAIN: Colour(0x5865F2),
    Tone.GOOD: Colour(0x2D9D6A),
    Tone.REFUSED: Colour(0xC98A1B),
    Tone.FAILED: Colour(0xC4433F),
    Tone.WORKING: Colour(0x2F7FC1),
    Tone.OVER: Colour(0x80848E),
}
"""Colours that carry on light and on dark alike."""


def card(*, tone: Tone, heading: str, lines: Sequence[str], closing: str = "") -> ui.LayoutView:
    """A card to send as `view=`; it has no buttons, so discord.py need not remember it."""
    parts = [f"### {heading}", *lines]
    if closing:
        parts.append(f"-# {closing}")
    text = "\n".join(parts)[:CARD_CHARS_MAX]
    view = ui.LayoutView(timeout=None)
    view.add_item(ui.Container(ui.TextDisplay(text), accent_colour=ACCENTS[tone]))
    view.stop()
    return view


def text_card(text: CardText, *, tone: Tone = Tone.PLAIN) -> ui.LayoutView:
    """A command's answer as a card."""
    return card(tone=tone, heading=text.heading, lines=text.lines, closing=text.closing)


def notice_card(notice: Notice) -> ui.LayoutView:
    """A failure as a card."""
    return card(
        tone=notice.tone,
        heading=notice.heading,
        lines=[f"{notice.what} {notice.advice}"],
        closing=notice.closing,
    )
