"""Messages through the real apprise, to a real server on loopback."""

from __future__ import annotations

import json
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployer.adapters import apprise_child
from deployer.adapters.apprise_notifier import AppriseNotifier
from deployer.core.announcements import Announcement
from deployer.ports import NotifyError

SAID = Announcement("Rollout of <web> failed", "why & how\n  exit 1", "failure")
SECRET = "s3cr3tpath"


@dataclass
class Receiver:
    url: str = ""
    status: int = 200
    hold: threading.Event | None = None
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    state: Receiver

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        self.state.got.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        if self.state.hold:
            self.state.hold.wait(30)
        self.send_response(self.state.status)
        self.send_header("Content-Length", "0")
        self.send_header("Location", "/elsewhere")
        self.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    state.url = f"json://127.0.0.1:{server.server_port}/{SECRET}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    if state.hold:
        state.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_arrives(receiver: Receiver) -> None:
    AppriseNotifier(allow_local=True).send(receiver.url, SAID)
    ((path, body),) = receiver.got
    assert path == f"/{SECRET}"
    assert (body["title"], body["message"], body["type"]) == (SAID.title, SAID.body, "failure")


def test_a_server_that_hangs_is_left_in_time(receiver: Receiver) -> None:
    receiver.hold = threading.Event()
    with pytest.raises(NotifyError, match=r"it was not sent within 0.2 s"):
        AppriseNotifier(allow_local=True, timeout_seconds=0.2).send(receiver.url, SAID)


@pytest.mark.parametrize("status", [500, 302])
def test_a_server_that_does_not_take_it_is_not_followed(receiver: Receiver, status: int) -> None:
    receiver.status = status
    answer = sent(receiver.url)
    assert not answer["sent"]
    assert answer["retryable"]
    assert f"error={status}" in answer["why"][0]
    assert len(receiver.got) == 1


def test_an_address_that_is_not_complete_is_not_tried_again() -> None:
    assert sent("slack://x") == {
        "sent": False, "retryable": False, "why": ["the address is not complete, or not one of its kind"],
    }  # fmt: skip


def test_a_name_that_leads_into_this_machine_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    """As a name does whose owner changed his mind since it was added. The port is the receiver's own."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: look_up("127.0.0.1", *more, **options))
    apprise_child.hold_to_the_outside()
    url = receiver.url.replace("127.0.0.1", "hooks.example.com")
    assert not sent(url)["sent"]
    assert receiver.got == []
    with pytest.raises(OSError, match=r"its name leads to 127.0.0.1, a loopback address"):
        socket.create_connection(("hooks.example.com", 80))


def test_a_reason_holds_nothing_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"sent": False, "retryable": True, "why": [f"cannot reach {SECRET}\x1b[31m at\nhunter2hunter2."]}
    monkeypatch.setattr(AppriseNotifier, "_run", lambda *_: answer)
    with pytest.raises(NotifyError) as raised:
        AppriseNotifier(allow_local=True).send(f"json://ann:hunter2hunter2@h.example.com/{SECRET}", SAID)
    assert raised.value.sentence == "cannot reach *** at ***"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "json://127.0.0.1/x"])
def test_what_is_not_admitted_is_not_sent(url: str) -> None:
    with pytest.raises(NotifyError) as raised:
        AppriseNotifier(allow_local=False).send(url, SAID)
    assert not raised.value.retryable


def sent(url: str) -> dict[str, Any]:
    """In this process, since each of its own takes a second to load apprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of what apprise imports
        return apprise_child.send({"url": url, "title": SAID.title, "body": SAID.body, "tone": SAID.tone})
