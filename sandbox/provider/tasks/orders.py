"""From a create's body to an order: strict, and every refusal names its field."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Final

from sandbox.provider.errors import ApiError, invalid
from sandbox.provider.fields import (
    ITEMS_MAX,
    as_choice,
    as_flag,
    as_object,
    as_text,
    as_url,
    join,
    only,
    required,
)
from sandbox.provider.tasks.models import (
    IMAGE_MODELS,
    VIDEO_MODELS,
    Field,
    Form,
    Kind,
    MediaModel,
)
from sandbox.provider.wire import Json

INPUT: Final = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was ordered, in either protocol. `digest` is the same for the same order."""

    kind: Kind
    model: str
    prompt: str
    price_ucr: int
    digest: str
    aspect_ratio: str = "auto"
    resolution: str = ""
    size: str = ""
    """`widthxheight`, in the OpenAI format alone."""
    seconds: int = 0
    image_urls: tuple[str, ...] = ()
    images: tuple[bytes, ...] = field(default=(), repr=False)
    """Pictures that came with the request."""
    callback_url: str | None = None
    inner_model: str = ""


def digest_of(value: Any) -> str:
    data = json.dumps(value, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.sha256(data).hexdigest()


def read_order(body: Json, kind: Kind) -> Order:
    """Read a create of AI Video API; raises `ApiError` (400, or 404 for an unknown model)."""
    known = IMAGE_MODELS if kind is Kind.IMAGE else VIDEO_MODELS
    name = as_text(required(body, "model"), "model")
    model = known.get(name)
    if model is None:
        raise ApiError("model_not_found", f"Model '{name[:100]}' does not exist or is inactive.")
    only(body, ("model", INPUT, "callback_url"))
    values = read_input(model, as_object(required(body, INPUT), INPUT))
    callback_url = body.get("callback_url")
    return Order(
        kind=kind,
        model=model.id,
        prompt=values.get("prompt") or "",
        price_ucr=model.price.amount_ucr(values),
        digest=digest_of([model.id, body[INPUT]]),
        aspect_ratio=values.get("aspect_ratio") or "auto",
        resolution=values.get("resolution") or "",
        seconds=int(values.get("duration") or 0),
        image_urls=tuple(values.get("image_urls") or ()),
        callback_url=None if callback_url is None else as_url(callback_url, "callback_url"),
        inner_model=inner_model(model, values),
    )


def read_input(model: MediaModel, given: Json) -> Json:
    """Field → value with the defaults; raises `ApiError` 400."""
    only(given, tuple(model.fields), INPUT)
    values: Json = {}
    for name, spec in model.fields.items():
        if given.get(name) is None:
            if spec.required:
                raise invalid(join(INPUT, name), "is required.")
            values[name] = spec.default
        else:
            values[name] = _value(spec, given[name], join(INPUT, name))
    for rule in model.rules:
        if not rule.holds(values):
            raise invalid(join(INPUT, rule.field), rule.text)
    return values


def _value(spec: Field, value: Any, path: str) -> Any:
    match spec.form:
        case Form.TEXT:
            words = as_text(value, path, empty=not spec.required)
            if len(words) > spec.high:
                raise invalid(path, f"must be at most {spec.high} characters.")
            return words
        case Form.CHOICE:
            return _choice(spec, value, path)
        case Form.INTEGER:
            if type(value) is not int or not spec.low <= value <= spec.high:
                raise invalid(path, f"must be an integer from {spec.low} to {spec.high}.")
            return value
        case Form.FLAG:
            return as_flag(value, path)
        case Form.URLS:
            return _urls(spec, value, path)


def _choice(spec: Field, value: Any, path: str) -> Any:
    if isinstance(spec.choices[0], str):
        return as_choice(value, tuple(str(word) for word in spec.choices), path)
    if type(value) is not int or value not in spec.choices:
        words = ", ".join(str(word) for word in spec.choices)
        raise invalid(path, f"must be one of {words} (an integer).")
    return value


def _urls(spec: Field, value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise invalid(path, "must be an array.")
    if not spec.low <= len(value) <= min(spec.high, ITEMS_MAX):
        count = f"{spec.low} to {spec.high}" if spec.low < spec.high else str(spec.high)
        raise invalid(path, f"must hold {count} links.")
    found = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        link = item
        if spec.objects and isinstance(item, dict):
            link = required(item, "url", where)
            where = join(where, "url")
        found.append(as_url(link, where))
    return tuple(found)


def inner_model(model: MediaModel, values: Json) -> str:
    """The internal name of the samples, such as `gpt-image-2-image-to-image`."""
    if model.kind is Kind.VIDEO:
        return model.inner
    return f"{model.inner}-{'image' if values['image_urls'] else 'text'}-to-image"
