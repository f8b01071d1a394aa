"""The operator's account: probed while paused, told of once an hour, compared once a day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest
from structlog.testing import capture_logs

from bot.catalogue.loader import load
from bot.credits.account import AccountWatch, Drift, Reading, drift_between, taken_ucr
from bot.errors import InvalidApiKey, ProviderCreditsExhausted, ProviderInternalError
from bot.limits import (
    ACCOUNT_LOOK_S,
    ACCOUNT_PROBE_S,
    ALERT_INTERVAL_S,
    RECONCILE_S,
    SERVER_ERRORS_MAX,
)
from bot.providers.base import ProviderBalance
from bot.providers.breaker import Breakers, BreakerState
from bot.providers.http import ProviderHttp, make_session
from bot.providers.registry import ChatProviders
from storage import jobs
from storage.database import Connection
from storage.errors import StoreUnavailable
from storage.types import Cause, Job
from tests.contract.provider_client import Provider, running_provider
from tests.unit.chat.world import FakeClock
from tests.unit.storage.bank import CREDIT, DAILY, Bank
from tests.unit.storage.workshop import new_job

P = ParamSpec("P")
T = TypeVar("T")

KEY_REFUSED = InvalidApiKey(provider="aivideo", status=401)
EMPTY = ProviderCreditsExhausted(provider="aivideo", status=402)


class Office:
    """The watch with a bank behind it, and an account that says what it is told to."""

    def __init__(self, *, multiplier_ppm: int = 1_000_000) -> None:
        self.clock = FakeClock()
        self.bank = Bank(now_us=self.clock.now_us())
        self.breakers = Breakers(self.clock, probed=("aivideo",))
        self.breaker = self.breakers.of("aivideo")
        self.answer: ProviderBalance | Exception = account(balance=100, taken=0)
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.told: list[str] = []
        self.is_reachable = True
        self.catalogue = replace(load(), multiplier_ppm=multiplier_ppm)
        self.watch = self.new_watch()

    def new_watch(self, **changes: Any) -> AccountWatch:
        parts: dict[str, Any] = {
            "provider": "aivideo",
            "ask_balance": self._ask,
            "breakers": self.breakers,
            "database": self.bank.database,
            "catalogue": self.catalogue,
            "clock": self.clock,
            "alert": self._alert,
        }
        return AccountWatch(**{**parts, **changes})

    async def _ask(self) -> ProviderBalance:
        self.asked += 1
        self.was_asked.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def _alert(self, text: str) -> bool:
        if self.is_reachable:
            self.told.append(text)
        return self.is_reachable

    async def look_for(self, duration_s: float) -> None:
        """Look as `run` does, for so long."""
        until_us = self.clock.now_us() + round(duration_s * 1_000_000)
        while self.clock.now_us() < until_us:
            await self.watch.look()
            await self.clock.sleep(ACCOUNT_LOOK_S)

    def spend(self, charged_ucr: int) -> None:
        """A member's answer, paid."""
        reference = self.bank.hold(charged_ucr).reference
        self.bank.settle(reference, charged_ucr)

    def lose(self, loss_ucr: int) -> None:
        self.bank.void(self.bank.hold(CREDIT).reference, loss_ucr=loss_ucr)

    async def a_day_later(self, *, taken: str) -> list[Any]:
        """Let the next comparison happen; its log lines."""
        await self.clock.sleep(RECONCILE_S)
        self.answer = account(balance=100, taken=taken)
        with capture_logs() as lines:
            await self.watch.look()
        return [line for line in lines if line["event"] == "provider_drift_credits"]


def account(*, balance: object, taken: object) -> ProviderBalance:
    return ProviderBalance(
        balance=Decimal(str(balance)),
        total_purchased=None,
        total_consumed=None if taken is None else Decimal(str(taken)),
    )


@pytest.fixture
async def office() -> AsyncIterator[Office]:
    office = Office()
    yield office
    office.bank.assert_sound()
    await office.bank.database.close()


