"""`/imagine`, the right clicks, and every button under a picture."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from bot.limits import ATTACHMENT_BYTES_MAX
from sandbox.discord.seed import ADULTS_ID, GENERAL_ID, MIRA_ID, SAM_ID, STUDIO_ID, TOM_ID
from storage.types import Job, JobKind, Outcome
from tests.cogs.mishaps import paths, problems, refused
from tests.cogs.studio import Studio, labels, opened, picture
from tests.cogs.town import Json, words


@pytest.fixture
async def studio() -> AsyncGenerator[Studio]:
    async with opened(allowance_credits=200) as made:
        yield made


async def finished(studio: Studio, user: str = "mira", **options: Json) -> Json:
    """The message of a picture that is done."""
    job = await studio.order(user, **options)
    await studio.foreman.deliver(studio.delivery, studio.foreman.succeed(job))
    return await studio.card(job)


def newest(studio: Studio, user_id: int = MIRA_ID) -> Job:
    return studio.foreman.jobs_of(user_id)[-1]


async def refusal(studio: Studio, user: str = "mira") -> str:
    """The private words of a refusal."""
    (told,) = await studio.until_private(bool, user=user)
    return words(told)


# --- The command ---------------------------------------------------------------------------------


async def test_an_order_is_a_card_with_its_place_and_price(studio: Studio) -> None:
    """Acknowledged, accepted with its hold, shown; and the engine is rung."""
    job = await studio.order(prompt="a *red*\n fox", aspect_ratio="16:9", resolution="2k")

    shown = await studio.card(job)
    assert words(shown).startswith("### GPT Image 2 · a \\*red\\* fox\nQueued, place 1")
    assert "4.8 credits held until <t:" in words(shown)
    assert labels(shown) == ["Cancel"]
    assert job.request["options"] == {"aspect_ratio": "16:9", "resolution": "2k"}
    assert studio.foreman.woken == 1


async def test_the_first_answer_comes_before_the_job(studio: Studio) -> None:
    """F-93: who cannot be told has ordered nothing."""
    for _ in range(2):  # the acknowledgement, and the notice about it
        await refused(studio, "POST", "/interactions/.*/callback", 404, 10062)

    await studio.use("mira", "imagine", options={"prompt": "a fox"})
    log = studio.town.sandbox.core.log
    await studio.town.until(lambda _: [one["status"] for one in log.since(0)].count(404) == 2)

    assert studio.foreman.jobs_of(MIRA_ID) == []


async def test_pictures_come_along_by_their_address(studio: Studio) -> None:
    """Up to four, in order; the provider fetches them."""
    job = await studio.order(images=("image1", "image3"))

    urls = job.request["image_urls"]
    assert [url.split("?")[0].rsplit("/", 1)[1] for url in urls] == ["image1.png", "image3.png"]


async def test_what_is_no_picture_is_refused_in_private(studio: Studio) -> None:
    body = {
        "user_id": str(MIRA_ID),
        "channel_id": str(GENERAL_ID),
        "name": "imagine",
        "options": {"prompt": "x"},
        "attachments": {"image1": picture("x.txt") | {"content_type": "text/plain"}},
    }

    await studio.town.call("POST", "commands", body)

    assert "It takes: pictures" in await refusal(studio)


async def test_a_picture_that_is_too_large_is_refused_in_private(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.discordio.job_orders.ATTACHMENT_BYTES_MAX", 10)

    await studio.use("mira", "imagine", files=("image1",), options={"prompt": "x"})

    assert "too large" in await refusal(studio)
    assert ATTACHMENT_BYTES_MAX > 10


async def test_a_wrong_choice_names_the_right_ones_in_private(studio: Studio) -> None:
    """Nothing stays in the channel."""
    await studio.use(
        "mira", "imagine", options={"prompt": "x", "resolution": "4k", "aspect_ratio": "1:1"}
    )

    told = await refusal(studio)
    assert "the aspect ratio of gpt-image-2 can only be: 16:9, 9:16" in told
    assert "not charged" in told


async def test_without_credits_nothing_is_made_and_nobody_else_sees_it(studio: Studio) -> None:
    """The refusal comes after the acknowledgement; "thinking…" goes away."""
    for _ in range(3):
        await studio.order()
    async with opened(allowance_credits=1) as poor:
        await poor.use("mira", "imagine", options={"prompt": "x"})
        told = await refusal(poor)

        assert "This needs up to 2.4 credits; you have 1." in told
        assert poor.foreman.jobs_of(MIRA_ID) == []
        seen_by_tom = await poor.town.messages(user="tom")
        assert [one for one in seen_by_tom if not one["deleted"]] == []


async def test_too_many_jobs_are_refused(studio: Studio) -> None:
    """One member cannot fill the queue."""
    for _ in range(10):
        await studio.order()

    await studio.use("mira", "imagine", options={"prompt": "one more"})

    assert "You already have 10 jobs" in await refusal(studio)


@pytest.mark.parametrize(
    ("place", "is_checked"),
    [("adults", False), ("general", True), ("thread of adults", False), ("dm", True)],
)
async def test_only_age_restricted_places_go_without_the_check(
    studio: Studio, place: str, *, is_checked: bool
) -> None:
    """F-150: channel, its threads; never in direct messages, and no option asks for it."""
    match place:
        case "adults":
            channel = ADULTS_ID
        case "general":
            channel = STUDIO_ID
        case "dm":
            channel = await studio.town.dm("mira")
        case _:
            body = {"user_id": str(MIRA_ID), "channel_id": str(ADULTS_ID), "name": "t"}
            made = await studio.town.call("POST", "threads", body)
            channel = int(made["channel_id"])

    job = await studio.order(channel=channel)

    assert job.request["nsfw_checker"] is is_checked


async def test_ratios_complete_for_the_chosen_resolution(studio: Studio) -> None:
    """The 4k rule of the model, before it can be broken."""
    everything = await studio.complete("mira", "imagine", "aspect_ratio", aspect_ratio="")
    large = await studio.complete(
        "mira", "imagine", "aspect_ratio", aspect_ratio="16", resolution="4k"
    )
    sizes = await studio.complete("mira", "imagine", "resolution", resolution="")

    assert len(everything) == 14
    assert [choice["value"] for choice in large] == ["16:9", "9:16"]
    assert [choice["value"] for choice in sizes] == ["1k", "2k", "4k"]


# --- Buttons: while it waits ---------------------------------------------------------------------


async def test_cancel_gives_the_credits_back(studio: Studio) -> None:
    """At once on the card, without waiting for the engine."""
    job = await studio.order()

    await studio.answered(await studio.press("mira", await studio.card(job), "Cancel"))

    shown = await studio.town.until(lambda found: "Cancelled." in words(found[0]))
    assert "not charged · job" in words(shown[0])
    assert studio.foreman.fresh(job).outcome is Outcome.CANCELLED
    assert labels(shown[0]) == ["Try again", "Edit prompt", "Delete"]


async def test_what_the_provider_has_cannot_be_cancelled(studio: Studio) -> None:
    """The card may be older than the job's state."""
    job = await studio.order()
    card = await studio.card(job)
    studio.foreman.start(job)

    await studio.press("mira", card, "Cancel")

    told = await refusal(studio)
    assert "Too late to cancel" in told
    assert "2.4 credits held until" in told
    assert "not charged" not in told


