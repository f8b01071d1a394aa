"""Created, not created, or unknown: row by row, and for any bytes at all."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.media import MediaProtocol
from bot.errors import AtelierError, ProviderRejected, RateLimited
from bot.providers import classify as classifier
from bot.providers.base import Created, CreateVerdict, NotCreated, Unknown, UnknownCause
from bot.providers.classify import (
    ENVELOPE_WORDS,
    REFUSALS,
    TASK_ID_PATHS,
    CreateAnswer,
    classify,
    is_task_id,
)
from tests.unit.providers.media_support import (
    CREATED,
    INSUFFICIENT_CREDITS,
    MODEL_REQUIRED,
    TASK_ID,
    VIDEO_ERRORS,
    VIDEO_QUEUED,
)

TASKS = MediaProtocol.TASKS
VIDEO = MediaProtocol.OPENAI_VIDEO
GATEWAY_ID = "task_01KMCGF6BQGN3X28H3KSR50X5T"


def error(code: Any, **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": "m", "type": "t"}, **more}


def judge(
    protocol: MediaProtocol,
    status: int | None,
    body: Any = b"",
    *,
    content_type: str = "application/json",
    connected: bool = True,
    retry_after_s: float | None = None,
) -> CreateVerdict:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = CreateAnswer(
        connected=connected,
        status=status,
        content_type=content_type,
        body=raw,
        retry_after_s=retry_after_s,
    )
    return classify(answer, provider="aivideo", protocol=protocol, model="m")


def told(verdict: CreateVerdict) -> str:
    """Write a verdict in one word: the task's name, the error's class, or the cause."""
    match verdict:
        case Created(task_id=task_id):
            return task_id
        case NotCreated(error=refusal, retryable=retryable):
            return type(refusal).__name__ + ("+" if retryable else "")
        case Unknown(cause=cause):
            return f"?{cause}"


ROWS: list[tuple[MediaProtocol, int | None, Any, str]] = [
    # --- created
    (TASKS, 200, CREATED, TASK_ID),
    (TASKS, 201, CREATED, TASK_ID),
    (TASKS, 202, CREATED, TASK_ID),
    (TASKS, 200, {"code": 200, "data": {"task_id": TASK_ID}}, TASK_ID),
    (TASKS, 200, {"code": 200, "data": {"id": TASK_ID}}, TASK_ID),
    (TASKS, 200, {"code": 200, "taskId": TASK_ID}, TASK_ID),
    (TASKS, 200, {"code": "200", "task_id": TASK_ID}, TASK_ID),
    (TASKS, 200, {"taskId": TASK_ID}, TASK_ID),
    (TASKS, 200, {"id": TASK_ID, "status": "pending"}, TASK_ID),
    (TASKS, 200, {"id": "request-1", "code": 200, "data": {"taskId": TASK_ID}}, TASK_ID),
    (VIDEO, 200, VIDEO_QUEUED, "video_123"),
    (VIDEO, 200, {"id": GATEWAY_ID, "task_id": GATEWAY_ID, "error": None}, GATEWAY_ID),
    (VIDEO, 200, {"task_id": GATEWAY_ID}, GATEWAY_ID),
    (VIDEO, 200, {"video_id": "v1", "status": "submitted"}, "v1"),
    (VIDEO, 200, {"taskId": GATEWAY_ID}, GATEWAY_ID),
    (VIDEO, 200, {"data": {"task_id": GATEWAY_ID, "status": "queued"}}, GATEWAY_ID),
    (VIDEO, 200, {"data": {"id": GATEWAY_ID}}, GATEWAY_ID),
    (VIDEO, 200, {"data": {"video_id": GATEWAY_ID}}, GATEWAY_ID),
    (VIDEO, 200, {"data": {"taskId": GATEWAY_ID}}, GATEWAY_ID),
    (VIDEO, 200, {**VIDEO_QUEUED, "status": "failed", "error": {"code": "x"}}, "video_123"),
    # --- documented refusals
    (TASKS, 400, MODEL_REQUIRED, "ProviderRejected"),
    (TASKS, 401, error("invalid_api_key"), "InvalidApiKey"),
    (TASKS, 402, INSUFFICIENT_CREDITS, "ProviderCreditsExhausted"),
    (TASKS, 403, error("ip_not_allowed"), "IpNotAllowed"),
    (TASKS, 404, error("model_not_found"), "ModelNotFound"),
    (TASKS, 404, error("task_not_found"), "TaskNotFound"),
    (TASKS, 429, error("rate_limit_exceeded"), "RateLimited+"),
    (TASKS, 429, error("spend_limit_exceeded"), "SpendLimitExceeded"),
    (TASKS, 429, error("Rate_Limit_Exceeded"), "RateLimited+"),
    (TASKS, 503, error("upstream_error"), "UpstreamError"),
    (VIDEO, 400, VIDEO_ERRORS[400], "ProviderRejected"),
    (VIDEO, 401, VIDEO_ERRORS[401], "InvalidApiKey"),
    (VIDEO, 403, VIDEO_ERRORS[403], "InsufficientPermissions"),
    (VIDEO, 429, VIDEO_ERRORS[429], "RateLimited+"),
    (VIDEO, 503, error("model_not_found"), "ModelNotFound"),
    (VIDEO, 400, error("model_not_found"), "ModelNotFound"),
    (VIDEO, 404, error("model_not_found"), "ModelNotFound"),
    (VIDEO, 402, INSUFFICIENT_CREDITS, "ProviderCreditsExhausted"),
    # what cannot be a name names no task
    (TASKS, 400, {**MODEL_REQUIRED, "id": 42}, "ProviderRejected"),
    # --- refusals in an envelope (F-42)
    (TASKS, 200, {"code": 400, "msg": "'prompt' is required."}, "ProviderRejected"),
    (TASKS, 200, {"code": 401, "msg": "x", "data": None}, "InvalidApiKey"),
    (TASKS, 200, {"code": 402, "msg": "x", "data": {}}, "ProviderCreditsExhausted"),
    (TASKS, 200, {"code": "402", "msg": "x"}, "ProviderCreditsExhausted"),
    (TASKS, 200, {"code": 403}, "IpNotAllowed"),
    (TASKS, 200, {"code": 404}, "ModelNotFound"),
    (TASKS, 200, {"code": 429}, "RateLimited+"),
    (TASKS, 200, {"code": 429, **error("spend_limit_exceeded")}, "SpendLimitExceeded"),
    (TASKS, 200, {"code": 402, **error("rate_limit_exceeded")}, "?envelope"),
    (TASKS, 200, {"code": 500, "msg": "x"}, "?envelope"),
    (TASKS, 200, {"code": 503, **error("upstream_error")}, "?envelope"),
    (TASKS, 200, {"code": 418}, "?envelope"),
    (TASKS, 200, {"code": 0, "data": {"taskId": TASK_ID}}, "?envelope"),
    (TASKS, 200, {"code": True, "data": {"taskId": TASK_ID}}, "?envelope"),
    (TASKS, 200, {"code": 402, "data": {"taskId": TASK_ID}}, "?envelope"),
    (TASKS, 200, {**CREATED, **error("upstream_error")}, "?envelope"),
    (TASKS, 200, error("invalid_request"), "?envelope"),
    (VIDEO, 200, {"code": "success", "data": {"task_id": GATEWAY_ID}}, "?envelope"),
    (VIDEO, 200, {"error": "overloaded"}, "?envelope"),
    (VIDEO, 200, {"id": "video_1", "error": "overloaded"}, "?envelope"),
    # --- no name, or no good one (F-43)
    (TASKS, 200, {"code": 200, "msg": "success"}, "?task_id_missing"),
    (TASKS, 200, {"code": 200, "data": None}, "?task_id_missing"),
    (TASKS, 200, {"code": 200, "data": {"taskId": None}}, "?task_id_missing"),
    (TASKS, 200, {}, "?task_id_missing"),
    (TASKS, 200, {"code": 200, "data": [{"taskId": TASK_ID}]}, "?task_id_missing"),
    (TASKS, 200, {"code": 200, "data": {"taskId": 42}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": ""}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": "../credits"}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": "a b"}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": "null"}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": "x" * 257}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": {"id": TASK_ID}}}, "?task_id_malformed"),
    (TASKS, 200, {"code": 200, "data": {"taskId": 42}, "id": TASK_ID}, "?task_id_malformed"),
    # --- malformed successes (F-41)
    (TASKS, 200, b"", "?malformed"),
    (TASKS, 204, b"", "?malformed"),
    (TASKS, 200, b"OK", "?malformed"),
    (TASKS, 200, b"<html>ok</html>", "?malformed"),
    (TASKS, 200, json.dumps(CREATED).encode()[:-1], "?malformed"),
    (TASKS, 200, b"\xff\xfe", "?malformed"),
    (TASKS, 200, [CREATED], "?malformed"),
    (TASKS, 200, b'"' + TASK_ID.encode() + b'"', "?malformed"),
    (TASKS, 200, b"[" * 100_000, "?malformed"),
    (TASKS, 200, b"null", "?malformed"),
    # --- redirects, never followed: F-44
    (TASKS, 301, b"", "?redirect"),
    (TASKS, 302, CREATED, "?redirect"),
    (TASKS, 307, MODEL_REQUIRED, "?redirect"),
    (VIDEO, 308, b"", "?redirect"),
    # --- servers in trouble: F-38, F-41
    (TASKS, 500, error("internal_error"), "?server_error"),
    (TASKS, 500, error("invalid_request"), "?server_error"),
    (TASKS, 500, CREATED, "?server_error"),
    (VIDEO, 500, VIDEO_ERRORS[500], "?server_error"),
    (TASKS, 502, b"<html>Bad gateway</html>", "?undocumented"),
    (TASKS, 502, error("upstream_error"), "?undocumented"),
    (TASKS, 503, b"", "?undocumented"),
    (TASKS, 503, b"<html>", "?undocumented"),
    (TASKS, 503, error("service_unavailable"), "?undocumented"),
    (TASKS, 504, b"", "?undocumented"),
    (TASKS, 524, b"error code: 524", "?undocumented"),
    # --- errors that no document has
    (TASKS, 400, b"", "?undocumented"),
    (TASKS, 400, b"Bad Request", "?undocumented"),
    (TASKS, 400, error("invalid_parameter"), "?undocumented"),
    (TASKS, 400, error(400), "?undocumented"),
    (TASKS, 400, error(None), "?undocumented"),
    (TASKS, 400, {"error": "invalid_request"}, "?undocumented"),
    (TASKS, 400, {"code": "invalid_request", "message": "m"}, "?undocumented"),
    (TASKS, 401, error("insufficient_credits"), "?undocumented"),
    (TASKS, 402, {"code": 402, "msg": "x"}, "?undocumented"),
    (TASKS, 404, b"404 page not found", "?undocumented"),
    (TASKS, 408, error("timeout"), "?undocumented"),
    (TASKS, 409, error("conflict"), "?undocumented"),
    (TASKS, 413, b"", "?undocumented"),
    (TASKS, 429, b"", "?undocumented"),
    (TASKS, 429, error("too_many_requests"), "?undocumented"),
    (TASKS, 400, {**MODEL_REQUIRED, "data": {"taskId": TASK_ID}}, "?undocumented"),
    (TASKS, 999, b"", "?undocumented"),
    (TASKS, 100, b"", "?undocumented"),
]


@pytest.mark.parametrize(("protocol", "status", "body", "expected"), ROWS)
def test_every_answer_has_its_one_verdict(
    protocol: MediaProtocol, status: int | None, body: Any, expected: str
) -> None:
    """Reliability.md 5, step 2; a `+` marks what may be sent again, a `?` what is unknown."""
    assert told(judge(protocol, status, body)) == expected


def test_more_than_sixty_answers_meet_every_cause() -> None:
    """Issue 3 asks for sixty. An answer that never came has a test of its own below."""
    assert len(ROWS) >= 60
    assert {f"?{cause}" for cause in UnknownCause} - {row[3] for row in ROWS} == {"?no_answer"}


@pytest.mark.parametrize("position", range(len(classifier._TABLE)))
def test_no_row_of_the_table_is_idle(position: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever row goes missing, some answer is judged otherwise, or not at all."""
    table = classifier._TABLE
    monkeypatch.setattr(classifier, "_TABLE", table[:position] + table[position + 1 :])
    assert not all_agree()


