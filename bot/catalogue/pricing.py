"""What an answer costs and what that lets a member ask: pure arithmetic in whole µcr.

Two amounts are kept apart: the *cost* is what the provider takes from the operator, the *charge*
is what the member pays, cost × multiplier, rounded up to the next µcr.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Protocol

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.media import SECONDS, MediaModel, OptionValue, PriceUnit
from storage.types import UCR_PER_CREDIT

PPM = 1_000_000

# --- Cost ------------------------------------------------------------------------------------


class TokenUsage(Protocol):
    """Tokens as the provider bills them.

    There is no total on purpose: Gemini 3.1 counts unbilled reasoning in its `total_tokens`,
    GPT counts billed reasoning in its output (trap 4).
    """

    @property
    def input_tokens(self) -> int: ...

    @property
    def output_tokens(self) -> int: ...


class FinishedAnswer(Protocol):
    """What the terminal event said about money; `bot.providers.base.Finished` is one."""

    @property
    def usage(self) -> TokenUsage | None: ...

    @property
    def credits_consumed(self) -> Decimal | None: ...


class Basis(StrEnum):
    """Where a cost comes from, best first."""

    REPORTED = "reported"
    """The provider's own `credits_consumed`."""
    FORMULA = "formula"
    """The document's formula over the reported tokens."""
    ESTIMATE = "estimate"
    """The formula over tokens that we counted ourselves: the provider said nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """`rejected` is a reported amount that was too absurd to use (F-51); worth an alarm.

    So is `usage_rejected`: reported tokens that no request can have.
    """

    cost_ucr: int
    basis: Basis
    rejected: Decimal | None = None
    usage_rejected: bool = False

    @property
    def reported(self) -> bool:
        return self.basis is Basis.REPORTED


def formula_ucr(model: ChatModel, *, input_tokens: int, output_tokens: int) -> int:
    """Compute the document's formula, which is exact in µcr.

    No request has more tokens than the context window, so counts beyond it are cut there.
    """
    paid_in = min(max(input_tokens, 0), model.context_tokens)
    paid_out = min(max(output_tokens, 0), model.context_tokens)
    return paid_in * model.price.input_ucr + paid_out * model.price.output_ucr


def cost_ucr_max(model: ChatModel) -> int:
    """Return the most that one request can cost: the whole window in and the whole window out.

    The bound does not lean on the reported tokens, because they may be wrong while the reported
    amount is right: the document's own sample says `input_tokens: 0` (trap 5).
    """
    return formula_ucr(model, input_tokens=model.context_tokens, output_tokens=model.context_tokens)


def _reported_ucr(model: ChatModel, amount: Decimal) -> int | None:
    """Turn reported credits into µcr; None when the amount is nonsense (F-51)."""
    if not amount.is_finite() or amount < 0:
        return None
    # Compared before multiplied: a huge exponent would overflow the decimal context.
    if amount > Decimal(cost_ucr_max(model)) / UCR_PER_CREDIT:
        return None
    return int((amount * UCR_PER_CREDIT).to_integral_value(ROUND_CEILING))


def chat_cost_ucr(
    model: ChatModel,
    finished: FinishedAnswer,
    *,
    estimated_input_tokens: int = 0,
    estimated_output_tokens: int = 0,
) -> Cost:
    """Return the provider's cost: reported if sane, else its formula, else our estimate."""
    amount = finished.credits_consumed
    if amount is not None:
        reported = _reported_ucr(model, amount)
        if reported is not None:
            return Cost(cost_ucr=reported, basis=Basis.REPORTED)
    usage = finished.usage
    if usage is not None and is_possible(model, usage):
        cost = formula_ucr(
            model, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
        )
        return Cost(cost_ucr=cost, basis=Basis.FORMULA, rejected=amount)
    cost = formula_ucr(
        model, input_tokens=estimated_input_tokens, output_tokens=estimated_output_tokens
    )
    return Cost(
        cost_ucr=cost, basis=Basis.ESTIMATE, rejected=amount, usage_rejected=usage is not None
    )


def is_possible(model: ChatModel, usage: TokenUsage) -> bool:
    """Whether a request can have counted so: within the window, and something at all (F-51)."""
    counts = (usage.input_tokens, usage.output_tokens)
    return any(counts) and all(0 <= count <= model.context_tokens for count in counts)


def media_cost_ucr(model: MediaModel, options: Mapping[str, OptionValue]) -> int:
    """Return the provider's exact price of a picture or video, before the multiplier.

    `options` are the result of `check_media_request`, so whatever the price depends on is there.
    """
    price = model.price
    amount_ucr = price.amounts_ucr["" if price.by is None else str(options[price.by])]
    if price.per is PriceUnit.JOB:
        return amount_ucr
    seconds = int(str(options[SECONDS]))
    assert seconds > 0, "the catalogue's bounds start at one second"
    return amount_ucr * seconds


# --- Charge and hold ---------------------------------------------------------------------------


def charge_ucr(cost_ucr: int, multiplier_ppm: int) -> int:
    """Return what the member pays for a cost: times the multiplier, up to the next µcr."""
    return -(-cost_ucr * multiplier_ppm // PPM)


def hold_ucr(
    model: ChatModel, *, multiplier_ppm: int, prompt_tokens: int, output_tokens: int
) -> int:
    """Return what to hold for a prompt and an answer of this many tokens."""
    cost = formula_ucr(model, input_tokens=prompt_tokens, output_tokens=output_tokens)
    return charge_ucr(cost, multiplier_ppm)


# --- Estimates ---------------------------------------------------------------------------------

_ASCII_WORD = 350
_ASCII_OTHER = 700
_ALPHABETIC = 700
_CJK = 1_300
_ASTRAL = 3_000
"""Thousandths of a token per character, above the usual figures of byte-pair vocabularies: English
about 0.25, code and digits 0.3 to 0.6, other alphabets 0.3 to 0.6, CJK 0.7 to 1.2, emoji 1 to 3."""


_MILLITOKENS = (
    (re.compile("[A-Za-z ]+"), _ASCII_WORD),
    (re.compile("[\x00-\x7f]+"), _ASCII_OTHER),
    (re.compile("[\x80-\u2e7f]+"), _ALPHABETIC),
    (re.compile("[\u2e80-\uffff]+"), _CJK),
    (re.compile("[^\x00-\uffff]+"), _ASTRAL),
)


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text, rather too high than too low; never above its UTF-8 bytes."""
    # Character by character in Python takes ten times as long, and histories are long.
    millitokens, rest = 0, text
    for kind, each in _MILLITOKENS:
        others = kind.sub("", rest)
        millitokens += each * (len(rest) - len(others))
        rest = others
    return -(-millitokens // 1_000)
