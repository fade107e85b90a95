"""What a kustomization needs, and what is refused before kustomize sees it."""

from __future__ import annotations

import pytest

from deployer.core.rendering.collecting import Found, resolved
from deployer.core.rendering.needs import collect
from deployer.core.rendering.ways import way_of_folder
from tests.core.rendering.pictures import LINK, Picture, collected, told

WEB = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"
WAY = way_of_folder("app", ["kustomization.yaml"])
SHOP: dict[str, str | Found] = {
    "app/kustomization.yaml": "resources: [../base, web.yaml]\ncomponents: [../parts/tls]\n"
                              "patches: [{path: patch.yaml}, {patch: '- op: add'}]\n"
                              "configMapGenerator: [{name: a, files: [conf=files/a.conf], envs: [a.env]}]\n"
                              "secretGenerator: [{name: b, env: b.env}]\n",
    "app/web.yaml": WEB, "app/patch.yaml": WEB, "app/files/a.conf": "{{ anything", "app/a.env": "A=1",
    "app/b.env": "B=1", "app/notes.md": "not needed", "base/kustomization.yml": "resources: [a.yaml]\n",
    "base/a.yaml": WEB, "base/b.yaml": WEB, "parts/tls/Kustomization": "kind: Component\n",
}  # fmt: skip


def test_bases_and_all_that_they_name_are_taken_and_nothing_else() -> None:
    found = collected(WAY, SHOP)
    assert not found.errors
    assert set(found.files) == set(SHOP) - {"app/notes.md", "base/b.yaml"}
    assert [one.path for one in found.tree.files] == sorted(found.files)


@pytest.mark.parametrize(
    ("path", "counts"), [("base/a.yaml", True), ("base/kustomization.yml", True), ("app/files/a.conf", True),
                         ("app/notes.md", False), ("base/b.yaml", False)],
)  # fmt: skip
def test_the_id_is_that_of_what_is_needed(path: str, counts: bool) -> None:
    changed = {**SHOP, path: f"{SHOP[path]}\n# changed\n"}
    assert (collected(WAY, SHOP).id != collected(WAY, changed).id) is counts
    assert len(collected(WAY, SHOP).id) == 64


def test_a_level_of_bases_takes_two_looks_however_wide_it_is() -> None:
    names = [f"../b{number}" for number in range(300)]
    bases = {f"b{number}/kustomization.yaml": "resources: []\n" for number in range(300)}
    look = Picture({"app/kustomization.yaml": f"resources: {names}\n".replace("'", ""), **bases})
    assert not collect(WAY, (), look).errors
    assert look.rounds == 3


