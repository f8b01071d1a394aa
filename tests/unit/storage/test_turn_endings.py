"""What is remembered of endings: who still has to be told, and whose streams broke."""

from __future__ import annotations

import pytest

from storage import ledger, token_ratios, turns
from storage.errors import IllegalMove, UnknownReference
from storage.inline import InlineDatabase
from storage.types import Allowance, Cause, NewTurn, OwedTurn, TextKind

MIRA, TOM, SAM = 1, 2, 3
MINUTE_US = 60_000_000
NOON_US = 1_763_640_000_000_000


class Endings:
    """Turns that are begun and ended at will."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        self.now_us = NOON_US
        self.begun = 0

    def begin(self, author_id: int = MIRA) -> str:
        self.begun += 1
        reference = f"m:{self.begun}"
        turn = NewTurn(
            reference=reference,
            channel_id=9,
            guild_id=None,
            author_id=author_id,
            author_name="Somebody",
            model="gpt-5-4",
            question="why?",
            attachments=(),
            cost_estimate_ucr=0,
        )
        self.database.run(turns.begin, turn=turn, now_us=self.now_us)
        return reference

    def break_off(
        self,
        author_id: int = MIRA,
        *,
        minute: int = 0,
        tokens: int = 10,
        cause: Cause = Cause.STREAM_UNFINISHED,
    ) -> None:
        self.database.run(
            turns.abandon,
            reference=self.begin(author_id),
            cause=cause,
            tokens=tokens,
            now_us=NOON_US + minute * MINUTE_US,
        )

    def counted(self, *, since_minute: int = -600) -> int:
        return self.database.view(
            turns.broken_endings,
            author_id=MIRA,
            since_us=NOON_US + since_minute * MINUTE_US,
            outage_us=10 * MINUTE_US,
            outage_members=2,
        )

    def owed(self) -> tuple[OwedTurn, ...]:
        return self.database.view(
            turns.owed, since_us=NOON_US - MINUTE_US, turns_max=10, now_us=NOON_US
        )


@pytest.fixture
def endings() -> Endings:
    return Endings()


def test_only_broken_answers_with_words_count(endings: Endings) -> None:
    """S-12: a break before the first word gained nothing; a restart is nobody's trick."""
    endings.break_off()
    endings.break_off(tokens=0)
    endings.break_off(cause=Cause.INTERRUPTED)
    endings.break_off(cause=Cause.ABUSE_BRAKE)
    endings.break_off(TOM)
    assert endings.counted() == 1


def test_the_day_begins_where_it_is_said(endings: Endings) -> None:
    """What broke off before it is forgiven; a clock that was set back forgives nothing."""
    for minute in (-20, 0, 20):
        endings.break_off(minute=minute)
    assert [endings.counted(since_minute=minute) for minute in (-20, -19, 1, 21)] == [3, 2, 1, 0]


@pytest.mark.parametrize(
    ("others", "counted"),
    [
        pytest.param([(TOM, 0)], 1, id="one other is no outage"),
        pytest.param([(TOM, 0), (TOM, 1)], 1, id="one other twice neither"),
        pytest.param([(TOM, -10), (SAM, 10)], 0, id="before and after"),
        pytest.param([(TOM, -11), (SAM, 0)], 1, id="too long ago"),
        pytest.param([(TOM, 0), (SAM, 11)], 1, id="too late"),
    ],
)
def test_breaks_in_an_outage_are_forgiven(
    endings: Endings, others: list[tuple[int, int]], counted: int
) -> None:
    """Whoever's answers broke around it, with words or without: it was the provider."""
    endings.break_off()
    for author_id, minute in others:
        endings.break_off(author_id, minute=minute, tokens=0)
    assert endings.counted() == counted
    found = endings.database.view(
        turns.others_broken, author_id=MIRA, since_us=NOON_US - 10 * MINUTE_US
    )
    assert found == len({author_id for author_id, minute in others if minute >= -10})


def test_an_ended_turn_is_owed_until_it_is_shown(endings: Endings) -> None:
    """F-15, F-19: with what is known of it; a running one is not over."""
    running, finished, broken = (endings.begin() for _ in range(3))
    endings.database.run(
        ledger.hold,
        user_id=MIRA,
        amount_ucr=9,
        floor_ucr=9,
        reference=finished,
        allowance=Allowance(amount_ucr=20),
        now_us=NOON_US,
    )
    endings.database.run(
        turns.finish, reference=finished, answer="yes", tokens=1, now_us=endings.now_us
    )
    settled = endings.database.run(
        ledger.settle, reference=finished, cost_ucr=7, cause=Cause.ANSWERED, now_us=NOON_US
    )
    endings.database.run(turns.show_at, reference=broken, message_id=77)
    endings.database.run(
        turns.abandon, reference=broken, cause=Cause.INTERRUPTED, now_us=endings.now_us
    )
    assert endings.owed() == (
        OwedTurn(
            reference=finished,
            channel_id=9,
            author_id=MIRA,
            message_id=None,
            answer="yes",
            charged_ucr=7,
        ),
        OwedTurn(reference=broken, channel_id=9, author_id=MIRA, message_id=77),
    )
    for reference in (running, finished, broken, "m:404"):
        endings.database.run(turns.mark_shown, reference=reference, now_us=NOON_US)
    assert endings.owed() == ()
    endings.database.run(
        turns.abandon, reference=running, cause=Cause.INTERRUPTED, now_us=endings.now_us
    )
    assert [turn.reference for turn in endings.owed()] == [running]
    ended = endings.database.run(ledger.ended, reference=finished, now_us=NOON_US)
    assert ended == settled


def test_what_ended_long_ago_is_not_owed(endings: Endings) -> None:
    """Nobody waits for it any more."""
    endings.break_off(minute=-2)
    assert endings.owed() == ()


def test_an_open_hold_has_not_ended(endings: Endings) -> None:
    """Nor has one that never was."""
    endings.database.run(
        ledger.hold,
        user_id=MIRA,
        amount_ucr=0,
        floor_ucr=0,
        reference="m:1",
        allowance=Allowance(amount_ucr=0),
        now_us=NOON_US,
    )
    with pytest.raises(IllegalMove):
        endings.database.run(ledger.ended, reference="m:1", now_us=NOON_US)
    with pytest.raises(UnknownReference):
        endings.database.run(ledger.ended, reference="m:2", now_us=NOON_US)


def test_ratios_are_kept_by_model_and_kind() -> None:
    """The newest counts; nothing is known at first."""
    database = InlineDatabase()
    assert database.view(token_ratios.of_model, model="gpt-5-4") == {}
    for model, kind, ratio_ppm in (
        ("gpt-5-4", TextKind.INPUT, 700_000),
        ("gpt-5-4", TextKind.INPUT, 800_000),
        ("gpt-5-4", TextKind.OUTPUT, 2_000_000),
        ("other", TextKind.INPUT, 1),
    ):
        database.run(token_ratios.put, model=model, kind=kind, ratio_ppm=ratio_ppm, now_us=1)
    assert database.view(token_ratios.of_model, model="gpt-5-4") == {
        TextKind.INPUT: 800_000,
        TextKind.OUTPUT: 2_000_000,
    }
    counts = database.view(
        lambda c: c.exec_driver_sql("SELECT sum(samples) FROM token_ratios").scalar_one()
    )
    assert counts == 4
