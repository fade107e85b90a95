"""Bad weather: hosts, links and a control plane under a seeded schedule of faults, with the judge in the middle.

    Weather(seed).run() -> Report(false, evicted, missed)

Pings, the routers' checks of their peers and what the control plane reads of them are imitated with their real periods
and timeouts (`deployer/core/heartbeat.py`, `deployer/core/network/peers.py`); the judge is the real one. An eviction is
*false* when the host was alive and the control plane could have known: it reached the engine, or a peer that it
reached had been seeing the host, for the last seconds. A host that nobody within reach can see is as good as dead to
whoever has to decide.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from deployer.core.heartbeat import PERIOD_SECONDS, TIMEOUT_SECONDS, Pulse, beat
from deployer.core.survival.guards import Verdict, judge
from deployer.core.survival.judge import Host, Statement, find, in_doubt
from deployer.core.survival.states import CUT_OFF, DEAD, READY

STEP = 0.25
LENGTH_SECONDS = 150.0
WATCHED = 5
KNOWN_FOR_SECONDS = 5.0
"""A way that has been open for so long should have been noticed."""
TOLERABLE = 0.1
"""Of pings and checks lost. TCP repeats what is lost, so a ping that fails has lost a packet several times."""
CONTROL = "control"


@dataclass
class Check:
    """One router's check of one peer: two failures in a row, a second each, take it down (inter 1s fastinter 300ms)."""

    up: bool | None = None
    fails: int = 0
    next_at: float = 0.0

    def look(self, reaches: bool, now: float) -> None:
        if now < self.next_at:
            return
        if reaches:
            self.up, self.fails, self.next_at = True, 0, now + 1.0
        else:
            self.fails += 1
            self.up = False if self.fails >= 2 or self.up is None else self.up
            self.next_at = now + (1.3 if self.fails < 2 else 2.0)


@dataclass
class Machine:
    name: str
    zone: str
    on: bool = True
    engine: bool = True
    router: bool = True
    latency: float = 0.01
    loss: float = 0.0
    checks: dict[str, Check] = field(default_factory=dict)
    away_since: float = -1.0
    known_since: float = 0.0
    pulse: Pulse = field(default_factory=Pulse)
    state: str = READY
    verdict: Verdict | None = None
    returned: bool = True


@dataclass(frozen=True)
class Fault:
    """`what` befalls `who` (a host, or the side of a split) from `at` until `until`."""

    what: str
    who: tuple[str, ...]
    at: float
    until: float
    amount: float = 0.0


@dataclass(frozen=True)
class Asked:
    """A round of pings that began `at`, and who has answered it."""

    at: float
    took: float
    answered: dict[str, bool]


@dataclass
class Report:
    seed: int
    faults: list[Fault]
    false: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    deaths: int = 0


AMOUNTS = {
    "slow": [0.3, 0.8, 0.99, 1.5, 5.0], "loss": [0.05, 0.1, 0.3, 0.9], "clock": [-3600.0, -30.0, 30.0, 3600.0],
}  # fmt: skip
KINDS = ("power", "engine", "router", "slow", "loss", "link", "split", "deaf", "alone", "pause", "restart", "clock")


