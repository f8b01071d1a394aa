"""An answer on its way: first words at once, paced edits, one whole end, whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from bot.chat.ports import Draft, Ending, FinalAnswer, NotShown, Phase, Receipt
from bot.discordio.pacing import ChannelPacer
from bot.discordio.streaming import DiscordAnswer
from bot.discordio.surface import (
    Page,
    Surface,
    SurfaceBusy,
    SurfaceClosed,
    nonce_for,
)
from bot.errors import PromptEmpty
from bot.limits import (
    BAN_PAUSE_S,
    EDIT_INTERVAL_S,
    FINAL_ATTEMPTS_MAX,
    NONCE_CHARS_MAX,
    PLACEHOLDER_DELAY_S,
)
from bot.text.answers import BOOKING_NOTE, PLACEHOLDERS
from bot.text.money import Payment
from storage.errors import UnknownReference
from tests.unit.discordio.surfaces import VirtualClock, Wall, settle

RECEIPT = Receipt(model_label="GPT-5.4", charged_ucr=80_000, available_ucr=19_920_000)
STOPPED_NOTE = PLACEHOLDERS[Phase.STOPPED]
FOOTER = "-# GPT-5.4 · charged 0.08 credits · 19.92 left"


def ended(text: str, ending: Ending = Ending.COMPLETE) -> FinalAnswer:
    return FinalAnswer(text=text, ending=ending, receipt=RECEIPT, reference="m:1")


class Stage:
    """One answer, with its reader in the test's hands."""

    def __init__(
        self,
        clock: VirtualClock,
        wall: Wall,
        *,
        pacer: ChannelPacer | None = None,
        moved_to: Callable[[], Awaitable[Surface | None]] | None = None,
        on_shown: Callable[[int], Awaitable[None]] | None = None,
    ) -> None:
        self.clock = clock
        self.wall = wall
        self._finals: asyncio.Queue[FinalAnswer | Exception] = asyncio.Queue()
        self.answer = DiscordAnswer(
            wall,
            reference="m:1",
            pacer=pacer or ChannelPacer(clock),
            clock=clock,
            moved_to=moved_to,
            on_shown=on_shown,
        )
        self.running = asyncio.create_task(self.answer.show(self._read()))

    async def _read(self) -> None:
        final = await self._finals.get()
        if isinstance(final, Exception):
            raise final
        await self.answer.finish(final)

    async def write(self, text: str, phase: Phase = Phase.WRITING) -> None:
        self.answer.update(Draft(text=text, phase=phase))
        await settle()

    async def end(self, final: FinalAnswer | Exception) -> None:
        self._finals.put_nowait(final)
        await settle()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def wall(clock: VirtualClock) -> Wall:
    return Wall(clock)


async def test_the_first_words_are_posted_without_waiting(clock: VirtualClock, wall: Wall) -> None:
    """No pacing stands before the first message, and typing shows before it."""
    stage = Stage(clock, wall)
    await stage.write("Hello")

    assert [kind for _, kind, _ in wall.log] == ["typing", "post"]
    assert wall.texts == ["Hello"]
    assert wall.standing[1].stop_reference == "m:1"

    await stage.end(ended("Hello"))
    await clock.advance(10)
    await stage.running


async def test_a_placeholder_comes_after_its_delay_and_follows_the_phase(
    clock: VirtualClock, wall: Wall
) -> None:
    """Silence is covered, and a search is named."""
    stage = Stage(clock, wall)
    await clock.advance(PLACEHOLDER_DELAY_S - 0.1)
    assert wall.texts == []
    await clock.advance(0.2)
    assert wall.texts == ["*Thinking…*"]

    await stage.write("", Phase.SEARCHING)
    await clock.advance(EDIT_INTERVAL_S)
    assert wall.texts == ["*Searching the web…*"]
    await stage.end(ended("Found."))
    await clock.advance(10)
    await stage.running


async def test_stop_freezes_the_words_and_says_that_the_price_is_still_to_come(
    clock: VirtualClock, wall: Wall
) -> None:
    """S-12: it may take the model a minute, and it is no cheaper; the end has the receipt."""
    stage = Stage(clock, wall)
    await stage.write("One, two")
    await stage.write("One, two", Phase.STOPPED)
    await clock.advance(EDIT_INTERVAL_S)
    assert wall.standing[1] == Page(text=f"One, two\n{STOPPED_NOTE}")

    await stage.end(ended("One, two", Ending.STOPPED))
    await clock.advance(10)
    await stage.running
    assert wall.texts == [f"One, two\n*Stopped.*\n{FOOTER}"]


