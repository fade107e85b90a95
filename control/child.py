"""A child process of `up`: started, its words written to a log of bounded size, started again when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path

from control.nursery import Nursery

LOG_BYTES = 5_000_000  # then the file is renamed to NAME.log.1, which replaces the one before
CHUNK_BYTES = 65536
BACKOFF_SECONDS = (0.2, 1.0, 2.0, 5.0, 10.0, 30.0)
HEALTHY_AFTER_SECONDS = 30.0


class Log:
    """DIR/logs/NAME.log: appended to, never larger than LOG_BYTES and one chunk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.last_lines: deque[str] = deque(maxlen=20)
        self.failure = ""  # why what is said cannot be kept at the moment
        path.parent.mkdir(mode=0o700, exist_ok=True)
        self._file = path.open("ab", buffering=0)

    def write(self, chunk: bytes) -> list[str]:
        """Appends `chunk`; its lines. On a full disk it is dropped: nothing may end because of its log."""
        try:
            self._append(chunk)
            self.failure = ""
        except OSError as error:
            self.failure = error.strerror or str(error)
        lines = [line for line in chunk.decode(errors="replace").splitlines() if line.strip()]
        self.last_lines.extend(lines)
        return lines

    def _append(self, chunk: bytes) -> None:
        if self._file.tell() > LOG_BYTES:
            self.path.replace(self.path.with_name(f"{self.path.name}.1"))
            self._file.close()
            self._file = self.path.open("ab", buffering=0)
        self._file.write(chunk)

    def close(self) -> None:
        self._file.close()


class Child:
    """One process, and when to start it again. Times are on the monotonic clock."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        descriptors: Sequence[int],
        log: Log | None,
    ) -> None:
        """`command`: Python's arguments. `descriptors` stay open in it. Without a log it speaks to the terminal."""
        self.name = name
        self.log = log
        self.failures = 0  # in a row, not counting one after a healthy time
        self.command = list(command)
        self._environment = environment
        self.descriptors = list(descriptors)
        self._started_at = 0.0
        self._due_at = 0.0
        self._process: _Process | None = None

    def start(self, nursery: Nursery | None = None) -> int | None:
        """Starts it, in the nursery where that can; the descriptor that its words come from, which is the caller's to
        close."""
        self._started_at = time.monotonic()
        reading, writing = os.pipe() if self.log else (None, None)
        try:
            self._process = self._forked(nursery, writing) or self._run(writing)
        finally:
            if writing is not None:
                os.close(writing)
        return reading

    def _forked(self, nursery: Nursery | None, output: int | None) -> _Process | None:
        outputs = (1, 2) if output is None else (output, output)
        pid = nursery.fork(self.command, self.descriptors, outputs) if nursery else None
        return None if pid is None else _Process(pid)

    def _run(self, output: int | None) -> _Process:
        started = subprocess.Popen(
            [sys.executable, *self.command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=self.descriptors,
            # Its own group: Ctrl-C reaches `up` alone, which ends them in order, with all that they have started.
            start_new_session=True,
        )
        started.returncode = 0  # it is waited for here, as a forked one is
        return _Process(started.pid)

    @property
    def pid(self) -> int | None:
        """While it runs, and until it was noticed that it does not."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.exit_code is None

    @property
    def exit_code(self) -> int | None:
        return self._process.exit_code if self._process else None

    def ended(self) -> str | None:
        """How it ended, once: "exit code 1" or "killed by SIGKILL". Sets when it is to be started again."""
        if self._process is None or not self.running or not _has_ended(self._process.pid):
            return None
        code = self._process.end()
        now = time.monotonic()
        if now - self._started_at > HEALTHY_AFTER_SECONDS:
            self.failures = 0
        self._due_at = now + BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        self.failures += 1
        return describe(code)

    def seconds_to_start(self) -> float:
        return max(0.0, self._due_at - time.monotonic())

    def is_due(self) -> bool:
        return not self.running and self.seconds_to_start() == 0.0

    def pump(self, output: int) -> list[str] | None:
        """Moves what it said from the descriptor `output` to the log; the lines, or None when it said its last."""
        chunk = os.read(output, CHUNK_BYTES)
        return self.log.write(chunk) if chunk and self.log else None

    def last_words(self) -> str:
        return self.log.last_lines[-1].strip() if self.log and self.log.last_lines else "it said nothing"

    def ask_to_end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """What it has started is ended when it is noticed that it has ended."""
        if self._process is not None and self.running:
            os.kill(self._process.pid, how)

    def kill(self) -> None:
        """Ends it and everything it started, now."""
        if self._process is not None and self.running:
            self._process.end()


class _Process:
    """A child of this process that nobody else waits for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.exit_code: int | None = None  # negative: the signal that killed it

    def end(self) -> int:
        """Ends it with everything that it has started; its exit code."""
        # Before the wait: until then the process id, and with it the group's, cannot be given to anyone else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)  # it may have no group of its own yet
        _, status = os.waitpid(self.pid, 0)
        self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code


def reap_strangers(known: Collection[int]) -> None:
    """Whoever lost its parent below this process is this process's to wait for; `known` ones have somebody who does."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in known:
                return  # it hides what stands behind it until the next look
            os.waitpid(ended.si_pid, 0)


def describe(returncode: int) -> str:
    """How a process ended, in words: 1 -> "exit code 1", -9 -> "killed by SIGKILL"."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
