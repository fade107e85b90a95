"""Ports that a test gives to somebody who will listen there in a moment."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

_FIRST, _COUNT = 10_000, 22_000
"""Below those that the kernel gives to clients: one that it was asked for (port 0) may be some client's own by the time
that somebody listens on it, and was, now and then, with many tests at once."""
_FIXED = range(18_000, 19_000)  # some tests name theirs
_numbers = itertools.count(os.getpid() * 37 % _COUNT)


def free_port() -> int:
    """On every address of this machine, TCP."""
    while True:
        number = _FIRST + next(_numbers) % _COUNT
        if number in _FIXED:
            continue
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("0.0.0.0", number))
            return number
