"""An error of a picture or a video is told in their words, not in those of a chat."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot import errors
from bot.text.messages import words_for
from storage.types import JobKind

CHATTY = ("question", "mention", "/chat", "/forget", "as a file", "Ask ", "earlier message")
MAKERS: dict[str, Callable[[JobKind | None], Exception]] = {
    "empty": lambda kind: errors.PromptEmpty(kind=kind),
    "too long": lambda kind: errors.PromptTooLong(length=5_001, limit=5_000, kind=kind),
    "unknown": lambda kind: errors.ModelUnknown(model="x", known=("veo-3",), kind=kind),
    "unsupported": lambda kind: errors.AttachmentUnsupported(
        filename="x.pdf",
        content_type="application/pdf",
        model="GPT-5.4",
        accepted=("pictures",),
        kind=kind,
    ),
    "rejected": lambda kind: errors.ProviderRejected(provider="aivideo", kind=kind),
    "gone": lambda kind: errors.ModelNotFound(provider="aivideo", kind=kind),
}
every_error = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def told(error: Exception) -> str:
    words = words_for(error)
    return f"{words.heading}: {words.what} {words.advice}"


@every_error
@pytest.mark.parametrize("kind", JobKind)
def test_a_job_is_never_told_about_in_the_words_of_a_chat(
    make: Callable[[JobKind | None], Exception], kind: JobKind
) -> None:
    """Its advice is something that can be done with the command that was used."""
    shown = told(make(kind))

    assert not [chatty for chatty in CHATTY if chatty in shown]
    assert "None" not in shown
    assert shown.endswith(".")


@every_error
def test_a_question_keeps_its_own_words(make: Callable[[JobKind | None], Exception]) -> None:
    assert told(make(None)) != told(make(JobKind.IMAGE))


def test_an_unknown_video_model_leads_to_the_suggestions_of_its_own_command() -> None:
    assert "`/video`" in told(MAKERS["unknown"](JobKind.VIDEO))
    assert "veo-3" in told(MAKERS["unknown"](JobKind.VIDEO))


def test_without_any_model_no_empty_list_is_told() -> None:
    """An installation without a single key for videos."""
    shown = told(errors.ModelUnknown(model="x", known=(), kind=JobKind.VIDEO))

    assert ": ." not in shown
    assert "operator" in shown


def test_a_short_prompt_can_be_too_long_for_a_model() -> None:
    """There is no attaching it as a text file."""
    assert "The prompt has 5,001 characters; 5,000 are allowed." in told(
        MAKERS["too long"](JobKind.VIDEO)
    )


SHARED = (
    errors.NotOwner(),
    errors.RateLimited(provider="aivideo"),
    errors.AnswerLost(provider="aivideo"),
    errors.AnswerMalformed(provider="aivideo"),
    errors.ContentRefused(provider="aivideo"),
    errors.RequestInvalid(model="Veo 3.1", field="x", rule="x"),
)


@pytest.mark.parametrize("error", SHARED, ids=lambda error: type(error).__name__)
def test_words_that_chats_and_jobs_share_fit_both(error: Exception) -> None:
    shown = told(error)

    assert not [chatty for chatty in CHATTY if chatty in shown]
    assert "button" not in shown


def test_a_result_that_cannot_be_taken_is_not_always_called_no_picture() -> None:
    """Too large a file and an address that is not allowed end here, too (F-54, F-55)."""
    assert "too large" in told(errors.ResultUnusable())
    assert "address" in told(errors.ResultUnusable())
