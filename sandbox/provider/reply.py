"""An answer before it has a wire form, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sandbox.provider.account import REPORT_STEP_UCR, Usage, cost_ucr
from sandbox.provider.ask import Ask
from sandbox.provider.models import Model
from sandbox.provider.tokens import count, split


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A source; `start` and `end` are character offsets into the answer's text."""

    url: str
    title: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`calls` are names and arguments (JSON text); `query` is set when the web was searched."""

    text: str = ""
    thoughts: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    citations: tuple[Citation, ...] = ()
    query: str | None = None


class Ending(StrEnum):
    COMPLETED = "completed"
    MAX_OUTPUT_TOKENS = "max_output_tokens"
    CONTENT_FILTER = "content_filter"
    FAILED = "failed"


def usage_of(ask: Ask, reply: Reply) -> Usage:
    """Counted from the real texts, reasoning accounted for as each document says."""
    output = count(reply.text) + sum(count(arguments) for _, arguments in reply.calls)
    reasoning = count(reply.thoughts)
    if ask.model.bills_reasoning:
        output += reasoning
    return Usage(input_tokens=ask.input_tokens, output_tokens=output, reasoning_tokens=reasoning)


def charge_ucr(model: Model, usage: Usage, *, streamed: bool) -> int:
    """What the account pays: the reported amount where one is reported, else the exact formula."""
    exact = cost_ucr(model, usage)
    reported = model.reports_credits_in_stream if streamed else model.reports_credits
    return exact // REPORT_STEP_UCR * REPORT_STEP_UCR if reported else exact


def shorten(reply: Reply, tokens: int) -> Reply:
    """Keep the first `tokens` tokens of the text, and the sources that are still in it."""
    text = "".join(split(reply.text)[:tokens])
    citations = tuple(source for source in reply.citations if source.end <= len(text))
    return replace(reply, text=text, citations=citations, calls=())
