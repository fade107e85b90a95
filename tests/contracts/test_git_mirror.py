"""The mirror: history that moves, disks that forget, several writers at once, and writers killed half-way."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.adapters.git import GitCredentials, GitFailed, GitSource
from tests.contracts.git_servers import HttpServer, Served, http_server, processes

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


def failure(action: Callable[[], object]) -> GitFailed:
    with pytest.raises(GitFailed) as caught:
        action()
    return caught.value


def texts(source: GitSource, sha: str, path: str = "k8s") -> dict[str, str]:
    return {file.path: file.data.decode() for file in source.files("shop", sha, path).files}


# History that moves, and a disk that forgets


def test_a_forced_push_takes_no_applied_commit_away(source: GitSource, served: Served) -> None:
    first = served.push(WEB)
    source.fetch("shop", str(served.path), "main", first, NOTHING, True)
    served.git("update-ref", "-d", "refs/heads/main")
    failed = failure(lambda: source.head(str(served.path), "main", NOTHING, True))
    assert "branch main does not exist" in failed.sentence

    second = served.push({"k8s/web.yaml": "rewritten\n"})
    served.git("gc", "-q", "--prune=now")
    source.fetch("shop", str(served.path), "main", second, NOTHING, True)
    assert source.fetch("shop", str(served.path), "main", first, NOTHING, True).sha == first
    assert texts(source, first)["k8s/web.yaml"] == "kind: Deployment\n"
    assert texts(source, second) == {"k8s/web.yaml": "rewritten\n"}


def test_a_commit_that_is_gone_before_it_was_fetched(source: GitSource, served: Served) -> None:
    served.push(WEB)
    failed = failure(lambda: source.fetch("shop", str(served.path), "main", "1" * 40, NOTHING, True))
    assert failed.reason == "RefNotFound"
    assert "commit 1111111 is not there any more" in failed.sentence
    assert failure(lambda: source.files("shop", "1" * 40, "")).reason == "RefNotFound"


def overwrite_packs(mirror: Path) -> None:
    for pack in mirror.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"\0" * pack.stat().st_size)


def remove_oldest_pack(mirror: Path) -> None:
    oldest = min(mirror.glob("objects/pack/*.pack"), key=lambda pack: (pack.stat().st_mtime_ns, pack.name))
    for path in mirror.glob(f"objects/pack/{oldest.stem}.*"):
        path.unlink()


def empty_refs(mirror: Path) -> None:
    for ref in (mirror / "refs" / "pierhead").iterdir():
        ref.write_bytes(b"")


DAMAGE: dict[str, Callable[[Path], object]] = {
    "packs of zeros": overwrite_packs,
    "a pack is missing": remove_oldest_pack,
    "refs emptied by a power cut": empty_refs,
    "no HEAD": lambda mirror: (mirror / "HEAD").unlink(),
    "a broken config": lambda mirror: (mirror / "config").write_text("[core\n"),
    "a file in its place": lambda mirror: mirror.rename(mirror.with_suffix(".moved")) and mirror.write_text("no"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_mirror_is_made_anew(
    source: GitSource, served: Served, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    first, second = served.push(WEB), served.push(WEB | {"k8s/web.yaml": "second\n"})
    for sha in (first, second):
        source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    damage(tmp_path / "mirrors" / "shop.git")
    third = served.push(WEB | {"k8s/web.yaml": "third\n"})
    for sha in (third, second, first):
        source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    assert [texts(source, sha)["k8s/web.yaml"] for sha in (first, second, third)] == [
        "kind: Deployment\n",
        "second\n",
        "third\n",
    ]


def test_commits_that_upstream_lost_are_rescued_from_a_damaged_mirror(
    source: GitSource, served: Served, tmp_path: Path
) -> None:
    first = served.push(WEB)
    source.fetch("shop", str(served.path), "main", first, NOTHING, True)
    served.git("update-ref", "-d", "refs/heads/main")
    second = served.push({"k8s/web.yaml": "rewritten\n"})
    served.git("gc", "-q", "--prune=now")
    (tmp_path / "mirrors" / "shop.git" / "pierhead-suspect").touch()
    assert source.commit("shop", first) is None
    source.fetch("shop", str(served.path), "main", second, NOTHING, True)
    assert source.commit("shop", first) is not None
    assert texts(source, first)["k8s/web.yaml"] == "kind: Deployment\n"


def test_a_damaged_file_is_found_by_reading_and_repaired_by_the_next_fetch(
    source: GitSource, served: Served, tmp_path: Path
) -> None:
    noise = os.urandom(50_000)
    sha = served.push({"k8s/web.yaml": noise})
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    (pack,) = (tmp_path / "mirrors" / "shop.git").glob("objects/pack/*.pack")
    pack.chmod(0o600)
    data = bytearray(pack.read_bytes())
    at = data.find(noise[20_000:20_040])
    data[at : at + 40] = bytes(40)
    pack.write_bytes(data)
    assert failure(lambda: source.files("shop", sha, "k8s")).reason == "Corrupt"
    assert source.commit("shop", sha) is None
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    assert source.files("shop", sha, "k8s").files[0].data == noise


def test_many_commits_are_packed_together_and_stay(source: GitSource, served: Served, tmp_path: Path) -> None:
    shas = [served.push(WEB | {"k8s/web.yaml": f"{number}\n"}) for number in range(60)]
    for sha in shas:
        source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    assert len(list((tmp_path / "mirrors" / "shop.git").glob("objects/pack/*.pack"))) < 55
    assert [texts(source, sha)["k8s/web.yaml"] for sha in (shas[0], shas[30], shas[-1])] == ["0\n", "30\n", "59\n"]


# Several writers, and killed ones

FETCH = """
import sys
from pathlib import Path
from deployer.adapters.git import GitCredentials, GitSource
folder, url, sha, token = sys.argv[1:]
source = GitSource(Path(folder), timeout_seconds=20)
print(source.fetch("shop", url, "main", sha, GitCredentials(token=token), True).sha)
"""


def fetching_process(folder: Path, url: str, sha: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, str(folder), url, sha, TOKEN], stdout=subprocess.PIPE, text=True
    )


def test_two_processes_may_fetch_the_same_mirror(source: GitSource, served: Served, tmp_path: Path) -> None:
    shas = [served.push(WEB | {"k8s/web.yaml": f"{number}\n"}) for number in range(3)]
    started = [fetching_process(tmp_path / "mirrors", str(served.path), sha) for sha in (*shas, shas[0])]
    answers = [process.communicate(timeout=30)[0].strip() for process in started]
    assert answers == [*shas, shas[0]]
    assert [texts(source, sha)["k8s/web.yaml"] for sha in shas] == ["0\n", "1\n", "2\n"]


def test_whoever_waits_too_long_for_the_mirror_says_so(source: GitSource, served: Served, tmp_path: Path) -> None:
    sha = served.push(WEB)
    (tmp_path / "mirrors").mkdir()
    with (tmp_path / "mirrors" / "shop.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        impatient = GitSource(tmp_path / "mirrors", timeout_seconds=0.2)
        failed = failure(lambda: impatient.fetch("shop", str(served.path), "main", sha, NOTHING, True))
    assert failed.reason == "TimedOut"
    assert "waiting for another fetch" in failed.sentence


def test_a_process_killed_in_mid_fetch_does_no_harm(
    source: GitSource, served: Served, http: HttpServer, tmp_path: Path
) -> None:
    first, second = served.push(WEB), served.push(WEB | {"k8s/web.yaml": "second\n"})
    url, credentials = f"{http.url}shop.git", GitCredentials(token=TOKEN)
    source.fetch("shop", url, "main", first, credentials, True)
    http.hold = threading.Event()
    process = fetching_process(tmp_path / "mirrors", url, second)
    deadline = time.monotonic() + 10
    while not any("fetch" in line and "--stdin" in line and "pierhead" in line for line in processes()):
        assert time.monotonic() < deadline
    process.kill()
    process.communicate()
    held, http.hold = http.hold, None
    held.set()
    mirror = tmp_path / "mirrors" / "shop.git"
    for leftover in ("shallow.lock", "packed-refs.lock", "config.lock", f"refs/pierhead/{second}.lock", "gc.pid"):
        (mirror / leftover).touch()
    (mirror / "objects" / "pack" / "tmp_pack_killed").write_bytes(b"half")
    assert source.fetch("shop", url, "main", second, credentials, True).sha == second
    assert texts(source, first)["k8s/web.yaml"] == "kind: Deployment\n"
    assert not [path for path in mirror.rglob("*") if path.name.endswith(".lock") or path.name.startswith("tmp_")]
