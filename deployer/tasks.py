"""Celery's door into the loops. Every task may be delivered twice, late or never: the rows in the database decide."""

from __future__ import annotations

from celery import shared_task

from control import hints
from control.alarms import AHEAD_SECONDS
from control.store import drift as drift_store
from deployer.composition import composition
from deployer.loops import drift


@shared_task(name="deployer.tasks.run", ignore_result=True)
def run(loop: str, keys: list[str]) -> None:
    """Keys of one loop, those that are due."""
    composition().run(loop, keys)


@shared_task(name="deployer.tasks.dispatch", ignore_result=True)
def dispatch() -> None:
    """Whatever is due, whoever forgot to say so, and at its time what will be before the next round. Every second."""
    here = composition()
    here.look_at_the_clock()
    now = here.clock.now()
    due: dict[str, list[str]] = {}
    for loop, key, at in here.work.coming(now, now + AHEAD_SECONDS):
        if at <= now:
            due.setdefault(loop, []).append(key)
        else:
            here.alarms.set(loop, key, at)
    for loop, keys in due.items():
        hints.send(loop, keys)


@shared_task(name="deployer.tasks.resync", ignore_result=True)
def resync() -> None:
    """The safety net: look at everything, wake what is not as it should be. Every minute."""
    composition().resync()


@shared_task(name="deployer.tasks.look", ignore_result=True)
def look() -> None:
    """Applications compare what was written of their objects since the last look. Every ten seconds."""
    drift.run(composition().work, drift_store)


@shared_task(name="deployer.tasks.forget", ignore_result=True)
def forget() -> None:
    """Drop events, changes and attempts that are older than they are kept. Every hour."""
    composition().forget_the_past()