# --- Pauses ---------------------------------------------------------------------------------------


async def test_an_empty_account_is_asked_for_once_a_minute_until_it_is_not(office: Office) -> None:
    """F-32: and then one job shows whether it is true."""
    await office.watch.look()
    office.asked = 0
    office.answer = account(balance=0, taken=100)
    office.breaker.note_error(EMPTY)
    await office.look_for(5 * ACCOUNT_PROBE_S + 1)
    assert office.asked == 5
    assert office.breaker.snapshot().state is BreakerState.OPEN
    office.answer = account(balance=50, taken=100)
    await office.look_for(ACCOUNT_PROBE_S)
    assert office.breaker.snapshot().state is BreakerState.HALF_OPEN
    await office.look_for(5 * ACCOUNT_PROBE_S)
    assert office.asked == 6


async def test_a_key_that_is_refused_is_tried_until_it_is_not(office: Office) -> None:
    """F-31, F-33: an empty account is readable with a good key."""
    office.answer = KEY_REFUSED
    office.breaker.note_error(KEY_REFUSED)
    await office.look_for(2 * ACCOUNT_PROBE_S)
    assert office.breaker.snapshot().state is BreakerState.OPEN
    office.answer = account(balance=0, taken=100)
    await office.look_for(2 * ACCOUNT_PROBE_S)
    assert office.breaker.snapshot().state is BreakerState.HALF_OPEN


async def test_the_operator_hears_of_a_pause_once_an_hour(office: Office) -> None:
    """F-31: at once, in words that say what to do, and over restarts."""
    office.answer = KEY_REFUSED
    office.breaker.note_error(KEY_REFUSED)
    with capture_logs() as lines:
        await office.look_for(ALERT_INTERVAL_S / 2)
        office.watch = office.new_watch()
        await office.look_for(ALERT_INTERVAL_S / 2 - 1)
    assert len(office.told) == 1
    assert "does not accept the key" in office.told[0]
    assert [line["log_level"] for line in lines if line["event"] == "provider_paused"] == [
        "error",
        "error",
    ]
    await office.look_for(2 * ACCOUNT_LOOK_S)
    assert len(office.told) == 2


async def test_who_could_not_be_told_is_told_later(office: Office) -> None:
    """Before Discord is there, nobody can be written to."""
    office.is_reachable = False
    office.breaker.note_error(EMPTY)
    await office.watch.look()
    office.is_reachable = True
    await office.watch.look()
    assert len(office.told) == 1


async def test_trouble_of_the_providers_own_is_no_alarm(office: Office) -> None:
    """S-13: time ends it, so the log alone has it; neither a probe nor a message."""
    await office.watch.look()
    asked = office.asked
    for _ in range(SERVER_ERRORS_MAX):
        office.breaker.note_error(ProviderInternalError(provider="aivideo", status=500))
    with capture_logs() as lines:
        await office.watch.look()
        await office.look_for(10 * ACCOUNT_PROBE_S)
    assert [line["event"] for line in lines] == ["provider_paused", "provider_tried_again"]
    assert lines[0]["log_level"] == "warning"
    assert (office.told, office.asked) == ([], asked)


async def test_another_providers_account_is_not_asked_for(office: Office) -> None:
    """There is one account that can be read; the operator hears of both."""
    await office.watch.look()
    asked = office.asked
    office.breakers.of("video").note_error(InvalidApiKey(provider="video", status=401))
    await office.look_for(2 * ACCOUNT_PROBE_S)
    assert office.asked == asked
    assert "`video`" in office.told[0]


async def test_the_watch_outlives_every_trouble(office: Office) -> None:
    """A locked database or a mistake of ours costs one look."""
    mishaps: list[Exception] = [StoreUnavailable(cause="locked"), RuntimeError("a bug")]

    class Shaky:
        async def read(
            self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kw: P.kwargs
        ) -> T:
            if mishaps:
                raise mishaps.pop(0)
            return await office.bank.database.read(body, *args, **kw)

        async def transact(
            self, body: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kw: P.kwargs
        ) -> T:
            return await office.bank.database.transact(body, *args, **kw)

    with capture_logs() as lines:
        running = asyncio.create_task(office.new_watch(database=Shaky()).run())
        await office.was_asked.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    events = [line["event"] for line in lines]
    assert events == ["account_not_watched", "account_watch_broke"]


