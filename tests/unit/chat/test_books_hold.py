"""Whatever a provider sends, the books are sound and the charge is what the rules say."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loader import load
from bot.catalogue.pricing import PPM, Basis, chat_cost_ucr
from bot.chat.ports import Ending, Question
from bot.errors import (
    AnswerMalformed,
    ProviderInternalError,
    RateLimited,
    StreamCut,
    StreamStalled,
)
from bot.limits import TOOL_ROUNDS_MAX
from bot.providers.base import (
    Citation,
    Finished,
    FinishReason,
    Searching,
    TextDelta,
    ThoughtDelta,
    ToolCall,
    Usage,
)
from storage.errors import InsufficientCredits
from storage.inline import InlineDatabase
from storage.types import UCR_PER_CREDIT
from tests.unit.chat.world import RecordingSink, ScriptedProvider, Step, World

NAME = "aivideo"
MODELS = sorted(load().chat_models)

amounts = st.one_of(
    st.none(),
    st.decimals(min_value=0, max_value=30, places=6),
    st.sampled_from([Decimal("NaN"), Decimal(-1), Decimal("Infinity"), Decimal("1e20")]),
)
usages = st.one_of(
    st.none(),
    st.builds(
        Usage,
        input_tokens=st.integers(0, 20_000),
        output_tokens=st.integers(0, 20_000),
        reasoning_tokens=st.integers(0, 20_000),
    ),
)
calls = st.lists(
    st.builds(
        ToolCall,
        call_id=st.uuids().map(str),
        name=st.sampled_from(["get_time", "get_my_credits", "search_web", "rm"]),
        arguments=st.sampled_from(["{}", '{"query": "x"}', "nonsense"]),
    ),
    max_size=3,
).map(tuple)
words = st.one_of(
    st.builds(TextDelta, text=st.text(max_size=40)),
    st.builds(TextDelta, text=st.just("word " * 500)),
    st.builds(ThoughtDelta, text=st.text(max_size=40)),
    st.just(Searching()),
    st.builds(Citation, url=st.sampled_from(["https://a", "https://b"]), title=st.just("t")),
)
endings = st.one_of(
    st.builds(
        Finished,
        reason=st.sampled_from(FinishReason),
        usage=usages,
        credits_consumed=amounts,
        calls=calls,
    ),
    st.sampled_from(
        [
            StreamCut(provider=NAME),
            StreamStalled(provider=NAME, idle_s=60.0),
            AnswerMalformed(provider=NAME),
            RateLimited(provider=NAME, status=429),
            ProviderInternalError(provider=NAME, status=500),
            ZeroDivisionError(),
        ]
    ),
)
streams = st.builds(lambda body, end: [*body, end], st.lists(words, max_size=8), endings)
turns = st.tuples(
    st.sampled_from(MODELS), st.lists(streams, min_size=TOOL_ROUNDS_MAX + 1, max_size=6)
)


def reported_ucr(world: World, scripts: list[list[Step]]) -> int | None:
    """What the finished requests cost, where every one of them told; None where one did not."""
    total_ucr = 0
    for request, script in zip(world.provider.requests, scripts, strict=False):
        finished = script[-1]
        assert isinstance(finished, Finished)
        cost = chat_cost_ucr(request.model, finished)
        if cost.basis is Basis.ESTIMATE:
            return None
        total_ucr += cost.cost_ucr
    return total_ucr


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(
    plan=st.lists(turns, min_size=1, max_size=3),
    allowance_credits=st.integers(1, 60),
    multiplier_ppm=st.sampled_from([PPM, 2 * PPM, PPM // 3]),
)
def test_any_streams_leave_sound_books(
    plan: list[tuple[str, list[list[Step]]]], allowance_credits: int, multiplier_ppm: int
) -> None:
    """I-1 … I-5 after every turn; a complete answer's price is charged, or beyond the hold lost.

    I-12: what the provider took is what the member paid, without the multiplier, and our loss.
    """
    catalogue = replace(load(), multiplier_ppm=multiplier_ppm)
    asyncio.run(_play(plan, allowance_credits * UCR_PER_CREDIT, catalogue))


async def _play(
    plan: list[tuple[str, list[list[Step]]]], allowance_ucr: int, catalogue: Catalogue
) -> None:
    books = InlineDatabase()
    world = World(
        provider=ScriptedProvider(),
        database=books,
        allowance_ucr=allowance_ucr,
        catalogue=catalogue,
    )
    for number, (model_id, scripts) in enumerate(plan):
        question = world.question(
            model_id=model_id,
            reference=f"m:{number}",
        )
        await _play_turn(world, question, scripts)
    await books.close()


async def _play_turn(world: World, question: Question, scripts: list[list[Step]]) -> None:
    world.provider.scripts = [*scripts]
    world.provider.requests = []
    before_ucr = (await world.balance(question.author_id)).available_ucr
    lost_before_ucr = await world.loss_ucr()
    sink = RecordingSink()
    try:
        await world.service.reply(question, sink)
    except InsufficientCredits:
        assert world.provider.requests == []
        assert (await world.balance(question.author_id)).available_ucr == before_ucr
        return
    final, balance = sink.final, await world.balance(question.author_id)
    charged_ucr = before_ucr - balance.available_ucr
    lost_ucr = await world.loss_ucr() - lost_before_ucr
    assert await world.is_sound()
    assert balance.held_ucr == 0
    assert final.receipt is not None
    assert final.receipt.charged_ucr == charged_ucr >= 0
    assert final.receipt.available_ucr == balance.available_ucr
    history = await world.remembered(question.channel_id)
    assert final.text == "".join(turn.answer for turn in history[-1:]) or final.error
    if final.ending is Ending.FAILED:
        assert final.error is not None
        assert charged_ucr == 0
    else:
        assert final.error is None
    if final.ending is Ending.COMPLETE:
        expected_ucr = reported_ucr(world, scripts)
        if expected_ucr is not None:
            paid_ucr = charged_ucr * PPM // world.catalogue.multiplier_ppm
            rounding_ucr = 2 + PPM // world.catalogue.multiplier_ppm
            assert 0 <= paid_ucr + lost_ucr - expected_ucr <= rounding_ucr
