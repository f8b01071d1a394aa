"""S-13 for the chat: a paused provider is said before anything is held."""

from __future__ import annotations

import pytest

from bot.errors import InvalidApiKey, PauseCause, ProviderPaused
from bot.limits import UNCLEAR_MAX
from tests.unit.chat.world import NewWorld, RecordingSink, done, said


async def test_a_closed_account_pauses_the_chat_until_it_opens(new_world: NewWorld) -> None:
    """F-31: the second question is refused before a hold, and asks the provider nothing."""
    world = new_world([InvalidApiKey(provider="aivideo", status=401)], [*said("Hi"), done()])
    await world.service.reply(world.question(), RecordingSink())
    with pytest.raises(ProviderPaused) as caught:
        await world.service.reply(world.question(), RecordingSink())
    assert caught.value.cause is PauseCause.KEY
    assert len(world.provider.requests) == 1
    assert (await world.balance()).held_ucr == 0
    world.breakers.of("aivideo").note_probe_good()
    sink = RecordingSink()
    await world.service.reply(world.question(), sink)
    assert sink.finals[0].text == "Hi"


async def test_orders_in_doubt_do_not_silence_the_chat(new_world: NewWorld) -> None:
    """S-13: the pause bounds creates that are paid for nothing; a chat that works goes on."""
    world = new_world([*said("Hi"), done()])
    breaker = world.breakers.of("aivideo")
    for _ in range(UNCLEAR_MAX):
        breaker.note_unknown()
    sink = RecordingSink()
    await world.service.reply(world.question(), sink)
    assert sink.finals[0].text == "Hi"
    with pytest.raises(ProviderPaused):
        breaker.check()
