"""Chat in a simulated Discord: who is answered, how the answer arrives, what is refused."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest

from bot.discordio.render import width
from bot.errors import ContentRefused, StreamCut
from bot.limits import FOUND_MESSAGES_MAX
from bot.providers.base import (
    Citation,
    Finished,
    FinishReason,
    MediaPart,
    Searching,
    ToolCall,
    ToolRound,
    Usage,
)
from bot.text.answers import PLACEHOLDERS
from sandbox.discord.seed import BOT_ID, GENERAL_ID
from tests.cogs.town import USERS, Inhabited, Town, has_button, words

SEND_MESSAGES = 1 << 11
READ_HISTORY = 1 << 16


async def test_a_mention_is_answered_as_a_reply_with_its_price(town: Town) -> None:
    """The whole answer, then model, price and what is left, in small print."""
    town.model.says("Hello ", "Mira.")
    asked = await town.say("mira", "{bot} hello")

    (answer,) = await town.finished()

    assert answer["content"] == "Hello Mira.\n-# GPT-5.4 · charged 0.08 credits · 19.92 left"
    assert answer["message_reference"]["message_id"] == asked
    assert answer["flags"] & 4, "no link shows a preview"


async def test_the_first_words_show_before_the_end_with_a_stop_button(town: Town) -> None:
    """A member sees at once that an answer is being written, and can end it."""
    more = asyncio.Event()
    town.model.says("First words", then=more)
    await town.say("mira", "{bot} hello")

    (draft,) = await town.until(lambda found: bool(found) and "First" in words(found[0]))
    assert draft["content"] == "First words"
    assert has_button(draft)

    more.set()
    (answer,) = await town.finished()
    assert answer["id"] == draft["id"]


async def test_a_silent_model_is_covered_by_a_placeholder(town: Town) -> None:
    """After a second the member sees that the bot is at work."""
    more = asyncio.Event()
    town.model.says("Found it.")
    town.model.scripts[0] = [more, Searching(), *town.model.scripts[0]]
    await town.say("mira", "{bot} hello")

    (shown,) = await town.until(bool)
    assert shown["content"] == "*Thinking…*"

    more.set()
    (answer,) = await town.finished()
    assert answer["id"] == shown["id"]
    assert answer["content"].startswith("Found it.")


async def test_a_direct_message_needs_no_mention(town: Town) -> None:
    """A DM has only one addressee."""
    channel = await town.dm("mira")
    town.model.says("Just us.")
    await town.say("mira", "hello", channel=channel)

    (answer,) = await town.finished(channel=channel)
    assert "Just us." in answer["content"]


async def test_what_is_not_said_to_the_bot_is_left_alone(town: Town) -> None:
    """Talk among members, and everyone-mentions, are none of its business."""
    await town.say("mira", "hello all")
    await town.say("sam", "@everyone hello")
    town.model.says("Yes?")
    await town.say("tom", "{bot} you")

    assert len(await town.finished()) == 1
    assert len(town.model.requests) == 1


async def test_a_reply_to_the_bot_continues_the_conversation(town: Town) -> None:
    """The reply's own mention makes its words readable, and the history goes along."""
    town.model.says("A cat.")
    await town.say("mira", "{bot} name an animal")
    (first,) = await town.finished()
    town.model.says("Because it purrs.")
    await town.say("mira", "{bot} why?", reply_to=first["id"])

    await town.finished(2)

    assert "name an animal" in str(town.model.requests[1].items)
    assert "A cat." in str(town.model.requests[1].items)


async def test_a_reply_whose_words_discord_hides_is_explained(town: Town) -> None:
    """Without the privileged intent a reply with its @ switched off arrives empty."""
    town.model.says("A cat.")
    await town.say("mira", "{bot} name an animal")
    (first,) = await town.finished()
    body = {"content": "why?", "allowed_mentions": {"parse": [], "replied_user": False}}
    town.write_raw("mira", body, reply_to=first["id"])

    found = await town.finished(2)
    assert "leave the @ of the reply switched on" in words(found[1])
    assert len(town.model.requests) == 1


