"""The words on the cards of pictures and videos: one line per state, one phrase for the money."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bot import errors
from bot.text import jobs as texts
from bot.text.jobs import JobFacts, job_text
from bot.text.messages import Tone
from storage.types import Job, JobKind, JobStatus, Outcome, Sink

NOON_US = 1_763_640_000_000_000
SECOND_US = 1_000_000
PAID = re.compile(r"charged [\d,.]+ credits|not charged|[\d,.]+ credits held until <t:\d+:t>")

QUEUED = Job(
    id=1,
    short_id="3E25EMJE",
    reference="i:1",
    kind=JobKind.IMAGE,
    model="gpt-image-2",
    provider="aivideo",
    user_id=1,
    guild_id=2,
    channel_id=3,
    prompt="a red fox",
    request={"options": {"aspect_ratio": "16:9", "resolution": "2k"}},
    price_ucr=4_800_000,
    cost_ucr=4_800_000,
    multiplier_ppm=1_000_000,
    spoiler=False,
    parent_id=None,
    interaction_token="secret",
    interaction_expires_us=None,
    status=JobStatus.QUEUED,
    outcome=None,
    failure=None,
    attempt=0,
    task_id=None,
    progress=None,
    polls=0,
    created_us=NOON_US,
    submitted_us=None,
    finished_us=None,
    delivered_us=None,
    deadline_us=NOON_US + 1_800 * SECOND_US,
    due_us=NOON_US,
    grace_until_us=None,
    card_message_id=None,
    sink=None,
    charged_ucr=None,
)
RUNNING = replace(
    QUEUED, status=JobStatus.RUNNING, attempt=1, submitted_us=NOON_US + 5 * SECOND_US, task_id="t"
)
UNKNOWN = replace(
    QUEUED, status=JobStatus.UNKNOWN, attempt=1, grace_until_us=NOON_US + 600 * SECOND_US
)
DONE = replace(
    RUNNING,
    status=JobStatus.FINISHED,
    outcome=Outcome.SUCCEEDED,
    finished_us=NOON_US + 34 * SECOND_US,
    charged_ucr=4_800_000,
)
FAILED = replace(DONE, outcome=Outcome.FAILED, failure="TaskFailed", charged_ucr=0)
CANCELLED = replace(QUEUED, status=JobStatus.FINISHED, outcome=Outcome.CANCELLED, charged_ucr=0)


def facts(job: Job, **more: Any) -> JobFacts:
    return JobFacts(job=job, model_label="GPT Image 2", prompt=job.prompt, **more)


def lines(job: Job, **more: Any) -> list[str]:
    return list(job_text(facts(job, **more))[1].lines)


@pytest.mark.parametrize(
    ("job", "more", "tone", "shown"),
    [
        (QUEUED, {}, Tone.PLAIN, ["Queued"]),
        (
            QUEUED,
            {"place": 3, "expected_us": NOON_US + 40 * SECOND_US},
            Tone.PLAIN,
            ["Queued, place 3 · ready about <t:1763640040:R>"],
        ),
        (
            replace(QUEUED, status=JobStatus.SUBMITTING),
            {},
            Tone.WORKING,
            ["On its way to the model"],
        ),
        (RUNNING, {}, Tone.WORKING, ["In the making · started <t:1763640005:R>"]),
        (
            replace(RUNNING, submitted_us=None),
            {},
            Tone.WORKING,
            ["In the making · started <t:1763640000:R>"],
        ),
        (
            replace(RUNNING, progress=47),
            {"expected_us": NOON_US + 40 * SECOND_US},
            Tone.WORKING,
            ["▰▰▰▰▱▱▱▱▱▱ 47 %", "Started <t:1763640005:R> · ready about <t:1763640040:R>"],
        ),
        (DONE, {"has_result": True}, Tone.GOOD, ["16:9 · 2k · made in 34 s"]),
        (CANCELLED, {}, Tone.OVER, ["Cancelled."]),
        (FAILED, {"has_result": True}, Tone.GOOD, [texts.LATE]),
        (CANCELLED, {"has_result": True}, Tone.GOOD, [texts.LATE]),
    ],
)
def test_each_state_has_its_accent_and_its_line(
    job: Job, more: dict[str, Any], tone: Tone, shown: list[str]
) -> None:
    """Two lines at most beside the heading; times are Discord's own."""
    found = job_text(facts(job, **more))

    assert found[0] is tone
    assert found[1].lines == shown


