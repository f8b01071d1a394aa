"""The bot's own words around a model's answer."""

from __future__ import annotations

from collections.abc import Iterable

from bot.text.money import Payment, credits_text, payment_text

PLACEHOLDERS = {
    "thinking": "*Thinking…*",
    "searching": "*Searching the web…*",
    "writing": "*Writing…*",
    "stopped": "*Stopped. The model finishes unseen and costs the same; the price comes then…*",
}
"""By phase of the chat: what stands there while there are no words yet.

The last one also stands under the words that were stopped.
"""

BOOKING_NOTE = "*The bot's database is busy, so the price is not booked yet:"
"""How the line begins that stands under a whole answer while its price is being booked."""

ENDING_NOTES = {
    "stopped": "*Stopped.*",
    "length": "*The answer reached its greatest length. Ask me to go on.*",
    "credits": "*Your credits ended here. `/credits balance` says when there are more.*",
    "store": "*The bot's database is busy, so the answer ends here. You still have credits.*",
    "budget": "*The server's budget ended here. Its staff can raise it with `/quota budget`.*",
    "installation": "*The bot's own budget ended here. You still have credits.*",
}
"""By ending of the chat; a complete answer needs no note, a failed one has its notice."""

STOP_LABEL = "Stop"
STOPPING_LABEL = "Stopping…"
NO_WORDS = "*The model ended without a word.*"
MOVED = "*I may not write in <#{channel_id}> any more, so here is your answer:*"
LATE = "*Your answer from <#{channel_id}> could not be shown there in time, so here it is:*"
DEMO = "demo"

UNREADABLE_REPLY = (
    "Discord shows me the words of a reply only when it mentions me: leave the @ of the reply "
    "switched on, or mention me."
)


def booking_note(payment: Payment) -> str:
    """The note under an answer whose price is not booked yet, with what is held and until when."""
    return f"{BOOKING_NOTE} {payment_text(payment)}.*"


def receipt_text(*, model_label: str, charged_ucr: int, available_ucr: int, demo: bool) -> str:
    """`GPT-5.4 · charged 0.08 credits · 19.92 left`."""
    parts = [
        model_label,
        payment_text(Payment(charged_ucr=charged_ucr)),
        f"{credits_text(available_ucr)} left",
    ]
    return " · ".join([*parts, DEMO] if demo else parts)


def closing_text(charged_ucr: int, *, reference: str) -> str:
    """`-# charged 0.08 credits · ref ABCDEF`, where no more is known after a restart."""
    return f"-# {payment_text(Payment(charged_ucr=charged_ucr))} · ref {reference}"


def sources_lines(links: Iterable[str]) -> list[str]:
    """Small print that names where the answer comes from."""
    return [f"-# {number}. {link}" for number, link in enumerate(links, start=1)]


QUOTED = "In reply to {author}, who wrote:"
"""In front of a quoted message, for the model."""