@pytest.mark.parametrize("protocol", MediaProtocol)
def test_no_documented_refusal_is_idle(
    protocol: MediaProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line of the documents' error tables decides some answer."""
    own = REFUSALS[protocol] if protocol is TASKS else classifier._VIDEO_REFUSALS
    for line in own:
        left = tuple(other for other in REFUSALS[protocol] if other != line)
        monkeypatch.setattr(classifier, "REFUSALS", {**REFUSALS, protocol: left})
        assert not all_agree(), line


def all_agree() -> bool:
    try:
        for protocol, status, body, expected in ROWS:
            if told(judge(protocol, status, body)) != expected:
                return False
        lost = told(judge(TASKS, None))
        unreached = told(judge(TASKS, None, connected=False))
    except StopIteration:  # the table has a hole
        return False
    return (lost, unreached) == ("?no_answer", "ProviderUnreachable+")


def test_without_a_connection_nothing_was_created() -> None:
    """F-45: no byte left, so the same request may go again."""
    verdict = judge(TASKS, None, connected=False)
    assert told(verdict) == "ProviderUnreachable+"


def test_without_an_answer_nobody_knows() -> None:
    """F-46: the request left; whether it arrived cannot be told."""
    assert judge(TASKS, None) == Unknown(cause=UnknownCause.NO_ANSWER)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json; charset=utf-8", TASK_ID),
        ("application/problem+json", TASK_ID),
        ("text/plain", TASK_ID),
        ("", TASK_ID),
        ("text/html", "?malformed"),
        ("text/event-stream", "?malformed"),
        ("image/png", "?malformed"),
    ],
)
def test_a_page_is_no_answer_even_if_it_reads_like_one(content_type: str, expected: str) -> None:
    """F-41: HTML comes from something between us and the provider."""
    assert told(judge(TASKS, 200, CREATED, content_type=content_type)) == expected


