"""The judge of a canary: the same failures, the same minutes, the canary against the stable pods.

    a look at all routers -> Reading -> judged -> state, ticks for the records, a verdict, a sentence

One sequential test (`evidence.py`) for every metric: errors, and requests slower than the stable pods' 95th
percentile. From what is gathered, in this order:

1. A guardrail: a canary that plainly fails is aborted, at any time.
2. The evidence reached metrics / alpha, and the canary fails by `min_effect` more (and beyond its limit): aborted.
3. After `min_seconds`, with requests enough, its upper bound is below the stable share + `margin` (or its limit): on.
4. Nobody can say until `max_seconds`: inconclusive, or what `on_no_traffic` and `on_inconclusive` say.

During the warm-up requests are counted and kept, and not held against the canary, with two exceptions, so that nobody
has to bear a broken canary for a minute: the guardrail, and a second test of the errors that has all of them since the
beginning and asks for the same evidence, while 5 percentage points more of its requests fail, in all and in the newest
look. A canary that is as good as the stable pods is aborted with a chance of alpha at most by the tests of (2), and
half of that by this one.

A look that could not be read is no look: it changes no evidence, and a canary that nobody could look at is
inconclusive, whatever else was said. Nothing here knows a clock, a router or a record.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from deployer.core.canary import judge_words as words
from deployer.core.canary.bounds import upper_bound
from deployer.core.canary.counting import Reading
from deployer.core.canary.evidence import Sums, evidence, gained, plus
from deployer.core.canary.judge_states import Judged, JudgeState, Look, MetricState, Tick, Verdict
from deployer.core.canary.values import Judge
from deployer.core.network.measurements import BUCKETS, NO_BUCKETS

EARLY_EFFECT = 0.05
"""So much more of the canary's requests have to fail for the warm-up's errors to count against it."""
GUARD_LOOKS, GUARD_SECONDS, GUARD_LASTS_SECONDS = 30, 2.5, 15.0
"""How many looks back the guardrail may go for its requests, how soon it looks again, and for how long it doubts."""
LEAST_ANSWERS = 20
"""Answers of stable pods without which nobody knows their 95th percentile."""
BLIND_SECONDS = 300.0
_GAP_INTERVALS, _BLIND_INTERVALS = 3, 10
_FAST_SHARE = 0.95
_SURE = 1.645


@dataclass(frozen=True, slots=True)
class _Standing:
    """Where one metric stands after a look."""

    metric: MetricState
    verdict: str
    message: str
    evidence: float
    threshold: float
    upper: float | None = None
    bound: float | None = None
    missing: int | None = None


def begun(now: float, latencies: tuple[int, ...] = NO_BUCKETS) -> JudgeState:
    """`latencies`: the stable pods' answers before the canary (16 counts), so that "slow" is known from the start."""
    bucket = _slowest_usual(latencies) if sum(latencies) >= LEAST_ANSWERS else None
    return JudgeState(started_at=now, read_at=now, bucket=bucket, latencies=latencies)


def judged(settings: Judge, state: JudgeState, reading: Reading | None, now: float) -> Judged:
    """One look. `reading`: what was counted since the last one that was read; None when no router could be read."""
    state = state if state.started_at else begun(now)
    state = state if state.metrics else replace(state, metrics=tuple(map(MetricState, settings.metrics)))
    if reading is None:
        return _blind(settings, state, now)
    state, looks = _counted(settings, state, reading, now)
    standings = tuple(_standing(settings, state, metric, now) for metric in state.metrics)
    verdict, message = _verdict(settings, state, standings, now)
    if reading.unread:
        message = f"{message} ({words.partly_unread(reading.unread)})"
    ticks = tuple(_tick(standing, look, now) for standing, look in zip(standings, looks, strict=True))
    return Judged(state, ticks, verdict, message, _next_seconds(settings, state))


def _counted(settings: Judge, state: JudgeState, reading: Reading, now: float) -> tuple[JudgeState, tuple[Sums, ...]]:
    """A look that began in the warm-up belongs to it. What told where slow begins is not judged by it."""
    warm = state.read_at < state.started_at + settings.warmup_seconds
    bucket, latencies = state.bucket, state.latencies
    if bucket is None and not warm and sum(latencies) >= LEAST_ANSWERS:
        bucket = _slowest_usual(latencies)
    if bucket is None:
        latencies = tuple(map(sum, zip(latencies, reading.stable.buckets, strict=True)))
    shown = _slowest_usual(latencies) if bucket is None else bucket
    looks = tuple(_look(metric.name, reading, shown) for metric in state.metrics)
    part = min(1.0, max(0.0, now - state.read_at) / settings.interval_seconds)
    metrics = tuple(
        _gathered(settings, metric, look, part, warm=warm or (metric.name == "slow" and bucket is None))
        for metric, look in zip(state.metrics, looks, strict=True)
    )
    gap = now - state.read_at
    blind = gap - settings.interval_seconds if gap > _GAP_INTERVALS * settings.interval_seconds else 0.0
    counted = replace(
        state, read_at=now, blind_seconds=state.blind_seconds + blind, bucket=bucket, latencies=latencies,
        metrics=metrics, recent=(*state.recent, Look(now, _look("errors", reading, shown)))[-GUARD_LOOKS:],
    )  # fmt: skip
    return counted, looks


