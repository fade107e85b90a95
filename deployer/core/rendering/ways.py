"""How an application's path becomes manifests, decided from the names of the files that stand there.

    kustomization.yaml, kustomization.yml, Kustomization     kustomize
    Chart.yaml                                                a Helm chart
    compose.yaml, compose.yml, docker-compose.yaml (.yml)     a Compose file, and its .override beside it
    anything else                                             every *.yaml, *.yml and *.json below, as it is

A path may name the one file as well. What could be meant in two ways is refused by name, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["plain", "kustomize", "helm", "compose"]

KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
CHART = "Chart.yaml"
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
OVERRIDES = (
    "compose.override.yaml", "compose.override.yml", "docker-compose.override.yaml", "docker-compose.override.yml",
)  # fmt: skip
MARKERS = (*KUSTOMIZATIONS, CHART, *COMPOSE_FILES, *OVERRIDES)
WORDS: dict[str, str] = {"plain": "as it is", "kustomize": "kustomize", "helm": "Helm", "compose": "Compose"}

_NAMED_COMPOSE = re.compile(r"(docker-)?compose([.-][\w.-]+)?\.ya?ml")


@dataclass(frozen=True, slots=True)
class Way:
    """`folder` ("" for the root) is where it stands, `file` what decided; both from the repository's root.

    `overrides`: Compose files that are merged over `file`. `named`: the path names the file itself, so that what stands
    beside it does not matter. `refusal`: why it cannot be decided, "" when it can.
    """

    kind: Kind = "plain"
    folder: str = ""
    file: str = ""
    overrides: tuple[str, ...] = ()
    named: bool = False
    refusal: str = ""

    @property
    def word(self) -> str:
        return WORDS[self.kind]


def way_of_folder(folder: str, names: Iterable[str]) -> Way:
    """`names`: of the files directly in the folder; those that mark nothing may be left out."""
    found = set(names)
    kustomizations = [one for one in KUSTOMIZATIONS if one in found]
    composes = [one for one in COMPOSE_FILES if one in found]
    charts = [CHART] if CHART in found else []
    kinds = [one for one in (kustomizations, charts, composes) if one]
    if not kinds:
        return Way(folder=folder)
    if len(kinds) > 1:
        return Way(folder=folder, refusal=_mixed([one[0] for one in kinds]))
    if len(kinds[0]) > 1:
        return Way(folder=folder, refusal=f"holds {_listed(kinds[0])}: keep one of them")
    file = join(folder, kinds[0][0])
    if kustomizations:
        return Way("kustomize", folder, file)
    if charts:
        return Way("helm", folder, file)
    overrides = [one for one in OVERRIDES if one in found]
    if len(overrides) > 1:
        return Way(folder=folder, refusal=f"holds {_listed(overrides)}: keep one of them")
    return Way("compose", folder, file, tuple(join(folder, one) for one in overrides))


def way_of_file(path: str) -> Way:
    """Of a path that names a file. A Compose file that is named stands for itself, without an override."""
    folder, _, name = path.rpartition("/")
    if name in KUSTOMIZATIONS:
        return Way("kustomize", folder, path)
    if name == CHART:
        return Way("helm", folder, path)
    if _NAMED_COMPOSE.fullmatch(name):
        return Way("compose", folder, path, named=True)
    return Way(folder=folder, file=path)


def way_of(path: str, files: Iterable[str]) -> Way:
    """From the paths of all files at hand, when nobody has looked at the folder itself. "." is the root."""
    path = "" if path == "." else path
    paths = set(files)
    if path in paths:
        return way_of_file(path)
    return way_of_folder(path, (name for name in MARKERS if join(path, name) in paths))


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _mixed(names: list[str]) -> str:
    return (
        f"holds {_listed(names)}, and either could be meant: move one into a folder of its own, or name the file "
        "itself as the application's path"
    )


def _listed(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
