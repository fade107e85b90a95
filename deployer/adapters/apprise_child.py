"""A program of its own, started for each message: it loads apprise, sends, and says on stdout what came of it.

    stdin   {"url", "title", "body", "tone", "local", "proxied"}
    stdout  {"sent": bool, "retryable": bool, "why": [lines that apprise logged]}

Of its own, because apprise brings a hundred plugins that nobody else here should share memory, sockets and time with:
its parent bounds all three. A name is looked up only here, at the moment of connecting, and what it leads to is
checked on each connection, so that neither a name that changes its mind nor a redirect reaches this machine.
"""

from __future__ import annotations

import json
import logging
import resource
import socket
import sys
from typing import Any

from deployer.core.repository import forbidden_address

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 20
MAX_LINES = 5


class Lines(logging.Handler):
    """What was logged, as it was said."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    asked = json.load(sys.stdin)
    if not (asked["local"] or asked["proxied"]):
        hold_to_the_outside()
    json.dump(send(asked), sys.stdout)


def hold_to_the_outside() -> None:
    """Every connection of this process asks here for its addresses, and gets none that lead into this machine."""
    look_up = socket.getaddrinfo

    def guarded(*arguments: Any, **options: Any) -> Any:
        found = look_up(*arguments, **options)
        for entry in found:
            if reason := forbidden_address(str(entry[4][0])):
                raise OSError(f"its name leads to {entry[4][0]}, {reason}")
        return found

    socket.getaddrinfo = guarded


def send(asked: dict[str, Any]) -> dict[str, Any]:
    import apprise

    heard = Lines()
    logging.getLogger("apprise").addHandler(heard)
    asset = apprise.AppriseAsset(
        app_id="Pierhead", app_desc="Pierhead", app_url="", async_mode=False, http_redirects=False, plugin_paths=[],
        secure_logging=True, storage_mode=apprise.PersistentStoreMode.MEMORY, image_url_mask="", image_url_logo="",
    )  # fmt: skip
    sender = apprise.Apprise(asset=asset)
    if not sender.add(asked["url"]):
        return {"sent": False, "retryable": False, "why": ["the address is not complete, or not one of its kind"]}
    sent = sender.notify(
        title=asked["title"], body=asked["body"], notify_type=asked["tone"], body_format=apprise.NotifyFormat.TEXT
    )
    return {"sent": bool(sent), "retryable": True, "why": [] if sent else heard.lines[:MAX_LINES]}


if __name__ == "__main__":
    main()
