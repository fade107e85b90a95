"""The Celery application: what the worker runs is in deployer/tasks.py."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_prerun, worker_ready

from control import pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control.settings")
app = Celery("pierhead")
app.config_from_object("django.conf:settings", namespace="CELERY")


def keep_logging(**_: Any) -> None:
    """Being connected keeps Celery from replacing Django's logging."""


def alive(**_: Any) -> None:
    """The worker listens, or takes a task: `dispatch` comes every second, so silence means that it hangs."""
    pulse.beat("worker")


setup_logging.connect(keep_logging)
worker_ready.connect(alive)
task_prerun.connect(alive)
