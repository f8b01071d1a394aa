"""What stands on the card of a picture or a video, from *queued* to its end.

A card says the model and the prompt, where the job stands, and what it costs in exactly one of the
three phrases. Times are Discord's timestamps, so nothing needs an edit to stay true.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from bot.text.answers import DEMO
from bot.text.cards import CardText, moment, quoted
from bot.text.messages import Tone, words_for
from bot.text.money import NOT_CHARGED, counted, credits_text, job_payment, payment_text
from bot.text.rows import MAY_COME_LATE, mebibytes
from storage.types import Job, JobKind, JobStatus, Outcome, Sink

BAR_CELLS = 10
"""Ten cells fit beside the per cent on the narrowest phone."""

_KINDS = {JobKind.IMAGE: "picture", JobKind.VIDEO: "video"}


class JobAction(StrEnum):
    """What a button does; part of its custom id, so the words may never change."""

    CANCEL = "cancel"
    REFUND = "refund"
    RETRY = "retry"
    AGAIN = "again"
    EDIT = "edit"
    UPSCALE = "4k"
    ANIMATE = "animate"
    DELETE = "delete"


BUTTON_LABELS: Mapping[JobAction, str] = {
    JobAction.CANCEL: "Cancel",
    JobAction.REFUND: "Give my credits back now",
    JobAction.RETRY: "Try again",
    JobAction.AGAIN: "Again",
    JobAction.EDIT: "Edit prompt",
    JobAction.UPSCALE: "4K",
    JobAction.ANIMATE: "Animate",
    JobAction.DELETE: "Delete",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFacts:
    """What a card is made of beside the row. `prompt` is cleaned and cut for the heading."""

    job: Job
    model_label: str
    prompt: str
    place: int | None = None
    expected_us: int | None = None
    error: Exception | None = None
    available_ucr: int | None = None
    has_result: bool = False
    demo: bool = False


def job_text(facts: JobFacts) -> tuple[Tone, CardText]:
    """The accent and the words of one card."""
    tone, lines = _state(facts)
    return tone, CardText(heading=job_heading(facts), lines=lines, closing=_closing(facts))


def job_heading(facts: JobFacts) -> str:
    """`GPT Image 2 · a red fox`."""
    prompt = quoted(facts.prompt)
    return f"{facts.model_label} · {prompt}" if prompt else facts.model_label


def _state(facts: JobFacts) -> tuple[Tone, list[str]]:
    job = facts.job
    match job.status:
        case JobStatus.QUEUED:
            place = "" if facts.place is None else f", place {facts.place}"
            return Tone.PLAIN, [_joined(f"Queued{place}", _expected(facts))]
        case JobStatus.SUBMITTING:
            return Tone.WORKING, [_joined("On its way to the model", _expected(facts))]
        case JobStatus.RUNNING:
            return Tone.WORKING, _running(facts)
        case JobStatus.UNKNOWN:
            return Tone.REFUSED, [_unknown(job)]
        case JobStatus.FINISHED | JobStatus.DELIVERED:
            return _ended(facts)


def _running(facts: JobFacts) -> list[str]:
    job = facts.job
    started_us = job.created_us if job.submitted_us is None else job.submitted_us
    begun = moment(started_us, "R")
    if job.progress is None:
        return [_joined("In the making", f"started {begun}", _expected(facts))]
    return [progress_bar(job.progress), _joined(f"Started {begun}", _expected(facts))]


def progress_bar(percent: int) -> str:
    """`▰▰▰▱▱▱▱▱▱▱ 30 %`."""
    shown = min(max(percent, 0), 100)
    full = shown * BAR_CELLS // 100
    return f"{'▰' * full}{'▱' * (BAR_CELLS - full)} {shown} %"


def _expected(facts: JobFacts) -> str:
    if facts.expected_us is None:
        return ""
    return f"ready about {moment(facts.expected_us, 'R')}"


def _unknown(job: Job) -> str:
    """reliability.md, section 5, number 3."""
    until_us = job.grace_until_us or job.deadline_us
    return (
        "The provider's answer got lost. I will not send your request again on my own. If the "
        f"result arrives by {moment(until_us, 't')} you will get it here; otherwise your "
        f"{counted(job.price_ucr)} come back automatically."
    )


def _ended(facts: JobFacts) -> tuple[Tone, list[str]]:
    job = facts.job
    if job.late_us is not None or (job.outcome is not Outcome.SUCCEEDED and facts.has_result):
        return Tone.GOOD, [LATE]
    if job.outcome is Outcome.CANCELLED:
        return Tone.OVER, [_sentences("Cancelled.", _may_come_late(job))]
    if job.outcome is Outcome.FAILED:
        return Tone.FAILED, _failure(facts)
    return Tone.GOOD, [line for line in (_joined(_options(job), _took(job)),) if line]


def _may_come_late(job: Job) -> str:
    """For a job that was given up while nobody knew whether the provider works on it."""
    return MAY_COME_LATE if job.grace_until_us is not None else ""


def _sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


LATE = "The result came after your credits had gone back. It is yours all the same."


def _failure(facts: JobFacts) -> list[str]:
    words = words_for(facts.error or Exception())
    return [f"**{words.heading}**", f"{words.what} {words.advice}"]


def _options(job: Job) -> str:
    """`16:9 · 2k · 6 s`: what it was made with, in the catalogue's words."""
    options = job.request.get("options") or {}
    seconds = options.get("seconds")
    shown = [options.get(name) for name in ("aspect_ratio", "resolution", "mode", "size")]
    parts = [str(value) for value in shown if str(value or "auto").lower() not in _UNSAID]
    return " · ".join([*parts, *([f"{seconds} s"] if seconds else [])])


