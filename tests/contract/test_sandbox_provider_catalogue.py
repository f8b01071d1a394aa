"""What the bot's own catalogue would send, the strict provider takes, at the same price."""

from __future__ import annotations

from decimal import Decimal

import aiohttp
import pytest

from bot.catalogue.loader import load
from bot.catalogue.media import MediaModel, MediaProtocol
from bot.catalogue.media_checks import check_media_request
from bot.catalogue.pricing import media_cost_ucr
from bot.providers.base import ImageFile, MediaRequest
from bot.providers.openai_video import form_of
from bot.providers.tasks import body_of
from sandbox.provider.studio.picture import Draft, draw, png
from storage.types import UCR_PER_CREDIT
from tests.contract.provider_client import KEY
from tests.contract.task_client import FORMAT, IMAGES, VIDEOS, Tasks

CATALOGUE = load()
MODELS = [
    model
    for model in (*CATALOGUE.image_models.values(), *CATALOGUE.video_models.values())
    if "video_urls" not in model.options
]


def request_of(model: MediaModel, images: int) -> MediaRequest:
    urls = tuple(f"https://example.com/{number}.png" for number in range(images))
    return MediaRequest(model=model, kind=model.kind, prompt="a fox", image_urls=urls)


async def test_what_the_bot_sends_is_taken_and_priced_alike(tasks: Tasks) -> None:
    """Every model that goes by tasks, with the fewest and the most pictures it takes."""
    await tasks.pace(image_s=3600, video_s=3600)
    await tasks.provider.control("PUT", "account", {"balance": "100000"})
    seen = 0
    for model in MODELS:
        if model.protocol is not MediaProtocol.TASKS:
            continue
        for images in {model.images_min, model.images_max}:
            request = request_of(model, images)
            before = await tasks.provider.consumed()
            path = IMAGES if model.kind == "image" else VIDEOS
            answer = await tasks.post(body_of(request, callback_url=None), path)
            assert answer.status == 200, (model.id, await answer.text())
            values = check_media_request(model, "a fox", request.image_urls, {})
            cost = Decimal(media_cost_ucr(model, values)) / UCR_PER_CREDIT
            assert await tasks.provider.consumed() - before == cost, model.id
            seen += 1
    assert seen > 15


@pytest.mark.parametrize("images", [0, 1])
async def test_so_is_the_openai_format(tasks: Tasks, images: int) -> None:
    """Every model of the gateway, with and without a picture."""
    await tasks.pace(video_s=3600)
    picture = png(draw(Draft(prompt="a", size=(64, 64))))

    async def fetch(_url: str) -> ImageFile:
        return ImageFile(data=picture, content_type="image/png", filename="a.png")

    for model in MODELS:
        if model.protocol is not MediaProtocol.OPENAI_VIDEO:
            continue
        before = Decimal((await tasks.provider.control("GET", "gateway"))["consumed"])
        form: aiohttp.FormData = await form_of(request_of(model, images), fetch_image=fetch)
        answer = await tasks.provider.client.post(FORMAT, data=form, headers=KEY)
        assert answer.status == 200, (model.id, await answer.text())
        after = Decimal((await tasks.provider.control("GET", "gateway"))["consumed"])
        values = check_media_request(model, "a fox", (), {})
        assert after - before == Decimal(media_cost_ucr(model, values)) / UCR_PER_CREDIT
