"""S-13 for pictures and videos: a paused provider is said before anything is held."""

from __future__ import annotations

from contextlib import suppress

import pytest

from bot.errors import InvalidApiKey, PauseCause, ProviderCreditsExhausted, ProviderPaused
from bot.limits import CREATES_PER_PROVIDER_MAX, PAUSE_S, UNCLEAR_MAX
from bot.providers.base import Unknown, UnknownCause
from bot.providers.breaker import BreakerState
from storage.types import JobStatus, Outcome
from tests.unit.jobs.virtual import virtually
from tests.unit.jobs.world import World


@virtually
async def test_orders_are_refused_before_their_hold(world: World) -> None:
    """F-32: the reason is told, nothing is held; the price is not even asked for."""
    breaker = world.breakers.of("aivideo")
    breaker.note_error(ProviderCreditsExhausted(provider="aivideo", status=402))
    for ask in (world.service.request, world.service.quote):
        with pytest.raises(ProviderPaused) as caught:
            await ask(world.order())
        assert caught.value.cause is PauseCause.BALANCE
    assert world.all_jobs() == []
    assert (await world.balance()).held_ucr == 0
    breaker.note_probe_good()
    await world.request()


@virtually
async def test_unclear_creates_pause_the_provider(world: World) -> None:
    """Section 5 point 7: after three within a minute nobody else's credits are risked."""
    unclear = Unknown(cause=UnknownCause.NO_ANSWER)
    world.provider.plans = [lambda _provider, _task: unclear] * 3
    await world.boot()
    for _ in range(3):
        await world.request()
    await world.until(lambda: len(world.provider.creates) == 3)
    await world.clock.sleep(1.0)
    with pytest.raises(ProviderPaused) as caught:
        await world.request()
    assert caught.value.cause is PauseCause.UNCLEAR
    await world.stop()


@virtually
async def test_a_brown_out_of_creates_is_bounded_though_chats_are_answered(world: World) -> None:
    """Section 5 point 7: three, what is in flight with them, and ever rarer single trials."""
    unclear = Unknown(cause=UnknownCause.NO_ANSWER)
    world.provider.plans = [lambda _provider, _task: unclear] * 200
    breaker = world.breakers.of("aivideo")
    await world.boot()
    for second in range(600):
        breaker.note_sign_of_life()
        with suppress(ProviderPaused):
            await world.request(user_id=second)
        await world.clock.sleep(1.0)
    trials = 4  # after 30, 60, 120 and 240 s
    in_flight = CREATES_PER_PROVIDER_MAX - 1
    assert UNCLEAR_MAX + trials <= len(world.provider.creates) <= UNCLEAR_MAX + in_flight + trials
    await world.stop()


@virtually
async def test_a_closed_account_is_noticed_by_reading_a_task(world: World) -> None:
    """F-31: whoever orders next is told, although no create was refused yet; the job goes on."""
    await world.boot()
    job = await world.request()
    await world.until_status(job, JobStatus.RUNNING)
    world.provider.get_errors = [InvalidApiKey(provider="aivideo", status=401)]
    await world.until(lambda: not world.provider.get_errors)
    await world.clock.sleep(1.0)
    with pytest.raises(ProviderPaused) as caught:
        await world.request()
    assert caught.value.cause is PauseCause.KEY
    assert (await world.delivered(job)).outcome is Outcome.SUCCEEDED
    await world.stop()


@virtually
async def test_an_order_that_we_cannot_send_is_no_trial(world: World) -> None:
    """S-13, F-34: a model that left the catalogue says nothing of a provider in trouble."""
    for _ in range(3):
        world.breakers.of("aivideo").note_unknown()
    await world.clock.sleep(PAUSE_S)
    job = await world.request()
    world.provider.is_set_up = False
    await world.boot()
    assert (await world.delivered(job)).failure == "ModelNotFound"
    assert world.provider.creates == []
    assert world.breakers.of("aivideo").snapshot().state is BreakerState.HALF_OPEN
    assert world.breakers.of("aivideo").admit()
    await world.stop()
