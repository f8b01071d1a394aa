"""One turn of a conversation, from the question to the settled answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from bot.catalogue.catalogue import Catalogue, ChatModel
from bot.catalogue.pricing import formula_ucr
from bot.chat import tools
from bot.chat.bookkeeper import Bookkeeper, Waiting
from bot.chat.books import Opened, Unanswered, recover_turns
from bot.chat.checks import check_question, cleaned
from bot.chat.hold import GrowingHold
from bot.chat.meter import Meter
from bot.chat.notes import CostNotes
from bot.chat.ports import (
    AnswerSink,
    ChannelReader,
    Draft,
    Ending,
    FinalAnswer,
    NotShown,
    Phase,
    Question,
    Receipt,
)
from bot.chat.turn import Read, Turn
from bot.clock import Clock
from bot.errors import (
    AtelierError,
    BrokenTooOften,
    Interrupted,
    NotOwner,
    Restarting,
    TooManyTurns,
    TurnOver,
    Unexpected,
)
from bot.limits import (
    BROKEN_STREAMS_FREE,
    OUTPUT_TOKENS_NOTE,
    OUTPUT_TOKENS_STEP,
    OWED_AGE_S_MAX,
    OWED_TURNS_MAX,
    SHUTDOWN_TELL_S,
    SHUTDOWN_WAIT_S,
    TURNS_PER_USER_MAX,
)
from bot.providers.base import ChatProvider
from bot.providers.breaker import Breakers
from bot.providers.watched import WatchedChat
from bot.text.money import Payment
from storage import turns
from storage.database import Store
from storage.errors import Duplicate, StorageError
from storage.types import Allowance, OwedTurn

_log = structlog.get_logger(__name__)

BOT_NAME = "Atelier"
"""What the model is told its name is."""


class Providers(Protocol):
    """Who speaks for a model."""

    def for_model(self, model: ChatModel) -> ChatProvider: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """An answer that failed: why, for its member; and what is booked."""

    error: Exception
    unanswered: Unanswered


@dataclass(slots=True)
class _Running:
    """A turn of this process, from its registration until its end is shown."""

    question: Question
    task: asyncio.Task[None] | None = None
    reading: asyncio.Task[Read] | None = None
    turn: Turn | None = None

    @property
    def is_read(self) -> bool:
        """Over for the member: showing the end may wait for Discord's rate limit for seconds."""
        return self.reading is not None and self.reading.done()