def test_a_refusal_names_the_field_and_the_wait() -> None:
    """F-30 and F-36: what the member or the engine needs is carried along."""
    rejected = judge(TASKS, 400, MODEL_REQUIRED)
    assert isinstance(rejected, NotCreated)
    assert isinstance(rejected.error, ProviderRejected)
    assert rejected.error.field == "model"
    enveloped = judge(TASKS, 200, {"code": 400, "msg": "'prompt' is required."})
    assert isinstance(enveloped, NotCreated)
    assert isinstance(enveloped.error, ProviderRejected)
    assert enveloped.error.field == "prompt"
    limited = judge(TASKS, 429, error("rate_limit_exceeded"), retry_after_s=7.0)
    assert isinstance(limited, NotCreated)
    assert isinstance(limited.error, RateLimited)
    assert limited.retry_after_s == limited.error.retry_after_s == 7.0
    spent = judge(TASKS, 429, error("spend_limit_exceeded"), retry_after_s=7.0)
    assert isinstance(spent, NotCreated)
    assert spent.retry_after_s is None


def test_verdicts_remember_the_body_by_its_digest() -> None:
    """Reliability.md 5, step 8: a misjudged answer can be recognised later."""
    raw = b"<html>strange</html>"
    unknown = judge(TASKS, 502, raw)
    assert isinstance(unknown, Unknown)
    assert unknown.digest == hashlib.sha256(raw).hexdigest()
    assert unknown.status == 502
    refused = judge(TASKS, 402, INSUFFICIENT_CREDITS)
    assert isinstance(refused, NotCreated)
    assert refused.digest is not None


