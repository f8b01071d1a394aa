"""A job's card: one container that goes from *queued* to the picture, and its row of buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass

import discord
from discord import ui

from bot.catalogue.catalogue import Catalogue
from bot.discordio.cards import ACCENTS
from bot.discordio.markdown import clean
from bot.jobs.ports import Card, Quote
from bot.limits import ALT_TEXT_CHARS_MAX, CARD_CHARS_MAX, CARD_PROMPT_CHARS_MAX
from bot.text.jobs import (
    BUTTON_LABELS,
    MOVED_HERE,
    READY_PING,
    SENT_AGAIN,
    JobAction,
    JobFacts,
    confirm_card,
    confirm_label,
    job_text,
)
from bot.text.messages import Tone
from storage.types import Job, JobKind, JobStatus, Outcome

CUSTOM_ID = r"job:(?P<action>{actions}):(?P<short_id>[0-9A-Za-z]{{8}})".format(
    actions="|".join(JobAction)
)
"""What a button says about itself: all that is needed to serve it after a restart."""
CONFIRM_ID = r"confirm:(?P<key>[0-9]{1,20})"

_LARGE = "4k"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_STYLES = {
    JobAction.RETRY: discord.ButtonStyle.primary,
    JobAction.REFUND: discord.ButtonStyle.primary,
    JobAction.DELETE: discord.ButtonStyle.danger,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a card carries beside its words.

    `files` are the names of the attachments that go along, `notes` lines about those that do not.
    `ping` mentions the owner; `moved_from` is the channel where the card could not stand;
    `is_marked` says that the message may be there twice. `is_private`: only the job's owner sees
    it, who is told what is left, too.
    """

    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ping: bool = False
    moved_from: int | None = None
    is_marked: bool = False
    is_private: bool = False


NOTHING_BESIDE = Beside()


class JobCards:
    """Builds the cards; the catalogue says which buttons make sense."""

    def __init__(self, catalogue: Catalogue, *, demo: bool = False) -> None:
        self._catalogue = catalogue
        self._demo = demo

    def view(self, card: Card, beside: Beside = NOTHING_BESIDE) -> ui.LayoutView:
        """The message for `view=`; its buttons are found by their custom ids alone."""
        job = card.job
        tone, text = job_text(
            JobFacts(
                job=job,
                model_label=card.model_label,
                prompt=short_prompt(job.prompt),
                place=card.place,
                expected_us=card.expected_us,
                error=card.error,
                available_ucr=card.available_ucr if beside.is_private else None,
                has_result=bool(card.artifacts),
                demo=self._demo,
            )
        )
        lines = [f"### {text.heading}", *text.lines, *_around(job, beside), *beside.notes]
        container = ui.Container[ui.LayoutView](accent_colour=ACCENTS[tone])
        closing = f"-# {text.closing}"
        body = "\n".join(lines)[: CARD_CHARS_MAX - len(closing) - 1]
        if beside.files:
            container.add_item(ui.TextDisplay(body))
            container.add_item(_gallery(job, beside.files))
            container.add_item(ui.TextDisplay(closing))
        else:
            container.add_item(ui.TextDisplay(f"{body}\n{closing}"))
        buttons = [job_button(action, job.short_id) for action in self.actions(card)]
        if buttons:
            container.add_item(ui.ActionRow(*buttons))
        view = ui.LayoutView(timeout=None)
        view.add_item(container)
        view.stop()
        return view

    def actions(self, card: Card) -> tuple[JobAction, ...]:
        """What its owner can do with the job now."""
        job = card.job
        if job.outcome is None:
            return {
                JobStatus.QUEUED: (JobAction.CANCEL,),
                JobStatus.UNKNOWN: (JobAction.REFUND, JobAction.RETRY),
            }.get(job.status, ())
        if job.outcome is not Outcome.SUCCEEDED and not card.artifacts:
            return (JobAction.RETRY, JobAction.EDIT, JobAction.DELETE)
        more = (self._upscale(job), self._animate(job))
        return (JobAction.AGAIN, JobAction.EDIT, *filter(None, more), JobAction.DELETE)

    def _upscale(self, job: Job) -> JobAction | None:
        """When a model of the catalogue makes 4k of a picture, and this one is not yet."""
        made = (job.request.get("options") or {}).get("resolution")
        if job.kind is not JobKind.IMAGE or str(made).casefold() == _LARGE:
            return None
        for model in self._catalogue.image_models.values():
            option = model.options.get("resolution")
            words = [str(choice).casefold() for choice in option.choices] if option else []
            if model.takes_images and _LARGE in words:
                return JobAction.UPSCALE
        return None

    def _animate(self, job: Job) -> JobAction | None:
        moving = any(model.takes_images for model in self._catalogue.video_models.values())
        return JobAction.ANIMATE if job.kind is JobKind.IMAGE and moving else None


def job_button(action: JobAction, short_id: str) -> ui.Button[ui.LayoutView]:
    """One button; its custom id holds no secret, so every press is checked."""
    return ui.Button(
        label=BUTTON_LABELS[action],
        custom_id=f"job:{action}:{short_id}",
        style=_STYLES.get(action, discord.ButtonStyle.secondary),
    )


def confirm_view(quote: Quote, *, prompt: str, key: int) -> ui.LayoutView:
    """The question about a price above the limit."""
    text = confirm_card(
        model_label=quote.model_label,
        prompt=short_prompt(prompt),
        price_ucr=quote.price_ucr,
        available_ucr=quote.available_ucr,
    )
    lines = [f"### {text.heading}", *text.lines, f"-# {text.closing}"]
    container = ui.Container[ui.LayoutView](accent_colour=ACCENTS[Tone.PLAIN])
    container.add_item(ui.TextDisplay("\n".join(lines)))
    button: ui.Button[ui.LayoutView] = ui.Button(
        label=confirm_label(quote.price_ucr),
        custom_id=f"confirm:{key}",
        style=discord.ButtonStyle.primary,
    )
    container.add_item(ui.ActionRow(button))
    view = ui.LayoutView(timeout=None)
    view.add_item(container)
    view.stop()
    return view


def short_prompt(prompt: str, chars_max: int = CARD_PROMPT_CHARS_MAX) -> str:
    """The beginning of a prompt on one line, without what cannot be seen."""
    line = " ".join(clean(prompt).split())
    return line if len(line) <= chars_max else f"{line[: chars_max - 1].rstrip()}…"


def safe_filename(name: str) -> str:
    """As Discord would rename it: `attachment://` must say the same."""
    return _UNSAFE.sub("_", name)[-100:].lstrip(".") or "result"


def _around(job: Job, beside: Beside) -> list[str]:
    lines = []
    if beside.ping:
        lines.append(READY_PING.format(user_id=job.user_id))
    if beside.moved_from is not None:
        lines.append(MOVED_HERE.format(channel_id=beside.moved_from))
    if beside.is_marked:
        lines.append(SENT_AGAIN)
    return lines


def _gallery(job: Job, files: tuple[str, ...]) -> ui.MediaGallery[ui.LayoutView]:
    told = short_prompt(job.prompt, ALT_TEXT_CHARS_MAX) or None
    return ui.MediaGallery(
        *(
            discord.MediaGalleryItem(f"attachment://{name}", description=told, spoiler=job.spoiler)
            for name in files
        )
    )
