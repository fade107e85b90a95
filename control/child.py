"""A child process of `up`: started, its words written to a log of bounded size, started again when it dies."""

import contextlib
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

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
        """`descriptors` stay open in it. Without a log it speaks to the terminal."""
        self.name = name
        self.log = log
        self.failures = 0  # in a row, not counting one after a healthy time
        self._command = list(command)
        self._environment = environment
        self._descriptors = list(descriptors)
        self._started_at = 0.0
        self._due_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int | None:
        """Starts it; the descriptor that its words come from, which is the caller's to close."""
        self._started_at = time.monotonic()
        reading, writing = os.pipe() if self.log else (None, None)
        try:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=writing,
                stderr=writing,
                pass_fds=self._descriptors,
                # Its own group: Ctrl-C reaches `up` alone, which ends them in order, with all that they have started.
                start_new_session=True,
            )
        finally:
            if writing is not None:
                os.close(writing)
        return reading

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    def ended(self) -> str | None:
        """How it ended, once: "exit code 1" or "killed by SIGKILL". Sets when it is to be started again."""
        if self._process is None or not self.running or not _has_ended(self._process.pid):
            return None
        self._reap()
        now = time.monotonic()
        if now - self._started_at > HEALTHY_AFTER_SECONDS:
            self.failures = 0
        self._due_at = now + BACKOFF_SECONDS[min(self.failures, len(BACKOFF_SECONDS) - 1)]
        self.failures += 1
        return describe(self._process.returncode)

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

    def ask_to_end(self) -> None:
        if self._process is not None and self.running:
            self._process.terminate()

    def kill(self) -> None:
        """Ends it and everything it started, now."""
        if self.running:
            self._reap()

    def _reap(self) -> None:
        if self._process is None:
            return
        # Before the wait: until then the process id, and with it the group's, cannot be given to anyone else.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


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
