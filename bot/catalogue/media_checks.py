"""What a request for a picture or a video must obey before it may cost anything: pure.

The rules are the model's own data (`media.py`), the fields are named as the provider names them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from yarl import URL

from bot.catalogue.media import (
    SIZE,
    MediaModel,
    MediaRule,
    Option,
    OptionKind,
    OptionValue,
    PromptRule,
)
from bot.errors import RequestInvalid

# Limits.
URL_CHARS_MAX = 4_096
"""Discord's signed attachment addresses have about 300."""

_WHOLE = re.compile(r"[+-]?[0-9]{1,15}")
_FLAGS = {"true": True, "false": False}


class MediaFault(StrEnum):
    """Why a request is refused; `RequestInvalid.rule` is one of these words."""

    EMPTY = "empty"
    TOO_LONG = "too_long"
    TOO_FEW = "too_few"
    TOO_MANY = "too_many"
    UNSUPPORTED = "unsupported"
    """The model has no such field."""
    MISSING = "missing"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_VALUE = "unknown_value"
    OUT_OF_RANGE = "out_of_range"
    NOT_PUBLIC_URL = "not_public_url"
    """Media travel as http(s) addresses; the provider refuses embedded data."""
    EXCLUSIVE = "exclusive"
    """Fits the field, but not what another field says (trap 28)."""


def check_media_request(
    model: MediaModel,
    prompt: str,
    image_urls: Sequence[str],
    options: Mapping[str, object],
) -> dict[str, OptionValue]:
    """Return the options as they are sent and priced: every default filled in, `size` resolved.

    `options` go by our names; None counts as not given, whole numbers may be text. Checking the
    result again gives the same. Raises `RequestInvalid` for the first broken rule.
    """
    _check_prompt(model, prompt, image_urls)
    _check_images(model, image_urls)
    given = {name: value for name, value in options.items() if value is not None}
    values: dict[str, OptionValue] = {}
    if SIZE in given and SIZE not in model.options:
        values |= _from_size(model, given.pop(SIZE))
    for name, value in given.items():
        option = model.options.get(name)
        if option is None:
            raise _invalid(model, name, MediaFault.UNSUPPORTED)
        if name in values:  # said twice: here and by `size`
            raise _invalid(model, option.send, MediaFault.EXCLUSIVE)
        read = _read(model, option, value)
        if read not in {"", ()}:
            values[name] = read
    for option in model.options.values():
        if option.name not in values and option.default is not None:
            values[option.name] = option.default
        if option.required and option.name not in values:
            raise _invalid(model, option.send, MediaFault.MISSING)
    for rule in model.rules:
        _check_rule(model, rule, values, len(image_urls))
    return {name: values[name] for name in model.options if name in values}


def is_public_url(url: str) -> bool:
    """Say whether a provider could fetch it: http(s), a host, no credentials (C-12)."""
    try:
        parts = URL(url)
    except ValueError:
        return False
    return (
        len(url) <= URL_CHARS_MAX
        and parts.scheme in {"http", "https"}
        and bool(parts.host)
        and parts.user is None
        and parts.password is None
    )


def _invalid(
    model: MediaModel,
    field: str,
    fault: MediaFault,
    *,
    allowed: Sequence[object] = (),
    limit: int | None = None,
) -> RequestInvalid:
    return RequestInvalid(
        model=model.id,
        field=field,
        rule=fault.value,
        allowed=tuple(_word(value) for value in allowed),
        limit=limit,
    )


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_prompt(model: MediaModel, prompt: str, image_urls: Sequence[str]) -> None:
    excused = model.prompt_rule is PromptRule.OR_IMAGES and image_urls
    if not prompt.strip() and not excused:
        raise _invalid(model, "prompt", MediaFault.EMPTY)
    if len(prompt) > model.prompt_chars_max:
        raise _invalid(model, "prompt", MediaFault.TOO_LONG, limit=model.prompt_chars_max)


def _check_images(model: MediaModel, image_urls: Sequence[str]) -> None:
    count = len(image_urls)
    if count and not model.takes_images:
        raise _invalid(model, "image_urls", MediaFault.UNSUPPORTED)
    if count > model.images_max:
        raise _invalid(model, "image_urls", MediaFault.TOO_MANY, limit=model.images_max)
    if count < model.images_min:
        raise _invalid(model, "image_urls", MediaFault.TOO_FEW, limit=model.images_min)
    for position, url in enumerate(image_urls):
        if not is_public_url(url):
            raise _invalid(model, f"image_urls[{position}]", MediaFault.NOT_PUBLIC_URL)