async def test_the_simulated_provider_closes_and_opens_its_account() -> None:
    """F-31, F-32 over a real socket: 401, then nothing left, then a top-up."""
    office = Office()
    async with running_provider() as provider, make_session() as session:
        watch = office.new_watch(ask_balance=ChatProviders(_http(provider, session)).balance)
        office.watch = watch
        office.breaker.note_error(EMPTY)
        fault = {"kind": "error", "code": "invalid_api_key", "endpoint": "credits", "times": 1}
        await provider.control("POST", "faults", fault)
        await office.look_for(ACCOUNT_PROBE_S)  # the first comparison takes the fault
        await provider.control("PUT", "account", {"balance": "0"})
        await office.look_for(3 * ACCOUNT_PROBE_S)
        assert office.breaker.snapshot().state is BreakerState.OPEN
        await provider.control("PUT", "account", {"balance": "5.5"})
        await office.look_for(2 * ACCOUNT_PROBE_S)
        assert office.breaker.snapshot().state is BreakerState.HALF_OPEN
    await office.bank.database.close()


def _http(provider: Provider, session: Any) -> ProviderHttp:
    base_url = str(provider.client.make_url("/v1")).rstrip("/")
    return ProviderHttp(session, provider="aivideo", base_url=base_url, api_key="sk-test")


# --- What it took ---------------------------------------------------------------------------------


async def test_books_that_match_the_account_are_no_alarm() -> None:
    """F-69: paid with the multiplier taken out again, and what the operator lost."""
    office = Office(multiplier_ppm=1_500_000)
    await office.watch.look()
    office.spend(15 * CREDIT)
    office.lose(4 * CREDIT)
    (line,) = await office.a_day_later(taken="14")
    assert (line["drift"], line["log_level"], office.told) == ("0", "info", [])
    await office.bank.database.close()


@pytest.mark.parametrize(("taken", "alarms"), [("19", 0), ("20", 0), ("20.01", 1), ("17.99", 1)])
async def test_a_difference_above_a_credit_is_an_alarm(
    office: Office, taken: str, alarms: int
) -> None:
    """F-69, section 5 point 7: in both directions, told to the operator."""
    office.bank.grant(100 * CREDIT)
    office.answer = account(balance=100, taken=7)
    await office.watch.look()
    office.spend(12 * CREDIT)
    (line,) = await office.a_day_later(taken=taken)
    assert line["drift"] == str(Decimal(taken) - 19)
    assert (line["log_level"] == "error") == bool(alarms)
    assert len(office.told) == alarms


def test_of_much_one_in_a_hundred_is_left_out() -> None:
    """Section 5 point 7: above max(1 credit, 1 %)."""
    share = 2 * CREDIT
    assert not Drift(taken_ucr=200 * CREDIT, booked_ucr=198 * CREDIT, drift_ucr=share).is_alarming
    assert Drift(taken_ucr=200 * CREDIT, booked_ucr=198 * CREDIT, drift_ucr=share + 1).is_alarming


async def test_it_is_compared_once_a_day_over_restarts(office: Office) -> None:
    """The last reading is kept; a clock that was set back does not silence the watch."""
    await office.watch.look()
    assert office.asked == 1
    office.watch = office.new_watch()
    await office.look_for(RECONCILE_S - 100 * ACCOUNT_LOOK_S)
    assert office.asked == 1
    await office.look_for(200 * ACCOUNT_LOOK_S)
    assert office.asked == 2
    office.clock.at_us -= 30 * 86_400_000_000
    office.watch = office.new_watch()
    await office.watch.look()
    assert office.asked == 3


