"""Our estimates of tokens follow what a provider counts, model by model, and no nonsense."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.catalogue.loader import load
from bot.chat.learning import PPM, Ratios, Sample, learned, sampled
from bot.chat.ports import Attachment
from bot.limits import (
    OUTPUT_TOKENS_HELD,
    TOKEN_RATIO_PPM_MAX,
    TOKEN_RATIO_PPM_MIN,
    TOKEN_SAMPLE_MIN,
)
from bot.providers.base import Usage
from storage import token_ratios
from storage.types import TextKind
from tests.unit.chat.world import NewWorld, World, called, done, said

GPT = load().chat_models["gpt-5-4"]
GEMINI = "gemini-3.1-pro"
"""Searches, and takes no functions."""
WORDS = "word " * 200
"""About 350 tokens by our estimate."""
BIG = 10**30


def seen(counted: int, *, of: int = 1_000) -> Sample:
    return Sample(kind=TextKind.INPUT, estimated=of, counted=counted)


async def ratios_of(world: World, model: str = GPT.id) -> dict[TextKind, int]:
    return dict(await world.database.read(token_ratios.of_model, model=model))


@given(ratio=st.integers(TOKEN_RATIO_PPM_MIN, TOKEN_RATIO_PPM_MAX), counted=st.integers(1, BIG))
def test_a_ratio_moves_towards_what_is_seen_and_stays_in_bounds(ratio: int, counted: int) -> None:
    """F-51: up fast, down slowly, never past the sample, never out of its bounds."""
    after = learned(ratio, seen(counted))
    target = min(max(counted * 1_000, TOKEN_RATIO_PPM_MIN), TOKEN_RATIO_PPM_MAX)
    assert TOKEN_RATIO_PPM_MIN <= after <= TOKEN_RATIO_PPM_MAX
    assert min(ratio, target) <= after <= max(ratio, target)
    if target > ratio:
        assert after - ratio >= (target - ratio) / 2
    else:
        assert ratio - after <= (ratio - target) / 32


@pytest.mark.parametrize("counted", [0, -1, BIG, GPT.context_tokens + 1])
def test_an_impossible_count_teaches_nothing(counted: int) -> None:
    """F-51, trap 5: the documents' own sample says `input_tokens: 0`."""
    assert sampled(GPT, TextKind.INPUT, estimated=1_000, counted=counted) == ()


def test_a_short_text_teaches_nothing() -> None:
    """Around few words there is more framing than words."""
    short = TOKEN_SAMPLE_MIN - 1
    assert sampled(GPT, TextKind.OUTPUT, estimated=short, counted=9_000) == ()
    assert len(sampled(GPT, TextKind.OUTPUT, estimated=short + 1, counted=9_000)) == 1


