"""Where the processes of `up` come from: one process that has loaded all of Pierhead, and forks them from itself.

    up  --words, descriptors-->  nursery (Django and all the rest, loaded once)  --fork-->  web, worker, watch

To load Pierhead takes seconds of a processor and most of a process's memory. Forked ones share both, and one that was
killed is back at once. Each becomes a child of `up`, as if `up` had started it: the nursery lets go of it (it forks
twice), and the kernel gives what has no parent to the next ancestor that asked for it (prctl(2),
PR_SET_CHILD_SUBREAPER). Where there is no such thing, or no nursery at the moment, `up` starts a Python for each.

Standard library only: the supervisor runs on it, and what is loaded is the caller's business.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

SET_CHILD_SUBREAPER = 36
READY = b"ready\n"
ANSWER_SECONDS = 5.0
MOST_BYTES = 65536
_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46
"""In /proc/PID/stat behind the name, counted from 0 (proc(5): fields 48 and 49)."""


class Nursery:
    """The supervisor's end. It is of use from `ready` on, until it is found to be `lost`: gone, or deaf."""

    def __init__(self) -> None:
        self.ready = self.lost = False
        self._ours, self.theirs = socket.socketpair()
        self._ours.settimeout(ANSWER_SECONDS)

    @property
    def descriptor(self) -> int:
        return self._ours.fileno()

    def hear(self) -> bool:
        """Its word that it is ready; False when it has ended instead."""
        with contextlib.suppress(OSError):
            self.ready = self._ours.recv(len(READY)) == READY
        return self.ready

    def fork(self, words: Sequence[str], kept: Sequence[int], outputs: tuple[int, int]) -> int | None:
        """The process id of a new child of this process, which runs the command of these words; None where there is
        none. `kept`: of the nursery's descriptors, `outputs`: where it writes to."""
        if not self.ready:
            return None
        held, go = os.pipe()
        try:
            socket.send_fds(self._ours, [json.dumps([list(words), list(kept)]).encode()], [*outputs, held])
            born = int(self._ours.recv(32))
            if born:
                os.write(go, b".")  # one that nobody has heard of ends by itself
            return born or None
        except (OSError, ValueError):  # it died, or hangs, and its next answer would be taken for another's
            self.ready, self.lost = False, True
            return None
        finally:
            os.close(held)
            os.close(go)

    def close(self) -> None:
        self.ready = False
        self._ours.close()
        self.theirs.close()


def adopt() -> bool:
    """From now on, what loses its parent below this process is its child. False where the kernel cannot."""
    with contextlib.suppress(OSError, AttributeError):
        return sys.platform == "linux" and not ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return False


def serve(requests: int, lifeline: int, shared: Sequence[int]) -> list[str]:
    """Forks as long as it is asked to; returns in each child the words of its command, never in the nursery itself.

    `requests`: the descriptor of its end, `lifeline`: of the pipe that says that `up` lives (`control/lifeline.py`);
    `shared`: other descriptors, of which a request names those that its child keeps.
    """
    for one in (requests, lifeline, *shared):
        os.set_inheritable(one, False)
    gc.collect()
    gc.freeze()  # what is here stays, in all of them: nobody need walk through it, and so make a copy of its pages
    channel = socket.socket(fileno=requests)
    channel.sendall(READY)
    while True:
        heard, _, _ = select.select([requests, lifeline], [], [])
        if lifeline in heard:
            os._exit(0)
        told, descriptors, _, _ = socket.recv_fds(channel, MOST_BYTES, 3)
        if not told:
            os._exit(0)
        words, kept = json.loads(told)
        born = _born()
        if born == 0:
            channel.close()
            _begin(words, descriptors, [one for one in shared if one not in kept])
            return list(words)
        for one in descriptors:
            os.close(one)
        channel.sendall(str(max(born, 0)).encode())


def _born() -> int:
    """0 in the new process; in this one its id, or -1 for none: beside a second thread, a fork may find locks that
    nobody will ever open."""
    if threading.active_count() > 1:
        return -1
    reading, writing = os.pipe()
    between = os.fork()
    if between:
        os.close(writing)
        os.waitpid(between, 0)  # now its child is somebody else's
        told = os.read(reading, 32)
        os.close(reading)
        return int(told)
    child = os.fork()
    if child:
        os.write(writing, str(child).encode())
        os._exit(0)
    os.close(reading)
    os.close(writing)
    return 0


def _begin(words: Sequence[str], descriptors: Sequence[int], foreign: Sequence[int]) -> None:
    """What `subprocess` does for a new process: a session of its own, its outputs, nothing that is not its own."""
    *outputs, go = descriptors
    if not os.read(go, 1):
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, *outputs)):
        os.dup2(source, target)
    for one in (nothing, *descriptors, *foreign):
        os.close(one)
    _rename([sys.executable, *words])


def _rename(words: Sequence[str]) -> None:
    """What `ps` shows of this process: as much of the words as there was of the nursery's."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ARGUMENTS_END])
        line = "\0".join(words).encode()[: end - begin - 1]
        ctypes.memmove(begin, line.ljust(end - begin, b"\0"), end - begin)
