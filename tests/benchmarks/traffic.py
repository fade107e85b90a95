"""Traffic to a canary and its stable pods, imitated for `judge.py`: seeded, with the standard library alone."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from random import Random

from deployer.core.canary.counting import Reading
from deployer.core.network.measurements import BOUNDS_MILLISECONDS, NO_BUCKETS, Amount

SHARE, PODS, LONGEST = 0.05, 20, 3000.0
MEDIAN_MS, SPREAD, USUAL = 30.0, 0.8, 7
"""Latencies' median and deviation (of the logarithm): 95 % take up to 112 ms, which is in the bucket up to 128."""
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
        seconds, slower = end - start, self.slower(end)
        common, own = _during(self.shared, start, end), _during(self.own, start, end)
        share = self.stable if self.bad_from >= end else self.canary
        ours = poisson(self.random, seconds * self.rate * SHARE)
        theirs = poisson(self.random, seconds * self.rate * (1 - SHARE))
        canary = Amount(ours, self._failed(ours, share, _either(common, own)), self._latencies(ours, slower))
        failed, others = 0, theirs
        for one in self.stalls:
            if stuck := _during(one, start, end):
                its = min(others, binomial(self.random, theirs, 1 / len(self.stalls)))
                failed, others = failed + self._failed(its, self.stable, _either(common, stuck)), others - its
        failed += self._failed(others, self.stable, common)
        return Reading(canary, Amount(theirs, failed, self._latencies(theirs, 1.0)))

    def _failed(self, requests: int, share: float, episodes: float) -> int:
        if self.cluster > 1:
            events = poisson(self.random, requests * share / self.cluster)
            failed = min(requests, sum(_geometric(self.random, self.cluster) for _ in range(events)))
        else:
            failed = binomial(self.random, requests, share)
        return failed + binomial(self.random, requests - failed, episodes)

    def _latencies(self, requests: int, slower: float) -> tuple[int, ...]:
        """In two buckets, which is all that the judge tells apart: up to the usual 95th percentile, and beyond."""
        slow = binomial(self.random, requests, _slow(slower))
        return (*NO_BUCKETS[:USUAL], requests - slow, slow, *NO_BUCKETS[USUAL + 2 :])


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
    """Which share of the time's requests fails. Episodes are in order and apart."""
    failing = 0.0
    for since, until, share in episodes[bisect_left(episodes, start, key=itemgetter(1)) :]:
        if since >= end:
            break
        failing += (min(end, until) - max(start, since)) * share
    return failing / (end - start)


def _either(one: float, other: float) -> float:
    return 1 - (1 - one) * (1 - other)


@cache
def _slow(times: float) -> float:
    """Which share takes longer than the bucket of the 95th percentile says: latencies are log-normal."""
    return 1 - _normal(math.log(BOUNDS_MILLISECONDS[USUAL] / (MEDIAN_MS * times)) / SPREAD)


def _normal(deviations: float) -> float:
    return 0.5 * math.erfc(-deviations / math.sqrt(2))


def _geometric(random: Random, mean: float) -> int:
    return 1 + int(math.log(1.0 - random.random()) / math.log(1 - 1 / mean))


def poisson(random: Random, expected: float) -> int:
    if expected > 50:
        return max(0, round(random.gauss(expected, math.sqrt(expected))))
    left, count = math.exp(-expected), 0
    product = random.random()
    while product > left:
        product, count = product * random.random(), count + 1
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
