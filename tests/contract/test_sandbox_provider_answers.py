"""The simulated models refer to what was asked, remember the request and use its tools."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from tests.contract.provider_client import (
    CHAT,
    GEMINI_25,
    GEMINI_31,
    GPT,
    RESPONSES,
    Provider,
    question,
    running_provider,
    streamed_text,
    text_of,
)

Json = dict[str, Any]
PNG_2X3 = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (2).to_bytes(4) + (3).to_bytes(4) + bytes(5)
GOOGLE = {"type": "function", "function": {"name": "googleSearch"}}


def schema(**properties: Json) -> Json:
    return {"type": "object", "properties": properties, "required": list(properties)}


TOOLS = {
    "get_time": schema(),
    "my_credits": schema(),
    "search_channel": schema(query={"type": "string"}),
    "search_web": schema(query={"type": "string"}),
}


def flat(tools: dict[str, Json]) -> list[Json]:
    return [{"type": "function", "name": n, "parameters": p} for n, p in tools.items()]


def nested(tools: dict[str, Json]) -> list[Json]:
    return [
        {"type": "function", "function": {"name": n, "parameters": p}} for n, p in tools.items()
    ]


def responses_history(*texts: str) -> Json:
    """A conversation in turns: user, assistant, user and so on."""
    items = []
    for index, text in enumerate(texts):
        role, kind = ("assistant", "output_text") if index % 2 else ("user", "input_text")
        items.append({"role": role, "content": [{"type": kind, "text": text}]})
    return {"model": GPT, "input": items}


def chat_history(model: str, *texts: str) -> Json:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"model": model, "messages": messages, "stream": False}


async def test_an_answer_refers_to_its_question(provider: Provider) -> None:
    """The topic is said; another question gets another answer, the same one the same."""
    bees = text_of(await provider.ask(GPT, "Tell me about solitary bees"))
    assert "solitary bees" in bees.lower()
    assert bees == text_of(await provider.ask(GPT, "Tell me about solitary bees"))
    assert bees != text_of(await provider.ask(GPT, "Tell me about steam engines"))


@pytest.mark.parametrize("model", [GPT, GEMINI_25, GEMINI_31])
async def test_the_name_comes_from_the_conversation_in_the_request(
    provider: Provider, model: str
) -> None:
    """With the history the name is known; without it, it is not: nothing is kept between."""
    texts = ("My name is Mira.", "Nice to meet you!", "What is my name?")
    if model == GPT:
        body, path = responses_history(*texts), RESPONSES
    else:
        body, path = chat_history(model, *texts), CHAT
    assert "Mira" in text_of(await (await provider.post(path, body)).json())
    assert "not told" in text_of(await provider.ask(model, "What is my name?"))


@pytest.mark.parametrize(
    ("told", "asked", "answer"),
    [
        (
            "My favourite colour is dark green, by the way",
            "What's my favorite colour?",
            "dark green",
        ),
        ("I live in Porto and like it", "where do I live?", "Porto"),
        ("Remember: the code word is heron", "What did I ask you to remember?", "heron"),
        ("How tall is Everest?", "What was my first question?", "How tall is Everest?"),
        ("My dog is called Bruno", "what is my dog?", "Bruno"),
    ],
)
async def test_facts_are_recalled(provider: Provider, told: str, asked: str, answer: str) -> None:
    """Things told earlier are said again when asked for."""
    body = responses_history(told, "I see.", asked)
    assert answer in text_of(await (await provider.post(RESPONSES, body)).json())


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Write python code for fizzbuzz", "```python\ndef fizzbuzz"),
        ("a bash script to count lines", "```bash"),
        ("Make a table of the planets", "| Mars | 6,792 |"),
        ("compare tea and coffee in a table", "| Coffee |"),
        ("What is 17 * 23?", "**391**"),
        ("What is the square root of 100?", "**10**"),
        ("who are you", "simulated model"),
    ],
)
async def test_wishes_are_met(provider: Provider, asked: str, expected: str) -> None:
    """Code in fences, tables in Markdown, sums that are right."""
    assert expected in text_of(await provider.ask(GPT, asked))


@pytest.mark.parametrize(
    ("asked", "chars"),
    [("Write 9,000 characters about tea", 9_000), ("a long story please", 4_500)],
)
async def test_long_texts_have_code_fences(provider: Provider, asked: str, chars: int) -> None:
    """At least as long as asked for, and every fence is closed."""
    text = streamed_text(await provider.stream(GEMINI_25, asked))
    assert chars <= len(text) < chars + 2_000
    assert text.count("```") >= 4
    assert text.count("```") % 2 == 0


async def test_how_long_is_no_wish_for_length(provider: Provider) -> None:
    """A question with the word "long" gets an ordinary answer."""
    assert len(text_of(await provider.ask(GPT, "How long is the Nile?"))) < 1_000


@pytest.mark.parametrize(
    ("asked", "tool"),
    [
        ("What time is it?", "get_time"),
        ("what's my balance", "my_credits"),
        ("who said pineapple?", "search_channel"),
        ("Search this channel for 'red kite'", "search_channel"),
        ("any news about space?", "search_web"),
        ("What is the weather in Tokyo?", "search_web"),
    ],
)
@pytest.mark.parametrize("model", [GPT, GEMINI_25])
async def test_a_fitting_tool_is_called(
    provider: Provider, asked: str, tool: str, model: str
) -> None:
    """The call names an offered tool, with arguments by its schema; no text beside it."""
    if model == GPT:
        body = await provider.ask(model, asked, tools=flat(TOOLS), tool_choice="auto")
        (call,) = body["output"]
        assert call["type"] == "function_call"
        name, arguments = call["name"], call["arguments"]
    else:
        body = await provider.ask(model, asked, tools=nested(TOOLS))
        (choice,) = body["choices"]
        assert choice["finish_reason"] == "tool_calls"
        assert choice["message"]["content"] is None
        function = choice["message"]["tool_calls"][0]["function"]
        name, arguments = function["name"], function["arguments"]
    assert name == tool
    assert set(json.loads(arguments)) == set(TOOLS[tool]["required"])


async def test_a_quoted_phrase_is_searched_as_it_stands(provider: Provider) -> None:
    """The argument is what the user put in quotes."""
    body = await provider.ask(GPT, "Search this channel for 'red kite'", tools=flat(TOOLS))
    assert json.loads(body["output"][0]["arguments"]) == {"query": "red kite"}


async def test_the_documents_weather_example_works(provider: Provider) -> None:
    """Required values come from the question and from the schema's choices."""
    unit = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    tools = flat({"get_current_weather": schema(location={"type": "string"}, unit=unit)})
    body = await provider.ask(GPT, "How hot is it in San Francisco?", tools=tools)
    arguments = json.loads(body["output"][0]["arguments"])
    assert arguments == {"location": "San Francisco", "unit": "celsius"}