REMOTE = "{} is remote, or looks so: nothing is fetched (copy it into the repository and name it by its path)"
PROGRAM = "which would run a program (plugins do not run here: use kustomize's fields)"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        *(
            (f"\nresources: ['{name}']", "app/kustomization.yaml:2: resources[0]: " + REMOTE.format(name))
            for name in ("https://example.com/a.yaml", "HTTP:a.yaml", "github.com/a/b", "github.com:a/b.git",
                         "git@example.com:a/b", "git::base", "ssh://a/b", "file:///etc", "s3://bucket/key")
        ),
        ("patches: [{path: 'https://example.com/p.yaml'}]",
         "app/kustomization.yaml:1: patches[0].path: " + REMOTE.format("https://example.com/p.yaml")),
        ("openapi: {path: 'http://example.com'}",
         "app/kustomization.yaml:1: openapi.path: " + REMOTE.format("http://example.com")),
        ("configMapGenerator: [{name: a, files: ['x=https://example.com']}]",
         "app/kustomization.yaml:1: configMapGenerator[0].files[0]: " + REMOTE.format("https://example.com")),
        ("resources: [../../etc/passwd]",
         "app/kustomization.yaml:1: resources[0]: ../../etc/passwd leads out of the repository (keep it inside)"),
        ("resources: [/etc/passwd]",
         "app/kustomization.yaml:1: resources[0]: /etc/passwd leads out of the repository (keep it inside)"),
        ("resources: [../.git/config]",
         "app/kustomization.yaml:1: resources[0]: ../.git/config leads out of the repository (keep it inside)"),
        ("resources: [gone.yaml]", "app/kustomization.yaml:1: resources[0]: app/gone.yaml does not exist in the "
                                   "repository (correct the path, or push the file)"),
        ("resources: [../empty]", "app/kustomization.yaml:1: resources[0]: the folder empty holds no "
                                  "kustomization.yaml (write one there, or name files instead of the folder)"),
        ("resources: [../two]", "app/kustomization.yaml:1: resources[0]: the folder two holds "
                                "two/kustomization.yaml and two/Kustomization (keep one of them)"),
        ("resources: [link]", "app/kustomization.yaml:1: resources[0]: app/link is a symbolic link, which is not "
                              "followed (put the file itself there)"),
        ("resources: [huge.yaml]", "app/kustomization.yaml:1: resources[0]: app/huge.yaml has more than 1 MiB "
                                   "(make it smaller)"),
        ("resources: [../base/a.yaml]", "app/kustomization.yaml:1: resources[0]: ../base/a.yaml is a file outside of "
         "the kustomization's folder, which kustomize does not read (move it there, or make its folder a base)"),
        ("resources: [bad.yaml]", "app/bad.yaml:1: is not valid YAML"),
        ("resources: [bomb.yaml]", "app/bomb.yaml:1: aliases (*name) grow the document by more than 100000"),
        ("helmCharts: [{name: a}]", "app/kustomization.yaml:1: helmCharts: is refused: a chart would be fetched and "
         "inflated by Helm (commit the output of `helm template` and name it under resources, or follow the chart"),
        ("generators: [plugin.yaml]", f"app/plugin.yaml:1: Magic is a plugin, {PROGRAM}"),
        ("transformers: [function.yaml]", f"app/function.yaml:1: PrefixTransformer is a function, {PROGRAM}"),
        ("validators:\n- |-\n  apiVersion: example.com/v1\n  kind: Check",
         f"app/kustomization.yaml:2: validators[0]: Check is a plugin, {PROGRAM}"),
        ("- a", "app/kustomization.yaml: is not one map of kustomize's fields (write resources: and what changes "),
        ("resources: [", "app/kustomization.yaml:2: is not valid YAML"),
        ("a: 1\n---\nb: 1", "app/kustomization.yaml: is not one map of kustomize's fields"),
    ],
)  # fmt: skip
def test_refused_by_name(text: str, sentence: str) -> None:
    bomb = "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)
    )])  # fmt: skip
    function = "apiVersion: builtin\nkind: PrefixTransformer\n" \
               "metadata: {name: a, annotations: {config.kubernetes.io/function: 'exec: {path: a}'}}\n"  # fmt: skip
    files: dict[str, str | Found] = {
        "app/kustomization.yaml": text + "\n", "app/link": LINK, "base/a.yaml": WEB, "empty/a.yaml": WEB,
        "two/kustomization.yaml": "", "two/Kustomization": "", "app/bad.yaml": "a: b: c", "app/bomb.yaml": bomb,
        "app/huge.yaml": Found("refused", why="has more than 1 MiB: make it smaller"),
        "app/plugin.yaml": "apiVersion: someteam.example.com/v1\nkind: Magic\n", "app/function.yaml": function,
    }  # fmt: skip
    errors = told(collected(WAY, files))
    assert len(errors) == 1, errors
    assert errors[0].startswith(sentence)


def test_paths_that_only_look_like_addresses_are_paths() -> None:
    files: dict[str, str | Found] = {
        "app/kustomization.yaml": "resources: [./v1.2/web.yaml, base.d]\n", "app/v1.2/web.yaml": WEB,
        "app/base.d/kustomization.yaml": "resources: []\n",
    }  # fmt: skip
    assert not told(collected(WAY, files))


def test_a_circle_ends() -> None:
    files: dict[str, str | Found] = {
        "app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../app]\n",
    }  # fmt: skip
    assert set(collected(WAY, files).files) == set(files)


def test_too_many_files_are_refused() -> None:
    names = [f"{number}.yaml" for number in range(5_001)]
    files: dict[str, str | Found] = {f"app/{name}": "" for name in names}
    files["app/kustomization.yaml"] = "configMapGenerator:\n- name: a\n  files:\n" + "".join(
        f"  - {name}\n" for name in names
    )
    assert told(collected(WAY, files)) == [
        "app/kustomization.yaml: needs 5,002 files; at most 5,000 are taken (split it into several applications)"
    ]


@pytest.mark.parametrize(
    ("folder", "name", "path"),
    [
        ("a/b", "c.yaml", "a/b/c.yaml"), ("a/b", "../c", "a/c"), ("a", "../../c", None), ("", "./x//y/", "x/y"),
        ("a", "..", ""), ("a", "/etc", None), ("", "..", None), ("a", "../a/../b", "b"), ("", "x/.GIT/y", None),
    ],
)  # fmt: skip
def test_where_a_name_leads(folder: str, name: str, path: str | None) -> None:
    assert resolved(folder, name) == path