class ChatService:
    """Answers questions; every turn that was begun ends in exactly one settle or one void."""

    def __init__(
        self,
        *,
        database: Store,
        providers: Providers,
        breakers: Breakers,
        catalogue: Catalogue,
        allowance: Allowance,
        clock: Clock,
        bot_name: str = BOT_NAME,
    ) -> None:
        self._database = database
        self._providers = providers
        self._breakers = breakers
        self._catalogue = catalogue
        self._clock = clock
        self._bot_name = bot_name
        self._bookkeeper = Bookkeeper(
            database=database, catalogue=catalogue, allowance=allowance, clock=clock
        )
        self._running: dict[str, _Running] = {}
        self._closing = self._interrupted = False

    async def reply(
        self, question: Question, sink: AnswerSink, reader: ChannelReader | None = None
    ) -> None:
        """Answer into `sink`; returns when the end is shown.

        Raises before anything was paid or stored: `InvalidInput`, `Refused` (`TooManyTurns`,
        `Restarting`, `ProviderPaused`), `InsufficientCredits`, `Duplicate`, `StoreUnavailable`.
        What goes wrong later is told through `sink.finish`. Cancelling the caller does not cancel
        the turn.
        """
        question = cleaned(question)
        model = check_question(question, self._catalogue)
        if self._closing:
            raise Restarting
        breaker = self._breakers.of(model.provider)
        if not breaker.spares_chat:
            breaker.check()
        if question.reference in self._running:
            raise Duplicate(reference=question.reference)
        mine = sum(
            running.question.author_id == question.author_id and not running.is_read
            for running in self._running.values()
        )
        if mine >= TURNS_PER_USER_MAX:
            raise TooManyTurns(limit=TURNS_PER_USER_MAX)
        running = _Running(question)
        self._running[question.reference] = running
        running.task = asyncio.create_task(self._run(running, model, sink, reader))
        running.task.add_done_callback(lambda task: self._ended(question.reference, task))
        await asyncio.shield(running.task)

    def _ended(self, reference: str, task: asyncio.Task[None]) -> None:
        del self._running[reference]
        # Somebody has looked: a caller that was cancelled meanwhile will not.
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.debug("turn_not_begun", reference=reference, error=type(error).__name__)

    def stop(self, reference: str, *, user_id: int, staff: bool) -> None:
        """Freeze what is shown. Raises `NotOwner`, `TurnOver`."""
        running = self._running.get(reference)
        if running is None or running.turn is None or not self.is_running(reference):
            raise TurnOver
        if user_id != running.question.author_id and not staff:
            raise NotOwner
        running.turn.stop()

    def is_running(self, reference: str) -> bool:
        """Whether `stop` would find an answer to stop."""
        running = self._running.get(reference)
        return running is not None and running.reading is not None and not running.reading.done()

    async def forget(self, channel_id: int) -> int:
        """Drop the channel's history; how many turns that were."""
        return await self._database.transact(
            turns.forget, channel_id=channel_id, now_us=self._clock.now_us()
        )

    async def show_at(self, reference: str, message_id: int) -> None:
        """Remember where the answer appears, so that a restart can say what became of it."""
        await self._database.transact(turns.show_at, reference=reference, message_id=message_id)

    async def recover(self) -> tuple[OwedTurn, ...]:
        """At boot: void what a former process left open; all turns whose members to tell.

        Told with `told`, or again with `owed`.
        """
        now_us = self._clock.now_us()
        count, loss_ucr = await self._database.transact(recover_turns, now_us=now_us)
        if count:
            _log.warning("turns_recovered", fault="F-19", count=count, loss_ucr=loss_ucr)
        return await self.owed()

    async def owed(self) -> tuple[OwedTurn, ...]:
        """The ends that no member was shown, a day back, but for those that are on their way."""
        running = set(self._running)
        now_us = self._clock.now_us()
        since_us = now_us - round(OWED_AGE_S_MAX * 1_000_000)
        found = await self._database.read(
            turns.owed, since_us=since_us, turns_max=OWED_TURNS_MAX, now_us=now_us
        )
        running.update(self._running)
        return tuple(turn for turn in found if turn.reference not in running)

    async def told(self, reference: str) -> None:
        """The member knows how this turn ended, or cannot be told."""
        await self._bookkeeper.mark_shown(reference)

    async def close(self) -> None:
        """Take nothing new, let running turns end, interrupt those that do not (S-11).

        A running answer is read and shown on for `SHUTDOWN_WAIT_S`, and settled as ever when its
        terminal event comes. Else it has ended without one: what was shown stays, nothing is
        charged, its estimate is the operator's loss (S-12).
        """
        self._closing = True
        if tasks := self._tasks():
            _log.info("waiting_for_answers", count=len(tasks), wait_s=SHUTDOWN_WAIT_S)
            await asyncio.wait(tasks, timeout=SHUTDOWN_WAIT_S)
        self._interrupted = True
        for running in tuple(self._running.values()):
            if running.reading is not None:
                running.reading.cancel()
        self._bookkeeper.hurry()
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=SHUTDOWN_TELL_S)
        await self._bookkeeper.close()

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [running.task for running in self._running.values() if running.task is not None]

    # --- one turn -----------------------------------------------------------------------------

    async def _run(
        self,
        running: _Running,
        model: ChatModel,
        sink: AnswerSink,
        reader: ChannelReader | None,
    ) -> None:
        """Runs in its own task, which nobody cancels: only `running.reading` is ever cut."""
        question = running.question
        breaker = self._breakers.of(model.provider)
        provider = WatchedChat(self._providers.for_model(model), breaker)
        opened = await self._bookkeeper.open(
            question, model, offered=tools.offered(model, reader=reader), bot_name=self._bot_name
        )
        meter = Meter(model=model, multiplier_ppm=opened.multiplier_ppm, ratios=opened.ratios)
        hold = GrowingHold(
            amount_ucr=opened.hold.amount_ucr,
            step_ucr=meter.price_ucr(output_tokens=OUTPUT_TOKENS_STEP),
            extend=lambda amount_ucr: self._bookkeeper.extend(question.reference, amount_ucr),
        )
        notes = CostNotes(
            noted_ucr=opened.cost_estimate_ucr,
            step_ucr=formula_ucr(model, input_tokens=0, output_tokens=OUTPUT_TOKENS_NOTE),
            write=lambda cost_ucr: self._bookkeeper.note_cost(question.reference, cost_ucr),
        )
        context = tools.ToolContext(
            now_us=self._clock.now_us,
            credits=lambda: self._bookkeeper.credits_of(question.author_id),
            reader=reader,
        )
        turn = Turn(
            opened=opened,
            model=model,
            provider=provider,
            hold=hold,
            meter=meter,
            notes=notes,
            sink=sink,
            tool_context=context,
        )
        running.turn = turn
        running.reading = asyncio.create_task(turn.read())
        if self._interrupted:  # the books were slow to open: nothing is asked any more
            running.reading.cancel()
        end = await self._end_of(running.reading, turn, question.reference)
        await hold.settled()
        await notes.settled()

        def waiting(until_us: int) -> None:
            held = Payment(held_ucr=hold.amount_ucr, held_until_us=until_us)
            sink.update(Draft(text=turn.shown, phase=Phase.BOOKING, payment=held))

        final = await self._book(opened, turn, end, waiting)
        await self._show(final, sink)

    async def _end_of(
        self, reading: asyncio.Task[Read], turn: Turn, reference: str
    ) -> Read | _Failure:
        """Wait for the reader; what it raised becomes the reason why nothing is charged."""
        await asyncio.wait({reading})
        error: BaseException | None
        error = asyncio.CancelledError() if reading.cancelled() else reading.exception()
        if error is None:
            return reading.result()
        if isinstance(error, asyncio.CancelledError):
            shown: Exception = Interrupted()
        elif isinstance(error, AtelierError | StorageError):
            shown = error
        else:
            shown = Unexpected(reference=reference)
            shown.__cause__ = error
        unanswered = turn.unanswered(error)
        _log.warning(
            "turn_failed",
            reference=reference,
            error=type(error).__name__,
            facts=str(error),
            cause=unanswered.cause,
            loss_ucr=unanswered.loss_ucr,
            exc_info=error if isinstance(shown, Unexpected) else None,
        )
        return _Failure(error=shown, unanswered=unanswered)

    async def _book(
        self, opened: Opened, turn: Turn, end: Read | _Failure, waiting: Waiting
    ) -> FinalAnswer:
        """Settle or void, once; what the member is told follows from what was booked."""
        error = end.error if isinstance(end, _Failure) else None
        ending = end.ending if isinstance(end, Read) else Ending.FAILED
        booked = end.answered if isinstance(end, Read) else end.unanswered
        receipt = None
        try:
            settlement = await self._bookkeeper.end(opened, booked, waiting=waiting)
        except StorageError as unavailable:
            # Nothing will ever be charged for it, and that is what stands below every failure.
            ending, error = Ending.FAILED, error or unavailable
        else:
            receipt = Receipt(
                model_label=opened.model.label,
                charged_ucr=settlement.charged_ucr,
                available_ucr=settlement.available_ucr,
            )
            if turn.stopped:
                # What the member asked for has happened; the receipt says what it cost.
                ending, error = Ending.STOPPED, None
            elif error is not None and settlement.charged_ucr > 0:
                error = BrokenTooOften(limit=BROKEN_STREAMS_FREE)
        return FinalAnswer(
            text=turn.shown,
            ending=ending,
            sources=turn.sources,
            receipt=receipt,
            error=error,
            reference=opened.question.reference,
        )

    async def _show(self, final: FinalAnswer, sink: AnswerSink) -> None:
        """The books are closed: whatever happens here, there is nothing left to undo."""
        try:
            await sink.finish(final)
        except NotShown:  # the sink has said why; it stays owed
            return
        except Exception:  # noqa: BLE001 - told later, as whatever is owed.
            _log.exception("answer_not_shown", reference=final.reference)
            return
        try:
            await self._bookkeeper.mark_shown(final.reference)
        except StorageError as error:  # a restart in the next day would tell it once more
            _log.warning("shown_not_noted", reference=final.reference, error=repr(error))
