"""HTTP with a provider: one POST, a guarded key, typed ends."""

from __future__ import annotations

import socket
import traceback

import pytest

from bot.errors import (
    AnswerLost,
    AnswerMalformed,
    ProviderError,
    ProviderInternalError,
    ProviderUnreachable,
    RateLimited,
    SpendLimitExceeded,
    StreamCut,
    UpstreamError,
)
from bot.limits import CONNECT_ATTEMPTS_MAX, GET_ATTEMPTS_MAX, RETRY_DELAY_S_MAX
from bot.providers.http import ProviderHttp, make_session
from tests.unit.providers.conftest import MakeHttp
from tests.unit.providers.support import (
    API_KEY,
    Host,
    InstantClock,
    PlainHost,
    Step,
    answers,
    cut,
    error_body,
    post,
    read_all,
    reset,
    sse,
    streams,
)

# --- What leaves -----------------------------------------------------------------------------


async def test_a_request_carries_the_key_and_json(http: ProviderHttp, host: Host) -> None:
    """Provider-docs 000: bearer key and a JSON body, to `base_url` + path."""
    host.script = [streams(sse("[DONE]"))]
    async with http.post("chat/completions", {"stream": True, "text": "é\ud800"}) as reply:
        assert await read_all(reply) == sse("[DONE]")
    (seen,) = host.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["Authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["Accept"] == "text/event-stream"
    # Half a surrogate pair cannot be written in UTF-8.
    assert seen.body == {"stream": True, "text": "é?"}


async def test_the_session_ignores_proxies_of_the_environment(
    http: ProviderHttp, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment would see the key."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    host.script = [answers({"data": {}})]
    assert await http.get("credits") == {"data": {}}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(http: ProviderHttp, host: Host, status: int) -> None:
    """F-44: the key is never sent elsewhere; the host sees one request."""
    host.script = [answers({}, status=status, headers={"Location": "/elsewhere"})]
    with pytest.raises(AnswerMalformed) as caught:
        await post(http)
    assert caught.value.status == status
    assert len(host.seen) == 1


async def test_a_path_cannot_move_the_key_to_another_origin(http: ProviderHttp) -> None:
    """Rule 4 of providers.md 3.2, as an assertion."""
    with pytest.raises(AssertionError):
        await http.get("http://127.0.0.1:9/credits")


# --- Once, or again --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (answers(error_body("internal_error"), status=500), ProviderInternalError),
        (answers(error_body("upstream_error"), status=503), UpstreamError),
        (answers(b"<html>", status=502), ProviderInternalError),
        (answers(error_body("rate_limit_exceeded"), status=429), RateLimited),
        (answers(error_body("spend_limit_exceeded"), status=429), SpendLimitExceeded),
        (reset, AnswerLost),
        (streams(sse({}), then=cut), StreamCut),
    ],
)
async def test_a_post_leaves_exactly_once(
    http: ProviderHttp, host: Host, step: Step, expected: type[ProviderError]
) -> None:
    """F-38, F-46, trap 49: other clients paid three times for one failing create."""
    host.script = [step]
    with pytest.raises(expected):
        await post(http)
    assert len(host.seen) == 1


async def test_a_post_on_a_stale_connection_is_not_sent_again(
    http: ProviderHttp, host: Host
) -> None:
    """F-46: a pooled connection that the host drops loses the answer, not twice the money."""
    host.script = [answers({}), reset]
    await post(http, stream=False)
    with pytest.raises(AnswerLost):
        await post(http, stream=False)
    assert len(host.seen) == 2
    assert host.seen[0].peer == host.seen[1].peer


@pytest.mark.parametrize(
    "step",
    [
        answers(error_body("internal_error"), status=500),
        answers(error_body("upstream_error"), status=503),
        answers(b"", status=504),
        answers(error_body("rate_limit_exceeded"), status=429),
    ],
)
async def test_a_read_is_tried_again(
    http: ProviderHttp, host: Host, clock: InstantClock, step: Step
) -> None:
    """F-39: reads may be repeated, with growing pauses."""
    host.script = [step, step, answers({"balance": 1})]
    assert await http.get("credits") == {"balance": 1}
    assert len(host.seen) == 3
    assert len(clock.slept_s) == 2
    assert 0 < clock.slept_s[0] < clock.slept_s[1] <= RETRY_DELAY_S_MAX


