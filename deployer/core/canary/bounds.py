"""How high a share may be, given what was counted: the upper bound of Clopper and Pearson, with plain arithmetic.

Of n requests k failed. The bound is the share at which so few failures would be seen in 5 % of all cases: the p with
I_p(k + 1, n - k) = 0.95, where I is the regularised incomplete beta function. It holds for any n, k = 0 among them,
where the normal approximation says 0. Rule of three: no failure in n requests bounds the share by about 3 / n.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95
_TERMS, _PRECISE, _TINY = 10_000, 1e-10, 1e-300
_STEPS, _CLOSE, _SURE = 200, 1e-4, 1.645


def upper_bound(failures: int, requests: int, confidence: float = CONFIDENCE) -> float:
    """The one-sided upper bound of a share (0 to 1); 1 when nothing was counted or all failed.

    Examples (95 %): 0 of 100 -> 0.02951, 1 of 100 -> 0.04656, 5 of 1,000 -> 0.01048, 10 of 10 -> 1.
    """
    if requests <= failures:
        return 1.0
    return _inverse_beta(confidence, failures + 1.0, float(requests - failures))


def incomplete_beta(share: float, a: float, b: float) -> float:
    """I_share(a, b), regularised: the chance that a beta variable is at most `share`. By Lentz' continued fraction."""
    if not 0.0 < share < 1.0:
        return 0.0 if share <= 0.0 else 1.0
    if share > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on one side only
        return 1.0 - incomplete_beta(1.0 - share, b, a)
    return math.exp(_log_density(share, a, b)) * share * (1.0 - share) * _fraction(share, a, b) / a


def _inverse_beta(chance: float, a: float, b: float) -> float:
    """Halley's steps, each held within what is known: it cannot run away. The first guess is mostly good to a few per
    mille and a step cubes the error, so that two are enough; one of less than 0.01 % was the last.
    """
    low, high, share = 0.0, 1.0, _guess(a, b)
    for _ in range(_STEPS):
        beyond = incomplete_beta(share, a, b) - chance
        low, high = (low, share) if beyond > 0 else (share, high)
        newton = beyond * math.exp(-_log_density(share, a, b)) if abs(beyond) < 1.0 - chance else 2.0
        bend = min(1.0, newton * ((a - 1.0) / share - (b - 1.0) / (1.0 - share)))
        step = share - newton / (1.0 - 0.5 * bend)
        if low < step < high and abs(step - share) <= _CLOSE * share * (1.0 - share):
            return step
        share = step if low < step < high else (low + high) / 2
    return share


def _guess(a: float, b: float) -> float:
    """Where 95 % are below, by the normal approximation, corrected for the skew."""
    mean = a / (a + b)
    deviation = math.sqrt(mean * (1.0 - mean) / (a + b + 1.0))
    skew = (1.0 - 2.0 * mean) * (_SURE**2 - 1.0) / (3.0 * (a + b))
    return min(max(mean + _SURE * deviation + skew, _TINY), 1.0 - 1e-9)


def _log_density(share: float, a: float, b: float) -> float:
    constant = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return constant + (a - 1.0) * math.log(share) + (b - 1.0) * math.log1p(-share)


def _fraction(share: float, a: float, b: float) -> float:
    """The continued fraction of I_share(a, b), term by term until it no longer changes. Nothing is divided by zero."""
    upper, lower = 1.0, 1.0 / (1.0 - (a + b) * share / (a + 1.0) or _TINY)
    value = lower
    for term in range(1, _TERMS):
        twice = a + 2 * term
        even = term * (b - term) * share / ((twice - 1.0) * twice)
        lower, upper = 1.0 / (1.0 + even * lower or _TINY), 1.0 + even / upper or _TINY
        value *= lower * upper
        odd = -(a + term) * (a + b + term) * share / (twice * (twice + 1.0))
        lower, upper = 1.0 / (1.0 + odd * lower or _TINY), 1.0 + odd / upper or _TINY
        change = lower * upper
        value *= change
        if -_PRECISE < change - 1.0 < _PRECISE:
            break
    return value
