"""The models as data: what each can do, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.catalogue.media import MediaModel


class ChatProtocol(StrEnum):
    RESPONSES = "responses"
    """`POST /v1/responses` (provider-docs 000)."""
    CHAT_COMPLETIONS = "chat_completions"
    """`POST /v1/chat/completions` (provider-docs 002, 003)."""


class InputKind(StrEnum):
    """What a model reads beside text."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"
    """PDF and other documents."""

    @classmethod
    def of(cls, content_type: str) -> InputKind:
        """Sort a MIME type; whatever is not a picture, film or sound is a document."""
        family = content_type.partition("/")[0].strip().lower()
        return cls(family) if family in {cls.IMAGE, cls.VIDEO, cls.AUDIO} else cls.FILE


class Feature(StrEnum):
    """What a request may ask for; some exclude each other (trap 10)."""

    SEARCH = "search"
    FUNCTIONS = "functions"
    JSON_SCHEMA = "json_schema"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """µcr per token, which is the document's credits per million tokens."""

    input_ucr: int
    output_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatModel:
    """One chat model; `search_tool` is the provider's name for its web search.

    A request says how hard to think, and whether to show thoughts, only where the model declares
    `efforts` (with a default among them) and `thoughts`: other models refuse the fields.
    """

    id: str
    label: str
    provider: str
    protocol: ChatProtocol
    context_tokens: int
    inputs: frozenset[InputKind]
    features: frozenset[Feature]
    exclusive: tuple[frozenset[Feature], ...]
    search_tool: str | None
    efforts: tuple[str, ...]
    default_effort: str | None
    thoughts: bool
    price: TokenPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """`multiplier_ppm`: what members pay, in millionths of the provider's cost.

    The media models are those that the file enables; a default is None only when there is none.
    Whether a model's provider is set up is known to `bot.providers.registry.MediaProviders`.
    """

    chat_models: dict[str, ChatModel]
    default_chat_model: str
    multiplier_ppm: int
    image_models: Mapping[str, MediaModel] = field(default_factory=dict)
    video_models: Mapping[str, MediaModel] = field(default_factory=dict)
    default_image_model: str | None = None
    default_video_model: str | None = None
