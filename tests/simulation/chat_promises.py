"""I-7, and what I-4, I-12 and I-23 say of chats."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.books import Books, HoldRow, News, TurnRow
from tests.simulation.chat import Talks
from tests.simulation.invariants import Moment, invariant
from tests.simulation.ledger_promises import times

BROKEN_STREAMS_FREE = 3
ROUNDING_UCR = 10_000
"""I-12: 0.01 credit per call."""


@invariant("I-4", "a turn that is not over has a hold, one that is over has none", Moment.COMMIT)
def turn_holds(books: Books, news: News) -> Iterator[str]:
    references = {turn.reference for _old, turn in news.turns}
    for reference in sorted(references):
        hold, turn = books.hold_of(reference), books.turn_of(reference)
        assert turn is not None
        if hold is None or (hold.state == "open") != (turn.state == "pending"):
            yield f"turn {turn.id} {turn.state}, hold {hold.state if hold else None}"


@invariant("I-7", "a chat pays min(hold, what its terminal events told), or nothing", Moment.TALKED)
def chat_price(books: Books, talks: Talks) -> Iterator[str]:
    for turn in books.turns.values():
        hold = books.hold_of(turn.reference)
        assert hold is not None
        if hold.state == "settled":
            yield from _paid(books, talks, turn, hold)


def _paid(books: Books, talks: Talks, turn: TurnRow, hold: HoldRow) -> Iterator[str]:
    asked = talks.asked[turn.reference]
    told = [one.cost_ucr for one in asked]
    cost_ucr = sum(one or 0 for one in told)
    charge_ucr = times(cost_ucr, books.multiplier_ppm)
    paid_ucr = (hold.charged_ucr or 0) * 1_000_000 // books.multiplier_ppm + (hold.loss_ucr or 0)
    match hold.cause:
        case "answered":
            if not all(one.finished for one in asked):
                yield f"turn {turn.id}: paid without a terminal event"
            elif None not in told and hold.charged_ucr != min(hold.amount_ucr, charge_ucr):
                yield f"turn {turn.id}: charged {hold.charged_ucr} of {hold.amount_ucr}, {told}"
            elif None not in told and abs(cost_ucr - paid_ucr) > ROUNDING_UCR:
                yield f"turn {turn.id}: cost {cost_ucr}, {hold.charged_ucr} + {hold.loss_ucr}"
        case "hold_exhausted":
            pass  # we ended it: paid by our estimate, at most the hold (I-5)
        case "stream_unfinished" | "abuse_brake":
            broken = [
                one
                for one in books.turns.values()
                if one.author_id == turn.author_id
                and one.cause in {"stream_unfinished", "abuse_brake"}
                and one.id != turn.id
            ]
            if hold.charged_ucr and len(broken) < BROKEN_STREAMS_FREE:
                yield f"turn {turn.id}: charged though it broke off, after {len(broken)} others"
        case _:
            if hold.charged_ucr:
                yield f"turn {turn.id}: charged {hold.charged_ucr} for {hold.cause}"


@invariant("I-12", "an unpaid chat that had begun is the operator's loss", Moment.TALKED)
def chat_losses(books: Books, talks: Talks) -> Iterator[str]:
    for turn in books.turns.values():
        hold = books.hold_of(turn.reference)
        assert hold is not None
        if hold.state != "voided":
            continue
        known_ucr = sum(one.cost_ucr or 0 for one in talks.asked[turn.reference])
        finished = [one for one in talks.asked[turn.reference] if one.finished]
        if not talks.asked[turn.reference] and hold.loss_ucr and turn.cause != "interrupted":
            yield f"turn {turn.id}: lost {hold.loss_ucr}, and nothing was asked"
        if talks.asked[turn.reference] and turn.cause == "interrupted" and not hold.loss_ucr:
            yield f"turn {turn.id}: was asked, and nothing was lost"
        if (
            finished
            and turn.cause != "interrupted"
            and known_ucr - ROUNDING_UCR > (hold.loss_ucr or 0)
        ):
            yield f"turn {turn.id} ({turn.cause}): cost {known_ucr}, lost {hold.loss_ucr}"


@invariant("I-22", "every turn ends", Moment.TALKED)
def turns_over(books: Books, talks: Talks) -> Iterator[str]:
    del talks
    for turn in books.turns.values():
        if turn.state == "pending":
            yield f"turn {turn.id}: still pending"


@invariant("I-23", "what a member was told about a chat's charge is what was booked", Moment.TALKED)
def told_charges(books: Books, talks: Talks) -> Iterator[str]:
    for turn in books.turns.values():
        hold = books.hold_of(turn.reference)
        assert hold is not None
        for told_ucr in talks.ends[turn.reference]:
            if (told_ucr or 0) != (hold.charged_ucr or 0):
                yield f"turn {turn.id}: told {told_ucr}, charged {hold.charged_ucr}"
        if not talks.ends[turn.reference]:
            yield f"turn {turn.id}: nobody was told of its end"
