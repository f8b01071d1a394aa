"""Every error in words: one table (`rows.py`), looked up along the class's MRO.

Each text says what happened, who can mend it, and whether it was paid; never a word of upstream's.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from bot import errors
from bot.text.money import NOT_CHARGED, Payment, job_payment, payment_text
from bot.text.rows import TABLE, Words
from storage import errors as store

SHORT_REFERENCE_CHARS = 6
"""32^6 values: enough to find one line in a log."""


class Tone(StrEnum):
    """The accent of a card: one per state."""

    PLAIN = "plain"
    GOOD = "good"
    REFUSED = "refused"
    FAILED = "failed"
    WORKING = "working"
    OVER = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a member reads about a failure; `closing` carries the payment and the reference."""

    tone: Tone
    heading: str
    what: str
    advice: str
    closing: str

    @property
    def markdown(self) -> str:
        """The notice as message text, for where no card can stand."""
        return f"**{self.heading}**\n{self.what} {self.advice}\n-# {self.closing}"


def short_reference(reference: str) -> str:
    """Six letters for a person to quote; the log has them beside the full `reference`."""
    digest = hashlib.sha256(reference.encode()).digest()
    return base64.b32encode(digest).decode()[:SHORT_REFERENCE_CHARS]


def message(error: Exception, *, reference: str, payment: Payment | None = None) -> Notice:
    """The notice for `error`; a class without a row of its own takes its nearest ancestor's.

    Without `payment` nothing was charged, unless the error is about a job that has a price.
    """
    words = words_for(error)
    refused = isinstance(
        error,
        errors.InvalidInput | errors.Refused | store.InsufficientCredits | store.BudgetExhausted,
    )
    return Notice(
        tone=Tone.REFUSED if refused else Tone.FAILED,
        heading=words.heading,
        what=words.what,
        advice=words.advice,
        closing=f"{payment_text(payment or _payment_of(error))} · ref {short_reference(reference)}",
    )


def _payment_of(error: Exception) -> Payment:
    return job_payment(error.job) if isinstance(error, errors.JobNotCancellable) else NOT_CHARGED


def words_for(error: Exception) -> Words:
    """The filled row for `error`."""
    row = next(TABLE[cls] for cls in type(error).__mro__ if cls in TABLE)
    return row(error)
