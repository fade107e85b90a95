"""Traffic to a canary and its stable pods, imitated for `judge.py`: seeded, with the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from random import Random

from deployer.core.canary.counting import Reading
from deployer.core.network.measurements import BOUNDS_MILLISECONDS, BUCKETS, Amount

SHARE, PODS, LONGEST, FEW = 0.05, 20, 3000.0, 300
MEDIAN_MS, SPREAD = 30.0, 0.8
Episode = tuple[float, float, float]
"""From, to, and which share of requests fails meanwhile."""


@dataclass
class Traffic:
    """`canary` and `stable`: share that fails; `shared` hits both, `own` the canary alone; each stable pod has its own
    `stalls`. `cluster`: how many requests fail together, on average. `slower`: the canary's latencies, times that."""

    random: Random
    rate: float
    canary: float
    stable: float
    cluster: float = 1.0
    slower: Callable[[float], float] = lambda at: 1.0
    shared: list[Episode] = field(default_factory=list)
    own: list[Episode] = field(default_factory=list)
    stalls: list[list[Episode]] = field(default_factory=list)
    bad_from: float = 0.0

    def between(self, start: float, end: float) -> Reading:
        common, seconds = _during(self.shared, start, end), end - start
        stalled = [_during(one, start, end) for one in self.stalls]
        before = self.bad_from >= end
        canary = self._side(
            seconds * self.rate * SHARE, self.stable if before else self.canary,
            _either(common, _during(self.own, start, end)), self.slower(end),
        )  # fmt: skip
        stable = seconds * self.rate * (1 - SHARE)
        stuck = [one for one in stalled if one]
        parts = [self._side(stable / len(stalled), self.stable, _either(common, one), 1.0) for one in stuck]
        others = stable * (1 - len(stuck) / max(len(stalled), 1))
        return Reading(canary, sum(parts, self._side(others, self.stable, common, 1.0)))

    def _side(self, expected: float, share: float, episodes: float, slower: float) -> Amount:
        requests = poisson(self.random, expected)
        if self.cluster > 1:
            events = poisson(self.random, requests * share / self.cluster)
            failed = sum(_geometric(self.random, self.cluster) for _ in range(events))
        else:
            failed = binomial(self.random, requests, share)
        failed = min(requests, failed)
        failed += binomial(self.random, requests - failed, episodes)
        return Amount(requests, failed, self._latencies(requests, slower))

    def _latencies(self, requests: int, slower: float) -> tuple[int, ...]:
        counts, left = [0] * BUCKETS, requests
        if requests <= FEW:
            for index in self.random.choices(range(BUCKETS), _weights(slower), k=requests):
                counts[index] += 1
            return tuple(counts)
        for index, chance in _chances(slower):
            counts[index] = binomial(self.random, left, chance)
            left -= counts[index]
        return tuple(counts)


def healthy(rate: float, seed: int) -> Traffic:
    return Traffic(Random(seed), rate, 0.02, 0.02)


def bursts(rate: float, seed: int) -> Traffic:
    """2 %, ten at a time."""
    return Traffic(Random(seed), rate, 0.02, 0.02, cluster=10.0)


def stalls(rate: float, seed: int) -> Traffic:
    """Every pod fails most of its requests for 1 to 10 s, each 5 minutes on average."""
    random = Random(seed)
    own = list(_stalls(random))
    return Traffic(random, rate, 0.005, 0.005, own=own, stalls=[list(_stalls(random)) for _ in range(PODS - 1)])


def outages(rate: float, seed: int) -> Traffic:
    random = Random(seed)
    return Traffic(random, rate, 0.005, 0.005, shared=list(_outages(random)))


def weather(rate: float, seed: int) -> Traffic:
    random = Random(seed)
    return Traffic(random, rate, 0.02, 0.02, cluster=10.0, shared=list(_outages(random)))


def cold(rate: float, seed: int) -> Traffic:
    """A tenth of the canary's requests fails for 20 s, and they take five times as long for 40 s."""
    return Traffic(Random(seed), rate, 0.005, 0.005, own=[(0.0, 20.0, 0.1)], slower=lambda at: 5.0 if at <= 40 else 1.0)


def worse(rate: float, stable: float, canary: float, seed: int) -> Traffic:
    return Traffic(Random(seed), rate, canary, stable)


def slower(rate: float, times: float, seed: int) -> Traffic:
    return Traffic(Random(seed), rate, 0.005, 0.005, slower=lambda at: times)


def late(rate: float, seed: int) -> Traffic:
    """A shared outage of a minute, and a canary that has 2.5 % errors after it."""
    return Traffic(Random(seed), rate, 0.025, 0.005, shared=[(30.0, 90.0, 0.6)], bad_from=100.0)


def _outages(random: Random) -> Iterator[Episode]:
    at = random.expovariate(1 / 200)
    while at < LONGEST:
        end = at + random.uniform(5, 120)
        yield at, end, random.uniform(0.1, 1.0)
        at = end + random.expovariate(1 / 400)


def _stalls(random: Random) -> Iterator[Episode]:
    at = random.expovariate(1 / 300)
    while at < LONGEST:
        end = at + random.uniform(1, 10)
        yield at, end, random.uniform(0.5, 1.0)
        at = end + random.expovariate(1 / 300)


def _during(episodes: list[Episode], start: float, end: float) -> float:
    """Which share of the time's requests fails."""
    failing = sum(max(0.0, min(end, until) - max(start, since)) * share for since, until, share in episodes)
    return failing / (end - start)


def _either(one: float, other: float) -> float:
    return 1 - (1 - one) * (1 - other)


@cache
def _chances(times: float) -> list[tuple[int, float]]:
    """Of those that are not in an earlier bucket, which share is in this one: latencies are log-normal."""
    below, chances = 0.0, []
    for index, bound in enumerate((*BOUNDS_MILLISECONDS, math.inf)):
        until = 1.0 if bound == math.inf else _normal(math.log(bound / (MEDIAN_MS * times)) / SPREAD)
        if until - below > 1e-5 or bound == math.inf:
            chances.append((index, min(1.0, (until - below) / (1 - below)) if below < 1 else 1.0))
        below = until
    return chances


@cache
def _weights(times: float) -> tuple[float, ...]:
    left, found = 1.0, [0.0] * BUCKETS
    for index, chance in _chances(times):
        found[index], left = left * chance, left * (1 - chance)
    return tuple(found)


def _normal(deviations: float) -> float:
    return 0.5 * math.erfc(-deviations / math.sqrt(2))


def _geometric(random: Random, mean: float) -> int:
    return 1 + int(math.log(1.0 - random.random()) / math.log(1 - 1 / mean))


def poisson(random: Random, expected: float) -> int:
    if expected > 50:
        return max(0, round(random.gauss(expected, math.sqrt(expected))))
    passed, count = random.expovariate(1), 0
    while passed < expected:
        passed, count = passed + random.expovariate(1), count + 1
    return count


def binomial(random: Random, number: int, share: float) -> int:
    """By the gaps between hits, or by the normal approximation where there are many of both kinds."""
    if number <= 0 or share <= 0:
        return 0
    if share >= 1:
        return number
    if share > 0.5:
        return number - binomial(random, number, 1 - share)
    if number * share * (1 - share) > 12:
        return min(number, max(0, round(random.gauss(number * share, math.sqrt(number * share * (1 - share))))))
    if share > 0.2:
        return sum(random.random() < share for _ in range(number))
    scale, at, hits = math.log1p(-share), 0, 0
    while True:
        at += int(math.log(1.0 - random.random()) / scale) + 1
        if at > number:
            return hits
        hits += 1
