"""An answer as `/v1/chat/completions` puts it: one JSON object, or chunks, usage and [DONE]."""

from __future__ import annotations

from typing import Any

from sandbox.provider.account import Usage
from sandbox.provider.ask import Ask
from sandbox.provider.events import Event
from sandbox.provider.reply import Ending, Reply
from sandbox.provider.tokens import split
from sandbox.provider.wire import Ids, Json

FINISH = {
    Ending.COMPLETED: "stop",
    Ending.MAX_OUTPUT_TOKENS: "length",
    Ending.CONTENT_FILTER: "content_filter",
    Ending.FAILED: "stop",
}


class ChatWire:
    """Writes one answer. `now` is Unix seconds."""

    def __init__(self, ask: Ask, reply: Reply, usage: Usage, *, ids: Ids, now: int) -> None:
        self._ask = ask
        self._reply = reply
        self._usage = usage
        self._id = ids.make("chatcmpl-")[:41]
        self._call_ids = [ids.make("call_")[:29] for _ in reply.calls]
        self._now = now

    def _finish(self, ending: Ending) -> str:
        if self._reply.calls and ending is Ending.COMPLETED:
            return "tool_calls"
        return FINISH[ending]

    def whole(self, ending: Ending, credits_consumed: Any, error: Json | None = None) -> Json:
        """The answer without streaming; a failure is the documents' error object."""
        if error is not None:
            return {"error": error}
        message: Json = {"role": "assistant", "content": self._reply.text or None}
        if self._ask.show_thoughts and self._reply.thoughts:
            message["reasoning_content"] = self._reply.thoughts
        if self._reply.calls:
            message["tool_calls"] = [
                {"id": call_id, "type": "function", "function": {"name": name, "arguments": text}}
                for call_id, (name, text) in zip(self._call_ids, self._reply.calls, strict=True)
            ]
        body: Json = {
            "id": self._id,
            "object": "chat.completion",
            "created": self._now,
            "model": self._ask.model.echo,
            "choices": [{"index": 0, "message": message, "finish_reason": self._finish(ending)}],
            "usage": self._usage_json(),
        }
        if credits_consumed is not None:
            body["credits_consumed"] = credits_consumed
        return body

    def stream(
        self, ending: Ending, credits_consumed: Any, error: Json | None = None
    ) -> list[Event]:
        """All chunks; a failure ends them with an error object instead of usage and [DONE]."""
        deltas = self._deltas()
        if deltas:
            deltas[0][0].setdefault("content", "")
            deltas[0] = ({"role": "assistant", **deltas[0][0]}, deltas[0][1])
        events = [Event(data=self._chunk(delta), tokens=tokens) for delta, tokens in deltas]
        if error is not None:
            return [*events, Event(data={"error": error}, closing=True)]
        finish = self._finish(ending)
        if finish != "stop" or not self._ask.model.bare_chunks:
            events.append(Event(data=self._chunk({}, finish), closing=True))
        last = self._head()
        last["choices"] = []
        last["usage"] = self._usage_json()
        if credits_consumed is not None:
            last["credits_consumed"] = credits_consumed
        return [*events, Event(data=last, closing=True), Event(data="[DONE]", closing=True)]

    def _deltas(self) -> list[tuple[Json, int]]:
        """What changes with each chunk, and how many tokens of it."""
        found: list[tuple[Json, int]] = []
        if self._ask.show_thoughts:
            found += [({"reasoning_content": p}, 1) for p in split(self._reply.thoughts)]
        found += [({"content": piece}, 1) for piece in split(self._reply.text)]
        for index, (name, arguments) in enumerate(self._reply.calls):
            function: Json = {"name": name, "arguments": ""}
            first = {"id": self._call_ids[index], "type": "function", "function": function}
            found.append(({"tool_calls": [{"index": index, **first}]}, 0))
            for piece in split(arguments):
                more = {"index": index, "function": {"arguments": piece}}
                found.append(({"tool_calls": [more]}, 1))
        return found

    def _head(self) -> Json:
        if self._ask.model.bare_chunks:
            return {"id": self._id}
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._now,
            "model": self._ask.model.echo,
        }

    def _chunk(self, delta: Json, finish: str | None = None) -> Json:
        choice: Json = {"delta": delta, "index": 0}
        if finish is not None or not self._ask.model.bare_chunks:
            choice["finish_reason"] = finish
        return {**self._head(), "choices": [choice]}

    def _usage_json(self) -> Json:
        usage = self._usage
        total = usage.input_tokens + usage.output_tokens
        facts: Json = {
            "prompt_tokens": usage.input_tokens,
            "completion_tokens": usage.output_tokens,
            "total_tokens": total,
        }
        if self._ask.model.shows_reasoning_usage:
            facts["total_tokens"] = total + usage.reasoning_tokens
            facts["completion_tokens_details"] = {
                "reasoning_tokens": usage.reasoning_tokens,
                "audio_tokens": 0,
                "text_tokens": 0,
            }
        return facts


def error_chunk(code: str, message: str, kind: str) -> Event:
    """An error in the middle of a stream (providers.md 2.2)."""
    facts = {"code": code, "message": message, "type": kind}
    return Event(data={"error": facts}, closing=True)
