"""What Discord offers while somebody types: models, ratios, lengths, sizes, jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from discord import app_commands

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.media import (
    MediaModel,
    choices,
    fitting_model,
    seconds_choices,
    size_choices,
)
from bot.discordio.job_cards import short_prompt
from bot.jobs.ports import Card
from bot.limits import AUTOCOMPLETE_CHOICE_CHARS_MAX, AUTOCOMPLETE_CHOICES_MAX
from bot.text.jobs import job_choice

Texts = list[app_commands.Choice[str]]


def image_model(catalogue: Catalogue) -> MediaModel | None:
    """The model of `/imagine`."""
    return catalogue.image_models.get(catalogue.default_image_model or "")


def video_model(catalogue: Catalogue, named: str | None, *, has_picture: bool) -> MediaModel | None:
    """The model that `/video` would take; None when the name is none."""
    models = catalogue.video_models
    model = models.get(named or catalogue.default_video_model or "")
    return None if model is None else fitting_model(models, model, int(has_picture))


def choices_for(model: MediaModel | None, name: str, typed: str, given: Any) -> Texts:
    """Values of one option that go with the others; `given` is the command's namespace."""
    if model is None:
        return []
    others = {
        other: value
        for other in model.options
        if other != name and isinstance(value := getattr(given, other, None), str | int) and value
    }
    return _texts((str(value) for value in choices(model, name, others)), typed)


def size_words(model: MediaModel | None, typed: str) -> Texts:
    """Sizes such as `720p 16:9`."""
    return [] if model is None else _texts(size_choices(model), typed)


def second_choices(model: MediaModel | None, typed: str) -> list[app_commands.Choice[int]]:
    """Lengths that begin with what was typed."""
    found = [] if model is None else seconds_choices(model)
    return [
        app_commands.Choice(name=f"{seconds} s", value=seconds)
        for seconds in found
        if str(seconds).startswith(typed.strip())
    ][:AUTOCOMPLETE_CHOICES_MAX]


def model_choices(models: Iterable[MediaModel], typed: str) -> Texts:
    """Models whose name contains what was typed."""
    wanted = typed.casefold()
    return [
        app_commands.Choice(name=model.label[:AUTOCOMPLETE_CHOICE_CHARS_MAX], value=model.id)
        for model in models
        if wanted in model.label.casefold() or wanted in model.id
    ][:AUTOCOMPLETE_CHOICES_MAX]


def job_choices(cards: Sequence[Card], typed: str) -> Texts:
    """Jobs whose id, model or prompt contains what was typed."""
    wanted = typed.casefold()
    named = [
        (
            card.job.short_id,
            job_choice(
                card.job, model_label=card.model_label, prompt=short_prompt(card.job.prompt)
            ),
        )
        for card in cards
    ]
    return [
        app_commands.Choice(name=name[:AUTOCOMPLETE_CHOICE_CHARS_MAX], value=short_id)
        for short_id, name in named
        if wanted in name.casefold() or wanted in short_id.casefold()
    ][:AUTOCOMPLETE_CHOICES_MAX]


def _texts(values: Iterable[str], typed: str) -> Texts:
    wanted = typed.casefold()
    return [
        app_commands.Choice(name=value, value=value)
        for value in values
        if wanted in value.casefold()
    ][:AUTOCOMPLETE_CHOICES_MAX]
