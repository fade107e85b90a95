"""The edge: the HAProxy on the host's own network is given its configuration, and a port that is taken is told.

It has no command line that could be reached. So what it was last seen to load is noted beside its configuration, for
whichever process comes next: a needless reload would in the end cost connections (`mworker-max-reloads`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from deployer.core.container import ContainerSeen
from deployer.core.network.edge import edge_text
from deployer.core.network.router_host import EDGE, EDGE_FILE
from deployer.core.network.values import FOLDER, MESH_NETWORK, RouterConfig
from deployer.loops.router_access import RouterAccess
from deployer.loops.router_containers import checked
from deployer.loops.router_files import entries
from deployer.loops.router_memory import digest
from deployer.ports import Clock, EngineError, EngineUnreachable

NAME = f"pierhead-{EDGE}"
NOTE_FILE = "edge.loaded"
TRIES = 4
LOAD_SECONDS = 15.0
"""At most, for its word on what it loads: a busy host takes seconds, and nothing else tells of a port that is taken."""
RETRY_SECONDS = 3.0
POLL_SECONDS = 0.1
EXEC_SECONDS = 30.0
TAKEN_SECONDS = 300.0
"""A port that was taken is tried again so often: a reload that fails holds all ports up for a moment."""
_TAKEN = re.compile(r"cannot bind socket .*?:(\d+)\]")
_NOTED = re.compile(r"([0-9a-f]{64}) ([0-9.]+) ([0-9,]*)")
_LOADED = re.compile(r"Loading (success|failure)|Some protocols failed to start")


@dataclass
class RouterEdge:
    node: RouterAccess
    config: RouterConfig
    seen: ContainerSeen | None
    clock: Clock
    problems: list[str]
    reason: str = ""
    """What is wrong, in one word; "" for nothing."""

    def make(self) -> list[float]:
        """Returns when to look again. What is wrong with it does not keep the router from serving."""
        if not self.config.edge:
            self.node.memory.edge, self.node.memory.taken = "", frozenset()
            return []
        try:
            return self._make()
        except EngineError as error:
            self._complain(error.reason, error.sentence)
            return [self.clock.now() + RETRY_SECONDS]

    def _make(self) -> list[float]:
        memory, now = self.node.memory, self.clock.now()
        if not memory.edge:
            self._recall()
        if now - memory.taken_at >= TAKEN_SECONDS:
            memory.taken = frozenset()
        for _ in range(TRIES):
            text = self._text(memory.taken)
            if memory.edge == self._digest(text) or not text:
                break
            found = self._load(text)
            if not found - memory.taken:
                self._remember(text)
                break
            memory.taken, memory.taken_at = memory.taken | found, now
        taken = sorted(memory.taken & set(self.config.edge_ports))
        for port in taken:
            self._complain("PortTaken", f"port {port} of {self.node.name} is taken by another program; end it, or give "
                           "the Service or Ingress other nodes")  # fmt: skip
        return [memory.taken_at + TAKEN_SECONDS] if taken else []

    def _load(self, text: str) -> frozenset[int]:
        """Have it run with this text. Returns the ports that it could not have; then it goes on as before."""
        self.node.engine.put_files(NAME, FOLDER, entries({f"{EDGE_FILE}.new": text.encode()}))
        if self._runs() and (said := checked(self.node, NAME, f"{EDGE_FILE}.new")):
            raise EngineError("EdgeRefusedConfig", f"the edge of {self.node.name} goes on as it is: {said}")
        self.node.engine.put_files(NAME, FOLDER, entries({EDGE_FILE: text.encode()}))
        since = self.node.engine.host_time()
        if self._runs():
            self.node.engine.execute(NAME, ("kill", "-USR2", "1"), EXEC_SECONDS)
        else:
            self.node.engine.stop(NAME, 0)
            self.node.engine.start(NAME)
        return self._taken(since)

    def _taken(self, since: float) -> frozenset[int]:
        """Read off what it says while it loads."""
        until = self.clock.now() + LOAD_SECONDS
        while True:
            said = b"".join(self.node.engine.logs(NAME, since=since)).decode("utf-8", "replace")
            if _LOADED.search(said) or self.clock.now() >= until:
                return frozenset(int(port) for port in _TAKEN.findall(said))
            self.node.rest(POLL_SECONDS)

    def _runs(self) -> bool:
        found = self.node.engine.inspect(NAME)
        return found is not None and found.state == "running"

    def _text(self, without: Iterable[int]) -> str:
        """Without these ports. The router's address on the mesh network is where everything goes."""
        left = set(self.config.edge_ports) - set(without)
        if left == set(self.config.edge_ports):
            return self.config.edge
        router = next(one.address for one in self.config.attachments if one.network == MESH_NETWORK)
        return edge_text(router, left)

    def _remember(self, text: str) -> None:
        memory, found = self.node.memory, self.node.engine.inspect(NAME)
        if found is None:
            return
        memory.began(EDGE, found)
        memory.edge = self._digest(text)
        note = f"{memory.edge} {memory.taken_at} {','.join(map(str, sorted(memory.taken)))}\n"
        self.node.engine.put_files(NAME, FOLDER, entries({NOTE_FILE: note.encode()}))

    def _recall(self) -> None:
        """What another process noted. A note about an earlier run has another digest."""
        if not self._runs():
            return
        try:
            shown = self.node.engine.execute(NAME, ("cat", f"{FOLDER}/{NOTE_FILE}"), EXEC_SECONDS)
        except EngineUnreachable:
            raise
        except EngineError:
            return  # an image without `cat`: it is loaded once more
        found = _NOTED.fullmatch(shown.output.strip("\n"))
        if shown.exit_code == 0 and found:
            memory = self.node.memory
            memory.edge, memory.taken_at = found[1], float(found[2])
            memory.taken = frozenset(int(port) for port in found[3].split(",") if port)

    def _digest(self, text: str) -> str:
        """Of what this very run has loaded."""
        return digest(f"{self.node.memory.runs.get(EDGE)} {text}".encode())

    def _complain(self, reason: str, sentence: str) -> None:
        self.reason = self.reason or reason
        self.problems.append(sentence)
