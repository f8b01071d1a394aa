"""Who speaks for a model, and the operator's account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from bot.catalogue.loader import load
from bot.errors import AnswerMalformed, InvalidApiKey
from bot.providers.base import ProviderBalance
from bot.providers.http import ProviderHttp
from bot.providers.registry import ChatProviders
from tests.unit.providers.samples import CHAT_STREAM, RESPONSES_STREAM
from tests.unit.providers.support import Host, answers, ask, outcome_of, streams


async def test_each_shipped_model_is_asked_by_its_protocol(http: ProviderHttp, host: Host) -> None:
    """The catalogue's word decides the path."""
    providers = ChatProviders(http)
    host.script = [streams(RESPONSES_STREAM), streams(CHAT_STREAM)]
    for model in load().chat_models.values():
        assert (await outcome_of(providers.for_model(model), ask(model))).error is None
    assert [seen.path for seen in host.seen] == [
        "/v1/responses",
        "/v1/chat/completions",
        "/v1/chat/completions",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"balance": 100, "total_purchased": 300, "total_consumed": 200}, ("100", "300", "200")),
        ({"balance": 99.75, "total_purchased": "300", "total_consumed": None},
         ("99.75", "300", None)),
        ({"balance": "0"}, ("0", None, None)),
    ],
)  # fmt: skip
async def test_the_account_is_read_exactly(
    http: ProviderHttp, host: Host, data: dict[str, Any], expected: tuple[str | None, ...]
) -> None:
    """Typed integer, while charges are fractional (1.2): any exact number will do."""
    host.script = [answers({"code": 200, "msg": "success", "data": data})]
    figures = [None if figure is None else Decimal(figure) for figure in expected]
    assert figures[0] is not None
    assert await ChatProviders(http).balance() == ProviderBalance(
        balance=figures[0], total_purchased=figures[1], total_consumed=figures[2]
    )
    assert host.seen[0].path == "/v1/credits"
    assert host.seen[0].method == "GET"


@pytest.mark.parametrize(
    "body", [{"code": 200, "data": {}}, {"code": 200, "data": None}, {"data": {"balance": True}}]
)
async def test_an_account_without_a_balance_is_malformed(
    http: ProviderHttp, host: Host, body: dict[str, Any]
) -> None:
    """Nothing is guessed about money."""
    host.script = [answers(body)]
    with pytest.raises(AnswerMalformed):
        await ChatProviders(http).balance()


async def test_an_envelope_that_failed_is_an_error(http: ProviderHttp, host: Host) -> None:
    """Trap 26: HTTP 200 with another code."""
    host.script = [answers({"code": 401, "msg": "bad key"})]
    with pytest.raises(InvalidApiKey):
        await ChatProviders(http).balance()
