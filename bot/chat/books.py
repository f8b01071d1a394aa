"""The transactions of a turn, composed of storage bodies: all of each, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.pricing import PPM
from bot.chat.learning import Ratios, Sample, Weight, learned
from bot.chat.meter import Meter
from bot.chat.ports import Question
from bot.chat.prompt import Prompt, build, stored, turn_tokens, window_tokens_max
from bot.chat.tools import declared_tokens, searches_at_once
from bot.limits import (
    BROKEN_OUTAGE_MEMBERS,
    BROKEN_OUTAGE_S,
    BROKEN_STREAMS_FREE,
    HISTORY_TURNS_MAX,
    OUTPUT_TOKENS_FLOOR,
    OUTPUT_TOKENS_HELD,
)
from bot.providers.base import FunctionTool
from storage import ledger, token_ratios, turns, windows
from storage.database import Connection
from storage.errors import IllegalMove
from storage.types import Allowance, Cause, Hold, NewTurn, Settlement, Span, TextKind

US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A turn that may now be asked: its prompt, and the credits reserved for it.

    Price and multiplier are those of this moment (F-68), and so is what is known about tokens.
    `cost_estimate_ucr` is what a crash right now would book as the operator's loss.
    """

    question: Question
    model: ChatModel
    prompt: Prompt
    weight: Weight
    hold: Hold
    ratios: Ratios
    multiplier_ppm: int
    cost_estimate_ucr: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer that is paid: its words, the member's price, what its reports teach.

    `cost_ucr` is what the provider took for it, which is our loss should it never be booked.
    """

    text: str
    charge_ucr: int
    cost_ucr: int
    cause: Cause
    samples: tuple[Sample, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    """An answer that is not paid, and why; `loss_ucr` is what the provider took anyway.

    `shown_tokens` and `shown_ucr` (the member's price) are an estimate of what was shown of a
    stream that broke off. `is_told` when the member has seen this end already.
    """

    cause: Cause
    loss_ucr: int
    shown_tokens: int = 0
    shown_ucr: int = 0
    is_told: bool = False


def open_turn(
    connection: Connection,
    *,
    question: Question,
    model: ChatModel,
    offered: tuple[FunctionTool, ...],
    multiplier_ppm: int,
    allowance: Allowance,
    bot_name: str,
    now_us: int,
) -> Opened:
    """Window, prompt, price, hold, turn.

    Raises `Duplicate`, `InsufficientCredits`, `BudgetExhausted`.
    """
    window = turns.window(
        connection,
        channel_id=question.channel_id,
        tokens_max=window_tokens_max(model=model, question=question, bot_name=bot_name),
        turns_max=HISTORY_TURNS_MAX,
    )
    prompt = build(model=model, window=window, question=question, now_us=now_us, bot_name=bot_name)
    weight = Weight(
        text_tokens=prompt.text_tokens + declared_tokens(offered),
        media_tokens=prompt.media_tokens,
        kind=TextKind.SEARCHING if searches_at_once(model, offered) else TextKind.INPUT,
    )
    ratios = Ratios(ppm=token_ratios.of_model(connection, model=model.id))
    meter = Meter(model=model, multiplier_ppm=multiplier_ppm, ratios=ratios)
    hold = ledger.hold(
        connection,
        user_id=question.author_id,
        amount_ucr=meter.price_ucr(prompt=weight, output_tokens=OUTPUT_TOKENS_HELD),
        floor_ucr=meter.price_ucr(prompt=weight, output_tokens=OUTPUT_TOKENS_FLOOR),
        reference=question.reference,
        allowance=allowance,
        now_us=now_us,
        guild_id=question.guild_id,
    )
    meter.begin_request(weight)
    cost_estimate_ucr = meter.provider_ucr()
    turn = NewTurn(
        reference=question.reference,
        channel_id=question.channel_id,
        guild_id=question.guild_id,
        author_id=question.author_id,
        author_name=question.author_name,
        model=model.id,
        question=question.text,
        attachments=stored(question.attachments),
        cost_estimate_ucr=cost_estimate_ucr,
    )
    turns.begin(connection, turn=turn, now_us=now_us)
    return Opened(
        question=question,
        model=model,
        prompt=prompt,
        weight=weight,
        hold=hold,
        ratios=ratios,
        multiplier_ppm=multiplier_ppm,
        cost_estimate_ucr=cost_estimate_ucr,
    )


def settle_turn(
    connection: Connection,
    *,
    opened: Opened,
    answered: Answered,
    allowance: Allowance,
    now_us: int,
) -> Settlement:
    """The answer enters history in the transaction that pays for it (S-12).

    A turn that was stopped before its first word is paid but leaves nothing to remember, and
    what only one member may see is not told to the channel's next speaker. Repeated, it returns
    the first outcome, whichever that was.
    """
    question = opened.question
    reference = question.reference
    _begin_day(connection, question, allowance, now_us=now_us)
    try:
        if answered.text.strip() and not question.private:
            turns.finish(
                connection,
                reference=reference,
                answer=answered.text,
                tokens=turn_tokens(question, answered.text),
                now_us=now_us,
            )
        else:
            turns.abandon(connection, reference=reference, cause=answered.cause, now_us=now_us)
    except IllegalMove:
        return ledger.ended(connection, reference=reference, now_us=now_us)
    _learn(connection, opened.model, answered.samples, now_us=now_us)
    return ledger.settle(
        connection,
        reference=reference,
        cost_ucr=answered.charge_ucr,
        cause=answered.cause,
        now_us=now_us,
        multiplier_ppm=opened.multiplier_ppm,
    )


def end_unanswered(
    connection: Connection,
    *,
    opened: Opened,
    unanswered: Unanswered,
    allowance: Allowance,
    now_us: int,
) -> Settlement:
    """Give everything back, unless the member's abuse brake holds (S-12).

    What the provider took and nobody pays is the operator's loss. Repeated, it returns the first
    outcome, whichever that was.
    """
    question = opened.question
    _begin_day(connection, question, allowance, now_us=now_us)
    braked = _is_braked(
        connection, question, unanswered, timezone=allowance.timezone, now_us=now_us
    )
    cause = Cause.ABUSE_BRAKE if braked else unanswered.cause
    try:
        turns.abandon(
            connection,
            reference=question.reference,
            cause=cause,
            tokens=unanswered.shown_tokens,
            now_us=now_us,
        )
    except IllegalMove:
        return ledger.ended(connection, reference=question.reference, now_us=now_us)
    if unanswered.is_told:
        turns.mark_shown(connection, reference=question.reference, now_us=now_us)
    if not braked:
        return ledger.void(
            connection,
            reference=question.reference,
            cause=cause,
            loss_ucr=unanswered.loss_ucr,
            now_us=now_us,
        )
    shown_cost_ucr = unanswered.shown_ucr * PPM // opened.multiplier_ppm
    return ledger.settle(
        connection,
        reference=question.reference,
        cost_ucr=unanswered.shown_ucr,
        cause=cause,
        now_us=now_us,
        multiplier_ppm=opened.multiplier_ppm,
        loss_ucr=max(0, unanswered.loss_ucr - shown_cost_ucr),
    )


def _begin_day(
    connection: Connection, question: Question, allowance: Allowance, *, now_us: int
) -> None:
    """See that what is left after the end is what `/credits balance` tells, also past midnight."""
    ledger.balance(connection, user_id=question.author_id, allowance=allowance, now_us=now_us)


def _is_braked(
    connection: Connection,
    question: Question,
    unanswered: Unanswered,
    *,
    timezone: str,
    now_us: int,
) -> bool:
    """Whether this broken answer is paid: the fourth of its member in one day of the installation.

    Policy: only what a member could have caused, and gained by, counts. So an ending counts when
    the stream itself broke off and some words of it were shown; a restart of the bot, a provider's
    own word of failure, and a break before the first word do not. Nor do breaks in an outage,
    which are neither counted nor charged: at about that time other members' answers broke off,
    too. Alone on a server nobody can tell an outage from a trick, and the brake holds.
    """
    if unanswered.cause is not Cause.STREAM_UNFINISHED or unanswered.shown_tokens == 0:
        return False
    outage_us = int(BROKEN_OUTAGE_S * US_PER_S)
    others = turns.others_broken(
        connection, author_id=question.author_id, since_us=now_us - outage_us
    )
    if others >= BROKEN_OUTAGE_MEMBERS:
        return False
    day_starts_us, _day_ends_us = windows.window(now_us, span=Span.DAY, timezone=timezone)
    endings = turns.broken_endings(
        connection,
        author_id=question.author_id,
        since_us=day_starts_us,
        outage_us=outage_us,
        outage_members=BROKEN_OUTAGE_MEMBERS,
    )
    return endings >= BROKEN_STREAMS_FREE


def _learn(
    connection: Connection, model: ChatModel, samples: tuple[Sample, ...], *, now_us: int
) -> None:
    known = dict(token_ratios.of_model(connection, model=model.id))
    for sample in samples:
        ratio_ppm = known[sample.kind] = learned(known.get(sample.kind, PPM), sample)
        token_ratios.put(
            connection, model=model.id, kind=sample.kind, ratio_ppm=ratio_ppm, now_us=now_us
        )


def recover_turns(connection: Connection, *, now_us: int) -> tuple[int, int]:
    """End what a former process left open, uncharged (F-19): how many, and our loss (I-10)."""
    left = turns.open_turns(connection)
    for turn in left:
        turns.abandon(connection, reference=turn.reference, cause=Cause.INTERRUPTED, now_us=now_us)
        ledger.void(
            connection,
            reference=turn.reference,
            cause=Cause.INTERRUPTED,
            loss_ucr=turn.cost_estimate_ucr,
            now_us=now_us,
        )
    return len(left), sum(turn.cost_estimate_ucr for turn in left)
