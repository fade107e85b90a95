"""Hints: a Celery message that says "this key is due now". Losing one costs the dispatcher's second, nothing else."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from kombu.exceptions import OperationalError

from control.celery import app

log = logging.getLogger("pierhead")
EXPIRES_SECONDS = 30.0


TOGETHER = {"reconcile": 50}
"""Loops of which one message names many keys: a worker does those in one go."""


def send(loop: str, keys: Sequence[str]) -> None:
    """Ask a worker to run keys of one loop. Never raises, never waits for a broker that is away."""
    for some in bundles(loop, keys):
        try:
            app.send_task("deployer.tasks.run", [loop, some], expires=EXPIRES_SECONDS, ignore_result=True, retry=False)
        except (OperationalError, OSError) as error:
            log.warning("the broker does not answer (%s); %s waits for the dispatcher", type(error).__name__, loop)
            return


def bundles(loop: str, keys: Sequence[str]) -> list[list[str]]:
    """The keys of one message each."""
    most = TOGETHER.get(loop, 1)
    return [list(keys[start : start + most]) for start in range(0, len(keys), most)]
