"""A Git host of its own process, so that its CPU is not ours: `git http-backend` on loopback.

    python -m tests.benchmarks.git_host FOLDER

Prints its address, and serves the bare repositories in FOLDER until its standard input ends.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.contracts.git_servers import http_server

HOME = Path(__file__).parents[2]


@contextlib.contextmanager
def git_host(folder: Path) -> Iterator[str]:
    """The address under which FOLDER/x.git is at ADDRESSx.git."""
    command = [sys.executable, "-m", "tests.benchmarks.git_host", str(folder)]
    with subprocess.Popen(command, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def main() -> None:
    with http_server(Path(sys.argv[1])) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
