"""Both documents' error tables, row by row, and the answers that have no row."""

from __future__ import annotations

from typing import Any

import pytest

from bot.errors import (
    AnswerMalformed,
    ContentRefused,
    InsufficientPermissions,
    InvalidApiKey,
    IpNotAllowed,
    ModelNotFound,
    ProviderCreditsExhausted,
    ProviderError,
    ProviderInternalError,
    ProviderRejected,
    RateLimited,
    SpendLimitExceeded,
    TaskNotFound,
    UpstreamError,
)
from bot.providers.failures import from_answer, hidden_failure, retry_after_s
from tests.unit.providers.samples import ERROR_CREDITS, ERROR_FIELD

AIVIDEO = [
    (400, "invalid_request", "invalid_request_error", ProviderRejected),
    (401, "invalid_api_key", "authentication_error", InvalidApiKey),
    (402, "insufficient_credits", "billing_error", ProviderCreditsExhausted),
    (403, "ip_not_allowed", "permission_error", IpNotAllowed),
    (404, "model_not_found", "invalid_request_error", ModelNotFound),
    (404, "task_not_found", "invalid_request_error", TaskNotFound),
    (429, "rate_limit_exceeded", "rate_limit_error", RateLimited),
    (429, "spend_limit_exceeded", "billing_error", SpendLimitExceeded),
    (500, "internal_error", "api_error", ProviderInternalError),
    (503, "upstream_error", "upstream_error", UpstreamError),
]
# The page gives bodies without HTTP numbers (trap 44); these are the customary ones.
OPENAI_VIDEO = [
    (400, "invalid_parameter", "invalid_request_error", ProviderRejected),
    (401, "invalid_api_key", "authentication_error", InvalidApiKey),
    (403, "insufficient_permissions", "permission_error", InsufficientPermissions),
    (429, "rate_limit_exceeded", "rate_limit_error", RateLimited),
    (500, "internal_error", "server_error", ProviderInternalError),
]


def failure(body: Any, status: int | None = 400, **facts: Any) -> ProviderError:
    return from_answer(provider="aivideo", status=status, body=body, **facts)


def hidden(document: dict[str, Any]) -> ProviderError | None:
    return hidden_failure(provider="aivideo", document=document)


@pytest.mark.parametrize(("status", "code", "kind", "expected"), AIVIDEO + OPENAI_VIDEO)
def test_every_row_of_both_tables_is_its_own_error(
    status: int, code: str, kind: str, expected: type[ProviderError]
) -> None:
    """The code decides, so that 429 and 404 are told apart (traps 33, 34)."""
    error = failure({"error": {"code": code, "message": "m", "type": kind}}, status)
    assert type(error) is expected
    assert (error.provider, error.status, error.code) == ("aivideo", status, code)


def test_the_documents_own_error_samples_are_read() -> None:
    """`'model' is required.` names its field (F-30)."""
    assert type(failure(ERROR_CREDITS, 402)) is ProviderCreditsExhausted
    error = failure(ERROR_FIELD)
    assert isinstance(error, ProviderRejected)
    assert error.field == "model"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"error": {"message": "Invalid `input.aspect_ratio` value"}}, "input.aspect_ratio"),
        ({"error": {"message": 'bad "messages[0].content"'}}, "messages[0].content"),
        ({"error": {"message": "'model' is bad", "param": "tools[1].name"}}, "tools[1].name"),
        ({"error": "'seconds' must be a string"}, "seconds"),
        ({"msg": "'size' is unknown"}, "size"),
        ({"error": {"message": "'<@everyone> hi' is bad"}}, None),
        ({"error": {"message": "something", "param": "a b\n@everyone"}}, None),
        ({"error": {"message": 7, "param": ["x"]}}, None),
    ],
)
def test_a_field_is_a_name_or_nothing(body: dict[str, Any], field: str | None) -> None:
    """F-67: no upstream text travels on inside a fact."""
    error = failure(body)
    assert isinstance(error, ProviderRejected)
    assert error.field == field


def test_facts_stay_with_the_errors_that_have_them() -> None:
    """The model for a 404, the delay for a 429."""
    code = {"error": {"code": "model_not_found"}}
    gone = failure(code, 404, model="gpt-5-4")
    assert isinstance(gone, ModelNotFound)
    assert gone.model == "gpt-5-4"
    slow = failure({"error": {"code": "rate_limit_exceeded"}}, 429, retry_after_s=3.5)
    assert isinstance(slow, RateLimited)
    assert slow.retry_after_s == 3.5


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, ProviderRejected),
        (401, InvalidApiKey),
        (402, ProviderCreditsExhausted),
        (403, InsufficientPermissions),
        (404, AnswerMalformed),
        (405, AnswerMalformed),
        (422, ProviderRejected),
        (429, RateLimited),
        (500, ProviderInternalError),
        (502, ProviderInternalError),
        (503, ProviderInternalError),
        (529, ProviderInternalError),
    ],
)
@pytest.mark.parametrize("body", [None, "<html>", [], {}, {"error": None}, {"error": {"code": 1}}])
def test_without_a_known_code_the_status_decides(
    status: int, expected: type[ProviderError], body: Any
) -> None:
    """F-41: a 503 without its documented body does not say *refused content*."""
    assert type(failure(body, status)) is expected


def test_a_code_that_is_no_word_is_not_kept() -> None:
    """F-67: codes go to logs, so they are short and plain."""
    for code in ("x" * 65, "two words", "line\nbreak", {"a": 1}, True):
        assert failure({"error": {"code": code}}).code is None
    assert failure({"error": {"code": "x" * 64}}).code == "x" * 64


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "m"}, RateLimited),
        ({"type": "error", "error": {"code": "server_error"}}, ProviderInternalError),
        ({"type": "error", "error": {"code": None, "type": "rate_limit_error"}}, RateLimited),
        ({"type": "error", "error": {"type": "invalid_request_error"}}, ProviderRejected),
        ({"type": "error"}, ProviderInternalError),
        ({"error": {"code": "upstream_error"}}, UpstreamError),
        ({"error": {"code": "content_policy_violation"}}, ContentRefused),
        ({"error": "boom"}, ProviderInternalError),
        ({"code": 402, "msg": "no credits", "data": None}, ProviderCreditsExhausted),
        ({"code": "429", "msg": "slow"}, RateLimited),
        ({"code": 500}, ProviderInternalError),
        ({"code": 1001}, ProviderInternalError),
        ({"code": 302}, AnswerMalformed),
        ({"code": 429, "error": {"code": "spend_limit_exceeded"}}, SpendLimitExceeded),
    ],
)
def test_an_error_behind_status_200_is_found(
    document: dict[str, Any], expected: type[ProviderError]
) -> None:
    """Traps 16, 18 and 26: nested, flat, or as an envelope."""
    assert type(hidden(document)) is expected


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"code": 200, "data": {}},
        {"code": "200"},
        {"error": None, "choices": []},
        {"code": None},
        {"code": True},
        {"type": "response.completed", "response": {"error": None}},
    ],
)
def test_a_success_hides_no_error(document: dict[str, Any]) -> None:
    """The envelope's 200 and a null error are the documented successes."""
    assert hidden(document) is None


@pytest.mark.parametrize(
    ("value", "delay_s"),
    [
        (None, None),
        ("12", 12.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("999999999", 86_400.0),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("1e9", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:10 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, delay_s: float | None) -> None:
    """RFC 9110 allows both; what is neither is no fact."""
    assert retry_after_s(value, now_s=60.0) == delay_s
