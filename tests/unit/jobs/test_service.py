"""What members do with jobs: order, look, cancel, once more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.catalogue.media import MediaProtocol
from bot.clock import SystemClock
from bot.errors import (
    JobNotCancellable,
    JobNotFound,
    ModelOff,
    ModelUnknown,
    NoRoom,
    NotOwner,
    PictureGone,
    PromptEmpty,
    PromptTooLong,
    RequestInvalid,
    Restarting,
    ResultUnavailable,
    TooManyJobs,
)
from bot.jobs.cards import Cards
from bot.jobs.ports import DeliveryPostponed
from bot.jobs.service import Changes, JobService, Press, Variation
from bot.limits import JOBS_PER_USER_MAX
from bot.providers.breaker import Breakers
from storage import jobs, ledger
from storage.database import Database
from storage.errors import Duplicate, InsufficientCredits
from storage.types import UCR_PER_CREDIT, Allowance, Job, JobKind, JobStatus
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import nothing
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import GUILD, MIRA, PICTURE_UCR, STUDIO, TOM, Models, World

OTHER_GUILD = 88


def press(**changes: Any) -> Press:
    made = Press(reference="i:press", user_id=MIRA, staff=False, guild_id=GUILD, channel_id=STUDIO)
    return replace(made, **changes)


# --- Orders ---------------------------------------------------------------------------------------


async def test_fifty_orders_at_once_on_credits_for_three(tmp_path: Path) -> None:
    """F-141: on the real database exactly three are accepted; the others hold nothing."""
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path}/atelier.db")
    outside = World()
    allowance = Allowance(amount_ucr=3 * PICTURE_UCR + PICTURE_UCR // 2)
    clock = SystemClock()
    service = JobService(
        database=database,
        catalogue=outside.catalogue,
        models=Models(),
        breakers=Breakers(clock),
        allowance=allowance,
        clock=clock,
        cards=Cards(
            database=database,
            catalogue=outside.catalogue,
            allowance=allowance,
            clock=clock,
            folder=outside.files,
        ),
        folder=outside.files,
        wake=lambda: None,
    )
    orders = [outside.order() for _ in range(50)]
    done = await asyncio.gather(*map(service.request, orders), return_exceptions=True)
    assert sum(isinstance(each, Job) for each in done) == 3
    assert sum(isinstance(each, InsufficientCredits) for each in done) == 47
    balance = await database.transact(
        ledger.balance, user_id=MIRA, allowance=allowance, now_us=clock.now_us()
    )
    assert balance.held_ucr == 3 * PICTURE_UCR
    assert await database.read(ledger.audit) == ()
    await database.close()
    outside.inner.engine.dispose()


@virtually
async def test_an_interaction_makes_one_job(world: World) -> None:
    """I-33: the same reference again is refused, and holds nothing."""
    order = world.order()
    first = await world.service.request(order)
    with pytest.raises(Duplicate):
        await world.service.request(order)
    assert world.all_jobs() == [first]
    assert (await world.balance()).held_ucr == PICTURE_UCR


@virtually
async def test_a_duplicate_is_told_as_one_whatever_else_is_wrong(world: World) -> None:
    """A repeated interaction of a member with a full queue is a duplicate, not a refusal."""
    orders = [world.order() for _ in range(JOBS_PER_USER_MAX)]
    for order in orders:
        await world.service.request(order)
    with pytest.raises(Duplicate):
        await world.service.request(orders[0])


@virtually
async def test_without_room_for_its_result_an_order_is_refused_before_its_hold(
    world: World, logged: list[dict[str, object]]
) -> None:
    """F-111: no price is named and nothing is held; room that comes is noticed by itself."""
    world.files.room = 0
    for ask in (world.service.request, world.service.quote):
        with pytest.raises(NoRoom) as refused:
            await ask(world.order())
        assert refused.value.missing_bytes == 1
    world.files.disk_error = OSError(5, "Input/output error")
    with pytest.raises(NoRoom) as refused:
        await world.request()
    assert refused.value.missing_bytes is None
    assert world.all_jobs() == []
    assert (await world.balance()).held_ucr == 0
    assert [entry["event"] for entry in logged] == ["order_refused"] * 3
    world.files.room = world.files.disk_error = None
    await world.request()


@virtually
async def test_an_order_counts_on_room_that_delivered_files_give(world: World) -> None:
    """F-111: what stands in Discord goes for its result, and what nobody has yet does not."""
    world.delivery.uploads = False
    await world.boot()
    await world.delivered(await world.request())
    world.files.room = 1
    world.delivery.trouble = DeliveryPostponed(retry_after_s=100.0)
    second = await world.request()
    await world.until_status(second, JobStatus.FINISHED)
    with pytest.raises(NoRoom):
        await world.request()
    await world.stop()


@virtually
async def test_one_member_cannot_fill_the_queue(world: World) -> None:
    """Jobs that are not over are counted; others are not concerned."""
    for _ in range(JOBS_PER_USER_MAX):
        await world.request()
    with pytest.raises(TooManyJobs) as refused:
        await world.request()
    assert refused.value.limit == JOBS_PER_USER_MAX
    await world.request(user_id=TOM)
    await world.boot()
    await world.delivered(world.all_jobs()[0])
    await world.request()
    await world.stop()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model_id": "dall-e"}, ModelUnknown),
        ({"prompt": " \n "}, PromptEmpty),
        ({"prompt": "\0"}, PromptEmpty),
        ({"prompt": "x" * 20_001}, PromptTooLong),
        ({"options": {"resolution": "8k"}}, RequestInvalid),
        ({"options": {"resolution": "4k"}}, RequestInvalid),
        ({"image_urls": ("data:image/png;base64,AA",)}, RequestInvalid),
        ({"image_urls": ("https://cdn.discordapp.com/a.png",) * 17}, RequestInvalid),
    ],
)
def test_what_cannot_be_made_costs_nothing(
    new_world: NewWorld, changes: dict[str, Any], error: type[Exception]
) -> None:
    """Judged before anything is held, for the price as for the order."""

    @virtually
    async def play() -> None:
        world = new_world()
        with pytest.raises(error):
            await world.request(**changes)
        with pytest.raises(error):
            await world.service.quote(world.order(**changes))
        assert world.all_jobs() == []
        assert (await world.balance()).held_ucr == 0

    play()


@virtually
async def test_a_model_without_its_key_is_off(world: World) -> None:
    """Without VIDEO_API_KEY its models are off; unnamed, the next one that can takes its place."""
    world.models.off.add("video")
    with pytest.raises(ModelOff):
        await world.service.request(world.film(model_id="viduq1"))
    world.models.off = {"aivideo"}
    taken = await world.service.request(world.film())
    assert taken.provider == "video"
    world.models.off = {"aivideo", "video"}
    with pytest.raises(ModelOff):
        await world.service.request(world.film())


@virtually
async def test_a_picture_picks_the_twin_that_takes_it(world: World) -> None:
    """`/video` with a picture, and no model named."""
    url = "https://cdn.discordapp.com/attachments/1/2/fox.png"
    job = await world.service.request(world.film(image_urls=(url,)))
    assert job.model == "grok-imagine-image-to-video"


@virtually
async def test_the_safety_check_is_the_channels_not_the_members(world: World) -> None:
    """C-19: on outside age-restricted channels, and no option turns it off."""
    job = await world.request()
    assert job.request["nsfw_checker"] is True
    with pytest.raises(RequestInvalid):
        await world.request(options={"nsfw_checker": False})
    restricted = await world.request(age_restricted=True)
    assert restricted.request["nsfw_checker"] is False


@virtually
async def test_words_that_cannot_be_stored_are_mended(world: World) -> None:
    """Half a surrogate pair and zero bytes come through Discord."""
    job = await world.request(prompt=" a \ud83e fox\0 ")
    assert job.prompt == "a ? fox"


@virtually
async def test_the_price_is_told_before_it_is_spent(world: World) -> None:
    """Above 50 credits a member is asked first."""
    cheap = await world.service.quote(world.order())
    assert (cheap.price_ucr, cheap.needs_confirmation) == (PICTURE_UCR, False)
    assert cheap.available_ucr == world.allowance.amount_ucr
    dear = await world.service.quote(world.film(model_id="kling-3.0"))
    assert (dear.price_ucr, dear.needs_confirmation) == (100 * UCR_PER_CREDIT, True)
    assert world.all_jobs() == []


@virtually
async def test_nothing_is_accepted_while_the_process_ends(world: World) -> None:
    """S-11."""
    world.service.close()
    with pytest.raises(Restarting):
        await world.request()


# --- Cancel ---------------------------------------------------------------------------------------


@virtually
async def test_a_waiting_job_can_be_cancelled_by_its_owner_and_staff(world: World) -> None:
    """Everything goes back; small letters in the reference are understood."""
    mine = await world.request()
    toms = await world.request(user_id=TOM)
    await world.service.cancel(
        mine.short_id.lower(), user_id=MIRA, staff=False, guild_id=OTHER_GUILD
    )
    await world.service.cancel(toms.short_id, user_id=MIRA, staff=True, guild_id=GUILD)
    assert (await world.balance()).held_ucr == 0
    assert (await world.balance(TOM)).held_ucr == 0


@pytest.mark.parametrize(("staff", "guild_id"), [(False, GUILD), (True, OTHER_GUILD), (True, None)])
def test_nobody_else_may_cancel(new_world: NewWorld, *, staff: bool, guild_id: int | None) -> None:
    """C-18: staff of another server are nobody here."""

    @virtually
    async def play() -> None:
        world = new_world()
        job = await world.request(user_id=TOM)
        with pytest.raises(NotOwner):
            await world.service.cancel(job.short_id, user_id=MIRA, staff=staff, guild_id=guild_id)
        with pytest.raises(JobNotFound):
            await world.service.show(job.short_id, user_id=MIRA, staff=staff, guild_id=guild_id)
        with pytest.raises(NotOwner):
            await world.service.again(job.short_id, press(staff=staff, guild_id=guild_id))
        assert world.fresh(job).status is JobStatus.QUEUED

    play()


@virtually
async def test_a_refusal_says_what_was_asked_for_and_names_only_models_with_a_key(
    world: World,
) -> None:
    """The words need both; a model without a key is no suggestion."""
    world.models.off.add("video")
    models = world.catalogue.video_models.values()

    with pytest.raises(ModelUnknown) as unknown:
        await world.service.quote(world.order(kind=JobKind.VIDEO, model_id="dall-e"))
    with pytest.raises(PromptEmpty) as empty:
        await world.service.quote(world.order(prompt=" "))

    assert unknown.value.kind is JobKind.VIDEO
    assert unknown.value.known == tuple(model.id for model in models if model.provider != "video")
    assert unknown.value.known
    assert empty.value.kind is JobKind.IMAGE


@virtually
async def test_what_the_provider_has_cannot_be_cancelled(world: World) -> None:
    """Submitting, running and ended jobs say where they are."""
    world.provider.answers_after_s = 10.0
    await world.boot()
    job = await world.request()
    for status in (JobStatus.SUBMITTING, JobStatus.RUNNING, JobStatus.DELIVERED):
        await world.until_status(job, status)
        with pytest.raises(JobNotCancellable) as refused:
            await world.service.cancel(job.short_id, user_id=MIRA, staff=False, guild_id=None)
        assert refused.value.job.status == status
    await world.stop()
    world.check_over()


@virtually
async def test_cancel_and_submit_do_not_both_win(world: World) -> None:
    """The compare-and-set decides: cancelled jobs are not sent, sent ones are not cancelled."""
    await world.boot()
    for _ in range(20):
        job = await world.request()
        for _ in range(world.rng.randrange(8)):
            await asyncio.sleep(0)
        try:
            await world.service.cancel(job.short_id, user_id=MIRA, staff=False, guild_id=None)
        except JobNotCancellable:
            assert world.fresh(job).attempt == 1
        else:
            assert world.fresh(job).attempt == 0
        await world.delivered(job)
    await world.stop()
    world.check_over()


@virtually
async def test_an_unknown_reference_is_not_found(world: World) -> None:
    """Also for cancel and again."""
    for call in (
        world.service.cancel("ZZZZZZZZ", user_id=MIRA, staff=True, guild_id=GUILD),
        world.service.show("ZZZZZZZZ", user_id=MIRA, staff=True, guild_id=GUILD),
        world.service.again("ZZZZZZZZ", press()),
    ):
        with pytest.raises(JobNotFound):
            await call


# --- Looking --------------------------------------------------------------------------------------


@virtually
async def test_a_member_sees_their_own_jobs_newest_first(world: World) -> None:
    """In pages."""
    mine = [await world.request() for _ in range(3)]
    await world.request(user_id=TOM)
    cards = await world.service.list(MIRA)
    assert [card.job.id for card in cards] == [job.id for job in reversed(mine)]
    older = await world.service.list(MIRA, before_id=mine[1].id)
    assert [card.job.id for card in older] == [mine[0].id]
    assert cards[0].place == 4


@virtually
async def test_the_expected_end_is_learned(world: World) -> None:
    """Nobody knows it at first; then the median of former jobs says it, until it is past."""
    await world.boot()
    first = await world.request()
    assert (await world.service.card_of(first)).expected_us is None
    done = await world.delivered(first)
    assert done.finished_us is not None
    assert done.submitted_us is not None
    second = await world.request()
    running = await world.until_status(second, JobStatus.RUNNING)
    card = await world.service.card_of(running)
    assert running.submitted_us is not None
    assert card.expected_us == running.submitted_us + done.finished_us - done.submitted_us
    world.task_of(second).ends_us = world.clock.now_us() + 300_000_000
    await world.clock.sleep(60)
    assert (await world.service.card_of(running)).expected_us is None
    await world.stop()


# --- Again ----------------------------------------------------------------------------------------


async def a_picture(world: World, **changes: Any) -> Job:
    await world.boot()
    done = await world.delivered(await world.request(**changes))
    await world.stop()
    world.build()
    return done


@virtually
async def test_once_more_is_the_same_request(world: World) -> None:
    """Again: who presses orders and pays."""
    job = await a_picture(world, options={"resolution": "2k", "aspect_ratio": "3:2"})
    order = await world.service.again(
        job.short_id, press(user_id=TOM, staff=True, age_restricted=True)
    )
    assert (order.prompt, order.user_id, order.parent_id) == (job.prompt, TOM, job.id)
    assert order.age_restricted
    again = await world.service.request(order)
    assert again.request["options"] == job.request["options"]
    assert (again.parent_id, again.user_id) == (job.id, TOM)


@virtually
async def test_another_prompt_keeps_the_rest(world: World) -> None:
    """Edit prompt."""
    job = await a_picture(world, options={"resolution": "2k"})
    changes = Changes(prompt="a blue fox", options={"aspect_ratio": "1:1"})
    order = await world.service.again(job.short_id, press(), changes=changes)
    again = await world.service.request(order)
    assert again.prompt == "a blue fox"
    assert again.request["options"] == {"aspect_ratio": "1:1", "resolution": "2k"}


@pytest.mark.parametrize(
    ("options", "size", "ratio"),
    [
        ({"aspect_ratio": "3:2"}, None, "16:9"),
        ({"aspect_ratio": "2:3"}, None, "9:16"),
        ({"aspect_ratio": "21:9"}, None, "21:9"),
        ({}, None, "16:9"),
        ({}, (1024, 1536), "9:16"),
        ({}, (3_000, 1_000), "21:9"),
        ({}, (0, 0), "16:9"),
    ],
)
def test_4k_takes_the_nearest_ratio_that_is_allowed(
    new_world: NewWorld, options: dict[str, str], size: tuple[int, int] | None, ratio: str
) -> None:
    """Trap 28: 4k needs an explicit ratio from its list; the result goes along as reference."""

    @virtually
    async def play() -> None:
        world = new_world()
        job = await a_picture(world, options=options)
        order = await world.service.again(
            job.short_id, press(), variation=Variation.LARGE, changes=Changes(size=size)
        )
        large = await world.service.request(order)
        assert large.request["options"] == {"aspect_ratio": ratio, "resolution": "4k"}
        assert large.request["image_urls"] == ["https://files.example/1.png"]
        assert large.price_ucr == 7_200_000

    play()


@virtually
async def test_animate_makes_a_film_of_the_result(world: World) -> None:
    """With Discord's own address of the picture where there is one."""
    job = await a_picture(world)
    url = "https://cdn.discordapp.com/attachments/1/2/fox.png?ex=1"
    order = await world.service.again(
        job.short_id,
        press(),
        variation=Variation.ANIMATE,
        changes=Changes(image_urls=(url,), options={"seconds": 8}),
    )
    film = await world.service.request(order)
    assert (film.kind, film.model) == (JobKind.VIDEO, "grok-imagine-image-to-video")
    assert film.request["image_urls"] == [url]
    assert film.request["options"]["seconds"] == 8


