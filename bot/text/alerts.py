"""What the operator is told without having asked; plain text, also for a direct message."""

from __future__ import annotations

from decimal import Decimal

from bot.errors import PauseCause

_CAUSES: dict[PauseCause, str] = {
    PauseCause.KEY: "it does not accept the key. Look it up in your settings, or make a new one.",
    PauseCause.BALANCE: "your balance there is used up. Top it up.",
    PauseCause.ADDRESS: "it refuses this machine's address or this key's rights. Allow the address "
    "from which this bot reaches the internet.",
    PauseCause.SPEND_LIMIT: "your spending limit there is reached. Raise it, or wait.",
    PauseCause.UNCLEAR: "several answers in a row got lost.",
    PauseCause.TROUBLE: "several answers in a row were errors.",
}


def provider_paused(*, provider: str, cause: PauseCause) -> str:
    return (
        f"I have paused everything that needs the provider `{provider}`: {_CAUSES[cause]} "
        "Members are told, and nobody is charged. I look again by myself."
    )


def drift(*, provider: str, taken: Decimal, booked: Decimal, since_us: int) -> str:
    return (
        f"The account at the provider `{provider}` does not match my books: since "
        f"<t:{since_us // 1_000_000}:f> it took {taken:f} credits, and I know of {booked:f}. "
        "Does anything else use this key?"
    )
