"""Git as a source, against real servers: file, HTTP with a token, SSH with keys. What goes right, what fails how."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters.git import Author, GitCredentials, GitFailed, GitSource
from deployer.core.source import Origin
from tests.contracts.git_servers import (
    HttpServer,
    Served,
    SshServer,
    are_gone,
    http_server,
    processes,
    ssh_server,
    sshd_program,
)
from tests.environment import require

TOKEN = "s3cret/token+value"
NOTHING = GitCredentials()
WEB = {"k8s/web.yaml": "kind: Deployment\n", "k8s/db/db.yml": "kind: StatefulSet\n", "README.md": "read me\n"}


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "served").mkdir()
    return Served.make(tmp_path / "served" / "shop.git")


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


@pytest.fixture
def http(served: Served) -> Iterator[HttpServer]:
    with http_server(served.path.parent, TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    require(sshd_program(), "sshd is missing: apt-get install openssh-server")
    with ssh_server(tmp_path_factory.mktemp("sshd")) as server:
        yield server


def failure(action: Callable[[], object]) -> GitFailed:
    with pytest.raises(GitFailed) as caught:
        action()
    assert TOKEN not in caught.value.sentence
    return caught.value


def texts(source: GitSource, sha: str, path: str = "k8s") -> dict[str, str]:
    return {file.path: file.data.decode() for file in source.files("shop", sha, path).files}


# What a sync does, over each transport


def follow(source: GitSource, served: Served, url: str, credentials: GitCredentials) -> None:
    first = served.push(WEB, message="first\n\nwith a body")
    assert source.head(url, "main", credentials, True) == first
    assert source.commit("shop", first) is None
    commit = source.fetch("shop", url, "main", first, credentials, True)
    assert (commit.sha, commit.author, commit.message) == (first, "Carl", "first\n\nwith a body")
    assert commit.committed_at == 1700000000.0
    assert texts(source, first) == {"k8s/db/db.yml": "kind: StatefulSet\n", "k8s/web.yaml": "kind: Deployment\n"}

    second = served.push(WEB | {"k8s/web.yaml": "kind: Service\n", "k8s/big.yaml": b"x" * ((1 << 20) + 1)})
    source.fetch("shop", url, "main", source.head(url, "main", credentials, True), credentials, True)
    assert texts(source, second)["k8s/web.yaml"] == "kind: Service\n"
    assert [path for path, _ in source.files("shop", second, "k8s").refusals] == ["k8s/big.yaml"]
    assert texts(source, first)["k8s/web.yaml"] == "kind: Deployment\n"


def test_over_files(source: GitSource, served: Served) -> None:
    follow(source, served, f"file://{served.path}", NOTHING)


def test_over_a_plain_path(source: GitSource, served: Served) -> None:
    follow(source, served, str(served.path), NOTHING)


def test_over_http_with_a_token(source: GitSource, served: Served, http: HttpServer) -> None:
    follow(source, served, f"{http.url}shop.git", GitCredentials(username="bot", token=TOKEN))
    assert set(http.users) == {"bot"}


def test_over_ssh(source: GitSource, served: Served, ssh: SshServer) -> None:
    url, credentials = ssh.url(served.path), GitCredentials(ssh_key=ssh.key, known_hosts=ssh.known_hosts)
    follow(source, served, url, credentials)
    head, ann = source.head(url, "main", credentials, True), Author("Ann", "ann@example.com")
    files: dict[str, bytes | None] = {"k8s/web.yaml": b"x"}
    made = source.commit_and_push("shop", url, "main", head, files, ann, "more", 1.0, credentials, True)
    assert served.git("rev-parse", "main") == made


def test_over_an_old_protocol_that_gives_no_commit_by_its_id(
    source: GitSource, served: Served, http: HttpServer
) -> None:
    http.protocol = ""
    old = served.push(WEB)
    for number in range(60):
        served.push(WEB | {"k8s/web.yaml": f"kind: {number}\n"})
    url, credentials = f"{http.url}shop.git", GitCredentials(token=TOKEN)
    source.fetch("shop", url, "main", old, credentials, True)
    assert texts(source, old)["k8s/web.yaml"] == "kind: Deployment\n"


@pytest.mark.parametrize("ref", ["main", "refs/heads/main", "v1", "refs/tags/v1", "HEAD"])
def test_a_ref_may_be_a_branch_a_tag_or_a_full_name(source: GitSource, served: Served, ref: str) -> None:
    sha = served.push(WEB)
    served.git("tag", "-a", "-m", "annotated", "v1", "main")
    assert source.head(str(served.path), ref, NOTHING, True) == sha


def test_a_branch_goes_before_a_tag_and_before_longer_names(source: GitSource, served: Served) -> None:
    served.push({"a.yaml": "tag"}, ref="refs/tags/main")
    served.push({"a.yaml": "longer"}, ref="refs/heads/feature/main")
    sha = served.push({"a.yaml": "branch"}, ref="refs/heads/main")
    assert source.head(str(served.path), "main", NOTHING, True) == sha


def test_a_commit_id_as_ref_is_pinned(source: GitSource, served: Served) -> None:
    sha = served.push(WEB)
    served.push({})
    assert source.head(str(served.path), sha, NOTHING, True) == sha
    assert source.fetch("shop", str(served.path), sha, sha, NOTHING, True).sha == sha


def test_the_tree_id_tells_whether_a_commit_touches_a_path(source: GitSource, served: Served) -> None:
    first, second = served.push(WEB), served.push(WEB | {"README.md": "changed\n"})
    third = served.push(WEB | {"k8s/web.yaml": "changed\n"})
    for sha in (first, second, third):
        source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    one, two, three = (source.tree_id("shop", sha, "k8s") for sha in (first, second, third))
    assert one == two != three
    assert source.tree_id("shop", first, "") != source.tree_id("shop", second, "")
    assert source.tree_id("shop", first, "nowhere") == ""


def test_the_ids_of_many_paths_are_those_of_each(source: GitSource, served: Served) -> None:
    names = ("apps/a b/x.yaml", "apps/ünï/x.yaml", "apps/missing/x.yaml", "one.yaml")
    files = {name: f"name: {name}\n" for name in names}
    head = served.push(files)
    source.fetch("shop", str(served.path), "main", head, NOTHING, True)
    found_ones = ["apps/a b", "apps/ünï", "apps/missing", "one.yaml", "", ".", "./apps//a b/"]
    paths = [*found_ones, "apps/gone missing", "apps/a b tree 5"]
    found = {one.path: oid for one, oid in source.content_ids("shop", head, [Origin(path) for path in paths]).items()}
    assert found == {path: source.tree_id("shop", head, path) for path in paths}
    assert found["apps/a b"] == found["./apps//a b/"] != found["apps/ünï"]
    assert [path for path in paths if found[path]] == found_ones
    assert source.content_ids("shop", head, []) == {}


def test_what_is_rendered_changes_with_its_bases_and_with_nothing_else(source: GitSource, served: Served) -> None:
    """And is collected once: the next commit costs a look at what it leant on."""
    kustomization = "resources: [../base, own.yaml]\n"
    files = {
        "base/kustomization.yaml": "resources: [web.yaml]\n", "base/web.yaml": "kind: ConfigMap\n",
        "a/kustomization.yaml": kustomization, "a/own.yaml": "kind: Secret\n",
        "b/kustomization.yaml": kustomization.replace("../base, ", ""), "b/own.yaml": "kind: Service\n",
        "chart/Chart.yaml": "name: x\n", "chart/templates/x.yaml": "a: 1\n", "one.yaml": "replicas: 1\n",
        "c/x.yaml": "x\n",
    }  # fmt: skip
    origins = [Origin("a"), Origin("b"), Origin("chart", ("one.yaml",)), Origin("chart"), Origin("c"), Origin("gone")]

    def ids(changed: dict[str, str]) -> dict[str, str]:
        files.update(changed)
        head = served.push(files)
        source.fetch("shop", str(served.path), "main", head, NOTHING, True)
        found = source.content_ids("shop", head, origins)
        assert found == {one: source.tree_id("shop", head, one.path, one.values) for one in origins}
        assert source.content_ids("shop", head, origins) == found
        return {f"{one.path} {' '.join(one.values)}".strip(): oid for one, oid in found.items()}

    def moved(before: dict[str, str], after: dict[str, str]) -> list[str]:
        return [name for name in before if before[name] != after[name]]

    first = ids({})
    assert [name for name in first if not first[name]] == ["gone"]
    second = ids({"base/web.yaml": "kind: ConfigMap # 2\n"})
    assert moved(first, second) == ["a"]
    third = ids({"b/own.yaml": "kind: Service # 2\n"})
    assert moved(second, third) == ["b"]
    fourth = ids({"one.yaml": "replicas: 2\n"})
    assert moved(third, fourth) == ["chart one.yaml"]
    fifth = ids({"chart/templates/y.yaml": "b: 1\n"})
    assert moved(fourth, fifth) == ["chart one.yaml", "chart"]
    sixth = ids({"c/kustomization.yaml": "resources: [x.yaml]\n"})
    assert moved(fifth, sixth) == ["c"]
    seventh = ids({"elsewhere.yaml": "x: 1\n"})
    assert moved(sixth, seventh) == []


def test_forgotten_means_gone_and_may_be_repeated(source: GitSource, served: Served, tmp_path: Path) -> None:
    sha = served.push(WEB)
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    source.forget("shop")
    source.forget("shop")
    assert list((tmp_path / "mirrors").iterdir()) == []
    assert source.commit("shop", sha) is None


def test_a_thousand_files_are_read_at_once(source: GitSource, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    sha = served.push({f"k8s/{number}.yaml": f"number: {number}\n" for number in range(1000)})
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    started: list[Any] = []
    start = subprocess.Popen.__init__

    def counted(self: Any, *words: Any, **more: Any) -> None:
        started.append(words)
        start(self, *words, **more)

    monkeypatch.setattr(subprocess.Popen, "__init__", counted)
    assert len(source.files("shop", sha, "k8s").files) == 1000
    assert len(started) <= 5, started


# What fails says why


def test_failures_over_http(source: GitSource, served: Served, http: HttpServer) -> None:
    served.push(WEB)
    good, url = GitCredentials(token=TOKEN), f"{http.url}shop.git"
    cases = {
        "AuthenticationFailed": lambda: source.head(url, "main", GitCredentials(token="wrong"), True),
        "RepositoryNotFound": lambda: source.head(f"{http.url}other.git", "main", good, True),
        "RefNotFound": lambda: source.head(url, "nowhere", good, True),
        "Unreachable": lambda: source.head("http://127.0.0.1:1/shop.git", "main", good, True),
    }
    assert {reason: failure(action).reason for reason, action in cases.items()} == {reason: reason for reason in cases}
    assert failure(cases["AuthenticationFailed"]).sentence == (
        f"{url}: authentication failed: the token is wrong, has expired or was revoked, or may not read this "
        "repository: replace it on the repository's page or with `manage.py repository set --token-file`"
    )
    assert "branch nowhere does not exist" in failure(cases["RefNotFound"]).sentence
    assert failure(lambda: source.head(url, "main", NOTHING, True)).reason == "AuthenticationFailed"


def test_redirects_are_not_followed(source: GitSource, served: Served, http: HttpServer, tmp_path: Path) -> None:
    served.push(WEB)
    with http_server(served.path.parent) as elsewhere:
        http.redirect_to = elsewhere.url.rstrip("/")
        failed = failure(lambda: source.head(f"{http.url}shop.git", "main", GitCredentials(token=TOKEN), True))
        assert "redirects to another address" in failed.sentence
        assert elsewhere.requests == []


def test_failures_over_ssh(source: GitSource, served: Served, ssh: SshServer) -> None:
    served.push(WEB)
    url = ssh.url(served.path)

    def sentence(key: str, known_hosts: str, url: str = url) -> tuple[str, str]:
        failed = failure(lambda: source.head(url, "main", GitCredentials(ssh_key=key, known_hosts=known_hosts), True))
        return failed.reason, failed.sentence

    assert sentence(ssh.key, "")[0] == "HostKeyUnknown"
    assert "the host key of 127.0.0.1 is not known" in sentence(ssh.key, "")[1]
    assert "127.0.0.1 shows no host key" in sentence(ssh.key, "example.com ssh-ed25519 AAAA")[1]
    assert "is known by ED25519 SHA256:" in sentence(ssh.key, ssh.other_known_hosts)[1]
    assert sentence("", ssh.known_hosts)[0] == "AuthenticationFailed"
    assert "the SSH key is not admitted" in sentence(ssh.stranger, ssh.known_hosts)[1]
    assert "cannot be used" in sentence("no key at all", ssh.known_hosts)[1]
    assert sentence(ssh.key, ssh.known_hosts, ssh.url(served.path / "nowhere"))[0] == "RepositoryNotFound"


def test_a_server_that_is_silent_times_out_and_leaves_no_process(
    served: Served, http: HttpServer, tmp_path: Path
) -> None:
    served.push(WEB)
    http.hold = threading.Event()
    source = GitSource(tmp_path / "mirrors", timeout_seconds=0.7)
    url = f"{http.url}shop.git"
    failed = failure(lambda: source.head(url, "main", GitCredentials(token=TOKEN), True))
    assert (failed.reason, failed.sentence) == ("TimedOut", f"{url}: timed out after 0.7 s")
    # The server holds for 30 s: a helper that outlived its parent would still be waiting.
    assert are_gone(url, within_seconds=5)


def test_secrets_stay_out_of_command_lines_mirrors_and_reprs(
    source: GitSource, served: Served, http: HttpServer, tmp_path: Path
) -> None:
    sha = served.push(WEB)
    credentials = GitCredentials(username="bot", token=TOKEN, ssh_key="PRIVATE", known_hosts="HOSTS")
    http.hold = threading.Event()
    url = f"{http.url}shop.git"
    thread = threading.Thread(target=source.fetch, args=("shop", url, "main", sha, credentials, True))
    thread.start()
    deadline = time.monotonic() + 10
    while not (seen := [line for line in processes() if "fetch" in line and "pierhead" in line]):
        assert time.monotonic() < deadline
    held, http.hold = http.hold, None
    assert TOKEN not in "".join(seen)
    held.set()
    thread.join()
    written = b"".join(path.read_bytes() for path in (tmp_path / "mirrors").rglob("*") if path.is_file())
    assert TOKEN.encode() not in written
    assert http.url.encode() not in written
    assert repr(credentials) == "GitCredentials(username='bot')"


def test_a_server_that_repeats_the_token_does_not_get_it_shown(
    source: GitSource, served: Served, http: HttpServer
) -> None:
    http.echoes = True
    credentials = GitCredentials(username="bot", token=TOKEN)
    failed = failure(lambda: source.head(f"{http.url}shop.git", "main", credentials, True))
    assert "sent *** which is bot:***" in failed.sentence


def test_keys_are_private_and_removed_after_use(
    source: GitSource, served: Served, ssh: SshServer, tmp_path: Path
) -> None:
    served.push(WEB)
    source.head(ssh.url(served.path), "main", GitCredentials(ssh_key=ssh.key, known_hosts=ssh.known_hosts), True)
    assert list((tmp_path / "mirrors").iterdir()) == []


def test_a_key_that_a_killed_process_left_is_swept(source: GitSource, served: Served, tmp_path: Path) -> None:
    served.push(WEB)
    abandoned = tmp_path / "mirrors" / "session-old"
    abandoned.mkdir(parents=True)
    (abandoned / "key").write_text("PRIVATE")
    os.utime(abandoned, (0, 0))
    source.head(str(served.path), "main", NOTHING, True)
    assert not abandoned.exists()
