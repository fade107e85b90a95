"""Image registries: Debian's docker-registry as the real thing, and one of ours for what that one does not do."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters import registry_line
from deployer.adapters.registry import OciRegistry
from deployer.core.container import RegistryAuth
from deployer.core.hooks.judgement import judge
from deployer.core.hooks.registries import REGISTRIES
from deployer.core.hooks.values import PushedImage, Received
from deployer.core.images.reference import Reference, parse_reference
from deployer.ports import RegistryError
from tests.contracts.git_servers import _wait_for
from tests.environment import require
from tests.ports import free_port

USER, PASSWORD = "pierhead", "secret"
HTPASSWD = "pierhead:$2b$04$DnygLNGDLU6XySG118BIVOARrLpFryuBaBDQUmbdZXquLqylXmsuO\n"
ANN = RegistryAuth(USER, PASSWORD)


@pytest.fixture(scope="module", params=["open", "private"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bool]]:
    """(its address, whether it wants credentials)."""
    program = shutil.which("docker-registry")
    require(program, "docker-registry is missing: apt-get install docker-registry")
    folder, port, private = tmp_path_factory.mktemp("registry"), free_port(), request.param == "private"
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if private:
        (folder / "htpasswd").write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        [str(program), "serve", str(folder / "config.yml")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield f"127.0.0.1:{port}", private
    finally:
        process.kill()
        process.wait()


def push(address: str, name: str, tag: str, content: str) -> str:
    """An image of nothing but a config, by the registry's own API; answers its digest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "comment": content}).encode()
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    begun = _send(f"http://{address}/v2/{name}/blobs/uploads/", "POST", b"")
    where = begun.headers["Location"]
    _send(f"{where}{'&' if '?' in where else '?'}digest={digest}", "PUT", config)
    kind = "application/vnd.oci.image.manifest.v1+json"
    described = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config), "digest": digest}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": described, "layers": []}).encode()
    _send(f"http://{address}/v2/{name}/manifests/{tag}", "PUT", manifest, kind)
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"


