"""What a model may call: tools that only read, with the rights of the member who asks (C-22).

A tool that failed, was unknown or was called with nonsense answers the *model* with an error
as its result; nothing a model writes can raise in our code.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog

from bot.catalogue.catalogue import ChatModel, Feature
from bot.catalogue.pricing import estimate_tokens
from bot.chat.ports import ChannelReader
from bot.providers.base import FunctionTool, ToolCall, ToolResult
from storage.errors import StorageError

OUTPUT_CHARS_MAX = 6_000
"""One tool result: about 2,000 tokens of prompt."""
ARGUMENTS_CHARS_MAX = 4_000
"""Far above any honest call."""
CALLS_PER_ROUND_MAX = 8
"""A model that calls more at once gets errors for the rest."""
QUERY_CHARS_MAX = 200
"""A search for words, not for an essay."""

SEARCH_WEB = "search_web"

Arguments = Mapping[str, Any]

_log = structlog.get_logger(__name__)


class BadArgumentsError(Exception):
    """The model's arguments do not fit; the text goes back to the model, never to a member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """What the tools of one turn may see; `credits` reads the asking member's own wallet."""

    now_us: Callable[[], int]
    credits: Callable[[], Awaitable[Mapping[str, Any]]]
    reader: ChannelReader | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tool:
    declared: FunctionTool
    run: Callable[[ToolContext, Arguments], Awaitable[Any]]


async def _get_time(context: ToolContext, arguments: Arguments) -> Any:
    name = _text(arguments, "timezone", chars_max=64, default="UTC")
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadArgumentsError("timezone: not an IANA name such as Europe/Berlin") from error
    moment = datetime.fromtimestamp(context.now_us() / 1_000_000, UTC).astimezone(zone)
    return {"time": moment.isoformat(timespec="seconds"), "weekday": f"{moment:%A}"}


async def _get_my_credits(context: ToolContext, _arguments: Arguments) -> Any:
    return await context.credits()


async def _search_channel(context: ToolContext, arguments: Arguments) -> Any:
    query = _text(arguments, "query", chars_max=QUERY_CHARS_MAX)
    if context.reader is None:
        raise BadArgumentsError("this channel's history cannot be read here")
    found = await context.reader.search(query)
    return {
        "messages": [
            {
                "author": message.author_name,
                "at": datetime.fromtimestamp(message.at_us / 1_000_000, UTC).isoformat(),
                "text": message.text,
            }
            for message in found
        ]
    }


def _schema(**properties: Mapping[str, Any]) -> Mapping[str, Any]:
    required = [name for name, schema in properties.items() if "default" not in schema]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


_TOOLS = {
    tool.declared.name: tool
    for tool in (
        _Tool(
            declared=FunctionTool(
                name="get_time",
                description="The current date and time.",
                parameters=_schema(
                    timezone={
                        "type": "string",
                        "description": "IANA name such as Europe/Berlin",
                        "default": "UTC",
                    }
                ),
            ),
            run=_get_time,
        ),
        _Tool(
            declared=FunctionTool(
                name="get_my_credits",
                description="The credits of the person who asks, and what each model costs.",
                parameters=_schema(),
            ),
            run=_get_my_credits,
        ),
        _Tool(
            declared=FunctionTool(
                name="search_channel",
                description="Search recent messages of this channel for words.",
                parameters=_schema(
                    query={"type": "string", "description": "Words that must occur"}
                ),
            ),
            run=_search_channel,
        ),
    )
}

_SEARCH_WEB = FunctionTool(
    name=SEARCH_WEB,
    description=(
        "Search the web. Use it for news, current facts and whatever may have changed since "
        "your training, and when asked to look something up."
    ),
    parameters=_schema(query={"type": "string", "description": "What to search for"}),
)


def offered(model: ChatModel, *, reader: ChannelReader | None) -> tuple[FunctionTool, ...]:
    """The tools for this model here; none where it takes no functions.

    Search stands among them as a function, because search and functions exclude each other on
    the wire (trap 10): calling it makes the next request a searching one.
    """
    if Feature.FUNCTIONS not in model.features:
        return ()
    own = tuple(
        tool.declared
        for tool in _TOOLS.values()
        if reader is not None or tool.run is not _search_channel
    )
    return (*own, _SEARCH_WEB) if Feature.SEARCH in model.features else own


def declared_tokens(declared: tuple[FunctionTool, ...]) -> int:
    """The declarations of the tools are prompt, too."""
    return sum(
        estimate_tokens(tool.name + tool.description + json.dumps(tool.parameters))
        for tool in declared
    )


def searches_at_once(model: ChatModel, declared: tuple[FunctionTool, ...]) -> bool:
    """Whether the first request searches: a model that can only search is always asked so."""
    return not declared and Feature.SEARCH in model.features


async def run_all(context: ToolContext, calls: tuple[ToolCall, ...]) -> tuple[ToolResult, ...]:
    """One result for each call, in order."""
    results = []
    for index, call in enumerate(calls):
        if index >= CALLS_PER_ROUND_MAX:
            output = _error("too many calls at once")
        else:
            output = await _run(context, call)
        results.append(ToolResult(call_id=call.call_id, output=output))
    return tuple(results)


async def _run(context: ToolContext, call: ToolCall) -> str:
    tool = _TOOLS.get(call.name)
    if tool is None:
        return _error("no such tool")
    try:
        answer = await tool.run(context, _parse(call, tool.declared))
    except BadArgumentsError as error:
        return _error(str(error))
    except Exception as error:  # noqa: BLE001 - a broken tool must not take the paid answer along.
        _log.warning(
            "tool_failed",
            tool=call.name,
            error=type(error).__name__,
            exc_info=None if isinstance(error, StorageError) else error,
        )
        return _error("temporarily unavailable")
    return _bounded(answer)


def _parse(call: ToolCall, declared: FunctionTool) -> Arguments:
    if len(call.arguments) > ARGUMENTS_CHARS_MAX:
        raise BadArgumentsError("arguments: too long")
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as error:
        raise BadArgumentsError("arguments: not JSON") from error
    if not isinstance(arguments, dict):
        raise BadArgumentsError("arguments: not an object")
    unknown = sorted(set(arguments) - set(declared.parameters["properties"]))
    if unknown:
        raise BadArgumentsError(f"unknown argument: {unknown[0][:40]}")
    return arguments


def search_query(call: ToolCall) -> str:
    """What the model wants to look up; empty when its arguments are unreadable."""
    try:
        return _text(_parse(call, _SEARCH_WEB), "query", chars_max=QUERY_CHARS_MAX)
    except BadArgumentsError:
        return ""


def _text(arguments: Arguments, name: str, *, chars_max: int, default: str | None = None) -> str:
    value = arguments.get(name, default)
    if not isinstance(value, str) or not value.strip():
        raise BadArgumentsError(f"{name}: a text is needed")
    if len(value) > chars_max:
        raise BadArgumentsError(f"{name}: at most {chars_max} characters")
    return value.strip()


def _error(what: str) -> str:
    return json.dumps({"error": what})


def _bounded(answer: Any) -> str:
    """JSON within `OUTPUT_CHARS_MAX`; a list of messages loses its oldest ones first."""
    text = json.dumps(answer, ensure_ascii=False)
    while len(text) > OUTPUT_CHARS_MAX and isinstance(answer, dict) and answer.get("messages"):
        answer = {**answer, "messages": answer["messages"][:-1], "truncated": True}
        text = json.dumps(answer, ensure_ascii=False)
    return text if len(text) <= OUTPUT_CHARS_MAX else _error("the result is too long")
