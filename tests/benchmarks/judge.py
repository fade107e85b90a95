"""How often the judge of canaries is wrong, and how fast it is right, in seeded simulations of traffic.

    .venv/bin/python -m tests.benchmarks.judge [--runs 1000] [--first 0] [--only TEXT] [--jobs 2]

The judge is the real one, with its defaults; requests, failures and latencies are imitated (traffic.py). All rows have
a canary of 5 %, and both metrics; requests/s are of the whole service. A run takes about 40 ms of CPU where the canary
is healthy, and a few where it is ended soon. Ends with 1 when a bar is not met.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from deployer.core.canary.judge import begun, judged
from deployer.core.canary.values import Judge
from tests.benchmarks import traffic
from tests.benchmarks.figures import Figure, show
from tests.benchmarks.traffic import Traffic

SETTINGS, START = Judge(), 1.0


@dataclass(frozen=True)
class Row:
    """`bars` of a bad canary's median, in seconds; `most`: nearly all have to be caught within ten minutes."""

    name: str
    traffic: Callable[[int], Traffic]
    is_good: bool = False
    bars: tuple[float | None, float | None] = (None, None)
    most: bool = False


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


SOON = 90.0, 40.0
ROWS = (
    *(
        Row(f"healthy, {name}, {rate}/s", partial(make, rate), is_good=True)
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
    Row("10 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.1), bars=SOON),
    Row("10 % errors, stable none, 20/s", partial(traffic.worse, 20, 0.0, 0.1), bars=SOON),
    Row("10 % errors, 400/s (20/s canary)", partial(traffic.worse, 400, 0.005, 0.1), bars=SOON),
    Row("50 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.5)),
    Row("all errors, 200/s", partial(traffic.worse, 200, 0.005, 1.0)),
    Row("0.5 -> 2.5 % errors, 200/s", partial(traffic.worse, 200, 0.005, 0.025), most=True),
    Row("0.5 -> 2.5 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.025)),
    Row("0.5 -> 1 % errors, 200/s", partial(traffic.worse, 200, 0.005, 0.01)),
    Row("0.5 -> 1 % errors, 2000/s", partial(traffic.worse, 2000, 0.005, 0.01)),
    Row("latency x 1.3, 200/s", partial(traffic.slower, 200, 1.3)),
    Row("latency x 2, 200/s", partial(traffic.slower, 200, 2.0)),
    Row("latency x 2, 20/s", partial(traffic.slower, 20, 2.0)),
    Row("bad after an outage, 200/s", partial(traffic.late, 200)),
    Row("healthy, 0.5 % errors, 20/s", partial(traffic.worse, 20, 0.005, 0.005), is_good=True),
    Row("healthy, 0.5 % errors, 200/s", partial(traffic.worse, 200, 0.005, 0.005), is_good=True),
    Row("healthy, no errors, 20/s", partial(traffic.worse, 20, 0.0, 0.0), is_good=True),
)


def shown(row: Row, outcomes: list[tuple[str, float]]) -> list[Figure]:
    of, failed = len(outcomes), sorted(seconds for verdict, seconds in outcomes if verdict == "failed")
    on = sorted(seconds for verdict, seconds in outcomes if verdict == "successful")
    figures = []
    if row.is_good:
        per_thousand = 1000 * len(failed) / of
        figures.append(show(f"{row.name}: aborted of 1,000", per_thousand, "canaries", at_least=10, aim=2))
        figures.append(show(f"{row.name}: went on", 100 * len(on) / of, "%"))
        return [*figures, *([show(f"{row.name}: begun -> went on", on, "s")] if on else [])]
    asked: tuple[float, float] | tuple[None, None] = (99, 99.9) if row.most else (None, None)
    soon = 100 * sum(seconds <= 600 for seconds in failed) / of
    figures.append(show(f"{row.name}: caught in 10 min", soon, "%", at_least=asked[0], aim=asked[1], more=True))
    figures.append(show(f"{row.name}: caught ever", 100 * len(failed) / of, "%"))
    figures.append(show(f"{row.name}: went on", 100 * len(on) / of, "%"))
    times = failed + [SETTINGS.max_seconds] * (of - len(failed))
    figures.append(show(f"{row.name}: begun -> aborted", times, "s", at_least=row.bars[0], aim=row.bars[1]))
    return [*figures, show(f"{row.name}: 95 of 100 within", times[int(0.95 * (of - 1))], "s")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    missed = 0
    with multiprocessing.Pool(options.jobs) as pool:
        for row in (row for row in ROWS if options.only in row.name):
            seeds = range(options.first, options.first + options.runs)
            outcomes = pool.map(partial(outcome, row.traffic), seeds, chunksize=max(1, options.runs // 40))
            missed += sum(figure.verdict == "missed" for figure in shown(row, outcomes))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
