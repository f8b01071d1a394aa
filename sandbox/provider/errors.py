"""The documents' error table, and the one exception that carries a row of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sandbox.provider.wire import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """One row of the table that stands in each provider document."""

    status: int
    code: str
    type: str
    message: str


def _row(status: int, code: str, kind: str, message: str) -> ErrorRow:
    return ErrorRow(status=status, code=code, type=kind, message=message)


ROWS: Final = (
    _row(400, "invalid_request", "invalid_request_error", "Missing or invalid parameters."),
    _row(401, "invalid_api_key", "authentication_error", "API key is invalid."),
    _row(402, "insufficient_credits", "billing_error", "Your credit balance is too low."),
    _row(403, "ip_not_allowed", "permission_error", "Request IP is not in the key's allowlist."),
    _row(404, "model_not_found", "invalid_request_error", "Model does not exist or is inactive."),
    _row(404, "task_not_found", "invalid_request_error", "Task ID does not exist."),
    _row(429, "rate_limit_exceeded", "rate_limit_error", "Too many requests, please slow down."),
    _row(429, "spend_limit_exceeded", "billing_error", "Key spend limit reached."),
    _row(500, "internal_error", "api_error", "Unexpected server error."),
    _row(503, "upstream_error", "upstream_error", "Upstream AI provider returned an error."),
)
BY_CODE: Final = {row.code: row for row in ROWS}


class Refusal(Exception):
    """A refusal that some document describes: its status, JSON body and headers."""

    status: int

    def body(self) -> Json:
        raise NotImplementedError

    def headers(self) -> dict[str, str]:
        return {}


class ApiError(Refusal):
    """An answer from the error table; `code` is a key of `BY_CODE`."""

    def __init__(
        self, code: str, message: str | None = None, *, retry_after_s: float | None = None
    ) -> None:
        row = BY_CODE[code]
        super().__init__(message or row.message)
        self.row = row
        self.status = row.status
        self.message = message or row.message
        self.retry_after_s = retry_after_s

    def body(self) -> Json:
        """The JSON of the documents: `error{code,message,type}`."""
        facts = {"code": self.row.code, "message": self.message, "type": self.row.type}
        return {"error": facts}

    def headers(self) -> dict[str, str]:
        """`Retry-After` in whole seconds, when asked for."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": f"{self.retry_after_s:g}"}


def invalid(field: str, rule: str) -> ApiError:
    """400 in the words of the documents: "'model' is required."."""
    return ApiError("invalid_request", f"'{field}' {rule}")