async def test_while_the_price_is_booked_the_whole_answer_says_what_is_held(
    clock: VirtualClock, wall: Wall
) -> None:
    """F-110: exactly one of the three phrases, and no button that stops nothing."""
    stage = Stage(clock, wall)
    await stage.write("One, two")
    held = Payment(held_ucr=7_400_000, held_until_us=1_763_640_000_000_000)
    stage.answer.update(Draft(text="One, two, three", phase=Phase.BOOKING, payment=held))
    await clock.advance(EDIT_INTERVAL_S)
    note = f"{BOOKING_NOTE} 7.4 credits held until <t:1763640000:t>.*"
    assert wall.standing[1] == Page(text=f"One, two, three\n{note}")
    await stage.end(ended("One, two, three"))
    await clock.advance(10)
    await stage.running
    assert wall.texts == [f"One, two, three\n{FOOTER}"]


async def test_stop_before_the_first_word_says_the_same(clock: VirtualClock, wall: Wall) -> None:
    """It takes the placeholder's place."""
    stage = Stage(clock, wall)
    await clock.advance(PLACEHOLDER_DELAY_S)
    await stage.write("", Phase.STOPPED)
    await clock.advance(EDIT_INTERVAL_S)
    assert wall.standing[1] == Page(text=STOPPED_NOTE)
    await stage.end(ended("", Ending.STOPPED))
    await clock.advance(10)
    await stage.running


async def test_on_a_full_page_the_note_of_stop_stands_in_a_message_of_its_own(
    clock: VirtualClock, wall: Wall
) -> None:
    """No word goes away for it, and the receipt takes its place."""
    stage = Stage(clock, wall)
    await stage.write("x" * 1_990)
    await stage.write("x" * 1_990, Phase.STOPPED)
    await clock.advance(EDIT_INTERVAL_S * 2)
    assert list(wall.standing.values()) == [Page(text="x" * 1_990), Page(text=STOPPED_NOTE)]

    await stage.end(ended("x" * 1_990, Ending.STOPPED))
    await clock.advance(10)
    await stage.running
    assert wall.texts == ["x" * 1_990, f"*Stopped.*\n{FOOTER}"]


async def test_an_early_end_is_one_message_and_no_edit(clock: VirtualClock, wall: Wall) -> None:
    """A fast model costs one request."""
    stage = Stage(clock, wall)
    await stage.end(ended("Hello."))
    await stage.running

    assert wall.texts == [f"Hello.\n{FOOTER}"]
    assert wall.calls("edit") == []
    assert wall.standing[1].stop_reference is None


async def test_edits_are_paced_and_the_newest_text_wins(clock: VirtualClock, wall: Wall) -> None:
    """A hundred drafts a second make no more than one edit per interval."""
    stage = Stage(clock, wall)
    for number in range(500):
        await stage.write("x" * number)
        await clock.advance(0.01)
    await stage.end(ended("x" * 500))
    await clock.advance(5)
    await stage.running

    at_s = [at for at, _ in wall.calls("edit")]
    assert all(later - earlier > EDIT_INTERVAL_S - 0.001 for earlier, later in pairwise(at_s))
    assert 3 <= len(at_s) <= 6
    assert wall.texts == ["x" * 500 + f"\n{FOOTER}"]


async def test_a_blocked_request_does_not_block_the_reader(clock: VirtualClock, wall: Wall) -> None:
    """discord.py returns seconds late when a bucket is empty; drafts go on meanwhile."""
    stage = Stage(clock, wall)
    wall.blocked = asyncio.Event()
    await stage.write("one")
    await stage.write("one two")
    await stage.write("one two three")
    wall.blocked.set()
    await stage.end(ended("one two three."))
    await clock.advance(5)
    await stage.running

    shown = [text for _, kind, text in wall.log if kind != "typing"]
    assert shown == ["one", "one two three", f"one two three.\n{FOOTER}"]


async def test_an_identical_draft_sends_nothing(clock: VirtualClock, wall: Wall) -> None:
    """Edits that change nothing burn the limit (ask 28)."""
    stage = Stage(clock, wall)
    await stage.write("same")
    for _ in range(5):
        await stage.write("same")
        await clock.advance(2)

    assert wall.calls("edit") == []
    await stage.end(ended("same"))
    await clock.advance(2)
    await stage.running