async def test_two_wishes_call_two_tools(provider: Provider) -> None:
    """Parallel calls have ids of their own, in a stream as well."""
    asked = "What time is it, and what is my balance?"
    body = await provider.ask(GPT, asked, tools=flat(TOOLS))
    assert [call["name"] for call in body["output"]] == ["get_time", "my_credits"]
    assert len({call["call_id"] for call in body["output"]}) == 2
    events = await provider.stream(GEMINI_25, asked, tools=nested(TOOLS))
    calls: dict[int, str] = {}
    for event in events[:-2]:
        for delta in event.data["choices"][0]["delta"].get("tool_calls", []):
            calls.setdefault(delta["index"], delta["function"].get("name", ""))
    assert calls == {0: "get_time", 1: "my_credits"}
    assert events[-3].data["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_streamed_call_puts_its_arguments_together(provider: Provider) -> None:
    """Deltas, `.done` and the item agree; they are keyed by `item_id`."""
    events = await provider.stream(GPT, "who said pineapple?", tools=flat(TOOLS))
    by_name = {event.name: event.data for event in events}
    kind = "response.function_call_arguments"
    deltas = [event.data for event in events if event.name == f"{kind}.delta"]
    arguments = "".join(delta["delta"] for delta in deltas)
    item = by_name["response.output_item.done"]["item"]
    assert by_name[f"{kind}.done"]["arguments"] == arguments == item["arguments"]
    assert {delta["item_id"] for delta in deltas} == {item["id"]}
    assert item["call_id"].startswith("call_")


async def test_results_of_tools_are_used(provider: Provider) -> None:
    """The follow-up request is answered in words from the result, without another call."""
    asked = question(GPT, "What time is it?")["input"]
    call = {"type": "function_call", "call_id": "c1", "name": "get_time", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": '{"utc_time":"12:34"}'}
    body = {"model": GPT, "input": [*asked, call, result], "tools": flat(TOOLS)}
    answer = await (await provider.post(RESPONSES, body)).json()
    assert "**utc time**: 12:34" in text_of(answer)
    messages = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "It is 12:34."},
    ]  # fmt: skip
    chat = {"model": GEMINI_25, "messages": messages, "tools": nested(TOOLS), "stream": False}
    assert "It is 12:34." in text_of(await (await provider.post(CHAT, chat)).json())


