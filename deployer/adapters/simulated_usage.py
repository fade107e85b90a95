"""What a simulated container uses: a plausible day, worked out from its name and the time alone.

Each has a usual load of its own, around which its CPU goes up and down within ten minutes; its memory fills after a
start. Both stay below the container's limits. Whoever looks twice at the same moment sees the same.
"""

from __future__ import annotations

import hashlib
import math

from deployer.adapters.simulated_lifecycle import Record
from deployer.core.usage import Usage

_PERIOD_SECONDS, _SWING = 600.0, 0.6
_FILLING_SECONDS, _BREATH = 120.0, 0.05
_MILLICORES, _MEMORY_BYTES = (2.0, 120.0), (16 << 20, 240 << 20)


def usage(record: Record, now: float, host_millicores: int, host_memory_bytes: int) -> Usage | None:
    """None unless it runs."""
    if record.state != "running":
        return None
    limit = record.memory_bytes or host_memory_bytes
    return Usage(
        at=now,
        cpu_nanoseconds=_cpu(record, now, record.cpu_millicores or host_millicores),
        memory_bytes=_memory(record, now, limit),
        memory_limit_bytes=limit,
        cpus=max(1, host_millicores // 1000),
    )


def _cpu(record: Record, now: float, limit_millicores: int) -> int:
    """The load since its start, added up: usual x (1 + swing x cos(turns)), as an integral."""
    usual = _usual(_MILLICORES, limit_millicores / (1 + _SWING), _drawn(record, "cpu"))
    speed, shift = 2 * math.pi / _PERIOD_SECONDS, 2 * math.pi * _drawn(record, "phase")
    swung = (math.sin(now * speed + shift) - math.sin(record.started_at * speed + shift)) / speed
    return max(0, int(usual * 1e6 * (now - record.started_at + _SWING * swung)))


def _memory(record: Record, now: float, limit_bytes: int) -> int:
    usual = _usual(_MEMORY_BYTES, limit_bytes / (1 + _BREATH), _drawn(record, "memory"))
    filled = 1 - 0.5 * math.exp(-(now - record.started_at) / _FILLING_SECONDS)
    return int(usual * filled * (1 + _BREATH * math.sin(2 * math.pi * now / _PERIOD_SECONDS)))


def _usual(ends: tuple[float, float], limit: float, part: float) -> float:
    """Most have little: the square of a part of 0 to 1, between these ends and below the limit."""
    most = min(ends[1], limit)
    least = min(ends[0], most / 2)
    return least + (most - least) * part * part


def _drawn(record: Record, what: str) -> float:
    """0 to 1, the same at every look."""
    return int.from_bytes(hashlib.sha256(f"{record.name}/{what}".encode()).digest()[:4]) / 2**32
