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
from bot.chat.learning import NOTHING, Ratios, Sample, Weight, sampled
from storage.types import TextKind

FOLD_CHARS = 256
"""Text is counted in pieces of this size: a count per delta would round each fragment up."""


class Meter:
    """Adds what finished requests cost to an upper estimate of the running one.

    Price, multiplier and what is known about tokens are those of the moment the turn began (F-68).
    """

    def __init__(self, *, model: ChatModel, multiplier_ppm: int, ratios: Ratios) -> None:
        self._model = model
        self._multiplier_ppm = multiplier_ppm
        self._ratios = ratios
        self.spent_ucr = 0
        """What the provider took for the finished requests."""
        self.samples: tuple[Sample, ...] = ()
        """What their reports teach about our estimates."""
        self._prompt = NOTHING
        self._request_tokens = 0
        self._rest = ""
        self.output_tokens = 0
        """Estimated output of all requests of the turn."""

    def begin_request(self, prompt: Weight) -> None:
        self._prompt = prompt

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
            estimated_input_tokens=self._prompt_tokens(self._prompt),
            estimated_output_tokens=self._output_tokens(self._request_tokens),
        )
        self._learn(finished)
        self.spent_ucr += cost.cost_ucr
        self._prompt, self._request_tokens = NOTHING, 0
        return cost

    def cut_request(self) -> None:
        """No terminal event will come: count all that was read."""
        self._fold()

    def provider_ucr(self) -> int:
        """What the provider will have taken from the operator so far."""
        return self.spent_ucr + self._formula_ucr(self._request_tokens)

    def charge_ucr(self) -> int:
        """The member's price so far."""
        return charge_ucr(self.provider_ucr(), self._multiplier_ppm)

    def shown_ucr(self, text: str) -> int:
        """The member's price if `text` were all that the running request has answered."""
        cost_ucr = self.spent_ucr + self._formula_ucr(estimate_tokens(text))
        return charge_ucr(cost_ucr, self._multiplier_ppm)

    def price_ucr(self, *, prompt: Weight = NOTHING, output_tokens: int = 0) -> int:
        """The member's price of another request, or of so many billed tokens of output."""
        return hold_ucr(
            self._model,
            multiplier_ppm=self._multiplier_ppm,
            prompt_tokens=self._prompt_tokens(prompt),
            output_tokens=output_tokens,
        )

    def _learn(self, finished: FinishedAnswer) -> None:
        """Files are counted by rules of thumb: a prompt that has some teaches nothing of words."""
        usage = finished.usage
        if usage is None:
            return
        if self._prompt.media_tokens == 0:
            self.samples += sampled(
                self._model,
                self._prompt.kind,
                estimated=self._prompt.text_tokens,
                counted=usage.input_tokens,
            )
        self.samples += sampled(
            self._model,
            TextKind.OUTPUT,
            estimated=self._request_tokens,
            counted=usage.output_tokens,
        )

    def _formula_ucr(self, output_tokens: int) -> int:
        return formula_ucr(
            self._model,
            input_tokens=self._prompt_tokens(self._prompt),
            output_tokens=self._output_tokens(output_tokens),
        )

    def _prompt_tokens(self, prompt: Weight) -> int:
        return self._ratios.tokens(prompt.kind, prompt.text_tokens) + prompt.media_tokens

    def _output_tokens(self, estimated: int) -> int:
        return self._ratios.tokens(TextKind.OUTPUT, estimated)

    def _fold(self) -> None:
        tokens = estimate_tokens(self._rest)
        self._rest = ""
        self._request_tokens += tokens
        self.output_tokens += tokens
