"""The sequential test that the judge stands on: given that requests failed, were they the canary's?

Of the failures of one look, a canary that is no worse than `tolerance` (r_0) times the stable pods causes a share of at
most theta(r_0), where theta(r) = r n_c / (r n_c + n_b) and n are requests. Against it stand seven alternatives, r_0
times 1.5 to 100. Each gathers the logarithm of its likelihood ratio over the looks; the evidence E is the mean of the
seven ratios. For a canary that is no worse E is expected to stay at 1, so it ever reaches 1 / alpha with a chance of at
most alpha (Ville), however often one looks. An outage that both share moves both sides of a look and says nothing.

What makes one look worth less only lowers E, so the promise holds:
- No look counts for more than a factor of 5 (one that came sooner than usual for less): one burst cannot end a canary.
- Where failures come in bursts, they are fewer events than they seem: the logarithm is divided by the dispersion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add

RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
NOTHING = (0.0,) * len(RATIOS)
_RATIOS = tuple((ratio, math.log(ratio)) for ratio in RATIOS)
_MOST = math.log(5)
_HIGHEST = 690.0  # of a logarithm: beyond, no float holds the ratio, and a canary may be a little worse for days
_CERTAIN = 0.99
_LEAST_LIMIT = 1e-6
_PRIOR_LOOKS, _MOST_SQUARE = 4.0, 30.0


@dataclass(frozen=True, slots=True)
class Sums:
    """Requests and failures (or slow ones) of both sides, over one look or many."""

    canary_requests: int = 0
    canary_failures: int = 0
    stable_requests: int = 0
    stable_failures: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.canary_requests + other.canary_requests, self.canary_failures + other.canary_failures,
            self.stable_requests + other.stable_requests, self.stable_failures + other.stable_failures,
        )  # fmt: skip

    @property
    def canary_share(self) -> float:
        return self.canary_failures / self.canary_requests if self.canary_requests else 0.0

    @property
    def stable_share(self) -> float:
        return self.stable_failures / self.stable_requests if self.stable_requests else 0.0


@dataclass(frozen=True, slots=True)
class Bursts:
    """How much the stable pods' failures vary from one look to the next: `squares` of `pairs` of looks that follow each
    other, and the newest look's `requests` and `failures`."""

    pairs: int = 0
    squares: float = 0.0
    requests: int = 0
    failures: int = 0

    def __add__(self, look: Sums) -> Bursts:
        """Two looks that differ by chance alone have a square of 1 on average; without failures they say nothing."""
        requests, failures = look.stable_requests, look.stable_failures
        if not requests:
            return self
        share = (self.failures + failures) / (self.requests + requests)
        if not self.requests or not 0.0 < share < 1.0:
            return Bursts(self.pairs, self.squares, requests, failures)
        differ = (failures / requests - self.failures / self.requests) ** 2
        square = differ / (share * (1.0 - share) * (1.0 / requests + 1.0 / self.requests))
        return Bursts(self.pairs + 1, self.squares + min(square, _MOST_SQUARE), requests, failures)

    @property
    def dispersion(self) -> float:
        """The mean square, 1 at least: about the size of a burst. A few that say 1 are added, so that it takes some
        looks to say more.

        It needs no knowledge of the canary: failures that come ten at a time come so to a single pod as well. An
        outage is no burst: it begins and ends once, and what its two looks say is held within bounds.
        Example: 5 looks of 100 requests, 0, 0, 10, 0 and 0 failures: two squares of 10.5, (21 + 4) / (2 + 4) = 4.2.
        """
        return max(1.0, (self.squares + _PRIOR_LOOKS) / (self.pairs + _PRIOR_LOOKS))


def gathered(
    logs: Sequence[float], look: Sums, tolerance: float, limit: float | None, bursts: Bursts, part: float = 1.0
) -> tuple[float, ...]:
    """The seven logarithms after one more look, see `gained`."""
    return plus(logs, gained(look, tolerance, limit, bursts, part))


def plus(logs: Sequence[float], more: Sequence[float]) -> tuple[float, ...]:
    return tuple(map(add, logs, more))


def gained(look: Sums, tolerance: float, limit: float | None, bursts: Bursts, part: float = 1.0) -> tuple[float, ...]:
    """What one look adds to the seven logarithms. `bursts`: of the looks before. `part`: of the usual time between two
    looks, 1 at most.

    Without requests to the stable pods there is nothing to compare with: the canary is held against `limit` alone.
    """
    if not look.canary_requests:
        return NOTHING
    added = _compared(look, tolerance) if look.stable_requests else _against(look, limit)
    before = bursts.dispersion
    size, most = max(before, (bursts + look).dispersion), _MOST * part
    return tuple([min(most, more / size) if more > 0 else more / before for more in added])


def evidence(logs: Sequence[float]) -> float:
    """E: the mean of the likelihood ratios. 1 says nothing."""
    return sum([math.exp(min(log, _HIGHEST)) for log in logs]) / len(logs)


def _compared(look: Sums, tolerance: float) -> tuple[float, ...]:
    """Example: one failure, the canary's, of 10 requests of the canary and 190 others: r = 30 gives ln(0.61 / 0.06).

    ln(theta / theta_0) = ln(r / r_0) - d and ln((1 - theta) / (1 - theta_0)) = -d, where d is the logarithm of
    (r n_c + n_b) / (r_0 n_c + n_b).
    """
    ours, theirs, failures = look.canary_requests, look.stable_requests, look.canary_failures
    if not (both := failures + look.stable_failures):
        return NOTHING
    usual = tolerance * ours + theirs
    return tuple([
        failures * logarithm - both * math.log((tolerance * ratio * ours + theirs) / usual)
        for ratio, logarithm in _RATIOS
    ])  # fmt: skip


def _against(look: Sums, limit: float | None) -> tuple[float, ...]:
    """One sample: failures of the canary against a share that is allowed."""
    if limit is None or limit >= _CERTAIN:
        return NOTHING
    allowed = max(limit, _LEAST_LIMIT)
    passed = look.canary_requests - look.canary_failures
    return tuple(
        look.canary_failures * math.log(share / allowed) + passed * math.log((1.0 - share) / (1.0 - allowed))
        for share in (min(allowed * ratio, _CERTAIN) for ratio in RATIOS)
    )
