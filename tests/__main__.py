"""All tests, as `manage.py test` runs them: in three groups beside each other, where there are two processors.

Tests on real engines wait most of the time, for hosts that start, die and are missed; the others compute. The others
stand back for them (nice), for it is the former that have deadlines. The first group's words come as they are said, the
others' at the end, each in one piece.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

PYTEST = (sys.executable, "-m", "pytest")
ENGINES = ("-m", "engines", "-p", "no:cacheprovider")
PLACES = {
    "of control and core": ("tests/control", "tests/core"),
    "of all else": (
        "tests/scenarios", "tests/browser", "tests/contracts", "tests/test_architecture.py", "tests/test_readme.py",
    ),
}  # fmt: skip
"""A test sees to it that nothing is left out. What is marked as running on engines is in the group above."""
NICENESS = 10


def main() -> int:
    if (os.cpu_count() or 1) < 2:
        return subprocess.run(PYTEST, check=False).returncode
    with tempfile.TemporaryFile() as of_engines, tempfile.TemporaryFile() as of_second:
        engines = _start(ENGINES, of_engines)
        first, second = (
            _start(("-m", "not engines", *places), words, NICENESS)
            for places, words in zip(PLACES.values(), (None, of_second), strict=True)
        )
        codes = dict(zip(("on real engines", *PLACES), _ended(engines, first, second), strict=True))
        _tell("of all else", of_second)
        _tell("on real engines", of_engines)
    for name, code in codes.items():
        print(f"tests {name}: {'passed' if code == 0 else f'FAILED (exit code {code})'}")
    return max(codes.values(), key=abs)


def _start(which: Sequence[str], words: IO[bytes] | None, niceness: int = 0) -> subprocess.Popen[bytes]:
    """`words`: where it speaks to; None for where this process does."""
    return subprocess.Popen([*PYTEST, *which], stdout=words, stderr=words, preexec_fn=lambda: os.nice(niceness))


def _ended(*processes: subprocess.Popen[bytes]) -> list[int]:
    """Ctrl-C reaches each of them as well; what they say of it is waited for."""
    codes = []
    for one in processes:
        while True:
            try:
                codes.append(one.wait())
                break
            except KeyboardInterrupt:
                continue
    return codes


def _tell(name: str, words: IO[bytes]) -> None:
    words.seek(0)
    print(f"\n{f' tests {name} ':=^100}\n{words.read().decode(errors='replace')}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
