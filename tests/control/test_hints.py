"""A hint without a broker: the row is due anyway, so nobody is kept waiting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import django
django.setup()
from kombu.utils import functional
rests = []
functional.sleep = rests.append
from control import hints
hints.send("schedule", ["cluster"])
print(rests)
"""


def test_a_broker_that_is_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    """Left to itself, kombu rests for two seconds and tries once more: a click would take that long for each hint.

    In a process of its own: connections to brokers of other tests may be pooled in this one.
    """
    nobody = {"REDIS_URL": f"unix://{tmp_path}/nobody.sock", "DJANGO_SETTINGS_MODULE": "control.settings"}
    environment = {**os.environ, **nobody, "PIERHEAD_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
    assert "the broker does not answer (OperationalError); schedule waits for the dispatcher" in done.stderr
