"""The Celery application: what the worker runs is in deployer/tasks.py."""

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, task_prerun, worker_ready
from django.db import close_old_connections

from control import pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "control.settings")
app = Celery("pierhead")
app.config_from_object("django.conf:settings", namespace="CELERY")
# Celery would close a thread's connection before and after every task: opening one of SQLite's takes 3 ms of a
# processor, as much as many a task. Instead a task ends as a request of a page does, see `rest`.
app.conf.CELERY_DB_REUSE_MAX = sys.maxsize


def keep_logging(**_: Any) -> None:
    """Being connected keeps Celery from replacing Django's logging."""


def alive(**_: Any) -> None:
    """The worker listens, or takes a task: `dispatch` comes every second, so silence means that it hangs."""
    pulse.beat("worker")


def rest(**_: Any) -> None:
    """One that has failed is closed, and one of a server goes back to its pool."""
    close_old_connections()


setup_logging.connect(keep_logging)
task_postrun.connect(rest)
worker_ready.connect(alive)
task_prerun.connect(alive)
