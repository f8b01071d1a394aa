"""`POST /v1/responses` as its document describes it (provider-docs 000; providers.md 2.1)."""

from __future__ import annotations

from typing import Any, Final

from sandbox.provider.ask import CALL, RESULT, Ask, Media, Tool, Turn, media
from sandbox.provider.errors import ApiError, invalid
from sandbox.provider.fields import (
    as_array,
    as_choice,
    as_flag,
    as_object,
    as_text,
    as_tool,
    as_url,
    distinct,
    join,
    only,
    required,
)
from sandbox.provider.models import RESPONSES_MODELS
from sandbox.provider.wire import Json

FIELDS: Final = ("model", "input", "stream", "reasoning", "tools", "tool_choice")
ROLES: Final = ("user", "assistant", "system", "developer", "tool")
INPUT_PARTS: Final = {
    "input_text": "text",
    "input_image": "image_url",
    "input_file": "file_url",
}
OUTPUT_PARTS: Final = ("output_text", "refusal")
ITEM_FIELDS: Final = {
    "message": {"type", "id", "role", "content", "status", "phase"},
    "function_call": {"type", "id", "call_id", "name", "arguments", "status"},
    "function_call_output": {"type", "id", "call_id", "output", "status"},
    "reasoning": {"type", "id", "summary", "encrypted_content", "content", "status"},
    "web_search_call": {"type", "id", "status", "action"},
}


def check(body: Json) -> Ask:
    """Read a request; raises `ApiError` (400, or 404 for an unknown model)."""
    model_id = as_text(required(body, "model"), "model")
    model = RESPONSES_MODELS.get(model_id)
    if model is None:
        raise ApiError("model_not_found", f"Model '{model_id[:100]}' does not exist.")
    only(body, FIELDS)
    given = required(body, "input")
    tools, search = _tools(body.get("tools"))
    ask = Ask(
        model=model,
        stream=as_flag(body.get("stream", False), "stream"),
        turns=_input(given),
        effort=_effort(body.get("reasoning"), model.efforts, model.default_effort),
        tools=tools,
        tool_choice=_tool_choice(body, tools),
        search=search,
    )
    if ask.input_tokens > model.context_tokens:
        raise invalid("input", f"must not exceed {model.context_tokens} tokens.")
    return ask


def _effort(value: Any, efforts: tuple[str, ...], default: str) -> str:
    if value is None:
        return default
    reasoning = as_object(value, "reasoning")
    only(reasoning, {"effort"}, "reasoning")
    if reasoning.get("effort") is None:
        return default
    return as_choice(reasoning["effort"], efforts, "reasoning.effort")


def _tools(value: Any) -> tuple[tuple[Tool, ...], bool]:
    """The functions, and whether web search is on; the two exclude each other (trap 10)."""
    if value is None or value == []:
        return (), False
    functions: list[Tool] = []
    search = False
    for index, item in enumerate(as_array(value, "tools")):
        path = f"tools[{index}]"
        tool = as_object(item, path)
        kind = as_choice(
            required(tool, "type", path), ("web_search", "function"), join(path, "type")
        )
        if kind == "web_search":
            only(tool, {"type"}, path)
            search = True
        else:
            functions.append(as_tool(tool, path))
    if search and functions:
        raise invalid("tools", "must not hold web_search and functions in the same request.")
    return distinct(tuple(functions), "tools"), search


def _tool_choice(body: Json, tools: tuple[Tool, ...]) -> str:
    if body.get("tool_choice") is None:
        return "auto"
    choice = as_choice(body["tool_choice"], ("auto", "none", "required"), "tool_choice")
    if not tools:
        raise invalid("tool_choice", "is only allowed with function tools.")
    return choice


def _input(value: Any) -> tuple[Turn, ...]:
    if isinstance(value, str):
        return (Turn(role="user", text=as_text(value, "input")),)
    if not isinstance(value, list):
        raise invalid("input", "must be a string or an array.")
    reader = _Reader()
    items = as_array(value, "input")
    for index, item in enumerate(items):
        path = f"input[{index}]"
        reader.read(as_object(item, path), path, last=index == len(items) - 1)
    reader.end()
    return tuple(reader.turns)


