"""All tests, as `manage.py test` runs them: in parts beside each other, where there are two processors.

Tests on real engines wait most of the time, for hosts that start, die and are missed: two parts, each on hosts of its
own. The others compute: two at a time until those are done, then four, the dearest first. They stand back (nice), as it
is the former that have deadlines. What a part has to say comes in one piece when it ends, with what it has cost.

Files of tests are in one folder, which goes at the end unless something failed: pytest itself would keep those of three
runs, and take longer to remove a repository's thousands of folders than the tests that made them.
"""

from __future__ import annotations

import collections
import functools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

PYTEST = (sys.executable, "-m", "pytest")
KILLS = ("tests/engines/test_crashes.py", "tests/engines/test_hosts.py", "tests/engines/test_survival.py")
"""Stories that kill hosts or the control plane, and what hosts are without one."""
ON_ENGINES = {
    "on engines, what is killed": (*KILLS, "tests/contracts"),
    "on engines, the other stories": ("tests/engines", *(f"--ignore={one}" for one in KILLS)),
}
OTHERS = {
    "of control, s to z": ("tests/control", "--ignore-glob=tests/control/test_[!s-z]*"),
    "of the scenarios, d to z": ("tests/scenarios", "--ignore-glob=tests/scenarios/test_[!d-z]*"),
    "of control, p to r": ("tests/control", "--ignore-glob=tests/control/test_[!p-r]*"),
    "in a browser": ("tests/browser",),
    "of the contracts": ("tests/contracts",),
    "of the core": ("tests/core",),
    "of the scenarios, a to c": ("tests/scenarios", "--ignore-glob=tests/scenarios/test_[!a-c]*"),
    "of control, a to o": ("tests/control", "--ignore-glob=tests/control/test_[!a-o]*"),
    "of the house": ("tests/test_architecture.py", "tests/test_readme.py"),
}
"""What costs or waits most comes first, and none so much that the others have long ended when it does. A test sees to
it that nothing is left out, here and above."""
NICENESS = 5


@dataclass
class Run:
    """Exit codes by part. `folder`: where their files are. `said`: one part speaks at a time."""

    folder: str
    codes: dict[str, int] = field(default_factory=dict)
    said: threading.Lock = field(default_factory=threading.Lock)

    def lane(self, parts: collections.deque[str], places: Mapping[str, Sequence[str]], how: Sequence[str]) -> None:
        """One part after the other, as long as there are any; several lanes may share them."""
        while True:
            try:
                name = parts.popleft()
            except IndexError:
                return
            self._part(name, [*how, *places[name]])

    def _part(self, name: str, words: Sequence[str]) -> None:
        began, files = time.monotonic(), f"--basetemp={self.folder}/{[*ON_ENGINES, *OTHERS].index(name)}"
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen([*PYTEST, files, *words], stdout=said, stderr=said)
            if "engines" not in words:
                os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
            _, status, used = os.wait4(process.pid, 0)
            self.codes[name] = process.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read().decode(errors="replace")
        cost = f"{time.monotonic() - began:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU"
        with self.said:
            print(f"\n{f' tests {name}, {cost} ':=^100}\n{text}", flush=True)


def main() -> int:
    if (os.cpu_count() or 1) < 2:
        return subprocess.run(PYTEST, check=False).returncode
    folder = tempfile.mkdtemp(prefix="ph-tests-")
    run, on_engines, others = Run(folder), collections.deque(ON_ENGINES), collections.deque(OTHERS)
    one = functools.partial(run.lane, on_engines, ON_ENGINES, ("-m", "engines", "-p", "no:cacheprovider"))
    another = functools.partial(run.lane, others, OTHERS, ("-m", "not engines"))
    lanes = [
        threading.Thread(target=_in_turn, args=which)
        for which in ((one, another), (one, another), (another,), (another,))
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        _join(lane, others)
    for name in (*ON_ENGINES, *OTHERS):
        code = run.codes.get(name)
        print(f"tests {name}: {'passed' if code == 0 else f'FAILED (exit code {code})'}")
    code = max((run.codes.get(name, 1) for name in (*ON_ENGINES, *OTHERS)), key=abs)
    if code:
        print(f"What the tests have written is kept: {folder}")
    else:
        subprocess.run(["rm", "-rf", folder], check=False)
    return code


def _in_turn(*lanes: Callable[[], None]) -> None:
    for lane in lanes:
        lane()


def _join(lane: threading.Thread, others: collections.deque[str]) -> None:
    """Ctrl-C reaches each pytest as well; what they say of it is waited for, and nothing else is begun."""
    while lane.is_alive():
        try:
            lane.join()
        except KeyboardInterrupt:
            others.clear()


if __name__ == "__main__":
    sys.exit(main())
