"""What containers of one host use, read within a given time.

An engine since 20.10 (API 1.41) answers each question at once: one thread asks for one container after the other, so
that a host never has two of these questions to answer. An older one watches the container for 1 to 2 s before it
answers, so AT_A_TIME questions wait there side by side.

Guarantees: no question is begun that could outlast `within_seconds`, and after SILENCES questions without an answer
none is asked any more. An engine that hangs costs its caller 2 x CALL_SECONDS, once: the wire's breaker is open then.
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
AT_A_TIME = 8
_AT_ONCE = (1, 41)
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
        if not containers or self._wire.speaks(_AT_ONCE):
            self._work(made)
        else:
            with ThreadPoolExecutor(AT_A_TIME, "usage") as pool:
                for worker in [pool.submit(self._work, made) for _ in range(min(AT_A_TIME, len(containers)))]:
                    worker.result()
        if made.failures and not made.found:
            raise made.failures[-1]
        return made.found

    def _work(self, made: _Pass) -> None:
        while made.left and not made.is_over():
            try:
                called, container = made.left.popleft()
            except IndexError:  # another thread was faster
                return
            try:
                found = self._one(called, container)
            except EngineError as error:
                made.failures.append(error)
            else:
                if found is not None:
                    made.found[called] = found

    def _one(self, called: str, container: str) -> Usage | None:
        path, what = f"/containers/{container}/stats", f"read what {called} uses"
        response = self._wire.call(Request("GET", path, what, _QUERY, done=(404,), timeout_seconds=CALL_SECONDS))
        return None if response.status == 404 else seen.usage_seen(json.loads(response.data))
