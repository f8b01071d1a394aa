"""Errors that mean one thing for a question and another for a picture or a video.

Each function returns heading, what happened, advice; `kind` of the error is None for a chat.
"""

from __future__ import annotations

from bot import errors
from storage.types import JobKind

KINDS = {JobKind.IMAGE: "picture", JobKind.VIDEO: "video"}
COMMANDS = {JobKind.IMAGE: "`/imagine`", JobKind.VIDEO: "`/video`"}


def prompt_empty(error: errors.PromptEmpty) -> tuple[str, str, str]:
    if error.kind is None:
        return (
            "Nothing to answer",
            "There were no words and no file.",
            "Write what you want to know.",
        )
    thing = KINDS[error.kind]
    return (
        f"No words for the {thing}",
        "The prompt was empty.",
        f"Write what the {thing} should show.",
    )


def prompt_too_long(error: errors.PromptTooLong) -> tuple[str, str, str]:
    thing, advice = "question", "Shorten it, or attach the text as a file."
    if error.kind is not None:
        thing, advice = "prompt", "Shorten it."
    what = f"The {thing} has {error.length:,} characters; {error.limit:,} are allowed."
    return "That is too long", what, advice


def model_unknown(error: errors.ModelUnknown) -> tuple[str, str, str]:
    command = "`/chat`" if error.kind is None else COMMANDS[error.kind]
    if not error.known:
        return (
            "No such model",
            "There is no model for this here.",
            "The bot's operator can add one.",
        )
    return (
        "No such model",
        f"The models here are: {', '.join(error.known)}.",
        f"Choose one of the suggestions of {command}.",
    )


def attachment_unsupported(
    error: errors.AttachmentUnsupported, *, filename: str
) -> tuple[str, str, str]:
    """`filename` is the error's, made safe to show."""
    accepted = ", ".join(error.accepted) or "text only"
    if error.kind is None:
        return (
            "That file cannot be read",
            f"{error.model} cannot read `{filename}`. It reads: {accepted}.",
            "Attach another kind of file, or choose another model with `/chat`.",
        )
    return (
        "That file cannot be read",
        f"{COMMANDS[error.kind]} cannot begin with `{filename}`. It takes: {accepted}.",
        "Attach another kind of file, or none.",
    )


def provider_rejected(error: errors.ProviderRejected) -> tuple[str, str, str]:
    if error.kind is None:
        return (
            "The model did not accept this",
            "Something in the question, a file or an earlier message does not suit it.",
            "Ask in other words, without the file, or start over with `/forget`.",
        )
    return (
        "The model did not accept this",
        "Something in the prompt, a picture or an option does not suit it.",
        "Try other words, another picture or other options.",
    )


def model_not_found(error: errors.ModelNotFound) -> tuple[str, str, str]:
    advice = {
        None: "Choose another with `/chat`; the bot's operator can remove it from the list.",
        JobKind.VIDEO: "Choose another with `/video`; "
        "the bot's operator can remove it from the list.",
        JobKind.IMAGE: "The bot's operator can put another one in its place.",
    }[error.kind]
    return "That model is gone", "The provider no longer offers this model.", advice


def job_not_cancellable(error: errors.JobNotCancellable) -> tuple[str, str, str]:
    if error.job.outcome is not None:
        return "Too late to cancel", "This job is over.", "`/jobs show` shows how it ended."
    return (
        "Too late to cancel",
        "The provider has this job already.",
        "Wait for its end; `/jobs list` shows where it stands.",
    )
