"""Credits in words: exact, and one phrase per payment."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text.money import NOT_CHARGED, Payment, counted, credits_text, payment_text
from storage.types import UCR_PER_CREDIT


@pytest.mark.parametrize(
    ("amount_ucr", "text"),
    [
        (0, "0"),
        (80_000, "0.08"),
        (19_920_000, "19.92"),
        (1, "0.000001"),
        (1_234_567_890_000, "1,234,567.89"),
        (-500_000, "-0.5"),
        (20_000_000, "20"),
    ],
)
def test_amounts_are_exact_without_trailing_zeros(amount_ucr: int, text: str) -> None:
    """Thousands are set apart; up to six decimals."""
    assert credits_text(amount_ucr) == text


@given(st.integers(-(10**18), 10**18))
def test_no_amount_is_ever_rounded(amount_ucr: int) -> None:
    """The text read back is the amount."""
    assert Decimal(credits_text(amount_ucr).replace(",", "")) * UCR_PER_CREDIT == amount_ucr


def test_one_credit_is_no_plural() -> None:
    """Small things."""
    assert counted(1_000_000) == "1 credit"
    assert counted(1_000_001) == "1.000001 credits"


def test_each_payment_has_its_phrase() -> None:
    """product.md: exactly one of three."""
    held = Payment(held_ucr=500_000, held_until_us=1_763_683_200_000_000)

    assert payment_text(NOT_CHARGED) == "not charged"
    assert payment_text(Payment(charged_ucr=80_000)) == "charged 0.08 credits"
    assert payment_text(held) == "0.5 credits held until <t:1763683200:t>"
