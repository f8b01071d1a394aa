"""Whatever the provider does, the member reads a friendly reason and pays nothing."""

from __future__ import annotations

import pytest

from tests.e2e.world import World, whole_text

ERROR_CODES = (
    "invalid_request",
    "model_not_found",
    "rate_limit_exceeded",
    "internal_error",
    "upstream_error",
)
"""Of the documents' error table; the others pause the whole bot (tests/e2e/test_paused.py)."""
MONEY_PHRASES = ("charged ", "not charged", " held until ")


async def fails_kindly(world: World, channel: str = "bot-lab") -> str:
    """Ask while a fault is switched on; the text, which says that nothing was charged."""
    before = await world.balance("tom")
    message_id = await world.say("tom", channel, "{bot} tell me about tides")
    text = whole_text(await world.answered("tom", channel, message_id))
    assert "not charged" in text, text
    assert await world.balance("tom") == before
    # Five 5xx in a row would pause the provider (S-13); an answer in between ends the row.
    await world.provider_script("Yes.")
    assert "Yes." in await world.ask("tom", channel, "are you there?")
    return text


@pytest.mark.parametrize("code", ERROR_CODES)
async def test_every_passing_error_reads_well_and_costs_nothing(world: World, code: str) -> None:
    """No code, type or text of the provider reaches the member."""
    await world.provider_fault("error", code=code)
    text = await fails_kindly(world)
    for raw in (code, "invalid_request_error", "upstream_error", "billing_error", "Traceback"):
        assert raw not in text


@pytest.mark.parametrize("kind", ["html", "envelope", "reset", "error_event", "failed", "empty"])
async def test_answers_outside_the_protocol_cost_nothing(world: World, kind: str) -> None:
    """HTML, an error inside a 200, a reset, broken events: never silence, never a charge."""
    kinds = (await world.get("provider/faults"))["kinds"]
    assert kind in kinds, sorted(kinds)
    facts = {"code": 500} if kind == "envelope" else {}
    await world.provider_fault(kind, **facts)
    await fails_kindly(world)


async def test_a_broken_event_inside_a_whole_stream_is_survived(world: World) -> None:
    """F-58: the terminal event repeats the text, so nothing is lost and the price is known."""
    before, consumed_before = await world.balance("tom"), await world.consumed()
    await world.provider_fault("malformed")
    message_id = await world.say("tom", "bot-lab", "{bot} tell me about tides")
    await world.answered("tom", "bot-lab", message_id)
    price = await world.consumed() - consumed_before
    assert price > 0
    assert before - await world.balance("tom") == price


async def test_a_cut_stream_keeps_the_words_and_charges_nothing(world: World) -> None:
    """A stream without its terminal event is no answer (trap 17)."""
    before = await world.balance("tom")
    await world.provider_fault("cut", after_events=30)
    message_id = await world.say("tom", "bot-lab", "{bot} write three paragraphs about tides")
    text = whole_text(await world.answered("tom", "bot-lab", message_id))
    assert "tides" in text.lower()
    assert "not charged" in text
    assert await world.balance("tom") == before


async def test_a_failed_turn_does_not_enter_the_history(world: World) -> None:
    """The conversation goes on as if the failed question had never been asked."""
    channel = await world.new_channel("after-failure")
    await world.provider_fault("error", code="internal_error")
    await world.ask("tom", channel, "my name is Quintus")
    assert "Quintus" not in await world.ask("tom", channel, "what is my name?")


async def test_a_member_without_credits_is_told_when_there_are_more(world: World) -> None:
    """The refusal comes before the provider is asked."""
    await world.set_balance("olive", 0)
    asked_before = len((await world.get("provider/requests", since="0"))["requests"])
    message_id = await world.say("olive", "bot-lab", "{bot} hello")
    text = whole_text(await world.answered("olive", "bot-lab", message_id))
    assert "not charged" in text
    assert "<t:" in text
    assert len((await world.get("provider/requests", since="0"))["requests"]) == asked_before
    await world.set_balance("olive", 1000)
