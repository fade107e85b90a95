"""The watch process: an event stream, a heartbeat, and a look at the router's probes, for every node on record.

Killed or doubled, it harms nothing. Needs a set-up Django (`manage.py run watch` sees to that).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from django.db import close_old_connections

from control import pulse as sign_of_life
from control.models import Node
from control.store import heartbeats, measurements
from deployer.composition import brief, briefly, composition, engine_of, watched_line
from deployer.core.heartbeat import PERIOD_SECONDS, Heartbeat
from deployer.loops import heartbeat
from deployer.loops.probe_watch import ProbeLook, ProbeWatch
from deployer.loops.watch import NodeWatch

log = logging.getLogger("pierhead.watch")
PINGS_AT_A_TIME = 64


@dataclass
class Followed:
    """One node: the stamp of its address, its pulse, its event stream."""

    stamp: tuple[str, str]
    pulse: heartbeat.Pulse
    stream: NodeWatch
    probes: ProbeWatch

    def drop(self) -> None:
        self.stream.stopped.set()
        self.probes.stop()
        self.pulse.engine.close()


class Watch:
    """All nodes of the cluster, followed as they come and go."""

    def __init__(self) -> None:
        self._here = composition()
        self._pool = ThreadPoolExecutor(PINGS_AT_A_TIME, "ping")
        self._followed: dict[str, Followed] = {}

    def beat(self) -> None:
        """One tick: follow the nodes on record, ping them all."""
        self._follow({row.uid: row for row in Node.objects.all()})
        pulses = [one.pulse for one in self._followed.values()]
        if pulses:
            heartbeat.beat_all(pulses, self._pool, heartbeats, self._here.work.wake, self._here.clock)

    def _follow(self, rows: dict[str, Node]) -> None:
        for uid, one in list(self._followed.items()):
            if uid not in rows or one.stamp != _stamp(rows[uid]):
                self._followed.pop(uid).drop()
        for uid in rows.keys() - self._followed.keys():
            self._followed[uid] = self._begin(rows[uid])

    def _begin(self, row: Node) -> Followed:
        known = Heartbeat(row.ready, 0, row.reason, row.message, row.ready_changed_at)
        engine = engine_of(row)  # one for both: an ssh:// host has one tunnel in this process
        work = brief(self._here.work)
        probes = ProbeWatch(
            ProbeLook(row.uid, partial(watched_line, row.uid, engine), work, briefly(measurements.record)),
            self._here.clock,
        )
        stream = NodeWatch(row.uid, engine, work, probes.expect)
        stream.start()
        probes.start()
        return Followed(_stamp(row), heartbeat.Pulse(row.uid, engine, known), stream, probes)


def _stamp(row: Node) -> tuple[str, str]:
    return row.address, row.__dict__["credentials"]


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    watch = Watch()
    while not ended.is_set():
        began = time.monotonic()
        try:
            watch.beat()
            sign_of_life.beat("watch")
        except Exception:
            log.exception("a heartbeat failed; the next one follows")
        close_old_connections()
        ended.wait(max(0.1, PERIOD_SECONDS - (time.monotonic() - began)))
    logging.shutdown()
    os._exit(0)  # streams in a blocking read end with the process
