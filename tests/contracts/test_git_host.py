"""Requests to a real server on loopback: bounded, to nobody else, and with what it says about waiting."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deployer.adapters import git_host, github_tokens
from deployer.core.git_hosts import Ask, Status
from deployer.core.source import GitCredentials, RepositoryAccess
from deployer.ports import SourceError

TOKEN = "s3cr3t-token"
SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
NOW = 1_800_000_000.0


@dataclass
class Api:
    url: str = ""
    code: int = 201
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    hold: threading.Event | None = None
    drip: threading.Event | None = None
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    api: Api

    def log_message(self, *_arguments: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.api.asked.append((self.command, self.path, dict(self.headers), body))
        if self.api.hold:
            self.api.hold.wait(30)
        self.send_response(self.api.code)
        for name, value in {**self.api.headers, "Content-Length": str(len(self.api.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.api.drip:
            self._drip()
        self.wfile.write(self.api.body)

    def _drip(self) -> None:
        """A byte now and then, for as long as anybody reads."""
        with contextlib.suppress(OSError):
            while not self.api.drip.wait(0.02):
                self.wfile.write(b" ")


@pytest.fixture
def api() -> Iterator[Api]:
    state = Api()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    if state.hold:
        state.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


def repository(api: Api, provider: str = "gitea", **fields: object) -> RepositoryAccess:
    given = {"provider": provider, "credentials": GitCredentials(token=TOKEN), "allow_local": True, **fields}
    return RepositoryAccess("uid", "shop", f"{api.url}/team/shop.git", "main", poll_seconds=30, **given)  # type: ignore[arg-type]


SAID = Status(SHA, "success", "3 workloads healthy", "pierhead/shop", "https://deploy.example.com/applications/shop")


def test_a_status_arrives(api: Api) -> None:
    verdict, wait = git_host.tell_status(repository(api), SAID, NOW)
    assert (verdict.done, wait) == (True, 0.0)
    ((method, path, headers, body),) = api.asked
    assert (method, path) == ("POST", f"/api/v1/repos/team/shop/statuses/{SHA}")
    assert headers["Authorization"] == f"token {TOKEN}"
    assert headers["Host"] == api.url.removeprefix("http://")
    assert json.loads(body)["state"] == "success"


def test_a_github_app_asks_with_its_token_where_it_says(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_tokens, "installation_token", lambda app, *, allow_local: f"ghs_{app.app_id}")
    app = GitCredentials(app_id="7", installation_id="8", app_key="key", api_url=f"{api.url}/api/v3")
    verdict, _ = git_host.tell_status(repository(api, "", credentials=app), SAID, NOW)
    assert verdict.done
    ((_, path, headers, _),) = api.asked
    assert path == f"/api/v3/repos/team/shop/statuses/{SHA}"
    assert headers["Authorization"] == "Bearer ghs_7"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "99999999"}, 3600.0),
        ({"Retry-After": "-5"}, 0.0),
        ({"Retry-After": "soon"}, 0.0),
        ({"Retry-After": "nan"}, 0.0),
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW) + 90)}, 90.0),
        ({"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": str(int(NOW) + 90)}, 0.0),
    ],
)
def test_it_waits_as_long_as_it_is_told(api: Api, headers: dict[str, str], wait: float) -> None:
    api.code, api.headers = 429, headers
    verdict, found = git_host.tell_status(repository(api), SAID, NOW)
    assert (verdict.final, found) == (False, wait)


def test_a_redirect_is_not_followed(api: Api) -> None:
    api.code, api.headers = 307, {"Location": f"{api.url}/elsewhere"}
    verdict, _ = git_host.tell_status(repository(api), SAID, NOW)
    assert not verdict.done
    assert len(api.asked) == 1


def test_an_endless_answer_is_read_to_a_limit(api: Api) -> None:
    api.code, api.body = 500, b"x" * (git_host.MAX_ANSWER_BYTES + 10)
    ask = Ask("POST", f"{api.url}/x", {}, b"{}")
    assert len(git_host.request(ask, allow_local=True, now=NOW).body) == git_host.MAX_ANSWER_BYTES


def test_an_answer_that_drips_is_given_up(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte came in time, so that it held its worker for days."""
    monkeypatch.setattr(git_host, "TIMEOUT_SECONDS", 0.3)
    api.drip, api.body = threading.Event(), b" " * 100_000
    with pytest.raises(SourceError, match="does not answer \\(TimeoutError\\): it is asked again"):
        git_host.request(Ask("POST", f"{api.url}/x", {}, b"{}"), allow_local=True, now=NOW)
    api.drip.set()


def test_what_does_not_answer_is_asked_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_host, "TIMEOUT_SECONDS", 0.2)
    api.hold = threading.Event()
    verdict, _ = git_host.tell_status(repository(api), SAID, NOW)
    assert (verdict.done, verdict.final) == (False, False)
    assert "does not answer (ReadTimeoutError): it is asked again" in verdict.sentence
    assert TOKEN not in verdict.sentence


def test_a_name_that_leads_into_this_machine_is_not_asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **options: look_up("127.0.0.1", *more, **options))
    with pytest.raises(SourceError, match=r"api.example.com is 127.0.0.1, a loopback address: its API is not asked"):
        git_host.request(Ask("POST", "https://api.example.com/x", {}, b""), allow_local=False, now=NOW)
    assert api.asked == []


@pytest.mark.parametrize(
    ("provider", "url", "sentence"),
    [
        ("", "", "which kind of host this is is not known"),
        ("nonsense", "", "nonsense is no kind of Git host"),
        ("bitbucket", "", "set PIERHEAD_PUBLIC_URL"),
    ],
)
def test_what_cannot_be_asked_is_final(api: Api, provider: str, url: str, sentence: str) -> None:
    said = Status(SHA, "success", "", "pierhead/shop", url)
    verdict, _ = git_host.tell_status(repository(api, provider), said, NOW)
    assert verdict.final
    assert sentence in verdict.sentence
    assert api.asked == []
