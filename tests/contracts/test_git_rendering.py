"""What a rendered path needs, read out of a real mirror, and out of a checkout for `plan`: both say the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from control.management.manifest_files import read_path
from deployer.adapters.git import GitCredentials, GitSource
from deployer.core.source import Origin
from tests.contracts.git_servers import Served, _file_change

NOTHING = GitCredentials()
WEB = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"
FILES: dict[str, str] = {
    "apps/shop/kustomization.yaml": "resources: [../../base]\nconfigMapGenerator: [{name: a, files: [a.conf]}]\n",
    "apps/shop/a.conf": "x", "apps/shop/unused.txt": "x", "base/kustomization.yaml": "resources: [web.yaml]\n",
    "base/web.yaml": WEB, "base/other.yaml": WEB, "plain/web.yaml": WEB, "plain/deep/more.yaml": WEB,
    "stack/compose.yaml": "services: {a: {image: a, env_file: [a.env], extends: {service: b, file: ../lib/c.yaml},"
                          " volumes: ['./conf:/conf:ro', './rw:/rw']}}\n",
    "stack/a.env": "A=1\n", "stack/.env": "B=1\n", "stack/conf/x/y.txt": "deep", "stack/rw/z": "z",
    "stack/README.md": "x", "lib/c.yaml": "services: {b: {image: b, extends: {service: d, file: d.yaml}}}\n",
    "lib/d.yaml": "services: {d: {image: d, env_file: d.env}}\n", "lib/d.env": "D=1\n",
    "chart/Chart.yaml": "name: c\n", "chart/templates/_x.tpl": "x", "chart/.helmignore": "x",
    "values/prod.yaml": "a: 1\n",
}  # fmt: skip
STACK = {
    "stack/compose.yaml", "stack/a.env", "stack/.env", "stack/conf/x/y.txt", "lib/c.yaml", "lib/d.yaml", "lib/d.env",
}  # fmt: skip
NEEDED = {
    "apps/shop": {"apps/shop/kustomization.yaml", "apps/shop/a.conf", "base/kustomization.yaml", "base/web.yaml"},
    "stack": STACK, "stack/compose.yaml": STACK,
    "chart": {"chart/Chart.yaml", "chart/templates/_x.tpl", "chart/.helmignore", "values/prod.yaml"},
}  # fmt: skip


@pytest.fixture
def served(tmp_path: Path) -> Served:
    (tmp_path / "served").mkdir()
    return Served.make(tmp_path / "served" / "shop.git")


@pytest.fixture
def source(tmp_path: Path) -> GitSource:
    return GitSource(tmp_path / "mirrors", timeout_seconds=20)


def fetched(source: GitSource, served: Served, files: Mapping[str, str | bytes]) -> str:
    sha = served.push(files)
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    return sha


def checkout(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".git").mkdir(exist_ok=True)
    return folder


def test_a_mirror_and_a_checkout_hold_what_is_needed(source: GitSource, served: Served, tmp_path: Path) -> None:
    sha, folder = fetched(source, served, FILES), checkout(tmp_path / "checkout", FILES)
    for path, needed in NEEDED.items():
        values = ["values/prod.yaml"] if path == "chart" else []
        tree = source.files("shop", sha, path, values)
        assert not tree.errors
        assert {one.path for one in tree.files} == needed
        local, inside = read_path(folder / path, values)
        assert (local, inside) == (tree, path)


def test_the_id_changes_with_what_is_needed_alone(source: GitSource, served: Served) -> None:
    sha = fetched(source, served, FILES)
    ids = {path: source.tree_id("shop", sha, path) for path in ("apps/shop", "stack", "plain")}
    assert ids["plain"] != source.tree_id("shop", sha, "plain/web.yaml")
    assert len(ids["apps/shop"]) == 64

    def changed(*names: str) -> set[str]:
        other = fetched(source, served, {**FILES, **{name: f"{FILES.get(name, '')}# changed\n" for name in names}})
        return {path for path, known in ids.items() if source.tree_id("shop", other, path) != known}

    assert changed("base/web.yaml") == {"apps/shop"}
    assert changed("base/other.yaml", "apps/shop/unused.txt", "stack/README.md") == set()
    assert changed("lib/d.env", "plain/notes.txt") == {"stack", "plain"}


def test_of_many_paths_in_a_folder_each_is_what_it_is_by_itself(source: GitSource, served: Served) -> None:
    """Git looks paths up one by one, through all that stands in their folder: 5,000 of them took it a second."""
    files = {
        f"{folder}app-{number:02}/web.yaml": f"{WEB}# {number}" for folder in ("apps/", "") for number in range(20)
    }
    whole = b"".join(_file_change(name, data) for name, data in {**FILES, **files, "apps/file": "x"}.items())
    odd = b"M 120000 inline apps/link\ndata 6\napp-00\nM 160000 " + b"1" * 40 + b" apps/vendor\n"
    sha = served.stream(whole + odd)
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    folders = ("apps/", "", "apps/file/", "apps/link/", "apps/vendor/", "gone/", "apps/app-01/")
    asked = [Origin(f"{folder}app-{number:02}") for folder in folders for number in range(25)]
    asked += [Origin(f"apps/{name}") for name in ("file", "link", "vendor", "gone", "shop")]
    found = source.content_ids("shop", sha, asked)
    assert found == {one: source.content_ids("shop", sha, [one])[one] for one in asked}
    assert len({oid for oid in found.values() if oid}) == 20 + 3, "each of the 20, the file, the link and the shop"


def test_what_is_not_to_be_had_is_refused_by_name(source: GitSource, served: Served, tmp_path: Path) -> None:
    lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    text = "resources: [lfs.yaml, big.yaml, ../gone, ../link, ../plain]\n"
    files = {**FILES, "app/kustomization.yaml": text, "app/lfs.yaml": lfs, "app/big.yaml": b"x" * ((1 << 20) + 1)}
    whole = b"".join(_file_change(name, data) for name, data in files.items())
    sha = served.stream(whole + b"M 120000 inline link\ndata 4\nbase\n")
    source.fetch("shop", str(served.path), "main", sha, NOTHING, True)
    errors = [str(error) for error in source.files("shop", sha, "app").errors]
    at = "app/kustomization.yaml:1: resources"
    assert errors == [
        f"{at}[0]: app/lfs.yaml is a Git LFS pointer, which is not resolved (commit the file itself)",
        f"{at}[1]: app/big.yaml has more than 1 MiB (make it smaller)",
        f"{at}[2]: gone does not exist in the repository (correct the path, or push the file)",
        f"{at}[3]: link is a symbolic link, which is not followed (put the file itself there)",
        f"{at}[4]: the folder plain holds no kustomization.yaml (write one there, or name files instead of the folder)",
    ]
    folder = checkout(tmp_path / "checkout", {**FILES, "app/kustomization.yaml": "resources: [../link, x/a.yaml]\n"})
    (folder / "link").symlink_to("base")
    (folder / "app/x").symlink_to(tmp_path)
    assert [error.message for error in read_path(folder / "app")[0].errors] == [
        "link is a symbolic link, which is not followed", "app/x/a.yaml does not exist in the repository"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "path", "file", "sentence"),
    [
        ({"a/kustomization.yaml": "", "a/compose.yml": ""}, "a", "a",
         "holds kustomization.yaml and compose.yml, and either could be meant: move one into a folder of its own, or "
         "name the file itself as the application's path"),
        ({"compose.yaml": "", "Chart.yaml": ""}, "", ".", "holds Chart.yaml and compose.yaml, and either could be "
         "meant: move one into a folder of its own, or name the file itself as the application's path"),
    ],
)  # fmt: skip
def test_what_could_be_meant_in_two_ways_is_refused(
    source: GitSource, served: Served, files: dict[str, str], path: str, file: str, sentence: str
) -> None:
    sha = fetched(source, served, files)
    assert source.files("shop", sha, path).refusals == ((file, sentence),)


def test_manifests_beside_a_compose_file_are_refused(source: GitSource, served: Served) -> None:
    sha = fetched(source, served, {"a/compose.yaml": "services: {}\n", "a/web.yaml": WEB, "a/config.yaml": "kind: x\n"})
    assert [str(error) for error in source.files("shop", sha, "a").errors] == [
        "a/web.yaml: is a Kubernetes manifest beside a/compose.yaml, and either could be meant (move one of them into "
        "a folder of its own, or name the Compose file as the application's path)"
    ]
    assert not source.files("shop", sha, "a/compose.yaml").errors


def test_a_name_that_means_something_to_git_is_a_name(source: GitSource, served: Served) -> None:
    text = "resources: [':(glob)**', '*', '--help', './-x.yaml', b.yaml/]\n"
    sha = fetched(source, served, {"a/kustomization.yaml": text, "a/-x.yaml": WEB, "a/b.yaml": WEB})
    tree = source.files("shop", sha, "a")
    assert [one.path for one in tree.files] == ["a/-x.yaml", "a/b.yaml", "a/kustomization.yaml"]
    assert [error.field for error in tree.errors] == ["resources[0]", "resources[1]", "resources[2]"]
