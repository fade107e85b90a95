"""A child that does not outlive `up`, even when that is killed with SIGKILL.

The supervisor holds the writing end of a pipe and nobody ever writes. When the supervisor is gone, for whatever reason,
the reading ends see end of file: the child is asked to stop, and killed with everything it started if it does not.
"""

import os
import signal
import threading
import time

GRACE_SECONDS = 3.5


def hold(descriptor: int) -> None:
    """Ends this process, and its process group, once the other end of the pipe `descriptor` is closed."""
    os.set_inheritable(descriptor, False)
    threading.Thread(target=_watch, args=(descriptor,), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    # The supervisor starts every child as the leader of its own group: tunnels and Git processes go with it.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
