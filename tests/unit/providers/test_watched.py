"""The chat tells the breaker how its requests went, and asks it before them."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from bot.catalogue.loader import load
from bot.errors import (
    InvalidApiKey,
    PauseCause,
    ProviderInternalError,
    ProviderPaused,
    ProviderRejected,
)
from bot.limits import PAUSE_S, SERVER_ERRORS_MAX, UNCLEAR_MAX
from bot.providers.base import ChatAnswer, ChatRequest, Finished, FinishReason, TextDelta
from bot.providers.breaker import Breaker, BreakerState
from bot.providers.watched import WatchedChat
from tests.unit.chat.world import FakeClock, Script, ScriptedProvider

REQUEST = ChatRequest(model=next(iter(load(None).chat_models.values())), items=())
DONE = Finished(reason=FinishReason.STOP, usage=None, credits_consumed=None)
WORDS = TextDelta(text="Hello")
BROKEN = ProviderInternalError(provider="aivideo", status=500)


class Whole(ScriptedProvider):
    """Answers without streaming, too."""

    def __init__(self, answer: ChatAnswer | BaseException) -> None:
        super().__init__()
        self._answer = answer

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        self.requests.append(request)
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> Breaker:
    return Breaker("aivideo", clock, probed=True)


async def half_opened(breaker: Breaker, clock: FakeClock) -> None:
    for _ in range(SERVER_ERRORS_MAX):
        breaker.note_error(BROKEN)
    await clock.sleep(PAUSE_S)


async def read(breaker: Breaker, script: Script, *, events: int = 10) -> None:
    async with aclosing(WatchedChat(ScriptedProvider(script), breaker).stream(REQUEST)) as stream:
        async for _event in stream:
            events -= 1
            if events == 0:
                break


async def test_a_whole_answer_closes_a_half_open_breaker(
    breaker: Breaker, clock: FakeClock
) -> None:
    """S-13: a chat is a trial as good as a job."""
    await half_opened(breaker, clock)
    await read(breaker, [WORDS, DONE])
    assert breaker.snapshot().state is BreakerState.CLOSED


async def test_the_first_word_lets_the_others_in(breaker: Breaker, clock: FakeClock) -> None:
    """S-13: an answer may take minutes; an error at its end counts as ever."""
    await half_opened(breaker, clock)
    chat = WatchedChat(ScriptedProvider([WORDS, BROKEN]), breaker)
    async with aclosing(chat.stream(REQUEST)) as stream:
        await anext(stream)
        breaker.check()
        assert breaker.snapshot().state is BreakerState.CLOSED
        with pytest.raises(ProviderInternalError):
            await anext(stream)
    for _ in range(SERVER_ERRORS_MAX - 1):
        with pytest.raises(ProviderInternalError):
            await read(breaker, [WORDS, BROKEN])
    assert breaker.snapshot().state is BreakerState.OPEN


async def test_an_answer_that_we_break_off_has_shown_that_the_provider_works(
    breaker: Breaker, clock: FakeClock
) -> None:
    """Our own cut-off is no fault of the provider."""
    await half_opened(breaker, clock)
    await read(breaker, [WORDS, DONE], events=1)
    assert breaker.snapshot().state is BreakerState.CLOSED


async def test_a_stream_that_broke_before_its_first_word_leaves_the_trial(
    breaker: Breaker, clock: FakeClock
) -> None:
    """A mistake of ours says nothing of the provider: the next one may try."""
    await half_opened(breaker, clock)
    with pytest.raises(RuntimeError):
        await read(breaker, [RuntimeError()])
    assert breaker.snapshot().state is BreakerState.HALF_OPEN
    assert breaker.admit()


async def test_a_chat_goes_on_without_a_say_while_creates_are_in_doubt(
    breaker: Breaker, clock: FakeClock
) -> None:
    """S-13, section 5 point 7: only the answer to a create tells that creates are answered."""
    for _ in range(UNCLEAR_MAX):
        breaker.note_unknown()
    await read(breaker, [WORDS, DONE])
    assert breaker.snapshot().state is BreakerState.OPEN
    await clock.sleep(PAUSE_S)
    assert breaker.admit()  # the one create that tries
    answer = ChatAnswer(text="Hello", thoughts="", citations=(), finished=DONE)
    await WatchedChat(Whole(answer), breaker).complete(REQUEST)
    await read(breaker, [WORDS, DONE])
    for broken in (BROKEN, ProviderRejected(provider="aivideo", status=400), RuntimeError()):
        with pytest.raises(type(broken)):
            await read(breaker, [broken])
    assert breaker.snapshot().cause is PauseCause.UNCLEAR
    assert breaker.snapshot().state is BreakerState.HALF_OPEN
    assert not breaker.admit()
    with pytest.raises(InvalidApiKey):  # which the create will meet, too
        await read(breaker, [InvalidApiKey(provider="aivideo", status=401)])
    assert breaker.snapshot().cause is PauseCause.KEY


async def test_errors_of_streams_open_it(breaker: Breaker) -> None:
    """S-13: also those that come after the first word."""
    for _ in range(SERVER_ERRORS_MAX):
        with pytest.raises(ProviderInternalError):
            await read(breaker, [WORDS, BROKEN])
    with pytest.raises(ProviderPaused):
        await read(breaker, [])


async def test_an_answer_without_a_stream_counts_as_well(
    breaker: Breaker, clock: FakeClock
) -> None:
    """One request, one note."""
    await half_opened(breaker, clock)
    answer = ChatAnswer(text="Hello", thoughts="", citations=(), finished=DONE)
    with pytest.raises(RuntimeError):
        await WatchedChat(Whole(RuntimeError()), breaker).complete(REQUEST)
    assert await WatchedChat(Whole(answer), breaker).complete(REQUEST) is answer
    assert breaker.snapshot().state is BreakerState.CLOSED
    key = InvalidApiKey(provider="aivideo", status=401)
    with pytest.raises(InvalidApiKey):
        await WatchedChat(Whole(key), breaker).complete(REQUEST)
    assert breaker.snapshot().cause is PauseCause.KEY