def _from_size(model: MediaModel, size: object) -> dict[str, OptionValue]:
    """Resolve words such as `720p 16:9`, in any order; what is not said keeps its default."""
    if not model.size_from:
        raise _invalid(model, SIZE, MediaFault.UNSUPPORTED)
    if not isinstance(size, str):
        raise _invalid(model, SIZE, MediaFault.WRONG_TYPE)
    spelt = {
        str(choice).casefold(): (name, choice)
        for name in model.size_from
        for choice in model.options[name].choices
    }
    found: dict[str, OptionValue] = {}
    for word in size.split():
        name, choice = spelt.get(word.casefold(), (None, ""))
        if name is None or name in found:
            raise _invalid(model, SIZE, MediaFault.UNKNOWN_VALUE, allowed=list(spelt))
        found[name] = choice
    return found


def _read(model: MediaModel, option: Option, value: object) -> OptionValue:
    match option.kind:
        case OptionKind.CHOICE:
            return _read_choice(model, option, value)
        case OptionKind.INTEGER:
            return _read_integer(model, option, value)
        case OptionKind.BOOLEAN:
            flag = _FLAGS.get(value.strip().lower()) if isinstance(value, str) else value
            if not isinstance(flag, bool):
                raise _invalid(model, option.send, MediaFault.WRONG_TYPE)
            return flag
        case OptionKind.STRING:
            if not isinstance(value, str):
                raise _invalid(model, option.send, MediaFault.WRONG_TYPE)
            if option.high is not None and len(value.strip()) > option.high:
                raise _invalid(model, option.send, MediaFault.TOO_LONG, limit=option.high)
            return value.strip()
        case OptionKind.URLS:
            return _read_urls(model, option, value)


def _read_choice(model: MediaModel, option: Option, value: object) -> OptionValue:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(model, option.send, MediaFault.WRONG_TYPE)
    wanted = str(value).strip().casefold()
    for choice in option.choices:
        if str(choice).casefold() == wanted:
            return choice
    raise _invalid(model, option.send, MediaFault.UNKNOWN_VALUE, allowed=option.choices)


def _read_integer(model: MediaModel, option: Option, value: object) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _invalid(model, option.send, MediaFault.WRONG_TYPE)
    if option.choices and value not in option.choices:
        raise _invalid(model, option.send, MediaFault.UNKNOWN_VALUE, allowed=option.choices)
    below = option.low is not None and value < option.low
    if below or (option.high is not None and value > option.high):
        span = (option.low, option.high)
        raise _invalid(model, option.send, MediaFault.OUT_OF_RANGE, allowed=span)
    return value


def _read_urls(model: MediaModel, option: Option, value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _invalid(model, option.send, MediaFault.WRONG_TYPE)
    urls = tuple(url for url in value if isinstance(url, str) and is_public_url(url))
    if len(urls) != len(value):
        raise _invalid(model, option.send, MediaFault.NOT_PUBLIC_URL)
    if len(urls) < (option.low or 0):
        raise _invalid(model, option.send, MediaFault.TOO_FEW, limit=option.low)
    if option.high is not None and len(urls) > option.high:
        raise _invalid(model, option.send, MediaFault.TOO_MANY, limit=option.high)
    return urls


def _check_rule(
    model: MediaModel, rule: MediaRule, values: Mapping[str, OptionValue], images: int
) -> None:
    if any(values.get(name) not in meant for name, meant in rule.when.items()):
        return
    for name, needed in rule.need.items():
        if values.get(name) not in needed:
            field = model.options[name].send
            raise _invalid(model, field, MediaFault.EXCLUSIVE, allowed=needed)
    if rule.images_min is not None and images < rule.images_min:
        raise _invalid(model, "image_urls", MediaFault.TOO_FEW, limit=rule.images_min)
    if rule.images_max is not None and images > rule.images_max:
        raise _invalid(model, "image_urls", MediaFault.TOO_MANY, limit=rule.images_max)
