"""Read a `models.toml`: every mistake at once, and nothing half valid gets through.

Numbers arrive exactly: TOML floats become `Decimal`, and a price or multiplier that micro-credits
cannot express is a mistake, not a rounding.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from bot.catalogue.catalogue import (
    Catalogue,
    ChatModel,
    ChatProtocol,
    Feature,
    InputKind,
    TokenPrice,
)
from bot.catalogue.fields import MODELS_MAX, Name, Strict, exact, shape_problems
from bot.catalogue.media_file import MEDIA_KEYS, read_media
from bot.errors import CatalogueInvalid, Problem

BUILT_IN = Path(__file__).with_name("models.toml")
PROVIDERS = frozenset({"aivideo"})
"""Hosts that this version can speak to."""

# Limits.
PRICE_MAX = 1_000_000
"""Credits per million tokens, that is one credit per token: beyond it a point has slipped."""
MULTIPLIER_MAX = 1_000
"""A larger factor is a slip of the keyboard, and would make amounts of absurd length."""
PPM = 1_000_000


def _ucr_per_token(value: object) -> int:
    """Turn credits per 1M tokens into µcr per token: the same number (product.md)."""
    if value == "free":
        return 0
    price = exact(value)
    if price <= 0:
        raise ValueError('must be positive; write "free" to give the tokens away')
    if price > PRICE_MAX:
        raise ValueError(f"must be at most {PRICE_MAX}")
    if price != price.to_integral_value():
        raise ValueError(
            "must be whole: one credit per million tokens is one micro-credit per token, and there"
            " is nothing smaller"
        )
    return int(price)


def _ppm(value: object) -> int:
    multiplier = exact(value)
    if not 0 < multiplier <= MULTIPLIER_MAX:
        raise ValueError(f"must be above 0 and at most {MULTIPLIER_MAX}")
    # Decimal arithmetic rounds at its context's precision; a fraction does not.
    ppm = Fraction(multiplier) * PPM if multiplier >= Decimal(1) / PPM else Fraction(1, PPM)
    if ppm.denominator != 1:
        raise ValueError("must have at most six decimals")
    return int(ppm)


def _prices(value: object) -> object:
    """Both prices, or the word that gives all tokens away."""
    if value == "free":
        return {"input": value, "output": value}
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - pydantic takes only this class for a mistake of the file
            'must be { input = …, output = … } in credits per million tokens, or "free"'
        )
    return value


def _tables(value: object) -> object:
    if not isinstance(value, list) or not 1 <= len(value) <= MODELS_MAX:
        raise ValueError(f"must be 1 to {MODELS_MAX} [[chat_model]] tables")
    return value


_Price = Annotated[int, BeforeValidator(_ucr_per_token)]


class _PriceFile(Strict):
    input: _Price
    output: _Price


class _ChatModelFile(Strict):
    """One `[[chat_model]]`. Fields that depend on another stand after it (`info.data`)."""

    id: Name
    label: Name
    provider: str
    protocol: ChatProtocol
    context_tokens: Annotated[int, Field(gt=0, strict=True)]
    inputs: frozenset[InputKind] = frozenset()
    features: frozenset[Feature] = frozenset()
    exclusive: tuple[frozenset[Feature], ...] = ()
    search_tool: Annotated[Name | None, Field(validate_default=True)] = None
    efforts: tuple[Name, ...] = ()
    default_effort: Annotated[str | None, Field(validate_default=True)] = None
    thoughts: StrictBool = False
    price: Annotated[_PriceFile, BeforeValidator(_prices)]

    @field_validator("provider")
    @classmethod
    def _provider_is_known(cls, provider: str) -> str:
        if provider not in PROVIDERS:
            raise ValueError(f"must be one of: {', '.join(sorted(PROVIDERS))}")
        return provider

    @field_validator("exclusive")
    @classmethod
    def _groups_exclude_something(
        cls, groups: tuple[frozenset[Feature], ...]
    ) -> tuple[frozenset[Feature], ...]:
        if any(len(group) < 2 for group in groups):
            raise ValueError("each group must name at least two features")
        return groups

    @field_validator("search_tool")
    @classmethod
    def _search_has_a_name(cls, tool: str | None, info: ValidationInfo) -> str | None:
        if tool is None and Feature.SEARCH in info.data.get("features", ()):
            raise ValueError("is needed for the feature search")
        return tool

    @field_validator("default_effort")
    @classmethod
    def _default_is_an_effort(cls, effort: str | None, info: ValidationInfo) -> str | None:
        efforts = info.data.get("efforts")
        if effort is None and efforts:
            raise ValueError(f"is missing: one of {', '.join(efforts)}")
        if effort is not None and efforts == ():
            raise ValueError("needs efforts to choose from")
        if effort is not None and efforts is not None and effort not in efforts:
            raise ValueError(f"must be one of: {', '.join(efforts)}")
        return effort

    @field_validator("thoughts")
    @classmethod
    def _protocol_has_the_switch(cls, thoughts: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic passes the value by position
        if thoughts and info.data.get("protocol") is ChatProtocol.RESPONSES:
            raise ValueError("is a switch of chat_completions only")
        return thoughts

    def record(self) -> ChatModel:
        return ChatModel(
            id=self.id,
            label=self.label,
            provider=self.provider,
            protocol=self.protocol,
            context_tokens=self.context_tokens,
            inputs=self.inputs,
            features=self.features,
            exclusive=self.exclusive,
            search_tool=self.search_tool,
            efforts=self.efforts,
            default_effort=self.default_effort,
            thoughts=self.thoughts,
            price=TokenPrice(input_ucr=self.price.input, output_ucr=self.price.output),
        )


class _CatalogueFile(Strict):
    multiplier: Annotated[int, BeforeValidator(_ppm)]
    default_chat_model: str
    chat_model: Annotated[tuple[_ChatModelFile, ...], BeforeValidator(_tables)]


def _cross_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Check what spans several models, on the raw file.

    pydantic skips such checks as soon as one model is wrong, and the operator is owed all
    mistakes at once.
    """
    models = raw.get("chat_model")
    if not isinstance(models, list):
        return []
    ids = [model.get("id") if isinstance(model, dict) else None for model in models]
    known = Counter(id_ for id_ in ids if isinstance(id_, str))
    problems = [
        Problem(where=f"chat_model[{position}].id", what=f"stands twice: {id_}")
        for position, id_ in enumerate(ids)
        if isinstance(id_, str) and id_ in ids[:position]
    ]
    default = raw.get("default_chat_model")
    if isinstance(default, str) and default not in known:
        problems.append(
            Problem(where="default_chat_model", what=f"is none of the models: {default}")
        )
    return problems


