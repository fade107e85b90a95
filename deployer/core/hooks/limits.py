"""How often: a token bucket, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` at once, and `per_second` after that."""

    per_second: float
    burst: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left, and as of when (seconds of a clock that only goes forward)."""

    left: float
    at: float

    def filled(self, rate: Rate, now: float) -> Bucket:
        return Bucket(min(rate.burst, self.left + max(now - self.at, 0.0) * rate.per_second), now)

    def take(self, rate: Rate, now: float) -> tuple[Bucket, float]:
        """The bucket afterwards, and how many seconds to wait: 0 when one was taken."""
        full = self.filled(rate, now)
        if full.left >= 1:
            return Bucket(full.left - 1, now), 0.0
        return full, (1 - full.left) / rate.per_second
