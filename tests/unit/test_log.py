"""No secret in any line, and every line whole (C-1, C-2)."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bot.log import REDACTED, Redactor, configure

TOKEN = "MTA1NzI2NDQ4NDk2NzM0MjA4MA.Gb3xYz.canaryTokenSignature0123456789AB"
KEY = "sk-canary0123456789abcdef"
SECRET = 'pass/with "odd" canary+chars'
SECRETS = (TOKEN, KEY, SECRET)
INTERACTION = "aW50ZXJhY3Rpb246canary" + "A" * 40
LEAKS = (
    f"token {TOKEN}",
    f"https://x/?a={quote(SECRET, safe='')}",
    f"DISCORD_TOKEN={TOKEN} AIVIDEO_API_KEY={KEY}",
)

log = structlog.get_logger("bot.test")
stdlib = logging.getLogger("discord.webhook.async_")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


def lines(log_format: str, emit: Callable[[], object], *, level: str = "debug") -> str:
    """What is written when `emit` logs."""
    stream = io.StringIO()
    configure(level=level, log_format=log_format, secrets=SECRETS, stream=stream)
    emit()
    return stream.getvalue()


def _fail(error: Exception) -> None:
    raise error


def _raise_and_log() -> None:
    try:
        _fail(ValueError(f"Authorization: Bearer {KEY}"))
    except ValueError:
        log.exception("failed")


def _raise_chained() -> None:
    try:
        try:
            _fail(KeyError(TOKEN))
        except KeyError as error:
            raise RuntimeError("outer") from error
    except RuntimeError:
        stdlib.exception("outer %s", "x")


SHAPES: dict[str, Callable[[], object]] = {
    "event": lambda: log.info(LEAKS[0]),
    "value": lambda: log.info("x", address=f"https://x/{KEY}"),
    "named value": lambda: log.info("x", token="canary"),
    "named in upper case": lambda: log.info("x", DISCORD_TOKEN="canary"),
    "api key": lambda: log.info("x", api_key="canary-short"),
    "authorization": lambda: log.info("x", headers={"Authorization": "Bot canary"}),
    "nested": lambda: log.info("x", a={"b": [{"password": "canary"}]}),
    "deep": lambda: log.info("x", a={"b": {"c": {"d": {"e": {"f": {"token": "canary"}}}}}}),
    "tuple": lambda: log.info("x", a=(KEY, TOKEN)),
    "set": lambda: log.info("x", a={KEY}),
    "bytes": lambda: log.info("x", a=KEY.encode()),
    "bytes header": lambda: log.info("x", a=b"Authorization: Bearer canary-token-0123456789"),
    "object": lambda: log.info("x", a=RuntimeError(KEY)),
    "json text": lambda: log.info(json.dumps({"token": "canary", "n": 1})),
    "json in json": lambda: log.info(json.dumps({"body": json.dumps({"secret": "canary"})})),
    "escaped secret": lambda: log.info(json.dumps({"a": SECRET})),
    "quoted secret": lambda: log.info(LEAKS[1]),
    "exception": _raise_and_log,
    "chained exception": _raise_chained,
    "stdlib arguments": lambda: stdlib.warning("token is %s", TOKEN),
    "stdlib dict": lambda: stdlib.warning("%s", {"token": "canary"}),
    "stdlib extra": lambda: stdlib.warning("x", extra={"token": "canary"}),
    "webhook address": lambda: stdlib.warning(
        "POST https://discord.com/api/v10/webhooks/123/%s?wait=true returned 200", INTERACTION
    ),
    "webhook message": lambda: stdlib.warning(
        "PATCH /webhooks/123/%s/messages/@original", INTERACTION
    ),
    "interaction address": lambda: stdlib.warning(
        "POST /interactions/123/%s/callback", INTERACTION
    ),
    "callback address": lambda: log.info("POST /callbacks/7/1/canary-mac"),
    "bearer": lambda: log.info("Bearer canary-token-0123456789"),
    "bot scheme": lambda: log.info("Bot canary-token-01234567890123"),
    "basic scheme": lambda: log.info("Basic Y2FuYXJ5OmNhbmFyeQcanary=="),
    "another key": lambda: log.info("used sk-canaryOfSomebodyElse"),
    "another token": lambda: log.info(TOKEN.replace("0123", "9876")),
    "whsec": lambda: log.info("whsec_canarycanarycanary"),
    "database address": lambda: log.info("postgresql+asyncpg://atelier:canary@db/atelier"),
    "signed picture": lambda: log.info("https://cdn/a.png?ex=1&is=2&hm=canary&"),
    "query token": lambda: log.info("https://x/?token=canary&y=1"),
    "environment dump": lambda: log.info(LEAKS[2]),
    "context": lambda: _with_context(token="canary"),
    "warning": lambda: warnings.warn(f"deprecated: {KEY}", UserWarning, stacklevel=1),
}


def _with_context(**values: str) -> None:
    with structlog.contextvars.bound_contextvars(**values):
        log.info("x")


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("shape", SHAPES)
def test_no_shape_of_a_secret_gets_through(shape: str, log_format: str) -> None:
    """Ours and the libraries' lines, tracebacks, nested values, bytes, addresses."""
    written = lines(log_format, SHAPES[shape])
    assert written
    assert "canary" not in written
    assert TOKEN not in written
    assert KEY not in written
    assert REDACTED in written


