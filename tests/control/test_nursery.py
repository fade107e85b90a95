"""The nursery: what it forks is its parent's child, with what it was given, and nobody's who has not heard of it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from control import data, nursery
from control.child import Child
from tests.environment import require

SECONDS = 20
SERVE = """
import os, sys, time
from control import nursery
requests, lifeline, shared = map(int, sys.argv[1:4])
words = nursery.serve(requests, lifeline, [shared])
print(words, os.getsid(0) == os.getpid(), os.read(0, 1), flush=True)
print(open("/proc/self/cmdline").read().split(chr(0))[1:3], flush=True)
try:
    print("kept", os.fstat(shared).st_size)
except OSError:
    print("closed")
print("to the other output", file=sys.stderr, flush=True)
sys.exit(int(words[-1]))
"""
THREADED = "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()" + SERVE


@dataclass
class Made:
    nursery: nursery.Nursery
    process: subprocess.Popen[bytes]
    shared: int

    def fork(self, *words: str, kept: bool = False) -> tuple[int | None, str]:
        """Its id, and what it says until it ends."""
        reading, writing = os.pipe()
        pid = self.nursery.fork(words, [self.shared] if kept else [], (writing, writing))
        os.close(writing)
        with open(reading, encoding="utf-8") as said:
            return pid, said.read()


@contextmanager
def made(program: str = SERVE) -> Iterator[Made]:
    reading, writing = os.pipe()
    shared = os.open(os.devnull, os.O_RDONLY)
    one = nursery.Nursery()
    passed = [one.theirs.fileno(), reading, shared]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, passed)], pass_fds=passed, cwd=data.HOME, start_new_session=True
    )
    one.theirs.close()
    try:
        assert one.hear()
        yield Made(one, process, shared)
    finally:
        os.close(writing)  # as if `up` was gone
        process.wait(SECONDS)
        one.close()
        os.close(reading)
        os.close(shared)


@pytest.fixture(autouse=True)
def adopting() -> Iterator[None]:
    require(
        sys.platform == "linux", "orphans are adopted by Linux alone: run this on Linux, in a container for instance"
    )
    assert nursery.adopt()
    yield
    ctypes.CDLL(None).prctl(nursery.SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def test_a_forked_process_is_a_child_of_whoever_asked() -> None:
    with made() as one:
        pid, said = one.fork("-c", "a word", "7")
        assert pid is not None
        assert said.splitlines() == [
            "['-c', 'a word', '7'] True b''",
            "['-c', 'a word']", "closed",
            "to the other output",
        ]  # fmt: skip
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        other, said = one.fork("0", kept=True)
        assert other not in (None, pid)
        assert "kept 0" in said
        assert os.waitstatus_to_exitcode(os.waitpid(other or 0, 0)[1]) == 0


def test_nobody_is_forked_beside_a_second_thread() -> None:
    with made(THREADED) as one:
        assert one.fork("0") == (None, "")
        assert one.nursery.ready, "it may be asked again"


def test_a_nursery_that_was_killed_is_found_to_be_gone() -> None:
    with made() as one:
        one.process.kill()
        one.process.wait(SECONDS)
        assert one.fork("0") == (None, "")
        assert not one.nursery.ready


def test_one_that_hangs_is_given_up_and_what_it_forks_late_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nursery, "ANSWER_SECONDS", 0.1)
    with made() as one:
        os.kill(one.process.pid, signal.SIGSTOP)
        reading, writing = os.pipe()
        assert one.nursery.fork(["0"], [], (writing, writing)) is None
        assert not one.nursery.ready
        os.close(writing)
        os.kill(one.process.pid, signal.SIGCONT)
        assert select.select([reading], [], [], SECONDS)[0], "it holds on to its output"
        assert os.read(reading, 100) == b"", "it has run"
        os.close(reading)


def test_without_a_nursery_a_python_is_started() -> None:
    child = Child("web", ["-c", "raise SystemExit(3)"], dict(os.environ), [], None)
    gone = nursery.Nursery()
    gone.close()
    assert child.start(gone) is None
    while (how := child.ended()) is None:
        select.select([], [], [], 0.01)
    assert how == "exit code 3"


LOADING = """
import django, importlib, os, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "control.settings"
django.setup()
from django.db import connections
from django.urls import get_resolver
from control import processes
for module in processes.LOADED:
    importlib.import_module(module)
get_resolver().check()
print(threading.active_count(), [one.connection for one in connections.all(initialized_only=True)])
"""


def test_to_load_pierhead_leaves_nothing_that_a_fork_would_break(tmp_path: Path) -> None:
    """No thread, which forks would be without, and no connection, which they would share: else none is forked, and
    `up` is slow to start and large without a word."""
    done = subprocess.run(
        [sys.executable, "-c", LOADING], cwd=data.HOME, capture_output=True, text=True, check=True,
        env={**os.environ, "PIERHEAD_DATA": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout in ("1 []\n", "1 [None]\n")


STRANGERS = """
import os, subprocess, sys
from control import nursery
from control.child import reap_strangers

assert nursery.adopt()
child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(5)"])
# Its own child outlives it, and is ours from then on.
subprocess.run([sys.executable, "-c", "import os, sys; sys.exit() if os.fork() else os._exit(0)"], check=True)
os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
reap_strangers({child.pid})
assert child.wait() == 5, "it is its starter's"
try:
    while True:
        reap_strangers(set())
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
except ChildProcessError:
    print("nobody is left")
"""


def test_strangers_are_waited_for_and_children_are_not() -> None:
    """In a process of its own, which has no other children."""
    done = subprocess.run(
        [sys.executable, "-c", STRANGERS], cwd=data.HOME, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert (done.stdout, done.stderr) == ("nobody is left\n", "")
