"""What a node gives to pods: its capacity minus what the host keeps for itself.

The engine, sshd and the kernel need room that no container may be promised; without a reserve, a host that is full by
the book swaps or kills. Memory: 5 %, at least 256 MiB, never more than half. CPU: 100m, never more than half.

    8 GiB, 4 cores   ->  7.6 GiB (5 % is 410 MiB),  3900m
    1 GiB, 1 core    ->  768 MiB (the 256 MiB floor), 900m
    256 MiB          ->  128 MiB (half)
"""

from __future__ import annotations

from deployer.core.scheduling.resources import Resources

RESERVED_CPU_MILLICORES = 100
RESERVED_MEMORY_PERCENT = 5
RESERVED_MEMORY_FLOOR_BYTES = 256 * 1024**2


def allocatable(cpu_millicores: int, memory_bytes: int) -> Resources:
    """What pods may request together on a host of this capacity."""
    memory = max(memory_bytes * RESERVED_MEMORY_PERCENT // 100, RESERVED_MEMORY_FLOOR_BYTES)
    return Resources(
        cpu_millicores=cpu_millicores - min(RESERVED_CPU_MILLICORES, cpu_millicores // 2),
        memory_bytes=memory_bytes - min(memory, memory_bytes // 2),
    )