def _send(url: str, method: str, data: bytes, kind: str = "application/octet-stream") -> Any:
    given = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {"Content-Type": kind, "Authorization": f"Basic {given}"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        return answer


def refused(action: Callable[[], object]) -> RegistryError:
    with pytest.raises(RegistryError) as caught:
        action()
    assert PASSWORD not in caught.value.sentence
    return caught.value


def test_tags_and_digests(real: tuple[str, bool], monkeypatch: pytest.MonkeyPatch) -> None:
    address, private = real
    auth = ANN if private else None
    pushed = {f"1.{number}.0": push(address, "shop/web", f"1.{number}.0", str(number)) for number in range(5)}
    registry = OciRegistry(allow_local=True)
    image = parse_reference(f"{address}/shop/web:1.3.0")
    monkeypatch.setattr("deployer.adapters.registry.PAGE", 2)
    assert sorted(registry.tags(image, auth)) == sorted(pushed), "page by page"
    assert registry.digest(image, auth) == pushed["1.3.0"]
    assert push(address, "shop/web", "1.3.0", "again") == registry.digest(image, auth) != pushed["1.3.0"]


def test_what_a_real_one_refuses(real: tuple[str, bool]) -> None:
    address, private = real
    registry = OciRegistry(allow_local=True)
    missing = parse_reference(f"{address}/shop/nothing:1")
    found = refused(lambda: registry.tags(missing, ANN if private else None))
    assert (found.reason, found.sentence) == (
        "ImageNotFound", f"{address}/shop/nothing: the registry has no such repository or tag",
    )  # fmt: skip
    if private:
        found = refused(lambda: registry.tags(missing, None))
        assert found.sentence == f"{address}/shop/nothing: it wants credentials: name them in imagePullSecrets"
        found = refused(lambda: registry.digest(missing, RegistryAuth(USER, "wrong")))
        assert (found.reason, found.sentence) == (
            "PullDenied", f"{address}/shop/nothing: these credentials may not read it",
        )  # fmt: skip


class Ours:
    """A registry that behaves as it is told to: `answers` by path, each (status, headers, body)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.wants = ""
        self.address = ""
        self.told: list[Received] = []

    def image(self, tag: str = "1.0") -> Reference:
        return parse_reference(f"{self.address}/shop/web:{tag}")

    def answer(self, asked: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        given = asked.headers.get("Authorization", "")
        self.asked.append((asked.command, asked.path, given))
        path = asked.path.partition("?")[0]
        if self.wants and path.startswith("/v2/") and given != self.wants:
            realm = f'Bearer realm="http://{self.address}/token?a=b",service="hub",scope="repository:shop/web:pull"'
            return 401, {"WWW-Authenticate": realm}, b""
        return self.answers.get(asked.path) or self.answers.get(path) or (404, {}, b"{}")


@pytest.fixture
def ours() -> Iterator[Ours]:
    state = Ours()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = state.answer(self)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            named = {name.lower(): value for name, value in self.headers.items()}
            state.told.append(Received(named, body, time.time()))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - likewise
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_a_real_one_tells_of_a_push(tmp_path: Path, ours: Ours) -> None:
    """Its notification, as it comes: proven by the header that it was told to send, and read."""
    program = shutil.which("docker-registry")
    require(program, "docker-registry is missing: apt-get install docker-registry")
    port, secret = free_port(), "whsec_" + "A" * 43
    endpoint = {
        "name": "pierhead", "url": f"http://{ours.address}/hooks/x", "headers": {"Authorization": [f"Bearer {secret}"]},
        "timeout": "1s", "threshold": 1, "backoff": "1s",
    }  # fmt: skip
    config = {
        "version": 0.1, "log": {"level": "error"}, "http": {"addr": f"127.0.0.1:{port}"},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "data")}},
        "notifications": {"endpoints": [endpoint]},
    }  # fmt: skip
    (tmp_path / "config.yml").write_text(json.dumps(config))
    command = [str(program), "serve", str(tmp_path / "config.yml")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        push(f"127.0.0.1:{port}", "shop/web", "1.2", "x")
        deadline = time.monotonic() + 20
        found: list[PushedImage] = []
        while not found:
            assert time.monotonic() < deadline
            time.sleep(0.02)
            said = [judge(REGISTRIES["registry"], one, [secret], "main") for one in list(ours.told)]
            assert all(one.proven for one in said)
            found = [image for one in said for image in one.images]
    finally:
        process.kill()
        process.wait()
    assert found == [PushedImage(f"127.0.0.1:{port}/shop/web", "1.2")]


TAGS = "/v2/shop/web/tags/list"


def listed(*tags: str) -> bytes:
    return json.dumps({"name": "shop/web", "tags": list(tags)}).encode()


def test_a_token_is_got_from_where_the_registry_says_with_the_pulls_credentials(ours: Ours) -> None:
    ours.wants = "Bearer t0ken"
    ours.answers = {"/token": (200, {}, b'{"access_token": "t0ken"}'), TAGS: (200, {}, listed("1.0"))}
    assert OciRegistry(allow_local=True).tags(ours.image(), ANN) == ["1.0"]
    given = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert ours.asked[1] == ("GET", "/token?a=b&service=hub&scope=repository%3Ashop%2Fweb%3Apull", given)
    assert [one[2] for one in ours.asked if one[1].startswith("/v2/")] == ["", "Bearer t0ken"]


def test_an_anonymous_token_takes_no_credentials(ours: Ours) -> None:
    ours.wants = "Bearer t"
    ours.answers = {"/token": (200, {}, b'{"token": "t"}'), TAGS: (200, {}, listed("1.0"))}
    assert OciRegistry(allow_local=True).tags(ours.image(), None) == ["1.0"]
    assert ours.asked[1][2] == ""


@pytest.mark.parametrize(
    ("realm", "reason", "sentence"),
    [
        ("http://127.0.0.1:1/token", "RegistryUnreachable", "does not answer as a registry should"),
        ("http://169.254.169.254/token", "Refused", "169.254.169.254 is 169.254.169.254, a link-local address"),
        ("file:///etc/passwd", "BadAnswer", "the token server that the registry names cannot be asked"),
        ("http://10.0.0.1/token", "BadAnswer", "would be asked for a token in the clear; it must be https"),
        ("http://[::1/token", "BadAnswer", ""),
    ],
)
def test_a_token_server_that_must_not_be_asked(ours: Ours, realm: str, reason: str, sentence: str) -> None:
    ours.answers = {TAGS: (401, {"WWW-Authenticate": f'Bearer realm="{realm}"'}, b"")}
    found = refused(lambda: OciRegistry(allow_local=True).tags(ours.image(), ANN))
    assert found.reason == reason
    assert sentence in found.sentence


@pytest.mark.parametrize(
    ("answer", "reason", "sentence"),
    [
        ((302, {"Location": "http://127.0.0.1:1/"}, b""), "BadAnswer", "redirects, which is not followed"),
        ((500, {}, b""), "RegistryUnreachable", "the registry answers with status 500"),
        ((200, {}, b"<html>"), "BadAnswer", "the answer is not what a registry answers; is it one?"),
        ((200, {}, b"[" * 100_000), "BadAnswer", "the answer is not what a registry answers; is it one?"),
        ((200, {}, b'{"tags": "1.0"}'), "BadAnswer", "the answer holds no list of tags"),
        ((200, {}, b" " * (9 << 20)), "TooLarge", "answers with more than 8 MiB"),
        ((401, {"WWW-Authenticate": "Digest x"}, b""), "PullDenied", "these credentials may not read it"),
    ],
)  # fmt: skip
def test_what_a_strange_one_answers(
    ours: Ours, answer: tuple[int, dict[str, str], bytes], reason: str, sentence: str
) -> None:
    ours.answers = {TAGS: answer}
    found = refused(lambda: OciRegistry(allow_local=True).tags(ours.image(), ANN))
    assert found.reason == reason
    assert sentence in found.sentence
    assert found.sentence.startswith(f"{ours.address}/shop/web: ")


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [(429, "120", 120.0), (429, None, 300.0), (503, "7", 7.0), (429, "999999999", 86400.0), (429, "soon", 300.0)],
)
def test_one_that_asks_for_fewer_requests_is_left_alone(
    ours: Ours, status: int, header: str | None, seconds: float
) -> None:
    now = [1000.0]
    ours.answers = {TAGS: (status, {"Retry-After": header} if header else {}, b"")}
    registry = OciRegistry(allow_local=True, now=lambda: now[0])
    found = refused(lambda: registry.tags(ours.image(), None))
    assert found.retry_after_seconds == seconds
    assert found.sentence == f"{ours.address} asks for fewer requests: it is left alone for {seconds:.0f} s"
    asked = len(ours.asked)
    now[0] += seconds - 1
    assert refused(lambda: registry.digest(ours.image("2.0"), ANN)).retry_after_seconds == 1.0
    assert len(ours.asked) == asked, "nobody asks it before its time"
    now[0] += 1
    ours.answers = {TAGS: (200, {}, listed("1.0"))}
    assert registry.tags(ours.image(), None) == ["1.0"]


def test_pages_end_and_stay_with_the_host(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployer.adapters.registry.MAX_PAGES", 3)
    link = {"Link": '<http://169.254.169.254/v2/shop/web/tags/list?last=1.0&n=9>; rel="next"'}
    ours.answers = {
        f"{TAGS}?n=1000": (200, link, listed("1.0")),
        f"{TAGS}?last=1.0&n=9": (200, {"Link": "</elsewhere?x>; rel=next"}, listed("2.0")),
    }
    assert OciRegistry(allow_local=True).tags(ours.image(), None) == ["1.0", "2.0"]
    ours.answers[f"{TAGS}?last=1.0&n=9"] = (200, link, listed("2.0"))
    assert refused(lambda: OciRegistry(allow_local=True).tags(ours.image(), None)).reason == "TooLarge"


def test_a_digest_that_is_not_told_is_made_of_the_manifest(ours: Ours) -> None:
    ours.answers = {"/v2/shop/web/manifests/1.0": (200, {}, b"{}")}
    found = OciRegistry(allow_local=True).digest(ours.image(), None)
    assert found == f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    ours.answers = {"/v2/shop/web/manifests/1.0": (200, {"Docker-Content-Digest": "sha256:x"}, b"{}")}
    assert "a digest that is none" in refused(lambda: OciRegistry(allow_local=True).digest(ours.image(), None)).sentence


@pytest.mark.parametrize(
    ("registry", "sentence"),
    [
        ("localhost:5000", "a loopback address; PIERHEAD_ALLOW_LOCAL_REGISTRIES=1 admits it"),
        ("127.0.0.1:5000", "a loopback address; PIERHEAD_ALLOW_LOCAL_REGISTRIES=1 admits it"),
        ("169.254.169.254", "a link-local address"),
        ("0.0.0.0:80", "a loopback address"),
    ],
)
def test_this_machine_is_not_asked_unless_that_is_allowed(registry: str, sentence: str) -> None:
    found = refused(lambda: OciRegistry(allow_local=False).tags(parse_reference(f"{registry}/shop/web"), ANN))
    assert found.reason == "Refused"
    assert sentence in found.sentence


def test_a_name_that_leads_here_is_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolved(host: str, port: int, **_: object) -> list[Any]:
        return [(0, 0, 0, "", ("203.0.113.1", port)), (0, 0, 0, "", ("169.254.169.254", port))]

    monkeypatch.setattr(registry_line.socket, "getaddrinfo", resolved)
    found = refused(lambda: OciRegistry(allow_local=True).tags(parse_reference("evil.example.com/shop/web"), None))
    assert found.sentence.endswith("evil.example.com is 169.254.169.254, a link-local address")


def test_one_elsewhere_that_speaks_without_tls_is_told_apart_from_a_bad_certificate(
    real: tuple[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Engines are told of such a one (`insecure-registries`), so it looked as if Pierhead could not check it."""
    monkeypatch.setattr(registry_line, "forbidden_address", lambda address: "")  # as if it was another machine
    address, _ = real
    found = refused(lambda: OciRegistry(allow_local=False).tags(parse_reference(f"{address}/shop/web"), ANN))
    assert found.sentence == (
        f"{address}/shop/web: {address} speaks HTTP without TLS, and is asked with it only: give it a certificate"
    )


def test_a_registry_that_is_silent_ends_in_time() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        registry = OciRegistry(allow_local=True, timeout_seconds=0.2)
        found = refused(lambda: registry.tags(parse_reference(f"{address}/shop/web"), None))
    assert found.sentence == f"{address}/shop/web: {address} does not answer within 0.2 s"