def _gathered(settings: Judge, metric: MetricState, look: Sums, part: float, *, warm: bool) -> MetricState:
    more = gained(look, settings.tolerance, _limit(settings, metric.name), metric.bursts, part)
    logs = metric.logs if warm else plus(metric.logs, more)
    early = plus(metric.early, more) if metric.name == "errors" else metric.early
    return replace(
        metric, warm=metric.warm + look if warm else metric.warm, sums=metric.sums if warm else metric.sums + look,
        logs=logs, early=early, bursts=metric.bursts + look,
    )  # fmt: skip


def _standing(settings: Judge, state: JudgeState, metric: MetricState, now: float) -> _Standing:
    threshold = len(state.metrics) / settings.alpha
    if failing := _early(settings, state, metric, threshold):
        return failing
    value = evidence(metric.logs)
    counted = words.counts(metric.name, metric.sums, state.bucket)
    if value >= threshold and _is_worse(metric.sums, settings.min_effect, _limit(settings, metric.name)):
        return _Standing(metric, "failed", words.failed(counted, value, threshold), value, threshold)
    if metric.name == "slow" and state.bucket is None and not any(state.latencies):
        return _Standing(metric, "unmeasured", words.unmeasured(), value, threshold)
    left = state.started_at + settings.warmup_seconds - now
    if metric.sums == Sums() and left > -settings.interval_seconds:
        counted = words.counts(metric.name, metric.warm, state.bucket)
        return _Standing(metric, "warmup", words.warm(counted, left), value, threshold)
    return _promotable(settings, metric, counted, value, threshold)


def _early(settings: Judge, state: JudgeState, metric: MetricState, threshold: float) -> _Standing | None:
    """By all since the beginning, and by the newest look: what is over was a cold start."""
    value, all_of_it, limit = evidence(metric.early), metric.warm + metric.sums, _limit(settings, metric.name)
    if value < threshold or not all(_is_worse(one, EARLY_EFFECT, limit) for one in (all_of_it, state.recent[-1].sums)):
        return None
    message = words.failed(words.counts(metric.name, all_of_it, state.bucket), value, threshold)
    return _Standing(metric, "failed", message, value, threshold)


def _promotable(settings: Judge, metric: MetricState, counted: str, value: float, threshold: float) -> _Standing:
    """Requests enough to tell a margin's difference, and an upper bound below what is good enough."""
    sums, margin = metric.sums, _margin(settings, metric.name)
    upper, bound = upper_bound(sums.canary_failures, sums.canary_requests), _bound(settings, metric)
    if bound is None:
        message = words.running(counted, value, threshold, None, comparable=False)
        return _Standing(metric, "running", message, value, threshold, upper)
    needed = needed_requests(sums.stable_share, margin)
    if sums.canary_requests >= needed and upper < bound:
        return _Standing(metric, "passed", words.passed(counted, upper, bound), value, threshold, upper, bound, 0)
    missing = _missing(sums, needed, bound)
    message = words.running(counted, value, threshold, missing, comparable=True)
    return _Standing(metric, "running", message, value, threshold, upper, bound, missing)


def needed_requests(share: float, margin: float) -> int:
    """Of the canary, before it may go on: three over the margin, or twelve variances of a failure over its square.

    Examples: 0.5 % and a margin of 1 point: 597; no failures: 300; 2 %: 2,352.
    """
    return math.ceil(max(3 / margin, 12 * share * (1 - share) / margin**2) - 1e-9)


def _bound(settings: Judge, metric: MetricState) -> float | None:
    """Below which a canary is good enough. None: the stable pods have too few requests, and there is no limit."""
    limit, margin = _limit(settings, metric.name), _margin(settings, metric.name)
    if metric.sums.stable_requests < needed_requests(0.0, margin):
        return limit
    return max(metric.sums.stable_share + margin, limit or 0.0)


def _missing(sums: Sums, needed: int, bound: float) -> int | None:
    """Requests until the canary's bound would pass, if it goes on as it did. None: it never would.

    The bound lies about 1.645 standard deviations above the share, n = 1.645^2 p (1 - p) / (bound - p)^2, and 3 / n
    above none.
    """
    share = sums.canary_share
    if share >= bound:
        return None
    wanted = math.ceil(max(3 / bound, _SURE**2 * share * (1 - share) / (bound - share) ** 2))
    return max(needed - sums.canary_requests, wanted - sums.canary_requests, 1)


