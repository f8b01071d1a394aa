"""One more job from a former one: again, with other words, larger, moving. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.media import MediaModel, OptionValue, choices
from bot.catalogue.media_checks import MediaFault
from bot.errors import RequestInvalid, ResultUnavailable
from bot.jobs.orders import Available, changed_options, models_of
from bot.jobs.ports import Order
from storage.types import Artifact, Job, JobKind

RESOLUTION = "resolution"
ASPECT_RATIO = "aspect_ratio"
LARGE = "4k"


class Variation(StrEnum):
    """What a button under a result makes of it."""

    AGAIN = "again"
    """The same request once more, with what was changed in it (*Edit prompt*)."""
    LARGE = "4k"
    """The result once more in 4k, as its own reference picture."""
    ANIMATE = "animate"
    """A video that begins with the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Who pressed a button, where; `reference` (`i:<interaction id>`) makes it happen once.

    `staff` is meant for the server `guild_id`: it opens nobody's jobs in other servers.
    """

    reference: str
    user_id: int
    staff: bool
    guild_id: int | None
    channel_id: int
    age_restricted: bool = False
    interaction_token: str | None = field(default=None, repr=False)
    interaction_expires_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs from the former job. None keeps what it had.

    `image_urls` are the result's signed CDN addresses as Discord shows them now; without them the
    provider's own address of the result is used while it lives. `size` is the result's width and
    height in pixels, where Discord tells them.
    """

    prompt: str | None = None
    options: Mapping[str, OptionValue | None] | None = None
    image_urls: tuple[str, ...] | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Former:
    """The job to vary, and what it made."""

    job: Job
    artifacts: tuple[Artifact, ...]


def vary(
    former: Former,
    variation: Variation,
    changes: Changes,
    press: Press,
    *,
    catalogue: Catalogue,
    available: Available,
    now_us: int,
) -> Order:
    """Return the order for it, to be quoted and requested as any other.

    Raises `ResultUnavailable` when the result it builds on has no address any more, and
    `RequestInvalid` when no model can do it.
    """
    job = former.job
    base = Order(
        reference=press.reference,
        kind=job.kind,
        user_id=press.user_id,
        guild_id=press.guild_id,
        channel_id=press.channel_id,
        prompt=job.prompt if changes.prompt is None else changes.prompt,
        spoiler=job.spoiler,
        age_restricted=press.age_restricted,
        interaction_token=press.interaction_token,
        interaction_expires_us=press.interaction_expires_us,
        parent_id=job.id,
    )
    match variation:
        case Variation.AGAIN:
            return _again(former, changes, base, catalogue)
        case Variation.LARGE:
            return _large(former, changes, base, catalogue, available=available, now_us=now_us)
        case Variation.ANIMATE:
            return _animate(former, changes, base, now_us)


def _again(former: Former, changes: Changes, base: Order, catalogue: Catalogue) -> Order:
    job = former.job
    urls = request_images(job) if changes.image_urls is None else changes.image_urls
    model = models_of(job.kind, catalogue).get(job.model)
    if model is None:  # it has left the catalogue: the default takes its place, with its own ways
        return _with(base, image_urls=urls, options=dict(changes.options or {}))
    options = changed_options(model, request_options(job), changes.options or {})
    return _with(base, model_id=model.id, image_urls=urls, options=options)


def _large(
    former: Former,
    changes: Changes,
    base: Order,
    catalogue: Catalogue,
    *,
    available: Available,
    now_us: int,
) -> Order:
    job = former.job
    if job.kind is not JobKind.IMAGE:
        raise RequestInvalid(model=job.model, field=RESOLUTION, rule=MediaFault.UNSUPPORTED)
    model = _large_model(job, catalogue, available)
    options = changed_options(model, request_options(job), changes.options or {})
    options[RESOLUTION] = _choice_4k(model)
    ratios = choices(model, ASPECT_RATIO, {RESOLUTION: _choice_4k(model) or LARGE})
    if ratios:
        present = _ratio(changes.size) or _ratio_of(options.get(ASPECT_RATIO))
        options[ASPECT_RATIO] = _nearest(tuple(str(ratio) for ratio in ratios), present)
    return _with(
        base,
        model_id=model.id,
        image_urls=_result(former, changes, now_us),
        images_are_links=not changes.image_urls,
        options=options,
    )


