"""What processes cost, by /proc: CPU of a process and all below it, and memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(roots: Collection[int]) -> set[int]:
    """These processes and all below them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= more
    return found


def cpu_seconds(roots: Collection[int]) -> float:
    """Of all of them that are alive, and of their children that have ended."""
    total = 0
    for pid in family(roots):
        with contextlib.suppress(OSError):
            total += sum(map(int, _stat(pid)[11:15]))
    return total / _TICKS


def memory_mb(roots: Collection[int]) -> float:
    """Proportional set size: what is shared between them counts once."""
    return sum(_pss(pid) for pid in family(roots)) / 1000


def parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """The fields behind the name, which may hold blanks: state, ppid, ..."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


def _pss(pid: int) -> int:
    """In kB; 0 of one that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0
