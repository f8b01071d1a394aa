"""Finding jobs, listing them, and their files."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage import jobs
from storage.short_ids import ALPHABET, normalised, short_id
from storage.types import Artifact, Durations, Job, Sink
from tests.unit.storage.bank import DAY_US, MIRA, TOM
from tests.unit.storage.workshop import MINUTE_US, PRICE, Workshop, picture

# --- References for people -----------------------------------------------------------------------


def test_short_references_never_collide() -> None:
    """The mix is bijective; here for the first jobs and for the last ones possible."""
    numbers = [*range(1, 20_000), *range((1 << 40) - 1_000, 1 << 40)]
    made = {short_id(number) for number in numbers}
    assert len(made) == len(numbers)
    assert all(len(name) == 8 and set(name) <= set(ALPHABET) for name in made)


def test_short_references_are_the_same_for_ever() -> None:
    """They stand in messages that are years old."""
    assert [short_id(number) for number in (1, 2, 3)] == ["3E25EMJE", "MWYSCC8Z", "A6X432JJ"]


def test_neighbours_do_not_look_alike() -> None:
    """From one reference nobody guesses the next one."""
    for number in range(1, 500):
        pairs = zip(short_id(number), short_id(number + 1), strict=True)
        assert sum(left == right for left, right in pairs) <= 4


@pytest.mark.parametrize("number", [0, -1, 1 << 40])
def test_a_number_that_is_none_has_no_reference(number: int) -> None:
    """Eight characters have forty bits."""
    with pytest.raises(AssertionError):
        short_id(number)


@pytest.mark.parametrize("typed", ["3e25emje", " 3E25-EMJE ", "#3E25EMJE"])
def test_a_reference_is_understood_as_people_type_it(workshop: Workshop, typed: str) -> None:
    """Crockford: any case, and what looks alike is alike."""
    job = workshop.order()
    assert workshop.database.view(jobs.by_short_id, short_id=typed) == job
    assert normalised("oOlLiI") == "001111"


def test_jobs_are_found_by_every_key(workshop: Workshop) -> None:
    """And nothing is found by a key of nobody."""
    job = workshop.at("running", "i:1")
    assert job.task_id is not None
    view = workshop.database.view
    assert view(jobs.get, job_id=job.id) == job
    assert view(jobs.by_short_id, short_id=job.short_id) == job
    assert view(jobs.by_reference, reference="i:1") == job
    assert view(jobs.by_task, provider="aivideo", task_id=job.task_id) == job
    assert view(jobs.get, job_id=99) is None
    assert view(jobs.by_short_id, short_id="00000000") is None
    assert view(jobs.by_reference, reference="i:2") is None


# --- Lists ---------------------------------------------------------------------------------------


def test_a_member_sees_their_own_jobs_newest_first(workshop: Workshop) -> None:
    """Page by page."""
    own = [workshop.order() for _ in range(5)]
    workshop.order(user_id=TOM)
    view = workshop.database.view
    first = view(jobs.list_for, user_id=MIRA, limit=3)
    assert first == tuple(own[:1:-1])
    assert view(jobs.list_for, user_id=MIRA, limit=3, before_id=first[-1].id) == (own[1], own[0])


def test_open_jobs_are_those_without_an_outcome(workshop: Workshop) -> None:
    """F-152: what counts against the limit of one member."""
    for status in ("queued", "submitting", "running", "unknown", "finished", "delivered"):
        workshop.at(status)
    workshop.order(user_id=TOM)
    assert workshop.database.view(jobs.open_count, user_id=MIRA) == 4


def test_cards_in_progress_are_those_to_refresh(workshop: Workshop) -> None:
    """Oldest first, and those that stand nowhere yet (F-4); a result is delivered instead."""
    made = [workshop.at(status) for status in ("queued", "running", "unknown", "finished")]
    workshop.database.run(jobs.record_card, job_id=made[0].id, message_id=100)
    shown = workshop.database.view(jobs.open_cards, limit=10)
    assert [job.id for job in shown] == [job.id for job in made[:3]]
    assert len(workshop.database.view(jobs.open_cards, limit=2)) == 2


def test_cards_are_read_page_by_page(workshop: Workshop) -> None:
    """So that the fifty oldest do not keep all others from being brought up to date."""
    made = [workshop.at("running") for _ in range(3)]
    for job in made:
        workshop.database.run(jobs.record_card, job_id=job.id, message_id=100 + job.id)
    first, second, third = (job.id for job in made)
    page = workshop.database.view(jobs.open_cards, limit=2)
    assert [job.id for job in page] == [first, second]
    page = workshop.database.view(jobs.open_cards, after_id=second, limit=2)
    assert [job.id for job in page] == [third]


def test_durations_are_learnt_from_the_newest_successes(workshop: Workshop) -> None:
    """S-5: by model; failures teach nothing."""
    view = workshop.database.view

    def take(minutes: int, model: str = "gpt-image-2") -> None:
        job = workshop.at("running", model=model)
        workshop.now_us += minutes * MINUTE_US
        assert workshop.succeed(job, PRICE)

    assert view(jobs.durations, model="gpt-image-2") is None
    for minutes in (90, 1, 2, 3):
        take(minutes)
    take(50, model="kling")
    failed = workshop.at("running")
    workshop.now_us += DAY_US
    workshop.fail(failed)
    assert view(jobs.durations, model="gpt-image-2") == Durations(
        median_us=3 * MINUTE_US, p99_us=90 * MINUTE_US
    )
    assert view(jobs.durations, model="gpt-image-2", last=3) == Durations(
        median_us=2 * MINUTE_US, p99_us=3 * MINUTE_US
    )
    assert view(jobs.durations, model="kling") == Durations(
        median_us=50 * MINUTE_US, p99_us=50 * MINUTE_US
    )


def test_a_clock_that_was_set_back_teaches_no_negative_duration(workshop: Workshop) -> None:
    """F-118."""
    job = workshop.at("running")
    workshop.now_us -= DAY_US
    workshop.succeed(job)
    assert workshop.database.view(jobs.durations, model="gpt-image-2") == Durations(
        median_us=0, p99_us=0
    )


# --- Files ---------------------------------------------------------------------------------------


def test_results_come_back_as_they_were_attached(workshop: Workshop) -> None:
    """In their order, whatever the order of storing."""
    files = (replace(picture(1), source_expires_us=5), picture(0, path="a.png"))
    job = workshop.at("running")
    workshop.act(jobs.succeed, job_id=job.id, artifacts=files, cost_ucr=0)
    assert workshop.database.view(jobs.artifacts_of, job_id=job.id) == (files[1], files[0])


def test_files_are_kept_until_some_sink_has_them(workshop: Workshop) -> None:
    """C-45: by the time of delivery; asked once, each name is given once."""
    waiting = workshop.at("running")
    workshop.succeed(waiting, path="waiting.png")
    done = workshop.at("running")
    workshop.succeed(done, path="done.png")
    workshop.deliver(done)
    run, view = workshop.database.run, workshop.database.view
    assert view(jobs.kept_files) == {"waiting.png", "done.png"}
    assert run(jobs.drop_files, before_us=workshop.now_us) == ()
    assert run(jobs.drop_files, before_us=workshop.now_us + 1) == ("done.png",)
    assert run(jobs.drop_files, before_us=workshop.now_us + 1) == ()
    assert view(jobs.kept_files) == {"waiting.png"}
    assert _paths(workshop, done) == [None]


def test_late_files_are_kept_from_when_they_came(workshop: Workshop) -> None:
    """S-6: the retention time begins with the result, not with the refund."""
    job = workshop.at("running")
    workshop.fail(job)
    workshop.deliver(job)
    workshop.now_us += DAY_US
    late_us = workshop.now_us
    workshop.late(job, artifacts=(picture(path="late.png"),))
    assert workshop.database.run(jobs.drop_files, before_us=late_us) == ()
    assert workshop.database.run(jobs.drop_files, before_us=late_us + 1) == ("late.png",)


def test_a_file_of_two_jobs_is_deleted_with_the_second(workshop: Workshop) -> None:
    """Equal bytes may share one name."""
    first, second = workshop.at("running"), workshop.at("running")
    for job in (first, second):
        workshop.succeed(job, path="same.png")
    workshop.deliver(first)
    later_us = workshop.now_us + 1
    assert workshop.database.run(jobs.drop_files, before_us=later_us) == ()
    assert (_paths(workshop, first), _paths(workshop, second)) == ([None], ["same.png"])
    workshop.deliver(second)
    assert workshop.database.run(jobs.drop_files, before_us=later_us) == ("same.png",)


def test_room_is_made_with_the_oldest_that_stands_in_discord(workshop: Workshop) -> None:
    """F-111: first what a message shows, then what only the list has, never what nobody has."""
    waiting, listed, old, new = (workshop.at("running") for _ in range(4))
    for job, name in ((waiting, "waiting"), (listed, "listed"), (old, "old"), (new, "new")):
        workshop.succeed(job, path=f"{name}.png")
    workshop.deliver(listed, sink=Sink.LIST, message_id=None)
    for job in (old, new):
        workshop.now_us += 1
        workshop.deliver(job)
    run = workshop.database.run
    assert run(jobs.droppable_bytes) == 3 * 1_234
    assert run(jobs.drop_oldest_files, bytes_min=1) == ("old.png",)
    assert run(jobs.drop_oldest_files, bytes_min=1_235) == ("listed.png", "new.png")
    assert run(jobs.drop_oldest_files, bytes_min=1) == ()
    assert run(jobs.droppable_bytes) == 0
    assert _paths(workshop, waiting) == ["waiting.png"]


def test_the_files_of_one_job_go_without_those_of_another(workshop: Workshop) -> None:
    """Equal bytes may share one name; the second job still needs it."""
    first, second = workshop.at("running"), workshop.at("running")
    for job in (first, second):
        workshop.succeed(job, path="same.png")
    run = workshop.database.run
    assert run(jobs.drop_files_of, job_id=first.id) == ()
    assert _paths(workshop, second) == ["same.png"]
    assert run(jobs.drop_files_of, job_id=second.id) == ("same.png",)


def _paths(workshop: Workshop, job: Job) -> list[str | None]:
    files: tuple[Artifact, ...] = workshop.database.view(jobs.artifacts_of, job_id=job.id)
    return [file.path for file in files]
