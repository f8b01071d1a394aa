"""One answer while it is being made: the stream, the tools, the growing hold, Stop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.pricing import estimate_tokens
from bot.chat import tools
from bot.chat.books import Answered, Opened, Unanswered
from bot.chat.hold import GrowingHold
from bot.chat.learning import Weight
from bot.chat.meter import Meter
from bot.chat.notes import CostNotes
from bot.chat.ports import AnswerSink, Draft, Ending, Phase
from bot.chat.prompt import item_tokens, search_note
from bot.chat.surrogates import split_off
from bot.errors import (
    AnswerMalformed,
    AtelierError,
    ContentRefused,
    ProviderError,
    ProviderRejected,
    StreamCut,
    StreamStalled,
)
from bot.limits import OUTPUT_TOKENS_FLOOR, OUTPUT_TOKENS_MAX, TOOL_ROUNDS_MAX
from bot.providers.base import (
    ChatProvider,
    ChatRequest,
    Citation,
    Finished,
    FinishReason,
    Item,
    Searching,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    ToolRound,
)
from storage.errors import StorageError
from storage.types import Cause, TextKind

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """How reading ended, and what the member owes for it before the hold caps it."""

    ending: Ending
    answered: Answered


class Turn:
    """Reads one answer to its end and shows it. Books nothing: see `service.py`."""

    def __init__(
        self,
        *,
        opened: Opened,
        model: ChatModel,
        provider: ChatProvider,
        hold: GrowingHold,
        meter: Meter,
        notes: CostNotes,
        sink: AnswerSink,
        tool_context: tools.ToolContext,
    ) -> None:
        self._base: tuple[Item, ...] = opened.prompt.items
        self._prompt = opened.prompt
        self._first_weight = opened.weight
        self._model = model
        self._provider = provider
        self._hold = hold
        self._meter = meter
        self._notes = notes
        self._sink = sink
        self._tool_context = tool_context
        self._rounds: tuple[ToolRound, ...] = ()
        self._text = ""
        self._text_of_request = ""
        self._half = ""
        self._frozen: str | None = None
        self._phase = Phase.THINKING
        self._sources: dict[str, Citation] = {}
        self._began = False
        self._is_streaming = False
        self._before_request = 0

    @property
    def shown(self) -> str:
        """The answer as the member sees it."""
        return self._text if self._frozen is None else self._frozen

    @property
    def stopped(self) -> bool:
        return self._frozen is not None

    @property
    def sources(self) -> tuple[Citation, ...]:
        """What the answer cites, each address once."""
        return tuple(self._sources.values())

    def stop(self) -> None:
        """Freeze what is shown. Reading goes on, or Stop would be free generation (F-153)."""
        if self._frozen is None:
            self._frozen = self._text
            self._sink.update(Draft(text=self._frozen, phase=Phase.STOPPED))

    def unanswered(self, error: BaseException) -> Unanswered:
        """What is to be booked for an answer that failed, by our estimate (F-57).

        A request costs something once its stream has begun, even when no event came through, and
        one that we break off ourselves may have: a kill at that moment books as much.
        """
        self._meter.cut_request()
        broken_off = self._is_streaming and isinstance(error, asyncio.CancelledError)
        began = self._began or broken_off or isinstance(error, StreamCut | StreamStalled)
        cause = _cause_of(error)
        if isinstance(error, AnswerMalformed) and self._is_streaming and began:
            cause = Cause.STREAM_UNFINISHED
        return Unanswered(
            cause=cause,
            loss_ucr=self._meter.provider_ucr() if began else self._meter.spent_ucr,
            shown_tokens=estimate_tokens(self.shown) if self.shown.strip() else 0,
            shown_ucr=self._meter.shown_ucr(self.shown[self._before_request :]),
        )

    async def read(self) -> Read:
        """Ask and read until the answer has ended. Raises `ProviderError`, `RequestInvalid`.

        Also raises `InsufficientCredits` or `BudgetExhausted` when the credits ended before there
        was any text, or `StorageError` when no more could be held.
        """
        request = self._first_request()
        self._draft()
        requests_left = TOOL_ROUNDS_MAX
        while True:
            finished = await self._ask(request)
            if isinstance(finished, Ending):
                return self._cut(finished)
            self._account(finished)
            if finished.calls and request.tools and not self.stopped:
                await self._run_tools(request, finished)
            if not finished.calls or not request.tools or self.stopped:
                return self._complete(finished)
            assert requests_left > 0, "the last request offers no tools"
            request = self._follow_up(request, finished, last=requests_left == 1)
            requests_left -= 1
            if not await self._afford(request):
                return self._cut(Ending.CREDITS)

    # --- one request ----------------------------------------------------------------------

    async def _ask(self, request: ChatRequest) -> Finished | Ending:
        """Read one stream; an `Ending` when we end it before the provider does."""
        finished: Finished | None = None
        self._text_of_request = self._half = ""
        self._before_request = len(self._text)
        self._began, self._is_streaming = False, True
        async with aclosing(self._provider.stream(request)) as events:
            async for event in events:
                self._began = True
                if isinstance(event, Finished):
                    finished = event
                    break  # whatever happens to the stream now, the answer is whole
                self._take(event)
                if (ending := await self._must_end()) is not None:
                    return ending
        if finished is None:
            raise StreamCut(provider=self._model.provider)
        self._is_streaming = False
        return finished

    def _take(self, event: TextDelta | ThoughtDelta | Searching | Citation) -> None:
        if isinstance(event, TextDelta):
            if self._text and not self._text_of_request:
                self._text += "\n\n"
            words, self._half = split_off(self._half + event.text)
            self._text += words
            self._text_of_request += words
            self._meter.add(words)
            self._phase = Phase.WRITING
        elif isinstance(event, ThoughtDelta):
            self._meter.add(event.text)
            return
        elif isinstance(event, Searching):
            self._phase = Phase.SEARCHING
        else:
            if not self.stopped:
                self._sources.setdefault(event.url, event)
            return
        self._draft()

    def _draft(self) -> None:
        if not self.stopped:
            self._sink.update(Draft(text=self._text, phase=self._phase))

    async def _must_end(self) -> Ending | None:
        """I-9 without a limit on the wire: our own cut-off (reliability.md 1.7, S-12)."""
        self._notes.note(self._meter.provider_ucr())
        if not await self._hold.carries(self._meter.charge_ucr(), grow=not self.stopped):
            return Ending.CREDITS
        return Ending.LENGTH if self._meter.output_tokens >= OUTPUT_TOKENS_MAX else None

    def _account(self, finished: Finished) -> None:
        """Add the request's price; refuse what is no answer."""
        cost = self._meter.finish_request(finished)
        if cost.rejected is not None or cost.usage_rejected:
            _log.error("reported_price_rejected", fault="F-51", model=self._model.id)
        if finished.reason is FinishReason.CONTENT_FILTER:
            raise ContentRefused(provider=self._model.provider, code="content_filter")

    # --- the next request -------------------------------------------------------------------

    def _first_request(self) -> ChatRequest:
        offered = tools.offered(self._model, reader=self._tool_context.reader)
        self._meter.begin_request(self._first_weight)
        return ChatRequest(
            model=self._model,
            items=self._base,
            effort=self._model.default_effort or None,
            search=tools.searches_at_once(self._model, offered),
            tools=offered,
        )

    async def _run_tools(self, request: ChatRequest, finished: Finished) -> None:
        searches = _searches(request, finished)
        calls = tuple(call for call in finished.calls if call not in searches)
        answered = ToolRound(
            text=self._text_of_request,
            calls=calls,
            results=await tools.run_all(self._tool_context, calls),
            raw_items=finished.raw_items,
        )
        self._rounds = (*self._rounds, answered)

    def _follow_up(self, request: ChatRequest, finished: Finished, *, last: bool) -> ChatRequest:
        """The request that carries the results, or the one that searches."""
        if searches := _searches(request, finished):
            self._phase = Phase.SEARCHING
            queries = tuple(map(tools.search_query, searches))
            items = (*self._base, *search_note(queries=queries, rounds=self._rounds))
            request = replace(request, items=items, tools=(), search=True)
        else:
            self._phase = Phase.THINKING
            items = (*self._base, *self._rounds)
            request = replace(request, items=items, tools=() if last else request.tools)
        self._draft()
        return request

    async def _afford(self, request: ChatRequest) -> bool:
        """Hold enough for one request more, a short answer included."""
        added = sum(map(item_tokens, request.items[len(self._base) :]))
        weight = Weight(
            text_tokens=self._prompt.text_tokens + added + tools.declared_tokens(request.tools),
            media_tokens=self._prompt.media_tokens,
            kind=TextKind.SEARCHING if request.search else TextKind.INPUT,
        )
        more_ucr = self._meter.price_ucr(prompt=weight, output_tokens=OUTPUT_TOKENS_FLOOR)
        if not await self._hold.reserve(self._meter.charge_ucr() + more_ucr):
            return False
        self._meter.begin_request(weight)
        self._notes.note(self._meter.provider_ucr())
        return True

    # --- the end ----------------------------------------------------------------------------

    def _complete(self, finished: Finished) -> Read:
        if not self.stopped and not self._text.strip():
            # Paid for nothing is what members of other bots complain about most.
            raise AnswerMalformed(provider=self._model.provider, code="empty_answer")
        ending = Ending.LENGTH if finished.reason is FinishReason.LENGTH else Ending.COMPLETE
        return self._read(ending, Cause.ANSWERED)

    def _cut(self, ending: Ending) -> Read:
        """We ended it: what was shown is paid by our estimate, never above the hold."""
        self._meter.cut_request()
        if not self.stopped and not self._text.strip():
            if ending is Ending.LENGTH:
                raise AnswerMalformed(provider=self._model.provider, code="empty_answer")
            raise self._hold.shortage()
        if ending is Ending.CREDITS:
            ending = self._hold.ending
        _log.info("answer_cut", ending=ending, charge_ucr=self._meter.charge_ucr())
        return self._read(ending, Cause.HOLD_EXHAUSTED)

    def _read(self, ending: Ending, cause: Cause) -> Read:
        return Read(
            ending=Ending.STOPPED if self.stopped else ending,
            answered=Answered(
                text=self.shown,
                charge_ucr=self._meter.charge_ucr(),
                cost_ucr=self._meter.provider_ucr(),
                cause=cause,
                samples=self._meter.samples,
            ),
        )


def _cause_of(error: BaseException) -> Cause:
    """The closed list of asks.md 3.3."""
    if isinstance(error, ContentRefused | ProviderRejected):
        return Cause.PROVIDER_REFUSED
    if isinstance(error, StreamCut | StreamStalled):
        return Cause.STREAM_UNFINISHED
    if isinstance(error, ProviderError):
        return Cause.PROVIDER_ERROR
    if isinstance(error, AtelierError | StorageError):
        return Cause.CANCELLED
    return Cause.INTERRUPTED


def _searches(request: ChatRequest, finished: Finished) -> tuple[ToolCall, ...]:
    """The calls that ask for a web search, where one was offered."""
    if not any(tool.name == tools.SEARCH_WEB for tool in request.tools):
        return ()
    return tuple(call for call in finished.calls if call.name == tools.SEARCH_WEB)
