"""One pass over a node's router: containers, files, configuration, servers and maps, the host's ports, findings.

    Routed -> less for a canary? at once -> router_config -> make the containers run -> which structure runs?
        another: put its files, check, replace, reload
    -> fill maps, add, drain and delete servers, more for a canary -> put what differs -> what its probes found
    -> RouterOutcome

What runs comes first: files are read by a start or a reload only, and to write them takes the engine longer than all
the rest. Those of a reload that is to come are there before it.

It touches no database and may be killed anywhere: everything it does is done again, or found done, by the next one.
A configuration that HAProxy refuses changes nothing that runs; pods still come and go in what runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from deployer.core.network.config import router_config
from deployer.core.network.first_tries import TRIED_SECONDS, FirstTries, first_tries
from deployer.core.network.maps import FIRST
from deployer.core.network.probe_times import decided_at
from deployer.core.network.probes import results, unanswered
from deployer.core.network.router_host import EDGE, ROUTER
from deployer.core.network.routing import Routed, RouterOutcome, resync_seconds
from deployer.core.network.runtime import Live, Moves, StatRow, moves, read_servers, read_stats
from deployer.core.network.server_names import pod_key
from deployer.core.network.splits import first_maps
from deployer.core.network.values import CONFIG_FILE, FOLDER, ProbeResult, RoutedPod, RouterConfig
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_containers import RouterContainers, checked, last_lines
from deployer.loops.router_edge import RouterEdge
from deployer.loops.router_files import contents, entries
from deployer.loops.router_maps import ease, push_maps
from deployer.loops.router_memory import digest_of
from deployer.ports import Clock, EngineError, EngineUnreachable

NAME = f"pierhead-{ROUTER}"
ROUNDS = 4
"""Looks at the servers in one pass; what takes longer (streams that end) is looked at in another."""
ANSWER_SECONDS = 5.0
POLL_SECONDS, TRY_SECONDS = 0.1, 0.03
EXEC_SECONDS = 30.0
FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 60.0
_STRUCTURE = re.compile(r"value=<([^>]*)>")
_STOPPING = re.compile(r"^Stopping: [1-9]", re.MULTILINE)
_MAP_LISTED = re.compile(rf"\({FOLDER}/(\S+?)\)")


@dataclass
class RouterTurn:
    """`take` answers with what to save and when to look again. `epoch` is the lease's: it grows with each holding.
    `began_at`: when what it works on began to be read, 0 when nobody knows."""

    node: RouterAccess
    routed: Routed
    clock: Clock
    epoch: int
    began_at: float = 0
    problems: list[str] = field(default_factory=list)
    wake_ats: list[float] = field(default_factory=list)

    def take(self) -> tuple[RouterOutcome, float]:
        if self.node.memory.begin(self.epoch, self.clock.now()):
            self.node.hang_up()  # another process may have had it reloaded: a kept line leads to the one before
        told = self.routed.cluster
        first = first_maps(told.services, told.pods, told.splits)
        ease(self.node, partial(self.node.ask, self.routed), first)
        try:
            outcome = self._outcome(router_config(self.routed.cluster))
        except EngineUnreachable as error:
            outcome = RouterOutcome(False, "Unknown", error.sentence)
        except EngineError as error:
            outcome = RouterOutcome(False, error.reason, error.sentence, tuple(self.problems))
        return outcome, self._wake_at(outcome)

    def _outcome(self, config: RouterConfig) -> RouterOutcome:
        self.problems.extend(config.problems)
        containers = RouterContainers(self.node, self.routed, config, self.clock, self.problems)
        if containers.make():
            self._began_anew()
        refused = self._loaded(config)
        if refused is not None and refused.reason != "RouterRefusedConfig":
            return refused
        served = config if refused is None else self._known_to(config)
        push_maps(self.node, self.routed, {name: them for name, them in served.maps.items() if name not in FIRST})
        found = self._look()
        tries = self._tries(served, found)
        version, found = self._moved(tries.config if tries else served, found)
        push_maps(self.node, self.routed, {name: them for name, them in served.maps.items() if name in FIRST})
        # For a start without us: with the servers of today, unless they would not be accepted.
        self._kept(contents(config) | ({CONFIG_FILE: config.text.encode()} if refused is None else {}))
        tried = self._tried(tries) if tries else ()
        if tries:
            version, found = self._moved(served, self._look())
        probes = self._findings(found.stats, tried)
        edge = RouterEdge(self.node, config, containers.component(EDGE), self.clock, self.problems)
        self.wake_ats += edge.make()
        if refused is not None:
            return replace(refused, problems=tuple(self.problems), version=version, probes=probes)
        count = len(config.attachments)
        words = f"serves {count} {'network' if count == 1 else 'networks'}"
        message = self.problems[0] if self.problems else words
        reason = edge.reason or "RouterReady"
        return RouterOutcome(True, reason, message, tuple(self.problems), version, probes)

    def _wake_at(self, outcome: RouterOutcome) -> float:
        now = self.clock.now()
        pass_seconds = now - self.began_at if self.began_at else 0.0
        resync = resync_seconds(pass_seconds, len(self.routed.cluster.nodes))
        if not outcome.ready:
            # All of them may fail for one reason, such as an image that nobody has: together they take what looks do.
            pause = min(FIRST_RETRY_SECONDS * 2.0 ** min(self.routed.retry, 10), max(LONGEST_RETRY_SECONDS, resync))
            return min([now + pause, *self.wake_ats])
        moments = [now + resync, *self.wake_ats]
        return min([*moments, self.routed.wake_at] if self.routed.wake_at is not None else moments)

    # Files and the configuration

    def _began_anew(self) -> None:
        self.node.hang_up()
        self.node.memory.maps, self.node.memory.pushed = {}, ""

    def _put(self, files: Mapping[str, bytes]) -> None:
        memory = self.node.memory
        unsent = memory.unsent(files)
        if unsent:
            self.node.engine.put_files(NAME, FOLDER, entries(unsent))
            memory.sent(unsent)
        memory.full_at = memory.full_at or self.clock.now()

    def _kept(self, files: Mapping[str, bytes]) -> None:
        """Files for later. Where they cannot be written (the host's disk is full), what runs is as it should be all the
        same: what its probes find counts, and it is tried again."""
        try:
            self._put(files)
        except EngineUnreachable:
            raise
        except EngineError as error:
            self.problems.append(f"{error.sentence}; a restart would bring back what its router was before")
            self.wake_ats.append(self.clock.now() + LONGEST_RETRY_SECONDS)

    def _loaded(self, config: RouterConfig) -> RouterOutcome | None:
        """Have the running HAProxy be of this structure. None: it is; else what to tell."""
        try:
            running = self._structure()
        except EngineError as error:
            self._put(contents(config))
            return self._without_line(config, error)
        if running == config.structure:
            return None
        self._put(contents(config))
        if said := self._pushed(config):
            return self._refused(said)
        return self._reloaded(config)

    def _structure(self) -> str:
        """What runs. A router that has only just started, or been told to reload, is given a moment to answer."""
        until = self.clock.now() + ANSWER_SECONDS
        while True:
            try:
                said, info = self.node.ask(self.routed, ["get var proc.structure", "show info"])
            except EngineError:
                self.node.hang_up()
                if self.clock.now() >= until:
                    raise
            else:
                found = _STRUCTURE.search(said)
                if not _STOPPING.search(info):
                    return found[1] if found else ""
                self.node.hang_up()  # the line led to a process that is on its way out
                if self.clock.now() >= until:
                    return ""
            self.node.rest(POLL_SECONDS)

    def _pushed(self, config: RouterConfig) -> str:
        """Check the configuration, put it in place and tell HAProxy. Returns what HAProxy has against it."""
        text = {f"{CONFIG_FILE}.new": config.text.encode()}
        self.node.engine.put_files(NAME, FOLDER, entries(text))
        if said := checked(self.node, NAME, f"{CONFIG_FILE}.new"):
            return said
        self.node.engine.put_files(NAME, FOLDER, entries({CONFIG_FILE: config.text.encode()}))
        self.node.engine.execute(NAME, ("kill", "-USR2", "1"), EXEC_SECONDS)
        self.node.hang_up()
        return ""

    def _reloaded(self, config: RouterConfig) -> RouterOutcome | None:
        until = self.clock.now() + ANSWER_SECONDS
        while self._structure() != config.structure:
            if self.clock.now() >= until:
                words = last_lines(self.node, NAME)
                sentence = f"{self._where} did not take its new configuration: {words}"
                return RouterOutcome(False, "ReloadFailed", sentence)
            self.node.hang_up()
            self.node.rest(POLL_SECONDS)
        self.node.memory.loaded(config.maps)
        return None

    def _refused(self, said: str) -> RouterOutcome:
        sentence = f"{self._where} goes on with its last configuration, HAProxy refused the new one: {said}"
        return RouterOutcome(False, "RouterRefusedConfig", sentence)

    def _without_line(self, config: RouterConfig, error: EngineError) -> RouterOutcome | None:
        """Nobody can be asked, so what is new is brought by a reload; each once. The line tells why it is away."""
        new = digest_of([config.text, *(f"{name} {data!r}" for name, data in sorted(contents(config).items()))])
        if self.node.memory.pushed != new:
            self.node.memory.files = {}
            self._put(contents(config))
            if said := self._pushed(config):
                return self._refused(said)
            self.node.memory.pushed = new
            return self._loaded(config)  # the line may have been away because of what was just put right
        port, host = self.routed.cluster.mesh_port, self.routed.line_host
        sentence = (
            f"{error.sentence}. {self._where} was reloaded with all that is new, but its probes and counters cannot be "
            f"read: open port {port} of {host or self.node.name} to the control plane"
        )
        return RouterOutcome(False, error.reason, sentence, tuple(self.problems))

    # Servers

    def _known_to(self, config: RouterConfig) -> RouterConfig:
        """Of a configuration that was refused, what the running one has as well: pods come and go there."""
        stat, listed = self.node.ask(self.routed, ["show stat -1 2 -1", "show map"])
        backends = {row.proxy for row in read_stats(stat)}
        held = set(_MAP_LISTED.findall(listed))
        return replace(
            config,
            servers={name: servers for name, servers in config.servers.items() if name in backends},
            maps={name: found for name, found in config.maps.items() if name in held},
        )

    def _moved(self, config: RouterConfig, found: Live) -> tuple[int | None, Live]:
        """The version that is in the router (see RouterOutcome), and the last look; `found` is the first one."""
        todo = moves(config, found)
        for _ in range(ROUNDS):
            if not todo.commands:
                break
            self.node.ask(self.routed, todo.commands)
            found = self._look()
            todo = moves(config, found)
        if todo.wake_at is not None:
            self.wake_ats.append(todo.wake_at)
        return None if todo.commands else self._version(todo), found

    def _tries(self, config: RouterConfig, found: Live) -> FirstTries | None:
        """Once for each probe: one that takes its time to answer is not to be cut short by the next pass."""
        memory, fresh = self.node.memory, unanswered(self._mine, self.routed.before)
        tries = first_tries(config, found, fresh - memory.tried)
        begun = {name for _, name in tries.servers} if tries else set()
        memory.tried = frozenset(memory.tried & fresh | begun)
        return tries

    def _tried(self, tries: FirstTries) -> Sequence[StatRow]:
        """What the first tries of new probes have found, as soon as all have passed, or so far."""
        until = self.clock.now() + TRIED_SECONDS
        rows = self._look().stats
        while not tries.have_passed(rows) and self.clock.now() < until:
            self.node.rest(TRY_SECONDS)
            rows = self._look().stats
        return rows

    def _look(self) -> Live:
        state, stat = self.node.ask(self.routed, ["show servers state", "show stat -1 4 -1"])
        pods = {pod.uid: pod.key for pod in self.routed.cluster.pods if pod.uid in self.routed.leaving}
        return Live(read_servers(state), tuple(read_stats(stat)), self.clock.now(), pods)

    def _version(self, todo: Moves) -> int:
        """Up to the first deletion whose pod is not out yet: one that takes its time holds up no pod before it."""
        draining = {pod_key(one.partition("/")[2]) for one in todo.waiting}
        pods = (pod for pod in self.routed.cluster.pods if pod.uid in self.routed.leaving)
        inside = [pod.uid for pod in pods if pod.uid not in todo.left or pod.key in draining]
        deletions = (self.routed.leaving[uid] for uid in inside)
        return min((version - 1 for version in deletions if version), default=self.routed.version)

    def _findings(self, rows: Sequence[StatRow], tried: Sequence[StatRow]) -> dict[str, tuple[ProbeResult, ...]]:
        """`tried`: the rows of first tries, whose servers are gone since."""
        before = {**self.routed.before, **results(self._mine, tried, self.routed.before)}
        found = results(self._mine, rows, before)
        at = decided_at(self._mine, rows, found, self.clock.now())
        self.wake_ats += [] if at is None else [at]
        return {uid: told for uid, told in found.items() if told != self.routed.before.get(uid)}

    @property
    def _mine(self) -> tuple[RoutedPod, ...]:
        return tuple(pod for pod in self.routed.cluster.pods if pod.node == self.routed.cluster.node.uid)

    @property
    def _where(self) -> str:
        return f"the router of {self.node.name}"
