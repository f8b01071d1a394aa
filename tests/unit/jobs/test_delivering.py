"""Outcomes into Discord, and cards on the way there (S-7, F-4, F-15, F-16)."""

from __future__ import annotations

import asyncio

import pytest

from bot.jobs import refreshing
from bot.jobs.delivering import Deliverer
from bot.jobs.ports import DeliveryPostponed
from bot.limits import CARD_INTERVAL_S, CARDS_PER_S_MAX, IMAGE_DEADLINE_S
from storage import jobs
from storage.errors import StoreUnavailable
from storage.types import JobStatus, Outcome, Sink
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import Task
from tests.unit.jobs.test_evidence import losses
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import DAY_S, TOM, World


def without_address(task: Task) -> None:
    """Only the provider's own copy of the film."""
    task.urls, task.has_content = (), True


def with_three_pictures(task: Task) -> None:
    task.urls = tuple(f"https://files.example/{task.id}/{number}.png" for number in range(3))


@virtually
async def test_discords_troubles_are_sat_out(world: World) -> None:
    """S-7: tried again when Discord says, the credits long settled."""
    world.delivery.troubles = [DeliveryPostponed(retry_after_s=wait) for wait in (30.0, 0.0, 90.0)]
    await world.boot()
    job = await world.request()
    finished = await world.until_status(job, JobStatus.FINISHED)
    done = await world.delivered(job)
    assert done.delivered_us is not None
    assert finished.finished_us is not None
    assert 120 <= (done.delivered_us - finished.finished_us) / 1_000_000 <= 160
    assert (done.sink, world.delivery.deliveries[job.id]) == (Sink.CARD, 1)
    await world.stop()
    world.check_over()


@virtually
async def test_a_closed_discord_leaves_the_outcome_to_the_list(world: World) -> None:
    """S-7: an age of 24 h, then the member's own list has it; paid, for it can be had there."""
    world.delivery.trouble = DeliveryPostponed(retry_after_s=1_500.0)
    await world.boot()
    job = await world.request()
    done = await world.delivered(job, within_s=2 * DAY_S)
    assert (done.sink, done.outcome) == (Sink.LIST, Outcome.SUCCEEDED)
    assert done.delivered_us is not None
    assert done.finished_us is not None
    assert done.delivered_us - done.finished_us >= 86_400 * 1_000_000
    await world.stop()


@virtually
async def test_what_a_sink_has_is_not_shown_again_for_the_database(world: World) -> None:
    """F-111, I-23: the next sink would have it, too, if the first one were closed meanwhile."""
    world.delivery.trouble = DeliveryPostponed(retry_after_s=60.0)
    await world.boot()
    job = await world.request()
    finished = await world.until_status(job, JobStatus.FINISHED)
    await world.stop()
    world.delivery.trouble = None
    deliverer = Deliverer(world.bench)
    delivering = asyncio.create_task(deliverer.deliver(finished, to_list=False))
    await world.clock.sleep(0.05)
    world.database.failures = [StoreUnavailable(cause="disk is full")]
    with pytest.raises(StoreUnavailable):
        await delivering
    await deliverer.deliver(finished, to_list=False)
    assert world.delivery.deliveries[job.id] == 1
    assert world.fresh(job).sink is Sink.CARD


@virtually
async def test_an_outcome_does_not_wait_for_a_discord_that_was_never_tried(world: World) -> None:
    """N-8: before the login nothing is sent, however often; then it comes within seconds."""
    world.delivery.trouble = DeliveryPostponed(retry_after_s=5.0, is_away=True)
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.FINISHED)
    await world.clock.sleep(900)
    world.delivery.trouble = None
    await world.delivered(job, within_s=10)
    await world.stop()
    world.check_over()


@virtually
async def test_a_mistake_in_the_delivery_is_a_trouble_that_passes(world: World) -> None:
    """An exception that nobody foresaw does not lose the outcome."""
    world.delivery.troubles = [ZeroDivisionError(), ValueError()]
    await world.boot()
    job = await world.request()
    await world.delivered(job, within_s=60)
    await world.stop()
    world.check_over()


