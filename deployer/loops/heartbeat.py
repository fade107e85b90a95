"""heartbeat: all hosts are pinged side by side, their peers' words are heard, and what follows is put on record.

    ping -> a pulse per host -> core: find, judge -> what differs from the records -> save, fenced

Of a host in doubt the peers are heard while its ping is under way, and what they say decides at once: a silent host
takes a second to time out, again and again, and its pods wait for the verdict.

One process at a time writes (the lease on "heartbeat cluster"); any other one pings along and takes over when the
lease ends. A host that hangs costs its own thread and no more than the timeout of a tick.
"""

from __future__ import annotations

import concurrent.futures
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from deployer.core.heartbeat import AGAIN_SECONDS, PERIOD_SECONDS, TIMEOUT_SECONDS, Pulse, beat, period_seconds
from deployer.core.survival.guards import Verdict, judge
from deployer.core.survival.judge import Host, Statement, find, in_doubt, watchers
from deployer.core.survival.states import CUT_OFF, DEAD
from deployer.ports import Clock, Engine, EngineError, LeaseLost, Work

log = logging.getLogger("pierhead.watch")

LOOP, KEY = "heartbeat", "cluster"
SEEN_EVERY_SECONDS = 10.0
LISTEN_SECONDS = 0.25
"""Between two looks at what the peers say of a host in doubt."""
GAP_SECONDS = 10.0
"""After a longer pause between two ticks (this process was stopped, or the clock was set) all pulses begin anew."""


class HeartbeatStore(Protocol):
    def changed(self, found: Sequence[tuple[Host, Verdict]], wake: Any, now: float) -> None:
        """In the caller's fenced transaction; guarded by the states that the hosts say."""

    def seen(self, nodes: Iterable[str], now: float) -> None: ...


@dataclass
class Beating:
    """One host: the way to it, its pulse, and the ping that is under way."""

    engine: Engine
    pulse: Pulse = field(default_factory=Pulse)
    asked: Future[str] | None = None
    is_late: bool = False
    told_at: float = 0


def _nobody(_uid: str) -> None:
    """Nobody can be asked."""


@dataclass
class Heartbeats:
    """What the watch process remembers between two ticks. `beating` and `statements` are by the hosts' uids.

    `hurry(uid)` has the router of a host say soon what it sees (`heard`), and waits for nothing. `wait` is
    `concurrent.futures.wait`.
    """

    pool: concurrent.futures.Executor
    work: Work
    store: HeartbeatStore
    clock: Clock
    hurry: Callable[[str], None] = _nobody
    wait: Callable[..., Any] = concurrent.futures.wait
    beating: dict[str, Beating] = field(default_factory=dict)
    statements: dict[str, Statement] = field(default_factory=dict)
    lease: Any = None
    ticked_at: float = 0

    def tick(self, hosts: Sequence[Host]) -> float:
        """One round over `hosts` (their pulses are filled in here). Returns after how many seconds the next is due."""
        began_at = self.clock.now()
        if not 0 <= began_at - self.ticked_at <= GAP_SECONDS:
            self._begin_anew()
        beating = [self.beating[host.uid] for host in hosts]
        self._ping(beating)
        has_decided = self._listen(hosts, beating)
        now = self.ticked_at = self.clock.now()
        self._count(beating, began_at, now)
        if not has_decided:  # else all the rest follows from the records, which are others now
            self._save(self._changed(hosts, now), now)
        trouble = any(one.pulse.is_wavering for one in beating)
        period = PERIOD_SECONDS if trouble else period_seconds(len(hosts))
        return max(AGAIN_SECONDS, period - (now - began_at))

    def is_troubled(self) -> bool:
        """Whether some host does not answer, so that its peers' words are wanted."""
        return any(not one.pulse.is_answered for one in self.beating.values())

    def heard(self, uid: str, at: float, sees: Mapping[str, bool | None]) -> None:
        """What the router of host `uid` says of its peers, by their uids. May be called from any thread."""
        self.statements[uid] = Statement(at, sees)

    def forget(self, uid: str) -> None:
        self.beating.pop(uid, None)
        self.statements.pop(uid, None)

    def _begin_anew(self) -> None:
        for one in self.beating.values():
            one.pulse = Pulse()
        self.statements.clear()

    def _ping(self, beating: Sequence[Beating]) -> None:
        for one in beating:
            if one.asked is not None and one.asked.done() and one.is_late:
                one.asked = None  # it was counted as missed already
            if one.asked is None:
                one.asked, one.is_late = self.pool.submit(_failure, one.engine), False

    def _listen(self, hosts: Sequence[Host], beating: Sequence[Beating]) -> bool:
        """Until all pings are answered, or time is up. In doubt, whatever the peers say is weighed meanwhile. Returns
        whether that has decided anything."""
        has_decided = False
        pings = [one.asked for one in beating if one.asked]
        doubted = in_doubt(self._known(hosts))
        pause = LISTEN_SECONDS if doubted else TIMEOUT_SECONDS
        for _ in range(round(TIMEOUT_SECONDS / pause)):
            for uid in watchers(doubted, dict(self.statements)):
                self.hurry(uid)
            if not self.wait(pings, timeout=pause).not_done:
                break
            if not doubted:
                continue
            now = self.clock.now()
            if decided := [one for one in self._changed(hosts, now) if one[1].state in (DEAD, CUT_OFF)]:
                self._save(decided, now)
                doubted, has_decided = [], True
        return has_decided

    def _known(self, hosts: Sequence[Host]) -> list[Host]:
        return [replace(host, pulse=self.beating[host.uid].pulse) for host in hosts]

    def _changed(self, hosts: Sequence[Host], now: float) -> list[tuple[Host, Verdict]]:
        """What is concluded now and is not on record."""
        known = self._known(hosts)
        verdicts = judge(known, find(known, dict(self.statements), now), now)
        return [(host, verdicts[host.uid]) for host in known if _differs(host, verdicts[host.uid])]

    def _count(self, beating: Sequence[Beating], asked_at: float, now: float) -> None:
        for one in beating:
            assert one.asked is not None
            if one.is_late or not one.asked.done():
                one.is_late, failure = True, f"no answer within {TIMEOUT_SECONDS:g} s"
            else:
                failure, one.asked = one.asked.result(), None
            one.pulse = beat(one.pulse, failure, asked_at, now)

    def _save(self, changed: Sequence[tuple[Host, Verdict]], now: float) -> None:
        alive = [
            uid
            for uid, one in self.beating.items()
            if one.pulse.is_answered and not 0 <= now - one.told_at < SEEN_EVERY_SECONDS
        ]
        self.lease = self.work.hold(LOOP, KEY, self.lease, now)
        if self.lease is None or not (changed or alive):
            return
        try:
            with self.work.fenced(self.lease):
                self.store.changed(changed, self.work.wake, now)
                if alive:
                    self.store.seen(alive, now)
        except LeaseLost:
            self.lease = None
            return
        for uid in alive:
            self.beating[uid].told_at = now


def _differs(host: Host, verdict: Verdict) -> bool:
    if (host.state, host.evicting_at, host.held) != (verdict.state, verdict.evicting_at, verdict.held):
        return True
    return bool(verdict.witnesses) and dict(host.witnesses) != dict(verdict.witnesses)


def _failure(engine: Engine) -> str:
    """What the ping met, "" for an answer. A defect of the adapter must not keep the others from being judged."""
    try:
        engine.ping()
    except EngineError as error:
        return error.sentence
    except Exception as error:
        log.exception("a ping failed in a way that no engine does")
        return f"the ping failed: {type(error).__name__}"
    return ""