@pytest.mark.parametrize(
    "text",
    [
        "input_tokens=12 output_tokens=400",
        "tokens: 512",
        "answer_cut reference=m:1057264484967342080",
        "GET /channels/1057264484967342080/messages",
        "https://api.aivideoapi.ai/v1/responses",
        "task-skating, risk-assessment-of-things",
        "robot connected",
        "The bot started after a while and said hello",
    ],
)
def test_ordinary_lines_stay_as_they_are(text: str) -> None:
    """Redaction that eats facts makes a log useless."""
    assert Redactor(SECRETS)(text) == text


@given(st.text(max_size=300))
def test_redacting_never_fails_and_is_stable(text: str) -> None:
    """Whatever is logged; and a second pass changes nothing."""
    redact = Redactor(SECRETS)
    once = redact(text)
    assert redact(once) == once


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("shape", SHAPES)
def test_redacting_twice_is_redacting_once(shape: str) -> None:
    """A line that passed through two handlers stays readable."""
    written = lines("text", SHAPES[shape])
    assert Redactor(SECRETS)(written) == written


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_known_secret_never_survives(before: str, after: str) -> None:
    """Wherever it stands."""
    assert SECRET not in Redactor(SECRETS)(before + SECRET + after)


def test_a_secret_that_is_the_beginning_of_another_leaves_no_tail() -> None:
    """Longest first."""
    redact = Redactor(["abcdef", "abcdefghij"])
    assert redact("abcdefghij abcdef") == f"{REDACTED} {REDACTED}"


def test_lines_are_json_with_their_facts() -> None:
    """One object a line: level, logger, time, event, and what was bound."""
    written = lines("json", lambda: log.info("answered", charged_ucr=80_000))
    fact = json.loads(written)
    assert fact["event"] == "answered"
    assert fact["charged_ucr"] == 80_000
    assert (fact["level"], fact["logger"]) == ("info", "bot.test")
    assert fact["timestamp"].endswith("Z")


def test_the_libraries_lines_come_along() -> None:
    """discord.py logs through the standard library."""
    fact = json.loads(lines("json", lambda: stdlib.warning("rate limited %s", "x")))
    assert (fact["event"], fact["logger"]) == ("rate limited x", "discord.webhook.async_")


def test_auto_is_json_where_there_is_no_terminal() -> None:
    """And a terminal gets words."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert lines("auto", lambda: log.info("x")).startswith("{")
    terminal = Terminal()
    configure(level="info", log_format="auto", stream=terminal)
    log.info("hello")
    assert "\x1b[" in terminal.getvalue()


def test_members_words_do_not_come_through_the_libraries() -> None:
    """At DEBUG aiosqlite prints statements and discord.py prints bodies: both are capped."""

    def emit() -> None:
        logging.getLogger("aiosqlite").debug("execute INSERT ... ('a member wrote this')")
        logging.getLogger("discord.http").debug("a member wrote this")
        logging.getLogger("sqlalchemy.engine").info("a member wrote this")

    assert lines("json", emit, level="debug") == ""


def test_the_level_is_kept() -> None:
    """`LOG_LEVEL=warning` says nothing of everyday life."""
    assert lines("json", lambda: log.info("x"), level="warning") == ""


def test_a_line_that_cannot_be_formatted_does_not_print_its_arguments(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The standard library would print the raw record."""

    class Odd:
        def __repr__(self) -> str:
            raise ZeroDivisionError(KEY)

        __str__ = __repr__

    lines("json", lambda: stdlib.warning("%s", Odd()))
    written = capsys.readouterr().err
    assert "log line lost" in written
    assert KEY not in written
