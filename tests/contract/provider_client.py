"""The simulated provider on a real socket, and hands to ask it like any client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from sandbox.provider.delivery import Pace
from sandbox.provider.server import ProviderSandbox

KEY = {"Authorization": "Bearer sk-test"}
RESPONSES = "/v1/responses"
CHAT = "/v1/chat/completions"
GPT = "gpt-5-4"
GEMINI_25 = "gemini-2.5-pro"
GEMINI_31 = "gemini-3.1-pro"
AT_ONCE = Pace(tokens_per_s=0, first_token_delay_s=0)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sse:
    """One event of a stream: its name (Responses only) and its data, parsed unless [DONE]."""

    name: str | None
    data: Any


def parse_stream(raw: bytes) -> list[Sse]:
    """Read a whole, well-formed stream; comments are left out."""
    events = []
    for block in raw.decode().split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = dict(line.split(": ", 1) for line in lines)
        if "data" in fields:
            text = fields["data"]
            events.append(Sse(fields.get("event"), text if text == "[DONE]" else json.loads(text)))
    return events


@dataclass(slots=True)
class Provider:
    """One running provider and a client that has a key."""

    client: TestClient[Any, Any]

    async def post(self, path: str, body: Any, **options: Any) -> ClientResponse:
        return await self.client.post(path, json=body, **{"headers": KEY, **options})

    async def ask(self, model: str, text: str, **fields: Any) -> Json:
        """A whole answer, not streamed."""
        answer = await self.post(path_of(model), question(model, text, stream=False, **fields))
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "application/json"
        body: Json = await answer.json()
        return body

    async def stream(self, model: str, text: str, **fields: Any) -> list[Sse]:
        """All events of a streamed answer."""
        answer = await self.post(path_of(model), question(model, text, stream=True, **fields))
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        return parse_stream(await answer.read())

    async def refusal(self, path: str, body: Any, **options: Any) -> tuple[int, Json]:
        """Status and error object of a refused request."""
        answer = await self.post(path, body, **options)
        error: Json = (await answer.json())["error"]
        return answer.status, error

    async def control(self, method: str, name: str, body: Any = None) -> Json:
        answer = await self.client.request(method, f"/control/{name}", json=body)
        assert answer.status == 200, await answer.text()
        result: Json = await answer.json()
        return result

    async def fault(self, kind: str, **facts: Any) -> None:
        await self.control("POST", "faults", {"kind": kind, **facts})

    async def script(self, text: str, **facts: Any) -> None:
        await self.control("POST", "script", {"text": text, **facts})

    async def consumed(self) -> Decimal:
        return Decimal((await self.control("GET", "account"))["consumed"])


def path_of(model: str) -> str:
    return RESPONSES if model == GPT else CHAT


def question(model: str, text: str, **fields: Any) -> Json:
    """The body of a question with one user message."""
    if model == GPT:
        part = {"type": "input_text", "text": text}
        return {"model": model, "input": [{"role": "user", "content": [part]}], **fields}
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def text_of(body: Json) -> str:
    """The words of a whole answer of either protocol."""
    if "choices" in body:
        return str(body["choices"][0]["message"]["content"])
    parts = [
        part for item in body["output"] if item["type"] == "message" for part in item["content"]
    ]
    return "".join(part["text"] for part in parts)


def streamed_text(events: list[Sse]) -> str:
    """The words of a stream of either protocol, put together from its deltas."""
    words = []
    for event in events:
        if event.name == "response.output_text.delta":
            words.append(event.data["delta"])
        elif event.name is None and event.data != "[DONE]":
            words += [choice["delta"].get("content", "") for choice in event.data["choices"]]
    return "".join(words)


@asynccontextmanager
async def running_provider(**options: Any) -> AsyncIterator[Provider]:
    sandbox = ProviderSandbox(**{"pace": AT_ONCE, **options})
    client: TestClient[Any, Any] = TestClient(TestServer(sandbox.app))
    async with client:
        yield Provider(client)
