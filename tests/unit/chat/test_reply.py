"""A question becomes an answer that is shown, paid and remembered."""

from __future__ import annotations

import asyncio

import pytest

from bot.chat.ports import Attachment, Ending, FinalAnswer, Phase
from bot.errors import (
    AttachmentTooLarge,
    AttachmentUnsupported,
    ModelUnknown,
    PromptEmpty,
    PromptTooLong,
    StreamCut,
    TooManyAttachments,
    TooManyTurns,
)
from bot.limits import ATTACHMENT_BYTES_MAX, ATTACHMENTS_MAX, PROMPT_CHARS_MAX, TURNS_PER_USER_MAX
from bot.providers.base import (
    Citation,
    FinishReason,
    MediaPart,
    Message,
    Searching,
    TextDelta,
    ThoughtDelta,
    Usage,
)
from storage.errors import Duplicate, InsufficientCredits
from tests.unit.chat.world import (
    MIRA,
    NOON_US,
    STUDIO,
    TOM,
    NewWorld,
    RecordingSink,
    Step,
    World,
    done,
    said,
    texts,
)

PICTURE = Attachment(
    filename="cat.png", content_type="image/png", size_bytes=90_000, url="https://cdn/cat.png?ex=1"
)


async def test_the_reported_price_is_charged_to_the_digit(new_world: NewWorld) -> None:
    """0.08 credits reported are 80,000 µcr charged, and the receipt says so."""
    world = new_world([*said("Hel", "lo"), done("0.08")])
    final = await world.ask()
    assert (final.text, final.ending, final.error) == ("Hello", Ending.COMPLETE, None)
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 80_000
    assert final.receipt.available_ucr == 19_920_000
    assert final.receipt.model_label == "GPT-5.4"
    assert await world.spent_ucr() == 80_000
    assert await world.loss_ucr() == 0


@pytest.mark.parametrize("end", [done(), StreamCut(provider="aivideo")], ids=["paid", "cut"])
async def test_a_receipt_after_midnight_tells_the_new_days_balance(
    new_world: NewWorld, end: Step
) -> None:
    """Asked at 23:59:59 and ended at 00:00:01: the new allowance is there, as `/credits` says."""
    gate, sink = asyncio.Event(), RecordingSink()
    world = new_world([*said("ok"), gate, end])
    world.clock.at_us = NOON_US + 12 * 3_600 * 1_000_000 - 1_000_000
    task = world.start(world.question(), sink)
    await sink.shows("ok")
    world.clock.at_us += 2_000_000
    gate.set()
    await task
    assert sink.final.receipt is not None
    assert sink.final.receipt.available_ucr > world.allowance_ucr
    assert sink.final.receipt.available_ucr == (await world.balance()).available_ucr


async def test_without_a_reported_price_the_formula_counts(new_world: NewWorld) -> None:
    """100 tokens in and 10 out of GPT-5.4 are 100 × 300 + 10 × 1800 µcr."""
    world = new_world([*said("Hi"), done(None, usage=Usage(input_tokens=100, output_tokens=10))])
    final = await world.ask()
    assert final.receipt is not None
    assert final.receipt.charged_ucr == 48_000


async def test_each_draft_carries_the_whole_text(new_world: NewWorld) -> None:
    """The sink may skip drafts: the newest one is always enough."""
    world = new_world([ThoughtDelta(text="hm"), *said("a", "b"), done()])
    sink = RecordingSink()
    await world.service.reply(world.question(), sink)
    assert [(draft.text, draft.phase) for draft in sink.drafts] == [
        ("", Phase.THINKING),
        ("a", Phase.WRITING),
        ("ab", Phase.WRITING),
    ]


async def test_searching_is_shown_and_sources_come_once(new_world: NewWorld) -> None:
    """Citations arrive during the stream and again at its end (providers.md 2.1)."""
    source = Citation(url="https://example.org/a", title="A")
    events = [Searching(), *said("x"), source, source, done()]
    world = new_world(events)
    sink = RecordingSink()
    await world.service.reply(world.question(model_id="gemini-3.1-pro"), sink)
    assert Phase.SEARCHING in {draft.phase for draft in sink.drafts}
    assert sink.final.sources == (source,)


async def test_an_answer_at_the_models_own_limit_says_so(new_world: NewWorld) -> None:
    """`length` is an answer, paid and kept, with its own ending."""
    world = new_world([*said("and then"), done(reason=FinishReason.LENGTH)])
    assert (await world.ask()).ending is Ending.LENGTH
    assert await world.spent_ucr() == 80_000


