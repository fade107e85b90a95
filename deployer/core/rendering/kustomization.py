"""What a kustomization needs: its bases, and the files that it and they name. Checked before kustomize sees any of it.

Everything comes from the repository: what is remote (kustomize would fetch it), leads out of the repository, goes
through a link, or would run a program (plugins, functions, Helm) is refused by name, with file and line.
What kustomize itself refuses (unknown fields, files above a kustomization's folder, circles) is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.core.manifest_checks.finding import Path, field_text, shown
from deployer.core.rendering.collecting import Asked, Collected, Found, Gathering, resolved, why_not
from deployer.core.rendering.ways import KUSTOMIZATIONS, Way, join
from deployer.core.yaml_documents import Document, read_documents

_REMOTE = re.compile(r"git::|https?:|github\.com[:/]|[a-z][a-z0-9-]*@|[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""What kustomize takes for an address, whatever stands at that path."""
_HELM = {
    "helmCharts": "a chart would be fetched and inflated by Helm",
    "helmChartInflationGenerator": "a chart would be fetched and inflated by Helm",
    "helmGlobals": "a chart would be fetched and inflated by Helm",
}
_PLUGINS = ("generators", "transformers", "validators")
_FOLDERS = ("resources", "bases", "components")
_FILES = ("crds", "configurations")
_WITH_PATH = ("patches", "patchesJson6902", "replacements")
_FUNCTION = "config.kubernetes.io/function"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a kustomization names at `path` of itself. `folder`: it may be one; `objects`: the file is read as YAML."""

    path: Path
    name: str
    folder: bool = False
    objects: bool = False
    plugin: bool = False


def collecting_kustomization(way: Way) -> Generator[Asked, Mapping[str, Found], Collected]:
    gathering = _Kustomizations(way)
    yield from gathering.walk()
    return gathering.collected(way.file)


class _Kustomizations(Gathering):
    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way = way
        self._seen: set[str] = set()

    def walk(self) -> Generator[Asked, Mapping[str, Found], None]:
        """One level of bases at a time, so that a level takes two looks however wide it is."""
        level = {self.way.folder: (self.way.file, 0, "")}
        while level:
            self._seen |= level.keys()
            yield from self.ask(join(folder, name) for folder in level for name in KUSTOMIZATIONS)
            wanted = [
                (file, document, folder, reference)
                for folder, origin in level.items()
                for file, document in self._kustomization(folder, origin)
                for reference in self._references(file, document)
            ]
            yield from self.ask(
                path for _, _, folder, one in wanted if (path := resolved(folder, one.name)) is not None
            )
            level = {}
            for file, document, folder, one in wanted:
                base = self._settle(file, document, folder, one)
                if base is not None and base not in self._seen:
                    level.setdefault(base, (file, document.line_of(one.path), field_text(one.path)))

    def _kustomization(self, folder: str, origin: tuple[str, int, str]) -> Iterator[tuple[str, Document]]:
        files = [path for name in KUSTOMIZATIONS if self.at(path := join(folder, name)).what != "missing"]
        if len(files) != 1:
            has = f"holds {' and '.join(files)}" if files else "holds no kustomization.yaml"
            remedy = "keep one of them" if files else "write one there, or name files instead of the folder"
            self.error(*origin, f"the folder {shown(folder or '.')} {has}", remedy)
            return
        message, remedy = why_not(self.at(files[0]))
        if message:
            self.error(files[0], 0, "", message, remedy)
            return
        self.take(files[0])
        documents = read_documents(self.files[files[0]].data)
        for problem in (problem for document in documents for problem in document.problems):
            self.error(files[0], problem.line, "", problem.message, problem.remedy)
        if len(documents) == 1 and isinstance(documents[0].data, dict):
            yield files[0], documents[0]
        elif not any(document.problems for document in documents):
            self.error(
                files[0], 0, "", "is not one map of kustomize's fields", "write resources: and what changes them"
            )

    def _references(self, file: str, document: Document) -> Iterator[Reference]:
        for name, why in _HELM.items():
            if name in document.data:
                remedy = "commit the output of `helm template` and name it under resources, or follow the chart itself"
                self.error(file, document.line_of((name,)), name, f"is refused: {why}", remedy)
        for name in _PLUGINS:
            for n, text in _texts(document.data.get(name)):
                if "\n" in text.strip():
                    self._look_at_plugin(file, document.line_of((name, n)), field_text((name, n)), text.encode())
        yield from references(document.data)

    def _look_at_plugin(self, file: str, line: int, where: str, data: bytes) -> None:
        for document in read_documents(data):
            if isinstance(document.data, dict) and (why := _program(document.data)):
                self.error(file, line or document.line, where, why, "plugins do not run here: use kustomize's fields")

    def _settle(self, file: str, document: Document, folder: str, one: Reference) -> str | None:
        """Take a file, or answer the folder that is a base."""
        line, where = document.line_of(one.path), field_text(one.path)
        if _REMOTE.match(one.name):
            remedy = "copy it into the repository and name it by its path"
            self.error(file, line, where, f"{shown(one.name)} is remote, or looks so: nothing is fetched", remedy)
            return None
        path = resolved(folder, one.name)
        if path is None:
            self.error(file, line, where, f"{shown(one.name)} leads out of the repository", "keep it inside")
            return None
        found = self.at(path)
        if one.folder and found.what == "folder":
            return path
        message, remedy = why_not(found)
        if message:
            self.error(file, line, where, f"{shown(path)} {message}", remedy)
            return None
        inside = not folder or path.startswith(f"{folder}/")
        if not inside:
            message = (
                f"{shown(one.name)} is a file outside of the kustomization's folder, which kustomize does not read"
            )
            self.error(file, line, where, message, "move it there, or make its folder a base")
            return None
        self.take(path)
        self._look_into(path, one)
        return None

    def _look_into(self, path: str, one: Reference) -> None:
        """Broken YAML is told with its line, and what would run a program is refused, before kustomize is asked."""
        if not path.lower().endswith((".yaml", ".yml", ".json")) or not one.objects:
            return
        for document in read_documents(self.files[path].data):
            for problem in document.problems:
                self.error(path, problem.line, "", problem.message, problem.remedy)
        if one.plugin:
            self._look_at_plugin(path, 0, "", self.files[path].data)


def references(data: Mapping[str, Any]) -> Iterator[Reference]:
    """All that a kustomization names outside of itself, whatever of it is malformed left to kustomize."""
    for name in _FOLDERS:
        yield from (Reference((name, n), text, folder=True, objects=True) for n, text in _texts(data.get(name)))
    for name in _FILES:
        yield from (Reference((name, n), text) for n, text in _texts(data.get(name)))
    for name in _PLUGINS:
        for n, text in _texts(data.get(name)):
            if "\n" not in text.strip():
                yield Reference((name, n), text, folder=True, objects=True, plugin=True)
    for n, text in _texts(data.get("patchesStrategicMerge")):
        if "\n" not in text.strip() and not text.lstrip().startswith("{"):
            yield Reference(("patchesStrategicMerge", n), text, objects=True)
    for name in _WITH_PATH:
        yield from _paths_of(data.get(name), name)
    openapi = data.get("openapi")
    if isinstance(openapi, dict) and isinstance(schema := openapi.get("path"), str):
        yield Reference(("openapi", "path"), schema)
    for name in ("configMapGenerator", "secretGenerator"):
        for n, one in _maps(data.get(name)):
            yield from _generator(one, (name, n))


def _generator(one: Mapping[str, Any], path: Path) -> Iterator[Reference]:
    """`files` may say `key=path`."""
    for n, text in _texts(one.get("files")):
        yield Reference((*path, "files", n), text.partition("=")[2] or text)
    for n, text in _texts(one.get("envs")):
        yield Reference((*path, "envs", n), text)
    if isinstance(env := one.get("env"), str):
        yield Reference((*path, "env"), env)


def _paths_of(found: Any, name: str) -> Iterator[Reference]:
    for n, one in _maps(found):
        if isinstance(text := one.get("path"), str) and text:
            yield Reference((name, n, "path"), text, objects=True)


def _program(data: Mapping[str, Any]) -> str:
    """Why a plugin's configuration is refused: it names a program, or Helm. Only kustomize's own have `builtin`."""
    kind, metadata = shown(str(data.get("kind"))), data.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    if isinstance(annotations, dict) and _FUNCTION in annotations:
        return f"{kind} is a function, which would run a program"
    if data.get("apiVersion") != "builtin":
        return f"{kind} is a plugin, which would run a program"
    if data.get("kind") == "HelmChartInflationGenerator":
        return f"{kind} would fetch a chart and run Helm"
    return ""


def _texts(found: Any) -> Iterable[tuple[int, str]]:
    return [(n, one) for n, one in enumerate(found if isinstance(found, list) else []) if isinstance(one, str) and one]


def _maps(found: Any) -> Iterable[tuple[int, Mapping[str, Any]]]:
    return [(n, one) for n, one in enumerate(found if isinstance(found, list) else []) if isinstance(one, dict)]
