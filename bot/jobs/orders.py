"""What a member asks for becomes what the provider is asked for, and its price: pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bot import limits
from bot.catalogue.catalogue import Catalogue
from bot.catalogue.media import (
    SIZE,
    MediaModel,
    MediaProtocol,
    OptionValue,
    PromptRule,
    fitting_model,
)
from bot.catalogue.media_checks import check_media_request
from bot.catalogue.pricing import charge_ucr, media_cost_ucr
from bot.errors import ModelOff, ModelUnknown, PictureGone, PromptEmpty, PromptTooLong
from bot.jobs.ports import Order
from storage.types import JobKind, NewJob

_DEADLINES_S: Mapping[JobKind, float] = {
    JobKind.IMAGE: limits.IMAGE_DEADLINE_S,
    JobKind.VIDEO: limits.VIDEO_DEADLINE_S,
}

Available = Callable[[MediaModel], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An order that may be sent. Prices are those of this moment (F-68)."""

    order: Order
    prompt: str
    model: MediaModel
    options: Mapping[str, OptionValue]
    cost_ucr: int
    price_ucr: int
    multiplier_ppm: int

    def new_job(self, *, now_us: int) -> NewJob:
        """The row to accept."""
        order = self.order
        return NewJob(
            reference=order.reference,
            kind=order.kind,
            model=self.model.id,
            provider=self.model.provider,
            user_id=order.user_id,
            guild_id=order.guild_id,
            channel_id=order.channel_id,
            prompt=self.prompt,
            request={
                "image_urls": list(order.image_urls),
                "options": {
                    name: list(value) if isinstance(value, tuple) else value
                    for name, value in self.options.items()
                },
                # C-19: the channel decides, never the member.
                "nsfw_checker": not order.age_restricted,
            },
            price_ucr=self.price_ucr,
            cost_ucr=self.cost_ucr,
            multiplier_ppm=self.multiplier_ppm,
            spoiler=order.spoiler,
            deadline_us=now_us + int(_DEADLINES_S[order.kind] * 1_000_000),
            interaction_token=order.interaction_token,
            interaction_expires_us=order.interaction_expires_us,
            parent_id=order.parent_id,
        )


def plan(order: Order, catalogue: Catalogue, available: Available) -> Plan:
    """Judge an order and price it.

    Raises `ModelUnknown`, `ModelOff`, `PictureGone`, `PromptEmpty`, `PromptTooLong`,
    `RequestInvalid`.
    """
    model = resolve_model(order, catalogue, available)
    # Half a surrogate pair, which Discord lets through, can be neither stored nor sent.
    prompt = order.prompt.encode("utf-8", "replace").decode("utf-8").replace("\0", "").strip()
    if not prompt and not (model.prompt_rule is PromptRule.OR_IMAGES and order.image_urls):
        raise PromptEmpty(kind=order.kind)
    if len(prompt) > model.prompt_chars_max:
        raise PromptTooLong(length=len(prompt), limit=model.prompt_chars_max, kind=order.kind)
    options = check_media_request(model, prompt, order.image_urls, order.options)
    cost_ucr = media_cost_ucr(model, options)
    return Plan(
        order=order,
        prompt=prompt,
        model=model,
        options=options,
        cost_ucr=cost_ucr,
        price_ucr=charge_ucr(cost_ucr, catalogue.multiplier_ppm),
        multiplier_ppm=catalogue.multiplier_ppm,
    )


def models_of(kind: JobKind, catalogue: Catalogue) -> Mapping[str, MediaModel]:
    return catalogue.image_models if kind is JobKind.IMAGE else catalogue.video_models


def resolve_model(order: Order, catalogue: Catalogue, available: Available) -> MediaModel:
    """Return the model that was named, or the default; its twin where that takes the pictures.

    Without a name, a default that is off or cannot take the pictures gives way to the first
    model that can. Raises `ModelUnknown`, `ModelOff`, and `PictureGone` where the model would need
    bytes of pictures that are only links.
    """
    model = _chosen(order, catalogue, available)
    if not _reaches(model, order):
        raise PictureGone
    return model


def _reaches(model: MediaModel, order: Order) -> bool:
    """Whether the provider fetches the pictures itself, or we may: from Discord only (C-15)."""
    return not order.images_are_links or model.protocol is MediaProtocol.TASKS


def _chosen(order: Order, catalogue: Catalogue, available: Available) -> MediaModel:
    models = models_of(order.kind, catalogue)
    usable = tuple(name for name, model in models.items() if available(model))
    images = len(order.image_urls)
    if order.model_id is not None:
        named = models.get(order.model_id)
        if named is None:
            raise ModelUnknown(model=order.model_id, known=usable, kind=order.kind)
        if not available(named):
            raise ModelOff(model=named.id)
        fitting = fitting_model(models, named, images)
        return fitting if available(fitting) else named
    default_id = {
        JobKind.IMAGE: catalogue.default_image_model,
        JobKind.VIDEO: catalogue.default_video_model,
    }[order.kind]
    default = models.get(default_id or "")
    if default is None:
        raise ModelUnknown(model=default_id or "", known=usable, kind=order.kind)
    candidates = (fitting_model(models, default, images), *models.values())
    for model in candidates:
        fits = model.images_min <= images <= model.images_max
        if available(model) and fits and _reaches(model, order):
            return model
    if not available(default):
        raise ModelOff(model=default.id)
    return default


def changed_options(
    model: MediaModel,
    former: Mapping[str, OptionValue],
    changes: Mapping[str, OptionValue | None],
) -> dict[str, OptionValue | None]:
    """Return a former job's options with some of them changed.

    A new `size` replaces what the former one was made of; what another model does not have is
    left out.
    """
    kept = {name: value for name, value in former.items() if name in model.options}
    if changes.get(SIZE) is not None:
        kept = {name: value for name, value in kept.items() if name not in model.size_from}
    return {**kept, **changes}