async def test_a_lost_answer_offers_the_credits_or_another_try(studio: Studio) -> None:
    """reliability.md 5: nothing is sent again by itself."""
    job = await studio.order()
    studio.foreman.lose(job)
    await studio.delivery.show(await studio.foreman.card(job))
    card = await studio.card(job)
    assert "I will not send your request again on my own." in words(card)
    assert labels(card) == ["Give my credits back now", "Try again"]

    again = await studio.press("mira", card, "Try again")
    await studio.answered(again)
    await studio.answered(await studio.press("mira", card, "Give my credits back now"))

    await studio.town.until(lambda found: "Cancelled." in words(found[0]))

    first, second = studio.foreman.jobs_of(MIRA_ID)
    assert first.outcome is Outcome.CANCELLED
    assert second.parent_id == first.id
    assert second.outcome is None


# --- Buttons: under a picture --------------------------------------------------------------------


async def test_again_makes_one_more_with_a_card_of_its_own(studio: Studio) -> None:
    card = await finished(studio, resolution="2k")

    await studio.answered(await studio.press("mira", card, "Again"))

    job = newest(studio)
    assert job.prompt == "a red fox"
    assert job.request["options"]["resolution"] == "2k"
    assert "Queued, place 1" in words(await studio.card(job))
    assert job.card_message_id != int(card["id"])


async def test_edit_prompt_asks_with_the_old_words_and_orders_the_new(studio: Studio) -> None:
    card = await finished(studio)

    opened_form = await studio.press("mira", card, "Edit prompt")
    form = (await studio.town.settled(opened_form))["modal"]
    (row,) = form["components"]
    assert row["component"]["value"] == "a red fox"
    await studio.answered(await studio.fill("mira", opened_form, "a blue fox"))

    assert newest(studio).prompt == "a blue fox"


async def test_a_form_that_is_refused_says_so(studio: Studio) -> None:
    """Errors of forms go the same way as all others."""
    card = await finished(studio)
    opened_form = await studio.press("mira", card, "Edit prompt")
    await studio.town.settled(opened_form)

    await studio.fill("mira", opened_form, " ")

    assert "not charged" in await refusal(studio)


async def test_4k_takes_the_picture_itself_at_its_present_address(studio: Studio) -> None:
    """4 × 3 is nearest to 16:9 among what 4k allows; addresses of CDN messages end in a day."""
    card = await finished(studio)

    await studio.answered(await studio.press("mira", card, "4K"))

    job = newest(studio)
    assert job.request["options"] == {"aspect_ratio": "16:9", "resolution": "4k"}
    assert job.request["image_urls"] == [card["attachments"][0]["url"]]


