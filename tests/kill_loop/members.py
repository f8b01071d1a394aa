"""People who order all the time, whether the bot is there or not."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from tests.kill_loop.town import Town

PAUSE_S: Final = 0.09
"""Mean between two orders of all members together."""
AWAY_SHARE: Final = 0.15
"""Of the orders that are given although the bot is away: Discord says that it did not respond."""
OPEN_MAX: Final = 24
"""Orders that are not over: above it the members wait, or the end would never come."""
ACTIONS: Final = {"picture": 50, "video": 7, "question": 33, "grant": 10}
"""With their weights. A film costs the sandbox ten times as much work as a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing that a member did: `ref` is the interaction's or the message's id."""

    kind: str
    ref: int
    user_id: int
    amount_credits: int = 0
    prompt: str = ""


@dataclass(slots=True)
class Members:
    """`asked` is their own list, by id: what the bot says is compared with it."""

    town: Town
    rng: random.Random
    asked: dict[int, Asked] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    is_quiet: bool = False
    open_jobs: int = 0
    """As of the last look into the file, and what was ordered since."""

    async def run(self) -> None:
        """Order until cancelled."""
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / PAUSE_S))
            heard = self.town.online or self.rng.random() < AWAY_SHARE
            if heard and not self.is_quiet:
                await self.act()

    async def act(self) -> None:
        """Do one thing."""
        kind = self.rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        if kind in {"picture", "video"}:
            if self.open_jobs >= OPEN_MAX:
                return
            self.open_jobs += self.town.online
        number = len(self.asked)
        member = self.rng.choice(self.town.members)
        channel = self.rng.choice(self.town.channels)
        user_id = int(self.town.hands.users[member])
        self.town.change_pace(self.rng)
        if kind == "grant":
            await self._grant(member, user_id)
            return
        prompt = f"{kind} number {number}"
        hands = self.town.hands
        if kind == "question":
            ref = await hands.say(member, channel, f"{{bot}} {prompt}")
        else:
            command = "imagine" if kind == "picture" else "video"
            if not self.town.discord.world.commands[None]:
                return  # never registered yet: Discord offers no command
            ref = await hands.command(member, channel, command, prompt=prompt)
        self._note(Asked(kind=kind, ref=int(ref), user_id=user_id, prompt=prompt))

    async def _grant(self, member: str, user_id: int) -> None:
        if not self.town.discord.world.commands[None]:
            return
        amount = self.rng.randint(1, 9)
        hands = self.town.hands
        ref = await hands.command(
            "sam", "bot-lab", "quota grant", member=hands.users[member], amount=amount, reason="ok"
        )
        self._note(Asked(kind="grant", ref=int(ref), user_id=user_id, amount_credits=amount))

    def _note(self, asked: Asked) -> None:
        self.asked[asked.ref] = asked
        self.counts[asked.kind] += 1
