"""One run of a program that renders: in a folder of its own, knowing nothing of this process, killed in time.

It gets no environment but what is said here, no input, and no way to the network that a setting can close: proxies lead
nowhere. Its memory is bounded, and its output while it is read. It gets a session of its own, so that its children end
with it.
"""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_ERROR_BYTES = 64 * 1024
MAX_MEMORY_BYTES = 2 * 1024 * 1024 * 1024
_NOWHERE = "http://127.0.0.1:1"
"""Nothing listens there."""


class ProgramFailed(Exception):
    """It did not start, did not end in time, or printed too much. `sentence` says which."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    output: bytes
    errors: str


def run(
    command: Sequence[str], folder: Path, *, timeout_seconds: float, max_output_bytes: int, name: str = "it"
) -> Ran:
    """`command` with its absolute program first, in `folder`; the one above it is its home. Raises ProgramFailed."""
    environment = {
        "HOME": str(folder.parent), "TMPDIR": str(folder.parent), "PATH": "", "LANG": "C.UTF-8", "GOMAXPROCS": "2",
        "GOMEMLIMIT": "1GiB", "HTTP_PROXY": _NOWHERE, "HTTPS_PROXY": _NOWHERE, "ALL_PROXY": _NOWHERE,
    }  # fmt: skip
    try:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise ProgramFailed(f"{name} could not be started: {error.strerror}") from error
    deadline = time.monotonic() + timeout_seconds
    _limit(process.pid)
    try:
        output, errors = _read(process, deadline, max_output_bytes, name)
        code = process.wait(timeout=max(deadline - time.monotonic(), 0.1))
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{name} did not finish within {timeout_seconds:g} s") from None
    finally:
        end(process)
    return Ran(code, output, errors.decode("utf-8", "replace"))


def _limit(pid: int) -> None:
    """Bound what it may allocate: a template that repeats a text a billion times ends itself, and nobody else."""
    if hasattr(resource, "prlimit"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _read(process: subprocess.Popen[bytes], deadline: float, max_output_bytes: int, name: str) -> tuple[bytes, bytes]:
    assert process.stdout is not None
    assert process.stderr is not None
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, output)
        selector.register(process.stderr, selectors.EVENT_READ, errors)
        while selector.get_map():
            remaining_seconds = deadline - time.monotonic()
            if remaining_seconds <= 0:
                raise subprocess.TimeoutExpired(name, 0)
            for key, _ in selector.select(remaining_seconds):
                if chunk := os.read(key.fd, 1 << 16):
                    key.data.extend(chunk)
                else:
                    selector.unregister(key.fileobj)
            if len(output) > max_output_bytes:
                raise ProgramFailed(f"{name} printed more than {max_output_bytes >> 20} MiB")
            del errors[MAX_ERROR_BYTES:]
    return bytes(output), bytes(errors)


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill its whole family if it still runs, and take its exit code, so that nothing is left."""
    if process.returncode is None:
        # Not reaped yet, so the group's number is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    process.wait()