async def test_animate_makes_a_video_of_the_picture(studio: Studio) -> None:
    card = await finished(studio)

    await studio.answered(await studio.press("mira", card, "Animate"))

    job = newest(studio)
    assert job.kind is JobKind.VIDEO
    assert job.model == "grok-imagine-image-to-video"
    assert job.request["image_urls"] == [card["attachments"][0]["url"]]


async def test_a_picture_in_4k_is_not_offered_in_4k(studio: Studio) -> None:
    card = await finished(studio, resolution="4k", aspect_ratio="16:9")

    assert labels(card) == ["Again", "Edit prompt", "Animate", "Delete"]


async def test_a_result_without_a_file_and_without_a_link_cannot_be_animated(
    studio: Studio,
) -> None:
    """Its only address would be one that ended."""
    job = await studio.order()
    job = studio.foreman.succeed(job, data=None)
    await studio.foreman.deliver(studio.delivery, job)

    await studio.press("mira", await studio.card(job), "Animate")

    assert "no longer given out" in await refusal(studio)


async def test_delete_takes_the_message_away(studio: Studio) -> None:
    card = await finished(studio)

    await studio.press("mira", card, "Delete")

    assert await studio.town.until(lambda found: found == []) == []


async def test_old_reference_pictures_are_told_before_they_fail(studio: Studio) -> None:
    """asks.md 52: Discord's addresses end after a day."""
    job = await studio.order(images=("image1",))
    await studio.foreman.deliver(studio.delivery, studio.foreman.fail(job, "TaskFailed"))
    expired = f"https://cdn.example/{'a' * 8}.png?ex=5f000000&is=1&hm=2"
    row = "UPDATE jobs SET request = json_set(request, '$.image_urls', json_array(?)) "
    with studio.inhabited.database.engine.begin() as connection:
        connection.exec_driver_sql(row, (expired,))

    await studio.press("mira", await studio.card(job), "Try again")

    assert "attach the picture" in await refusal(studio)


# --- Whose buttons -------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["Again", "Edit prompt", "4K", "Animate", "Delete"])
async def test_a_strangers_press_does_nothing_and_is_answered_in_private(
    studio: Studio, label: str
) -> None:
    """F-151: checked with each press."""
    card = await finished(studio)

    await studio.press("tom", card, label)

    assert "This belongs to whoever asked" in await refusal(studio, "tom")
    assert len(studio.foreman.jobs_of(MIRA_ID)) == 1
    assert studio.foreman.jobs_of(TOM_ID) == []
    assert len(await studio.town.from_bot(user="mira")) == 1


async def test_a_stranger_cannot_cancel(studio: Studio) -> None:
    """asks.md 21."""
    job = await studio.order()

    await studio.press("tom", await studio.card(job), "Cancel")

    assert "This belongs to whoever asked" in await refusal(studio, "tom")
    assert studio.foreman.fresh(job).outcome is None


async def test_staff_may_press_and_pay_for_what_they_order(studio: Studio) -> None:
    card = await finished(studio)

    await studio.answered(await studio.press("sam", card, "Again"))
    (job,) = studio.foreman.jobs_of(SAM_ID)
    await studio.press("sam", card, "Delete")
    await studio.town.until(lambda found: len(found) == 1)

    assert job.user_id == SAM_ID


async def test_an_id_that_names_no_job_is_refused(studio: Studio) -> None:
    """A forged or foreign custom id opens nothing."""
    job = await studio.order()
    row = studio.town.sandbox.world.find_message(int((await studio.card(job))["id"]))
    assert row is not None
    forged = row.components[0]["components"][1]["components"][0]
    forged["custom_id"] = "job:cancel:ZZZZZZZZ"

    await studio.press("mira", await studio.card(job), "Cancel")

    assert "No such job" in await refusal(studio)


async def test_buttons_work_after_a_restart(studio: Studio) -> None:
    """asks.md 19: the id says everything, a new process knows what to do."""
    card = await finished(studio)
    inhabited = studio.inhabited
    await studio.town.bot.close()

    async with inhabited.client() as bot, inhabited.online(bot):
        await studio.answered(await studio.press("mira", card, "Again"))
        form = await studio.press("mira", card, "Edit prompt")
        await studio.town.settled(form)
        await studio.answered(await studio.fill("mira", form, "a green fox"))

    assert [job.prompt for job in studio.foreman.jobs_of(MIRA_ID)][1:] == [
        "a red fox",
        "a green fox",
    ]


async def test_every_request_is_valid(studio: Studio) -> None:
    """By Discord's own description."""
    card = await finished(studio, images=("image1",), spoiler=True)
    for label in ("Again", "4K"):
        await studio.answered(await studio.press("mira", card, label))
    await studio.town.settled(await studio.press("mira", card, "Edit prompt"))
    await studio.press("tom", card, "Delete")
    await refusal(studio, "tom")

    assert problems(await studio.town.requests()) == []
    assert await paths(studio, "PATCH", "/messages/") != []
