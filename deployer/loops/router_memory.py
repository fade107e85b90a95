"""What a process remembers of one node's router between two passes, so that a pass sends only what is new.

It is never the truth: everything is sent and looked at again when another process may have been at it (the lease was
not ours without a gap), when the router's container has started anew, and once a minute (a file that was changed by
hand is put right).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from deployer.core.container import ContainerSeen

FULL_SECONDS = 60.0


@dataclass
class RouterMemory:
    """`files` and `maps`: path -> digest of what the volume, and the running HAProxy, were given. `answers`: the
    ranges that the router answers for. `tried`: the servers of probes that have had their first try. `pushed`: digest
    of what was last reloaded without an answer from its line. `image_ids`: reference -> id. `recovered_at`: when a
    container that keeps ending was last set going."""

    epoch: int = -1
    runs: dict[str, tuple[str, float]] = field(default_factory=dict)
    full_at: float = 0.0
    files: dict[str, str] = field(default_factory=dict)
    maps: dict[str, str] = field(default_factory=dict)
    answers: frozenset[str] | None = None
    tried: frozenset[str] = frozenset()
    image_ids: dict[str, str] = field(default_factory=dict)
    pushed: str = ""
    recovered_at: float = 0.0
    edge: str = ""
    taken: frozenset[int] = frozenset()
    taken_at: float = 0.0

    def begin(self, epoch: int, now: float) -> bool:
        """At the start of a pass. Whether another process may have been at the node since our last one.

        Once in FULL_SECONDS everything is forgotten that is not about HAProxy's running state.
        """
        is_doubtful = epoch != self.epoch + 1
        if is_doubtful:
            self.forget()
        elif now - self.full_at >= FULL_SECONDS:
            self.files, self.maps, self.answers, self.image_ids, self.full_at = {}, {}, None, {}, 0.0
        self.epoch = epoch
        return is_doubtful

    def forget(self) -> None:
        fresh = RouterMemory(epoch=self.epoch, recovered_at=self.recovered_at)
        self.__dict__.update(fresh.__dict__)

    def began(self, component: str, seen: ContainerSeen | None) -> bool:
        """Whether this container is another, or has started, since it was last asked about."""
        run = (seen.id, seen.detail.started_at if seen.detail else 0.0) if seen else ("", 0.0)
        is_new = self.runs.get(component) != run
        self.runs[component] = run
        return is_new

    def unsent(self, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Those that the volume does not hold, as far as is known."""
        return {path: data for path, data in files.items() if self.files.get(path) != digest(data)}

    def sent(self, files: Mapping[str, bytes]) -> None:
        self.files.update({path: digest(data) for path, data in files.items()})

    def unmapped(self, maps: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
        """Those whose entries in the running HAProxy are not known to be these."""
        return {name: entries for name, entries in maps.items() if self.maps.get(name) != map_digest(entries)}

    def mapped(self, maps: Mapping[str, Mapping[str, str]]) -> None:
        self.maps.update({name: map_digest(entries) for name, entries in maps.items()})

    def loaded(self, maps: Mapping[str, Mapping[str, str]]) -> None:
        """HAProxy has read all of its files."""
        self.maps = {}
        self.mapped(maps)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def map_digest(entries: Mapping[str, str]) -> str:
    return digest_of(f"{key} {value}" for key, value in sorted(entries.items()))


def digest_of(parts: Iterable[str]) -> str:
    return digest("\n".join(parts).encode())
