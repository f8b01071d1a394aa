"""What the catalogue's tests share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.catalogue.catalogue import ChatModel, TokenPrice
from bot.catalogue.loader import load


@pytest.fixture
def free_model() -> ChatModel:
    """A model whose output is explicitly free."""
    model = load().chat_models["gpt-5-4"]
    return replace(model, price=TokenPrice(input_ucr=300, output_ucr=0))