# --- Properties ------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
words = st.sampled_from([line.code for lines in REFUSALS.values() for line in lines])
names = st.sampled_from([TASK_ID, "", "../x", "a/b", 7, None, "null", "x" * 300, ["x"], "é"])
plausible = st.fixed_dictionaries(
    {},
    optional={
        "code": st.sampled_from([200, "200", 0, *ENVELOPE_WORDS, 500, 503, None, "success"]),
        "data": st.fixed_dictionaries({}, optional={"taskId": names, "id": names}) | json_values,
        "id": names,
        "taskId": names,
        "status": st.sampled_from(["queued", "failed", 3]),
        "error": st.fixed_dictionaries({"code": words}) | json_values,
    },
)
bodies = st.binary(max_size=200) | (plausible | json_values).map(lambda v: json.dumps(v).encode())
answers = st.builds(
    CreateAnswer,
    connected=st.booleans(),
    status=st.none() | st.sampled_from([200, 201, 302, 400, 402, 429, 500, 503]) | st.integers(),
    content_type=st.sampled_from(["application/json", "", "text/html"]) | st.text(max_size=20),
    body=bodies,
    retry_after_s=st.none() | st.floats(0, 100),
)


def ids_in(body: bytes, protocol: MediaProtocol) -> set[str]:
    document = json.loads(body)
    found = set()
    for path in TASK_ID_PATHS[protocol]:
        place = document
        for step in path:
            place = place.get(step) if isinstance(place, dict) else None
        if is_task_id(place):
            found.add(place)
    return found