async def test_answers_in_one_channel_take_turns(clock: VirtualClock) -> None:
    """Together they keep the channel's pace, and each gets its share."""
    pacer = ChannelPacer(clock)
    stages = [Stage(clock, Wall(clock), pacer=pacer) for _ in range(4)]
    for number in range(1, 200):
        for stage in stages:
            stage.answer.update(Draft(text="x" * number, phase=Phase.WRITING))
        await clock.advance(0.1)
    edits = [len(stage.wall.calls("edit")) for stage in stages]
    moments = sorted(at for stage in stages for at, _ in stage.wall.calls("edit"))

    assert max(edits) - min(edits) <= 1
    assert all(later - earlier > EDIT_INTERVAL_S - 0.001 for earlier, later in pairwise(moments))
    for stage in stages:
        await stage.end(ended("done"))
    await clock.advance(20)
    assert all(stage.wall.texts == [f"done\n{FOOTER}"] for stage in stages)


async def test_answers_in_two_channels_do_not_wait_for_each_other(clock: VirtualClock) -> None:
    """Discord counts per channel."""
    pacer = ChannelPacer(clock)
    stages = [Stage(clock, Wall(clock, lane=lane), pacer=pacer) for lane in (1, 2)]
    for stage in stages:
        await stage.write("a")
        await stage.write("ab")

    assert [stage.wall.texts for stage in stages] == [["ab"], ["ab"]]
    for stage in stages:
        await stage.end(ended("done"))
    await clock.advance(5)


async def test_a_long_answer_grows_into_further_messages(clock: VirtualClock, wall: Wall) -> None:
    """Stop stands under the last one only, and every part has a nonce of its own."""
    stage = Stage(clock, wall)
    await stage.write("a" * 1_500)
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_500)
    await clock.advance(3)

    assert wall.texts == ["a" * 1_500, "b" * 1_500]
    assert [page.stop_reference for page in wall.standing.values()] == [None, "m:1"]
    assert list(wall.nonces) == [nonce_for("m:1", 0), nonce_for("m:1", 1)]
    assert wall.firsts == [True, False]
    await stage.end(ended("a" * 1_500 + "\n\n" + "b" * 1_500))
    await clock.advance(3)
    assert wall.texts[1].endswith(FOOTER)
    assert not any(page.stop_reference for page in wall.standing.values())


async def test_a_shorter_end_takes_messages_back(clock: VirtualClock, wall: Wall) -> None:
    """What the answer no longer holds does not stay behind."""
    stage = Stage(clock, wall)
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_500)
    await stage.end(ended("short"))
    await clock.advance(5)
    await stage.running

    assert wall.texts == [f"short\n{FOOTER}"]


async def test_a_refusal_before_the_first_words_leaves_nothing(
    clock: VirtualClock, wall: Wall
) -> None:
    """It is raised again, for the one hook to tell."""
    stage = Stage(clock, wall)
    await stage.end(PromptEmpty())

    with pytest.raises(PromptEmpty):
        await stage.running
    assert wall.calls("post") == []


async def test_a_late_refusal_takes_the_placeholder_away(clock: VirtualClock, wall: Wall) -> None:
    """The database was slow; the member still gets exactly one message, from the hook."""
    stage = Stage(clock, wall)
    await clock.advance(PLACEHOLDER_DELAY_S)
    assert wall.texts == ["*Thinking…*"]
    await stage.end(PromptEmpty())
    await clock.advance(2)

    with pytest.raises(PromptEmpty):
        await stage.running
    assert wall.texts == []


async def test_a_busy_discord_gets_the_end_when_it_is_back(clock: VirtualClock, wall: Wall) -> None:
    """Waits double, or last as long as Discord says."""
    stage = Stage(clock, wall)
    await stage.write("a")
    wall.failures = [SurfaceBusy(), SurfaceBusy(retry_after_s=30.0), SurfaceBusy()]
    await stage.end(ended("a"))
    await clock.advance(60)
    await stage.running

    assert wall.texts == [f"a\n{FOOTER}"]


async def test_a_post_that_got_through_unheard_is_not_doubled(
    clock: VirtualClock, wall: Wall
) -> None:
    """F-86: the same nonce."""
    stage = Stage(clock, wall)
    wall.nonces[nonce_for("m:1", 0)] = 9
    wall.standing[9] = Page(text="a")
    await stage.end(ended("a"))
    await stage.running

    assert len(wall.standing) == 1


