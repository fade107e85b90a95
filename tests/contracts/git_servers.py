"""Real Git servers on loopback: HTTP with token authentication through `git http-backend`, and SSH through sshd.

Also the repositories that they serve, written commit by commit with the Git that is under no restriction.
"""

from __future__ import annotations

import base64
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.ports import free_port

# A user's or a host's own Git configuration has no part in these tests.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ann Author",
    "GIT_AUTHOR_EMAIL": "ann@example.com",
    "GIT_COMMITTER_NAME": "Carl Committer",
    "GIT_COMMITTER_EMAIL": "carl@example.com",
}


@dataclass(frozen=True)
class Served:
    """A repository as its owners see it: `path` is a bare repository."""

    path: Path

    @classmethod
    def make(cls, path: Path, *options: str) -> Served:
        run("init", "-q", "--bare", "-b", "main", *options, str(path), cwd=path.parent)
        served = cls(path)
        served.git("config", "uploadpack.allowFilter", "true")
        return served

    @classmethod
    def writable(cls, folder: Path) -> Served:
        """In a folder of its own below this one, and pushed to over HTTP as well."""
        (folder / "served").mkdir()
        served = cls.make(folder / "served" / "shop.git")
        served.git("config", "http.receivepack", "true")
        return served

    def git(self, *arguments: str, data: bytes = b"") -> str:
        return run(*arguments, cwd=self.path, data=data)

    def push(self, files: Mapping[str, bytes | str], *, ref: str = "refs/heads/main", message: str = "change") -> str:
        """A commit on top of `ref` whose tree is exactly `files`; answers its id."""
        return self.stream(b"".join(_file_change(path, data) for path, data in files.items()), ref, message)

    def stream(self, changes: bytes, ref: str = "refs/heads/main", message: str = "change") -> str:
        """A commit made of fast-import commands: for trees that no worktree could hold."""
        text = message.encode()
        head = f"commit {ref}\ncommitter Carl <carl@example.com> 1700000000 +0000\ndata {len(text)}\n".encode()
        parent = f"from {ref}^0\n".encode() if self.has(ref) else b""
        self.git("fast-import", "--quiet", "--force", data=head + text + b"\n" + parent + b"deleteall\n" + changes)
        return self.git("rev-parse", ref)

    def has(self, ref: str) -> bool:
        found = subprocess.run(
            ["git", "rev-parse", "-q", "--verify", ref], cwd=self.path, env=CLEAN, capture_output=True
        )
        return found.returncode == 0

    def tree(self, entries: bytes) -> str:
        """A tree object from raw bytes: names that fast-import and mktree refuse."""
        return self.git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=entries)

    def commit_tree(self, tree: str, ref: str = "refs/heads/main") -> str:
        sha = self.git("commit-tree", "-m", "crafted", tree)
        self.git("update-ref", ref, sha)
        return sha


def run(*arguments: str, cwd: Path, data: bytes = b"") -> str:
    done = subprocess.run(["git", *arguments], cwd=cwd, env=CLEAN, input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "replace").strip()


def _file_change(path: str, data: bytes | str) -> bytes:
    content = data.encode() if isinstance(data, str) else data
    quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'M 100644 inline "{quoted}"\ndata {len(content)}\n'.encode() + content + b"\n"


@dataclass
class HttpServer:
    """`url` plus a repository's folder name is its address. What was asked is in `requests`."""

    root: Path
    token: str = ""
    protocol: str = "version=2"
    redirect_to: str = ""
    # Answers every request with an error that repeats the credentials it was sent.
    echoes: bool = False
    hold: threading.Event | None = None
    requests: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    url: str = ""


@contextlib.contextmanager
def http_server(root: Path, token: str = "") -> Iterator[HttpServer]:
    state = HttpServer(root, token)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        if state.hold:
            state.hold.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """A CGI bridge to `git http-backend` behind Basic authentication."""

    protocol_version = "HTTP/1.1"
    state: HttpServer

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it
        self.state.requests.append(format % arguments)

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self._body())

    def _answer(self, body: bytes) -> None:
        if self.state.redirect_to:
            self.reply(302, {"Location": self.state.redirect_to + self.path}, b"")
        elif self.state.echoes:
            self._echo()
        elif not self._is_admitted():
            self.reply(401, {"WWW-Authenticate": 'Basic realm="git"'}, b"")
        elif self.state.hold is not None and self.command == "POST":
            self.state.hold.wait(30)
            self.close_connection = True
        else:
            self._backend(body)

    def _echo(self) -> None:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        says = f"ERR sent {given} which is {base64.b64decode(given).decode()}"
        packet = f"{len(says) + 4:04x}{says}".encode()
        self.reply(200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, packet)

    def _is_admitted(self) -> bool:
        if not self.state.token:
            return True
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        self.state.users.append(user)
        return password == self.state.token

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        variables = CLEAN | {
            "GIT_PROJECT_ROOT": str(self.state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            # A push knows no version 2, whatever the server may speak.
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") and self.state.protocol,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(["git", "http-backend"], env=variables, input=body, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.reply(int(headers.pop("Status", "200").split()[0]), headers, content)

    def reply(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(content))}).items():  # type: ignore[operator]
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(content)


@dataclass(frozen=True)
class SshServer:
    """sshd with a host key of its own. `key` opens it; `stranger` is a sound key that does not."""

    user: str
    port: int
    key: str
    stranger: str
    known_hosts: str
    other_known_hosts: str
    authorized: Path

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


def sshd_program() -> str | None:
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    program = sshd_program()
    assert program
    for name in ("host", "other", "key", "stranger"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)],
            check=True,
            capture_output=True,
        )
    (folder / "authorized").write_bytes((folder / "key.pub").read_bytes())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield SshServer(
            user=getpass.getuser(),
            port=port,
            key=(folder / "key").read_text(),
            stranger=(folder / "stranger").read_text(),
            known_hosts=f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}",
            other_known_hosts=f"[127.0.0.1]:{port} {(folder / 'other.pub').read_text()}",
            authorized=folder / "authorized",
        )
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError("sshd does not listen")


def processes() -> list[str]:
    """The command lines of all processes of this machine that still run (a dead one has none)."""
    lines = []
    for entry in Path("/proc").iterdir():
        # A process may end between being listed and being read.
        with contextlib.suppress(OSError):
            if entry.name.isdigit():
                lines.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return lines


def are_gone(text: str, within_seconds: float) -> bool:
    """Whether all processes with this text in their command line end in time; killed ones take some milliseconds."""
    deadline = time.monotonic() + within_seconds
    while any(text in line for line in processes()):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