async def test_an_account_that_cannot_be_read_is_asked_again_soon(office: Office) -> None:
    """No reading, no comparison; the former one stays the base."""
    await office.watch.look()
    await office.clock.sleep(RECONCILE_S)
    office.answer = ProviderInternalError(provider="aivideo", status=500)
    await office.look_for(3 * ACCOUNT_PROBE_S)
    assert office.asked == 1 + 3
    office.answer = account(balance=100, taken=None)
    await office.look_for(ACCOUNT_PROBE_S)
    office.spend(3 * CREDIT)
    (line,) = await office.a_day_later(taken="3")
    assert line["drift"] == "0"


async def test_a_new_multiplier_begins_a_new_comparison(office: Office) -> None:
    """What was charged before and after it cannot be told apart."""
    await office.watch.look()
    office.spend(3 * CREDIT)
    office.catalogue = replace(office.catalogue, multiplier_ppm=2_000_000)
    office.watch = office.new_watch()
    assert await office.a_day_later(taken="50") == []
    (line,) = await office.a_day_later(taken="50")
    assert line["drift"] == "0"


async def test_running_tasks_are_taken_already_and_unclear_ones_perhaps(office: Office) -> None:
    """Tasks are paid at their creation (providers.md 1.3); UNKNOWN may be either."""
    office.bank.grant(100 * CREDIT)
    await office.watch.look()
    running, unclear = accepted(office, "i:1"), accepted(office, "i:2")
    for job in (running, unclear):
        office.bank.database.run(jobs.begin_submit, job_id=job.id, now_us=office.bank.now_us)
    office.bank.database.run(
        jobs.bind, job_id=running.id, task_id="t-1", now_us=office.bank.now_us, due_us=0
    )
    office.bank.database.run(
        jobs.mark_unknown,
        job_id=unclear.id,
        cause="no_answer",
        grace_until_us=office.bank.now_us + 1,
        due_us=0,
        now_us=office.bank.now_us,
    )
    for taken in ("5", "10"):
        (line,) = await office.a_day_later(taken=taken)
        assert line["drift"] == "0"


async def test_what_went_to_the_other_provider_does_not_count(office: Office) -> None:
    """Neither its price nor its losses are of this account."""
    office.bank.grant(100 * CREDIT)
    await office.watch.look()
    job = accepted(office, "i:1", provider="video")
    now_us = office.bank.now_us
    office.bank.database.run(jobs.begin_submit, job_id=job.id, now_us=now_us)
    office.bank.database.run(
        jobs.fail,
        job_id=job.id,
        failure="TaskFailed",
        cause=Cause.PROVIDER_ERROR,
        loss_ucr=5 * CREDIT,
        now_us=now_us,
    )
    (line,) = await office.a_day_later(taken="0")
    assert line["drift"] == "0"


def accepted(office: Office, reference: str, *, provider: str = "aivideo") -> Job:
    """A job of five credits with its hold."""
    bank = office.bank
    price = 5 * CREDIT
    job = new_job(reference, provider=provider, price_ucr=price, cost_ucr=price)
    return bank.database.run(jobs.enqueue, job=job, allowance=DAILY, now_us=bank.now_us)


def test_a_reading_that_knows_no_consumption_is_none() -> None:
    """A top-up could not be told from what was taken."""
    assert taken_ucr(account(balance=5, taken=None)) is None
    bought = replace(account(balance=5, taken=None), total_purchased=Decimal(12))
    assert taken_ucr(bought) == 7 * CREDIT
    assert taken_ucr(account(balance=5, taken="1.5")) == CREDIT * 3 // 2


def test_what_was_unclear_before_may_have_been_taken_before() -> None:
    """Its price may be booked now without being taken now."""
    before = Reading(at_us=0, multiplier_ppm=1, taken_ucr=0, booked_ucr=0, unclear_ucr=5)
    after = Reading(at_us=1, multiplier_ppm=1, taken_ucr=0, booked_ucr=5, unclear_ucr=0)
    assert drift_between(before, after).drift_ucr == 0