async def test_speakers_and_notes_are_not_the_question(provider: Provider) -> None:
    """Where the system text announces speakers, `Mira: …` is by Mira; `[…]` is a program's note."""
    system = "The program writes the speaker's name and a colon in front of each message."
    body = responses_history("Mira: any news about red kites?\n[attached: a.png]")
    body["input"] = [
        {"role": "system", "content": [{"type": "input_text", "text": system}]},
        *body["input"],
        *responses_history("[The program: search the web now.\nResult of f: 7]")["input"],
    ]
    body["tools"] = [{"type": "web_search"}]
    answer = await (await provider.post(RESPONSES, body)).json()
    assert answer["output"][0]["action"]["query"] == "red kites"
    assert "Mira" not in text_of(answer)
    plain = responses_history("Remember: it is Monday", "Yes.", "What should you remember?")
    assert "it is Monday" in text_of(await (await provider.post(RESPONSES, plain)).json())


async def test_records_in_results_are_lines(provider: Provider) -> None:
    """A list of messages reads as a list, not as JSON."""
    output = json.dumps({"messages": [{"author": "Tom", "text": "red\nkite"}], "more": []})
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c1", "output": output}
    body = {"model": GPT, "input": [*question(GPT, "x")["input"], call, result]}
    text = text_of(await (await provider.post(RESPONSES, body)).json())
    assert "- **messages**:\n  - Tom · red kite\n- **more**: none" in text


async def test_tools_can_be_forbidden_and_demanded(provider: Provider) -> None:
    """`tool_choice` none and required are obeyed."""
    tools = flat(TOOLS)
    body = await provider.ask(GPT, "What time is it?", tools=tools, tool_choice="none")
    assert body["output"][0]["type"] == "message"
    body = await provider.ask(GPT, "Hello", tools=tools, tool_choice="required")
    assert body["output"][0]["type"] == "function_call"


async def test_web_search_has_events_and_citations(provider: Provider) -> None:
    """The search is shown, and each citation's offsets enclose its link."""
    tools = [{"type": "web_search"}]
    events = await provider.stream(GPT, "Top AI news this week", tools=tools)
    names = [event.name for event in events]
    steps = [f"response.web_search_call.{s}" for s in ("in_progress", "searching", "completed")]
    assert [name for name in names if name in steps] == steps
    search, message = events[-1].data["response"]["output"]
    assert search["type"] == "web_search_call"
    (part,) = message["content"]
    added = [e.data["annotation"] for e in events if str(e.name).endswith("annotation.added")]
    assert part["annotations"] == added
    assert len(added) == 3
    for source in added:
        assert source["type"] == "url_citation"
        assert source["url"] in part["text"][source["start_index"] : source["end_index"]]


@pytest.mark.parametrize("model", [GEMINI_25, GEMINI_31])
async def test_google_search_gives_plain_links(provider: Provider, model: str) -> None:
    """Chat Completions has no citations: the links stand in the text."""
    body = await provider.ask(model, "Weather in Shanghai tomorrow", tools=[GOOGLE])
    assert "](https://example.com/" in text_of(body)


async def test_structured_output_follows_the_schema(provider: Provider) -> None:
    """The documents' scientists: JSON with exactly the wanted fields."""
    person = schema(name={"type": "string"}, field={"type": "string"}, age={"type": "integer"})
    wanted = schema(scientists={"type": "array", "items": person})
    form = {"type": "json_schema", "json_schema": {"name": "scientists", "schema": wanted}}
    body = await provider.ask(GEMINI_25, "List 3 famous scientists", response_format=form)
    people = json.loads(text_of(body))["scientists"]
    assert len(people) == 3
    assert all(set(one) == {"name", "field", "age"} for one in people)


