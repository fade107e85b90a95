"""Hosts that were given up by mistake, in seeded schedules of faults: splits, delays, losses, slow and dead hosts.

    .venv/bin/python -m tests.benchmarks.false_evictions [--schedules 1000] [--first 0]

The judge is the real one; hosts, links and routers' checks are imitated (tests/core/survival/weather.py). Prints the
seed of each mistake, and ends with 1 when there was one.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.benchmarks.figures import show
from tests.core.survival.weather import Weather


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--schedules", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    began, deaths, evicted, wrong = time.monotonic(), 0, 0, 0
    for seed in range(options.first, options.first + options.schedules):
        report = Weather(seed).run()
        deaths, evicted, wrong = deaths + report.deaths, evicted + len(report.evicted), wrong + len(report.false)
        if report.false:
            print(f"seed {seed}: {', '.join(report.false)}; faults: {report.faults}")
    for name, value in (("schedules", options.schedules), ("hosts that lost power", deaths),
                        ("hosts given up", evicted), ("given up by mistake", wrong)):  # fmt: skip
        print(f"{name:28}{value:8}")
    print(f"{'seconds':28}{time.monotonic() - began:8.0f}")
    show(f"hosts given up by mistake in {options.schedules} fault schedules", wrong, "hosts", at_least=0)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
