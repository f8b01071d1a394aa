"""Mistakes of chat streams and their holds (S-12)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Family, Mutant

_CHAT = "tests/unit/chat"

ANSWERING = (
    Mutant(
        name="broken-stream-paid",
        mistake="an answer without its terminal event is complete (F-57, I-7)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/turn.py",
                old="        if finished is None:\n"
                "            raise StreamCut(provider=self._model.provider)\n",
                new="        if finished is None:\n            return Ending.COMPLETE\n",
            ),
        ),
        killers=(_CHAT,),
    ),
    Mutant(
        name="half-a-turn-remembered",
        mistake="an answer that was not paid enters history (S-12)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/books.py",
                old="        if answered.text.strip() and not question.private:\n",
                new="        if answered.text.strip():\n",
            ),
        ),
        killers=(_CHAT,),
    ),
    Mutant(
        name="stop-is-free",
        mistake="Stop ends the reading, and with it the price (F-153)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/turn.py",
                old="                if (ending := await self._must_end()) is not None:\n",
                new="                if self.stopped:\n"
                "                    raise StreamCut(provider=self._model.provider)\n"
                "                if (ending := await self._must_end()) is not None:\n",
            ),
        ),
        killers=("tests/unit/chat/test_stop.py",),
    ),
    Mutant(
        name="answer-without-credits",
        mistake="an answer goes on when no more can be held (S-12)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/turn.py",
                old="            return Ending.CREDITS\n        return Ending.LENGTH",
                new="            pass\n        return Ending.LENGTH",
            ),
        ),
        killers=("tests/unit/chat/test_hold.py",),
    ),
    Mutant(
        name="loss-of-a-crash-forgotten",
        mistake="a turn that a crash ended cost the operator nothing (F-19, I-10)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/books.py",
                old="            loss_ucr=turn.cost_estimate_ucr,\n            now_us=now_us,\n"
                "        )\n    return len(left)",
                new="            now_us=now_us,\n        )\n    return len(left)",
            ),
        ),
        killers=(_CHAT,),
    ),
    Mutant(
        name="no-brake",
        mistake="whoever breaks every stream chats for nothing (S-12)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/books.py",
                old="    return endings >= BROKEN_STREAMS_FREE\n",
                new="    return endings >= BROKEN_STREAMS_FREE * 1_000\n",
            ),
        ),
        killers=("tests/unit/chat/test_brake.py",),
    ),
    Mutant(
        name="outage-charged",
        mistake="the brake holds for everybody when the provider fails everybody",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/books.py",
                old="    if others >= BROKEN_OUTAGE_MEMBERS:\n        return False\n",
                new="",
            ),
        ),
        killers=("tests/unit/chat/test_brake.py",),
    ),
    Mutant(
        name="end-given-up",
        mistake="a short trouble of the database loses the charge (F-110)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/chat/bookkeeper.py",
                old="                if now_s >= until_s:\n                    raise\n",
                new="                raise\n",
            ),
        ),
        killers=("tests/unit/chat/test_booking.py",),
    ),
    Mutant(
        name="estimate-poisoned",
        mistake="a report of no tokens at all teaches (F-51)",
        family=Family.CHAT,
        edits=(
            Edit(
                path="bot/catalogue/pricing.py",
                old="    return any(counts) and "
                "all(0 <= count <= model.context_tokens for count in counts)\n",
                new="    return all(0 <= count for count in counts)\n",
            ),
        ),
        killers=("tests/unit/catalogue/test_pricing.py", "tests/unit/chat/test_learning.py"),
    ),
)
