"""Commits that Pierhead makes, pushed to real servers: what they change, and what they leave as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.git import Author, GitCredentials, GitFailed, GitSource
from tests.contracts.git_servers import HttpServer, Served, http_server

TOKEN = "s3cret/token+value"
NOTHING = GitCredentials()
BOT = Author("Pierhead", "pierhead@example.com")
FILES = {"k8s/web.yaml": "image: web:1\n", "k8s/db.yaml": "image: db:1\n", "README.md": "x\n", "a b/ü.yaml": "x: 1\n"}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served.writable(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


@pytest.fixture
def http(served: Served) -> Iterator[HttpServer]:
    with http_server(served.path.parent, TOKEN) as server:
        yield server


def change(
    source: GitSource, url: str, parent: str, files: dict[str, bytes | None], credentials: GitCredentials = NOTHING,
    ref: str = "main",
) -> str:  # fmt: skip
    source.fetch("shop", url, ref, parent, credentials, True)
    return source.commit_and_push("shop", url, ref, parent, files, BOT, "Update\n\nbody\n", 1.7e9, credentials, True)


def follow(source: GitSource, served: Served, url: str, credentials: GitCredentials) -> None:
    served.push(FILES)
    big = b"x" * ((1 << 20) + 100)
    parent = served.push(FILES | {"big.bin": big})
    made = change(source, url, parent, {"k8s/web.yaml": b"image: web:2\n"}, credentials)
    assert served.git("rev-parse", "main") == made
    assert served.git("rev-parse", f"{made}^") == parent
    assert served.git("diff", "--name-status", parent, made) == "M\tk8s/web.yaml"
    assert served.git("show", f"{made}:k8s/web.yaml") == "image: web:2"
    assert served.git("log", "-1", "--format=%an <%ae> %at %cn|%B", made) == (
        "Pierhead <pierhead@example.com> 1700000000 Pierhead|Update\n\nbody"
    )
    assert served.git("fsck", "--full", "--strict") == ""
    again = change(source, url, made, {"k8s/web.yaml": b"image: web:3\n", "k8s/new.yaml": b"n: 1\n"}, credentials)
    assert served.git("diff", "--name-status", made, again) == "A\tk8s/new.yaml\nM\tk8s/web.yaml"


def test_over_a_plain_path(source: GitSource, served: Served) -> None:
    follow(source, served, str(served.path), NOTHING)


def test_over_http_with_a_token(source: GitSource, served: Served, http: HttpServer) -> None:
    follow(source, served, f"{http.url}shop.git", GitCredentials(token=TOKEN))


def test_modes_stay_and_files_go(source: GitSource, served: Served) -> None:
    first = served.stream(b"M 100755 inline run.sh\ndata 2\nx\n\nM 100644 inline a.yaml\ndata 2\na\n\n")
    made = change(source, str(served.path), first, {"run.sh": b"y\n", "a.yaml": None, "b c.yaml": b"b\n"})
    assert served.git("diff", "--raw", "--abbrev=4", first, made).splitlines()[2].startswith(":100755 100755")
    assert served.git("diff", "--name-status", first, made) == "D\ta.yaml\nA\tb c.yaml\nM\trun.sh"


def test_a_branch_that_moved_is_not_overwritten(
    source: GitSource, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = str(served.path)
    parent = served.push(FILES)
    source.fetch("shop", url, "main", parent, NOTHING, True)
    newer = served.push(FILES | {"k8s/web.yaml": "image: web:9\n"})
    with pytest.raises(GitFailed) as caught:
        change(source, url, parent, {"k8s/web.yaml": b"image: web:2\n"})
    assert (caught.value.reason, caught.value.sentence) == ("Superseded", f"{url}: its branch has moved meanwhile")
    # It moves between the look and the push.
    monkeypatch.setattr("deployer.adapters.git._resolve", lambda *_: ("refs/heads/main", parent))
    with pytest.raises(GitFailed) as caught:
        change(source, url, parent, {"k8s/web.yaml": b"image: web:2\n"})
    assert caught.value.reason == "Superseded"
    assert served.git("rev-parse", "main") == newer


@pytest.mark.parametrize("ref", ["v1", "HEAD", "refs/tags/v1"])
def test_only_a_branch_is_committed_to(source: GitSource, served: Served, ref: str) -> None:
    parent = served.push(FILES)
    served.git("tag", "v1")
    with pytest.raises(GitFailed, match="is no branch: only a branch can be committed to"):
        change(source, str(served.path), parent, {"a.yaml": b"a\n"}, ref=ref)
    with pytest.raises(GitFailed, match="is no branch"):
        change(source, str(served.path), parent, {"a.yaml": b"a\n"}, ref=parent)


def test_a_server_that_takes_no_push_says_so(source: GitSource, served: Served, http: HttpServer) -> None:
    parent = served.push(FILES)
    served.git("config", "http.receivepack", "false")
    with pytest.raises(GitFailed) as caught:
        change(source, f"{http.url}shop.git", parent, {"a.yaml": b"a\n"}, GitCredentials(token=TOKEN))
    assert TOKEN not in caught.value.sentence
    assert caught.value.reason in ("Refused", "AuthenticationFailed")
    hook = served.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho main is a protected branch >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitFailed) as caught:
        change(source, str(served.path), parent, {"a.yaml": b"a\n"})
    assert caught.value.reason == "Refused"
    assert "the server does not take a push (" in caught.value.sentence
    assert served.git("rev-parse", "main") == parent


@pytest.mark.parametrize("path", ["../x.yaml", "/etc/x", ".git/config", "a\nb.yaml", "-x"])
def test_paths_that_leave_the_repository_are_refused(source: GitSource, served: Served, path: str) -> None:
    parent = served.push(FILES)
    with pytest.raises(GitFailed) as caught:
        change(source, str(served.path), parent, {path: b"a\n"})
    assert caught.value.reason == "Refused"
