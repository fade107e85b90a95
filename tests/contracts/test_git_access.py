"""Ways into a repository, against real servers: a key that is made here, host keys, and the tokens of a GitHub App."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deployer.adapters import github_tokens, ssh_keys
from deployer.adapters.git import GitCredentials, GitFailed, GitSource
from deployer.adapters.git_host import api_token
from deployer.core.host_keys import keys_in, known_hosts, place_of
from deployer.core.repository import parse_repository_url
from tests.contracts.git_servers import HttpServer, Served, SshServer, http_server, ssh_server, sshd_program
from tests.environment import require

WEB = {"k8s/web.yaml": "kind: Deployment\n"}
LOCAL = {"allow_local": True}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "served").mkdir()
    made = Served.make(tmp_path / "served" / "shop.git")
    made.push(WEB)
    return made


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    require(sshd_program(), "sshd is missing: apt-get install openssh-server")
    with ssh_server(tmp_path_factory.mktemp("sshd-access")) as server:
        yield server


def test_a_host_is_known_by_what_it_showed_when_somebody_looked(
    source: GitSource, served: Served, ssh: SshServer
) -> None:
    address = parse_repository_url(ssh.url(served.path), allow_local=True)
    (key,) = ssh_keys.host_keys(address, **LOCAL)
    assert [key] == keys_in(ssh.known_hosts)
    credentials = GitCredentials(ssh_key=ssh.key, known_hosts=known_hosts(*place_of(address), [key]))
    assert source.head(address.url, "main", credentials, True) == served.git("rev-parse", "main")
    with pytest.raises(GitFailed, match=r"is 127\.0\.0\.1, a loopback address"):
        ssh_keys.host_keys(address, allow_local=False)


def test_a_host_key_that_changed_is_told_with_both_fingerprints(
    source: GitSource, served: Served, ssh: SshServer
) -> None:
    (now,), (before,) = keys_in(ssh.known_hosts), keys_in(ssh.other_known_hosts)
    credentials = GitCredentials(ssh_key=ssh.key, known_hosts=ssh.other_known_hosts)
    with pytest.raises(GitFailed) as caught:
        source.head(ssh.url(served.path), "main", credentials, True)
    assert caught.value.reason == "HostKeyUnknown"
    assert f"shows the host key {now.fingerprint}, and is known by {before.title}: ask its administrator" in str(
        caught.value
    )


@pytest.mark.parametrize(("host", "kind"), [("git.example.com", "ssh-ed25519 "), ("ssh.dev.azure.com", "ssh-rsa ")])
def test_a_key_that_is_made_here_opens_once_its_public_half_is_there(
    source: GitSource, served: Served, ssh: SshServer, tmp_path: Path, host: str, kind: str
) -> None:
    private, public = ssh_keys.new_key(host, "pierhead-shop")
    assert public.startswith(kind)
    assert public.endswith(" pierhead-shop")
    credentials = GitCredentials(ssh_key=private, known_hosts=ssh.known_hosts)
    with pytest.raises(GitFailed, match="the SSH key is not admitted there"):
        source.head(ssh.url(served.path), "main", credentials, True)
    with ssh.authorized.open("a") as file:
        file.write(f"{public}\n")
    assert source.head(ssh.url(served.path), "main", credentials, True) == served.git("rev-parse", "main")


# GitHub Apps


@dataclass
class Api:
    """GitHub's answer to whoever asks for a token of an installation."""

    url: str = ""
    status: int = 201
    token: str = "ghs_first"
    valid_seconds: float = 3600
    asked: list[str] = field(default_factory=list)
    body: bytes = b""


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.asked.append(f"{self.path} {self.headers['Authorization'][:12]}")
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + made.valid_seconds))
            answer = made.body or json.dumps({"token": made.token, "expires_at": until}).encode()
            self.send_response(made.status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}/api/v3"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    server.shutdown()
    thread.join()
    server.server_close()
    github_tokens._tokens.clear()


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(65537, 2048)
    return made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def git(served: Served) -> Iterator[HttpServer]:
    with http_server(served.path.parent, "ghs_first") as server:
        yield server


def test_an_app_s_token_is_fetched_once_and_anew_when_git_refuses_it(
    source: GitSource, served: Served, api: Api, git: HttpServer, key: str
) -> None:
    credentials = GitCredentials(app_id="12", installation_id="34", app_key=key, api_url=api.url)

    def head() -> str:
        return source.head(f"{git.url}shop.git", "main", credentials, True)

    assert head() == head() == served.git("rev-parse", "main")
    assert api.asked == ["/api/v3/app/installations/34/access_tokens Bearer eyJhb"]
    assert set(git.users) == {"x-access-token"}
    git.token = api.token = "ghs_second"
    with pytest.raises(GitFailed, match="the token is wrong, has expired or was revoked"):
        head()
    assert head() == served.git("rev-parse", "main")
    assert len(api.asked) == 2


def test_a_token_that_ends_soon_is_not_used_again(api: Api, key: str) -> None:
    app = GitCredentials(app_id="12", installation_id="34", app_key=key, api_url=api.url).app
    assert app
    api.valid_seconds = github_tokens.RENEWED_BEFORE_SECONDS - 10
    assert github_tokens.installation_token(app, **LOCAL) == "ghs_first"
    api.token = "ghs_second"
    assert github_tokens.installation_token(app, **LOCAL) == "ghs_second"


def test_the_host_s_api_is_asked_with_it_too(api: Api, key: str) -> None:
    credentials = GitCredentials(app_id="12", installation_id="34", app_key=key, api_url=api.url)
    assert api_token(credentials, **LOCAL) == "ghs_first"
    assert api_token(GitCredentials(token="mine"), **LOCAL) == "mine"


@pytest.mark.parametrize(
    ("status", "body", "reason", "sentence"),
    [
        (401, b'{"message": "A JSON web token could not be decoded"}', "AuthenticationFailed",
         r"refused the App's signature \(A JSON web token could not be decoded\): the private key is not of App 12"),
        (403, b"<html>", "AuthenticationFailed", "refuses installation 34: it may be suspended"),
        (404, b"{}", "AuthenticationFailed", "knows no installation 34 of App 12"),
        (302, b"", "Unreachable", "answered 302"),
        (503, b"[1]", "Unreachable", "answered 503: it is asked again"),
        (201, b"no json", "Unreachable", "gave no token that can be read"),
        (201, b'{"token": "x\\n", "expires_at": "2030-01-01T00:00:00Z"}', "Unreachable", "gave a token that is none"),
        (201, b'{"token": "' + b"x" * (2 << 20) + b'"}', "Unreachable", "gave no token that can be read"),
    ],
)  # fmt: skip
def test_an_api_that_gives_no_token_is_told(
    api: Api, key: str, status: int, body: bytes, reason: str, sentence: str
) -> None:
    api.status, api.body = status, body
    app = GitCredentials(app_id="12", installation_id="34", app_key=key, api_url=api.url).app
    assert app
    with pytest.raises(GitFailed, match=sentence) as caught:
        github_tokens.installation_token(app, **LOCAL)
    assert caught.value.reason == reason
    assert "PRIVATE" not in str(caught.value)


def test_an_api_on_this_machine_is_refused_unless_that_is_meant(api: Api, key: str) -> None:
    app = GitCredentials(app_id="12", installation_id="34", app_key=key, api_url=api.url).app
    assert app
    with pytest.raises(GitFailed, match="http:// sends tokens"):
        github_tokens.installation_token(app, allow_local=False)
    assert api.asked == []