async def test_the_next_turn_sees_who_said_what(new_world: NewWorld) -> None:
    """History keeps the author of each turn; the assistant's turns carry no name."""
    world = new_world([*said("Hi Mira."), done()], [*said("Hi Tom."), done()])
    await world.ask("I like blue.")
    await world.ask("What does she like?", author_id=TOM, author_name="Tom")
    first, *rest = texts(world.provider.requests[1])
    assert "Discord" in first
    assert rest == ["Mira: I like blue.", "Hi Mira.", "Tom: What does she like?"]


async def test_channels_do_not_mix(new_world: NewWorld) -> None:
    """What was said in one channel is not known in another."""
    world = new_world([*said("ok"), done()], [*said("ok"), done()])
    await world.ask("A secret of #studio")
    await world.ask("What was said?", channel_id=STUDIO + 1)
    assert texts(world.provider.requests[1])[1:] == ["Mira: What was said?"]


async def test_a_private_answer_is_paid_but_not_remembered(new_world: NewWorld) -> None:
    """Only its author may see it, so the channel's next speaker must not hear of it."""
    world = new_world([*said("psst"), done()], [*said("ok"), done()])
    await world.ask("Something personal", private=True)
    assert await world.spent_ucr() == 80_000
    await world.ask("What did Mira ask?", author_id=TOM, author_name="Tom")
    assert texts(world.provider.requests[1])[1:] == ["Tom: What did Mira ask?"]


async def test_a_picture_is_sent_once_and_then_only_named(new_world: NewWorld) -> None:
    """Discord's addresses expire, so later turns name the file."""
    world = new_world([*said("A cat."), done()], [*said("Yes."), done()])
    await world.ask("What is this?", attachments=(PICTURE,))
    await world.ask("Really?")
    first, second = world.provider.requests
    media = [
        part
        for request in (first, second)
        for item in request.items
        if isinstance(item, Message)
        for part in item.parts
        if isinstance(part, MediaPart)
    ]
    assert [part.url for part in media] == [PICTURE.url]
    assert texts(second)[1] == "Mira: What is this?\n[attached: cat.png]"


async def test_forgetting_empties_the_window(new_world: NewWorld) -> None:
    """`/forget` drops the channel's history and tells how many turns that were."""
    world = new_world([*said("ok"), done()], [*said("ok"), done()])
    await world.ask("Remember 42.")
    assert await world.service.forget(STUDIO) == 1
    await world.ask("What number?")
    assert texts(world.provider.requests[1])[1:] == ["Mira: What number?"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"text": " \n"}, PromptEmpty),
        ({"text": "x" * (PROMPT_CHARS_MAX + 1)}, PromptTooLong),
        ({"model_id": "gpt-2"}, ModelUnknown),
        ({"attachments": (PICTURE,) * (ATTACHMENTS_MAX + 1)}, TooManyAttachments),
        (
            {
                "attachments": (
                    Attachment(
                        filename="a.png",
                        content_type="image/png",
                        size_bytes=ATTACHMENT_BYTES_MAX + 1,
                        url="https://cdn/a.png",
                    ),
                )
            },
            AttachmentTooLarge,
        ),
        (
            {
                "attachments": (
                    Attachment(
                        filename="a.mp4",
                        content_type="video/mp4",
                        size_bytes=10,
                        url="https://cdn/a.mp4",
                    ),
                )
            },
            AttachmentUnsupported,
        ),
        (
            {
                "model_id": "gemini-2.5-pro",
                "attachments": (
                    Attachment(
                        filename="a.zip",
                        content_type="application/zip",
                        size_bytes=10,
                        url="https://cdn/a.zip",
                    ),
                ),
            },
            AttachmentUnsupported,
        ),
    ],
)
async def test_what_cannot_be_asked_is_refused_before_anything(
    new_world: NewWorld, changes: dict[str, object], expected: type[Exception]
) -> None:
    """F-145: limits stand before the hold; nothing is stored, nothing asked."""
    world = new_world()
    sink = RecordingSink()
    with pytest.raises(expected):
        await world.service.reply(world.question(**changes), sink)  # type: ignore[arg-type]  # a table of fields.
    assert world.provider.requests == []
    assert (sink.drafts, sink.finals) == ([], [])
    assert await world.spent_ucr() == 0


async def test_files_without_words_are_a_question(new_world: NewWorld) -> None:
    """A picture alone may be sent."""
    world = new_world([*said("A cat."), done()])
    assert (await world.ask("", attachments=(PICTURE,))).ending is Ending.COMPLETE


