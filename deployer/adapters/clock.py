"""The wall clock, as a port."""

from __future__ import annotations

import time


class WallClock:
    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()
