"""The scheduler of the `beat` process: RedBeat's, with signs of life, and outliving what Redis holds.

RedBeat keeps its lock and its entries in Redis, and ends when the lock is not its own any more. Here it stands by
until it has the lock, and writes the entries whenever it gets it: a Redis that was emptied or started again costs
seconds, whoever held the lock before.
"""

import logging
from types import SimpleNamespace
from typing import Any

from redbeat import RedBeatScheduler
from redbeat.schedulers import acquire_distributed_beat_lock
from redis import exceptions

from control import pulse

log = logging.getLogger("pierhead.beat")


class Scheduler(RedBeatScheduler):  # type: ignore[misc]
    """Several may run; the one that holds RedBeat's lock in Redis ticks, the others stand by."""

    _leads = False

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Seconds until the next one."""
        pulse.beat("beat")
        try:
            if self._leads or self._begin_to_lead():
                return float(super().tick(*arguments, **options))
        except exceptions.LockError:
            self._leads = False
            log.warning("the lock in Redis is gone: standing by to take it again")
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            log.warning("Redis does not answer (%s): trying again", type(error).__name__)
        return float(self.max_interval)

    def _begin_to_lead(self) -> bool:
        """Whether the lock is ours now; whoever takes it cannot know what is left of the entries."""
        if self.lock is None:
            acquire_distributed_beat_lock(sender=SimpleNamespace(scheduler=self))
        if not self.lock.owned() and not self.lock.acquire(blocking=False):
            return False
        self.setup_schedule()
        self._leads = True
        return True
