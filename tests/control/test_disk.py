"""The disk of the data folder is full, for real: nothing ends, nothing is lost, and it goes on when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tables
from tests.control.installed import manage, objects
from tests.control.test_up import Up
from tests.engines.control_plane import eventually
from tests.environment import require


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A data folder on a file system of its own, of 16 MB."""
    require(os.geteuid() == 0 and shutil.which("mount"), "a small file system needs root: run the tests with sudo")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs", str(data)], check=True)
    try:
        yield data
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def test_a_full_disk_ends_nothing_and_is_told_in_a_sentence(small: Path) -> None:
    tables.copy(small / "db.sqlite3")
    up = Up(small, "--simulate", "1")
    try:
        up.says("Pierhead is ready at")
        manage(small, "node", "cordon", "sim-1")
        before = _children(up.process.pid)
        _fill(small / "ballast")
        said = manage(small, "node", "uncordon", "sim-1", code=1)
        assert "full" in said
        assert len(said.splitlines()) == 1, said
        up.says(r"cannot be written \(No space left on device\): nothing new is started until there is room again", 40)
        assert up.process.poll() is None
        (small / "ballast").unlink()
        heard = _heard(small)
        eventually(lambda: _heard(small) != heard, 40)
        assert "uncordoned" in manage(small, "node", "uncordon", "sim-1")
        assert _children(up.process.pid) == before, "no process has ended"
    finally:
        up.close()


def _fill(path: Path) -> None:
    """Leaves not a block."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def _heard(data: Path) -> str:
    [node] = objects(data, "nodes")
    return next(str(one.get("lastHeartbeatTime")) for one in node["status"]["conditions"] if one["type"] == "Ready")


def _children(pid: int) -> set[int]:
    return {int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
