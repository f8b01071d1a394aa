"""A whole answer is the same whatever the network cuts it into (F-58)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import ProviderError
from bot.providers.base import ChatEvent
from bot.providers.chat_completions import ChatDecoder
from bot.providers.decoding import Decoder
from bot.providers.responses_decoder import ResponsesDecoder
from tests.unit.providers.samples import CHAT_STREAM, RESPONSES_STREAM
from tests.unit.providers.support import sse

Make = Callable[[], Decoder]


def responses() -> Decoder:
    return ResponsesDecoder(provider="aivideo", model="gpt-5-4")


def completions() -> Decoder:
    return ChatDecoder(provider="aivideo", model="gemini-2.5-pro", search_tool="googleSearch")


RICH = sse(
    {"choices": [{"delta": {"content": "é€🙂 ```py"}}]},
    "{broken",
    {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "n"}}]}}]},
    {"choices": [], "usage": {"prompt_tokens": 3}, "credits_consumed": 0.07},
    "[DONE]",
    {"error": "after the end"},
)
FAILING = sse({"choices": [{"delta": {"content": "a"}}]}, {"error": {"code": "upstream_error"}})
STREAMS = [
    (responses, RESPONSES_STREAM),
    (responses, RESPONSES_STREAM.replace(b"\n", b"\r\n")),
    (responses, RESPONSES_STREAM[:3_000]),
    (completions, CHAT_STREAM),
    (completions, RICH),
    (completions, FAILING),
    (completions, b"{}"),
]


def decode(decoder: Decoder, chunks: list[bytes]) -> tuple[list[ChatEvent], str]:
    """Read as the pump does; the error that ended it is told by its name."""
    events: list[ChatEvent] = []
    try:
        for chunk in chunks:
            for event in decoder.receive(chunk):
                events.append(event)  # noqa: PERF402 - what came before an error counts
        events.extend(decoder.end())
    except ProviderError as error:
        return events, type(error).__name__
    return events, ""


@pytest.mark.parametrize(("make", "stream"), STREAMS)
@given(cuts=st.lists(st.integers(1, 4_000), max_size=40))
def test_any_chunking_gives_the_same_answer(make: Make, stream: bytes, cuts: list[int]) -> None:
    """The same events, and the same end."""
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    assert decode(make(), chunks) == decode(make(), [stream])


@pytest.mark.parametrize(("make", "stream"), STREAMS)
def test_single_bytes_give_the_same_answer(make: Make, stream: bytes) -> None:
    """The smallest chunks there are."""
    single = [stream[at : at + 1] for at in range(len(stream))]
    assert decode(make(), single) == decode(make(), [stream])


@given(noise=st.binary(max_size=300))
def test_noise_ends_in_a_typed_error(noise: bytes) -> None:
    """No byte string crashes a decoder, and none is an answer by accident."""
    for make in (responses, completions):
        _, error = decode(make(), [noise])
        assert error in {"StreamCut", "AnswerMalformed", "ProviderInternalError"} or (
            b"[DONE]" in noise
        )