def load(path: Path | None = None) -> Catalogue:
    """Read the catalogue at `path`, or the built-in one.

    Raises `CatalogueInvalid` with every problem; `where` reads like `chat_model[2].price.input`.
    """
    source = BUILT_IN if path is None else path
    try:
        raw = tomllib.loads(source.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        problem = Problem(where=str(source), what=f"cannot be read: {error.strerror}")
        raise CatalogueInvalid(problems=[problem]) from error
    except UnicodeDecodeError as error:
        problem = Problem(where=str(source), what="is not UTF-8 text")
        raise CatalogueInvalid(problems=[problem]) from error
    except tomllib.TOMLDecodeError as error:
        problem = Problem(where=str(source), what=f"is not TOML: {error}")
        raise CatalogueInvalid(problems=[problem]) from error
    return catalogue_of(raw)


def catalogue_of(raw: Mapping[str, Any]) -> Catalogue:
    """Judge a parsed file, whose decimals are `Decimal`. Raises `CatalogueInvalid`, as `load`."""
    media, media_problems = read_media(raw)
    across = _cross_problems(raw) + media_problems
    rest = {key: value for key, value in raw.items() if key not in MEDIA_KEYS}
    try:
        file = _CatalogueFile.model_validate(rest)
    except ValidationError as error:
        raise CatalogueInvalid(problems=shape_problems(error) + across) from error
    if across:
        raise CatalogueInvalid(problems=across)
    return Catalogue(
        chat_models={model.id: model.record() for model in file.chat_model},
        default_chat_model=file.default_chat_model,
        multiplier_ppm=file.multiplier,
        image_models=media.image_models,
        video_models=media.video_models,
        default_image_model=media.default_image_model,
        default_video_model=media.default_video_model,
    )