def test_a_lost_answer_is_told_word_for_word() -> None:
    """reliability.md, section 5, number 3."""
    (told,) = lines(UNKNOWN)

    assert told == (
        "The provider's answer got lost. I will not send your request again on my own. If the "
        "result arrives by <t:1763640600:t> you will get it here; otherwise your 4.8 credits "
        "come back automatically."
    )


def test_a_failure_says_what_happened_and_who_can_mend_it() -> None:
    """The same table as everywhere."""
    heading, what = lines(FAILED, error=errors.ContentRefused(provider="aivideo"))

    assert heading == "**The model declined**"
    assert "content rules" in what
    assert what.endswith("or in other words.")


def test_a_failure_of_no_known_kind_is_ours() -> None:
    assert "Something failed" in lines(FAILED)[0]


@pytest.mark.parametrize(
    ("job", "phrase"),
    [
        (QUEUED, "4.8 credits held until <t:1763641800:t>"),
        (RUNNING, "4.8 credits held until <t:1763641800:t>"),
        (UNKNOWN, "4.8 credits held until <t:1763640600:t>"),
        (replace(UNKNOWN, grace_until_us=None), "4.8 credits held until <t:1763641800:t>"),
        (DONE, "charged 4.8 credits"),
        (FAILED, "not charged"),
        (CANCELLED, "not charged"),
        (replace(QUEUED, price_ucr=0), "not charged"),
    ],
)
def test_the_money_is_in_exactly_one_phrase_with_the_number_of_the_job(
    job: Job, phrase: str
) -> None:
    closing = job_text(facts(job))[1].closing

    assert PAID.findall(closing) == [phrase]
    assert closing.endswith("job 3E25EMJE")


def test_the_balance_is_told_at_the_end_only() -> None:
    """asks.md 15: the new balance in the receipt."""
    assert "17.6 left" in job_text(facts(DONE, available_ucr=17_600_000))[1].closing
    assert "left" not in job_text(facts(QUEUED, available_ucr=17_600_000))[1].closing


def test_a_simulated_provider_is_named() -> None:
    assert job_text(facts(DONE, demo=True))[1].closing.endswith(" · demo")


def test_a_prompt_cannot_look_like_the_card() -> None:
    """Markdown, mentions and small print of a member stay words."""
    heading = texts.job_heading(replace(facts(QUEUED), prompt="**x** <@1> -# charged [a](b)"))

    assert heading == r"GPT Image 2 · \*\*x\*\* \<@1\> -\# charged \[a\](b)"
    assert texts.job_heading(replace(facts(QUEUED), prompt="")) == "GPT Image 2"


@pytest.mark.parametrize(
    ("percent", "bar"),
    [
        (-5, "▱▱▱▱▱▱▱▱▱▱ 0 %"),
        (9, "▱▱▱▱▱▱▱▱▱▱ 9 %"),
        (100, "▰▰▰▰▰▰▰▰▰▰ 100 %"),
        (250, "▰" * 10 + " 100 %"),
    ],
)
def test_a_bar_never_leaves_its_ten_cells(percent: int, bar: str) -> None:
    assert texts.progress_bar(percent) == bar


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({"aspect_ratio": "auto", "resolution": "1k"}, "1k · made in 34 s"),
        ({"seconds": 6, "mode": "fast"}, "fast · 6 s · made in 34 s"),
        (None, "made in 34 s"),
    ],
)
def test_what_was_left_to_the_model_is_not_said(options: Any, shown: str) -> None:
    assert lines(replace(DONE, request={"options": options})) == [shown]


