"""`POST /v1/chat/completions` as its documents describe it (provider-docs 002 and 003)."""

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
from sandbox.provider.models import CHAT_MODELS, Model
from sandbox.provider.wire import Json

FIELDS: Final = ("model", "messages", "stream", "tools", "include_thoughts", "reasoning_effort")
ROLES: Final = ("system", "developer", "user", "assistant", "tool")
SEARCH_TOOL: Final = "googleSearch"
MESSAGE_FIELDS: Final = {
    "system": {"role", "content"},
    "developer": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


def check(body: Json) -> Ask:
    """Read a request; raises `ApiError` (400, or 404 for an unknown model)."""
    model_id = as_text(required(body, "model"), "model")
    model = CHAT_MODELS.get(model_id)
    if model is None:
        raise ApiError("model_not_found", f"Model '{model_id[:100]}' does not exist.")
    only(body, (*FIELDS, "response_format") if model.json_schema else FIELDS)
    messages = required(body, "messages")
    tools, search = _tools(body.get("tools"), model)
    schema = _schema(body.get("response_format"))
    if schema is not None and (tools or search):
        raise invalid("response_format", "must not be used together with tools.")
    effort = body.get("reasoning_effort")
    ask = Ask(
        model=model,
        stream=as_flag(body.get("stream", True), "stream"),
        turns=_messages(messages, model),
        effort=model.default_effort
        if effort is None
        else as_choice(effort, model.efforts, "reasoning_effort"),
        tools=tools,
        search=search,
        schema=schema,
        # The default is true, yet no sample shows thoughts (trap 15): only an explicit wish does.
        show_thoughts=as_flag(body.get("include_thoughts", False), "include_thoughts"),
    )
    if ask.input_tokens > model.context_tokens:
        raise invalid("messages", f"must not exceed {model.context_tokens} tokens.")
    return ask


def _tools(value: Any, model: Model) -> tuple[tuple[Tool, ...], bool]:
    """The functions, and whether Google Search is on; the two exclude each other (trap 10)."""
    if value is None or value == []:
        return (), False
    functions: list[Tool] = []
    search = False
    for index, item in enumerate(as_array(value, "tools")):
        path = f"tools[{index}]"
        tool = as_object(item, path)
        as_choice(required(tool, "type", path), ("function",), join(path, "type"))
        only(tool, {"type", "function"}, path)
        where = join(path, "function")
        function = as_object(required(tool, "function", path), where)
        if function.get("name") == SEARCH_TOOL:
            only(function, {"name"}, where)
            search = True
        elif not model.functions:
            raise invalid(join(where, "name"), f"must be {SEARCH_TOOL} for {model.id}.")
        else:
            functions.append(as_tool(function, where))
    if search and functions:
        raise invalid("tools", f"must not hold {SEARCH_TOOL} and other functions.")
    return distinct(tuple(functions), "tools"), search


def _schema(value: Any) -> Json | None:
    if value is None:
        return None
    where = "response_format"
    wanted = as_object(value, where)
    as_choice(required(wanted, "type", where), ("json_schema",), f"{where}.type")
    only(wanted, {"type", "json_schema"}, where)
    where = f"{where}.json_schema"
    named = as_object(required(wanted, "json_schema", "response_format"), where)
    only(named, {"name", "schema"}, where)
    as_text(required(named, "name", where), f"{where}.name")
    return as_object(required(named, "schema", where), f"{where}.schema")


def _messages(value: Any, model: Model) -> tuple[Turn, ...]:
    reader = _Reader(model)
    for index, item in enumerate(as_array(value, "messages")):
        path = f"messages[{index}]"
        reader.read(as_object(item, path), path)
    reader.end()
    if not any(turn.role == "user" for turn in reader.turns):
        raise invalid("messages", "must hold a user message.")
    return tuple(reader.turns)


class _Reader:
    """Walks the messages and keeps which tool calls still lack their result."""

    def __init__(self, model: Model) -> None:
        self.turns: list[Turn] = []
        self._model = model
        self._open_calls: dict[str, str] = {}

    def read(self, message: Json, path: str) -> None:
        roles = ROLES if self._model.functions else ROLES[:-1]
        role = as_choice(required(message, "role", path), roles, join(path, "role"))
        only(message, MESSAGE_FIELDS[role], path)
        if role == "tool":
            self._result(message, path)
            return
        self.end()
        calls = message.get("tool_calls")
        if calls is not None and not self._model.functions:
            raise invalid(join(path, "tool_calls"), f"is not supported by {self._model.id}.")
        if message.get("content") is None and not calls:
            raise invalid(join(path, "content"), "is required.")
        if message.get("content") is not None:
            text, files = _content(
                message["content"], join(path, "content"), role, empty=bool(calls)
            )
            self.turns.append(Turn(role=role, text=text, media=files))
        if calls is not None:
            self._calls(calls, join(path, "tool_calls"))

    def end(self) -> None:
        """Every call of an assistant message must be answered before the next message."""
        for call_id in self._open_calls:
            raise invalid("messages", f"has no tool message for call '{call_id[:100]}'.")

    def _calls(self, value: Any, path: str) -> None:
        for index, item in enumerate(as_array(value, path)):
            where = f"{path}[{index}]"
            call = as_object(item, where)
            only(call, {"id", "type", "function"}, where)
            as_choice(required(call, "type", where), ("function",), join(where, "type"))
            call_id = as_text(required(call, "id", where), join(where, "id"))
            if call_id in self._open_calls:
                raise invalid(join(where, "id"), "must be unique.")
            inner = join(where, "function")
            function = as_object(required(call, "function", where), inner)
            only(function, {"name", "arguments"}, inner)
            name = as_text(required(function, "name", inner), join(inner, "name"))
            arguments = as_text(required(function, "arguments", inner), join(inner, "arguments"))
            self._open_calls[call_id] = name
            self.turns.append(Turn(role=CALL, text=arguments, name=name))

    def _result(self, message: Json, path: str) -> None:
        where = join(path, "tool_call_id")
        call_id = as_text(required(message, "tool_call_id", path), where)
        name = self._open_calls.pop(call_id, None)
        if name is None:
            raise invalid(where, "must answer a tool call before it.")
        content = required(message, "content", path)
        text, _ = _content(content, join(path, "content"), "tool", empty=True)
        self.turns.append(Turn(role=RESULT, text=text, name=name))


def _content(value: Any, path: str, role: str, *, empty: bool) -> tuple[str, tuple[Media, ...]]:
    if isinstance(value, str):
        return as_text(value, path, empty=empty), ()
    if not isinstance(value, list):
        raise invalid(path, "must be a string or an array.")
    texts: list[str] = []
    files: list[Media] = []
    for index, item in enumerate(as_array(value, path)):
        where = f"{path}[{index}]"
        part = as_object(item, where)
        allowed = ("text", "image_url") if role == "user" else ("text",)
        kind = as_choice(required(part, "type", where), allowed, join(where, "type"))
        only(part, {"type", kind}, where)
        inner = join(where, kind)
        value_of = required(part, kind, where)
        if kind == "text":
            texts.append(as_text(value_of, inner))
            continue
        link = as_object(value_of, inner)
        only(link, {"url"}, inner)
        url = join(inner, "url")
        files.append(media(as_url(required(link, "url", inner), url), url))
    return "\n".join(texts), tuple(files)
