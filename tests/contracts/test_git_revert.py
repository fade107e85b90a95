"""One path brought back to what it was, pushed to real servers: that path, all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.git import Author, ChangedFile, GitCredentials, GitFailed, GitSource
from tests.contracts.git_servers import HttpServer, Served, http_server

TOKEN = "s3cret/token+value"
NOTHING = GitCredentials()
ANN = Author("Ann", "ann@example.com")
BIG = b"x" * ((1 << 20) + 100)
GOOD = {"k8s/web.yaml": "image: web:1\nport: 80\n", "k8s/old.yaml": "o: 1\n", "README.md": "read\n", "k8s.txt": "a\n"}


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


def revert(
    source: GitSource, url: str, head: str, earlier: str, path: str = "k8s", credentials: GitCredentials = NOTHING,
    branch: str = "", ref: str = "main",
) -> str:  # fmt: skip
    for sha in (earlier, head):
        source.fetch("shop", url, ref, sha, credentials, True)
    return source.revert_and_push(
        "shop", url, ref, head, earlier, [path], branch, ANN, "Revert\n\nwhy\n", 1.7e9, credentials, True
    )


def test_over_http_with_a_token_from_a_mirror_without_large_files(
    source: GitSource, served: Served, http: HttpServer
) -> None:
    url, credentials = f"{http.url}shop.git", GitCredentials(token=TOKEN)
    good = served.push(GOOD | {"k8s/big.bin": BIG})
    served.push(GOOD)
    other = {"README.md": "more\n", "k8s.txt": "b\n"}
    bad = served.push(other | {"k8s/web.yaml": "image: web:2\n", "k8s/new.yaml": "n: 1\n"})
    for sha in (good, bad):
        source.fetch("shop", url, "main", sha, credentials, True)
    assert source.changed_files("shop", bad, good, ["k8s"]) == [
        ChangedFile("add", "k8s/big.bin"),
        ChangedFile("remove", "k8s/new.yaml"),
        ChangedFile("add", "k8s/old.yaml"),
        ChangedFile("change", "k8s/web.yaml"),
    ]  # fmt: skip  - without counts: a large file is not in the mirror
    made = revert(source, url, bad, good, credentials=credentials)
    assert served.git("rev-parse", "main", f"{made}^") == f"{made}\n{bad}"
    assert served.git("rev-parse", f"{made}:k8s") == served.git("rev-parse", f"{good}:k8s")
    assert served.git("diff", "--name-only", bad, made, "--", "README.md", "k8s.txt") == ""
    said = served.git("log", "-1", "--format=%an <%ae> %at|%B", made)
    assert said == "Ann <ann@example.com> 1700000000|Revert\n\nwhy"
    assert served.git("fsck", "--full", "--strict") == ""


@pytest.mark.parametrize(
    ("path", "changed"),
    [
        ("", [ChangedFile("change", "README.md", 1, 1), ChangedFile("change", "k8s/web.yaml", 2, 1)]),
        ("k8s/web.yaml", [ChangedFile("change", "k8s/web.yaml", 2, 1)]),
    ],
)
def test_the_whole_repository_or_one_file(
    source: GitSource, served: Served, path: str, changed: list[ChangedFile]
) -> None:
    url = str(served.path)
    good = served.push(GOOD)
    bad = served.push(GOOD | {"k8s/web.yaml": "image: web:2\n", "README.md": "more\n"})
    made = revert(source, url, bad, good, path)
    assert source.changed_files("shop", bad, good, [path]) == changed
    assert served.git("diff", "--name-only", bad, made).splitlines() == [one.path for one in changed]


def test_links_modes_submodules_and_odd_names_come_back_as_they_were(source: GitSource, served: Served) -> None:
    odd = b"M 100755 inline k8s/run.sh\ndata 2\nx\n\nM 120000 inline k8s/link\ndata 4\n/etc\nM 160000 " + b"1" * 40
    odd += b' k8s/sub\nM 100644 inline "k8s/a\\nb"\ndata 2\nx\n\nM 100644 inline "k8s/\\303"\ndata 2\nx\n\n'
    good = served.stream(odd)
    bad = served.push({"k8s/run.sh/now-a-folder": "x\n", "k8s/link": "no link\n"})
    made = revert(source, str(served.path), bad, good)
    assert served.git("rev-parse", f"{made}^{{tree}}") == served.git("rev-parse", f"{good}^{{tree}}")


def test_a_new_branch_leaves_the_old_one(source: GitSource, served: Served) -> None:
    good, bad = served.push(GOOD), served.push(GOOD | {"k8s/web.yaml": "image: web:2\n"})
    made = revert(source, str(served.path), bad, good, branch="pierhead/revert-shop-1234567")
    assert served.git("rev-parse", "main") == bad
    assert served.git("rev-parse", "refs/heads/pierhead/revert-shop-1234567") == made
    other = served.push(GOOD | {"k8s/web.yaml": "image: web:3\n"})
    with pytest.raises(GitFailed) as caught:
        revert(source, str(served.path), other, good, branch="pierhead/revert-shop-1234567")
    assert caught.value.reason == "Superseded"


def test_a_branch_that_moved_is_not_overwritten(
    source: GitSource, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = served.push(GOOD), served.push(GOOD | {"k8s/web.yaml": "image: web:2\n"})
    source.fetch("shop", str(served.path), "main", bad, NOTHING, True)
    newer = served.push(GOOD | {"k8s/web.yaml": "image: web:3\n"})
    with pytest.raises(GitFailed, match=f"its branch has moved meanwhile, to {newer[:7]}"):
        revert(source, str(served.path), bad, good)
    monkeypatch.setattr("deployer.adapters.git._resolve", lambda *_: ("refs/heads/main", bad))
    with pytest.raises(GitFailed) as caught:  # it moved between the look and the push
        revert(source, str(served.path), bad, good)
    assert caught.value.reason == "Superseded"
    assert served.git("rev-parse", "main") == newer


def test_a_branch_that_is_none_is_refused(source: GitSource, served: Served) -> None:
    good, bad = served.push(GOOD), served.push(GOOD | {"k8s/web.yaml": "image: web:2\n"})
    for branch in ("-x", "a..b", "a b", "x.lock", "ü:x"):
        with pytest.raises(GitFailed) as caught:
            revert(source, str(served.path), bad, good, branch=branch)
        assert caught.value.reason == "Refused"


def test_a_token_that_may_only_read(source: GitSource, served: Served, http: HttpServer) -> None:
    good, bad = served.push(GOOD), served.push(GOOD | {"k8s/web.yaml": "image: web:2\n"})
    served.git("config", "http.receivepack", "false")
    with pytest.raises(GitFailed) as caught:
        revert(source, f"{http.url}shop.git", bad, good, credentials=GitCredentials(token=TOKEN))
    assert caught.value.reason in ("Refused", "AuthenticationFailed")
    assert TOKEN not in caught.value.sentence
    assert served.git("rev-parse", "main") == bad