async def test_a_member_without_credits_is_refused_with_the_facts(new_world: NewWorld) -> None:
    """The floor is the prompt and a short answer; below it nothing is asked."""
    world = new_world(credits_a_day=0)
    with pytest.raises(InsufficientCredits) as caught:
        await world.ask()
    assert caught.value.available_ucr == 0
    assert caught.value.needed_ucr > 0
    assert world.provider.requests == []


async def test_the_same_message_is_answered_once(new_world: NewWorld) -> None:
    """Discord may deliver an event twice (F-83): the reference is the key."""
    world = new_world([*said("once"), done()])
    question = world.question()
    await world.service.reply(question, RecordingSink())
    with pytest.raises(Duplicate):
        await world.service.reply(question, RecordingSink())
    assert len(world.provider.requests) == 1
    assert await world.spent_ucr() == 80_000


async def test_the_same_message_twice_at_the_same_time_is_answered_once(
    threaded_world: World,
) -> None:
    """Also while the first is still being answered."""
    gate = asyncio.Event()
    threaded_world.provider.scripts = [[gate, *said("once"), done()]]
    question, sink = threaded_world.question(), RecordingSink()
    first = threaded_world.start(question, sink)
    await threaded_world.provider.reached.wait()
    with pytest.raises(Duplicate):
        await threaded_world.service.reply(question, RecordingSink())
    gate.set()
    await first
    assert sink.final.text == "once"


async def test_one_member_may_have_few_answers_running(new_world: NewWorld) -> None:
    """The bound is per member; another member is not affected, and it frees itself."""
    gate = asyncio.Event()
    limit = TURNS_PER_USER_MAX
    world = new_world(*[[gate, *said("ok"), done("0.01")] for _ in range(limit + 2)])
    running = [world.start(world.question(), RecordingSink()) for _ in range(limit)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyTurns) as caught:
        await world.service.reply(world.question(), RecordingSink())
    assert caught.value.limit == limit
    other = world.start(world.question(author_id=TOM), RecordingSink())
    gate.set()
    await asyncio.gather(*running, other)
    assert (await world.ask()).ending is Ending.COMPLETE


class SlowToEnd(RecordingSink):
    """Discord took the last edit and holds its answer back (discord.md, rate limits)."""

    def __init__(self) -> None:
        super().__init__()
        self.let_go = asyncio.Event()

    async def finish(self, final: FinalAnswer) -> None:
        await super().finish(final)
        await self.let_go.wait()


async def test_an_answer_whose_end_is_on_its_way_does_not_count_as_running(
    new_world: NewWorld,
) -> None:
    """The member sees it complete; Discord's pace is not a reason to refuse the next one."""
    limit = TURNS_PER_USER_MAX
    world = new_world(*[[*said("ok"), done("0.01")] for _ in range(limit + 1)])
    sinks = [SlowToEnd() for _ in range(limit)]
    ending = [world.start(world.question(), sink) for sink in sinks]
    for sink in sinks:
        await sink.ended()
    assert (await world.ask()).ending is Ending.COMPLETE
    for sink in sinks:
        sink.let_go.set()
    await asyncio.gather(*ending)


async def test_parallel_turns_settle_each_its_own_price(threaded_world: World) -> None:
    """Twelve members in twelve channels, all answers interleaved (F-140)."""
    members = range(12)
    gate = asyncio.Event()
    threaded_world.provider.scripts = [
        [*said("a"), gate, *said("b"), done("0.25")] for _ in members
    ]
    sinks = [RecordingSink() for _ in members]
    running = [
        threaded_world.start(
            threaded_world.question(author_id=MIRA + member, channel_id=STUDIO + member), sink
        )
        for member, sink in zip(members, sinks, strict=True)
    ]
    for sink in sinks:
        await sink.shows("a")
    gate.set()
    await asyncio.gather(*running)
    assert [sink.final.text for sink in sinks] == ["ab"] * 12
    assert [await threaded_world.spent_ucr(MIRA + member) for member in members] == [250_000] * 12


async def test_a_sink_that_fails_does_not_undo_the_payment(new_world: NewWorld) -> None:
    """Posting is not money: the books are closed before the end is shown."""

    class DeadSink(RecordingSink):
        async def finish(self, final: FinalAnswer) -> None:
            raise ConnectionError(final.reference)

    world = new_world([*said("lost"), done()])
    await world.service.reply(world.question(), DeadSink())
    assert await world.spent_ucr() == 80_000
    assert [turn.answer for turn in await world.remembered()] == ["lost"]


async def test_text_of_a_stream_is_never_lost_between_deltas(new_world: NewWorld) -> None:
    """A thousand fragments give one text."""
    words = [f"{number} " for number in range(1_000)]
    world = new_world([*(TextDelta(text=word) for word in words), done()])
    assert (await world.ask()).text == "".join(words)
