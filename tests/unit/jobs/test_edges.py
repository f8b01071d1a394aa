"""Corners of the engine: what happens beside the mover, and what is missing when it is needed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.catalogue.media import OptionValue
from bot.errors import (
    AnswerMalformed,
    ModelUnknown,
    ProviderInternalError,
    RequestInvalid,
    ResultUnusable,
)
from bot.jobs.bell import Bell
from bot.jobs.orders import changed_options
from bot.jobs.service import Variation
from bot.limits import HOUSEKEEPING_S
from bot.providers.base import Created, CreateVerdict
from storage.errors import StoreInUse, StoreUnavailable
from storage.types import JobKind, JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import FakeProvider, Task, lost, unavailable
from tests.unit.jobs.test_engine import limited
from tests.unit.jobs.test_service import a_picture, press
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import World


def test_a_bell_that_nobody_hears_rings_for_nothing() -> None:
    """It is made before the engine."""
    bell, heard = Bell(), []
    bell.ring()
    bell.listen(lambda: heard.append(1))
    bell.ring()
    assert heard == [1]


# --- Beside the mover -----------------------------------------------------------------------------


@virtually
async def test_cards_and_housekeeping_outlive_their_troubles(
    world: World, logged: list[dict[str, object]]
) -> None:
    """A database that is away, and mistakes of ours: the next round may do better."""
    await world.boot()
    await world.clock.sleep(1)
    world.delivery.show_error = ZeroDivisionError()
    world.delivery.uploads = False
    world.provider.task_takes_s = 60.0
    job = await world.request()
    await world.clock.sleep(20)
    world.delivery.show_error = None
    await world.until(lambda: world.delivery.shows[job.id] > 0, within_s=60)
    await world.delivered(job)
    world.files.remove_error = ZeroDivisionError()
    await world.clock.sleep(26 * 3_600)
    done = await world.delivered(await world.request())
    assert done.outcome is Outcome.SUCCEEDED
    assert {entry["event"] for entry in logged} >= {"cards_not_shown", "housekeeping_broke"}
    await world.stop()


@virtually
async def test_housekeeping_waits_for_a_database_that_is_away(
    world: World, logged: list[dict[str, object]]
) -> None:
    """It has an hour until its next round; a fenced one ends."""
    await world.boot()
    await world.clock.sleep(HOUSEKEEPING_S - 1)
    world.database.failures = [StoreUnavailable(cause="disk")]
    await world.clock.sleep(5)
    assert any(entry["event"] == "not_tidied" for entry in logged)
    await world.clock.sleep(HOUSEKEEPING_S - 10)
    world.database.failures = [StoreInUse(path="x", pid=1, host="h")]
    await world.clock.sleep(10)
    await world.stop()


@virtually
async def test_a_disk_that_fills_is_told_of_once_an_hour(
    world: World, logged: list[dict[str, object]]
) -> None:
    """F-111: at a tenth and at two in a hundred free."""
    told = []
    await world.boot()
    await world.clock.sleep(1)
    for free_ppm in (500_000, 100_000, 99_999, 20_000, 19_999, 500_000):
        world.files.free_ppm = free_ppm
        await world.clock.sleep(HOUSEKEEPING_S)
        lines = [entry for entry in logged if entry["event"] == "disk_fills"]
        told.append([(line["log_level"], line["free_percent"]) for line in lines])
        logged.clear()
    warning, error = [("warning", 9.9)], [("error", 1.9)]
    assert told == [[], [], warning, [("warning", 2.0)], error, []]
    world.files.disk_error = OSError(5, "Input/output error")
    await world.clock.sleep(HOUSEKEEPING_S)
    (line,) = [entry for entry in logged if entry["event"] == "disk_not_read"]
    assert (line["log_level"], line["errno"]) == ("error", 5)
    await world.stop()


@virtually
async def test_closing_twice_is_closing(world: World) -> None:
    """The composition ends it in order, and once more on its way out."""
    await world.boot()
    await world.stop()
    await world.engine.close()


# --- Creates --------------------------------------------------------------------------------------


@virtually
async def test_a_provider_that_was_taken_away_is_not_asked(world: World) -> None:
    """The operator removed its key while the job waited."""
    job = await world.service.request(world.film(model_id="viduq1"))
    world.provider.is_set_up = False
    await world.boot()
    assert (await world.delivered(job)).failure == "ModelNotFound"
    await world.stop()
    world.check_over()


@virtually
async def test_a_running_job_waits_for_a_provider_that_was_taken_away(world: World) -> None:
    """It may come back before the deadline."""
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    world.provider.is_set_up = False
    await world.clock.sleep(300)
    world.provider.is_set_up = True
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_answer_with_another_name_is_an_alarm(
    world: World, logged: list[dict[str, object]]
) -> None:
    """F-62: adopted by its callback as one task, answered as another."""

    def other(provider: FakeProvider, task: Task) -> CreateVerdict:
        provider.tasks[task.id] = task
        return Created(task_id="task-77")

    world.provider.hold = asyncio.Event()
    world.provider.task_takes_s = 2.0
    world.provider.plans = [other]
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(3)
    await world.call_back(job)
    await world.until_status(job, JobStatus.RUNNING)
    world.provider.hold.set()
    done = await world.delivered(job)
    assert done.task_id == "task-1"
    assert any(entry["event"] == "late_answer_disagrees" for entry in logged)
    await world.stop()
    world.check_over()


@virtually
async def test_a_ring_during_a_create_without_evidence_changes_nothing(world: World) -> None:
    """Other orders ring the bell, too; and a database that is away then is no reason to give up."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(1)
    world.engine.wake()
    await world.clock.sleep(1)
    world.database.read_failures = [StoreUnavailable(cause="disk")]
    world.engine.wake()
    await world.clock.sleep(1)
    assert world.fresh(job).status is JobStatus.SUBMITTING
    world.provider.hold.set()
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@virtually
async def test_a_verdict_that_cannot_be_written_for_long_is_a_doubt(world: World) -> None:
    """F-110: after ten minutes the row decides: never sent again, adopted by its callback."""
    world.provider.hold = asyncio.Event()
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    world.database.failures = [StoreUnavailable(cause="disk") for _ in range(10_000)]
    world.provider.hold.set()
    await world.clock.sleep(700)
    world.database.failures = []
    await world.until_status(job, JobStatus.UNKNOWN, within_s=60)
    await world.call_back(job)
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert len(world.provider.creates) == 1
    await world.stop()
    world.check_over()


