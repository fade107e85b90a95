"""What containers of one host use, read within a given time.

Newer engines (25; 24.0.7, 23.0.8) answer a question at once: one thread asks for one container after the other, so that
a host never has two of these questions to answer. Older ones answer with their next round of collecting, which is up to
a second away (2 s before 20.10) and serves all who wait: AT_A_TIME questions wait there side by side. Which kind it is
shows when an answer takes SLOW_SECONDS; from then on, the rest of the pass is asked for in that way.

Guarantees: no question is begun that could outlast `within_seconds`, and after SILENCES questions without an answer
none is asked any more. An engine that hangs costs its caller 2 x CALL_SECONDS, or one where AT_A_TIME wait, and that
once: the wire's breaker is open then. An old engine with 100 containers is read in 8 s.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from deployer.adapters import docker_seen as seen
from deployer.adapters.docker_wire import Request, Wire
from deployer.core.usage import Usage
from deployer.ports import EngineError, EngineUnreachable

CALL_SECONDS = 4.0
SILENCES = 2
AT_A_TIME = 16
SLOW_SECONDS = 0.4
_QUERY = {"stream": "false", "one-shot": "true"}


@dataclass
class _Pass:
    """What is left to ask for, as (asked as, id), and what came of it. Shared by the threads of one call."""

    left: deque[tuple[str, str]]
    until: float
    found: dict[str, Usage] = field(default_factory=dict)
    failures: list[EngineError] = field(default_factory=list)

    def is_over(self) -> bool:
        silences = sum(isinstance(one, EngineUnreachable) for one in self.failures)
        return silences >= SILENCES or time.monotonic() > self.until - CALL_SECONDS


class Usages:
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def read(self, containers: Mapping[str, str], within_seconds: float) -> dict[str, Usage]:
        """`containers`: what each is asked as -> its id. Raises the last failure when nothing could be read."""
        made = _Pass(deque(containers.items()), time.monotonic() + within_seconds)
        while made.left and not made.is_over():
            began_at = time.monotonic()
            is_answered = self._ask(made)
            if is_answered and made.left and time.monotonic() - began_at >= SLOW_SECONDS:
                self._ask_side_by_side(made)
        if made.failures and not made.found:
            raise made.failures[-1]
        return made.found

    def _ask_side_by_side(self, made: _Pass) -> None:
        with ThreadPoolExecutor(AT_A_TIME, "usage") as pool:
            for worker in [pool.submit(self._ask_all, made) for _ in range(min(AT_A_TIME, len(made.left)))]:
                worker.result()

    def _ask_all(self, made: _Pass) -> None:
        while made.left and not made.is_over():
            self._ask(made)

    def _ask(self, made: _Pass) -> bool:
        """For the next one. Whether it was answered."""
        try:
            called, container = made.left.popleft()
        except IndexError:  # another thread was faster
            return False
        try:
            found = self._one(called, container)
        except EngineError as error:
            made.failures.append(error)
            return False
        if found is not None:
            made.found[called] = found
        return True

    def _one(self, called: str, container: str) -> Usage | None:
        path, what = f"/containers/{container}/stats", f"read what {called} uses"
        response = self._wire.call(Request("GET", path, what, _QUERY, done=(404,), timeout_seconds=CALL_SECONDS))
        if response.status == 404 or not response.data:  # it ended meanwhile, and the engine has no more to say
            return None
        return seen.usage_seen(json.loads(response.data))