async def test_an_end_that_never_gets_through_moves_to_the_other_place(
    clock: VirtualClock, wall: Wall
) -> None:
    """After its bounded tries; there it is whole, with nonces of its own (S-7)."""
    other = Wall(clock, lane=2, nonces=wall.nonces)

    async def moved_to() -> Surface:
        return other

    stage = Stage(clock, wall, moved_to=moved_to)
    await stage.write("a")
    wall.failures = [SurfaceBusy() for _ in range(FINAL_ATTEMPTS_MAX)]
    await stage.end(ended("a"))
    await clock.advance(120)
    await stage.running

    assert other.texts == [f"a\n{FOOTER}"]


async def test_a_closed_place_is_left_once_and_drafts_stay_away(
    clock: VirtualClock, wall: Wall
) -> None:
    """The other place is somebody's DM: it gets the end, not the writing."""
    other = Wall(clock, lane=2)

    async def moved_to() -> Surface:
        return other

    stage = Stage(clock, wall, moved_to=moved_to)
    wall.failures = [SurfaceClosed("50013")]
    await stage.write("a")
    await stage.write("ab")
    await clock.advance(5)
    assert other.log == []

    other.failures = [SurfaceClosed("50007")]
    await stage.end(ended("ab"))
    await clock.advance(5)
    with pytest.raises(NotShown):
        await stage.running
    assert other.texts == []


@pytest.mark.parametrize("has_other", [True, False])
async def test_with_nowhere_to_go_the_turn_still_ends(
    clock: VirtualClock,
    wall: Wall,
    has_other: bool,  # noqa: FBT001 - a parameter of the test.
) -> None:
    """The books are closed elsewhere; nothing hangs, and nobody notes that it was shown (S-7)."""

    async def moved_to() -> None:
        return None

    stage = Stage(clock, wall, moved_to=moved_to if has_other else None)
    wall.failures = [SurfaceClosed("50013")]
    await stage.write("a")
    await stage.end(ended("a"))
    with pytest.raises(NotShown):
        await stage.running

    assert wall.texts == []


async def test_an_end_that_discord_never_takes_is_not_said_to_be_shown(
    clock: VirtualClock, wall: Wall
) -> None:
    """S-7: half a minute of trouble ends the tries of the writer, not the debt."""
    stage = Stage(clock, wall)
    await stage.write("a")
    wall.failures = [SurfaceBusy() for _ in range(FINAL_ATTEMPTS_MAX)]
    await stage.end(ended("a whole answer"))
    await clock.advance(60)
    with pytest.raises(NotShown):
        await stage.running


async def test_an_end_outlasts_a_full_stop_of_our_own(clock: VirtualClock, wall: Wall) -> None:
    """S-13: the breaker says for how long; then the end stands where the words stood."""
    stage = Stage(clock, wall)
    await stage.write("a")
    wall.failures = [SurfaceBusy(retry_after_s=BAN_PAUSE_S)]
    await stage.end(ended("a"))
    await clock.advance(BAN_PAUSE_S - EDIT_INTERVAL_S)
    assert wall.texts == ["a"]
    await clock.advance(3 * EDIT_INTERVAL_S)
    await stage.running
    assert wall.texts == [f"a\n{FOOTER}"]


async def test_a_deleted_answer_comes_once_more_and_then_stays_away(
    clock: VirtualClock, wall: Wall
) -> None:
    """F-90; the second one has another nonce."""
    stage = Stage(clock, wall)
    await stage.write("a")
    wall.standing.clear()
    await stage.write("ab")
    await clock.advance(5)
    assert wall.texts == ["ab"]
    assert len(wall.nonces) == 2
    assert wall.firsts == [True, True], "it replies to the question again"

    wall.standing.clear()
    await stage.write("abc")
    await clock.advance(5)
    await stage.end(ended("abc"))
    await clock.advance(5)
    await stage.running
    assert wall.texts == []


