"""What the gateway of the OpenAI format serves, and what it asks for it: data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sandbox.provider.account import UCR


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatModel:
    """One model of the gateway: its first length and size are the default ones.

    `credits_per_s` goes by the size; "" is every other size.
    """

    id: str
    seconds: tuple[str, ...]
    sizes: tuple[str, ...]
    credits_per_s: Mapping[str, str]
    prompt_chars_max: int

    def amount_ucr(self, *, seconds: str, size: str) -> int:
        rate = self.credits_per_s.get(size) or self.credits_per_s[""]
        return int(Decimal(rate) * int(seconds) * UCR)


FORMAT_DEFAULT: Final = "sora-2"
FORMAT_MODELS: Final = {
    model.id: model
    for model in (
        FormatModel(
            id=FORMAT_DEFAULT,
            seconds=("4", "8", "12"),
            sizes=("720x1280", "1280x720", "1024x1792", "1792x1024", "1024x1808"),
            credits_per_s={"": "20", "1024x1792": "100", "1792x1024": "100", "1024x1808": "100"},
            prompt_chars_max=32_000,
        ),
        FormatModel(
            id="kling-v2-master",
            seconds=("5", "10"),
            sizes=("1280x720", "720x1280", "1024x1024"),
            credits_per_s={"": "56"},
            prompt_chars_max=2_500,
        ),
        FormatModel(
            id="viduq1",
            seconds=("5",),
            sizes=("1920x1080", "1080x1920", "1024x1024"),
            credits_per_s={"": "16"},
            prompt_chars_max=1_500,
        ),
    )
}
