"""Why nothing is sent to the provider for now, in a member's words (S-13)."""

from __future__ import annotations

from bot.errors import PauseCause, ProviderPaused

TELL_OPERATOR = "The bot's operator has to mend this; I notice by myself when it is done."

HEADINGS: dict[PauseCause, str] = {
    PauseCause.KEY: "Paused by the bot's settings",
    PauseCause.BALANCE: "The bot's own account is empty",
    PauseCause.ADDRESS: "Paused by the bot's settings",
    PauseCause.SPEND_LIMIT: "The bot's spending limit is reached",
    PauseCause.UNCLEAR: "The provider is in trouble",
    PauseCause.TROUBLE: "The provider is in trouble",
}
REASONS: dict[PauseCause, str] = {
    PauseCause.KEY: "The provider does not accept this bot's key.",
    PauseCause.BALANCE: "The operator's balance at the provider is used up; yours is untouched.",
    PauseCause.ADDRESS: "The provider does not accept requests from where this bot runs.",
    PauseCause.SPEND_LIMIT: "The operator's limit at the provider is used up for now.",
    PauseCause.UNCLEAR: "Its last answers got lost, so I send it no orders for a while.",
    PauseCause.TROUBLE: "Its last answers were all errors, so I send it nothing for a while.",
}
OPERATORS = frozenset(
    {PauseCause.KEY, PauseCause.BALANCE, PauseCause.ADDRESS, PauseCause.SPEND_LIMIT}
)
"""Those that only the operator can mend."""


def paused(error: ProviderPaused) -> tuple[str, str, str]:
    """Return heading, what happened, advice."""
    if error.cause in OPERATORS:
        advice = TELL_OPERATOR
    elif error.until_us is None:
        advice = "Try again in a minute."
    else:
        advice = f"Try again <t:{error.until_us // 1_000_000}:R>."
    return HEADINGS[error.cause], REASONS[error.cause], advice
