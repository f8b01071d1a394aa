"""When to look again: pure arithmetic over what was learned (S-5, section 5 point 5)."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from bot import limits
from storage.types import Job, JobKind

US_PER_S = 1_000_000

_FIRST_POLL_S: Mapping[JobKind, float] = {
    JobKind.IMAGE: limits.IMAGE_FIRST_POLL_S,
    JobKind.VIDEO: limits.VIDEO_FIRST_POLL_S,
}
_GRACE_S: Mapping[JobKind, float] = {
    JobKind.IMAGE: limits.IMAGE_GRACE_S,
    JobKind.VIDEO: limits.VIDEO_GRACE_S,
}
_DEADLINE_S: Mapping[JobKind, float] = {
    JobKind.IMAGE: limits.IMAGE_DEADLINE_S,
    JobKind.VIDEO: limits.VIDEO_DEADLINE_S,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was learned of the model: its usual and its slowest duration, None until one is.

    `reachable`: a callback can come, so waiting for evidence makes sense.
    """

    usual_us: int | None = None
    slowest_us: int | None = None
    reachable: bool = False


def poll_delay_s(kind: JobKind, *, polls: int, usual_us: int | None, rng: random.Random) -> float:
    """Return the wait before poll number `polls` + 1 (S-5).

    The first one comes at the model's usual duration, then 5, 10, 20, 30 and 60 s.
    """
    if polls == 0:
        usual_s = _FIRST_POLL_S[kind] if usual_us is None else usual_us / US_PER_S
        return jittered(min(usual_s, _DEADLINE_S[kind]), rng)
    return jittered(limits.POLL_DELAYS_S[min(polls, len(limits.POLL_DELAYS_S)) - 1], rng)


def grace_until_us(job: Job, facts: Facts, *, now_us: int) -> int:
    """Return how long a doubt may last (section 5, point 5)."""
    if not facts.reachable:
        return now_us + to_us(limits.BLIND_GRACE_S)
    # What took longer than its deadline was found so late because nobody looked (F-16).
    slowest_s = min((facts.slowest_us or 0) / US_PER_S, _DEADLINE_S[job.kind])
    learned_s = limits.GRACE_DURATIONS * slowest_s
    return now_us + to_us(max(_GRACE_S[job.kind], learned_s))


def to_us(seconds: float) -> int:
    return int(seconds * US_PER_S)


def jittered(delay_s: float, rng: random.Random) -> float:
    """Later, never sooner: the agreed intervals are the least."""
    return delay_s * (1 + rng.random() * limits.JITTER_PPM / 1_000_000)


def doubled(first_s: float, times: int, most_s: float) -> float:
    """The exponent is bounded first: thousands of tries are no reason to overflow."""
    return min(first_s * (1 << min(max(times, 0), 20)), most_s)
