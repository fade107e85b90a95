"""Signs of life: a process touches DIR/run/pulse-PROCESS-HOST when it is ready, and again while it works.

`up` waits for the first one; a container's health check asks for a recent one:
`python -m control.pulse worker --within 60`. Where one of several works and the others stand by, as with beat, all are
well when any of them has one: `--any-host`. Standard library only, so that a check costs next to nothing.
"""

import argparse
import os
import socket
import sys
import time
from pathlib import Path

from control import data

INTERVAL_SECONDS = 5.0
_written_at: dict[str, float] = {}


def beat(process: str) -> None:
    """Says that `process` (worker, watch) is alive; cheap enough to be called for every piece of work."""
    now = time.monotonic()
    if now - _written_at.get(process, -INTERVAL_SECONDS) < INTERVAL_SECONDS:
        return
    _written_at[process] = now
    path = _path(data.folder(os.environ), process)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch()


def silent_seconds(process: str) -> float | None:
    """Since this very process last called `beat`, by the monotonic clock; None before the first time."""
    return time.monotonic() - _written_at[process] if process in _written_at else None


def age_seconds(data_dir: Path, process: str) -> float | None:
    """Seconds since the last sign of life of `process` on this host; None when there was none."""
    try:
        return max(0.0, time.time() - _path(data_dir, process).stat().st_mtime)
    except FileNotFoundError:
        return None


def last_seconds(data_dir: Path, process: str) -> float | None:
    """As age_seconds, of any host that shares the data folder."""
    found = [path.stat().st_mtime for path in (data_dir / "run").glob(f"pulse-{process}-*")]
    return max(0.0, time.time() - max(found)) if found else None


def heard(data_dir: Path, process: str) -> bool:
    """Whether `process` has given a sign of life since the last one was forgotten."""
    return age_seconds(data_dir, process) is not None


def forget(data_dir: Path, process: str) -> None:
    """Removes the last sign of life, so that the next one is that of a new process."""
    _path(data_dir, process).unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m control.pulse", description="Exit code 0 when PROCESS is alive.")
    parser.add_argument("process")
    parser.add_argument("--within", type=float, default=60.0, metavar="SECONDS")
    parser.add_argument("--any-host", action="store_true")
    options = parser.parse_args(arguments)
    measure = last_seconds if options.any_host else age_seconds
    age = measure(data.folder(os.environ), options.process)
    if age is not None and age <= options.within:
        return 0
    sys.stderr.write(f"{options.process}: {'no sign of life yet' if age is None else f'silent for {age:.0f} s'}\n")
    return 1


def _path(data_dir: Path, process: str) -> Path:
    return data_dir / "run" / f"pulse-{process}-{socket.gethostname()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
