"""Host names -> addresses, as this machine's resolver knows them. HAProxy takes servers at run time by address only."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time

KEPT_SECONDS = 60.0


class HostNames:
    """Remembers answers for a minute; one that cannot be had leaves the last one standing. Safe for threads."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def address(self, name: str) -> str:
        """An IPv4 address if there is one, else IPv6; the name itself when nobody knows it, so that it can be told."""
        if not name or _is_address(name):
            return name
        with self._lock:
            looked_up_at, known = self._known.get(name, (-KEPT_SECONDS, ""))
        if time.monotonic() - looked_up_at < KEPT_SECONDS:
            return known
        found = _looked_up(name) or known or name
        with self._lock:
            self._known[name] = (time.monotonic(), found)
        return found


def _looked_up(name: str) -> str:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    by_family = sorted(answers, key=lambda answer: answer[0] != socket.AF_INET)
    return str(by_family[0][4][0]) if by_family else ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
