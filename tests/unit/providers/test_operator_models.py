"""A model that only the operator's file knows, asked over a real socket: no Python is needed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.loader import BUILT_IN, load
from bot.errors import RequestInvalid
from bot.providers.base import Finished, FinishReason
from bot.providers.http import ProviderHttp
from bot.providers.registry import ChatProviders
from tests.unit.providers.support import (
    GEMINI_25,
    GEMINI_31,
    GPT,
    Host,
    Step,
    answers,
    ask,
    error_body,
    outcome_of,
    sse,
    streams,
)

PLAIN = """
[[chat_model]]
id = "plain-chat"
label = "Plain"
provider = "aivideo"
protocol = "{protocol}"
context_tokens = 32_000
price = {{ input = 10, output = 20 }}
"""
ORDINARY_FIELDS = {
    "responses": {"model", "input", "stream"},
    "chat_completions": {"model", "messages", "stream"},
}
"""What every service of the protocol takes; `reasoning` and the like are for some models only."""
ANSWERS = {
    "responses": sse(
        {"type": "response.output_text.delta", "output_index": 0, "delta": "Hello"},
        {"type": "response.completed", "response": {"status": "completed"}},
    ),
    "chat_completions": sse(
        {"choices": [{"index": 0, "delta": {"content": "Hello"}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        "[DONE]",
    ),
}


def added(tmp_path: Path, protocol: str, more: str = "") -> ChatModel:
    """Load a copy of the shipped file with one block more."""
    head, mark, rest = BUILT_IN.read_text(encoding="utf-8").partition("# --- Pictures")
    path = tmp_path / "models.toml"
    block = PLAIN.format(protocol=protocol) + more
    path.write_text(head + block + mark + rest, encoding="utf-8")
    return load(path).chat_models["plain-chat"]


def strict(protocol: str) -> Step:
    """Refuse every field that not all models take, as strict services do."""
    good = streams(ANSWERS[protocol])

    async def step(request: web.Request) -> web.StreamResponse:
        unknown = set(await request.json()) - ORDINARY_FIELDS[protocol]
        bad = answers(error_body("invalid_request"), status=400)
        return await (bad if unknown else good)(request)

    return step


@pytest.mark.parametrize("protocol", ORDINARY_FIELDS)
async def test_an_ordinary_model_is_added_in_the_file_and_streams(
    tmp_path: Path, http: ProviderHttp, host: Host, protocol: str
) -> None:
    """Without reasoning effort and thoughts, which a strict host would refuse."""
    host.script = [strict(protocol)]
    model = added(tmp_path, protocol)
    outcome = await outcome_of(ChatProviders(http).for_model(model), ask(model))
    assert outcome.error is None
    assert outcome.text == "Hello"
    last = outcome.events[-1]
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.STOP
    assert set(host.seen[0].body) == ORDINARY_FIELDS[protocol]


def test_empty_efforts_are_none(tmp_path: Path) -> None:
    """An empty list says the same as leaving it out."""
    assert added(tmp_path, "responses", "efforts = []") == added(tmp_path, "responses")


async def test_what_the_model_declares_is_sent(
    tmp_path: Path, http: ProviderHttp, host: Host
) -> None:
    """Each switch by itself."""
    host.script = [streams(ANSWERS["chat_completions"])]
    thinking = added(tmp_path, "chat_completions", "thoughts = true")
    trying = added(tmp_path, "chat_completions", 'efforts = ["max"]\ndefault_effort = "max"')
    for model in (thinking, trying):
        assert (await outcome_of(ChatProviders(http).for_model(model), ask(model))).error is None
    extra = [
        {name: value for name, value in seen.body.items() if name not in {"messages", "model"}}
        for seen in host.seen
    ]
    assert extra == [
        {"stream": True, "include_thoughts": False},
        {"stream": True, "reasoning_effort": "max"},
    ]


def test_the_shipped_models_declare_what_their_documents_do() -> None:
    """Provider-docs 002 and 003 have `include_thoughts`, 000 has not."""
    assert [model.thoughts for model in (GPT, GEMINI_25, GEMINI_31)] == [False, True, True]


@pytest.mark.parametrize("model", [GPT, replace(GEMINI_25, thoughts=False)])
async def test_thoughts_of_a_model_without_the_switch_are_refused(
    http: ProviderHttp, model: ChatModel
) -> None:
    """Before the network, naming the field."""
    with pytest.raises(RequestInvalid) as caught:
        await outcome_of(ChatProviders(http).for_model(model), ask(model, include_thoughts=True))
    assert (caught.value.field, caught.value.rule) == ("include_thoughts", "unsupported")