async def test_a_deleted_early_page_stays_away(clock: VirtualClock, wall: Wall) -> None:
    """Posting it again would put it behind the later ones."""
    stage = Stage(clock, wall)
    await stage.write("a" * 1_500)
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_500)
    await clock.advance(5)
    del wall.standing[1]
    stage.wall.failures = []
    stage.answer._shown[0].page = wall.standing[2]  # as if it needed an edit
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_501)
    await clock.advance(5)
    await stage.end(ended("a" * 1_500 + "\n\n" + "b" * 1_501))
    await clock.advance(5)

    assert wall.texts == ["b" * 1_501 + f"\n{FOOTER}"]


async def test_a_create_whose_twin_was_deleted_counts_as_delivered(
    clock: VirtualClock, wall: Wall
) -> None:
    """F-91: somebody did not want it."""
    wall.nonces[nonce_for("m:1", 0)] = 7
    stage = Stage(clock, wall)
    await stage.end(ended("a"))
    await stage.running

    assert wall.texts == []
    assert len(wall.calls("post")) == 1


async def test_the_place_is_noted_for_a_restart_and_its_failure_does_no_harm(
    clock: VirtualClock, wall: Wall
) -> None:
    """Each new message's id, once: a restart ends the answer where it stopped."""
    noted: list[int] = []

    async def on_shown(message_id: int) -> None:
        noted.append(message_id)
        raise UnknownReference(reference="m:1")

    stage = Stage(clock, wall, on_shown=on_shown)
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_500)
    await stage.end(ended("a" * 1_500 + "\n\n" + "b" * 1_500))
    await clock.advance(5)
    await stage.running

    assert noted == [1, 2]
    assert wall.texts[1].endswith(FOOTER)


async def test_the_place_goes_back_with_a_page_that_is_taken_back(
    clock: VirtualClock, wall: Wall
) -> None:
    """A restart must not look for a message that we removed ourselves."""
    noted: list[int] = []

    async def on_shown(message_id: int) -> None:
        noted.append(message_id)

    stage = Stage(clock, wall, on_shown=on_shown)
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_500)
    await stage.write("a" * 1_500)
    await clock.advance(5)
    assert noted == [1, 2, 1]

    await stage.end(ended("a" * 1_500))
    await clock.advance(5)
    await stage.running
    assert noted == [1, 2, 1]


async def test_typing_that_fails_does_no_harm(clock: VirtualClock) -> None:
    """It is decoration."""

    class Grumpy(Wall):
        async def typing(self) -> None:
            raise SurfaceClosed

    stage = Stage(clock, Grumpy(clock))
    await stage.end(ended("a"))
    await stage.running
    assert stage.wall.texts == [f"a\n{FOOTER}"]


async def test_a_bug_in_a_surface_does_not_hang_the_turn(clock: VirtualClock) -> None:
    """It is logged, and the end stays owed."""

    class Broken(Wall):
        async def post(self, page: Page, *, nonce: str, is_first: bool) -> int:
            raise ZeroDivisionError(page, nonce, is_first)

    stage = Stage(clock, Broken(clock))
    await stage.end(ended("a"))
    with pytest.raises(NotShown):
        await stage.running


async def test_a_cancelled_caller_does_not_cut_the_answer(clock: VirtualClock, wall: Wall) -> None:
    """The chat ends its turns itself; the writer goes on to the end it is given."""
    stage = Stage(clock, wall)
    await stage.write("a")
    stage.running.cancel()
    await asyncio.gather(stage.running, return_exceptions=True)

    finishing = asyncio.create_task(stage.answer.finish(ended("ab")))
    await clock.advance(5)
    await finishing
    assert wall.texts == [f"ab\n{FOOTER}"]


async def test_removing_what_is_gone_already_is_no_trouble(clock: VirtualClock, wall: Wall) -> None:
    """A moderator was faster."""
    stage = Stage(clock, wall)
    await stage.write("a" * 1_500 + "\n\n" + "b" * 1_500)
    del wall.standing[2]
    await stage.end(ended("short"))
    await clock.advance(5)
    await stage.running

    assert wall.texts == [f"short\n{FOOTER}"]


def test_a_nonce_is_stable_distinct_and_fits() -> None:
    """S-7: the same after a restart; Discord takes at most 25 characters."""
    nonces = {
        nonce_for(reference, part, attempt, is_private=is_private)
        for reference in ("m:1", "i:1", "m:2")
        for part in range(5)
        for attempt in range(3)
        for is_private in (False, True)
    }

    assert len(nonces) == 90
    assert max(map(len, nonces)) <= NONCE_CHARS_MAX
    assert nonce_for("m:1", 0) == nonce_for("m:1", 0)
