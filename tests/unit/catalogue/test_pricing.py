"""Prices: the documents' samples to the digit, and the laws between cost, charge and hold."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.loader import load
from bot.catalogue.pricing import (
    Basis,
    charge_ucr,
    chat_cost_ucr,
    cost_ucr_max,
    estimate_tokens,
    formula_ucr,
    hold_ucr,
)

MODELS = load().chat_models
GPT, GEMINI_25, GEMINI_31 = MODELS.values()
models = st.sampled_from(list(MODELS.values()))
tokens = st.integers(0, 200_000)
multipliers = st.integers(1, 5_000_000)


@dataclass(frozen=True, kw_only=True)
class Used:
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, kw_only=True)
class Ended:
    usage: Used | None = None
    credits_consumed: Decimal | None = None


@pytest.mark.parametrize(
    ("model", "tokens_in", "tokens_out", "exact", "shown"),
    [
        pytest.param(GPT, 0, 45, "0.081", "0.08", id="gpt-5-4 json"),
        pytest.param(GPT, 0, 57, "0.1026", "0.10", id="gpt-5-4 stream"),
        pytest.param(GEMINI_31, 194, 229, "0.25088", "0.25", id="gemini-3.1-pro json"),
        # No amount is published for this sample: its page has none (trap 3).
        pytest.param(GEMINI_25, 12, 86, "0.039384", "0.03", id="gemini-2.5-pro"),
    ],
)
def test_each_sample_of_the_documents_is_reproduced(
    model: ChatModel, tokens_in: int, tokens_out: int, exact: str, shown: str
) -> None:
    """The formula gives the exact cost; its first two decimals are what the provider reports."""
    ended = Ended(usage=Used(input_tokens=tokens_in, output_tokens=tokens_out))
    cost = chat_cost_ucr(model, ended)
    assert cost.basis is Basis.FORMULA
    credits_ = Decimal(cost.cost_ucr).scaleb(-6)
    assert credits_ == Decimal(exact)
    assert str(credits_.quantize(Decimal("0.01"), ROUND_DOWN)) == shown


def test_the_reported_amount_comes_first() -> None:
    """Trap 5: the sample's own usage says 0 input tokens, so the amount is trusted."""
    ended = Ended(usage=Used(input_tokens=0, output_tokens=45), credits_consumed=Decimal("0.08"))
    cost = chat_cost_ucr(GPT, ended)
    assert cost.cost_ucr == 80_000
    assert cost.reported
    assert cost.rejected is None


@pytest.mark.parametrize(
    "amount", ["-0.01", "NaN", "sNaN", "Infinity", "-Infinity", "1e999999", "537.6000001"]
)
def test_an_absurd_amount_gives_way_to_the_formula(amount: str) -> None:
    """F-51; 537.6 credits are the whole window of gpt-5-4 in and out."""
    ended = Ended(usage=Used(input_tokens=10, output_tokens=5), credits_consumed=Decimal(amount))
    cost = chat_cost_ucr(GPT, ended)
    assert cost.cost_ucr == 10 * 300 + 5 * 1800
    assert cost.basis is Basis.FORMULA
    assert cost.rejected is not None


@pytest.mark.parametrize(
    ("amount", "ucr"),
    [("0", 0), ("537.6", 537_600_000), ("1e-30", 1), ("0.0000001", 1), ("0.10", 100_000)],
)
def test_a_sane_amount_becomes_whole_micro_credits(amount: str, ucr: int) -> None:
    """Fractions of a µcr go up, so that no cost is lost."""
    cost = chat_cost_ucr(GPT, Ended(credits_consumed=Decimal(amount)))
    assert cost.cost_ucr == ucr
    assert cost.reported


def test_without_any_word_of_the_provider_our_estimate_counts() -> None:
    """An answer without usage and amount is not free."""
    cost = chat_cost_ucr(GEMINI_25, Ended(), estimated_input_tokens=100, estimated_output_tokens=10)
    assert cost.cost_ucr == 100 * 57 + 10 * 450
    assert cost.basis is Basis.ESTIMATE


def test_impossible_counts_are_cut_at_the_window() -> None:
    """No request has more tokens than the context window, nor fewer than none."""
    assert formula_ucr(GPT, input_tokens=10**15, output_tokens=10**15) == cost_ucr_max(GPT)
    assert formula_ucr(GPT, input_tokens=-5, output_tokens=-5) == 0


@given(cost=st.integers(0, 10**12), ppm=multipliers)
def test_a_charge_is_the_cost_times_the_multiplier_rounded_up(cost: int, ppm: int) -> None:
    """Never below the exact product, and less than one µcr above it."""
    exact = Decimal(cost) * ppm / 1_000_000
    assert exact <= charge_ucr(cost, ppm) < exact + 1


def test_a_hold_is_the_price_of_prompt_and_answer() -> None:
    """GPT-5.4: 100 × 300 + 10 × 1,800 µcr, times 1.500001, up to the next µcr."""
    model = load().chat_models["gpt-5-4"]
    found = hold_ucr(model, multiplier_ppm=1_500_001, prompt_tokens=100, output_tokens=10)
    assert found == 72_001


@given(st.text())
def test_an_estimate_stays_between_nothing_and_the_bytes(text: str) -> None:
    """Byte-pair tokens are at least one byte; an empty text has none."""
    estimate = estimate_tokens(text)
    assert (estimate > 0) == bool(text)
    assert estimate <= len(text.encode("utf-8", "surrogatepass"))


@given(st.text(), st.text())
def test_an_estimate_grows_with_the_text(first: str, second: str) -> None:
    """A part never weighs more than the whole, and parts never less."""
    whole = estimate_tokens(first + second)
    assert max(estimate_tokens(first), estimate_tokens(second)) <= whole
    assert whole <= estimate_tokens(first) + estimate_tokens(second)


def test_an_estimate_is_above_the_documents_own_count() -> None:
    """The sample answer of gpt-5-4 has 45 tokens with its framing, 29 words."""
    answer = (
        "Quantum entanglement: two or more particles share correlated states such that measuring"
        " one instantly determines the outcome of measuring the others, no matter the distance."
    )
    assert 45 <= estimate_tokens(answer) <= 90
