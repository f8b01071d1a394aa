"""Reading a task's state: the documents' samples, the words of gateways, and any JSON at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot import errors
from bot.errors import (
    AnswerMalformed,
    InvalidApiKey,
    ProviderError,
    ProviderInternalError,
    RateLimited,
    TaskNotFound,
    UpstreamError,
)
from bot.limits import TASK_URLS_MAX
from bot.providers.base import TaskState, TaskStatus
from bot.providers.task_states import STATUSES, URL_PATHS, read_task
from bot.providers.wire import parse_json
from tests.unit.providers.media_support import (
    COMPLETED,
    FAILED,
    TASK_ID,
    VIDEO_DETAILS,
    VIDEO_ERRORS,
    VIDEO_QUEUED,
    VIDEO_WITH_URL,
    open_lab,
)
from tests.unit.providers.support import answers, error_body, reset

URL = "https://cdn.example/a.mp4"
FAILED_ID = FAILED["id"]


def read(**document: Any) -> TaskState:
    state = read_task(document, provider="video")
    assert state is not None
    return state


# --- The documents' samples ----------------------------------------------------------------------


async def test_a_completed_task_is_read_as_the_document_shows_it() -> None:
    """Provider-docs 001; the inner model name is not shown (trap 31)."""
    async with open_lab(answers(COMPLETED)) as lab:
        state = await lab.tasks.get(TASK_ID)
    assert state == TaskState(
        status=TaskStatus.SUCCEEDED,
        task_id=TASK_ID,
        urls=("https://file.aivideoapi.ai/images/2026/04/05/abc123.png",),
        model="gpt-image-2",
        created_us=1_775_383_908_000_000,
    )
    assert (lab.seen[0].method, lab.seen[0].path) == ("GET", f"/v1/tasks/{TASK_ID}")


async def test_a_failed_task_is_a_state_and_no_exception() -> None:
    """Provider-docs 001: HTTP 200 with an `error` that has no type (providers.md 1.2)."""
    async with open_lab(answers(FAILED)) as lab:
        state = await lab.tasks.get(FAILED_ID)
    assert state.status is TaskStatus.FAILED
    assert (state.failure, state.code) == ("UpstreamError", "upstream_error")
    assert not state.urls


async def test_both_forms_of_a_finished_video_have_content() -> None:
    """Trap 39: one form has `url`, the other `expires_at` and no `url`; both have `/content`."""
    async with open_lab(
        answers(VIDEO_QUEUED), answers(VIDEO_WITH_URL), answers(VIDEO_DETAILS)
    ) as lab:
        queued, with_url, details = [await lab.videos.get("video_123") for _ in range(3)]
    assert (queued.status, queued.progress, queued.has_content) == (TaskStatus.RUNNING, 0, False)
    assert (with_url.urls, with_url.has_content) == (("https://example.com/video.mp4",), True)
    assert (details.urls, details.has_content) == ((), True)
    assert details.expires_us == 1_712_784_400_000_000
    assert lab.seen[0].path == "/v1/videos/video_123"


# --- Words of gateways -------------------------------------------------------------------------


@pytest.mark.parametrize("word", sorted(STATUSES))
def test_every_word_is_known_in_any_case(word: str) -> None:
    """Providers.md 3.1: trimmed, and without regard to case."""
    for spelt in (word, word.upper(), f" {word.title()}\n"):
        state = read(status=spelt)
        assert state.status is STATUSES[word]
        assert state.status_word is None


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("processing", TaskStatus.RUNNING),
        ("IN_PROGRESS", TaskStatus.RUNNING),
        ("unknown", TaskStatus.RUNNING),
        ("succeed", TaskStatus.SUCCEEDED),
        ("SUCCESS", TaskStatus.SUCCEEDED),
        ("FAILURE", TaskStatus.FAILED),
        ("canceled", TaskStatus.FAILED),
        ("refunded", TaskStatus.FAILED),
        ("dreaming", TaskStatus.RUNNING),
    ],
)
def test_the_words_mean_what_the_table_says(word: str, status: TaskStatus) -> None:
    """Trap 38, and rule 1: an unknown word means that it still runs."""
    assert read(status=word).status is status


async def test_an_unknown_word_is_logged_once() -> None:
    """F-49: one warning per word, not per poll."""
    dreaming = {"id": TASK_ID, "status": "dreaming"}
    strange = {"id": TASK_ID, "status": "so\nstrange"}
    async with open_lab(answers(dreaming), answers(dreaming), answers(strange)) as lab:
        with capture_logs() as logs:
            for _ in range(4):
                assert (await lab.tasks.get(TASK_ID)).status is TaskStatus.RUNNING
    assert [line["word"] for line in logs] == ["dreaming", "unreadable"]


@pytest.mark.parametrize("path", URL_PATHS)
def test_a_result_is_found_wherever_a_gateway_puts_it(path: tuple[str | int, ...]) -> None:
    """Providers.md 3.1, row *URL location*."""
    place: Any = [URL] if path[-1] in {"urls", "unsigned_urls"} else URL
    for step in reversed(path):
        place = [place] if isinstance(step, int) else {step: place}
    assert read(status="completed", **place).urls == (URL,)


def test_the_best_place_comes_first_and_every_address_once() -> None:
    """Rule 2: in the order of the table."""
    state = read(
        status="completed",
        urls=["https://c.example/3"],
        output={"urls": [URL, "https://b.example/2"]},
        url=URL,
    )
    assert state.urls == (URL, "https://b.example/2", "https://c.example/3")


@pytest.mark.parametrize(
    "url",
    ["data:video/mp4;base64,AAAA", "ftp://a/b", "//a/b", "file:///etc/passwd", 3, None, "", "x"],
)
def test_what_is_no_web_address_is_no_result(url: object) -> None:
    """Rule 2: http(s) only; F-48 is for the engine to handle."""
    state = read(status="completed", url=url, output={"urls": [url, URL]})
    assert state.urls == (URL,)


def test_results_are_bounded() -> None:
    """A body of results only cannot grow without end."""
    state = read(status="completed", urls=[f"https://a.example/{n}" for n in range(500)])
    assert len(state.urls) == TASK_URLS_MAX


@pytest.mark.parametrize(
    ("value", "progress"),
    [
        (40, 40),
        ("40%", 40),
        (" 12.7 % ", 12),
        (100, 100),
        (250, 100),
        (-3, 0),
        (None, None),
        ("", None),
        ("half", None),
        (True, None),
        ([], None),
        ("9" * 50, None),
    ],
)
def test_progress_is_cut_to_a_hundred_and_decides_nothing(value: Any, progress: int | None) -> None:
    """Rule 5: 100 on a running task is no success."""
    state = read(status="queued", progress=value)
    assert state.progress == progress
    assert state.status is TaskStatus.RUNNING


@pytest.mark.parametrize(
    ("value", "expected_us"),
    [
        (1_712_697_600, 1_712_697_600_000_000),
        (1_712_697_600_123, 1_712_697_600_123_000),
        (Decimal("1712697600.5"), 1_712_697_600_500_000),
        (None, None),
        ("1712697600", None),
        (-1, None),
        (10**20, None),
        (True, None),
    ],
)
def test_timestamps_are_seconds_or_milliseconds(value: Any, expected_us: int | None) -> None:
    """Providers.md 3.1, row *Timestamps*."""
    assert read(status="queued", created_at=value).created_us == expected_us


@pytest.mark.parametrize("key", ["id", "task_id", "video_id", "taskId"])
def test_a_name_is_found_under_any_of_its_keys(key: str) -> None:
    """Providers.md 3.1, row *Id*; wrapped in `data` too (rule 7)."""
    assert read(status="queued", **{key: "task_1"}).task_id == "task_1"
    assert read(code="success", data={"status": "SUCCESS", key: "task_1"}).task_id == "task_1"


@pytest.mark.parametrize(
    ("error", "failure", "code"),
    [
        ({"code": "upstream_error", "message": "m"}, "UpstreamError", "upstream_error"),
        ({"code": "content_policy_violation"}, "ContentRefused", "content_policy_violation"),
        ({"code": "invalid_request"}, "ProviderRejected", "invalid_request"),
        ({"code": "INTERNAL_ERROR"}, "ProviderInternalError", "internal_error"),
        ({"code": "never_heard_of"}, "UpstreamError", "never_heard_of"),
        ({"code": None, "type": "server_error"}, "ProviderInternalError", "server_error"),
        ({"code": 1301, "message": "m"}, "UpstreamError", "1301"),
        ({"code": "ping @everyone"}, "UpstreamError", None),
        ("it broke", "UpstreamError", None),
        (None, "UpstreamError", None),
    ],
)
def test_a_failure_becomes_one_of_our_words(error: Any, failure: str, code: str | None) -> None:
    """F-47 and F-67: a class of ours, and a code that is safe to log; no text of theirs."""
    state = read(status="failed", error=error)
    assert (state.failure, state.code) == (failure, code)
    assert issubclass(getattr(errors, failure), ProviderError)


def test_a_reported_amount_is_passed_on_unjudged() -> None:
    """F-51: the books decide what to do with nonsense."""
    assert read(status="completed", credits_consumed=Decimal("2.40")).reported_credits == Decimal(
        "2.40"
    )
    assert read(status="completed", credits_consumed="-7").reported_credits == -7
    assert read(status="completed", credits_consumed="much").reported_credits is None


# --- Roads that end ----------------------------------------------------------------------------


async def test_reads_are_repeated_where_that_helps() -> None:
    """F-39: a GET may be sent again, unlike any create."""
    trouble = answers(error_body("internal_error"), status=500)
    async with open_lab(trouble, reset, answers(COMPLETED)) as lab:
        state = await lab.tasks.get(TASK_ID)
    assert state.status is TaskStatus.SUCCEEDED
    assert len(lab.seen) == 3


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, error_body("task_not_found"), TaskNotFound),
        (401, error_body("invalid_api_key"), InvalidApiKey),
        (429, error_body("rate_limit_exceeded"), RateLimited),
        (500, VIDEO_ERRORS[500], ProviderInternalError),
        (503, error_body("upstream_error"), UpstreamError),
        (200, {"code": 401, "msg": "x"}, InvalidApiKey),
        (200, {"code": 200, "data": None}, AnswerMalformed),
        (200, {"id": TASK_ID}, AnswerMalformed),
        (200, {"id": TASK_ID, "status": 3}, AnswerMalformed),
        (200, {**COMPLETED, "id": "another-task"}, AnswerMalformed),
        (200, b"<html>", AnswerMalformed),
        (302, b"", AnswerMalformed),
    ],
)
async def test_a_read_that_tells_no_state_raises(
    status: int, body: Any, expected: type[ProviderError]
) -> None:
    """Both error tables, and F-35, F-41, F-65: a task of another name proves nothing."""
    async with open_lab(answers(body, status=status)) as lab:
        with pytest.raises(expected):
            await lab.tasks.get(TASK_ID)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"404 page not found"),
        (404, {"error": {"message": "no such video"}}),
        (400, {"code": "task_not_exist", "message": "m"}),
    ],
)
async def test_gateways_say_in_many_ways_that_a_video_is_unknown(status: int, body: Any) -> None:
    """Providers.md 3.1, row *Unknown id*."""
    async with open_lab(answers(body, status=status)) as lab:
        with pytest.raises(TaskNotFound):
            await lab.videos.get("video_123")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"object": "video"}, AnswerMalformed),
        (200, {"error": {"code": "invalid_api_key"}}, InvalidApiKey),
        (302, b"", AnswerMalformed),
        *((status, body, ProviderError) for status, body in VIDEO_ERRORS.items()),
    ],
)
async def test_a_video_read_that_tells_no_state_raises(
    status: int, body: Any, expected: type[ProviderError]
) -> None:
    """Provider-docs 004, its five bodies, and answers that are none."""
    async with open_lab(answers(body, status=status)) as lab:
        with pytest.raises(expected):
            await lab.videos.get("video_123")


@pytest.mark.parametrize("name", ["../credits", "a/b", "", "x?y", "..", "x" * 300, "a%2Fb"])
async def test_a_name_that_is_none_never_reaches_the_provider(name: str) -> None:
    """A callback's body is anybody's: its name must not steer where the key goes (F-65)."""
    async with open_lab(answers(COMPLETED)) as lab:
        for provider in (lab.tasks, lab.videos):
            with pytest.raises(TaskNotFound):
                await provider.get(name)
            with pytest.raises(TaskNotFound):
                async with provider.content(name):
                    pass
    assert not lab.seen


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
keys = st.sampled_from(
    [
        *("id", "task_id", "status", "progress", "url", "urls", "output", "data", "error", "code"),
        *("created_at", "expires_at", "model", "credits_consumed", "metadata", "task_result"),
    ]
)
documents = st.dictionaries(
    keys,
    json_values | st.sampled_from([*STATUSES, URL]) | st.dictionaries(keys, json_values),
)


@given(documents)
def test_any_json_gives_a_state_or_none(document: dict[str, Any]) -> None:
    """F-48 to F-51: wrong types anywhere never raise, and never make a success."""
    state = read_task(document, provider="video")
    if state is None:
        return
    assert state.progress is None or 0 <= state.progress <= 100
    assert (state.failure is not None) == (state.status is TaskStatus.FAILED)
    assert all(url.startswith("http") for url in state.urls)
    assert state.status is not TaskStatus.SUCCEEDED or state.status_word is None


def test_numbers_of_any_size_are_read() -> None:
    """Whole numbers beyond 4,300 digits stop Python's own reader."""
    raw = '{"status":"queued","progress":%s,"created_at":1e999999,"expires_at":%s}'
    document = parse_json(raw % ("9" * 5_000, "9" * 5_000))
    state = read_task(document, provider="video")
    assert state is not None
    assert state.progress == 100
    assert state.created_us is None
    assert state.expires_us is None
