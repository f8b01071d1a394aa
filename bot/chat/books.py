"""The transactions of a turn, composed of storage bodies: all of each, or nothing."""

from __future__ import annotations

from dataclasses import dataclass

from bot.catalogue.catalogue import ChatModel
from bot.catalogue.pricing import formula_ucr, hold_ucr
from bot.chat.ports import Question
from bot.chat.prompt import Prompt, build, stored, turn_tokens, window_tokens_max
from bot.limits import HISTORY_TURNS_MAX, OUTPUT_TOKENS_FLOOR, OUTPUT_TOKENS_HELD
from storage import ledger, turns
from storage.database import Connection
from storage.types import Allowance, Cause, Hold, NewTurn, OpenTurn, Settlement


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A turn that may now be asked: its prompt, and the credits reserved for it.

    `cost_estimate_ucr` is what a crash right now would book as the operator's loss.
    """

    prompt: Prompt
    hold: Hold
    cost_estimate_ucr: int


def open_turn(
    connection: Connection,
    *,
    question: Question,
    model: ChatModel,
    multiplier_ppm: int,
    allowance: Allowance,
    bot_name: str,
    now_us: int,
) -> Opened:
    """Window, prompt, price, hold, turn. Raises `Duplicate`, `InsufficientCredits`."""
    window = turns.window(
        connection,
        channel_id=question.channel_id,
        tokens_max=window_tokens_max(model=model, question=question, bot_name=bot_name),
        turns_max=HISTORY_TURNS_MAX,
    )
    prompt = build(model=model, window=window, question=question, now_us=now_us, bot_name=bot_name)

    def price_ucr(output_tokens: int) -> int:
        return hold_ucr(
            model,
            multiplier_ppm=multiplier_ppm,
            prompt_tokens=prompt.tokens,
            output_tokens=output_tokens,
        )

    hold = ledger.hold(
        connection,
        user_id=question.author_id,
        amount_ucr=price_ucr(OUTPUT_TOKENS_HELD),
        floor_ucr=price_ucr(OUTPUT_TOKENS_FLOOR),
        reference=question.reference,
        allowance=allowance,
        now_us=now_us,
    )
    cost_estimate_ucr = formula_ucr(model, input_tokens=prompt.tokens, output_tokens=0)
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
    return Opened(prompt=prompt, hold=hold, cost_estimate_ucr=cost_estimate_ucr)


def settle_turn(
    connection: Connection,
    *,
    question: Question,
    answer: str,
    charge_ucr: int,
    cause: Cause,
    now_us: int,
) -> Settlement:
    """The answer enters history in the transaction that pays for it (S-12).

    A turn that was stopped before its first word is paid but leaves nothing to remember, and
    what only one member may see is not told to the channel's next speaker.
    """
    if answer.strip() and not question.private:
        turns.finish(
            connection,
            reference=question.reference,
            answer=answer,
            tokens=turn_tokens(question, answer),
            now_us=now_us,
        )
    else:
        turns.abandon(connection, reference=question.reference, cause=cause, now_us=now_us)
    return ledger.settle(
        connection,
        reference=question.reference,
        cost_ucr=charge_ucr,
        cause=cause,
        now_us=now_us,
    )


def void_turn(
    connection: Connection, *, reference: str, cause: Cause, loss_ucr: int, now_us: int
) -> Settlement:
    """Give everything back; what the provider took anyway is the operator's loss."""
    turns.abandon(connection, reference=reference, cause=cause, now_us=now_us)
    return ledger.void(
        connection, reference=reference, cause=cause, loss_ucr=loss_ucr, now_us=now_us
    )


def recover_turns(connection: Connection, *, now_us: int) -> tuple[OpenTurn, ...]:
    """End what a former process left open, uncharged; what it cost is our loss (F-19, I-10)."""
    left = turns.open_turns(connection)
    for turn in left:
        void_turn(
            connection,
            reference=turn.reference,
            cause=Cause.INTERRUPTED,
            loss_ucr=turn.cost_estimate_ucr,
            now_us=now_us,
        )
    return left
