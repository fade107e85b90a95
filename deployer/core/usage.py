"""From an engine's counters to what pods use: CPU and memory of each pod and node, 15 seconds at a time.

    readings of containers -> since the last look -> amounts per pod and node -> rows -> points of a plot

CPU is counted by the kernel from a container's start on, so two looks are subtracted; memory is what the last look
found. Nothing here knows a clock, a socket or a database.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a running container has used, read at `at` (the host's clock).

    `cpu_nanoseconds` counts from the container's start. `memory_bytes` is the working set: what is used without the
    file cache that the kernel would drop first, as Kubernetes counts it. `memory_limit_bytes` is the host's memory
    where the container has no limit. `cpus`: the host's processors, 0 when the engine does not say.
    """

    at: float
    cpu_nanoseconds: int
    memory_bytes: int
    memory_limit_bytes: int
    cpus: int = 0
