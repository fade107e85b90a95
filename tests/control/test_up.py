"""`python3 manage.py up`, for real: what its user sees, and what is left when it ends."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from control import broker as brokers
from control.data import HOME
from tests import tables

READY_SECONDS = 120.0  # aim: 6; the test machine may be busy
END_SECONDS = 5.0


class Up:
    """A running `up` on the folder `data_dir`, and what it has said."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self.lines: list[str] = []
        self._arrived: queue.Queue[str | None] = queue.Queue()  # None: it has said its last
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--data", str(data_dir), "--port", "0", *arguments],
            cwd=HOME,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def says(self, pattern: str, seconds: float = READY_SECONDS) -> re.Match[str]:
        """Waits for a line; everything said so far when it does not come."""
        deadline = time.monotonic() + seconds
        while not (found := next(filter(None, (re.search(pattern, line) for line in self.lines)), None)):
            try:
                line = self._arrived.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                said = "".join(self.lines)
                pytest.fail(f"up did not say {pattern!r} within {seconds} s, but:\n{said}", pytrace=False)
            self.lines.append(line)
        return found

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout:
            for line in self.process.stdout:
                self._arrived.put(line)
        self._arrived.put(None)


def environment() -> dict[str, str]:
    """Nothing of ours, and no Docker engine that happens to be here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIERHEAD_")}
    return {**kept, "PIERHEAD_NO_BOOTSTRAP": "1", "DOCKER_HOST": "unix:///nonexistent/docker.sock"}


def processes_of(data_dir: Path) -> dict[int, str]:
    """The command lines of the children of an `up`, alive or dead: environment or arguments name the folder."""
    found = {}
    ours = f"PIERHEAD_DATA={data_dir}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text().replace("\0", " ")
            # redis-server writes its title over its environment.
            if ours in (folder / "environ").read_bytes() + b"\0" or f"{data_dir}/run/" in command:
                found[int(folder.name)] = command
        except OSError:
            continue  # it ended, or is not ours
    return found


def process_of(data_dir: Path, words: str) -> int:
    return next(pid for pid, command in processes_of(data_dir).items() if words in command)


def parents_of(data_dir: Path, words: str) -> list[int]:
    """Of the processes whose command line has these words."""
    return [int((Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
            for pid, command in processes_of(data_dir).items() if words in command]  # fmt: skip


def nothing_is_left(data_dir: Path, seconds: float) -> bool:
    return until(lambda: not processes_of(data_dir), seconds)


def until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[list[Up]]:
    """Every `up` of a test; those that it leaves running are ended."""
    started: list[Up] = []
    yield started
    for up in started:
        up.close()
    assert nothing_is_left(tmp_path, END_SECONDS), processes_of(tmp_path)


@pytest.fixture(params=["redis-server", "fakeredis"])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> str:
    """With the Redis of this machine, and on a machine without one."""
    if request.param == "fakeredis":
        folder = tmp_path_factory.mktemp("bin")
        for name in ("git", "ssh", "openssl"):
            (folder / name).symlink_to(f"/usr/bin/{name}")
        monkeypatch.setenv("PATH", str(folder))
    return str(request.param)


def test_a_person_starts_it_and_ends_it(tmp_path: Path, starts: list[Up], broker: str) -> None:
    up = Up(tmp_path)
    starts.append(up)
    address = up.says(r"Pierhead is ready at (http://127\.0\.0\.1:\d+)$")[1]
    up.says(r"Sign in as admin with the password \S{20} ")
    up.says("The Docker engine at unix:///nonexistent/docker.sock was not registered: ")
    with urllib.request.urlopen(f"{address}/healthz", timeout=10) as answer:
        assert answer.read() == b"ok\n"

    second = subprocess.run(
        [sys.executable, "manage.py", "up", "--data", str(tmp_path), "--port", "0"],
        cwd=HOME,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (second.returncode, second.stdout) == (1, "")
    assert second.stderr == (
        f"pierhead: Pierhead already runs on {tmp_path} (process {up.process.pid}): stop it first, or name another "
        "folder with --data.\n"
    )

    os.kill(process_of(tmp_path, "/run/"), signal.SIGKILL)
    up.says(r"^broker ended \(killed by SIGKILL\)")
    assert until(lambda: brokers.listens(brokers.socket_path(tmp_path)), READY_SECONDS)
    os.kill(process_of(tmp_path, "run --nursery"), signal.SIGSTOP)  # it does not end, it answers nobody
    os.kill(process_of(tmp_path, "run worker"), signal.SIGKILL)
    # In 1.0 s where it had ended by itself before: kombu closes a channel whose connection is gone, Celery calls that
    # unrecoverable (exit code 1, one in some fifty lost brokers on a busy machine), and `up` is there for it.
    up.says(r"^worker ended \(killed by SIGKILL\): starting it again in [01]\.\d s\. Its log: .*worker\.log")
    up.says(r"^nursery ended \(killed by SIGKILL\): starting it again in 0\.\d s\. Its log: .*nursery\.log")
    os.kill(process_of(tmp_path, "run watch"), signal.SIGKILL)  # there may be no nursery yet for the next one
    up.says(r"^watch ended \(killed by SIGKILL\)")
    for word in ("web", "worker", "watch"):
        assert until(lambda word=word: parents_of(tmp_path, f"run {word}") == [up.process.pid], READY_SECONDS)  # type: ignore[misc]

    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(timeout=END_SECONDS) == 0
    assert nothing_is_left(tmp_path, 0), processes_of(tmp_path)


def test_killed_it_leaves_nothing_and_starts_again(tmp_path: Path, starts: list[Up], broker: str) -> None:
    tables.copy(tmp_path / "db.sqlite3")
    first = Up(tmp_path)
    starts.append(first)
    first.says("Pierhead is ready")
    assert len(processes_of(tmp_path)) >= 4
    first.process.kill()
    assert nothing_is_left(tmp_path, END_SECONDS), processes_of(tmp_path)

    again = Up(tmp_path)
    starts.append(again)
    again.says("Pierhead is ready")
    assert not any("password" in line for line in again.lines)
    again.process.terminate()
    assert again.process.wait(timeout=END_SECONDS) == 0


def test_a_process_that_cannot_start_ends_it_with_the_reason(tmp_path: Path, starts: list[Up]) -> None:
    (tmp_path / "db.sqlite3").write_text("not a database, " * 100)
    up = Up(tmp_path)
    starts.append(up)
    up.says("file is not a database")
    up.says(r"could not be prepared \(exit code 1\)")
    assert up.process.wait(timeout=END_SECONDS) == 1