async def test_another_bot_is_never_answered(town: Town) -> None:
    """Two bots would talk for ever (ask 27)."""
    town.sandbox.world.users[USERS["tom"]].bot = True
    await town.say("tom", "{bot} hello")
    town.model.says("Hello Mira.")
    await town.say("mira", "{bot} hello")

    (answer,) = await town.finished()
    assert "Hello Mira." in answer["content"]


async def test_a_quoted_message_goes_along_with_the_question(town: Town) -> None:
    """Mentioning the bot in a reply to somebody asks about what they wrote."""
    quoted = await town.say("tom", "{bot} The moon is made of cheese.")
    town.model.says("Hm.")
    town.model.says("No, of rock.")
    await town.finished()
    await town.say("mira", "{bot} is that true?", reply_to=quoted)
    await town.finished(2)

    question = str(town.model.requests[-1].items[-1])
    assert "In reply to Tom" in question
    assert "made of cheese" in question
    assert "is that true?" in question
    assert f"<@{BOT_ID}>" not in question.split("is that true?")[1]


async def test_nine_thousand_characters_arrive_whole(town: Town) -> None:
    """Every message fits and has whole fences; no line of the program is lost."""
    code = "\n".join(f"value_{number:04} = compute({number})" for number in range(330))
    town.model.says("Here it is:\n\n```python\n", code, "\n```\nThat is all.")
    await town.say("mira", "{bot} a long program")

    found = await town.until(lambda all_: bool(all_) and "19.92 left" in words(all_[-1]))

    shown = "\n".join(message["content"] for message in found)
    assert [line for line in shown.split("\n") if "compute" in line] == code.split("\n")
    assert all(width(message["content"]) <= 2_000 for message in found)
    assert all(message["content"].count("```") % 2 == 0 for message in found)
    assert not any(has_button(message) for message in found)
    assert all(message["flags"] & 4 for message in found)


async def test_stop_ends_the_answer_for_its_asker_only(town: Town) -> None:
    """Another member is told that it is not theirs; the asker's press ends it, honestly paid."""
    more = asyncio.Event()
    town.model.says("One", then=more)
    await town.say("mira", "{bot} count")
    (draft,) = await town.until(lambda found: bool(found) and "One" in words(found[0]))

    await town.press("tom", draft)
    found = await town.until(lambda all_: len(all_) == 2, user="tom")
    assert "Not yours" in words(found[1])
    assert str(found[1]["ephemeral_for"])

    await town.settled(await town.press("mira", draft))
    note = PLACEHOLDERS["stopped"]
    (stopped,) = await town.until(lambda all_: note in words(all_[0]), user="sam")
    assert words(stopped).startswith(f"One\n{note}")
    assert "'label': 'Stop'" not in str(stopped["components"])
    more.set()
    (answer,) = await town.finished(user="sam")
    assert answer["content"].startswith("One\n*Stopped.*\n-# GPT-5.4 · charged 0.08 credits")


async def test_staff_may_stop_any_answer(town: Town) -> None:
    """*Manage Server* is enough."""
    more = asyncio.Event()
    town.model.says("One", then=more)
    await town.say("mira", "{bot} count")
    (draft,) = await town.until(lambda found: bool(found) and has_button(found[0]))

    await town.settled(await town.press("sam", draft))
    more.set()
    (answer,) = await town.finished()
    assert "*Stopped.*" in answer["content"]


async def test_a_mention_without_words_is_refused_kindly(town: Town) -> None:
    """One card: what happened, who can mend it, and that it cost nothing."""
    await town.say("mira", "{bot}")

    (notice,) = await town.finished()
    assert "Nothing to answer" in words(notice)
    assert "not charged · ref " in words(notice)
    assert notice["flags"] & (1 << 15), "a card is Components V2"


async def test_a_failure_of_the_provider_is_told_and_costs_nothing(town: Town) -> None:
    """Its own words for each error, never upstream's."""
    town.model.scripts.append([ContentRefused(provider="aivideo", status=400, code="content_x")])
    await town.say("mira", "{bot} hello")

    (answer,) = await town.finished()
    assert "The model declined" in answer["content"]
    assert "not charged · ref " in answer["content"]
    assert "20 left" in answer["content"]
    assert "content_x" not in answer["content"]


