"""The three chat models of the documents: names, prices, and what each request may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model. Prices are µcr per token: the document's credits per million tokens."""

    id: str
    echo: str
    """The name in answers, which is not always the requested one (trap 6)."""
    context_tokens: int
    input_ucr: int
    output_ucr: int
    efforts: tuple[str, ...]
    default_effort: str
    functions: bool
    json_schema: bool
    bills_reasoning: bool
    """Reasoning is part of the output tokens, and so of the price."""
    shows_reasoning_usage: bool
    reports_credits: bool
    """Whether a JSON answer carries `credits_consumed`."""
    reports_credits_in_stream: bool
    bare_chunks: bool = False
    """Stream chunks have only `id` and `choices`, as the sample of gemini-2.5-pro."""


RESPONSES_MODELS: Final = {
    "gpt-5-4": Model(
        id="gpt-5-4",
        echo="gpt-5.4",
        context_tokens=256_000,
        input_ucr=300,
        output_ucr=1_800,
        efforts=("minimal", "low", "medium", "high", "xhigh"),
        default_effort="low",
        functions=True,
        json_schema=False,
        bills_reasoning=True,
        shows_reasoning_usage=True,
        reports_credits=True,
        reports_credits_in_stream=True,
    )
}

CHAT_MODELS: Final = {
    "gemini-2.5-pro": Model(
        id="gemini-2.5-pro",
        echo="gemini-2.5-pro",
        context_tokens=1_000_000,
        input_ucr=57,
        output_ucr=450,
        efforts=("low", "high"),
        default_effort="high",
        functions=True,
        json_schema=True,
        bills_reasoning=False,
        shows_reasoning_usage=False,
        reports_credits=False,
        reports_credits_in_stream=False,
        bare_chunks=True,
    ),
    "gemini-3.1-pro": Model(
        id="gemini-3.1-pro",
        echo="gemini-3.1-pro-preview",
        context_tokens=1_000_000,
        input_ucr=160,
        output_ucr=960,
        efforts=("low", "high"),
        default_effort="high",
        functions=False,
        json_schema=False,
        bills_reasoning=False,
        shows_reasoning_usage=True,
        reports_credits=True,
        reports_credits_in_stream=False,
    ),
}
