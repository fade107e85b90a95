"""One run of Git: an argument list in, its output or a GitFailed out, nothing left running.

Git gets a session of its own, so that at the deadline the whole family (the transport helper, ssh, index-pack) is
killed at once; GitPython's `kill_after_timeout` would miss grandchildren. Both pipes are read as they fill and have
a limit, so that a hostile repository (a tree that names itself a million times) costs neither memory nor time.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployer.adapters.git_failure import GitFailed, failure_from, scrubbed
from deployer.adapters.program import end

MAX_ERROR_BYTES = 256 * 1024
GUARD_PERIOD_SECONDS = 0.25


class HiddenEnvironment(dict[str, str]):
    """Environment variables, some of them secret: they do not show in tracebacks that print values."""

    def __repr__(self) -> str:
        return f"<{len(self)} variables>"


def unguarded() -> None:
    """The guard of a run that cannot grow anything."""


@dataclass(frozen=True, slots=True)
class GitCommand:
    """How Git is run for one repository: its name in sentences, its variables, and until when (monotonic seconds)."""

    display: str
    host: str
    environment: HiddenEnvironment
    folder: Path
    timeout_seconds: float
    deadline: float
    secrets: tuple[str, ...] = field(default=(), repr=False)
    host_keys: str = ""  # the fingerprints that the host is known by
    # Open files that Git inherits: the mirror's lock, which thus outlives a killed caller for as long as Git works.
    inherited: tuple[int, ...] = ()

    def run(
        self,
        arguments: Sequence[str],
        *,
        data: bytes = b"",
        max_output_bytes: int = 64 * 1024 * 1024,
        guard: Callable[[], None] = unguarded,
    ) -> bytes:
        """Run `git ARGUMENTS` with `data` on its input. `guard` is called again and again and may raise to stop it."""
        code, output, errors = self.answer(arguments, data=data, max_output_bytes=max_output_bytes, guard=guard)
        if code != 0:
            said = scrubbed(errors.decode("utf-8", "replace"), self.secrets)
            raise failure_from(self.display, self.host, said, self.host_keys)
        return output

    def answer(
        self,
        arguments: Sequence[str],
        *,
        data: bytes = b"",
        max_output_bytes: int = 64 * 1024 * 1024,
        guard: Callable[[], None] = unguarded,
    ) -> tuple[int, bytes, bytes]:
        """The same, for whom the exit code says something: (code, output, errors)."""
        # A file rather than a third pipe: nothing to feed while both outputs are read.
        with tempfile.TemporaryFile() if data else Path(os.devnull).open("r+b") as source:
            source.write(data)
            source.seek(0)
            process = self._start(arguments, source.fileno())
        try:
            output, errors = self._read(process, max_output_bytes, guard)
            code = process.wait(timeout=max(self.deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            raise self.timed_out() from None
        finally:
            end(process)
        return code, output, errors

    def timed_out(self) -> GitFailed:
        return GitFailed("TimedOut", f"{self.display}: timed out after {self.timeout_seconds:g} s")

    def _start(self, arguments: Sequence[str], source: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                ["git", *arguments],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment,
                cwd=self.folder,
                pass_fds=self.inherited,
                start_new_session=True,
            )
        except FileNotFoundError:
            if not self.folder.is_dir():
                raise failure_from(self.display, self.host, "not a git repository: its folder is gone") from None
            raise GitFailed("Refused", "Git is not installed on this machine: install git 2.31 or newer") from None
        except NotADirectoryError:
            raise failure_from(self.display, self.host, "not a git repository") from None

    def _read(
        self, process: subprocess.Popen[bytes], max_output_bytes: int, guard: Callable[[], None]
    ) -> tuple[bytes, bytes]:
        assert process.stdout is not None
        assert process.stderr is not None
        output, errors = bytearray(), bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, output)
            selector.register(process.stderr, selectors.EVENT_READ, errors)
            while selector.get_map():
                self._read_some(selector, guard)
                if len(output) > max_output_bytes:
                    raise GitFailed(
                        "TooLarge", f"{self.display}: holds more files than Pierhead reads; narrow the path"
                    )
                # Progress and remote messages may be endless; the end of them tells why it failed.
                del errors[: max(len(errors) - MAX_ERROR_BYTES, 0)]
        return bytes(output), bytes(errors)

    def _read_some(self, selector: selectors.BaseSelector, guard: Callable[[], None]) -> None:
        remaining_seconds = self.deadline - time.monotonic()
        if remaining_seconds <= 0:
            raise self.timed_out()
        ready = selector.select(min(remaining_seconds, GUARD_PERIOD_SECONDS))
        for key, _ in ready:
            if chunk := os.read(key.fd, 1 << 16):
                key.data.extend(chunk)
            else:
                selector.unregister(key.fileobj)
        guard()