async def test_a_read_survives_a_reset(http: ProviderHttp, host: Host) -> None:
    """F-39; aiohttp repeats a lost read once by itself, which it never does with a POST."""
    host.script = [reset, reset, answers({"balance": 1})]
    assert await http.get("credits") == {"balance": 1}
    assert len(host.seen) == 3


async def test_a_read_gives_up_in_the_end(http: ProviderHttp, host: Host) -> None:
    """Every retry has a bound, and the last error is the one that is told."""
    host.script = [answers(error_body("internal_error"), status=500)]
    with pytest.raises(ProviderInternalError):
        await http.get("credits")
    assert len(host.seen) == GET_ATTEMPTS_MAX


@pytest.mark.parametrize("code", ["invalid_api_key", "spend_limit_exceeded", "task_not_found"])
async def test_a_read_is_not_repeated_where_that_cannot_help(
    http: ProviderHttp, host: Host, code: str
) -> None:
    """Trap 33: the spending cap of a key does not go away by asking."""
    host.script = [answers(error_body(code), status=429)]
    with pytest.raises(ProviderError):
        await http.get("credits")
    assert len(host.seen) == 1


async def test_a_read_waits_as_long_as_it_was_told(
    http: ProviderHttp, host: Host, clock: InstantClock
) -> None:
    """`Retry-After` is a lower bound of the pause."""
    slow = answers(error_body("rate_limit_exceeded"), status=429, headers={"Retry-After": "7"})
    host.script = [slow, answers({})]
    await http.get("credits")
    assert clock.slept_s == [7.0]


async def test_a_read_does_not_wait_for_minutes(http: ProviderHttp, host: Host) -> None:
    """A member is waiting: a longer `Retry-After` is told instead."""
    host.script = [
        answers(error_body("rate_limit_exceeded"), status=429, headers={"Retry-After": "60"})
    ]
    with pytest.raises(RateLimited) as caught:
        await http.get("credits")
    assert caught.value.retry_after_s == 60.0
    assert len(host.seen) == 1


async def test_a_connection_that_never_formed_is_tried_again(
    make_http: MakeHttp, clock: InstantClock
) -> None:
    """F-45: nothing has left yet, so a POST may be tried again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(ProviderUnreachable):
            await post(make_http(f"http://127.0.0.1:{port}/v1"))
    assert len(clock.slept_s) == CONNECT_ATTEMPTS_MAX - 1


async def test_a_refused_handshake_is_unreachable(host: Host, make_http: MakeHttp) -> None:
    """F-45: TLS fails before any byte of ours is read; TLS is never switched off."""
    async with PlainHost(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        with pytest.raises(ProviderUnreachable):
            await post(make_http(f"https://127.0.0.1:{port}/v1"))
    assert host.seen == []


# --- Secrets -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", b"", b"HTTP/1.1 401 No\r\n\r\n"]
)
async def test_the_key_stands_in_no_error(make_http: MakeHttp, raw: bytes) -> None:
    """Errors of aiohttp carry the request's headers; every cause is looked through."""
    async with PlainHost(raw) as port:
        http = make_http(f"http://127.0.0.1:{port}/v1")
        with pytest.raises(ProviderError) as caught:
            await post(http)
    shown = repr(http) + str(vars(http)) + "".join(traceback.format_exception(caught.value))
    error: BaseException | None = caught.value
    while error is not None:
        shown += repr(error) + str(error) + repr(error.args) + repr(vars(error))
        error = error.__cause__ or error.__context__
    assert API_KEY not in shown


async def test_the_session_keeps_no_cookies(host: Host, http: ProviderHttp) -> None:
    """A key is the only thing that a provider may know us by."""
    host.script = [answers({}, headers={"Set-Cookie": "track=1"}), answers({})]
    await http.get("credits")
    await http.get("credits")
    assert "Cookie" not in host.seen[1].headers


async def test_a_session_is_closed_by_its_owner() -> None:
    """The composition root opens and closes it."""
    async with make_session() as session:
        assert not session.closed
    assert session.closed