def _verdict(settings: Judge, state: JudgeState, standings: tuple[_Standing, ...], now: float) -> tuple[Verdict, str]:
    if guarded := _guarded(settings, state):
        return "failed", guarded
    if failing := [one.message for one in standings if one.verdict == "failed"]:
        return "failed", "; ".join(failing)
    seconds = now - state.started_at - state.blind_seconds
    measured = [one for one in standings if one.verdict != "unmeasured"]
    said = "; ".join(one.message for one in standings)
    if measured and all(one.verdict == "passed" for one in measured):
        left = settings.min_seconds - seconds
        return ("successful", said) if left <= 0 else ("running", f"{said}; {words.waits(left)}")
    if not any((one.metric.warm + one.metric.sums).canary_requests for one in standings):
        return _without_traffic(settings, seconds)
    if seconds >= settings.max_seconds:
        return _ended(settings.on_inconclusive), words.undecided(seconds, said)
    return "running", said


def _without_traffic(settings: Judge, seconds: float) -> tuple[Verdict, str]:
    """Extended, it ends as inconclusive: a canary that nobody used is not promoted by `on_inconclusive`."""
    message = words.no_traffic(seconds)
    if settings.on_no_traffic == "extend":
        return ("inconclusive" if seconds >= settings.max_seconds else "running"), message
    return (_ended(settings.on_no_traffic) if seconds >= settings.min_seconds else "running"), message


def _ended(how: str) -> Verdict:
    return "successful" if how == "promote" else "failed" if how == "abort" else "inconclusive"


def _guarded(settings: Judge, state: JudgeState) -> str:
    """Every look says so for 15 seconds, up to this one, over enough requests: what is over sooner was a burst.

    Example (interval 10 s, a canary that answers 500 alone): a look at 10 s, then every 2.5 s; ended at 25 s.
    """
    window, since = Sums(), state.read_at
    if not (state.recent and _is_beyond(settings, state.recent[-1].sums)):
        return ""
    for look in reversed(state.recent):
        if look.sums.canary_requests and not _is_beyond(settings, look.sums):
            break
        window, since = window + look.sums, look.at if look.sums.canary_requests else since
    if window.canary_requests < settings.guard_requests or state.read_at - since < GUARD_LASTS_SECONDS:
        return ""
    return words.guarded(words.counts("errors", window, None), settings.guard_share)


def _is_beyond(settings: Judge, look: Sums) -> bool:
    """Not when the stable pods fail as much: that is an outage which both share."""
    return look.canary_share > settings.guard_share and look.canary_share > 2 * look.stable_share


def _next_seconds(settings: Judge, state: JudgeState) -> float:
    """Sooner while the guardrail doubts. A look in which the canary got no request does not end the doubt: a longer
    look after it would count the end of a burst as so many more seconds of it.
    """
    used = next((look.sums for look in reversed(state.recent) if look.sums.canary_requests), Sums())
    doubtful = _is_beyond(settings, used)
    return min(GUARD_SECONDS, settings.interval_seconds) if doubtful else settings.interval_seconds


def _blind(settings: Judge, state: JudgeState, now: float) -> Judged:
    """Nothing was read: the evidence stays. After five minutes of it nobody can say, and nobody is to blame."""
    blind = now - state.read_at
    message = words.unread(blind)
    too_long = blind >= max(BLIND_SECONDS, _BLIND_INTERVALS * settings.interval_seconds)
    threshold = len(state.metrics) / settings.alpha
    ticks = tuple(
        Tick(one.name, now, evidence=evidence(one.logs), threshold=threshold, verdict="unread", message=message)
        for one in state.metrics
    )
    return Judged(state, ticks, "inconclusive" if too_long else "running", message, settings.interval_seconds)


def _is_worse(sums: Sums, effect: float, limit: float | None) -> bool:
    """By the effect: than the stable pods, or than the limit where they had no requests. Never below the limit."""
    allowed = sums.stable_share if sums.stable_requests else limit or 0.0
    return sums.canary_share - allowed >= effect and (limit is None or sums.canary_share > limit)


def _look(name: str, reading: Reading, bucket: int | None) -> Sums:
    canary, stable = reading.canary, reading.stable
    if name == "errors":
        ours, theirs = min(canary.errors, canary.requests), min(stable.errors, stable.requests)
        return Sums(canary.requests, ours, stable.requests, theirs)
    after = BUCKETS if bucket is None else bucket + 1
    return Sums(sum(canary.buckets), sum(canary.buckets[after:]), sum(stable.buckets), sum(stable.buckets[after:]))


def _slowest_usual(latencies: tuple[int, ...]) -> int | None:
    """The bucket that holds the 95th percentile; the last but one at most, or nothing could be slower."""
    rank, below = max(1, math.ceil(_FAST_SHARE * sum(latencies) - 1e-9)), 0
    for index, count in enumerate(latencies):
        below += count
        if below >= rank:
            return min(index, BUCKETS - 2)
    return None


def _limit(settings: Judge, name: str) -> float | None:
    return settings.error_limit if name == "errors" else settings.slow_limit


def _margin(settings: Judge, name: str) -> float:
    return settings.margin if name == "errors" else settings.slow_margin


def _tick(standing: _Standing, look: Sums, now: float) -> Tick:
    return Tick(
        standing.metric.name, now, look.canary_requests, look.canary_failures, look.stable_requests,
        look.stable_failures, standing.evidence, standing.threshold, standing.upper, standing.bound, standing.missing,
        standing.verdict, standing.message,
    )  # fmt: skip