@pytest.mark.parametrize("down_s", [1, 60, 110, 130, 400, 2_000])
def test_shown_and_not_written_down_is_shown_once_more_in_place(
    new_world: NewWorld, down_s: float
) -> None:
    """F-16: a crash between the edit and its record repeats the edit; the outcome is the same."""

    @virtually
    async def play() -> None:
        world = new_world()
        await world.boot()
        job = await world.request()
        await world.until(lambda: world.delivery.deliveries[job.id] == 1)
        await world.crash()
        await world.clock.sleep(down_s)
        await world.boot()
        await world.delivered(job, within_s=5)
        assert len(world.delivery.outcomes[job.id]) == 1
        assert world.delivery.deliveries[job.id] <= 2
        await world.stop()
        world.check_over()

    play()


@virtually
async def test_a_card_that_was_never_shown_appears_after_a_restart(world: World) -> None:
    """F-4: accepted, and the process ended before the card stood in Discord."""
    world.provider.task_takes_s = 100.0
    job = await world.request()
    await world.boot()
    await world.until(lambda: world.fresh(job).card_message_id is not None, within_s=10)
    await world.stop()


@virtually
async def test_a_card_that_could_not_be_shown_is_shown_later(world: World) -> None:
    """F-4, F-6: the engine moves a job before Discord is there, and then has no reason to."""
    world.provider.answers_after_s = 600.0
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.crash()
    world.delivery.cards.clear()
    world.delivery.is_away = True
    await world.boot()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.clock.sleep(20)
    assert job.id not in world.delivery.cards
    world.delivery.is_away = False
    await world.until(lambda: job.id in world.delivery.cards, within_s=10)
    assert world.delivery.cards[job.id].job.status is JobStatus.UNKNOWN
    await world.stop()


@virtually
async def test_a_start_brings_every_open_card_up_to_date(world: World) -> None:
    """F-6: nothing moves an unclear job before its grace is over, and its card must say so."""
    world.provider.answers_after_s = 600.0
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.crash()
    world.delivery.is_away = True
    await world.boot()
    await world.until_status(job, JobStatus.UNKNOWN)
    await world.crash()
    world.delivery.is_away = False
    world.delivery.cards.clear()
    await world.boot()
    await world.until(lambda: job.id in world.delivery.cards, within_s=10)
    await world.stop()


@virtually
async def test_cards_are_not_refreshed_more_often_than_agreed(world: World) -> None:
    """One card, many changes: at most one edit in five seconds."""
    world.provider.task_takes_s = 40.0
    await world.boot()
    job = await world.request()
    began_s = world.clock.monotonic_s()
    for number in range(100):
        await world.call_back(job, body={"id": "task-1", "n": number}, attempt=1)
        await world.clock.sleep(0.3)
    passed_s = world.clock.monotonic_s() - began_s
    assert world.delivery.shows[job.id] <= passed_s / CARD_INTERVAL_S + 2
    await world.delivered(job)
    await world.stop()


@virtually
async def test_a_card_says_at_once_that_its_order_has_left(world: World) -> None:
    """Its Cancel is over; nobody presses for five seconds what cannot be done any more."""
    world.provider.answers_after_s = 30.0
    await world.boot()
    await world.clock.sleep(1)
    first = await world.request()
    await world.service.show_at(first, message_id=10_000 + first.id)
    await world.clock.sleep(1)
    job = await world.request(user_id=TOM)
    await world.service.show_at(job, message_id=10_000 + job.id)
    await world.until_status(job, JobStatus.SUBMITTING)
    await world.clock.sleep(0.5)
    assert world.delivery.cards[job.id].job.status is JobStatus.SUBMITTING
    await world.until_status(job, JobStatus.RUNNING)
    await world.clock.sleep(0.5)
    assert world.delivery.cards[job.id].job.status is JobStatus.RUNNING
    await world.stop()