@given(answer=answers, protocol=st.sampled_from(MediaProtocol))
def test_any_bytes_give_a_verdict_and_created_needs_a_name(
    answer: CreateAnswer, protocol: MediaProtocol
) -> None:
    """Total, never an exception; CREATED only with a well-formed name that stands in the body."""
    verdict = classify(answer, provider="aivideo", protocol=protocol)
    if isinstance(verdict, Created):
        assert answer.connected
        assert answer.status in range(200, 300)
        assert is_task_id(verdict.task_id)
        assert verdict.task_id in ids_in(answer.body, protocol)
    elif isinstance(verdict, NotCreated):
        assert isinstance(verdict.error, AtelierError)
        assert not answer.connected or answer.status is not None
        if answer.connected:
            assert answer.status not in {500, 502, 504}
            assert not 300 <= (answer.status or 0) < 400
    else:
        assert answer.connected


@given(answer=answers, protocol=st.sampled_from(MediaProtocol), code=words)
def test_an_error_is_refused_only_with_its_documented_status(
    answer: CreateAnswer, protocol: MediaProtocol, code: str
) -> None:
    """A word of the tables under another status proves nothing."""
    body = json.dumps({"error": {"code": code}}).encode()
    documented = any(
        (line.status, line.code) == (answer.status, code) for line in REFUSALS[protocol]
    )
    verdict = judge(protocol, answer.status, body)
    assert isinstance(verdict, NotCreated) == documented


@pytest.mark.parametrize("row", ROWS)
def test_what_may_be_sent_again_was_never_created(
    row: tuple[MediaProtocol, int | None, Any, str],
) -> None:
    """Only a full queue and a missing connection invite another try (F-36, F-45)."""
    verdict = judge(*row[:3])
    if isinstance(verdict, NotCreated) and verdict.retryable:
        assert isinstance(verdict.error, RateLimited)
