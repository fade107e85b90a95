"""A worker that Celery left alive and deaf ends itself; whoever runs it starts it again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from control import data, processes

PROGRAM = """
import time
from control import processes, pulse
pulse._written_at["worker"] = time.monotonic() - {silence}
pulse.INTERVAL_SECONDS = 0.05
processes._end_when_deaf()
"""


def test_silence_ends_it() -> None:
    program = PROGRAM.format(silence=processes.DEAF_SECONDS + 1)
    done = subprocess.run([sys.executable, "-c", program], cwd=data.HOME, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "no task was heard for 30 s" in done.stderr


def test_a_worker_that_hears_lives() -> None:
    command = [sys.executable, "-c", PROGRAM.format(silence=0)]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(command, cwd=data.HOME, capture_output=True, timeout=2)
