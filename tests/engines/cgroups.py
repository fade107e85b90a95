"""Control groups as a way to find, and to end, everything that one test host has started.

Both kernels' layouts are served: one unified tree (v2), or a tree for each controller (v1).
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")


def trees() -> list[Path]:
    """The trees in which an engine makes groups for its containers; processes are looked up in the first."""
    if (_ROOT / "cgroup.controllers").exists():
        return [_ROOT]
    found = sorted(path for path in _ROOT.iterdir() if path.is_dir() and (path / "cgroup.procs").exists())
    return sorted(found, key=lambda path: path.name != "pids")


def make(group: str) -> Path:
    """Create `group` ("name/part") and return the file into which a process writes itself."""
    path = trees()[0] / group
    path.mkdir(parents=True, exist_ok=True)
    return path / "cgroup.procs"


def members(group: str) -> set[int]:
    """The processes in `group` and below."""
    return _members(trees()[0] / group)


def end(group: str, *, deadline_seconds: float = 10) -> None:
    """SIGKILL every process in `group` and below, and remove the groups."""
    until = time.monotonic() + deadline_seconds
    while members := _members(trees()[0] / group):
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            raise TimeoutError(f"processes {sorted(members)} of {group} do not end")
        time.sleep(0.005)
    for tree in trees():
        _remove(tree / group)


def _members(path: Path) -> set[int]:
    pids: set[int] = set()
    for folder, _, files in os.walk(path):
        if "cgroup.procs" in files:
            with contextlib.suppress(OSError):
                pids.update(int(line) for line in Path(folder, "cgroup.procs").read_text().split())
    return pids


def _remove(path: Path) -> None:
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
