"""What Discord checks when application commands are registered (code 50035)."""

from __future__ import annotations

import re
from typing import Any, Final

from sandbox.discord.errors import FormErrors, Json

# --- limits (Discord, "Application Commands") ----------------------------------------------------
NAME_CHARS_MAX: Final = 32
DESCRIPTION_CHARS_MAX: Final = 100
OPTIONS_MAX: Final = 25
CHOICES_MAX: Final = 25
CHOICE_CHARS_MAX: Final = 100
TOTAL_CHARS_MAX: Final = 8_000
"""Names, descriptions and values of one command together."""
DEPTH_MAX: Final = 3
"""Group, subcommand, option."""

SUBCOMMAND, GROUP, STRING, INTEGER, BOOLEAN = 1, 2, 3, 4, 5
USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = 6, 7, 8, 9, 10, 11
CHAT_INPUT: Final = 1

_CHAT_NAME = re.compile(r"[-_'\w]{1,32}")
_MENU_NAME = re.compile(r".{1,32}", re.DOTALL)
_CHOOSABLE: Final = frozenset({STRING, INTEGER, NUMBER})

Path = tuple[str | int, ...]


def check_command(command: Json, path: Path, errors: FormErrors) -> None:
    """Note every breach of one command; `path` is its index in a bulk request."""
    kind = command.get("type") or CHAT_INPUT
    _check_name(command.get("name"), (*path, "name"), errors, chat=kind == CHAT_INPUT)
    if kind == CHAT_INPUT:
        _check_description(command.get("description"), (*path, "description"), errors)
    elif command.get("description"):
        errors.add(
            (*path, "description"),
            "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION",
            "Context menu commands cannot have description",
        )
    total = _check_options(command.get("options") or [], (*path, "options"), errors, depth=1)
    total += len(str(command.get("name", ""))) + len(str(command.get("description") or ""))
    if total > TOTAL_CHARS_MAX:
        errors.add(
            path,
            "APPLICATION_COMMAND_TOO_LARGE",
            f"Command exceeds maximum size ({TOTAL_CHARS_MAX})",
        )


def _check_name(name: Any, path: Path, errors: FormErrors, *, chat: bool = True) -> None:
    pattern = _CHAT_NAME if chat else _MENU_NAME
    if not isinstance(name, str) or not name:
        errors.add(path, "BASE_TYPE_REQUIRED", "This field is required")
    elif len(name) > NAME_CHARS_MAX:
        errors.add(
            path, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {NAME_CHARS_MAX} in length."
        )
    elif not pattern.fullmatch(name) or (chat and name != name.lower()):
        errors.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_description(text: Any, path: Path, errors: FormErrors) -> None:
    if not isinstance(text, str) or not text:
        errors.add(path, "BASE_TYPE_REQUIRED", "This field is required")
    elif len(text) > DESCRIPTION_CHARS_MAX:
        errors.add(
            path,
            "BASE_TYPE_BAD_LENGTH",
            f"Must be between 1 and {DESCRIPTION_CHARS_MAX} in length.",
        )


def _check_options(options: Any, path: Path, errors: FormErrors, *, depth: int) -> int:
    """Note the breaches below `path` and return the counted characters."""
    if not isinstance(options, list) or len(options) > OPTIONS_MAX or depth > DEPTH_MAX:
        errors.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {OPTIONS_MAX} or fewer in length.")
        return 0
    total = 0
    names: set[Any] = set()
    optional_seen = False
    for index, option in enumerate(options):
        where = (*path, index)
        total += _check_option(option, where, errors, depth=depth)
        if option.get("name") in names:
            errors.add(
                (*where, "name"),
                "APPLICATION_COMMAND_OPTIONS_NAME_NOT_UNIQUE",
                "Option name must be unique",
            )
        names.add(option.get("name"))
        if option.get("required") and optional_seen:
            errors.add(
                where,
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            )
        optional_seen = optional_seen or not option.get("required")
    return total


def _check_option(option: Json, path: Path, errors: FormErrors, *, depth: int) -> int:
    kind = option.get("type")
    allowed = range(1, 12) if depth == 1 else range(1, 2) if depth == 2 else range(3, 12)
    if depth == 2 and kind != SUBCOMMAND:
        allowed = range(3, 12)
    if kind not in allowed:
        errors.add(
            (*path, "type"),
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
            "Sub-command and sub-command group option types are mutually exclusive to other types",
        )
        return 0
    _check_name(option.get("name"), (*path, "name"), errors)
    _check_description(option.get("description"), (*path, "description"), errors)
    total = len(str(option.get("name", ""))) + len(str(option.get("description", "")))
    if kind in {SUBCOMMAND, GROUP}:
        inner = option.get("options") or []
        return total + _check_options(inner, (*path, "options"), errors, depth=depth + 1)
    choices = option.get("choices") or []
    if option.get("autocomplete") and (choices or kind not in _CHOOSABLE):
        errors.add(
            (*path, "autocomplete"),
            "APPLICATION_COMMAND_OPTION_AUTOCOMPLETE_INVALID",
            "Autocomplete needs a string, integer or number option without choices",
        )
    if len(choices) > CHOICES_MAX:
        errors.add(
            (*path, "choices"), "BASE_TYPE_MAX_LENGTH", f"Must be {CHOICES_MAX} or fewer in length."
        )
    for index, choice in enumerate(choices):
        for key in ("name", "value"):
            text = choice.get(key)
            total += len(str(text))
            if isinstance(text, str) and not 1 <= len(text) <= CHOICE_CHARS_MAX:
                errors.add(
                    (*path, "choices", index, key),
                    "BASE_TYPE_BAD_LENGTH",
                    f"Must be between 1 and {CHOICE_CHARS_MAX} in length.",
                )
    return total
