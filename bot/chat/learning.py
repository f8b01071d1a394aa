"""What a provider's `usage` teaches about our estimates of tokens. Pure.

Each model has a ratio for each kind of text: what the provider counted, in millionths of what we
had estimated. A ratio rises fast and falls slowly, so it stands near the upper end of what is seen
and not in its middle: a hold that is too small costs the operator, one that is too large only
waits for its return. It never leaves `TOKEN_RATIO_PPM_MIN` … `TOKEN_RATIO_PPM_MAX`, whatever a
provider reports (F-51).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.catalogue.catalogue import ChatModel
from bot.limits import (
    TOKEN_RATIO_FALL_PART,
    TOKEN_RATIO_PPM_MAX,
    TOKEN_RATIO_PPM_MIN,
    TOKEN_RATIO_RISE_PART,
    TOKEN_SAMPLE_MIN,
)
from storage.types import TextKind

PPM = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What a prompt weighs by our estimate; files are counted by rules of their own."""

    text_tokens: int
    media_tokens: int = 0
    kind: TextKind = TextKind.INPUT


NOTHING = Weight(text_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One text: the tokens that we had estimated, and those that the provider counted."""

    kind: TextKind
    estimated: int
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """What was learned for one model; a kind without a ratio stands as we estimate it."""

    ppm: Mapping[TextKind, int] = field(default_factory=dict)

    def tokens(self, kind: TextKind, estimated: int) -> int:
        """What the provider will count, by all we know; rounded up."""
        return -(-estimated * self.ppm.get(kind, PPM) // PPM)


def sampled(
    model: ChatModel, kind: TextKind, *, estimated: int, counted: int
) -> tuple[Sample, ...]:
    """The sample that a report gives; none where the text is short or the report impossible.

    Samples of the documents say `input_tokens: 0` (trap 5), and nothing has more tokens than the
    model's window.
    """
    if estimated < TOKEN_SAMPLE_MIN or not 0 < counted <= model.context_tokens:
        return ()
    return (Sample(kind=kind, estimated=estimated, counted=counted),)


def learned(ratio_ppm: int, sample: Sample) -> int:
    """The ratio after one sample more."""
    seen_ppm = sample.counted * PPM // sample.estimated
    seen_ppm = min(max(seen_ppm, TOKEN_RATIO_PPM_MIN), TOKEN_RATIO_PPM_MAX)
    if seen_ppm > ratio_ppm:
        return ratio_ppm + -(-(seen_ppm - ratio_ppm) // TOKEN_RATIO_RISE_PART)
    return ratio_ppm - (ratio_ppm - seen_ppm) // TOKEN_RATIO_FALL_PART
