"""How often the judge of canaries is wrong, and how fast it is right, in seeded simulations of traffic.

    .venv/bin/python -m tests.benchmarks.judge [--runs 1000] [--first 0] [--only TEXT] [--jobs 2]

The judge is the real one, with its defaults; requests, failures and latencies are imitated (traffic.py). All rows have
a canary of 5 %, and both metrics; requests/s are of the whole service. Ends with 1 when a bar is not met.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from deployer.core.canary.judge import begun, judged
from deployer.core.canary.values import Judge
from tests.benchmarks import traffic
from tests.benchmarks.traffic import Traffic

SETTINGS, START = Judge(), 1.0


@dataclass(frozen=True)
class Row:
    """`holds`: whether the bar is met, given the outcomes; None where the row has none."""

    name: str
    traffic: Callable[[int], Traffic]
    bar: str = ""
    holds: Callable[[list[tuple[str, float]]], bool] | None = None


def outcome(make: Callable[[int], Traffic], seed: int) -> tuple[str, float]:
    """One canary: how its analysis ended, and after how many seconds."""
    world, state, now = make(seed), begun(START), START
    step = SETTINGS.interval_seconds
    while True:
        reading = world.between(now - START, now - START + step)
        now += step
        done = judged(SETTINGS, state, reading, now)
        if done.verdict != "running":
            return done.verdict, now - START
        state, step = done.state, done.next_seconds


def aborted(outcomes: list[tuple[str, float]], within: float = float("inf")) -> int:
    return sum(verdict == "failed" and seconds <= within for verdict, seconds in outcomes)


def few(outcomes: list[tuple[str, float]]) -> bool:
    return aborted(outcomes) <= 0.01 * len(outcomes)


def most(outcomes: list[tuple[str, float]]) -> bool:
    return aborted(outcomes, 600) >= 0.99 * len(outcomes)


def soon(outcomes: list[tuple[str, float]]) -> bool:
    return statistics.median(seconds if verdict == "failed" else 1e9 for verdict, seconds in outcomes) <= 90


FEW, MOST, SOON = "at most 10 of 1,000", "99 % in 600 s", "median 90 s"
ROWS = (
    *(
        Row(f"healthy, {name}, {rate}/s", partial(make, rate), FEW, few)
        for name, make in (
            ("2 % errors", traffic.healthy),
            ("bursts of requests", traffic.bursts),
            ("bursts of pods", traffic.stalls),
            ("shared outages", traffic.outages),
            ("bursts and outages", traffic.weather),
            ("cold start", traffic.cold),
        )
        for rate in (20, 200)
    ),
    Row("10 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.1), SOON, soon),
    Row("10 % errors, stable none, 20/s", partial(traffic.worse, 20, 0.0, 0.1), SOON, soon),
    Row("10 % errors, 400/s (20/s canary)", partial(traffic.worse, 400, 0.005, 0.1), SOON, soon),
    Row("50 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.5)),
    Row("all errors, 200/s", partial(traffic.worse, 200, 0.005, 1.0)),
    Row("0.5 -> 2.5 % errors, 200/s", partial(traffic.worse, 200, 0.005, 0.025), MOST, most),
    Row("0.5 -> 2.5 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.025)),
    Row("0.5 -> 1 % errors, 200/s", partial(traffic.worse, 200, 0.005, 0.01)),
    Row("0.5 -> 1 % errors, 2000/s", partial(traffic.worse, 2000, 0.005, 0.01)),
    Row("latency x 1.3, 200/s", partial(traffic.slower, 200, 1.3)),
    Row("latency x 2, 200/s", partial(traffic.slower, 200, 2.0)),
    Row("latency x 2, 20/s", partial(traffic.slower, 20, 2.0)),
    Row("bad after an outage, 200/s", partial(traffic.late, 200)),
    Row("good, 0.5 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.005)),
    Row("good, 0.5 % errors, 200/s", partial(traffic.worse, 200, 0.005, 0.005)),
    Row("good, no errors, 20/s", partial(traffic.worse, 20, 0.0, 0.0)),
)


def line(row: Row, outcomes: list[tuple[str, float]]) -> str:
    failed = sorted(seconds for verdict, seconds in outcomes if verdict == "failed")
    on = sorted(seconds for verdict, seconds in outcomes if verdict == "successful")
    open_ = len(outcomes) - len(failed) - len(on)
    bar = f"{row.bar}: {'met' if row.holds(outcomes) else 'NOT MET'}" if row.holds else ""
    return (
        f"{row.name:36}{len(failed):8}{aborted(outcomes, 600):8}{_times(failed):>14}{len(on):10}{_times(on):>14}"
        f"{open_:8}  {bar}"
    )


def _times(seconds: list[float]) -> str:
    """Median and 95th percentile."""
    return f"{statistics.median(seconds):.0f} / {seconds[int(0.95 * (len(seconds) - 1))]:.0f}" if seconds else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    print(f"{'':36}{'aborted':>8}{'<600 s':>8}{'s med / p95':>14}{'promoted':>10}{'s med / p95':>14}{'open':>8}")
    began, missed = time.monotonic(), 0
    with multiprocessing.Pool(options.jobs) as pool:
        for row in (row for row in ROWS if options.only in row.name):
            seeds = range(options.first, options.first + options.runs)
            outcomes = pool.map(partial(outcome, row.traffic), seeds, chunksize=max(1, options.runs // 40))
            missed += row.holds is not None and not row.holds(outcomes)
            print(line(row, outcomes), flush=True)
    print(f"{options.runs} runs a row, {time.monotonic() - began:.0f} s")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
