"""The way to one node's router: its engine, its command line, and what this process remembers of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from deployer.core.network.routing import Routed
from deployer.loops.images import NodeImages
from deployer.loops.router_memory import RouterMemory
from deployer.ports import Engine, EngineError, RouterLine


@dataclass
class RouterAccess:
    """`engine` and `images` are the node's own, shared with converge. `open_line` makes a line; nothing is sent then.

    `rest` waits for so many seconds. `pool` takes one pass at a time, while whoever holds the lease renews it.
    """

    uid: str
    name: str
    engine: Engine
    images: NodeImages
    open_line: Callable[[Routed], RouterLine]
    rest: Callable[[float], None]
    pool: Executor
    memory: RouterMemory = field(default_factory=RouterMemory)
    _line: tuple[object, RouterLine] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, routed: Routed, commands: Sequence[str]) -> list[str]:
        """Over the line that is kept open. One that was opened with other words (address, certificate) is replaced."""
        return self._current(routed).ask(commands)

    @property
    def has_line(self) -> bool:
        return self._line is not None

    def ask_kept(self, commands: Sequence[str]) -> list[str]:
        """Over the line that is open as it is; RouterUnreachable when there is none."""
        with self._lock:
            kept = self._line
        if kept is None:
            raise EngineError("RouterUnreachable", f"no line to the router of {self.name} is open")
        return kept[1].ask(commands)

    def hang_up(self) -> None:
        """After a reload: a connection that is kept stays with the process that is on its way out."""
        with self._lock:
            if self._line is not None:
                self._line[1].close()
            self._line = None

    def close(self) -> None:
        self.hang_up()
        self.pool.shutdown(wait=False)

    def _current(self, routed: Routed) -> RouterLine:
        words = (routed.line_host, routed.cluster.mesh_port, routed.control)
        with self._lock:
            if self._line is not None and self._line[0] != words:
                self._line[1].close()
                self._line = None
            if self._line is None:
                self._line = (words, self.open_line(routed))
            return self._line[1]
