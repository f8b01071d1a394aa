"""Conversation history."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from storage import turns
from storage.errors import Duplicate, IllegalMove, UnknownReference
from storage.inline import InlineDatabase
from storage.types import Cause, NewTurn, OpenTurn, PastTurn, StoredAttachment

GENERAL, STUDIO = 1, 2
PICTURE = StoredAttachment(filename="cat.png", content_type="image/png")


class Channel:
    """Turns with the arguments that tests do not vary."""

    def __init__(self) -> None:
        self.database = InlineDatabase()
        self.now_us = 1_000

    def begin(self, reference: str, *, channel_id: int = GENERAL, author: str = "Mira") -> None:
        self.now_us += 1
        turn = NewTurn(
            reference=reference,
            channel_id=channel_id,
            guild_id=None,
            author_id=len(author),
            author_name=author,
            model="gpt-5-4",
            question=f"question {reference}",
            attachments=(PICTURE,),
            cost_estimate_ucr=50,
        )
        self.database.run(turns.begin, turn=turn, now_us=self.now_us)

    def finish(self, reference: str, *, tokens: int = 10) -> None:
        self.now_us += 1
        self.database.run(
            turns.finish,
            reference=reference,
            answer=f"answer {reference}",
            tokens=tokens,
            now_us=self.now_us,
        )

    def note_cost(self, reference: str, cost_ucr: int) -> None:
        self.database.run(turns.note_cost, reference=reference, cost_estimate_ucr=cost_ucr)

    def abandon(self, reference: str) -> None:
        self.database.run(
            turns.abandon, reference=reference, cause=Cause.INTERRUPTED, now_us=self.now_us
        )

    def forget(self, channel_id: int = GENERAL) -> int:
        return self.database.run(turns.forget, channel_id=channel_id, now_us=self.now_us)

    def window(
        self, *, channel_id: int = GENERAL, tokens_max: int = 1_000, turns_max: int = 100
    ) -> tuple[PastTurn, ...]:
        return self.database.view(
            turns.window, channel_id=channel_id, tokens_max=tokens_max, turns_max=turns_max
        )

    def answers(self, *, tokens_max: int = 1_000, turns_max: int = 100) -> list[str]:
        past = self.window(tokens_max=tokens_max, turns_max=turns_max)
        return [turn.answer.removeprefix("answer ") for turn in past]

    def raw(self) -> str:
        """All texts of the table in one string."""

        def rows(connection: Connection) -> str:
            return str(connection.exec_driver_sql("SELECT * FROM turns").all())

        return self.database.view(rows)


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.database.engine.dispose()


def test_a_finished_turn_is_history(channel: Channel) -> None:
    """With its author, its attachments by name, and what it weighs."""
    channel.begin("a", author="Mira")
    channel.finish("a", tokens=42)
    assert channel.window() == (
        PastTurn(
            author_id=4,
            author_name="Mira",
            question="question a",
            attachments=(PICTURE,),
            answer="answer a",
            tokens=42,
        ),
    )


def test_pending_and_abandoned_turns_are_not_history(channel: Channel) -> None:
    """S-12: never half a turn in the context."""
    channel.begin("a")
    channel.begin("b")
    channel.abandon("b")
    assert channel.window() == ()


def test_history_stands_in_the_order_of_asking(channel: Channel) -> None:
    """Oldest first, even when a later question was answered sooner."""
    for reference in "abc":
        channel.begin(reference)
    for reference in "cab":
        channel.finish(reference)
    assert channel.answers() == ["a", "b", "c"]


def test_channels_do_not_mix(channel: Channel) -> None:
    """A thread or a direct message is a channel of its own."""
    channel.begin("a", channel_id=GENERAL)
    channel.begin("b", channel_id=STUDIO)
    channel.finish("a")
    channel.finish("b")
    assert [turn.answer for turn in channel.window(channel_id=STUDIO)] == ["answer b"]


@pytest.mark.parametrize(
    ("tokens_max", "expected"),
    [(0, []), (9, []), (10, ["c"]), (29, ["c"]), (30, ["b", "c"]), (59, ["b", "c"])],
)
def test_the_window_ends_before_the_first_turn_that_does_not_fit(
    channel: Channel, tokens_max: int, expected: list[str]
) -> None:
    """Newest first and without gaps: an older small turn does not slip past a large one."""
    for reference, tokens in (("a", 5), ("big", 40), ("b", 20), ("c", 10)):
        channel.begin(reference)
        channel.finish(reference, tokens=tokens)
    assert channel.answers(tokens_max=tokens_max) == expected


def test_the_window_is_bounded_in_turns_too(channel: Channel) -> None:
    """The newest ones."""
    for reference in "abcd":
        channel.begin(reference)
        channel.finish(reference, tokens=0)
    assert channel.answers(turns_max=2) == ["c", "d"]


@pytest.mark.parametrize("end", ["pending", "finished", "abandoned", "forgotten"])
def test_a_reference_is_answered_once_for_ever(channel: Channel, end: str) -> None:
    """A message that Discord delivers twice is one turn, also after it was forgotten."""
    channel.begin("a")
    if end in {"finished", "forgotten"}:
        channel.finish("a")
    if end == "abandoned":
        channel.abandon("a")
    if end == "forgotten":
        channel.forget()
    with pytest.raises(Duplicate):
        channel.begin("a")


def test_a_turn_ends_once(channel: Channel) -> None:
    """From pending only; the error says where it is and where it should have gone."""
    channel.begin("a")
    channel.finish("a")
    channel.begin("b")
    channel.abandon("b")
    with pytest.raises(IllegalMove) as again:
        channel.finish("a")
    assert (again.value.state, again.value.move) == ("finished", "finish")
    with pytest.raises(IllegalMove):
        channel.abandon("a")
    with pytest.raises(IllegalMove):
        channel.finish("b")
    assert channel.answers() == ["a"]


def test_unknown_turns_are_named(channel: Channel) -> None:
    """Nothing can be ended or shown that never began."""
    with pytest.raises(UnknownReference):
        channel.finish("a")
    with pytest.raises(UnknownReference):
        channel.abandon("a")
    with pytest.raises(UnknownReference):
        channel.database.run(turns.show_at, reference="a", message_id=1)


def test_open_turns_say_where_their_answer_appears(channel: Channel) -> None:
    """What a restart needs to tell the members."""
    for reference in "abc":
        channel.begin(reference)
    channel.finish("b")
    channel.database.run(turns.show_at, reference="c", message_id=77)
    assert channel.database.view(turns.open_turns) == (
        OpenTurn(
            reference="a",
            channel_id=GENERAL,
            author_id=4,
            message_id=None,
            cost_estimate_ucr=50,
        ),
        OpenTurn(
            reference="c",
            channel_id=GENERAL,
            author_id=4,
            message_id=77,
            cost_estimate_ucr=50,
        ),
    )


def test_the_newest_note_of_a_turns_cost_counts(channel: Channel) -> None:
    """F-19: what a restart books as the loss; of this turn alone."""
    for reference in "ab":
        channel.begin(reference)
    for cost_ucr in (90, 70):
        channel.note_cost("a", cost_ucr)
    open_turns = channel.database.view(turns.open_turns)
    assert [turn.cost_estimate_ucr for turn in open_turns] == [70, 50]


def test_a_note_that_comes_too_late_changes_nothing(channel: Channel) -> None:
    """The turn was booked meanwhile, or never begun."""
    channel.begin("a")
    channel.finish("a")
    before = channel.raw()
    channel.note_cost("a", 90)
    channel.note_cost("b", 90)
    assert channel.raw() == before


def test_a_turn_of_a_release_without_notes_has_cost_nothing_known(channel: Channel) -> None:
    """Its column is empty."""
    channel.begin("a")
    channel.database.run(
        lambda c: c.exec_driver_sql("UPDATE turns SET cost_estimate_ucr = NULL").close()
    )
    assert channel.database.view(turns.open_turns)[0].cost_estimate_ucr == 0


def test_forgetting_erases_the_texts(channel: Channel) -> None:
    """The count is of turns that left the history; names and attachments go too."""
    for reference in "ab":
        channel.begin(reference)
        channel.finish(reference)
    assert channel.forget() == 2
    assert channel.window() == ()
    for text in ("question", "answer", "Mira", "cat.png"):
        assert text not in channel.raw()


def test_forgetting_is_for_one_channel(channel: Channel) -> None:
    """Others keep their history."""
    channel.begin("a", channel_id=STUDIO)
    channel.finish("a")
    assert channel.forget(GENERAL) == 0
    assert len(channel.window(channel_id=STUDIO)) == 1


def test_forgetting_twice_counts_once(channel: Channel) -> None:
    """There is nothing left to drop."""
    channel.begin("a")
    channel.finish("a")
    assert (channel.forget(), channel.forget()) == (1, 0)


def test_a_question_in_flight_is_forgotten_too(channel: Channel) -> None:
    """Its answer is still given and settled, but never becomes history."""
    channel.begin("a")
    assert channel.forget() == 0
    channel.finish("a")
    assert channel.window() == ()
    assert "answer" not in channel.raw()


def test_an_abandoned_question_is_erased(channel: Channel) -> None:
    """Nobody will read it again (C-40)."""
    channel.begin("a")
    channel.abandon("a")
    assert "question" not in channel.raw()


def test_odd_text_survives(channel: Channel) -> None:
    """F-143: stored as sent, from zero bytes to bidirectional overrides."""
    text = "a\x00b\u202ec \U0001f600 '; DROP TABLE turns; --"
    channel.begin("a")
    channel.database.run(turns.finish, reference="a", answer=text, tokens=1, now_us=5)
    assert channel.window()[0].answer == text