# --- Results --------------------------------------------------------------------------------------


def behind(task: Task) -> None:
    task.urls, task.has_content = (), True


@virtually
async def test_content_that_points_elsewhere_is_fetched_without_the_key(world: World) -> None:
    """The guarded fetcher goes there."""
    world.provider.shape = behind
    world.provider.content_elsewhere = "https://cdn.example/film.mp4"
    await world.boot()
    job = await world.service.request(world.film(model_id="viduq1"))
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert world.files.fetched == ["https://cdn.example/film.mp4"]
    await world.stop()


@virtually
async def test_content_that_cannot_be_had_is_tried_thrice(world: World) -> None:
    """F-53, by the other road."""
    world.provider.shape = behind
    world.provider.content_elsewhere = "https://cdn.example/film.mp4"
    world.files.error = unavailable()
    await world.boot()
    job = await world.service.request(world.film(model_id="viduq1"))
    assert (await world.delivered(job)).failure == "ResultUnavailable"
    await world.stop()
    world.check_over()


@virtually
async def test_content_that_answers_with_an_error_is_tried_again(world: World) -> None:
    """The provider's errors are no mistakes of ours."""
    world.provider.shape = behind
    world.provider.content_errors = [AnswerMalformed(provider="video")] * 2
    await world.boot()
    job = await world.service.request(world.film(model_id="viduq1"))
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert world.provider.content_errors == []
    await world.stop()


@virtually
async def test_a_late_result_that_is_no_picture_is_let_go(world: World) -> None:
    """S-6: there is nothing to keep."""
    world.provider.plans = [lost]
    await world.boot()
    job = await world.delivered(await world.request())
    world.files.error = ResultUnusable("wrong_type")
    await world.call_back(job)
    await world.clock.sleep(10)
    assert world.fresh(job).late_us is None
    await world.stop()
    world.check_over()