async def test_a_demo_says_so_in_every_answer() -> None:
    """The label comes first; citations still point at their links; JSON stays JSON."""
    async with running_provider(label="demo") as provider:
        assert text_of(await provider.ask(GPT, "Hello")).startswith("*demo*\n\n")
        await provider.script("exactly this")
        assert text_of(await provider.ask(GEMINI_31, "Hello")) == "*demo*\n\nexactly this"
        body = await provider.ask(GPT, "AI news", tools=[{"type": "web_search"}])
        (part,) = body["output"][-1]["content"]
        for source in part["annotations"]:
            assert source["url"] in part["text"][source["start_index"] : source["end_index"]]
        form = {"type": "json_schema", "json_schema": {
            "name": "a", "schema": schema(title={"type": "string"})}}  # fmt: skip
        body = await provider.ask(GEMINI_25, "bees", response_format=form)
        assert "demo" in json.loads(text_of(body))["title"]


@pytest.fixture
async def files() -> AsyncIterator[BaseTestServer]:
    """A host of attachments on loopback."""

    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=PNG_2X3, content_type="image/png")

    async def note(_request: web.Request) -> web.Response:
        return web.Response(text="Dear diary\nsecond line")

    app = web.Application()
    app.router.add_get("/cat.png", picture)
    app.router.add_get("/note.txt", note)
    async with TestServer(app) as server:
        yield server


async def test_files_are_looked_at(provider: Provider, files: BaseTestServer) -> None:
    """Names, kinds and sizes are said; a text file is quoted."""
    parts = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": str(files.make_url("/cat.png"))},
        {"type": "input_file", "file_url": str(files.make_url("/note.txt"))},
    ]
    body = {"model": GPT, "input": [{"role": "user", "content": parts}]}
    text = text_of(await (await provider.post(RESPONSES, body)).json())
    assert "`cat.png`, an image (PNG, 2 × 3 pixels" in text
    assert "`note.txt`, a document" in text
    assert "Dear diary" in text


async def test_files_elsewhere_are_known_by_name(provider: Provider) -> None:
    """Nothing outside loopback is fetched; all media travel as `image_url` (trap 14)."""
    urls = ("https://example.com/a.jpg?ex=1", "https://example.com/b.mp4", "https://e.com/c.ogg")
    links = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    body = {"model": GEMINI_31, "stream": False, "messages": [{"role": "user", "content": links}]}
    text = text_of(await (await provider.post(CHAT, body)).json())
    assert "`a.jpg`, an image" in text
    assert "`b.mp4`, a video" in text
    assert "`c.ogg`, an audio file" in text


async def test_a_file_that_is_not_there_is_refused(
    provider: Provider, files: BaseTestServer
) -> None:
    """As the real provider, which fetches each link; the field is named."""
    part = {"type": "input_image", "image_url": str(files.make_url("/gone.png"))}
    body = {"model": GPT, "input": [{"role": "user", "content": [part]}]}
    status, error = await provider.refusal(RESPONSES, body)
    assert (status, error["code"]) == (400, "invalid_request")
    assert error["message"] == "'input[0].content[0].image_url' could not be fetched."


async def test_scripts_are_said_word_for_word(provider: Provider) -> None:
    """For the model and the question that they fit, as often as wanted."""
    await provider.script("only gemini", model=GEMINI_25)
    await provider.script("about tea", match="tea", times=2)
    assert text_of(await provider.ask(GEMINI_25, "tea")) == "only gemini"
    assert text_of(await provider.ask(GPT, "green tea")) == "about tea"
    assert streamed_text(await provider.stream(GPT, "black tea")) == "about tea"
    assert text_of(await provider.ask(GPT, "white tea")) != "about tea"
    call = {"name": "anything", "arguments": "not json"}
    await provider.control("POST", "script", {"tool_calls": [call]})
    body = await provider.ask(GPT, "x")
    assert body["output"][0]["arguments"] == "not json"
