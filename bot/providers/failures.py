"""From a provider's error answer to one of ours: two tables, by code and by status.

The codes are those of both documents (providers.md 1.3 and trap 44), and of the Responses
protocol's own in-stream errors (2.1). A code decides before the status, because 429 and 404 each
mean two things (traps 33, 34). No text of the answer is kept: only codes and field names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

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
from bot.limits import RETRY_AFTER_S_MAX
from bot.providers.wire import as_mapping

_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_.\[\]-]{0,63}")
_QUOTED_FIELD = re.compile(rf"['\"`]({_FIELD.pattern})['\"`]")
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an error answer says, cleaned: `code`, `kind` (its `type`) and `field` are words.

    `status` is None for an error inside a stream, whose HTTP status was 200.
    """

    provider: str
    status: int | None
    code: str | None = None
    kind: str | None = None
    field: str | None = None
    model: str | None = None
    retry_after_s: float | None = None


_Make = Callable[[Facts], ProviderError]


def _plain(cls: type[ProviderError]) -> _Make:
    return lambda facts: cls(provider=facts.provider, status=facts.status, code=facts.code)


def _rejected(facts: Facts) -> ProviderError:
    return ProviderRejected(
        provider=facts.provider, status=facts.status, code=facts.code, field=facts.field
    )


def _bad_media(facts: Facts) -> ProviderError:
    return ProviderRejected(
        provider=facts.provider, status=facts.status, code=facts.code, field="image_url"
    )


def _rate_limited(facts: Facts) -> ProviderError:
    return RateLimited(
        provider=facts.provider,
        status=facts.status,
        code=facts.code,
        retry_after_s=facts.retry_after_s,
    )


def _model_not_found(facts: Facts) -> ProviderError:
    return ModelNotFound(
        provider=facts.provider, status=facts.status, code=facts.code, model=facts.model
    )


_BY_CODE: dict[str, _Make] = {
    # AI Video API (provider-docs 000 to 003)
    "invalid_request": _rejected,
    "invalid_api_key": _plain(InvalidApiKey),
    "insufficient_credits": _plain(ProviderCreditsExhausted),
    "ip_not_allowed": _plain(IpNotAllowed),
    "model_not_found": _model_not_found,
    "task_not_found": _plain(TaskNotFound),
    "rate_limit_exceeded": _rate_limited,
    "spend_limit_exceeded": _plain(SpendLimitExceeded),
    "internal_error": _plain(ProviderInternalError),
    "upstream_error": _plain(UpstreamError),
    # OpenAI video format (provider-docs 004), where its words differ
    "invalid_parameter": _rejected,
    "insufficient_permissions": _plain(InsufficientPermissions),
    "task_not_exist": _plain(TaskNotFound),  # with 400, by gateways of that format (3.1)
    # Responses protocol, inside a stream (providers.md 2.1)
    "server_error": _plain(ProviderInternalError),
    "invalid_prompt": _plain(ContentRefused),
    "content_filter": _plain(ContentRefused),
    "content_policy_violation": _plain(ContentRefused),
    "image_content_policy_violation": _plain(ContentRefused),
    "moderation_blocked": _plain(ContentRefused),
    "invalid_image": _bad_media,
    "invalid_image_format": _bad_media,
    "invalid_image_url": _bad_media,
    "image_too_large": _bad_media,
    "image_too_small": _bad_media,
    "image_parse_error": _bad_media,
    "image_file_too_large": _bad_media,
    "image_file_not_found": _bad_media,
    "unsupported_image_media_type": _bad_media,
    "empty_image_file": _bad_media,
    "failed_to_download_image": _bad_media,
}

_BY_STATUS: dict[int, _Make] = {
    400: _rejected,
    401: _plain(InvalidApiKey),
    402: _plain(ProviderCreditsExhausted),
    403: _plain(InsufficientPermissions),
    # 404 without a code is no answer of this API but a wrong address.
    404: _plain(AnswerMalformed),
    413: _rejected,
    415: _rejected,
    422: _rejected,
    429: _rate_limited,
}

_BY_KIND: dict[str, _Make] = {
    "invalid_request_error": _rejected,
    "authentication_error": _plain(InvalidApiKey),
    "permission_error": _plain(InsufficientPermissions),
    "billing_error": _plain(ProviderCreditsExhausted),
    "rate_limit_error": _rate_limited,
    "api_error": _plain(ProviderInternalError),
    "server_error": _plain(ProviderInternalError),
    "upstream_error": _plain(UpstreamError),
}
"""For in-stream errors whose code is null, which have no status either (providers.md 2.1)."""


def failure(facts: Facts) -> ProviderError:
    """Choose the error: by code, else by HTTP status, else by the error's type."""
    make = _BY_CODE.get((facts.code or "").lower())
    if make is None and facts.status is not None:
        # F-41: a 5xx without a documented body, 503 included, says only that something broke.
        fallback = ProviderInternalError if facts.status >= 500 else AnswerMalformed
        make = _BY_STATUS.get(facts.status, _plain(fallback))
    if make is None:
        make = _BY_KIND.get(facts.kind or "", _plain(ProviderInternalError))
    return make(facts)


def from_answer(
    *,
    provider: str,
    status: int | None,
    body: Any,
    model: str | None = None,
    retry_after_s: float | None = None,
) -> ProviderError:
    """Read an error body field by field: nested under `error`, else flat (trap 16)."""
    outer = as_mapping(body)
    # A failed Response carries its error as `response.error`.
    error = outer.get("error") or as_mapping(outer.get("response")).get("error")
    inner = as_mapping(error) or outer
    return failure(
        Facts(
            provider=provider,
            status=status,
            code=_word(inner.get("code")),
            kind=_word(inner.get("type")),
            field=_field(inner, error),
            model=model,
            retry_after_s=retry_after_s,
        )
    )


def hidden_failure(
    *, provider: str, document: Mapping[str, Any], model: str | None = None
) -> ProviderError | None:
    """Find the error in an answer or event that came with HTTP 200 (traps 16, 18, 26).

    It is an `error` that is set, an event of type `error`, or an envelope whose `code` is
    another number than 200.
    """
    code = document.get("code")
    status = int(code) if isinstance(code, str) and code.isdecimal() and len(code) == 3 else code
    enveloped = type(status) is int and status != 200
    if not (enveloped or document.get("error") or document.get("type") == "error"):
        return None
    return from_answer(
        provider=provider, status=status if enveloped else None, body=document, model=model
    )


def retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """Read `Retry-After`: seconds or an HTTP date; None when it is neither."""
    if value is None:
        return None
    if _SECONDS.fullmatch(value.strip()):
        delay_s = float(value)
    else:
        try:
            delay_s = parsedate_to_datetime(value).timestamp() - now_s
        except (ValueError, OverflowError):
            return None
    return min(max(delay_s, 0.0), RETRY_AFTER_S_MAX)


def _word(value: Any) -> str | None:
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) and _CODE.fullmatch(text) else None


def _field(inner: Mapping[str, Any], error: Any) -> str | None:
    """Find the field's name: `param` if given, else the quoted word of "'model' is required."."""
    param = inner.get("param")
    if isinstance(param, str) and _FIELD.fullmatch(param):
        return param
    for message in (inner.get("message"), inner.get("msg"), error):
        if isinstance(message, str) and (found := _QUOTED_FIELD.search(message[:1_000])):
            return found.group(1)
    return None
