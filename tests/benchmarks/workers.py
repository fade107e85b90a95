"""Workers in this process: hints go to a pool of threads as they go to Celery's, and a second is the dispatcher's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

THREADS = 8


@contextlib.contextmanager
def workers() -> Iterator[Any]:
    """The composition, with workers that run whatever is woken. To be entered before anybody else asks for one."""
    from django.db import close_old_connections

    from control import hints
    from deployer.composition import composition

    with ThreadPoolExecutor(THREADS, "worker") as pool:

        def work(loop: str, keys: list[str]) -> None:
            try:
                composition().run(loop, keys)
            finally:
                close_old_connections()

        def send(loop: str, keys: Sequence[str]) -> None:
            with contextlib.suppress(RuntimeError):  # the pool has ended
                for some in hints.bundles(loop, keys):
                    pool.submit(work, loop, some)

        hints.send = send
        yield composition()


def dispatch(here: Any) -> None:
    """What is due and was not hinted at."""
    from control import hints

    due: dict[str, list[str]] = {}
    for loop, key in here.work.due(here.clock.now()):
        due.setdefault(loop, []).append(key)
    for loop, keys in due.items():
        hints.send(loop, keys)


def until(true: Callable[[], bool], here: Any, within_seconds: float = 600) -> None:
    began = dispatched = time.monotonic()
    while not true():
        now = time.monotonic()
        assert now - began < within_seconds, "it takes too long"
        if now - dispatched > 1:
            dispatch(here)
            dispatched = now
        time.sleep(0.02)
