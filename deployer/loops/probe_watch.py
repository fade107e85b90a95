"""Probes of one node, watched: its router is asked every second what it found, and `route` is woken when that changed.

It decides nothing and reads no record: a pass of `route` looks for itself. Losing it costs time, not truth. The same
look hands on what the router sees of its peers, and now and then its counters, to whoever keeps measurements.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from deployer.core.network.peers import peer_views
from deployer.core.network.probe_times import ProbeState, probe_states
from deployer.ports import Clock, EngineError, RouterLine, Work

log = logging.getLogger("pierhead.watch")
USUAL_SECONDS, BUSY_SECONDS, IDLE_SECONDS = 1.0, 0.3, 5.0
CHANGED_SECONDS = 3.0
"""After a change more is to be expected."""
EXPECTED_SECONDS = 20.0
"""After a container has started, so are its probes, and that they pass."""
SAMPLE_SECONDS = 15.0
AWAY_SECONDS = (2.0, 30.0)
"""Between two tries of a router that does not answer: doubled up to the latter."""
HURRIED_SECONDS = 0.2
"""Between two looks at least, however often they are asked for."""
SERVERS, EVERYTHING, LATENCY = "show stat -1 4 -1", "show stat -1 -1 -1", "show table table.latency"
Sample = Callable[[str, float, str, str], None]
Peers = Callable[[str, float, Mapping[str, bool | None]], None]
"""The uid of the node that looked, when its look began, and `peers.peer_views`. Must not wait for anything."""


@dataclass
class ProbeLook:
    """What is remembered of one node between two looks. `next_at` is when the next one is due."""

    uid: str
    open_line: Callable[[], RouterLine]
    work: Work
    sample: Sample | None = None
    peers: Peers | None = None
    next_at: float = 0.0
    states: dict[str, ProbeState] = field(default_factory=dict)
    changed_at: float = 0.0
    expected_until: float = 0.0
    sampled_at: float = 0.0
    failures: int = 0
    _line: RouterLine | None = None

    def look(self, now: float, *, hurried: bool = False) -> None:
        """Ask once; wake, and hand on. Never raises EngineError. A try that was `hurried` puts off no other one."""
        try:
            self._look(now)
        except EngineError as error:
            self.hang_up()
            if not self.failures:
                log.info("probes of node %s are not seen: %s", self.uid, error.sentence)
            if not (hurried and self.failures):
                self.next_at = now + min(AWAY_SECONDS[0] * 2.0**self.failures, AWAY_SECONDS[1])
                self.failures = min(self.failures + 1, 10)
        else:
            self.failures = 0
            self.next_at = now + self._pause(now)

    def hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _look(self, now: float) -> None:
        is_sampling = self.sample is not None and now - self.sampled_at >= SAMPLE_SECONDS
        commands = [EVERYTHING, "show info", LATENCY] if is_sampling else [SERVERS, "show info"]
        if self._line is None:
            self._line = self.open_line()
        stat, info, *table = self._line.ask(commands)
        if "\nStopping: 1" in info:  # it was reloaded: this line is one of the process that goes
            self.hang_up()
            self._line = self.open_line()
            stat, info, *table = self._line.ask(commands)
        if self.peers is not None:
            self.peers(self.uid, now, peer_views(stat))
        self._compare(probe_states(stat), now)
        if is_sampling and self.sample is not None:
            self.sampled_at = now
            self.sample(self.uid, now, stat, table[0])

    def _compare(self, states: dict[str, ProbeState], now: float) -> None:
        if states != self.states:
            self.states, self.changed_at = states, now
            self.work.wake("route", self.uid)

    def _pause(self, now: float) -> float:
        if not self.states:
            return USUAL_SECONDS if now < self.expected_until else IDLE_SECONDS
        awaited = now < self.expected_until and any(one.status != "UP" for one in self.states.values())
        is_busy = now - self.changed_at < CHANGED_SECONDS or any(one.is_open for one in self.states.values())
        return BUSY_SECONDS if is_busy or awaited else USUAL_SECONDS


class ProbeWatch(threading.Thread):
    """Looks at one node until `stopped` is set. A daemon: it may sit in a blocking read."""

    def __init__(self, look: ProbeLook, clock: Clock) -> None:
        super().__init__(name=f"probes-{look.uid[:8]}", daemon=True)
        self.stopped = threading.Event()
        self._look, self._clock = look, clock
        self._called, self._hurried = threading.Event(), False

    def expect(self) -> None:
        """A container of the node has started: its probes will be seen soon."""
        self._look.expected_until = self._clock.now() + EXPECTED_SECONDS
        self._called.set()

    def hurry(self) -> None:
        """Look at once, whatever is waited for: somebody needs to know. Any thread may ask, as often as it likes."""
        self._hurried = True
        self._called.set()

    def stop(self) -> None:
        self.stopped.set()
        self._called.set()

    def run(self) -> None:
        while not self.stopped.is_set():
            began_at, hurried, self._hurried = self._clock.now(), self._hurried, False
            try:
                self._look.look(began_at, hurried=hurried)
            except Exception:
                log.exception("looking at the probes of node %s failed; it is done again", self._look.uid)
                self._look.hang_up()
                self._look.next_at = self._clock.now() + AWAY_SECONDS[0]
            if self._called.wait(max(0.05, self._look.next_at - self._clock.now())):
                self._called.clear()
                since = self._clock.now() - began_at
                self.stopped.wait(max(0.0, HURRIED_SECONDS - max(0.0, since)) if self._hurried else BUSY_SECONDS)
        self._look.hang_up()
