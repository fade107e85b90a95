"""The quick look: where it answers it says what Git says, and everywhere else Git is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters import git as module
from deployer.adapters.git import GitCredentials, GitFailed, GitSource
from deployer.adapters.git_quick import AGAIN_SECONDS, QuickLook, _lines
from deployer.core.repository import parse_repository_url
from tests.contracts.git_servers import HttpServer, Served, http_server

TOKEN = "s3cret/token+value"
ANN = GitCredentials(token=TOKEN)
MAIN = ("refs/heads/main", "refs/tags/main")


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "served").mkdir()
    served = Served.make(tmp_path / "served" / "shop.git")
    served.push({"a.yaml": "a: 1\n"})
    served.push({"a.yaml": "a: 2\n"}, ref="refs/heads/main-2")
    return served


@pytest.fixture
def http(served: Served) -> Iterator[HttpServer]:
    with http_server(served.path.parent, TOKEN) as server:
        yield server


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


def test_it_says_what_git_says_without_starting_it(
    source: GitSource, served: Served, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.git("tag", "-a", "-m", "signed off", "v1", "main-2")
    served.git("tag", "light", "main-2")
    served.git("tag", "both", "main-2")
    served.git("branch", "both", "main")
    refs = ("main", "main-2", "v1", "light", "both", "HEAD", "refs/heads/main", "refs/tags/v1")
    url = str(served.path)
    expected = {ref: GitSource.head(source, url, ref, GitCredentials(), True) for ref in refs}
    assert expected["v1"] == served.git("rev-parse", "main-2")
    monkeypatch.setattr(module, "remote_session", None)
    assert {ref: source.head(f"{http.url}shop.git", ref, ANN, True) for ref in refs} == expected
    assert len(http.requests) == len(refs), "one request each"


def test_what_is_not_plain_is_gits_and_for_an_hour(
    served: Served, http: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    quick = QuickLook(now=lambda: now[0])
    address = parse_repository_url(f"{http.url}shop.git", allow_local=True)
    wrong = "Basic d3Jvbmc6d3Jvbmc="
    assert quick.head(address, MAIN, wrong, allow_local=True) is None
    asked = len(http.requests)
    assert quick.head(address, MAIN, wrong, allow_local=True) is None
    assert len(http.requests) == asked
    now[0] = AGAIN_SECONDS
    assert quick.head(address, MAIN, wrong, allow_local=True) is None
    assert len(http.requests) > asked
    assert QuickLook().head(address, MAIN, "", allow_local=False) is None, "this machine, unasked"
    ssh = parse_repository_url("git@example.com:a/b", allow_local=False)
    assert QuickLook().head(ssh, MAIN, "", allow_local=False) is None
    asked = len(http.requests)
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert QuickLook().head(address, MAIN, "", allow_local=True) is None
    assert len(http.requests) == asked


def test_gits_sentences_stay(source: GitSource, served: Served, http: HttpServer, tmp_path: Path) -> None:
    url = f"{http.url}shop.git"
    with pytest.raises(GitFailed, match="branch nowhere does not exist: push it"):
        source.head(url, "nowhere", ANN, True)
    http.protocol = ""
    assert GitSource(tmp_path / "old").head(url, "main", ANN, True) == served.git("rev-parse", "main")
    with pytest.raises(GitFailed) as caught:
        GitSource(tmp_path / "wrong").head(url, "main", GitCredentials(token="wrong"), True)
    assert caught.value.reason == "AuthenticationFailed"


@pytest.mark.parametrize("body", [b"", b"0", b"0000x", b"0001", b"ffff", b"zzzz", b"-001", b"0004", b"0006a"])
def test_what_is_no_list_of_packets(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(_lines(body))