def _animate(former: Former, changes: Changes, base: Order, now_us: int) -> Order:
    if former.job.kind is not JobKind.IMAGE:
        raise RequestInvalid(
            model=former.job.model, field="image_urls", rule=MediaFault.UNSUPPORTED
        )
    return _with(
        base,
        kind=JobKind.VIDEO,
        image_urls=_result(former, changes, now_us),
        images_are_links=not changes.image_urls,
        options=dict(changes.options or {}),
    )


def _with(
    base: Order,
    *,
    image_urls: tuple[str, ...],
    images_are_links: bool = False,
    options: Mapping[str, OptionValue | None],
    kind: JobKind | None = None,
    model_id: str | None = None,
) -> Order:
    return Order(
        reference=base.reference,
        kind=kind or base.kind,
        user_id=base.user_id,
        guild_id=base.guild_id,
        channel_id=base.channel_id,
        prompt=base.prompt,
        model_id=model_id,
        image_urls=image_urls,
        images_are_links=images_are_links,
        options=options,
        spoiler=base.spoiler,
        age_restricted=base.age_restricted,
        interaction_token=base.interaction_token,
        interaction_expires_us=base.interaction_expires_us,
        parent_id=base.parent_id,
    )


# --- What a stored job asked for -----------------------------------------------------------------


def request_images(job: Job) -> tuple[str, ...]:
    return tuple(job.request.get("image_urls", ()))


def request_options(job: Job) -> dict[str, OptionValue]:
    """Return the options as `check_media_request` gave them; JSON has lists for tuples."""
    stored = job.request.get("options", {})
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }


def _result(former: Former, changes: Changes, now_us: int) -> tuple[str, ...]:
    """The address of the first result; an expired one would cost a failed task."""
    if changes.image_urls:
        return changes.image_urls[:1]
    for artifact in former.artifacts:
        ends_us = artifact.source_expires_us
        if artifact.source_url is not None and (ends_us is None or now_us < ends_us):
            return (artifact.source_url,)
    raise ResultUnavailable


# --- Ratios --------------------------------------------------------------------------------------


def _choice_4k(model: MediaModel) -> str | None:
    """The provider's own spelling: `4k` here, `4K` there (trap 29)."""
    for choice in choices(model, RESOLUTION):
        if str(choice).casefold() == LARGE:
            return str(choice)
    return None


def _large_model(job: Job, catalogue: Catalogue, available: Available) -> MediaModel:
    models = models_of(JobKind.IMAGE, catalogue)
    own = models.get(job.model)
    for model in ((own,) if own is not None else ()) + tuple(models.values()):
        if available(model) and model.takes_images and _choice_4k(model) is not None:
            return model
    raise RequestInvalid(model=job.model, field=RESOLUTION, rule=MediaFault.UNSUPPORTED)


def _ratio(size: tuple[int, int] | None) -> float | None:
    if size is None or min(size) < 1:
        return None
    return size[0] / size[1]


def _ratio_of(value: OptionValue | None) -> float | None:
    """`16:9` as a number; None for `auto` and the like."""
    width, colon, height = str(value).partition(":")
    if not colon or not width.isdecimal() or not height.isdecimal():
        return None
    return _ratio((int(width), int(height)))


def _nearest(ratios: tuple[str, ...], present: float | None) -> str:
    """The allowed ratio nearest to the present one (trap 28); the first one when that is unknown.

    Compared by their logarithms: twice as wide is as far as half as wide.
    """
    if present is None:
        return ratios[0]

    def distance(ratio: str) -> float:
        value = _ratio_of(ratio)
        return math.inf if value is None else abs(math.log(value / present))

    return min(ratios, key=distance)
