"""What stands on the cards of commands."""

from __future__ import annotations

from bot.chat.ports import Ending, Phase
from bot.text.answers import ENDING_NOTES, PLACEHOLDERS
from bot.text.cards import Work, balance_card, forgotten_card, history_card, quoted
from storage.types import ActKind, Balance, BucketKind, BucketView, HistoryLine, JobKind

NOON_US = 1_763_640_000_000_000


def test_a_balance_of_several_sources_names_them() -> None:
    """And what is held, and when there is more."""
    balance = Balance(
        available_ucr=25_000_000,
        held_ucr=500_000,
        buckets=(
            BucketView(
                kind=BucketKind.ALLOWANCE,
                available_ucr=20_000_000,
                held_ucr=500_000,
                ends_us=NOON_US,
            ),
            BucketView(kind=BucketKind.GRANT, available_ucr=5_000_000, held_ucr=0, ends_us=None),
        ),
        allowance_resets_us=NOON_US,
    )

    assert balance_card(balance).lines == [
        "**25** to spend (20 daily allowance, 5 granted)",
        "0.5 held for answers, pictures and videos that are not finished",
        "The next allowance comes <t:1763640000:R>",
    ]


def test_what_starts_later_is_not_counted_and_has_a_line_of_its_own() -> None:
    """With the moment from which it can be spent."""
    later = BucketView(
        kind=BucketKind.BOUGHT,
        available_ucr=5_000_000,
        held_ucr=0,
        ends_us=None,
        starts_us=NOON_US,
    )
    balance = Balance(available_ucr=0, held_ucr=0, buckets=(later,), allowance_resets_us=None)

    assert balance_card(balance).lines == [
        "**0** to spend",
        "5 bought, to spend from <t:1763640000:f>",
    ]


def test_a_member_without_an_allowance_is_promised_none() -> None:
    """One line is enough."""
    balance = Balance(available_ucr=0, held_ucr=0, buckets=(), allowance_resets_us=None)

    assert balance_card(balance).lines == ["**0** to spend"]


def test_a_history_line_cannot_pose_as_another() -> None:
    """A reason is somebody's words: one line, no markup, bounded."""
    line = HistoryLine(
        id=1,
        at_us=NOON_US,
        kind=ActKind.TAKE,
        delta_ucr=-1_000_000,
        actor_id=5,
        reason="a\n**+9** [x](http://e)" + "z" * 500,
        reference="i:1",
    )
    (shown,) = history_card([line]).lines

    assert shown.startswith("<t:1763640000:d> **−1** Taken back by <@5>: a \\*\\*+9\\*\\* \\[x\\]")
    assert "\n" not in shown
    assert len(shown) < 200


def test_spending_on_a_picture_or_a_video_is_called_so() -> None:
    """With the model and the first words of the prompt, which cannot look like ours."""
    lines = [
        HistoryLine(
            id=number,
            at_us=NOON_US,
            kind=ActKind.SETTLE,
            delta_ucr=-2_400_000,
            actor_id=None,
            reason=None,
            reference=f"i:{number}",
        )
        for number in range(3)
    ]
    works = {
        "i:0": Work(kind=JobKind.IMAGE, model_label="GPT Image 2", prompt="a *red* fox"),
        "i:1": Work(kind=JobKind.VIDEO, model_label="Veo 3.1", prompt=""),
    }

    assert [line.partition("** ")[2] for line in history_card(lines, works).lines] == [
        r"Picture · GPT Image 2 · a \*red\* fox",
        "Video · Veo 3.1",
        "Answer",
    ]


def test_a_kind_without_words_is_shown_by_its_name() -> None:
    """A later version's entry, read by this one."""
    line = HistoryLine(
        id=1,
        at_us=NOON_US,
        kind="tithe",
        delta_ucr=1_000_000,
        actor_id=None,
        reason=None,
        reference="i:1",
    )

    assert history_card([line]).lines == ["<t:1763640000:d> **+1** tithe"]


def test_forgetting_counts() -> None:
    """One, many, none."""
    assert "1 question and its answer" in forgotten_card(1).lines[0]
    assert "1,200 questions and answers" in forgotten_card(1_200).lines[0]
    assert forgotten_card(0).lines[0] == "There was nothing."


def test_quoted_words_lose_their_markup() -> None:
    """They stay readable."""
    assert quoted("a  *b*\n#c") == "a \\*b\\* \\#c"


def test_every_phase_and_ending_has_words() -> None:
    """A complete answer needs none, a failed one has its notice."""
    assert set(PLACEHOLDERS) == {phase.value for phase in Phase} - {Phase.BOOKING}
    endings = {ending.value for ending in Ending}
    assert set(ENDING_NOTES) == endings - {Ending.COMPLETE, Ending.FAILED}
