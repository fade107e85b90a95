"""The processes that Pierhead consists of: how each one runs, under `up` and in a container alike.

    web      pages and API (uvicorn)            worker   Celery tasks in threads
    beat     says when periodic tasks are due   watch    one event stream per node

Imports are local to each: one that runs by itself loads what it needs and no more. Under `up` they are forked from a
process that has loaded all of it (`control/nursery.py`).
"""

import importlib
import logging
import os
import socket
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from control import lifeline, pulse, servers
from control import nursery as forks

NAMES = ("web", "worker", "beat", "watch")
WORKER_THREADS = 8
WEB_GRACE_SECONDS = 3
DEAF_SECONDS = 30
LOADED = (
    "uvicorn.protocols.http.h11_impl", "uvicorn.protocols.websockets.wsproto_impl", "celery.worker.consumer",
    "celery.concurrency.thread", "celery.beat", "kombu.transport.redis", "kombu.pidbox", "docker",
    "control.management.commands.prepare", "control.asgi", "control.celery", "deployer.tasks", "deployer.watch",
)  # fmt: skip
"""By the nursery, for all of them."""
STANDBY_SECONDS = 15  # after which a standby beat takes over


def web(host: str, port: int, listener: int | None) -> None:
    """Serves pages until SIGTERM. `listener` is the descriptor of a socket that listens already."""
    import uvicorn

    config = uvicorn.Config(
        "control.asgi:application",
        host=host,
        port=port,
        loop="asyncio",
        http="h11",
        ws="wsproto",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=WEB_GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=None if listener is None else [socket.socket(fileno=listener)])


def worker(threads: int, with_beat: bool) -> None:
    """Runs tasks until SIGTERM, which lets running ones finish. `with_beat` also says when periodic tasks are due."""
    from control.celery import app

    # Celery advises against root, for pickled messages; only JSON is accepted here.
    warnings.filterwarnings("ignore", message=r"(?s).*superuser privileges")
    # And announces, at every lost connection, a default of its next version; settings.py says what we want.
    warnings.filterwarnings("ignore", message=r"(?s).*we introduced an optional breaking change")
    if with_beat:
        _take_over()
        _beat_beside_worker(app)
    consumer = app.Worker(
        hostname=f"worker@{socket.gethostname()}",
        pool="threads",
        concurrency=threads,
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    threading.Thread(target=_end_when_deaf, name="deaf", daemon=True).start()
    consumer.start()
    raise SystemExit(consumer.exitcode or 0)


def _end_when_deaf() -> None:
    """A broker that went away and came back can leave Celery's consumer alive and deaf (seen with a Redis restart).

    `dispatch` comes every second, so a worker that hears nothing for long ends itself: whoever runs it (`up`, or the
    container's restart policy) starts it again, and its keys come due when their leases run out.
    """
    while (pulse.silent_seconds("worker") or 0) < DEAF_SECONDS:
        time.sleep(pulse.INTERVAL_SECONDS)
    logging.getLogger("pierhead").error("no task was heard for %d s: ending, to be started again", DEAF_SECONDS)
    os._exit(1)


def beat() -> None:
    """Says when periodic tasks are due; of several, one leads and the others stand by."""
    from django.conf import settings

    from control.celery import app
    from control.clock import Scheduler

    app.conf.update(
        redbeat_redis_url=settings.REDIS_URL,
        redbeat_redis_options={"socket_connect_timeout": 2, "socket_timeout": 10},
        redbeat_key_prefix="pierhead:beat:",
        redbeat_lock_timeout=STANDBY_SECONDS,
    )
    app.Beat(scheduler_cls=Scheduler, quiet=True).run()


def watch() -> None:
    """Holds one event stream per node, until SIGTERM."""
    from deployer import watch as streams

    pulse.beat("watch")
    streams.main()


def nursery(requests: int, lifeline_descriptor: int, shared: Sequence[int]) -> list[str]:
    """Loads what the others run, and forks them from itself; returns in each of them, with the words of its command."""
    from django.urls import get_resolver

    for module in LOADED:
        importlib.import_module(module)
    get_resolver().check()  # the pages' modules
    identify("nursery")
    return forks.serve(requests, lifeline_descriptor, shared)


def hold_lifeline(descriptor: int | None) -> None:
    """Under `up`: this process does not outlive it."""
    if descriptor is not None:
        lifeline.hold(descriptor)


def _take_over() -> None:
    """The worker of `up` is the only one on its database: what a killed one was at is free, its lease or not."""
    from control.hints import send
    from control.store.work import WorkRows

    WorkRows("start", send).release_all()


def _beat_beside_worker(app: Any) -> None:
    """As a thread, so that a killed worker leaves no second clock behind; in memory, for every period is short."""
    from celery.beat import EmbeddedService, Scheduler
    from celery.signals import worker_ready, worker_shutting_down

    clock = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
    worker_ready.connect(lambda **_: clock.start(), weak=False)
    worker_shutting_down.connect(lambda **_: clock.service.stop(), weak=False)


def warn_of_open_redis(url: str) -> None:
    """Warns, once per process, of a Redis server that obeys strangers."""
    if warning := servers.redis_warning(url):
        logging.getLogger("pierhead").warning("%s", warning)


def identify(name: str) -> None:
    """Gives the process a name in `ps` and `top` where the system allows it."""
    comm = Path("/proc/self/comm")
    if comm.exists():
        comm.write_text(f"pierhead-{name}"[:15], encoding="ascii")
