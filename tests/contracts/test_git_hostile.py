"""Repositories, servers and names that mean harm: what they hold is data, and nothing of it is executed or trusted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters import git_mirror, git_process, git_tree
from deployer.adapters.git import GitCredentials, GitFailed, GitSource, SourceTree
from tests.contracts.git_servers import HttpServer, Served, http_server

NOTHING = GitCredentials()
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "served").mkdir()
    return Served.make(tmp_path / "served" / "shop.git")


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


@pytest.fixture
def http(served: Served) -> Iterator[HttpServer]:
    with http_server(served.path.parent) as server:
        yield server


def fetched(source: GitSource, served: Served, sha: str, path: str = "k8s") -> SourceTree:
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    return source.files("shop", sha, path)


def change(mode: str, path: str, text: str) -> bytes:
    return f"M {mode} inline {path}\ndata {len(text)}\n{text}\n".encode()


def refused(tree: SourceTree) -> dict[str, str]:
    return {path: sentence.partition(",")[0].partition(":")[0] for path, sentence in tree.refusals}


# What a tree may hold


def test_what_is_not_read_is_refused_by_name(source: GitSource, served: Served) -> None:
    other = served.push({"a.yaml": "1"})
    sha = served.stream(
        change("100644", "k8s/a.yaml", "a: 1\n")
        + change("100755", "k8s/b.JSON", "{}")
        + change("100644", "k8s/notes", "no manifest")
        + change("100644", "k8s/lfs.yaml", LFS)
        + change("120000", "k8s/passwd.yaml", "/etc/passwd")
        + change("120000", "k8s/deep/er/link", "../../")
        + f"M 160000 {other} k8s/vendor\n".encode()
    )
    tree = fetched(source, served, sha)
    assert [file.path for file in tree.files] == ["k8s/a.yaml", "k8s/b.JSON"]
    assert refused(tree) == {
        "k8s/deep/er/link": "is a symbolic link",
        "k8s/lfs.yaml": "is a Git LFS pointer",
        "k8s/passwd.yaml": "is a symbolic link",
        "k8s/vendor": "is a submodule",
    }


@pytest.mark.parametrize("path", ["link", "link/inside"])
def test_a_path_through_a_link_is_not_followed(source: GitSource, served: Served, path: str) -> None:
    sha = served.stream(
        b"M 120000 inline link\ndata 4\nreal\nM 100644 inline real/inside/a.yaml\ndata 4\na: 1\n"
        b"M 100644 inline real-evil/a.yaml\ndata 4\na: 2\n"
    )
    with pytest.raises(GitFailed) as caught:
        fetched(source, served, sha, path)
    assert caught.value.reason == "PathNotFound"
    assert str(caught.value).startswith(f"path {path} ")  # no id: it tells a person nothing


def test_a_path_is_exact_and_literal(source: GitSource, served: Served) -> None:
    folders = ["app", "app-evil", "a*", "ab", ":(top)", ":(icase)APP", ":!app"]
    sha = served.push({f"{folder}/a.yaml": folder for folder in folders})
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    for folder in folders:
        assert [file.path for file in source.files("shop", sha, folder).files] == [f"{folder}/a.yaml"]
    assert [file.path for file in source.files("shop", sha, "./ab//").files] == ["ab/a.yaml"]
    assert [file.path for file in source.files("shop", sha, "ab/a.yaml").files] == ["ab/a.yaml"]


def test_weird_names_are_refused_and_shown_harmlessly(source: GitSource, served: Served) -> None:
    blob = served.git("hash-object", "-w", "--stdin", data=b"a: 1\n")
    names = [
        b"-rf.yaml",
        b"a\nb.yaml",
        b"\x1b[31mred.yaml",
        b"\xff\xfe.yaml",
        b"fine.yaml",
        b"\xff.txt",
        b"--upload-pack=x.yaml",
    ]
    inner = served.tree(b"".join(b"100644 " + name + b"\0" + bytes.fromhex(blob) for name in sorted(names)))
    tree = fetched(source, served, served.commit_tree(served.tree(b"40000 k8s\0" + bytes.fromhex(inner))))
    assert [file.path for file in tree.files] == ["k8s/--upload-pack=x.yaml", "k8s/-rf.yaml", "k8s/fine.yaml"]
    assert sorted(refused(tree)) == ["k8s/??.yaml", "k8s/?[31mred.yaml", "k8s/a?b.yaml"]


def test_a_path_that_no_row_could_hold_is_refused(source: GitSource, served: Served) -> None:
    deep = "/".join(["d" * 99] * 11)
    tree = fetched(
        source, served, served.push({f"k8s/{deep}/a.yaml": "a: 1", f"k8s/{deep}/notes": "", "k8s/b.yaml": "b: 1"})
    )
    assert [file.path for file in tree.files] == ["k8s/b.yaml"]
    assert [reason for _, reason in tree.refusals] == [
        "has a path of 1,110 characters; at most 1,024 are read: shorten it"
    ]


@pytest.mark.parametrize("name", [b"..", b".", b".git", b".GIT"])
def test_trees_that_climb_or_name_git_are_refused(source: GitSource, served: Served, name: bytes) -> None:
    blob = served.git("hash-object", "-w", "--stdin", data=b"a: 1\n")
    evil = served.tree(b"100644 hooks.yaml\0" + bytes.fromhex(blob))
    root = served.tree(b"40000 " + name + b"\0" + bytes.fromhex(evil))
    tree = fetched(source, served, served.commit_tree(root), "")
    assert tree.files == ()
    assert refused(tree) == {f"{name.decode()}/hooks.yaml": "has a name that no checkout admits"}


def test_hooks_filters_and_modules_do_not_run(source: GitSource, served: Served, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    script = f"#!/bin/sh\ntouch {trap}\n"
    for hook in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc", "post-update"):
        (served.path / "hooks").mkdir(exist_ok=True)
        (served.path / "hooks" / hook).write_text(script)
        (served.path / "hooks" / hook).chmod(0o755)
    for setting in ("filter.evil.smudge", "core.fsmonitor", "core.sshCommand", "diff.external", "core.pager"):
        served.git("config", setting, f"touch {trap}")
    sha = served.push(
        {
            "k8s/a.yaml": "a: 1\n",
            ".gitattributes": "* filter=evil\n",
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::touch {trap}\n\tupdate = !touch {trap}\n',
            "hooks/post-checkout": script,
            "config": f"[core]\n\tfsmonitor = touch {trap}\n",
        }
    )
    trap.unlink(missing_ok=True)
    assert [file.path for file in fetched(source, served, sha).files] == ["k8s/a.yaml"]
    assert not trap.exists()


def test_the_users_own_configuration_is_not_read(
    source: GitSource, served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(
        f'[core]\n\tfsmonitor = touch {trap}\n[url "file:///nowhere/"]\n\tinsteadOf = {served.path.parent}/\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {trap}")
    sha = served.push({"k8s/a.yaml": "a: 1\n"})
    assert source.head(str(served.path), "main", NOTHING, True) == sha
    assert len(fetched(source, served, sha).files) == 1
    assert not trap.exists()


# Names given by people


@pytest.mark.parametrize(
    "url",
    [
        "--upload-pack=touch trap",
        "-oProxyCommand=touch trap",
        "ext::sh -c touch% trap",
        "fd::17",
        "ssh://-oProxyCommand=touch/x",
        "ssh://git@-oProxyCommand=touch/x",
        "git@-oProxyCommand=touch:x",
        "git@example.com:-x",
        "git://example.com/x",
        "https://user:secret@example.com/x",
        "https://example.com/x\n--upload-pack=touch",
        "https://169.254.169.254/latest/meta-data",
        "http://example.com/x",
        "relative/path",
        "",
    ],
)
def test_urls_that_are_refused_reach_no_program(
    source: GitSource, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitFailed) as caught:
        source.head(url, "main", GitCredentials(ssh_key="k", known_hosts="h"), False)
    assert caught.value.reason == "Refused"
    assert "secret" not in caught.value.sentence


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch", "-", "a b", "a..b", "a\nb", "$(touch trap)~1", "x.lock", "@{u}", "a*", ""]
)
def test_refs_that_are_refused(source: GitSource, served: Served, ref: str) -> None:
    with pytest.raises(GitFailed) as caught:
        source.head(str(served.path), ref, NOTHING, True)
    assert caught.value.reason == "Refused"


@pytest.mark.parametrize("ref", ["$(touch${IFS}trap)", ";touch", "main;id", "`id`", "ü-branch", "a'b\"c"])
def test_refs_with_a_shells_characters_are_only_names(source: GitSource, served: Served, ref: str) -> None:
    sha = served.push({"k8s/a.yaml": "1"}, ref="refs/heads/main")
    served.git("update-ref", f"refs/heads/{ref}", sha)
    assert source.head(str(served.path), ref, NOTHING, True) == sha


@pytest.mark.parametrize("repository_id", ["../x", "a/b", "", ".", "-x", "a.git", "a\n"])
def test_repository_ids_are_plain(source: GitSource, repository_id: str) -> None:
    with pytest.raises(GitFailed):
        source.forget(repository_id)


@pytest.mark.parametrize("sha", ["main", "--all", "HEAD", "1" * 39, "A" * 40, "1" * 40 + "\n", ""])
def test_commits_are_given_by_their_full_id(source: GitSource, served: Served, sha: str) -> None:
    for call in (lambda: source.commit("shop", sha), lambda: source.files("shop", sha, "")):
        with pytest.raises(GitFailed) as caught:
            call()
        assert caught.value.reason == "Refused"


def test_local_addresses_need_to_be_allowed(source: GitSource, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def answer(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("192.0.2.1", "127.0.0.1")]

    with pytest.raises(GitFailed, match="on this machine"):
        source.head(str(served.path), "main", NOTHING, False)
    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with pytest.raises(GitFailed, match=r"git\.example\.com is 127\.0\.0\.1, a loopback address"):
        source.head("https://git.example.com/x", "main", NOTHING, False)


# Sizes


def test_a_hundred_thousand_files_cost_bounded_time(source: GitSource, served: Served) -> None:
    served.git("config", "core.bigFileThreshold", "1m")
    changes = b"M 100644 inline first.yaml\ndata 5\na: 1\n\n"
    changes += b"".join(
        b"M 100644 inline k8s/%d/%d.yaml\ndata 5\na: 1\n\n" % (number % 100, number) for number in range(100_000)
    )
    changes += b"M 100644 inline few/a.yaml\ndata 5\na: 1\n\n"
    sha = served.stream(changes)
    started = time.monotonic()
    tree = fetched(source, served, sha, "")
    assert tree == SourceTree((), (("", "holds 100,002 manifest files; at most 20,000 are read: narrow the path"),))
    assert len(source.files("shop", sha, "few").files) == 1
    assert time.monotonic() - started < 15


def test_a_tree_that_contains_itself_many_times_is_stopped(source: GitSource, served: Served) -> None:
    blob = served.git("hash-object", "-w", "--stdin", data=b"a: 1\n")
    tree = served.tree(b"".join(b"100644 %d.yaml\0" % number + bytes.fromhex(blob) for number in range(10)))
    for _ in range(9):
        tree = served.tree(b"".join(b"40000 %d\0" % number + bytes.fromhex(tree) for number in range(10)))
    started = time.monotonic()
    with pytest.raises(GitFailed) as caught:
        fetched(source, served, served.commit_tree(tree), "")
    assert caught.value.reason == "TooLarge"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("server_filters", ["true", "false"])
def test_a_huge_file_is_refused_whether_or_not_the_server_sends_it(
    source: GitSource, served: Served, tmp_path: Path, server_filters: str
) -> None:
    served.git("config", "uploadpack.allowFilter", server_filters)
    sha = served.push({"k8s/huge.yaml": os.urandom(8 << 20), "k8s/limit.yaml": b"x" * (1 << 20), "k8s/a.yaml": "1"})
    tree = fetched(source, served, sha)
    assert [file.path for file in tree.files] == ["k8s/a.yaml", "k8s/limit.yaml"]
    assert [path for path, _ in tree.refusals] == ["k8s/huge.yaml"]
    kept_bytes = sum(path.stat().st_size for path in (tmp_path / "mirrors").rglob("*.pack"))
    assert (kept_bytes < 4 << 20) == (server_filters == "true")
    # A second one, in a mirror that is there already, is told from a file that the disk lost.
    sha = served.push({"k8s/huge.yaml": os.urandom(2 << 20), "k8s/a.yaml": "1"})
    assert [path for path, _ in fetched(source, served, sha).refusals] == ["k8s/huge.yaml"]


def test_too_much_in_total_is_refused_with_the_sum(
    source: GitSource, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_tree, "MAX_TOTAL_BYTES", 2 << 20)
    tree = fetched(source, served, served.push({f"k8s/{number}.yaml": b"x" * (1 << 20) for number in range(3)}))
    assert tree == SourceTree((), (("k8s", "holds 3 MiB of manifests; at most 2 MiB are read: narrow the path"),))


def test_a_fetch_that_fills_the_disk_is_stopped(
    source: GitSource, served: Served, http: HttpServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(git_mirror, "MAX_FETCH_BYTES", 1 << 20)
    monkeypatch.setattr(git_process, "GUARD_PERIOD_SECONDS", 0.005)
    served.git("config", "uploadpack.allowFilter", "false")
    sha = served.push({"k8s/huge.yaml": os.urandom(24 << 20)})
    with pytest.raises(GitFailed) as caught:
        source.fetch("shop", f"{http.url}shop.git", "main", sha, NOTHING, True)
    assert caught.value.reason == "TooLarge"


def test_refusals_are_counted_rather_than_listed_without_end(source: GitSource, served: Served) -> None:
    links = b"".join(b"M 120000 inline k8s/%d\ndata 1\nx\n" % number for number in range(250))
    tree = fetched(source, served, served.stream(links))
    assert len(tree.refusals) == 101
    assert tree.refusals[-1] == ("", "150 more paths are refused for such reasons")


# What commits and servers say


def test_what_a_commit_says_is_shown_harmlessly(source: GitSource, served: Served) -> None:
    tree = served.push({"a.yaml": "1"}) + "^{tree}"
    root = served.git("rev-parse", tree)
    text = f"tree {root}\nauthor \x1b[31mEve\x07 <e@x> 1 +0000\ncommitter Eve <e@x> 1700000001 +0000\n"
    for encoding in ("", "encoding latin-1\n", "encoding hex\n", "encoding ../../nowhere\n"):
        raw = f"{text}{encoding}\n\x1b]0;title\x07{'m' * 9000}".encode()
        sha = served.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", data=raw)
        served.git("update-ref", "refs/heads/main", sha)
        commit = source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
        assert "\x1b" not in commit.author + commit.message
        assert "\x07" not in commit.author + commit.message
        assert len(commit.message) <= 4096


def test_sha256_repositories_are_refused_by_name(source: GitSource, tmp_path: Path) -> None:
    served = Served.make(tmp_path / "new.git", "--object-format=sha256")
    served.push({"a.yaml": "1"})
    with pytest.raises(GitFailed, match="SHA-256 object ids, which are not supported"):
        source.head(str(served.path), "main", NOTHING, True)
