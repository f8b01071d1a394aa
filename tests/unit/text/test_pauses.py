"""A paused provider in words: the reason, who can mend it, and that it costs nothing."""

from __future__ import annotations

import pytest

from bot.errors import PauseCause, ProviderPaused
from bot.text.messages import Tone, message, words_for
from bot.text.rows import Remedy

UNTIL_US = 1_763_640_000_000_000


def pause(cause: PauseCause, until_us: int | None = None) -> ProviderPaused:
    return ProviderPaused(provider="aivideo", cause=cause, until_us=until_us)


@pytest.mark.parametrize(
    ("cause", "remedy", "words"),
    [
        (PauseCause.KEY, Remedy.OPERATOR, "key"),  # F-31
        (PauseCause.BALANCE, Remedy.OPERATOR, "balance"),  # F-32
        (PauseCause.ADDRESS, Remedy.OPERATOR, "where this bot runs"),  # F-33
        (PauseCause.SPEND_LIMIT, Remedy.OPERATOR, "limit"),  # F-37
        (PauseCause.UNCLEAR, Remedy.WAIT, "lost"),
        (PauseCause.TROUBLE, Remedy.WAIT, "errors"),
    ],
)
def test_every_cause_has_its_own_words(cause: PauseCause, remedy: Remedy, words: str) -> None:
    """F-31, F-32, F-33, F-37: the reason, and that nothing was charged."""
    notice = message(pause(cause), reference="i:1")
    assert words_for(pause(cause)).remedy is remedy
    assert words in notice.what
    assert notice.closing.startswith("not charged")
    assert notice.tone is Tone.REFUSED
    assert "operator" in notice.advice or remedy is Remedy.WAIT


def test_a_pause_that_time_ends_says_when() -> None:
    """While the one job that tries is under way, nobody knows."""
    assert "<t:1763640000:R>" in words_for(pause(PauseCause.TROUBLE, UNTIL_US)).advice
    assert "in a minute" in words_for(pause(PauseCause.TROUBLE)).advice
