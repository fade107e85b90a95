"""Compose files -> one project: override merged in, variables put in, what is extended written out, profiles chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from deployer.core.compose.merging import merged
from deployer.core.compose.nodes import Node, Problems, read_compose, texts
from deployer.core.compose.variables import interpolated, read_env
from deployer.core.manifests import ManifestError
from deployer.core.rendering.collecting import resolved
from deployer.core.rendering.ways import Way, join

MAX_EXTENDS = 20


@dataclass(frozen=True, slots=True)
class Project:
    """`services` are those that run. `files`: every file at hand, by its path in the repository."""

    root: Node
    services: Mapping[str, Node]
    files: Mapping[str, bytes] = field(repr=False)
    values: Mapping[str, str] = field(repr=False)
    folder: str = ""

    def section(self, name: str) -> Mapping[str, Node]:
        found = self.root.get(name)
        return found.map if found is not None else {}


def load(files: Mapping[str, bytes], way: Way, problems: Problems) -> Project | None:
    """None when there is nothing to go on with; problems say why."""
    values = environment(files, way, problems)
    roots = [_read(path, files, values, problems) for path in (way.file, *way.overrides)]
    read = [root for root in roots if root is not None]
    if len(read) != len(roots):
        return None
    root = read[0]
    for over in read[1:]:
        root = merged(root, over)
    project = Project(root, {}, files, values, way.folder)
    every = {
        name: _extended(node, project, problems, ((way.file, name),))
        for name, node in project.section("services").items()
        if not name.startswith("x-")
    }
    return replace(project, services=_chosen(every, values, problems))


def environment(files: Mapping[str, bytes], way: Way, problems: Problems) -> dict[str, str]:
    """What `.env` beside the Compose file says."""
    path = join(way.folder, ".env")

    def fail(line: int, message: str, remedy: str) -> None:
        problems.errors.append(ManifestError(path, line, "", message, remedy))

    found = read_env(files[path], {}, fail) if path in files else {}
    return {name: value for name, value in found.items() if value is not None}


def _read(path: str, files: Mapping[str, bytes], values: Mapping[str, str], problems: Problems) -> Node | None:
    if path not in files:
        problems.errors.append(ManifestError(path, 0, "", "does not exist in the repository", "push the file"))
        return None
    root = read_compose(path, files[path], problems)
    if root is None:
        return None
    name = root.get("name")
    known = dict(values)
    if name is not None and name.is_text and "$" not in name.text:
        known.setdefault("COMPOSE_PROJECT_NAME", name.text)
    kept = {key: one if key.startswith("x-") else interpolated(one, known, problems) for key, one in root.items()}
    return replace(root, value=kept)


def _extended(node: Node, project: Project, problems: Problems, seen: tuple[tuple[str, str], ...]) -> Node:
    """The service with what it extends under it."""
    extends = node.get("extends")
    if extends is None:
        return node
    rest = replace(node, value={key: one for key, one in node.items() if key != "extends"})
    name = extends if extends.is_text else extends.get("service")
    file = extends.get("file")
    if name is None or not name.is_text:
        problems.error(extends, "names no service", "write service: NAME, and file: PATH when it is in another file")
        return rest
    path = resolved(extends.file.rpartition("/")[0], file.text) if file is not None else extends.file
    if path is None:
        problems.error(extends, f"{file.text if file else ''} leads out of the repository", "keep it inside")
        return rest
    if (path, name.text) in seen or len(seen) > MAX_EXTENDS:
        problems.error(extends, f"extends itself, by way of {name.text}", "end the circle")
        return rest
    base = _base(path, name, project, problems, extends)
    if base is None:
        return rest
    return merged(_extended(base, project, problems, (*seen, (path, name.text))), rest)


def _base(path: str, name: Node, project: Project, problems: Problems, extends: Node) -> Node | None:
    if path not in project.files:
        problems.absent[path] = extends
        problems.error(extends, f"{path} does not exist in the repository", "correct the path, or push the file")
        return None
    root: Node | None = project.root
    if path not in (project.root.file, *(one.file for one in project.root.map.values())):
        root = _read(path, project.files, project.values, problems)
    services = root.get("services") if root is not None else None
    found = services.get(name.text) if services is not None else None
    if root is not None and found is None:
        known = ", ".join(services.map) if services is not None else "none"
        problems.error(name, f"there is no service {name.text} in {path}", f"services there: {known}")
    return found


def _chosen(every: Mapping[str, Node], values: Mapping[str, str], problems: Problems) -> dict[str, Node]:
    """Those without a profile, and those whose profile COMPOSE_PROFILES in `.env` names."""
    active = {one.strip() for one in values.get("COMPOSE_PROFILES", "").split(",") if one.strip()}
    chosen: dict[str, Node] = {}
    for name, node in every.items():
        profiles = node.get("profiles")
        wanted = [one.text for one in texts(profiles)] if profiles is not None else []
        if not wanted or active & set(wanted) or "*" in active:
            chosen[name] = node
        elif profiles is not None:
            told = f"service {name} does not run: none of its profiles ({', '.join(wanted)}) is chosen"
            problems.warn(profiles, told, "COMPOSE_PROFILES=... in the .env file chooses")
    return chosen