async def test_what_was_shown_stays_when_the_stream_is_cut(town: Town) -> None:
    """S-12: the partial text, "Interrupted", and not charged."""
    town.model.says("Half an ans", then=StreamCut(provider="aivideo"))
    await town.say("mira", "{bot} hello")

    (answer,) = await town.until(lambda all_: bool(all_) and "ref " in words(all_[0]))
    assert answer["content"].startswith("Half an ans\n**Interrupted**")
    assert "not charged" in answer["content"]


async def test_a_lost_answer_of_discord_does_not_double_a_message(town: Town) -> None:
    """F-86: the create took effect, its reply was lost, and the nonce makes one of two."""
    await town.fault(method="POST", path_regex="/messages$", status=502, times=1, after_effect=True)
    town.model.says("Once.")
    await town.say("mira", "{bot} hello")

    (answer,) = await town.finished()
    assert answer["content"].startswith("Once.")


async def test_a_refused_edit_is_tried_again_until_the_end_is_whole(town: Town) -> None:
    """503 raises at once in discord.py; the final edit comes all the same."""
    more = asyncio.Event()
    town.model.says("First", then=more)
    await town.say("mira", "{bot} hello")
    await town.until(bool)
    await town.fault(method="PATCH", path_regex="/messages/", status=503, times=2)
    more.set()

    (answer,) = await town.finished()
    assert "19.92 left" in answer["content"]


async def test_an_answer_deleted_while_it_is_written_comes_once_more(town: Town) -> None:
    """F-90; deleted again it stays away."""
    more = asyncio.Event()
    town.model.says("First", then=more)
    await town.say("mira", "{bot} hello")
    (draft,) = await town.until(bool)
    body = {"user_id": "1100000000000000104", "message_id": draft["id"]}
    await town.call("POST", "messages/delete", body)
    more.set()

    (answer,) = await town.until(lambda all_: bool(all_) and "left" in words(all_[0]))
    assert answer["id"] != draft["id"]
    assert answer["message_reference"] == draft["message_reference"]
    assert answer["content"].startswith("First\n-# GPT-5.4")


async def test_an_answer_whose_channel_closes_goes_to_the_asker(town: Town) -> None:
    """F-89: it was paid, so it arrives, with the reason."""
    more = asyncio.Event()
    town.model.says("First", then=more)
    await town.say("mira", "{bot} hello")
    await town.until(bool)
    await town.fault(
        method="PATCH",
        path_regex="/messages/",
        status=403,
        body={"message": "Missing Access", "code": 50001},
        times=1,
    )
    more.set()

    dm = await town.dm("mira")
    note, answer = await town.finished(2, channel=dm)
    assert f"<#{GENERAL_ID}>" in note["content"]
    assert answer["content"].startswith("First\n-# GPT-5.4")


async def test_with_closed_direct_messages_too_the_turn_still_ends(town: Town) -> None:
    """F-99: nothing hangs, and the next question is answered."""
    await town.call("PATCH", f"users/{USERS['mira']}", {"dms_open": False})
    await town.fault(
        method="POST",
        path_regex="/messages$",
        status=403,
        body={"message": "Missing Access", "code": 50001},
        times=1,
    )
    town.model.says("First.")
    await town.say("mira", "{bot} hello")
    town.model.says("Second.")
    await town.say("tom", "{bot} hello")

    (answer,) = await town.finished()
    assert answer["content"].startswith(("First.", "Second."))


async def test_in_its_own_direct_message_there_is_nowhere_else_to_go(town: Town) -> None:
    """A DM that closes is not answered with a DM."""
    channel = await town.dm("mira")
    more = asyncio.Event()
    town.model.says("First", then=more)
    await town.say("mira", "hello", channel=channel)
    await town.until(bool, channel=channel)
    await town.fault(
        method="PATCH",
        path_regex="/messages/",
        status=403,
        body={"message": "Cannot send messages to this user", "code": 50007},
        times=1,
    )
    more.set()
    await town.bot.services.chat.close()

    (left,) = await town.from_bot(channel=channel)
    assert words(left) == "First"


