"""What commits came to, object by object, as text: for the page, and for `application manifests`."""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control.models import Application, RenderedManifests, Sync
from control.selectors.words import Moment, commit, plain, sentence
from deployer.core.rendering.ways import WORDS

SHOWN = 100
"""Objects on one page."""


@dataclass(frozen=True, slots=True)
class ObjectText:
    """One object; `place` is the file (and line) that it comes from. A Secret's values are masked."""

    kind: str
    namespace: str
    name: str
    place: str
    text: str

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.namespace}-{self.name}".lower()


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """`way`: "kustomize", "as it is"; `number`: of the attempt. `before` and `after`: where other pages begin, or -1.

    `left_out`: how many objects were too large to be kept. Without objects, nothing was kept of this attempt.
    """

    application: str
    number: int
    commit: str
    phase: str
    when: Moment
    way: str
    objects: tuple[ObjectText, ...]
    count: int
    first: int
    before: int
    after: int
    left_out: int


def rendered_page(name: str, attempt: int | None, first: int, now: float) -> RenderedPage | None:
    """Of one attempt, or of the newest that has something to show. None when there is no such attempt."""
    row = attempt_of(name, attempt)
    if row is None:
        return None
    kept = content_of(row.rendered)
    objects = list(_objects(kept.get("objects", ())))
    first = first if 0 <= first < len(objects) else 0
    return RenderedPage(
        application=name, number=row.pk, commit=commit(row.commit), phase=row.phase, when=Moment(row.started_at, now),
        way=WORDS.get(str(kept.get("way", "")), ""), objects=tuple(objects[first : first + SHOWN]), count=len(objects),
        first=first + 1, before=max(first - SHOWN, 0) if first else -1,
        after=first + SHOWN if first + SHOWN < len(objects) else -1, left_out=int(kept.get("left_out", 0)),
    )  # fmt: skip


def attempt_of(name: str, attempt: int | None) -> Sync | None:
    rows = Sync.objects.filter(application__name=name, application__deleted_at=None).select_related("rendered")
    if attempt is not None:
        return rows.filter(pk=attempt).first()
    return rows.exclude(rendered=None).first() or rows.first()


def way_of_application(row: Application) -> str | None:
    """How the newest attempt that was kept was made; "" for plain files, None before the first."""
    newest = Sync.objects.filter(application=row).exclude(rendered=None)
    way = newest.values_list("rendered__way", flat=True).first()
    return "" if way == "plain" else None if way is None else WORDS.get(way, way)


def content_of(row: RenderedManifests | None) -> Mapping[str, Any]:
    if row is None:
        return {}
    found: Mapping[str, Any] = json.loads(zlib.decompress(bytes(row.content)))
    return found


def text_of(row: RenderedManifests | None) -> str:
    """All objects as YAML documents, each below a comment that says where it comes from."""
    return _yaml(content_of(row))


def yaml_of(kept: str) -> str:
    """The same from what was not stored yet."""
    return _yaml(json.loads(kept)) if kept else ""


def _yaml(kept: Mapping[str, Any]) -> str:
    made = [f"---\n# {one.place}\n{one.text}" for one in _objects(kept.get("objects", ()))]
    if kept.get("left_out"):
        made.append(f"# {kept['left_out']} more objects were too large to be kept\n")
    return "".join(made)


def _objects(found: Iterable[Mapping[str, Any]]) -> Iterable[ObjectText]:
    for one in found:
        place = f"{one['file']}:{one['line']}" if one.get("line") else str(one["file"])
        body = _dump()(one["body"])
        yield ObjectText(
            sentence(str(one["kind"])), sentence(str(one["namespace"])), sentence(str(one["name"])), sentence(place),
            plain(body),
        )  # fmt: skip


@functools.cache
def _dump() -> Callable[[Any], str]:
    """Data -> YAML, texts of several lines as such, without aliases. PyYAML is loaded when a page asks for it."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, _data: Any) -> bool:
            return True

    def text(dumper: Any, found: str) -> Any:
        return dumper.represent_scalar("tag:yaml.org,2002:str", found, style="|" if "\n" in found else None)

    Dumper.add_representer(str, text)

    def dump(data: Any) -> str:
        return str(yaml.dump(data, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000))

    return dump