class Weather:
    def __init__(self, seed: int, faults: list[Fault] | None = None, hosts: int = 0) -> None:
        self.random = random.Random(seed)
        self.seed = seed
        count = hosts or self.random.randint(2, 9)
        zones = self.random.choice([1, 1, 3])
        self.machines = {f"h{n}": Machine(f"h{n}", f"z{n % zones}" if zones > 1 else "") for n in range(count)}
        self.faults = self._faults() if faults is None else faults
        self.statements: dict[str, Statement] = {}
        self.report = Report(seed, self.faults)
        self.offset = 0.0
        self.asked: Asked | None = None

    def run(self) -> Report:
        now, tick_at = 0.0, 0.0
        while now < LENGTH_SECONDS:
            self._befall(now)
            self._routers(now)
            self._note(now)
            if not self._is("pause", now):
                if self.asked is None and now >= tick_at:
                    self.asked = self._ask(now)
                if self.asked is not None:
                    if now + STEP > self.asked.at + self.asked.took:
                        tick_at = self._count(self.asked, now)
                        self.asked = None
                    elif now > self.asked.at:
                        self._listen(now)
            now += STEP
        return self.report

    # What happens

    def _faults(self) -> list[Fault]:
        found = []
        names = list(self.machines)
        for _ in range(self.random.randint(1, 5)):
            at = self.random.uniform(5, LENGTH_SECONDS - 40)
            until = at + self.random.choice([0.5, 2, 4, 8, 20, 60, 1000])
            some = tuple(self.random.sample(names, self.random.randint(1, max(1, len(names) // 2))))
            what = self.random.choice(KINDS)
            found.append(Fault(what, some, at, until, self.random.choice(AMOUNTS.get(what, [0.0]))))
        return found

    def _befall(self, now: float) -> None:
        for one in self.machines.values():
            was_on = one.on
            one.on = not self._is("power", now, one.name)
            one.engine = one.on and not self._is("engine", now, one.name)
            one.router = one.on and not self._is("router", now, one.name)
            one.latency = max([0.01, *self._amounts("slow", now, one.name)])
            one.loss = max([0.0, *self._amounts("loss", now, one.name)])
            if was_on and not one.on:
                self.report.deaths += 1
            if not one.router:
                one.checks = {}
        for fault in self.faults:
            if fault.what == "clock" and now - STEP < fault.at <= now:
                self.offset += fault.amount
                self._begin_anew()
            if fault.what == "restart" and now - STEP < fault.at <= now:
                self._begin_anew()

    def _begin_anew(self) -> None:
        """What `Heartbeats` does after a gap, and what a watch process does that has just started."""
        for one in self.machines.values():
            one.pulse = Pulse()
        self.statements.clear()

    def _is(self, what: str, now: float, who: str = "") -> bool:
        return any(f.what == what and f.at <= now < f.until and (not who or who in f.who) for f in self.faults)

    def _amounts(self, what: str, now: float, who: str) -> list[float]:
        return [f.amount for f in self.faults if f.what == what and f.at <= now < f.until and who in f.who]

    def linked(self, one: str, other: str, now: float) -> bool:
        for fault in self.faults:
            if not fault.at <= now < fault.until:
                continue
            sides = (one in fault.who, other in fault.who)
            if fault.what == "split" and sides[0] != sides[1]:
                return False
            if fault.what == "link" and {one, other} <= {*fault.who, fault.who[0]} and CONTROL not in (one, other):
                return False
            if fault.what == "deaf" and CONTROL in (one, other) and any(sides):
                return False
            if fault.what == "alone" and CONTROL in (one, other):
                return False
        return True

    def _sees(self, one: Machine, other: Machine, now: float) -> bool:
        return other.router and self.linked(one.name, other.name, now) and self.random.random() >= other.loss

    def _routers(self, now: float) -> None:
        names = list(self.machines)
        for place, one in enumerate(self.machines.values()):
            if one.router:
                for step in range(1, min(WATCHED, len(names) - 1) + 1):
                    other = self.machines[names[(place + step) % len(names)]]
                    one.checks.setdefault(other.name, Check()).look(self._sees(one, other, now), now)

    # What the control plane makes of it

    def _ask(self, now: float) -> Asked:
        answered = {}
        took = 0.0
        for one in self.machines.values():
            reaches = one.engine and self.linked(CONTROL, one.name, now) and self.random.random() >= one.loss
            answered[one.name] = reaches and one.latency < TIMEOUT_SECONDS
            took = max(took, one.latency if answered[one.name] else TIMEOUT_SECONDS)
        return Asked(now, took, answered)

    def _count(self, asked: Asked, now: float) -> float:
        """At the end of a round of pings. Returns when the next one is due."""
        for one in self.machines.values():
            answered = asked.answered[one.name]
            one.pulse = beat(one.pulse, "" if answered else "no answer within 1 s", asked.at + self.offset,
                             asked.at + self.offset + (0.01 if answered else TIMEOUT_SECONDS))  # fmt: skip
        self._hear(now)
        self._judge(asked.at + asked.took + self.offset, now)
        return asked.at + max(PERIOD_SECONDS, asked.took + 0.1)

    def _listen(self, now: float) -> None:
        """While a ping is under way, as `Heartbeats` does: what the peers of a host in doubt say may decide."""
        if in_doubt(map(self._host, self.machines.values())):
            self._hear(now)
            self._judge(now + self.offset, now, (DEAD, CUT_OFF))

    def _hear(self, now: float) -> None:
        for one in self.machines.values():
            if one.router and self.linked(CONTROL, one.name, now):
                said = {name: check.up for name, check in one.checks.items()}
                self.statements[one.name] = Statement(now + self.offset, said)

    def _judge(self, at: float, now: float, only: tuple[str, ...] = ()) -> None:
        hosts = [self._host(one) for one in self.machines.values()]
        verdicts = judge(hosts, find(hosts, self.statements, at), at)
        for host in hosts:
            one, verdict = self.machines[host.uid], verdicts[host.uid]
            if only and verdict.state not in only:
                continue
            if verdict.evicting_at and not host.evicting_at:
                self._evicted(one, now)
            one.returned = one.returned if verdict.state != DEAD else False
            one.returned = one.returned or one.pulse.is_answered
            one.state, one.verdict = verdict.state, verdict

    def _host(self, one: Machine) -> Host:
        before = one.verdict
        host = Host(one.name, one.name, one.pulse, one.state, zone=one.zone, read_at=1.0 if one.returned else 0.0)
        if before is None:
            return host
        return replace(host, message=before.message, evicting_at=before.evicting_at, held=before.held,
                       witnesses=before.witnesses)  # fmt: skip

    def _evicted(self, one: Machine, now: float) -> None:
        words = f"{one.name} at {now:g} s"
        self.report.evicted.append(words)
        if one.on and now - one.known_since >= KNOWN_FOR_SECONDS:
            self.report.false.append(words)

    def _note(self, now: float) -> None:
        """Since when the control plane could know of each host: directly, or by a peer that it reaches."""
        names = list(self.machines)
        for place, one in enumerate(self.machines.values()):
            reached = one.engine and self.linked(CONTROL, one.name, now) and one.latency < TIMEOUT_SECONDS
            direct = reached and one.loss <= TOLERABLE
            watchers = [names[(place - step) % len(names)] for step in range(1, min(WATCHED, len(names) - 1) + 1)]
            by_peer = one.router and one.loss <= TOLERABLE and any(
                self._speaks_of(self.machines[peer], one, now) for peer in watchers
            )  # fmt: skip
            if not (one.on and (direct or by_peer)) or self._is("pause", now):
                one.known_since = now

    def _speaks_of(self, peer: Machine, one: Machine, now: float) -> bool:
        answers = peer.router and peer.engine and peer.latency < TIMEOUT_SECONDS and peer.loss <= TOLERABLE
        return answers and self.linked(CONTROL, peer.name, now) and self.linked(peer.name, one.name, now)
