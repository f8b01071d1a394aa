"""What a callback's body claims changes nothing by itself, whatever it claims (C-8, I-26)."""

from __future__ import annotations

import json

import pytest

from storage.types import JobStatus, Outcome
from tests.unit.jobs.conftest import NewWorld
from tests.unit.jobs.fakes import lost, nothing
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import PICTURE_UCR

LOUD = "@everyone <@&1> **bold** \x1b[31mred\x1b[0m `code` [x](https://evil.example) \u202e"
TRUE_TASK = "task-1"
LIES = {
    "a negative price": '{"id": "task-1", "status": "completed", "credits_consumed": -5}',
    "no number as price": '{"id": "task-1", "status": "completed", "credits_consumed": NaN}',
    "an infinite price": '{"id": "task-1", "status": "completed", "credits_consumed": 1e999}',
    "a word as price": '{"id": "task-1", "status": "completed", "credits_consumed": "free"}',
    "a huge price": '{"id": "task-1", "status": "completed", "credits_consumed": 9e30}',
    "a price of many digits": '{"id": "task-1", "credits_consumed": ' + "9" * 5_000 + "}",
    "an unknown status": '{"id": "task-1", "status": "sublime"}',
    "a failure that was none": '{"id": "task-1", "status": "failed", "error": {"code": "x"}}',
    "another result": '{"id": "task-1", "status": "completed", "output": ["http://10.0.0.1/x"]}',
    "loud words": json.dumps({"id": TRUE_TASK, "status": "failed", "error": {"message": LOUD}}),
    "a long error": json.dumps({"id": TRUE_TASK, "status": "failed", "error": "@here " * 9_000}),
    "a name twice": '{"id": "task-2", "id": "task-1", "status": "failed"}',
}
NAMELESS = {
    "no task": '{"status": "completed", "credits_consumed": 0}',
    "a number as task": '{"id": 1, "status": "completed"}',
    "a list as task": '{"id": ["task-1"], "status": "completed"}',
    "an empty task": '{"id": "", "status": "completed"}',
    "a task of a thousand letters": json.dumps({"id": "t" * 1_000}),
    "a task that is a path": '{"id": "../../v1/credits"}',
    "a foreign task": '{"id": "task-of-somebody-else", "status": "completed"}',
    "no object": '["task-1"]',
    "no json": "task-1",
    "nothing": "",
    "zeros": "\0" * 1_000,
    "deep nesting": '{"id": "task-1", "data": ' + "[" * 20_000 + "]" * 20_000 + "}",
}


@pytest.mark.parametrize("body", [*LIES.values(), *NAMELESS.values()], ids=[*LIES, *NAMELESS])
def test_a_running_job_ends_as_its_own_read_says(new_world: NewWorld, body: str) -> None:
    """F-51, F-65, F-67: neither price nor outcome nor words come from a body."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.task_takes_s = 40.0
        await world.boot()
        job = await world.request()
        await world.until_status(job, JobStatus.RUNNING)
        await world.call_back(job, body=body)
        await world.clock.sleep(2)
        assert world.fresh(job).status is JobStatus.RUNNING
        done = await world.delivered(job)
        assert (done.outcome, done.charged_ucr) == (Outcome.SUCCEEDED, PICTURE_UCR)
        await world.stop()
        world.check_over()

    play()


@pytest.mark.parametrize("body", LIES.values(), ids=LIES.keys())
def test_a_lost_answer_is_found_by_the_name_alone(
    new_world: NewWorld, body: str, logged: list[dict[str, object]]
) -> None:
    """F-62, F-65, F-67: the name is a hint, which our own read confirms; no more is read."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [lost]
        await world.boot()
        job = await world.request()
        await world.until_status(job, JobStatus.UNKNOWN)
        await world.clock.sleep(30)
        await world.call_back(job, body=body)
        done = await world.delivered(job)
        assert (done.outcome, done.charged_ucr) == (Outcome.SUCCEEDED, PICTURE_UCR)
        assert "evil" not in str(logged)
        assert "@here" not in str(logged)
        await world.stop()
        world.check_over()

    play()


@pytest.mark.parametrize("body", NAMELESS.values(), ids=NAMELESS.keys())
def test_a_lost_answer_is_not_found_by_a_body_that_names_no_task_of_ours(
    new_world: NewWorld, body: str, logged: list[dict[str, object]]
) -> None:
    """F-43, F-65: the credits go back after the grace, and no word of the body is in the log."""

    @virtually
    async def play() -> None:
        world = new_world()
        world.provider.plans = [nothing]
        await world.boot()
        job = await world.request()
        await world.until_status(job, JobStatus.UNKNOWN)
        await world.call_back(job, body=body)
        done = await world.delivered(job)
        assert (done.failure, done.charged_ucr) == ("OutcomeUnknown", 0)
        assert "somebody-else" not in str(logged)
        await world.stop()
        world.check_over()

    play()