_UNSAID = frozenset({"auto", "adaptive", "normal"})
"""Choices that leave it to the model: no news on a card."""


def _took(job: Job) -> str:
    """Static: an end does not move any more."""
    if job.finished_us is None:
        return ""
    seconds = max(1, round((job.finished_us - job.created_us) / 1_000_000))
    minutes, rest = divmod(seconds, 60)
    return f"made in {minutes} min {rest} s" if minutes else f"made in {rest} s"


def _closing(facts: JobFacts) -> str:
    job = facts.job
    parts = [payment_text(job_payment(job))]
    if facts.available_ucr is not None and job.outcome is not None:
        parts.append(f"{credits_text(facts.available_ucr)} left")
    parts.append(f"job {job.short_id}")
    return " · ".join([*parts, DEMO] if facts.demo else parts)


def _joined(*parts: str) -> str:
    return " · ".join(part for part in parts if part)


# --- Beside the picture ---------------------------------------------------------------------------


def link_line(kind: JobKind, url: str, *, expires_us: int | None) -> str:
    """A result that Discord would not take, where the provider keeps it."""
    until = "" if expires_us is None else f", until {moment(expires_us, 'f')}"
    return f"[Open the {_KINDS[kind]}](<{url}>){until}"


def too_large_line(size_bytes: int, limit_bytes: int | None) -> str:
    """Why there is a link instead of a file."""
    limit = "Discord" if limit_bytes is None else f"the {mebibytes(limit_bytes)} allowed here"
    verb = "is too large for" if limit_bytes is None else "is above"
    return f"The file ({mebibytes(size_bytes)}) {verb} {limit}."


def kept_line(short_id: str) -> str:
    """A result that could not be posted, and for which there is no link."""
    return f"It waits for you: `/jobs show {short_id}`, best where larger files are allowed."


PICTURES = "pictures (PNG, JPEG, WebP, GIF)"
FILE_GONE = "The file is no longer here."
IN_DIRECT_MESSAGES = "It was sent as a direct message."
READY_PING = "<@{user_id}>, here it is."
MOVED_HERE = "I could not post it in <#{channel_id}>."
SENT_AGAIN = "(sent again after a restart)"
"""reliability.md S-7: where nobody could look whether it was there already."""


def posted_line(url: str) -> str:
    """Where the result stands already."""
    return f"[It stands here]({url})."


# --- /jobs and the question about the price -------------------------------------------------------

_STATES = {
    JobStatus.QUEUED: "queued",
    JobStatus.SUBMITTING: "being sent",
    JobStatus.RUNNING: "in the making",
    JobStatus.UNKNOWN: "waiting for the provider",
}
_OUTCOMES = {
    Outcome.SUCCEEDED: "ready",
    Outcome.FAILED: "failed",
    Outcome.CANCELLED: "cancelled",
}


def state_word(job: Job) -> str:
    """One or two words for a list."""
    if job.late_us is not None:
        return "came late"
    if job.outcome is not None:
        return _OUTCOMES[job.outcome]
    return _STATES.get(job.status, "over")


def job_line(job: Job, *, model_label: str, prompt: str) -> str:
    """One job in `/jobs list`."""
    words = quoted(prompt) or _KINDS[job.kind]
    is_kept = job.sink is Sink.LIST and job.outcome is Outcome.SUCCEEDED
    waits = " · waits here" if is_kept or job.late_us is not None else ""
    when = moment(job.created_us, "R")
    return f"`{job.short_id}` **{state_word(job)}** · {model_label} · {words} · {when}{waits}"


def job_choice(job: Job, *, model_label: str, prompt: str) -> str:
    """One job among the suggestions of a command: plain text, no Markdown there."""
    return " · ".join(part for part in (state_word(job), prompt, model_label, job.short_id) if part)


def is_cancellable(job: Job) -> bool:
    """Whether the provider cannot be at work on it, as far as anybody knows."""
    return job.outcome is None and job.status in {JobStatus.QUEUED, JobStatus.UNKNOWN}


def jobs_card(lines: list[str]) -> CardText:
    """`/jobs list`."""
    return CardText(
        heading="Your jobs",
        lines=lines or ["None yet. `/imagine` makes a picture, `/video` a video."],
        closing="`/jobs show` brings one back, `/jobs cancel` stops one that is queued."
        if lines
        else "",
    )


def cancelled_card(job: Job) -> CardText:
    """`/jobs cancel`."""
    return CardText(
        heading="Cancelled",
        lines=[
            f"Job `{job.short_id}` is off; your {counted(job.price_ucr)} are back.",
            *filter(None, (_may_come_late(job),)),
        ],
        closing=payment_text(NOT_CHARGED),
    )


def bind_card(job: Job, task_id: str) -> CardText:
    """`/jobs bind`: what was named is only a hint, as whatever calls back brings one."""
    return CardText(
        heading="I will look",
        lines=[
            f"The provider is asked about `{task_id}` in a moment.",
            f"If it belongs to job `{job.short_id}`, its result comes; if not, nothing changes.",
        ],
        closing="",
    )


def confirm_card(*, model_label: str, prompt: str, price_ucr: int, available_ucr: int) -> CardText:
    """The question above the limit; nothing was spent yet."""
    return CardText(
        heading=f"This costs {counted(price_ucr)}",
        lines=[
            f"{model_label} · {quoted(prompt)}" if prompt else model_label,
            f"You have {credits_text(available_ucr)}.",
        ],
        closing=payment_text(NOT_CHARGED),
    )


def confirm_label(price_ucr: int) -> str:
    return f"Spend {counted(price_ucr)}"


PROMPT_TITLE = "Edit prompt"
PICTURE_TITLE = "Edit this image"
ANIMATE_TITLE = "Animate this image"
PROMPT_FIELD = "What to make"
