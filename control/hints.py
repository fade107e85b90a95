"""Hints: a Celery message that says "this key is due now". Losing one costs the dispatcher's second, nothing else."""

from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from control.celery import app

log = logging.getLogger("pierhead")
EXPIRES_SECONDS = 30.0


def send(loop: str, key: str) -> None:
    """Ask a worker to run one key. Never raises, never waits for a broker that is away."""
    try:
        app.send_task("deployer.tasks.run", [loop, key], expires=EXPIRES_SECONDS, ignore_result=True, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("the broker does not answer (%s); %s waits for the dispatcher", type(error).__name__, loop)
