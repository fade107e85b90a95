"""All tests, as `manage.py test` runs them: those on real engines beside all others, where there are two processors.

Tests on real engines wait most of the time, for hosts that start, die and are missed; the others compute. The others
stand back for them (nice), for it is the former that have deadlines. Real engines' words come at the end, in one piece.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

COMMAND = (sys.executable, "-m", "pytest")
ENGINES = ("-m", "engines", "-p", "no:cacheprovider")
OTHERS = ("-m", "not engines")
NICENESS = 10


def main() -> int:
    if (os.cpu_count() or 1) < 2:
        return subprocess.run(COMMAND, check=False).returncode
    with tempfile.TemporaryFile() as words:
        engines = _start(ENGINES, stdout=words, stderr=words)
        others = _start(OTHERS, preexec_fn=lambda: os.nice(NICENESS))
        codes = _ended(others, engines)
        words.seek(0)
        print(f"\n{' tests on real engines ':=^80}\n{words.read().decode(errors='replace')}", flush=True)
    for name, code in zip(("all others", "on real engines"), codes, strict=True):
        print(f"tests {name}: {'passed' if code == 0 else f'FAILED (exit code {code})'}")
    return max(codes, key=abs)


def _start(which: Sequence[str], **options: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *which], **options)  # type: ignore[call-overload,no-any-return]


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


if __name__ == "__main__":
    sys.exit(main())
