"""Which files a Compose file needs: its override, `.env`, what it extends, env files, configs, secrets, bind mounts."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Mapping

from deployer.core.compose.mounts import bind_source
from deployer.core.compose.nodes import Node, Problems, is_true
from deployer.core.compose.project import load
from deployer.core.manifest_checks.finding import field_text, shown
from deployer.core.rendering.collecting import Asked, Collected, Found, Gathering, resolved, why_not
from deployer.core.rendering.ways import Way, join

_MANIFEST = re.compile(rb"^apiVersion:.*^kind:|^kind:.*^apiVersion:", re.MULTILINE | re.DOTALL)
MAX_SIBLINGS = 200
MAX_ROUNDS = 20


def collecting_compose(way: Way) -> Generator[Asked, Mapping[str, Found], Collected]:
    gathering = Gathering()
    first = (way.file, *way.overrides, join(way.folder, ".env"))
    yield from gathering.ask(first)
    for path in first:
        gathering.take(path)
        if gathering.at(path).what not in ("file", "missing"):
            _missing(gathering, Node(None, path, 0), path)
    if not way.named:
        yield from _siblings(gathering, way)
    for _ in range(MAX_ROUNDS):  # what is extended names further files
        wanted = list(_named(gathering, way))
        yield from gathering.ask(path for _, path, _ in wanted)
        folders = [path for _, path, _ in wanted if gathering.at(path).what == "folder"]
        yield from gathering.ask(f"{path}/" for path in folders)
        inside = [name for path in folders for name in gathering.at(f"{path}/").names]
        yield from gathering.ask(inside)
        before = len(gathering.files)
        for path in (*(path for _, path, _ in wanted), *inside):
            gathering.take(path)
        if len(gathering.files) == before:
            break
    for node, path, required in _named(gathering, way):
        if gathering.at(path).what not in ("file", "folder") and (required or gathering.at(path).what != "missing"):
            _missing(gathering, node, path)
    return gathering.collected(way.file)


def _missing(gathering: Gathering, node: Node, path: str) -> None:
    message, remedy = why_not(gathering.at(path))
    gathering.error(node.file, node.line, field_text(node.path), f"{shown(path)} {message}", remedy)


def _siblings(gathering: Gathering, way: Way) -> Generator[Asked, Mapping[str, Found], None]:
    """Manifests beside a Compose file: either could be meant."""
    everything = f"{way.folder}//"
    yield from gathering.ask([everything])
    names = [
        name for name in gathering.at(everything).names
        if name.lower().endswith((".yaml", ".yml")) and name not in (way.file, *way.overrides)
    ][:MAX_SIBLINGS]  # fmt: skip
    yield from gathering.ask(names)
    for name in names:
        if _MANIFEST.search(gathering.at(name).data):
            message = f"is a Kubernetes manifest beside {way.file}, and either could be meant"
            remedy = "move one of them into a folder of its own, or name the Compose file as the application's path"
            gathering.error(name, 0, "", message, remedy)


def _named(gathering: Gathering, way: Way) -> Iterator[tuple[Node, str, bool]]:
    """(where it is named, path, whether it must be there). What is wrong otherwise is told by the conversion."""
    problems = Problems()
    files = {path: one.data for path, one in gathering.files.items()}
    for root in (way.file, *way.overrides):
        if root not in files:
            return
    project = load(files, way, problems)
    if project is None:
        return
    for path, node in problems.absent.items():  # what is extended
        yield node, path, True
    for name in ("configs", "secrets"):
        for one in project.section(name).values():
            if (file := one.get("file")) is not None and file.is_text:
                yield from _at(file, file.text, True)
    for service in project.services.values():
        yield from _of_service(service)


def _of_service(service: Node) -> Iterator[tuple[Node, str, bool]]:
    for node, required, _ in env_files(service):
        yield from _at(node, node.text, required)
    volumes = service.get("volumes")
    for one in volumes.list if volumes is not None else ():
        if source := bind_source(one):
            yield from _at(one, source, True)


def env_files(service: Node) -> Iterable[tuple[Node, bool, bool]]:
    """(the path, whether it must be there, whether it is read raw) of each env_file."""
    found = service.get("env_file")
    for one in () if found is None else (found,) if found.is_text or found.map else found.list:
        path = one if one.is_text else one.get("path")
        if path is not None and path.is_text:
            required, form = one.get("required"), one.get("format")
            yield path, required is None or is_true(required), form is not None and form.text == "raw"


def _at(node: Node, name: str, required: bool) -> Iterator[tuple[Node, str, bool]]:
    path = resolved(node.file.rpartition("/")[0], name)
    if path:
        yield node, path, required
