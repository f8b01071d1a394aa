"""Cards as components: what they offer depends on the catalogue, and every word fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loader import load
from bot.discordio.choosing import choices_for, image_model, video_model
from bot.discordio.job_cards import Beside, JobCards, safe_filename, short_prompt
from bot.jobs.ports import Card
from bot.limits import CARD_CHARS_MAX
from bot.text.jobs import JobAction
from tests.unit.text.test_jobs import CANCELLED, DONE, QUEUED, RUNNING, UNKNOWN

CATALOGUE = load(None)
NO_MEDIA = replace(CATALOGUE, image_models={}, video_models={}, default_image_model=None)


def card(job: Any, **more: Any) -> Card:
    return Card(job=job, model_label="GPT Image 2", **more)


@pytest.mark.parametrize(
    ("job", "actions"),
    [
        (QUEUED, ["cancel"]),
        (RUNNING, []),
        (UNKNOWN, ["refund", "retry"]),
        (DONE, ["again", "edit", "4k", "animate", "delete"]),
        (CANCELLED, ["retry", "edit", "delete"]),
    ],
)
def test_each_state_offers_what_can_be_done(job: Any, actions: list[str]) -> None:
    assert list(JobCards(CATALOGUE).actions(card(job))) == actions


def test_without_a_model_for_it_nothing_is_offered() -> None:
    """An operator may have switched all of them off."""
    assert JobCards(NO_MEDIA).actions(card(DONE)) == (
        JobAction.AGAIN,
        JobAction.EDIT,
        JobAction.DELETE,
    )


def test_a_model_without_resolutions_makes_no_4k() -> None:
    model = next(iter(CATALOGUE.image_models.values()))
    plain = replace(model, options={})
    catalogue: Catalogue = replace(CATALOGUE, image_models={"plain": plain})

    assert JobAction.UPSCALE not in JobCards(catalogue).actions(card(DONE))


def test_a_card_of_the_longest_words_fits() -> None:
    """4,000 characters for the whole message."""
    job = replace(DONE, prompt="*" * 20_000)
    beside = Beside(files=("a.png",), notes=("x" * 3_900,), ping=True, moved_from=5)

    components = JobCards(CATALOGUE).view(card(job), beside).to_components()  # type: ignore[no-untyped-call]  # the library's own gap
    texts = [part["content"] for part in components[0]["components"] if part["type"] == 10]

    assert sum(map(len, texts)) <= CARD_CHARS_MAX
    assert "charged 4.8 credits" in texts[-1]


def test_a_prompt_in_a_heading_is_one_short_visible_line() -> None:
    """F-143: controls, zero-width characters and line breaks go."""
    assert short_prompt("a\u202e red\n\n fox\u200b") == "a red fox"
    assert len(short_prompt("x" * 500)) == 80
    assert short_prompt("x" * 500).endswith("…")


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a b.png", "a_b.png"), ("../../etc", "_.._etc"), ("", "result"), (".png", "png")],
)
def test_file_names_are_plain(name: str, safe: str) -> None:
    assert safe_filename(name) == safe


def test_without_models_nothing_completes() -> None:
    """The commands stay; their suggestions are empty."""
    assert choices_for(image_model(NO_MEDIA), "resolution", "", object()) == []
    assert video_model(NO_MEDIA, None, has_picture=True) is None
