"""What every part of the world outside shares."""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.faults import Fault, Weather
from tests.simulation.loop import VirtualLoop
from tests.simulation.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """`rng` draws for the world outside; the bot has one of its own."""

    loop: VirtualLoop
    weather: Weather
    rng: random.Random
    trace: Trace

    @property
    def now_s(self) -> float:
        return self.loop.now_s

    def strikes(self, fault: Fault) -> bool:
        """Whether this goes wrong now."""
        return self.weather.strikes(fault, now_s=self.loop.now_s)

    def draws(self, fault: Fault) -> bool:
        """Whether this happens now; whoever asks says later what it made fail."""
        return self.weather.draws(fault, now_s=self.loop.now_s)

    def first(self, faults: tuple[Fault, ...]) -> Fault | None:
        """The first of these that goes wrong now."""
        return self.weather.first(faults, now_s=self.loop.now_s)
