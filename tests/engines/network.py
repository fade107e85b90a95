"""A bridge in this network namespace, and a namespace behind it for each host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator

_SUBNETS = range(1, 250)


def ip(*commands: str, inside: str = "", check: bool = True) -> None:
    """Run `ip` commands in one process. With `check` off, what does not exist is passed over."""
    where = ["-n", inside] if inside else []
    how = ["-batch", "-"] if check else ["-force", "-batch", "-"]
    done = subprocess.run(
        ["ip", *where, *how], input="\n".join(commands) + "\n", text=True, capture_output=True, timeout=20
    )
    if check and done.returncode:
        raise RuntimeError(f"ip {commands}: {done.stderr.strip()}")


@contextlib.contextmanager
def subnet() -> Iterator[str]:
    """The first three bytes of a /24 that no other test run uses: "10.213.7". Held by a file lock."""
    for number in _SUBNETS:
        lock = os.open(f"/tmp/pierhead-subnet-{number}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        try:
            yield f"10.213.{number}"
        finally:
            os.close(lock)
        return
    raise RuntimeError("every 10.213.x.0/24 is in use by another test run")


def make_bridge(name: str, address: str) -> None:
    ip(f"link add {name} type bridge forward_delay 0", f"addr add {address}/24 dev {name}", f"link set {name} up")


def plug_in(namespace: str, outside: str, bridge: str, address: str) -> None:
    """A new network namespace with `address` on the bridge; `outside` is the name of the cable's end on the bridge.

    The card's hardware address follows from the IP address: a machine keeps it when it boots again, and its neighbours
    remember it. There is no default route: nothing leaves the bridge, and whoever tries is told so at once.
    """
    card = "02:d5:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    ip(f"netns add {namespace}", f"link add {outside} type veth peer name eth0 address {card} netns {namespace}")
    ip(f"link set {outside} master {bridge} up")
    ip("link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up", inside=namespace)


def unplug(namespace: str, outside: str) -> None:
    ip(f"link del {outside}", f"netns del {namespace}", check=False)


def remove_bridge(name: str) -> None:
    ip(f"link del {name}", check=False)