@virtually
async def test_a_result_that_is_only_a_link_goes_to_who_fetches_it(world: World) -> None:
    """C-15: we fetch members' pictures from Discord only, so a model that wants bytes is not asked.

    Refused before anything is held where no other model is there, or that one was named.
    """
    job = await a_picture(world)
    films = world.catalogue.video_models
    bytes_only = replace(films["grok-imagine-image-to-video"], id="b", twin=None)
    bytes_only = replace(bytes_only, protocol=MediaProtocol.OPENAI_VIDEO)
    world.catalogue = replace(
        world.catalogue, video_models={"b": bytes_only, **films}, default_video_model="b"
    )
    world.build()
    link = await world.service.again(job.short_id, press(), variation=Variation.ANIMATE)
    assert link.images_are_links
    assert (await world.service.quote(link)).model_id != "b"
    url = "https://cdn.discordapp.com/attachments/1/2/fox.png?ex=1"
    picture = await world.service.again(
        job.short_id, press(), variation=Variation.ANIMATE, changes=Changes(image_urls=(url,))
    )
    assert (await world.service.quote(picture)).model_id == "b"
    with pytest.raises(PictureGone):
        await world.service.request(replace(link, model_id="b"))
    world.catalogue = replace(world.catalogue, video_models={"b": bytes_only})
    world.build()
    with pytest.raises(PictureGone):
        await world.service.request(link)
    assert (await world.balance()).held_ucr == 0