@pytest.mark.parametrize("low", [0.3, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("spread", [1.0, 1.5, 2.5])
def test_no_provider_is_underestimated_on_the_whole(low: float, spread: float) -> None:
    """Whatever its texts weigh, between `low` and `low × spread` of what we count ourselves."""
    rng = random.Random(7)
    ratio_ppm, estimated, counted, short = PPM, 0, 0, 0
    for turn in range(2_000):
        truth = int(1_000 * low * rng.uniform(1, spread))
        told = Ratios(ppm={TextKind.INPUT: ratio_ppm}).tokens(TextKind.INPUT, 1_000)
        if turn >= 10:
            estimated, counted = estimated + told, counted + truth
            short += told < truth
        ratio_ppm = learned(ratio_ppm, seen(truth))
    bound = TOKEN_RATIO_PPM_MAX / PPM
    if low * spread <= bound:
        assert estimated >= counted
        assert short <= 400
    assert estimated <= 2_000 * 1_000 * bound


async def test_a_usage_moves_the_next_hold(new_world: NewWorld) -> None:
    """Half of the way up with one answer; a model's ratio is its own."""
    twice = Usage(input_tokens=2_000, output_tokens=700)
    world = new_world([*said(WORDS), done("1", usage=twice)], [*said("ok"), done()])
    await world.ask()
    ratios = await ratios_of(world)
    assert ratios[TextKind.INPUT] > 1_300_000
    assert ratios[TextKind.OUTPUT] == pytest.approx(1_500_000, abs=20_000)
    assert await ratios_of(world, GEMINI) == {}


async def test_what_was_learned_outlives_the_process(new_world: NewWorld) -> None:
    """It is in the database, in the transaction that settles."""
    doubled = Usage(input_tokens=GPT.context_tokens, output_tokens=1_400)
    world = new_world([*said(WORDS), done("1", usage=doubled)], [*said(WORDS), done("1")])
    await world.ask("x")
    first = await held_for_prompt_ucr(world, "m:1")
    world.service = world.new_service()
    await world.ask("x", channel_id=1)
    assert await held_for_prompt_ucr(world, "m:2") == pytest.approx(2.5 * first, rel=0.01)


async def held_for_prompt_ucr(world: World, reference: str) -> int:
    sql = f"SELECT amount_ucr FROM holds WHERE reference = '{reference}'"
    amount_ucr = await world.database.read(lambda c: c.exec_driver_sql(sql).scalar_one())
    return int(amount_ucr) - OUTPUT_TOKENS_HELD * GPT.price.output_ucr


@pytest.mark.parametrize(
    "usage",
    [
        None,
        Usage(input_tokens=0, output_tokens=0),
        Usage(input_tokens=BIG, output_tokens=BIG),
    ],
)
async def test_junk_neither_teaches_nor_costs(new_world: NewWorld, usage: Usage | None) -> None:
    """F-51: without a reported price our own estimate is charged, within the hold."""
    world = new_world([*said(WORDS), done(None, usage=usage)])
    final = await world.ask()
    assert final.receipt is not None
    assert 350 * 1_800 < final.receipt.charged_ucr < 1_000_000
    assert await world.loss_ucr() == 0
    assert await ratios_of(world) == {}


async def test_a_poisoned_ratio_recovers(new_world: NewWorld) -> None:
    """One absurd answer lifts holds for a while; scores of honest ones lower them again."""
    world = new_world(credits_a_day=1_000)
    for tokens in (GPT.context_tokens, *([300] * 85)):
        usage = Usage(input_tokens=0, output_tokens=tokens)
        world.provider.scripts.append([*said(WORDS), done("0", usage=usage)])
        await world.ask(channel_id=world.asked)
        if world.asked == 1:
            assert (await ratios_of(world))[TextKind.OUTPUT] == (PPM + TOKEN_RATIO_PPM_MAX) // 2
    assert (await ratios_of(world))[TextKind.OUTPUT] < PPM


async def test_files_teach_nothing_about_words(new_world: NewWorld) -> None:
    """Their weight is a rule of thumb, and must not be laid at the words' door."""
    picture = Attachment(
        filename="a.png", content_type="image/png", size_bytes=9, url="https://cdn.example/a.png"
    )
    usage = Usage(input_tokens=9_000, output_tokens=700)
    world = new_world([*said(WORDS), done("1", usage=usage)])
    await world.ask(attachments=(picture,))
    assert set(await ratios_of(world)) == {TextKind.OUTPUT}


async def test_searching_prompts_have_a_ratio_of_their_own(new_world: NewWorld) -> None:
    """The provider adds what it finds to them."""
    usage = Usage(input_tokens=9_000, output_tokens=10)
    search = called("search_web", '{"query": "news"}')
    world = new_world(
        [*said("a"), done("0.1", usage=usage, calls=(search,))],
        [*said("b"), done("0.1", usage=usage)],
        [*said("c"), done("0.1", usage=usage)],
    )
    await world.ask()
    assert set(await ratios_of(world)) == {TextKind.INPUT, TextKind.SEARCHING}
    await world.ask(model_id=GEMINI)
    assert set(await ratios_of(world, GEMINI)) == {TextKind.SEARCHING}


async def test_an_answer_that_is_not_paid_teaches_nothing(new_world: NewWorld) -> None:
    """Its transaction settles nothing; a free model learns all the same."""
    usage = Usage(input_tokens=2_000, output_tokens=700)
    world = new_world(
        [*said(" "), done("0.1", usage=usage)], [*said(WORDS), done("0", usage=usage)]
    )
    await world.ask()
    assert await ratios_of(world) == {}
    free = replace(GPT, price=replace(GPT.price, input_ucr=0, output_ucr=0))
    world.catalogue = replace(world.catalogue, chat_models={free.id: free})
    world.service = world.new_service()
    await world.ask()
    assert len(await ratios_of(world)) == 2
