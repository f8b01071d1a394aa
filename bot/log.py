"""The log: one structured line per fact, ours and the libraries' alike, and no secret in any.

Redaction is the last step, on the finished line, so that it also covers tracebacks, nested
values and bytes; known keys are blanked before, because colours may stand between key and value.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REDACTED = "[redacted]"
SECRET_CHARS_MIN = 6
"""Shorter strings occur by chance in every line."""
NESTING_MAX = 8
"""Deeper values are not searched for keys; the patterns still cover them."""

_CAPPED = {
    # At DEBUG these print members' words or Discord's bodies (C-1).
    "aiosqlite": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    # Its two lines a start say nothing that `run` does not say in our words.
    "alembic": logging.WARNING,
    "discord": logging.INFO,
    "asyncio": logging.INFO,
}
_KEYS = re.compile(
    r"^(.*[_-])?(token|api[_-]?key|secret|password|passwd|authorization|cookie)$", re.IGNORECASE
)
_QUOTE = r"\\*[\"']?"
_NAMED = (
    rf"({_QUOTE}\b(?:[\w-]{0, 40}[_-])?(?:token|api[_-]?key|secret|password|authorization)"
    rf"{_QUOTE}\s*[:=]\s*(?:b(?=[\"']))?{_QUOTE})(?:(?:bot|bearer|basic)\s+)?"
    r"(?!\[redacted\])[^\s\"',;&}\\)]+"
)
"""`token=…`, `"api_key": "…"`, also inside escaped JSON and the repr of bytes."""
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        # A path that carries its own key (C-2): interactions, webhooks, our callbacks.
        (r"(/webhooks/\d+/)(?!\[redacted\])[^/\s?\"'\\)>\]]+", rf"\1{REDACTED}"),
        (r"(/interactions/\d+/)(?!\[redacted\])[^/\s?\"'\\)>\]]+", rf"\1{REDACTED}"),
        (r"(/callbacks/)(?!\[redacted\])[^\s?\"'\\)>\]]+", rf"\1{REDACTED}"),
        (
            r"([?&](?:hm|signature|sig|token|key)=)(?!\[redacted\])[^&\s\"'\\)>\]]+",
            rf"\1{REDACTED}",
        ),
        (r"(://[^/\s:@]+:)[^/\s@]+(@)", rf"\1{REDACTED}\2"),
        (r"\b(bearer\s+)[\w.~+/=-]{6,}", rf"\1{REDACTED}"),
        (r"\b(bot\s+)[\w.~+/=-]{20,}", rf"\1{REDACTED}"),
        (r"\b(basic\s+)[a-z0-9+/=]{12,}", rf"\1{REDACTED}"),
        (r"\bsk-[\w-]{6,}", REDACTED),
        (r"\bwhsec_[\w+/=-]{6,}", REDACTED),
        # A bot token: id, time and signature in base64url.
        (r"\b[\w-]{23,30}\.[\w-]{5,8}\.[\w-]{25,}", REDACTED),
        (r"\bmfa\.[\w-]{20,}", REDACTED),
        (_NAMED, rf"\1{REDACTED}"),
    )
)


class Redactor:
    """Takes secrets out of a finished text: the configured ones, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= SECRET_CHARS_MIN
            for form in (secret, quote(secret, safe=""))
        }
        # Longest first: a secret may be the beginning of another.
        known = "|".join(_escaped_or_not(form) for form in sorted(forms, key=len, reverse=True))
        self._known = re.compile(known) if known else None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def _escaped_or_not(secret: str) -> str:
    """A pattern for the secret in plain text, in JSON, and in JSON inside JSON."""
    return "".join(
        rf"\\*{re.escape(char)}" if char in "\\\"'" else re.escape(char) for char in secret
    )


class _RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    def __init__(self, redactor: Redactor, **options: Any) -> None:
        super().__init__(**options)
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor(super().format(record))


class _Handler(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name.
        """A line that cannot be written must not print its raw arguments instead."""
        error = sys.exc_info()[1]
        if not isinstance(error, BrokenPipeError):
            where = f"{record.pathname}:{record.lineno}"
            sys.stderr.write(f"log line lost at {where}: {type(error).__name__}\n")


def configure(
    *,
    level: str = "info",
    log_format: str = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set up structlog and the standard library's root logger; may be called again.

    `log_format`: `auto` is coloured text on a terminal and JSON elsewhere; `text`; `json`.
    """
    target = sys.stderr if stream is None else stream
    on_terminal = target.isatty()
    as_text = log_format == "text" or (log_format == "auto" and on_terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _blank_keys,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = _RedactingFormatter(
        Redactor(secrets),
        foreign_pre_chain=[*shared[:2], structlog.stdlib.ExtraAdder(), *shared[2:]],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderers(as_text=as_text, colors=on_terminal),
        ],
    )
    handler = _Handler(target)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, lowest in _CAPPED.items():
        logging.getLogger(name).setLevel(max(lowest, root.level))
    logging.captureWarnings(capture=True)


def _renderers(*, as_text: bool, colors: bool) -> tuple[Processor, ...]:
    if as_text:
        # The plain traceback: richer ones print local variables.
        plain = structlog.dev.plain_traceback
        return (structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),)
    return (
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=repr, ensure_ascii=False),
    )


def _blank_keys(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    return {key: _blanked(key, value, NESTING_MAX) for key, value in event.items()}


def _blanked(key: object, value: Any, depth: int) -> Any:
    if isinstance(key, str) and _KEYS.match(key) and value is not None:
        return REDACTED
    if depth == 0:
        return value
    if isinstance(value, Mapping):
        return {inner: _blanked(inner, held, depth - 1) for inner, held in value.items()}
    if isinstance(value, list | tuple):
        return [_blanked(None, held, depth - 1) for held in value]
    return value