@pytest.mark.parametrize("variation", [Variation.LARGE, Variation.ANIMATE])
def test_a_film_can_neither_grow_nor_move(new_world: NewWorld, variation: Variation) -> None:
    """Those buttons are pictures' own."""

    @virtually
    async def play() -> None:
        world = new_world()
        film = await world.service.request(world.film())
        with pytest.raises(RequestInvalid):
            await world.service.again(film.short_id, press(), variation=variation)

    play()


@virtually
async def test_without_a_result_there_is_nothing_to_build_on(world: World) -> None:
    """A job that failed, or whose result's address has ended."""
    world.provider.plans = [nothing]
    await world.boot()
    job = await world.delivered(await world.request())
    await world.stop()
    world.build()
    with pytest.raises(ResultUnavailable):
        await world.service.again(job.short_id, press(), variation=Variation.LARGE)
    assert world.inner.view(jobs.artifacts_of, job_id=job.id) == ()


@virtually
async def test_a_model_that_left_gives_way_to_the_default(world: World) -> None:
    """Again after the operator changed the catalogue: the default takes the words."""
    world.catalogue = replace(
        world.catalogue,
        image_models={
            "old": replace(world.catalogue.image_models["gpt-image-2"], id="old"),
            **world.catalogue.image_models,
        },
    )
    world.build()
    job = await world.request(model_id="old")
    world.catalogue = replace(
        world.catalogue,
        image_models={"gpt-image-2": world.catalogue.image_models["gpt-image-2"]},
    )
    world.build()
    again = await world.service.request(await world.service.again(job.short_id, press()))
    assert again.model == "gpt-image-2"
    assert (await world.service.card_of(job)).model_label == "old"