@virtually
async def test_many_moves_at_once_stay_within_discords_budget(world: World) -> None:
    """F-84: ten refreshes a second of all cards together, though hundreds of jobs moved."""
    orders = [await world.request(user_id=number // 5) for number in range(30)]
    began_s = world.clock.monotonic_s()
    await world.boot()
    await world.until(lambda: sum(world.delivery.shows.values()) >= 30)
    passed_s = world.clock.monotonic_s() - began_s
    assert sum(world.delivery.shows.values()) <= CARDS_PER_S_MAX * passed_s + 1
    world.provider.task_takes_s = 1.0
    for job in orders:
        await world.delivered(job)
    await world.stop()
    world.check_over()


@virtually
async def test_no_card_is_forgotten_behind_the_oldest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More cards than fit one round: the next one goes on where it ended."""
    monkeypatch.setattr(refreshing, "CARDS_PER_ROUND_MAX", 3)
    world.provider.task_takes_s = None
    orders = [await world.request(user_id=number // 5) for number in range(8)]
    await world.boot()
    for job in orders:
        await world.until_status(job, JobStatus.RUNNING)
    await world.clock.sleep(120)
    last = orders[-1]
    world.delivery.cards.clear()
    await world.inner.transact(
        jobs.postpone,
        job_id=last.id,
        status=JobStatus.RUNNING,
        due_us=world.clock.now_us() + 60_000_000,
        progress=77,
        now_us=world.clock.now_us(),
    )
    await world.until(lambda: last.id in world.delivery.cards, within_s=90)
    assert world.delivery.cards[last.id].job.progress == 77
    await world.stop()


@virtually
async def test_a_slow_discord_does_not_hold_up_the_mover(world: World) -> None:
    """Showing progress hangs; the jobs go on."""
    world.delivery.slow_s = 1_000.0
    await world.boot()
    job = await world.request()
    assert (await world.delivered(job, within_s=60)).outcome is Outcome.SUCCEEDED
    await world.stop()


@virtually
async def test_a_place_in_the_queue_moves_up_on_the_card(world: World) -> None:
    """A waiting member sees the queue move."""
    world.provider.answers_after_s = 20.0
    world.provider.task_takes_s = 5.0
    await world.boot()
    ahead = [await world.request() for _ in range(6)]
    last = await world.request(user_id=TOM)
    for job in [*ahead, last]:
        await world.service.show_at(job, message_id=10_000 + job.id)
    for job in [*ahead, last]:
        await world.delivered(job)
    places = {place for job_id, status, place in world.delivery.shown if place is not None}
    assert len(places) >= 2
    await world.stop()
    world.check_over()


@virtually
async def test_a_cancelled_job_says_so_on_its_card(world: World) -> None:
    """The engine delivers whatever the outcome is."""
    job = await world.request()
    await world.service.cancel(job.short_id, user_id=job.user_id, staff=False, guild_id=None)
    await world.boot()
    done = await world.delivered(job, within_s=5)
    assert done.outcome is Outcome.CANCELLED
    assert world.delivery.cards[job.id].job.outcome is Outcome.CANCELLED
    assert world.provider.creates == []
    await world.stop()
    world.check_over()


@virtually
async def test_the_card_of_a_success_has_the_file_and_the_balance(world: World) -> None:
    """Everything the message needs comes with the card."""
    await world.boot()
    job = await world.request()
    await world.delivered(job)
    card = world.delivery.cards[job.id]
    assert card.result_paths[0] is not None
    assert card.available_ucr == (await world.balance()).available_ucr
    assert card.model_label == "GPT Image 2"
    assert card.error is None
    await world.stop()


@virtually
async def test_files_and_callbacks_go_when_nobody_needs_them(world: World) -> None:
    """C-45: a file that is in no message a day after the delivery, the callback after a week."""
    world.delivery.uploads = False
    await world.boot()
    job = await world.request()
    await world.delivered(job)
    assert len(world.files.kept) == 1
    await world.clock.sleep(20 * 3_600)
    assert len(world.files.kept) == 1
    await world.clock.sleep(6 * 3_600)
    assert world.files.kept == set()
    card = await world.service.show(job.short_id, user_id=job.user_id, staff=False, guild_id=None)
    assert card.result_paths == (None,)
    await world.stop()


@virtually
async def test_a_file_that_stands_in_discord_is_not_kept_here(world: World) -> None:
    """Stored until delivered: a busy day must not fill the folder with what members have."""
    await world.boot()
    job = await world.request()
    await world.delivered(job)
    await world.until(lambda: world.files.kept == set(), within_s=5)
    assert world.inner.view(jobs.kept_files) == frozenset()
    await world.stop()
    world.check_over()


@virtually
async def test_a_file_that_only_the_list_has_is_kept(world: World) -> None:
    """S-7: the member fetches it with `/jobs show`."""
    world.delivery.sink, world.delivery.uploads = Sink.LIST, False
    await world.boot()
    job = await world.request()
    await world.delivered(job)
    await world.clock.sleep(3_600)
    assert len(world.files.kept) == 1
    await world.stop()


@virtually
async def test_a_full_folder_gives_way_to_a_paid_result(world: World) -> None:
    """F-111: what was delivered longest ago goes, and the new result is secured."""
    world.delivery.uploads = False
    await world.boot()
    first, second = await world.request(), await world.request()
    await world.delivered(first)
    await world.delivered(second)
    world.files.room = 2
    third = await world.request()
    done = await world.delivered(third)
    assert done.outcome is Outcome.SUCCEEDED
    paths = [world.inner.view(jobs.artifacts_of, job_id=job.id)[0].path for job in (first, third)]
    assert paths[0] is None
    assert paths[1] in world.files.kept
    await world.stop()
    world.check_over()


@virtually
async def test_a_folder_full_of_what_nobody_has_yet_makes_room_for_nothing(world: World) -> None:
    """A result without a sink is never dropped for another one."""
    world.delivery.trouble = DeliveryPostponed(retry_after_s=100.0)
    await world.boot()
    first = await world.request()
    await world.until_status(first, JobStatus.FINISHED)
    second = await world.request()
    world.files.room = 1
    await world.clock.sleep(IMAGE_DEADLINE_S / 2)
    assert world.status_of(second) == JobStatus.RUNNING
    assert len(world.files.kept) == 1
    world.delivery.trouble = None
    assert (await world.delivered(first)).outcome is Outcome.SUCCEEDED
    assert (await world.delivered(second)).outcome is Outcome.SUCCEEDED
    await world.stop()
    world.check_over()


@pytest.mark.parametrize("elsewhere", [None, "https://files.example/film.mp4"])
@virtually
async def test_a_full_folder_gives_way_to_the_providers_own_copy(
    elsewhere: str | None, world: World
) -> None:
    """F-111: also for bytes that come with our key, or from where those point."""
    world.delivery.uploads = False
    world.provider.shape = without_address
    world.provider.content_elsewhere = elsewhere
    await world.boot()
    first = await world.service.request(world.film(model_id="viduq1"))
    await world.delivered(first)
    world.files.room = 1
    second = await world.service.request(world.film(model_id="viduq1"))
    assert (await world.delivered(second)).outcome is Outcome.SUCCEEDED
    assert len(world.files.kept) == 1
    await world.stop()
    world.check_over()


@virtually
async def test_a_paid_result_waits_for_room_until_its_deadline(world: World) -> None:
    """F-111, S-6: no room is no fault of the provider's, and even after it a look may save it."""
    await world.boot()
    job = await world.request()
    world.files.room = 0
    done = await world.delivered(job)
    assert done.failure == "ResultUnavailable"
    assert done.finished_us is not None
    assert 0 <= done.finished_us - done.deadline_us < 60_000_000
    assert done.tries.fetches == 0
    assert len(world.provider.gets) <= IMAGE_DEADLINE_S / 50
    await world.clock.sleep(3_600.0)
    world.files.room = None
    await world.until(lambda: world.fresh(job).late_us is not None)
    assert len(world.files.kept) == 1
    assert world.fresh(job).charged_ucr == 0
    assert losses(world) == [job.cost_ucr]
    await world.stop()
    world.check_over()


@virtually
async def test_a_gallery_waits_for_room_for_all_of_it(world: World) -> None:
    """F-111: what of it was fetched takes no room meanwhile; at the deadline it is the result."""
    world.provider.shape = with_three_pictures
    world.delivery.uploads = False
    await world.boot()
    first, second = await world.request(), await world.request()
    world.files.room = 2
    await world.clock.sleep(600.0)
    assert {world.status_of(job) for job in (first, second)} == {JobStatus.RUNNING}
    assert world.files.kept == set()
    world.files.room = 3
    await world.until(lambda: JobStatus.DELIVERED in map(world.status_of, (first, second)))
    done = await world.delivered(first), await world.delivered(second)
    assert [job.outcome for job in done] == [Outcome.SUCCEEDED] * 2
    world.files.room = 2
    await world.clock.sleep(DAY_S + 3_600.0)
    third = await world.delivered(await world.request())
    assert third.outcome is Outcome.SUCCEEDED
    assert len(world.inner.view(jobs.artifacts_of, job_id=third.id)) == 2
    await world.stop()
    world.check_over()
