"""What stands under a finished answer: its end, its sources, its price. Pure."""

from __future__ import annotations

from bot.chat.ports import Ending, FinalAnswer
from bot.discordio.markdown import clean, host_of
from bot.discordio.render import pages, width
from bot.errors import Unexpected
from bot.limits import (
    MESSAGE_CHARS_MAX,
    SOURCE_TITLE_CHARS_MAX,
    SOURCE_URL_CHARS_MAX,
    SOURCES_SHOWN_MAX,
)
from bot.providers.base import Citation
from bot.text.answers import DEMO, ENDING_NOTES, NO_WORDS, receipt_text, sources_lines
from bot.text.messages import message
from bot.text.money import Payment, credits_text


def final_pages(final: FinalAnswer, *, reference: str, demo: bool = False) -> list[str]:
    """The whole answer as messages, with its small print at the very end."""
    body = pages(final.text)
    tail = _tail(final, reference=reference, demo=demo)
    if not body and final.ending is not Ending.FAILED:
        tail = [NO_WORDS, *tail]
    if body and tail:
        joined = "\n".join([body[-1], *tail])
        if width(joined) <= MESSAGE_CHARS_MAX:
            return [*body[:-1], joined]
    return [*body, *_packed(tail)]


def with_note(body: list[str], note: str) -> list[str]:
    """Pages with one line more under the last, or in a page of its own where it finds no room."""
    joined = f"{body[-1]}\n{note}" if body else note
    return [*body[:-1], joined] if width(joined) <= MESSAGE_CHARS_MAX else [*body, note]


def _tail(final: FinalAnswer, *, reference: str, demo: bool) -> list[str]:
    lines = sources_lines(link for link in map(_link, _shown(final.sources)) if link)
    if final.ending is Ending.FAILED:
        return [*lines, *_failure(final, reference=reference, demo=demo)]
    note = ENDING_NOTES.get(final.ending)
    if note is not None:
        lines.insert(0, note)
    if final.receipt is not None:
        receipt = receipt_text(
            model_label=final.receipt.model_label,
            charged_ucr=final.receipt.charged_ucr,
            available_ucr=final.receipt.available_ucr,
            demo=demo,
        )
        lines.append(f"-# {receipt}")
    return lines


def _failure(final: FinalAnswer, *, reference: str, demo: bool) -> list[str]:
    error = final.error or Unexpected(reference=reference)
    receipt = final.receipt
    payment = Payment(charged_ucr=receipt.charged_ucr if receipt else 0)
    notice = message(error, reference=reference, payment=payment)
    left = f" · {credits_text(receipt.available_ucr)} left" if receipt else ""
    return (notice.markdown + left + (f" · {DEMO}" if demo else "")).split("\n")


def _shown(sources: tuple[Citation, ...]) -> tuple[Citation, ...]:
    return sources[:SOURCES_SHOWN_MAX]


def _link(source: Citation) -> str | None:
    """The source with its real host; None when it is no web address."""
    host = host_of(source.url)
    if host is None:
        return None
    title = "".join(char for char in clean(source.title) if char not in "[]\n`*_<>|").strip()
    title = title[:SOURCE_TITLE_CHARS_MAX] or host
    if len(source.url) > SOURCE_URL_CHARS_MAX or any(char in source.url for char in "<> \n)"):
        return f"{title} ({host})"
    return f"[{title}](<{source.url}>)" + ("" if title == host else f" ({host})")


def _packed(lines: list[str]) -> list[str]:
    """Lines, each far below the limit, in as few messages as they need."""
    packed: list[str] = []
    for line in lines:
        if packed and width(packed[-1]) + 1 + width(line) <= MESSAGE_CHARS_MAX:
            packed[-1] = f"{packed[-1]}\n{line}"
        else:
            packed.append(line)
    return packed