async def test_where_the_bot_may_not_write_the_asker_hears_of_it_in_private(town: Town) -> None:
    """No request is wasted on a refusal, and no silence."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(SEND_MESSAGES)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)
    await town.say("mira", "{bot} hello")

    dm = await town.dm("mira")
    (notice,) = await town.finished(channel=dm)
    assert "Send Messages" in words(notice)
    assert all(one["status"] != 403 for one in await town.requests())


async def test_without_the_right_to_read_the_answer_is_no_reply(town: Town) -> None:
    """Discord refuses replies there; every page comes as a plain message."""
    body = {"target_id": str(BOT_ID), "allow": "0", "deny": str(READ_HISTORY)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)
    town.model.says("Here. " * 400)
    await town.say("mira", "{bot} hello")

    answers = await town.finished(2)
    assert answers[0]["content"].startswith("Here.")
    assert not any(answer.get("message_reference") for answer in answers)


async def test_a_thread_is_a_conversation_of_its_own(town: Town) -> None:
    """Asked in a thread, answered in the thread."""
    made = await town.call(
        "POST",
        "threads",
        {"user_id": "1100000000000000102", "channel_id": str(GENERAL_ID), "name": "aside"},
    )
    town.model.says("In here.")
    await town.say("mira", "{bot} hello", channel=int(made["channel_id"]))

    (answer,) = await town.finished(channel=int(made["channel_id"]))
    assert "In here." in answer["content"]


async def test_several_answers_share_a_channel_without_meeting_its_limit(town: Town) -> None:
    """Edits are paced per channel: no request is refused with 429."""
    for number in range(4):
        town.model.says(*[f"{number} word " for _ in range(50)])
    for user in ("mira", "tom", "sam", "olive"):
        await town.say(user, "{bot} hello")

    await town.finished(4)
    assert all(one["status"] != 429 for one in await town.requests())


@pytest.mark.parametrize("kind", ["reconnect", "drop"])
async def test_a_lost_gateway_is_resumed_and_the_bot_answers_on(town: Town, kind: str) -> None:
    """F-80: commands are not registered again."""
    await town.call("POST", "gateway", {"action": kind})
    town.model.says("Back.")
    await town.say("mira", "{bot} hello")

    (answer,) = await town.finished()
    assert "Back." in answer["content"]
    puts = [one for one in await town.requests() if one["method"] == "PUT"]
    assert len(puts) == 1


async def test_a_demo_says_so_under_every_answer() -> None:
    """product.md: real Discord, simulated provider."""
    async with Inhabited(demo=True).open() as town:
        town.model.says("Hi.")
        await town.say("mira", "{bot} hello")
        (answer,) = await town.finished()
        assert answer["content"].endswith("19.92 left · demo")


async def test_without_credits_the_member_hears_when_there_will_be_more() -> None:
    """Refused before the provider is asked."""
    async with Inhabited(allowance_credits=0).open() as town:
        await town.say("mira", "{bot} hello")
        (notice,) = await town.finished()
        assert "Not enough credits" in words(notice)
        assert "not charged" in words(notice)
        assert town.model.requests == []


def search_for(*wanted: str) -> Finished:
    """The model asks to search the channel."""
    calls = tuple(
        ToolCall(call_id=f"c{n}", name="search_channel", arguments=json.dumps({"query": text}))
        for n, text in enumerate(wanted)
    )
    usage = Usage(input_tokens=1, output_tokens=1)
    return Finished(
        reason=FinishReason.TOOL_CALLS,
        usage=usage,
        credits_consumed=Decimal("0.01"),
        calls=calls,
    )


async def test_the_model_searches_the_channel_as_the_member_sees_it(town: Town) -> None:
    """Hits hold every word; the question itself is none of them."""
    town.model.says("Noted.")
    await town.say("tom", "{bot} the Picnic is on Friday")
    await town.finished()
    for _ in range(25):
        town.bot_writes("many hits")
    town.model.scripts.append([search_for("picnic friday", "nothing such", "many", " ")])
    town.model.says("On Friday.")
    await town.say("mira", "{bot} when is the picnic?")
    await town.until(lambda all_: "On Friday." in words(all_[-1]))

    (round_,) = [item for item in town.model.requests[-1].items if isinstance(item, ToolRound)]
    first, none, many, blank = [result.output for result in round_.results]
    assert "the Picnic is on Friday" in first
    assert "when is the picnic" not in first
    assert "Tom" in first
    assert "many hits" not in none + blank
    assert many.count("many hits") == FOUND_MESSAGES_MAX


async def test_a_search_does_not_find_the_small_print_of_answers(town: Town) -> None:
    """Price, balance and sources are no words of anybody; what members write small is."""
    source = Citation(url="https://example.org/picnic", title="Credits for a picnic")
    town.model.says("We meet on Friday.")
    town.model.scripts[-1] = [source, *town.model.scripts[-1]]
    await town.say("tom", "{bot} when do we meet?")
    (answer,) = await town.finished()
    assert "Credits for a picnic" in answer["content"]
    await town.say("tom", "{bot} bring\n-# my credits")
    town.model.says("Yes.")
    await town.finished(2)
    town.model.scripts.append([search_for("credits", "friday")])
    town.model.says("Hm.")
    await town.say("mira", "{bot} look it up")
    await town.until(lambda all_: "Hm." in words(all_[-1]))

    (round_,) = [item for item in town.model.requests[-1].items if isinstance(item, ToolRound)]
    small, meeting = [result.output for result in round_.results]
    assert "my credits" in small
    assert "charged" not in small + meeting
    assert "picnic" not in small + meeting
    assert "We meet on Friday." in meeting


async def test_a_history_that_cannot_be_read_finds_nothing(town: Town) -> None:
    """The tool's answer is empty, and the turn goes on."""
    await town.fault(method="GET", path_regex="/messages", status=403, times=1)
    town.model.scripts.append([search_for("picnic")])
    town.model.says("I do not know.")
    await town.say("mira", "{bot} when is the picnic?")

    (answer,) = await town.finished()
    assert "I do not know." in answer["content"]


