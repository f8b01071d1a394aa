"""An answer as `/v1/responses` puts it: one JSON object, or its full sequence of events."""

from __future__ import annotations

from typing import Any

from sandbox.provider.account import Usage
from sandbox.provider.ask import Ask, Tool
from sandbox.provider.events import Event
from sandbox.provider.reply import Citation, Ending, Reply
from sandbox.provider.tokens import split
from sandbox.provider.wire import Ids, Json

STATUS = {
    Ending.COMPLETED: "completed",
    Ending.MAX_OUTPUT_TOKENS: "incomplete",
    Ending.CONTENT_FILTER: "incomplete",
    Ending.FAILED: "failed",
}


class ResponsesWire:
    """Writes one answer. `now` is Unix seconds; `credits` None leaves the field out."""

    def __init__(self, ask: Ask, reply: Reply, usage: Usage, *, ids: Ids, now: int) -> None:
        self._ask = ask
        self._reply = reply
        self._usage = usage
        self._ids = ids
        self._now = now
        self._id = ids.make("resp_")
        self._cache_key = ids.digest().hex()[:32]
        self._events: list[Event] = []
        self._output: list[Json] = []

    def whole(self, ending: Ending, credits_consumed: Any, error: Json | None = None) -> Json:
        """The answer without streaming."""
        self.stream(ending, credits_consumed, error)
        body = self._response(ending, error)
        if credits_consumed is not None:
            body["credits_consumed"] = credits_consumed
        return body

    def stream(
        self, ending: Ending, credits_consumed: Any, error: Json | None = None
    ) -> list[Event]:
        """All events, with their sequence numbers."""
        self._events = []
        self._output = []
        for kind in ("response.created", "response.in_progress"):
            self._add(kind, {"response": self._response(None, None)})
        if self._reply.thoughts:
            self._reasoning()
        if self._reply.query is not None:
            self._search(self._reply.query)
        if self._reply.text:
            self._message(ending)
        for name, arguments in self._reply.calls:
            self._call(name, arguments)
        facts: Json = {"response": self._response(ending, error)}
        if credits_consumed is not None:
            facts["credits_consumed"] = credits_consumed
        self._add(f"response.{STATUS[ending]}", facts, closing=True)
        return self._events

    def _add(self, kind: str, facts: Json, *, tokens: int = 0, closing: bool = False) -> None:
        data = {"type": kind, "sequence_number": len(self._events), **facts}
        self._events.append(Event(name=kind, data=data, tokens=tokens, closing=closing))

    def _response(self, ending: Ending | None, error: Json | None) -> Json:
        """The response object; while it runs it has neither output nor usage."""
        status = STATUS[ending] if ending else "in_progress"
        incomplete = {"reason": ending.value} if status == "incomplete" and ending else None
        tools: list[Json] = [_echo(tool) for tool in self._ask.tools]
        if self._ask.search:
            tools.append({"type": "web_search"})
        response: Json = {
            "id": self._id,
            "object": "response",
            "model": self._ask.model.echo,
            "status": status,
            "created_at": self._now,
            "output": list(self._output) if ending else [],
            "usage": self._usage_json() if ending and ending is not Ending.FAILED else None,
            "reasoning": {"effort": self._ask.effort},
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "tool_choice": self._ask.tool_choice,
            "tools": tools,
            "parallel_tool_calls": True,
            "temperature": 1,
            "top_p": 0.98,
            "frequency_penalty": 0,
            "presence_penalty": 0,
            "service_tier": "default",
            "truncation": "disabled",
            "store": False,
            "background": False,
            "prompt_cache_key": self._cache_key,
            "prompt_cache_retention": "24h",
        }
        if ending:
            response["completed_at"] = self._now
        if error is not None:
            response["error"] = error
        if incomplete is not None:
            response["incomplete_details"] = incomplete
        return response

    def _usage_json(self) -> Json:
        return {
            "input_tokens": self._usage.input_tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": self._usage.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self._usage.reasoning_tokens},
            "total_tokens": self._usage.input_tokens + self._usage.output_tokens,
        }

    def _open(self, item: Json) -> tuple[int, str]:
        index = len(self._output)
        self._add("response.output_item.added", {"output_index": index, "item": item})
        return index, item["id"]

    def _close(self, index: int, item: Json) -> None:
        """The item is done; in `output` the samples show it without `phase` and `logprobs`."""
        self._add("response.output_item.done", {"output_index": index, "item": item})
        plain = {name: value for name, value in item.items() if name != "phase"}
        if "content" in plain:
            plain["content"] = [
                {name: value for name, value in part.items() if name != "logprobs"}
                for part in plain["content"]
            ]
        self._output.append(plain)

    def _reasoning(self) -> None:
        item: Json = {"id": self._ids.make("rs_"), "type": "reasoning", "summary": []}
        index, item_id = self._open(item)
        place = {"item_id": item_id, "output_index": index, "summary_index": 0}
        empty = {"type": "summary_text", "text": ""}
        part = {"type": "summary_text", "text": self._reply.thoughts}
        self._add("response.reasoning_summary_part.added", {**place, "part": empty})
        for piece in split(self._reply.thoughts):
            facts = {**place, "delta": piece, "obfuscation": self._ids.padding()}
            self._add("response.reasoning_summary_text.delta", facts, tokens=1)
        done = {**place, "text": self._reply.thoughts}
        self._add("response.reasoning_summary_text.done", done)
        self._add("response.reasoning_summary_part.done", {**place, "part": part})
        self._close(index, {**item, "summary": [part]})

    def _search(self, query: str) -> None:
        item: Json = {
            "id": self._ids.make("ws_"),
            "type": "web_search_call",
            "status": "in_progress",
        }
        index, item_id = self._open(item)
        place = {"item_id": item_id, "output_index": index}
        for step in ("in_progress", "searching", "completed"):
            self._add(f"response.web_search_call.{step}", place)
        action = {"type": "search", "query": query}
        self._close(index, {**item, "status": "completed", "action": action})

    def _message(self, ending: Ending) -> None:
        phase = "commentary" if self._reply.calls else "final_answer"
        item: Json = {
            "id": self._ids.make("msg_"),
            "type": "message",
            "status": "in_progress",
            "content": [],
            "phase": phase,
            "role": "assistant",
        }
        index, item_id = self._open(item)
        place = {"item_id": item_id, "output_index": index, "content_index": 0}
        self._add("response.content_part.added", {**place, "part": _text_part("", [])})
        annotations = self._deltas(place)
        text = self._reply.text
        self._add("response.output_text.done", {**place, "text": text})
        part = _text_part(text, annotations)
        self._add("response.content_part.done", {**place, "part": part})
        status = "completed" if ending is Ending.COMPLETED else "incomplete"
        self._close(index, {**item, "status": status, "content": [part]})

    def _deltas(self, place: Json) -> list[Json]:
        """The words, each source right after the words that it belongs to."""
        waiting = sorted(self._reply.citations, key=lambda source: source.end)
        annotations: list[Json] = []
        written = 0
        for piece in split(self._reply.text):
            facts = {
                **place,
                "delta": piece,
                "logprobs": [],
                "obfuscation": self._ids.padding(),
            }
            self._add("response.output_text.delta", facts, tokens=1)
            written += len(piece)
            while waiting and waiting[0].end <= written:
                annotation = _annotation(waiting.pop(0))
                more = {"annotation": annotation, "annotation_index": len(annotations)}
                self._add("response.output_text.annotation.added", {**place, **more})
                annotations.append(annotation)
        return annotations

    def _call(self, name: str, arguments: str) -> None:
        item: Json = {
            "id": self._ids.make("fc_"),
            "type": "function_call",
            "status": "in_progress",
            "arguments": "",
            "call_id": self._ids.make("call_")[:29],
            "name": name,
        }
        index, item_id = self._open(item)
        place = {"item_id": item_id, "output_index": index}
        for piece in split(arguments):
            facts = {**place, "delta": piece, "obfuscation": self._ids.padding()}
            self._add("response.function_call_arguments.delta", facts, tokens=1)
        done = {**place, "arguments": arguments}
        self._add("response.function_call_arguments.done", done)
        self._close(index, {**item, "status": "completed", "arguments": arguments})


def _text_part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "annotations": annotations, "logprobs": [], "text": text}


def _annotation(source: Citation) -> Json:
    return {
        "type": "url_citation",
        "url": source.url,
        "title": source.title,
        "start_index": source.start,
        "end_index": source.end,
    }


def _echo(tool: Tool) -> Json:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }


def error_event(number: int, code: str, message: str, *, nested: bool) -> Event:
    """The `error` event in one of its two shapes (trap 16)."""
    facts: Json = {"code": code, "message": message, "param": None}
    body = {"error": {"type": "error", **facts}} if nested else facts
    return Event(
        name="error", data={"type": "error", "sequence_number": number, **body}, closing=True
    )
