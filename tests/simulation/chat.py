"""The provider as chats meet it: streams that end well, badly or not at all, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import partial

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.pricing import formula_ucr
from bot.chat.ports import Draft, FinalAnswer
from bot.errors import (
    AnswerMalformed,
    ContentRefused,
    ProviderError,
    ProviderInternalError,
    ProviderUnreachable,
    RateLimited,
    StreamCut,
    StreamStalled,
)
from bot.providers.base import (
    ChatAnswer,
    ChatEvent,
    ChatProvider,
    ChatRequest,
    Finished,
    FinishReason,
    Message,
    TextDelta,
    TextPart,
    ToolCall,
    Usage,
)
from tests.simulation.faults import Fault
from tests.simulation.process import Process
from tests.simulation.provider import PROVIDER
from tests.simulation.scene import Scene

STALL_S = 60.0
_ODD_AMOUNTS = ("-1", "NaN", "1e30", "0.0000001")
# Made anew each time: one that is raised again and again keeps every world that it was raised in.
_REFUSALS: tuple[Callable[[], ProviderError], ...] = (
    partial(ProviderUnreachable, provider=PROVIDER),
    partial(RateLimited, provider=PROVIDER, status=429),
    partial(ProviderInternalError, provider=PROVIDER, status=500),
    partial(ContentRefused, provider=PROVIDER, code="content_filter"),
)


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request of a turn, as the provider knows it.

    `cost_ucr` is what its terminal event told, None when none was read; `is_exact` when that can
    be computed from what it said.
    """

    reference: str
    began: bool = False
    finished: bool = False
    cost_ucr: int | None = None


@dataclass(slots=True)
class Talks:
    """Every request of every turn, and every end that members were told."""

    asked: defaultdict[str, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    ends: defaultdict[str, list[int | None]] = field(default_factory=lambda: defaultdict(list))
    """By turn: what each end that was shown said about the charge; None says "not charged"."""


class ProcessChat:
    """`ChatProvider` and `Providers` of one process."""

    def __init__(self, talks: Talks, process: Process, scene: Scene) -> None:
        self._talks = talks
        self._process = process
        self._scene = scene

    def for_model(self, model: ChatModel) -> ChatProvider:
        del model
        return self

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        raise NotImplementedError  # The chat always streams.

    async def stream(self, request: ChatRequest) -> AsyncGenerator[ChatEvent, None]:
        scene, process = self._scene, self._process
        reference = _reference_of(request)
        asked = Asked(reference=reference)
        self._talks.asked[reference].append(asked)
        scene.trace("chat", f"{reference} asks {request.model.id}")
        await process.wait(0.2 + scene.rng.random() * 2.0)
        if scene.strikes(Fault.CHAT_REFUSED):
            refusal = scene.rng.choice(_REFUSALS)()
            raise refusal
        pieces = scene.rng.choice((1, 2, 4, 8, 30))
        piece = "some words of an answer " * scene.rng.choice((1, 1, 4, 60))
        ends_at = pieces + 1
        fault = scene.first(
            (Fault.STREAM_CUT, Fault.STREAM_STALLED, Fault.STREAM_ODD, Fault.STREAM_ENDLESS)
        )
        if fault is not None:
            ends_at = scene.rng.randrange(pieces + 1)
        for number in range(pieces):
            if number == ends_at:
                break
            await process.wait(0.05 + scene.rng.random() * 0.3)
            asked.began = True
            yield TextDelta(text=piece)
        if fault is Fault.STREAM_STALLED:
            await process.wait(STALL_S)
            raise StreamStalled(provider=PROVIDER, idle_s=STALL_S)
        if fault is Fault.STREAM_CUT:
            raise StreamCut(provider=PROVIDER)
        if fault is Fault.STREAM_ODD:
            raise AnswerMalformed(provider=PROVIDER, status=200)
        if fault is Fault.STREAM_ENDLESS:
            return
        finished = self._finished(request, pieces * len(piece) // 4)
        asked.finished = True
        asked.cost_ucr = _told_ucr(request.model, finished)
        scene.trace("chat", f"{reference} finished {asked.cost_ucr}")
        yield finished

    def _finished(self, request: ChatRequest, output_tokens: int) -> Finished:
        rng = self._scene.rng
        usage = Usage(input_tokens=rng.randrange(50, 3_000), output_tokens=1 + output_tokens)
        cost_ucr = formula_ucr(
            request.model, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
        )
        reported: Decimal | None = Decimal(cost_ucr) / 1_000_000
        if self._scene.strikes(Fault.ODD_AMOUNT):
            reported = Decimal(rng.choice(_ODD_AMOUNTS))
        elif rng.random() < 0.3:
            reported = None
        calls: tuple[ToolCall, ...] = ()
        if request.tools and rng.random() < 0.1:
            calls = (ToolCall(call_id="call_1", name="get_my_credits", arguments="{}"),)
        return Finished(
            reason=FinishReason.TOOL_CALLS if calls else FinishReason.STOP,
            usage=usage if reported is None or rng.random() < 0.9 else None,
            credits_consumed=reported,
            calls=calls,
        )


class Screen:
    """`AnswerSink` of one turn: the message in which its answer appears."""

    def __init__(self, talks: Talks, process: Process, scene: Scene, reference: str) -> None:
        self._talks = talks
        self._process = process
        self._scene = scene
        self._reference = reference

    def update(self, draft: Draft) -> None:
        del draft

    async def finish(self, final: FinalAnswer) -> None:
        await self._process.wait(0.05 + self._scene.rng.random())
        charged_ucr = None if final.receipt is None else final.receipt.charged_ucr
        self._talks.ends[self._reference].append(charged_ucr)
        self._scene.trace("chat", f"{self._reference} {final.ending} {charged_ucr}")
        await self._process.pause()


def _reference_of(request: ChatRequest) -> str:
    """The question ends with it."""
    for item in reversed(request.items):
        if isinstance(item, Message):
            for part in reversed(item.parts):
                if isinstance(part, TextPart) and "talk:" in part.text:
                    return part.text.rpartition("talk:")[2].split()[0]
    raise AssertionError("every question names its turn")


def _told_ucr(model: ChatModel, finished: Finished) -> int | None:
    """What its terminal event says it cost: reported if sane, else by its tokens, else nothing."""
    amount = finished.credits_consumed
    most_ucr = formula_ucr(
        model, input_tokens=model.context_tokens, output_tokens=model.context_tokens
    )
    if amount is not None and amount.is_finite() and 0 <= amount <= Decimal(most_ucr) / 1_000_000:
        return int((amount * 1_000_000).to_integral_value(ROUND_CEILING))
    if finished.usage is None:
        return None
    return formula_ucr(
        model,
        input_tokens=finished.usage.input_tokens,
        output_tokens=finished.usage.output_tokens,
    )