def test_a_long_one_took_minutes() -> None:
    job = replace(DONE, finished_us=NOON_US + 125 * SECOND_US)

    assert lines(job)[0].endswith("made in 2 min 5 s")


def test_an_end_without_a_time_says_nothing_of_it() -> None:
    """Rows of the very first version had none."""
    assert lines(replace(DONE, finished_us=None, request={})) == []


@pytest.mark.parametrize(
    ("job", "word"),
    [
        (QUEUED, "queued"),
        (replace(QUEUED, status=JobStatus.SUBMITTING), "being sent"),
        (RUNNING, "in the making"),
        (UNKNOWN, "waiting for the provider"),
        (DONE, "ready"),
        (FAILED, "failed"),
        (CANCELLED, "cancelled"),
    ],
)
def test_every_state_has_a_word_for_lists(job: Job, word: str) -> None:
    assert texts.state_word(job) == word


def test_a_line_of_the_list_names_the_job_and_where_it_waits() -> None:
    kept = replace(DONE, status=JobStatus.DELIVERED, sink=Sink.LIST)

    line = texts.job_line(kept, model_label="GPT Image 2", prompt="a *fox*")
    without_words = texts.job_line(QUEUED, model_label="GPT Image 2", prompt="")

    assert line == (
        r"`3E25EMJE` **ready** · GPT Image 2 · a \*fox\* · <t:1763640000:R> · waits here"
    )
    assert without_words == "`3E25EMJE` **queued** · GPT Image 2 · picture · <t:1763640000:R>"


@pytest.mark.parametrize("job", [FAILED, CANCELLED], ids=["failed", "cancelled"])
def test_a_late_result_is_seen_in_the_list(job: Job) -> None:
    """S-6: it waits in the list alone, so *cancelled* would hide it for good."""
    late = replace(job, late_us=NOON_US)

    line = texts.job_line(late, model_label="GPT Image 2", prompt="a fox")

    assert line.startswith("`3E25EMJE` **came late** · ")
    assert line.endswith(" · waits here")
    assert texts.job_choice(late, model_label="GPT Image 2", prompt="a fox").startswith("came late")
    assert lines(late) == [texts.LATE]


def test_where_a_result_would_wait_is_said_before_it_comes_late() -> None:
    """Only of what may have been sent; nothing can come of the rest."""
    given_up = replace(CANCELLED, grace_until_us=NOON_US)

    (cancelled,) = lines(given_up)
    assert cancelled.startswith("Cancelled.")
    assert "`/jobs list`" in cancelled
    assert "`/jobs list`" in lines(FAILED, error=errors.OutcomeUnknown())[1]
    assert "`/jobs list`" in lines(FAILED, error=errors.DeadlinePassed())[1]
    assert "`/jobs list`" in texts.cancelled_card(given_up).lines[-1]
    assert len(texts.cancelled_card(CANCELLED).lines) == 1


def test_only_what_nobody_works_on_can_be_cancelled() -> None:
    """The list of suggestions; the books decide."""
    jobs = (QUEUED, RUNNING, UNKNOWN, DONE, FAILED, CANCELLED)

    assert [texts.is_cancellable(job) for job in jobs] == [True, False, True, False, False, False]


def test_a_link_says_until_when() -> None:
    with_end = texts.link_line(JobKind.VIDEO, "https://x.example/a", expires_us=NOON_US)
    without = texts.link_line(JobKind.IMAGE, "https://x.example/a", expires_us=None)

    assert with_end == "[Open the video](<https://x.example/a>), until <t:1763640000:f>"
    assert without == "[Open the picture](<https://x.example/a>)"


def test_the_question_about_a_price_stands_without_words_too() -> None:
    """A picture alone can be animated."""
    text = texts.confirm_card(
        model_label="Veo 3.1", prompt="", price_ucr=300_000_000, available_ucr=1_000_000_000
    )

    assert text.heading == "This costs 300 credits"
    assert text.lines == ["Veo 3.1", "You have 1,000."]
    assert texts.confirm_label(300_000_000) == "Spend 300 credits"
