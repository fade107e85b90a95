"""Our own measurements as a provider of metrics: what was counted since a metric was measured last.

    each look's Reading -> added to the window of every metric -> its measure -> a number, and a new window

A metric that is measured more seldom than routers are looked at has all looks in between. Without a request there is
nothing to measure: None, which is nobody's fault.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from deployer.core.canary.counting import Reading
from deployer.core.canary.values import Traffic
from deployer.core.network.measurements import BUCKETS, Amount, percentile

_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True, slots=True)
class Window:
    """`since`: when it was opened, by a look that only showed where counters stood, or by the measurement before."""

    since: float
    canary: Amount = field(default_factory=Amount)
    stable: Amount = field(default_factory=Amount)

    def __add__(self, reading: Reading) -> Window:
        return Window(self.since, self.canary + reading.canary, self.stable + reading.stable)


def measure(asked: Traffic, window: Window, bucket: int | None, now: float) -> float | None:
    """None: there were no requests, or (slow) nobody knows yet what is slow.

    `bucket`: requests in a later one are slow. Latencies beyond the last bound are infinite.
    Examples: 3 of 60 requests failed: errors 0.05; 60 requests in 30 s: rate 2.0.
    """
    amount = window.canary if asked.of == "canary" else window.stable
    if asked.measure == "rate":
        return amount.requests / max(now - window.since, 1.0)
    if asked.measure == "errors":
        return min(1.0, amount.errors / amount.requests) if amount.requests else None
    if asked.measure == "slow":
        answers = sum(amount.buckets)
        return sum(amount.buckets[bucket + 1 :]) / answers if answers and bucket is not None else None
    found = percentile(amount.buckets, _SHARES[asked.measure])
    if found is None:
        return None
    return math.inf if found.estimate_ms is None else found.estimate_ms


def slow_bucket(amount: Amount) -> int | None:
    """The bucket of the 95th percentile, beyond which answers are slow; the last but one at most."""
    found = percentile(amount.buckets, 0.95)
    if found is None:
        return None
    return next((i for i in range(BUCKETS - 1) if found.bound_ms == 2**i), BUCKETS - 2)
