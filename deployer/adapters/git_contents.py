"""What a commit holds for each of many applications, as ids: a thousand paths for a few runs of Git.

    plain paths -> the ids of their trees, all by one `cat-file --batch-check`, and who stands in them by one `--batch`
    others      -> what rendering them took the last time; while all of that is the same, so is the id

A path is others' when one of the files stands in it that decide how it is rendered (kustomize, Helm, Compose): then
what it is made of lies elsewhere as well, and is collected as a sync collects it. What was asked of the mirror on the
way is remembered with the id, in this process: the next commit costs a look at those paths and no more.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deployer.adapters.git_looking import MirrorLook, oids_at
from deployer.adapters.git_tree import children, contents_of, ids_at
from deployer.core.rendering.collecting import Asked, Found
from deployer.core.rendering.needs import collect
from deployer.core.rendering.ways import MARKERS, Way, way_of_file, way_of_folder
from deployer.core.source import Origin

MAX_REMEMBERED = 20_000
_MARKERS = frozenset(one.encode() for one in MARKERS)
Key = tuple[str, Origin]


@dataclass(frozen=True, slots=True)
class Remembered:
    """`way` and `leant_on` (path -> id, "" where nothing was) led to `id`."""

    way: Way
    leant_on: Mapping[str, str]
    id: str


@dataclass
class Contents:
    """Safe for threads: what two of them find of one commit is the same."""

    _known: dict[Key, Remembered] = field(default_factory=dict)
    _marked: dict[str, list[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ids(self, repository_id: str, look: MirrorLook, origins: Collection[Origin]) -> dict[Origin, str]:
        """Of (checked) origins; "" where nothing is."""
        paths = {one.path for one in origins}
        there = ids_at(look.reader, look.root, sorted(paths - {""}))
        there[""] = (look.root, "tree")
        trees = sorted({oid for path in paths if path in there for oid, kind in [there[path]] if kind == "tree"})
        marked = self._markers(look, trees)
        ways = {one: _way(one.path, *there[one.path], marked) for one in origins if one.path in there}
        rendered = {one: way for one, way in ways.items() if way is not None}
        found = {one: there[one.path][0] if one in ways else "" for one in origins}
        found.update(self._rendered(repository_id, look, rendered))
        return found

    def _markers(self, look: MirrorLook, trees: Sequence[str]) -> dict[str, list[str]]:
        """Tree -> the files in it that decide how it is rendered. What a tree holds never changes."""
        with self._lock:
            known = {oid: self._marked[oid] for oid in trees if oid in self._marked}
        read = contents_of(look.reader, [oid for oid in trees if oid not in known])
        fresh = {oid: _marked(data) for oid, data in read.items()}
        with self._lock:
            if len(self._marked) + len(fresh) > MAX_REMEMBERED:
                self._marked.clear()
            self._marked.update(fresh)
        return known | fresh

    def _rendered(self, repository_id: str, look: MirrorLook, ways: Mapping[Origin, Way]) -> dict[Origin, str]:
        with self._lock:
            known = {one: self._known.get((repository_id, one)) for one in ways}
        now = oids_at(look.reader, look.root, {path for one in known.values() if one for path in one.leant_on})
        found: dict[Origin, str] = {}
        for origin, way in ways.items():
            last = known[origin]
            if last is None or last.way != way or any(now[path] != oid for path, oid in last.leant_on.items()):
                last = _collected(origin, way, look)
                self._remember((repository_id, origin), last)
            found[origin] = last.id
        return found

    def _remember(self, key: Key, value: Remembered) -> None:
        with self._lock:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            self._known[key] = value


def _way(path: str, oid: str, kind: str, marked: Mapping[str, list[str]]) -> Way | None:
    """None of what is plain, as nearly everything is."""
    if kind == "tree" and not marked[oid]:
        return None
    way = way_of_file(path) if kind == "blob" else way_of_folder(path, marked[oid])
    return way if way.kind != "plain" else None


def _marked(tree: bytes) -> list[str]:
    """The files that decide how a folder is rendered, out of its tree object."""
    return [name.decode() for kind, name, _ in children(tree) if kind == "blob" and name in _MARKERS]


def _collected(origin: Origin, way: Way, look: MirrorLook) -> Remembered:
    asked: set[str] = set()

    def noting(some: Asked) -> Mapping[str, Found]:
        asked.update(_paths(some))
        return look(some)

    made = collect(way, origin.values, noting).id
    return Remembered(way, oids_at(look.reader, look.root, asked), made)


def _paths(asked: Iterable[str]) -> Iterable[str]:
    """As the mirror knows them: a folder's content is that of its tree."""
    return (path.rstrip("/") for path in asked if not path.startswith(":") and "\0" not in path)
