"""Which way a path is rendered, from the names that stand there."""

from __future__ import annotations

import pytest

from deployer.core.rendering.ways import COMPOSE_FILES, KUSTOMIZATIONS, way_of, way_of_file, way_of_folder

EITHER = (
    "holds {}, and either could be meant: move one into a folder of its own, or name the file itself as the "
    "application's path"
)


@pytest.mark.parametrize(
    ("names", "kind", "file"),
    [
        ("", "plain", ""),
        ("web.yaml values.yaml README.md", "plain", ""),
        *((name, "kustomize", f"k8s/{name}") for name in KUSTOMIZATIONS),
        *((name, "compose", f"k8s/{name}") for name in COMPOSE_FILES),
        ("Chart.yaml values.yaml", "helm", "k8s/Chart.yaml"),
        ("kustomization.yaml web.yaml", "kustomize", "k8s/kustomization.yaml"),
        ("compose.prod.yaml", "plain", ""),
    ],
)
def test_a_folder(names: str, kind: str, file: str) -> None:
    found = way_of_folder("k8s", names.split())
    assert (found.kind, found.file, found.folder, found.refusal) == (kind, file, "k8s", "")


@pytest.mark.parametrize(
    ("names", "refusal"),
    [
        ("kustomization.yaml Chart.yaml", EITHER.format("kustomization.yaml and Chart.yaml")),
        ("Kustomization compose.yml", EITHER.format("Kustomization and compose.yml")),
        ("kustomization.yml Chart.yaml compose.yaml",
         EITHER.format("kustomization.yml, Chart.yaml and compose.yaml")),
        ("kustomization.yaml Kustomization", "holds kustomization.yaml and Kustomization: keep one of them"),
        ("compose.yaml docker-compose.yml", "holds compose.yaml and docker-compose.yml: keep one of them"),
        ("compose.yaml compose.override.yaml compose.override.yml",
         "holds compose.override.yaml and compose.override.yml: keep one of them"),
    ],
)  # fmt: skip
def test_what_could_be_meant_in_two_ways_is_refused(names: str, refusal: str) -> None:
    assert way_of_folder("", names.split()).refusal == refusal


def test_an_override_belongs_to_its_compose_file_in_a_folder_and_not_when_the_file_is_named() -> None:
    names = ["compose.yaml", "compose.override.yml"]
    assert way_of_folder("a", names).overrides == ("a/compose.override.yml",)
    assert way_of_file("a/compose.yaml").overrides == ()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("k8s/web.yaml", "plain"), ("a/compose.prod.yaml", "compose"), ("docker-compose-dev.yml", "compose"),
        ("a/compose.json", "plain"), ("mycompose.yaml", "plain"), ("a/kustomization.yaml", "kustomize"),
        ("chart/Chart.yaml", "helm"),
    ],
)  # fmt: skip
def test_a_file(path: str, kind: str) -> None:
    assert way_of_file(path).kind == kind


@pytest.mark.parametrize(
    ("path", "files", "kind"),
    [
        (".", ["kustomization.yaml"], "kustomize"),
        ("", ["a/kustomization.yaml"], "plain"),
        ("a", ["a/kustomization.yaml", "base/Chart.yaml"], "kustomize"),
        ("a", ["ab/compose.yaml"], "plain"),
        ("compose.prod.yaml", ["compose.prod.yaml", "kustomization.yaml"], "compose"),
    ],
)
def test_from_the_files_at_hand(path: str, files: list[str], kind: str) -> None:
    assert way_of(path, files).kind == kind
