"""Long answers, many channels, and a Discord that misbehaves."""

from __future__ import annotations

import asyncio

from tests.e2e.world import World, whole_text

MESSAGE_CHARS_MAX = 2_000


def long_answer() -> str:
    """9,000 characters and more, half of it inside code fences."""
    paragraphs = []
    for number in range(1, 13):
        paragraphs.append(f"Part {number}. " + f"Sentence of part {number} goes on. " * 17)
        code = "\n".join(f"value_{number}_{line} = {line} * {number}" for line in range(14))
        paragraphs.append(f"```python\n{code}\n```")
    return "\n\n".join(paragraphs)


async def test_nine_thousand_characters_arrive_whole_with_whole_code_fences(world: World) -> None:
    """No line is lost, no message is too long, every fence is closed where it was opened."""
    text = long_answer()
    assert len(text) >= 9_000
    await world.provider_script(text)
    message_id = await world.say("mira", "studio", "{bot} everything, please")
    answers = await world.answered("mira", "studio", message_id)
    assert len(answers) >= 5
    for answer in answers:
        content = answer["content"]
        assert len(content) <= MESSAGE_CHARS_MAX
        assert content.count("```") % 2 == 0
    shown = "\n".join(answer["content"] for answer in answers)
    for line in text.splitlines():
        if line.startswith("value_"):
            assert line in shown
    for number in range(1, 13):
        assert shown.count(f"Sentence of part {number} goes on.") == 17


async def test_ten_channels_are_answered_at_once(world: World) -> None:
    """One slow channel does not hold up another, and each gets its own answer."""
    members = ("mira", "tom", "sam", "olive")
    channels = [await world.new_channel(f"parallel-{number}") for number in range(10)]
    asked = [
        await world.say(members[n % len(members)], channel, f"{{bot}} describe harbour {n}")
        for n, channel in enumerate(channels)
    ]
    answers = await asyncio.gather(
        *(
            world.answered(members[n % len(members)], channels[n], message_id)
            for n, message_id in enumerate(asked)
        )
    )
    for n, answer in enumerate(answers):
        text = whole_text(answer)
        assert f"harbour {n}" in text.lower()
        assert "charged" in text


async def test_long_answers_in_one_channel_can_be_told_apart(world: World) -> None:
    """Written at once, their messages interleave; each leads back to its own question."""
    members = ("mira", "tom", "sam", "olive")
    channel = await world.new_channel("busy")
    await world.pace(tokens_per_s=150)
    asked = [
        await world.say(member, channel, f"{{bot}} write 4000 characters about {member}")
        for member in members
    ]
    answers = await asyncio.gather(
        *(
            world.answered(member, channel, message_id)
            for member, message_id in zip(members, asked, strict=True)
        )
    )
    shown = [m["id"] for m in await world.messages("mira", channel)]
    written = [shown.index(message["id"]) for answer in answers for message in answer]
    assert written != sorted(written), "the answers did not interleave"
    assert len(written) == len(set(written)) == len(shown) - len(asked)
    for member, answer in zip(members, answers, strict=True):
        assert len(answer) >= 2
        assert whole_text(answer).count("charged") == 1, member


async def test_a_lost_answer_to_a_create_does_not_double_the_message(world: World) -> None:
    """F-86: Discord creates and then fails; the nonce makes the repeat harmless."""
    channel = await world.new_channel("flaky")
    await world.send(
        "faults",
        {
            "method": "POST",
            "path_regex": f"/channels/{channel}/messages",
            "status": 502,
            "times": 1,
            "after_effect": True,
        },
    )
    message_id = await world.say("mira", channel, "{bot} once only")
    answers = await world.answered("mira", channel, message_id)
    assert len(answers) == 1


async def test_the_bot_comes_back_after_the_gateway_dropped(world: World) -> None:
    """A question asked just after the drop is answered once."""
    await world.send("gateway", {"action": "drop"})
    message_id = await world.say("mira", "general", "{bot} still there?")
    answers = await world.answered("mira", "general", message_id)
    assert len(answers) == 1


async def test_an_answer_whose_message_was_deleted_is_not_lost(world: World) -> None:
    """F-90: the answer appears once more, in a new message."""
    await world.pace(tokens_per_s=40)
    message_id = await world.say("mira", "studio", "{bot} write a very long story")
    streaming = await world.streaming("mira", "studio", message_id)
    deletion = {"user_id": world.users["olive"], "message_id": streaming["id"]}
    await world.send("messages/delete", deletion)
    await world.pace(tokens_per_s=4000)
    answers = await world.answered("mira", "studio", message_id)
    assert streaming["id"] not in {answer["id"] for answer in answers}