async def test_without_the_right_to_read_there_is_no_search(town: Town) -> None:
    """The tool sees what the asking member sees."""
    body = {"target_id": str(USERS["mira"]), "allow": "0", "deny": str(READ_HISTORY)}
    await town.call("PUT", f"channels/{GENERAL_ID}/overwrites", body)
    town.model.says("Hi.")
    await town.say("mira", "{bot} hello")
    await town.finished()
    town.model.says("Hi.")
    await town.use("mira", "chat", prompt="hello")
    await town.finished(2)

    for request in town.model.requests:
        assert "search_channel" not in [tool.name for tool in request.tools]


async def test_attachments_go_along_with_the_question(town: Town) -> None:
    """Also those of the quoted message; a type that Discord left out is guessed from the name."""
    quoted = await town.say("tom", "{bot} look", files={"cat.png": ("image/png", b"x")})
    town.model.says("Nice.")
    await town.finished()
    town.model.says("Both are nice.")
    await town.say("mira", "{bot} and this?", reply_to=quoted, files={"dog.jpg": (None, b"y")})
    await town.finished(2)

    parts = [part for item in town.model.requests[-1].items for part in getattr(item, "parts", ())]
    media = [(part.filename, part.content_type) for part in parts if isinstance(part, MediaPart)]
    assert media[-2:] == [("dog.jpg", "image/jpeg"), ("cat.png", "image/png")]


async def test_an_everyday_quote_without_words_is_left_out(town: Town) -> None:
    """Discord hides what others wrote to each other; only what was said to the bot goes along."""
    hidden = await town.say("tom", "not for the bot")
    town.model.says("Hi.")
    await town.say("mira", "{bot} and this, @Tom <@!1100000000000000103>?", reply_to=hidden)
    await town.finished()

    question = str(town.model.requests[-1].items[-1])
    assert "In reply to" not in question
    assert "and this, @Tom @Tom?" in question
