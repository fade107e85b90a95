"""The scheduler of the `beat` process: RedBeat's, with signs of life."""

from typing import Any

from redbeat import RedBeatScheduler

from control import pulse


class Scheduler(RedBeatScheduler):  # type: ignore[misc]
    """Several may run; the one that holds RedBeat's lock in Redis ticks, the others stand by."""

    def tick(self, *arguments: Any, **options: Any) -> float:
        pulse.beat("beat")
        return float(super().tick(*arguments, **options))
