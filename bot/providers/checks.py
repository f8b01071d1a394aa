"""What a request must obey before it may leave: the documents' rules, by the model's own data.

Each protocol names the same field differently, so the error can name the provider's word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from yarl import URL

from bot.catalogue.catalogue import ChatModel, Feature, InputKind
from bot.errors import RequestInvalid
from bot.providers.base import ChatRequest, MediaPart, Message, Role, TextPart, ToolRound

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Rule(StrEnum):
    """Why a request is refused; `RequestInvalid.rule` is one of these words."""

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    """The model has no such feature, or does not read this kind of file."""
    EXCLUSIVE = "exclusive"
    """Two features that the document forbids together (trap 10)."""
    UNKNOWN_VALUE = "unknown_value"
    NOT_PUBLIC_URL = "not_public_url"
    """Media travel as http(s) addresses; the provider refuses embedded data."""
    USER_ONLY = "user_only"
    """Only a user message may carry media."""
    MALFORMED = "malformed"
    DUPLICATE = "duplicate"
    UNANSWERED = "unanswered"
    """A tool call and its result must go back together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """One protocol's names for what a request may carry."""

    items: str
    effort: str
    json_schema: str
    media: dict[InputKind, str]


def check(request: ChatRequest, fields: Fields) -> None:
    """Raise `RequestInvalid` for the first broken rule, naming the provider's field."""
    _check_features(request, fields)
    _check_tools(request)
    model = request.model
    if request.effort is not None and request.effort not in model.efforts:
        raise _invalid(model, fields.effort, Rule.UNKNOWN_VALUE)
    if request.include_thoughts and not model.thoughts:
        raise _invalid(model, "include_thoughts", Rule.UNSUPPORTED)
    if request.json_schema is not None and not _NAME.fullmatch(request.json_schema_name):
        raise _invalid(model, f"{fields.json_schema}.name", Rule.MALFORMED)
    asked = any(isinstance(item, Message) and item.role is Role.USER for item in request.items)
    if not asked:
        raise _invalid(model, fields.items, Rule.EMPTY)
    for position, item in enumerate(request.items):
        where = f"{fields.items}[{position}]"
        if isinstance(item, ToolRound):
            _check_round(model, item, where)
        else:
            _check_message(model, item, where, fields)


def _invalid(model: ChatModel, field: str, rule: Rule) -> RequestInvalid:
    return RequestInvalid(model=model.id, field=field, rule=rule.value)


def _check_features(request: ChatRequest, fields: Fields) -> None:
    asked = {
        Feature.SEARCH: ("tools", request.search),
        Feature.FUNCTIONS: ("tools", bool(request.tools)),
        Feature.JSON_SCHEMA: (fields.json_schema, request.json_schema is not None),
    }
    wanted = {feature: field for feature, (field, wants) in asked.items() if wants}
    for feature, field in wanted.items():
        if feature not in request.model.features:
            raise _invalid(request.model, field, Rule.UNSUPPORTED)
    for group in request.model.exclusive:
        clashing = [field for feature, field in wanted.items() if feature in group]
        if len(clashing) > 1:
            raise _invalid(request.model, clashing[-1], Rule.EXCLUSIVE)


def _check_tools(request: ChatRequest) -> None:
    names: set[str] = set()
    for position, tool in enumerate(request.tools):
        where = f"tools[{position}]"
        if not _NAME.fullmatch(tool.name):
            raise _invalid(request.model, f"{where}.name", Rule.MALFORMED)
        if tool.name in names or tool.name == request.model.search_tool:
            raise _invalid(request.model, f"{where}.name", Rule.DUPLICATE)
        if tool.parameters.get("type") != "object":
            raise _invalid(request.model, f"{where}.parameters", Rule.MALFORMED)
        names.add(tool.name)


def _check_round(model: ChatModel, item: ToolRound, where: str) -> None:
    called = [call.call_id for call in item.calls]
    answered = [result.call_id for result in item.results]
    if not called or Feature.FUNCTIONS not in model.features:
        raise _invalid(model, where, Rule.UNSUPPORTED if called else Rule.EMPTY)
    if len(set(called)) != len(called):
        raise _invalid(model, where, Rule.DUPLICATE)
    if sorted(called) != sorted(answered):
        raise _invalid(model, where, Rule.UNANSWERED)


def _check_message(model: ChatModel, message: Message, where: str, fields: Fields) -> None:
    content = f"{where}.content"
    if not message.parts:
        raise _invalid(model, content, Rule.EMPTY)
    for position, part in enumerate(message.parts):
        at = f"{content}[{position}]"
        if isinstance(part, TextPart):
            if not part.text:
                raise _invalid(model, f"{at}.text", Rule.EMPTY)
            continue
        kind = InputKind.of(part.content_type)
        field = f"{at}.{fields.media[kind]}"
        if message.role is not Role.USER:
            raise _invalid(model, field, Rule.USER_ONLY)
        if kind not in model.inputs:
            raise _invalid(model, field, Rule.UNSUPPORTED)
        if not _is_public(part):
            raise _invalid(model, field, Rule.NOT_PUBLIC_URL)


def _is_public(part: MediaPart) -> bool:
    try:
        url = URL(part.url)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.host) and url.user is None


def tool_schemas(request: ChatRequest) -> list[dict[str, Any]]:
    """Return each function with the keys that both protocols share (trap 12)."""
    return [
        {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in request.tools
    ]
