"""The watch process: an event stream, a heartbeat, looks at the router's probes and peers, and at what pods use, for
every node.

Killed or doubled, it harms nothing: of several, one writes what the heartbeat concludes. Needs a set-up Django
(`manage.py run watch` sees to that).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from django.db import close_old_connections

from control import pulse as sign_of_life
from control.models import Node
from control.store import heartbeats, measurements
from control.store import usage as usage_store
from deployer.brief import brief, briefly
from deployer.composition import composition, engine_of, watched_line
from deployer.core.heartbeat import PERIOD_SECONDS
from deployer.core.network.endpoints import node_label
from deployer.core.usage import period_seconds
from deployer.loops.heartbeat import Beating, Heartbeats
from deployer.loops.probe_watch import ProbeLook, ProbeWatch
from deployer.loops.usage_watch import UsageLook, UsageWatch
from deployer.loops.watch import NodeWatch
from deployer.ports import Engine

log = logging.getLogger("pierhead.watch")
PINGS_AT_A_TIME = 4096
"""More than there are hosts: one that hangs must not keep another one's ping waiting. A thread is made when needed."""


@dataclass
class Followed:
    """One node: the stamp of its address, the way to it, its event stream, the looks at its router and its pods."""

    stamp: tuple[str, str]
    engine: Engine
    stream: NodeWatch
    probes: ProbeWatch
    usage: UsageLook
    usages: UsageWatch

    def drop(self) -> None:
        self.stream.stopped.set()
        self.usages.stopped.set()
        self.probes.stop()
        self.engine.close()


class Watch:
    """All nodes of the cluster, followed as they come and go."""

    def __init__(self) -> None:
        self._here = composition()
        pool = ThreadPoolExecutor(PINGS_AT_A_TIME, "ping")
        self._heartbeats = Heartbeats(pool, self._here.work, heartbeats, self._here.clock, self._hurry)
        self._followed: dict[str, Followed] = {}
        self._uids: dict[str, str] = {}

    def beat(self) -> float:
        """One tick: follow the nodes on record, ping them all. Returns after how many seconds the next is due."""
        rows = {row.uid: row for row in Node.objects.order_by("name")}
        self._follow(rows)
        if not rows:
            return PERIOD_SECONDS
        if self._heartbeats.is_troubled():
            for one in self._followed.values():
                one.probes.hurry()
        return self._heartbeats.tick([heartbeats.host(row) for row in rows.values()])

    def _follow(self, rows: dict[str, Node]) -> None:
        for uid, one in list(self._followed.items()):
            if uid not in rows or one.stamp != _stamp(rows[uid]):
                self._followed.pop(uid).drop()
                self._heartbeats.forget(uid)
        for uid in rows.keys() - self._followed.keys():
            self._followed[uid] = self._begin(rows[uid])
            self._heartbeats.beating[uid] = Beating(self._followed[uid].engine)
        self._uids = {node_label(uid): uid for uid in rows}

    def _hurry(self, uid: str) -> None:
        if one := self._followed.get(uid):
            one.probes.hurry()

    def _heard(self, uid: str, at: float, views: Mapping[str, bool | None]) -> None:
        """What a node's router says of its peers, which it knows by their labels. In that node's own thread."""
        sees = {self._uids[label]: word for label, word in views.items() if label in self._uids}
        self._heartbeats.heard(uid, at, sees)

    def _begin(self, row: Node) -> Followed:
        engine = engine_of(row)  # one for both: an ssh:// host has one tunnel in this process
        work = brief(self._here.work)
        probes = ProbeWatch(
            ProbeLook(
                row.uid, partial(watched_line, row.uid, engine), work, briefly(measurements.record), peers=self._heard
            ),
            self._here.clock,
        )
        stream = NodeWatch(row.uid, engine, work, probes.expect)
        usage = UsageLook(row.uid, engine, briefly(usage_store.record), self._here.clock)
        usages = UsageWatch(usage, self._here.clock, self._usage_period, lambda: self._heartbeats.lease is not None)
        for thread in (stream, probes, usages):
            thread.start()
        return Followed(_stamp(row), engine, stream, probes, usage, usages)

    def _usage_period(self) -> int:
        """All nodes together: however many containers there are, this process has its time for hosts."""
        return period_seconds(sum(one.usage.containers for one in list(self._followed.values())))


def _stamp(row: Node) -> tuple[str, str]:
    return row.address, row.__dict__["credentials"]


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    watch = Watch()
    while not ended.is_set():
        pause = PERIOD_SECONDS
        try:
            pause = watch.beat()
            sign_of_life.beat("watch")
        except Exception:
            log.exception("a heartbeat failed; the next one follows")
        close_old_connections()
        ended.wait(pause)
    logging.shutdown()
    os._exit(0)  # streams in a blocking read end with the process
