"""Open questions about a price. They live in this process: after a restart one asks again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import discord

from bot.clock import Clock
from bot.errors import ConfirmationExpired
from bot.jobs.ports import Order
from bot.limits import CONFIRMATION_S, CONFIRMATIONS_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An order that waits for a yes; only the token of `asked_by` can remove the question."""

    order: Order
    asked_by: discord.Interaction[Any]
    expires_s: float


class Confirmations:
    """Questions by the id of the interaction that asked; each is answered at most once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: OrderedDict[int, Question] = OrderedDict()

    def ask(self, order: Order, interaction: discord.Interaction[Any]) -> int:
        """Remember the order; the key for `answer`."""
        while len(self._open) >= CONFIRMATIONS_MAX:
            self._open.popitem(last=False)
        expires_s = self._clock.monotonic_s() + CONFIRMATION_S
        question = Question(order=order, asked_by=interaction, expires_s=expires_s)
        self._open[interaction.id] = question
        return interaction.id

    def answer(self, key: int, *, user_id: int) -> Question:
        """Take the question; only who was asked may. Raises `ConfirmationExpired`."""
        question = self._open.get(key)
        if question is None or question.order.user_id != user_id:
            raise ConfirmationExpired
        del self._open[key]
        if question.expires_s < self._clock.monotonic_s():
            raise ConfirmationExpired
        return question
