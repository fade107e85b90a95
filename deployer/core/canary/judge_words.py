"""What the judge says to people, with the counts that it goes by.

canary 3.1 % of 412 requests failed, stable 0.4 % of 7,903: evidence 1,840 against a threshold of 200
"""

from __future__ import annotations

from deployer.core.canary.evidence import Sums
from deployer.core.network.measurements import BOUNDS_MS


def counts(metric: str, sums: Sums, bucket: int | None) -> str:
    happened = "failed" if metric == "errors" else _slower(bucket)
    if not sums.canary_requests:
        return f"canary no requests, stable {share(sums.stable_share)} of {sums.stable_requests:,} {happened}"
    canary = f"canary {share(sums.canary_share)} of {sums.canary_requests:,} requests {happened}"
    if not sums.stable_requests:
        return f"{canary}, stable no requests"
    return f"{canary}, stable {share(sums.stable_share)} of {sums.stable_requests:,}"


def share(part: float) -> str:
    """0.031 -> "3.1 %", 0.0004 -> "0.04 %", 0 -> "0 %"."""
    percent = 100.0 * part
    return f"{percent:.1f} %" if percent >= 0.1 else f"{percent:.2f} %" if percent else "0 %"


def number(value: float) -> str:
    """1840.2 -> "1,840", 3.14 -> "3.1", 0.02 -> "0.02"; beyond a million a power says enough: "about 10^9"."""
    if value >= 1e6:
        return f"about 10^{len(f'{value:.0f}') - 1}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def time(seconds: float) -> str:
    """90 -> "90 s", 600 -> "10 min"."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def failed(counted: str, value: float, threshold: float) -> str:
    return f"{counted}: evidence {number(value)} against a threshold of {number(threshold)}"


def guarded(counted: str, guard_share: float) -> str:
    return f"{counted}: beyond the guardrail of {share(guard_share)}"


def warm(counted: str, seconds: float) -> str:
    return f"{counted}: warm-up, not judged for another {time(seconds)}" if seconds > 0 else f"{counted}: warm-up"


def passed(counted: str, upper: float, bound: float) -> str:
    return f"{counted}: {share(upper)} at most (95 % sure), which is below {share(bound)}"


def running(counted: str, value: float, threshold: float, missing: int | None, *, comparable: bool) -> str:
    said = f"{counted}: evidence {number(value)} of {number(threshold)}"
    if not comparable:
        return f"{said}; nothing to compare with: the stable pods get hardly any requests, and no limit is set"
    if missing is None:
        return f"{said}; good enough to go on only if fewer fail" if value else said
    return f"{said}; needs about {missing:,} more requests" if missing else said


def unmeasured() -> str:
    return "slow requests are not judged: the routers measure no latency of the stable pods"


def waits(seconds: float) -> str:
    return f"goes on in {time(seconds)} at the earliest"


def no_traffic(seconds: float) -> str:
    return f"the canary got no request in {time(seconds)}"


def undecided(seconds: float, sentences: str) -> str:
    return f"nobody can say after {time(seconds)}: {sentences}"


def unread(seconds: float) -> str:
    return f"no router could be read for {time(seconds)}: nothing is held against the canary, and nothing speaks for it"


def partly_unread(nodes: tuple[str, ...]) -> str:
    return f"not read: {', '.join(nodes)}"


def _slower(bucket: int | None) -> str:
    return f"took over {BOUNDS_MS[bucket]:.0f} ms" if bucket is not None else "were slow"