class _Reader:
    """Walks the items and keeps which tool calls still lack their output."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._open_calls: dict[str, str] = {}
        self._call_ids: set[str] = set()

    def read(self, item: Json, path: str, *, last: bool) -> None:
        kind = as_choice(item.get("type", "message"), ITEM_FIELDS, join(path, "type"))
        only(item, ITEM_FIELDS[kind], path)
        if kind == "message":
            self._message(item, path)
        elif kind == "function_call":
            self._call(item, path)
        elif kind == "function_call_output":
            self._output(item, path)
        elif kind == "reasoning" and last:
            raise invalid(path, "of type 'reasoning' must be followed by its item.")

    def end(self) -> None:
        for call_id in self._open_calls:
            raise invalid("input", f"has no function_call_output for call '{call_id[:100]}'.")
        if not any(turn.role in {"user", RESULT} for turn in self.turns):
            raise invalid("input", "must hold a user message.")

    def _message(self, item: Json, path: str) -> None:
        role = as_choice(required(item, "role", path), ROLES, join(path, "role"))
        where = join(path, "content")
        texts: list[str] = []
        files: list[Media] = []
        for index, part in enumerate(as_array(required(item, "content", path), where)):
            _part(as_object(part, f"{where}[{index}]"), f"{where}[{index}]", role, texts, files)
        self.turns.append(Turn(role=role, text="\n".join(texts), media=tuple(files)))

    def _call(self, item: Json, path: str) -> None:
        call_id = as_text(required(item, "call_id", path), join(path, "call_id"))
        name = as_text(required(item, "name", path), join(path, "name"))
        arguments = as_text(required(item, "arguments", path), join(path, "arguments"))
        if call_id in self._call_ids:
            raise invalid(join(path, "call_id"), "must be unique.")
        self._call_ids.add(call_id)
        self._open_calls[call_id] = name
        self.turns.append(Turn(role=CALL, text=arguments, name=name))

    def _output(self, item: Json, path: str) -> None:
        where = join(path, "call_id")
        call_id = as_text(required(item, "call_id", path), where)
        name = self._open_calls.pop(call_id, None)
        if name is None:
            raise invalid(where, "must answer a function_call before it.")
        output = required(item, "output", path)
        self.turns.append(Turn(role=RESULT, text=_output_text(output, path), name=name))


def _output_text(output: Any, path: str) -> str:
    """A string, or a list of input_text parts."""
    where = join(path, "output")
    if isinstance(output, str):
        return output
    texts: list[str] = []
    for index, part in enumerate(as_array(output, where)):
        place = f"{where}[{index}]"
        _part(as_object(part, place), place, "tool", texts, [])
    return "\n".join(texts)


def _part(part: Json, path: str, role: str, texts: list[str], files: list[Media]) -> None:
    allowed = OUTPUT_PARTS if role == "assistant" else tuple(INPUT_PARTS)
    kind = as_choice(required(part, "type", path), allowed, join(path, "type"))
    if kind == "output_text":
        only(part, {"type", "text", "annotations", "logprobs"}, path)
        texts.append(as_text(required(part, "text", path), join(path, "text"), empty=True))
        return
    if kind == "refusal":
        only(part, {"type", "refusal"}, path)
        texts.append(as_text(required(part, "refusal", path), join(path, "refusal")))
        return
    name = INPUT_PARTS[kind]
    only(part, {"type", name}, path)
    value = required(part, name, path)
    where = join(path, name)
    if kind == "input_text":
        texts.append(as_text(value, where))
        return
    if role != "user":
        raise invalid(join(path, "type"), f"must be input_text for role {role}.")
    url = as_url(value, where)
    files.append(media(url, where, "image" if kind == "input_image" else None))