@virtually
async def test_a_late_task_that_still_runs_is_waited_for(world: World) -> None:
    """S-6: a callback may be early there, too."""
    world.provider.plans = [lost]
    world.provider.task_takes_s = 900.0
    await world.boot()
    job = await world.delivered(await world.request())
    await world.call_back(job)
    await world.until(lambda: world.fresh(job).late_us is not None, within_s=1_200)
    await world.stop()
    world.check_over()


# --- Orders ---------------------------------------------------------------------------------------


def test_a_new_size_replaces_what_the_former_was_made_of(world: World) -> None:
    """`size` is resolution and ratio in one; both at once would contradict."""
    model = world.catalogue.video_models["grok-imagine-text-to-video"]
    former: dict[str, OptionValue] = {
        "resolution": "480p",
        "aspect_ratio": "2:3",
        "seconds": 6,
        "gone": 1,
    }
    assert changed_options(model, former, {"size": "720p 16:9"}) == {
        "seconds": 6,
        "size": "720p 16:9",
    }
    assert changed_options(model, former, {"seconds": 8})["resolution"] == "480p"


@virtually
async def test_without_any_model_nothing_can_be_ordered(world: World) -> None:
    """An operator's catalogue may have chat only."""
    world.catalogue = replace(
        world.catalogue, image_models={}, video_models={}, default_image_model=None
    )
    world.build()
    with pytest.raises(ModelUnknown):
        await world.request()
    assert world.service.offered(JobKind.IMAGE) == ()


@virtually
async def test_a_default_that_cannot_take_so_many_pictures_says_so(world: World) -> None:
    """No model of the catalogue takes twenty."""
    urls = tuple(f"https://cdn.discordapp.com/attachments/1/{n}/a.png" for n in range(20))
    with pytest.raises(RequestInvalid):
        await world.service.request(world.film(image_urls=urls))


@virtually
async def test_4k_finds_a_model_that_has_it(world: World) -> None:
    """Another model than the picture's own; none at all is told."""
    large = world.catalogue.image_models["gpt-image-2"]
    options = {name: option for name, option in large.options.items() if name != "resolution"}
    price = replace(large.price, by=None, amounts_ucr={"": 1_000_000})
    small = replace(large, id="small", options=options, rules=(), price=price)
    world.catalogue = replace(world.catalogue, image_models={"small": small, "gpt-image-2": large})
    world.build()
    job = await a_picture(world, model_id="small")
    order = await world.service.again(job.short_id, press(), variation=Variation.LARGE)
    assert order.model_id == "gpt-image-2"
    world.catalogue = replace(
        world.catalogue, image_models={"small": small}, default_image_model="small"
    )
    world.build()
    with pytest.raises(RequestInvalid):
        await world.service.again(job.short_id, press(), variation=Variation.LARGE)


@virtually
async def test_a_queued_job_past_its_deadline_is_not_sent(new_world: NewWorld) -> None:
    """F-52: we were away for hours; the member has long given up."""
    world = new_world()
    job = await world.request()
    await world.clock.sleep(7_200)
    await world.boot()
    assert (await world.delivered(job, within_s=5)).failure == "DeadlinePassed"
    assert world.provider.creates == []
    await world.stop()
    world.check_over()


@virtually
async def test_a_refused_job_with_an_unreadable_callback_waits(world: World) -> None:
    """Section 5, point 8: while nobody can tell whether it was sent, it is not sent again."""
    world.provider.plans = [limited]
    await world.boot()
    job = await world.request()
    await world.until(lambda: world.fresh(job).attempt == 1)
    await world.until_status(job, JobStatus.QUEUED)
    world.provider.get_errors = [ProviderInternalError(provider="aivideo") for _ in range(3)]
    await world.call_back(job, body={"id": "task-invented"})
    await world.clock.sleep(25)
    assert len(world.provider.creates) == 1
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    assert len(world.provider.creates) == 2
    await world.stop()
    world.check_over()
