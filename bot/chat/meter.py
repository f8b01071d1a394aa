"""What a turn costs while nobody has said so yet. Pure arithmetic in micro-credits."""

from __future__ import annotations

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.pricing import (
    Cost,
    FinishedAnswer,
    charge_ucr,
    chat_cost_ucr,
    estimate_tokens,
    formula_ucr,
    hold_ucr,
)

FOLD_CHARS = 256
"""Text is counted in pieces of this size: a count per delta would round each fragment up."""


class Meter:
    """Adds what finished requests cost to an upper estimate of the running one.

    Price and multiplier are those of the moment the turn began (F-68).
    """

    def __init__(self, *, model: ChatModel, multiplier_ppm: int) -> None:
        self._model = model
        self._multiplier_ppm = multiplier_ppm
        self.spent_ucr = 0
        """What the provider took for the finished requests."""
        self._prompt_tokens = 0
        self._request_tokens = 0
        self._rest = ""
        self.output_tokens = 0
        """Estimated output of all requests of the turn."""

    def begin_request(self, prompt_tokens: int) -> None:
        self._prompt_tokens = prompt_tokens

    def add(self, text: str) -> None:
        """Count streamed text."""
        self._rest += text
        if len(self._rest) >= FOLD_CHARS:
            self._fold()

    def finish_request(self, finished: FinishedAnswer) -> Cost:
        """The terminal event came: its price stands in place of our estimate."""
        self._fold()
        cost = chat_cost_ucr(
            self._model,
            finished,
            estimated_input_tokens=self._prompt_tokens,
            estimated_output_tokens=self._request_tokens,
        )
        self.spent_ucr += cost.cost_ucr
        self._prompt_tokens = self._request_tokens = 0
        return cost

    def cut_request(self) -> None:
        """No terminal event will come: count all that was read."""
        self._fold()

    def provider_ucr(self) -> int:
        """What the provider will have taken from the operator so far."""
        running_ucr = formula_ucr(
            self._model, input_tokens=self._prompt_tokens, output_tokens=self._request_tokens
        )
        return self.spent_ucr + running_ucr

    def charge_ucr(self) -> int:
        """The member's price so far."""
        return charge_ucr(self.provider_ucr(), self._multiplier_ppm)

    def price_ucr(self, *, prompt_tokens: int = 0, output_tokens: int = 0) -> int:
        """The member's price of another request, or of more output."""
        return hold_ucr(
            self._model,
            multiplier_ppm=self._multiplier_ppm,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
        )

    def _fold(self) -> None:
        tokens = estimate_tokens(self._rest)
        self._rest = ""
        self._request_tokens += tokens
        self.output_tokens += tokens
