"""Looks at a canary, as tests sketch them."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from hypothesis import settings

from deployer.core.canary.counting import Reading
from deployer.core.canary.judge import begun, judged
from deployer.core.canary.judge_states import Judged, JudgeState
from deployer.core.canary.values import Judge
from deployer.core.network.measurements import NO_BUCKETS, Amount

START = 1_000.0
UNTIMED = settings(deadline=None)
STORIES = settings(deadline=None, max_examples=20)
"""Each example is an analysis of many looks."""
Pair = tuple[int, int]
"""Requests, and how many of them failed."""


def reading(canary: Pair, stable: Pair = (1_900, 10), slow: tuple[float, float] = (0.04, 0.04)) -> Reading:
    """`slow`: which share of the canary's and the stable pods' answers took up to 512 ms; all others up to 64 ms."""
    return Reading(_amount(*canary, slow[0]), _amount(*stable, slow[1]))


def _amount(requests: int, errors: int, slow: float) -> Amount:
    buckets = list(NO_BUCKETS)
    buckets[9] = round(requests * slow)
    buckets[6] = requests - buckets[9]
    return Amount(requests, errors, tuple(buckets))


def watched(
    looks: Iterable[Reading | None], settings: Judge, state: JudgeState | None = None, interval: float = 10.0
) -> list[Judged]:
    """Every look until a verdict, at the usual times."""
    state, now, found = state or begun(START), START, []
    now = state.read_at
    for look in looks:
        now += interval
        done = judged(settings, state, look, now)
        state = done.state
        found.append(done)
        if done.verdict != "running":
            break
    return found


def drawn(random: Random, requests: int, share: float) -> Pair:
    return requests, sum(random.random() < share for _ in range(requests))
