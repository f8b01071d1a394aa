"""Strict readers of untyped JSON; each failure is the documents' 400 with the field's name."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final
from urllib.parse import urlsplit

from sandbox.provider.ask import Tool
from sandbox.provider.errors import invalid
from sandbox.provider.wire import Json

URL_CHARS_MAX: Final = 8_192
"""Signed links of object stores stay far below."""
ITEMS_MAX: Final = 2_000
"""Messages, parts or tools in one list."""

_TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def only(value: Json, allowed: Collection[str], path: str = "") -> None:
    """Refuse fields that the documents do not name."""
    for name in value:
        if name not in allowed:
            raise invalid(join(path, name), "is not supported.")


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def required(value: Json, name: str, path: str = "") -> Any:
    """The field, which must be there and not null."""
    if value.get(name) is None:
        raise invalid(join(path, name), "is required.")
    return value[name]


def as_object(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise invalid(path, "must be an object.")
    return value


def as_array(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(path, "must be an array.")
    if not value:
        raise invalid(path, "must not be empty.")
    if len(value) > ITEMS_MAX:
        raise invalid(path, f"must hold at most {ITEMS_MAX} items.")
    return value


def as_text(value: Any, path: str, *, empty: bool = False) -> str:
    if not isinstance(value, str):
        raise invalid(path, "must be a string.")
    if not value and not empty:
        raise invalid(path, "must not be empty.")
    return value


def as_flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(path, "must be a boolean.")
    return value


def as_choice(value: Any, choices: Collection[str], path: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise invalid(path, f"must be one of {', '.join(choices)}.")
    return value


def as_url(value: Any, path: str) -> str:
    """A public address; base64 and other schemes are refused (providers.md 1.1)."""
    url = as_text(value, path)
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        raise invalid(path, "must be a publicly accessible http(s) URL.") from None
    if parts.scheme not in {"http", "https"} or not host or len(url) > URL_CHARS_MAX:
        raise invalid(path, "must be a publicly accessible http(s) URL.")
    return url


def as_tool(value: Json, path: str) -> Tool:
    """Name, description and parameters of a function, wherever the protocol puts them."""
    only(value, {"type", "name", "description", "parameters"}, path)
    name = as_text(required(value, "name", path), join(path, "name"))
    if not _TOOL_NAME.fullmatch(name):
        raise invalid(join(path, "name"), "must be 1 to 64 letters, digits, '_' or '-'.")
    description = as_text(value.get("description", ""), join(path, "description"), empty=True)
    where = join(path, "parameters")
    parameters = as_object(value.get("parameters", {"type": "object"}), where)
    if parameters.get("type") != "object":
        raise invalid(join(where, "type"), "must be 'object'.")
    as_object(parameters.get("properties", {}), join(where, "properties"))
    return Tool(name=name, description=description, parameters=parameters)


def distinct(tools: tuple[Tool, ...], path: str) -> tuple[Tool, ...]:
    """Refuse two functions of one name."""
    if len({tool.name for tool in tools}) < len(tools):
        raise invalid(path, "must not name a function twice.")
    return tools
