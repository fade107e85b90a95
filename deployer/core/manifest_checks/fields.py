"""Fields and types: Kubernetes' schema first, then what Pierhead honours.

A field that Kubernetes does not have is a typo and gets a suggestion; one that Kubernetes has and the models in
`deployer.core.objects` do not is refused by name with its row of `refusals.py`. Neither jsonschema's nor pydantic's
own words reach a person. What is wrong is then taken out of a copy and the rest is read again, so that the checks of
meaning see as much of the object as can be read and all errors are told at once.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from deployer.core.manifest_checks.finding import Finding, Path, field_text, shown
from deployer.core.objects import schema
from deployer.core.objects.base import Spec
from deployer.core.objects.kinds import KINDS, KubernetesObject
from deployer.core.objects.refusals import REFUSED_FIELDS, REFUSED_VALUES
from deployer.core.objects.support import model_in

Written = Callable[[Path], str]
"""Path -> the unquoted text that stands in the file there, "" if there is none."""

_ROUNDS = 8
_MOST = 50
"""Findings of one object that are told; who has more fixes those first."""
_MISSING = "is required"
_TYPES = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "a map", "null": "empty",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """`typed`: as much of the object as could be read, None if too little. `findings`: what was wrong with its fields.

    `original` turns a path into `typed` into one into the manifest: items of lists that could not be read are left out.
    """

    typed: KubernetesObject | None
    findings: list[Finding]
    original: Callable[[Path], Path]


def read_object(kind: str, data: dict[str, Any], written: Written) -> Reading:
    model = KINDS[kind]
    findings = [] if schema.validator(kind).is_valid(data) else _by_schema(kind, data, written)
    if not findings:
        try:
            return Reading(model.model_validate(data), [], lambda path: path)
        except ValidationError:
            pass
    readable = _Readable(data)
    readable.take_out([finding.path for finding in findings])
    typed = None
    for _ in range(_ROUNDS):
        try:
            typed = model.model_validate(readable.data)
            break
        except ValidationError as error:
            details = _of_this_level(readable, error.errors(include_url=False))
            findings.extend(_by_models(kind, readable, details, findings))
            if not readable.take_out([_location(readable.data, one) for one in details]):
                break
    return Reading(typed, findings[:_MOST], readable.original)


class _Readable:
    """A copy of an object that loses what cannot be read, and remembers where list items stood."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data: Any = copy.deepcopy(data)
        self.places: dict[int, list[int]] = {}

    def take_out(self, paths: list[Path]) -> bool:
        """Remove what is at these paths, or what lacks it; False when nothing would be left of the object."""
        targets = {self.existing(path) for path in paths}
        if () in targets:
            return False
        # Deeper and later ones first: the rest keeps its place.
        for target in sorted(targets, key=lambda path: [(isinstance(one, str), one) for one in path], reverse=True):
            parent = self.at(target[:-1])
            if isinstance(parent, list):
                self.place_of(parent).pop(int(target[-1]))
            del parent[target[-1]]
        return True

    def existing(self, path: Path) -> Path:
        """The path, or the deepest one above it that is there."""
        here = self.data
        for depth, step in enumerate(path):
            inside = isinstance(here, dict) and step in here
            if not inside and not (isinstance(here, list) and isinstance(step, int) and step < len(here)):
                return path[:depth]
            here = here[step]
        return path

    def at(self, path: Path) -> Any:
        here = self.data
        for step in path:
            here = here[step]
        return here

    def place_of(self, items: list[Any]) -> list[int]:
        return self.places.setdefault(id(items), list(range(len(items))))

    def original(self, path: Path) -> Path:
        made: list[str | int] = []
        here = self.data
        for step in path:
            if isinstance(here, list) and isinstance(step, int) and step < len(here):
                made.append(self.place_of(here)[step])
                here = here[step]
            else:
                made.append(step)
                here = here.get(step) if isinstance(here, dict) else None
        return tuple(made)


def _by_schema(kind: str, data: dict[str, Any], written: Written) -> list[Finding]:
    """A field that is missing because its name has a typo is told once, as the typo."""
    found = [one for error in schema.validator(kind).iter_errors(data) for one in _told(kind, error, written)]
    typos = {(*one.path[:-1], one.remedy.removeprefix("did you mean ").removesuffix("?")) for one in found}
    return [one for one in found if one.message != _MISSING or one.path not in typos]


def _told(kind: str, error: Any, written: Written) -> Iterator[Finding]:
    path: Path = tuple(error.instance_path)
    match error.kind.name:
        case "additionalProperties":
            yield from (_unknown(kind, path, name) for name in sorted(error.kind.unexpected))
        case "required":
            yield Finding((*path, str(error.kind.property)), _MISSING)
        case "type":
            yield _wrong_type(kind, path, [str(one) for one in error.kind.types], error.instance, written)
        case "minimum" | "maximum":
            yield Finding(path, "is out of range", "write a smaller number")
        case _:
            yield Finding(path, f"is not what {schema.whose(schema.type_at(kind, path[:-1]))} expects here")


def _unknown(kind: str, path: Path, name: str) -> Finding:
    message = f"is not a field that {schema.whose(schema.type_at(kind, path))} knows"
    return Finding((*path, name), message, _suggestion(kind, path, name))


def _suggestion(kind: str, path: Path, name: str) -> str:
    known = list(schema.fields_of(schema.type_at(kind, path)))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    folded = [one for one in known if one.lower() == name.lower()]
    if folded or close:
        return f"did you mean {(folded or close)[0]}?"
    for length in range(len(path) - 1, -1, -1):
        if name in schema.fields_of(schema.type_at(kind, path[:length])):
            return f"it belongs into {field_text(path[:length]) or 'the object itself'}: check the indentation"
    below = _below(kind, path, name)
    if below:
        return f"it belongs into {field_text(below)}: check the indentation"
    return f"fields here: {', '.join(sorted(known)[:12])}{', ...' if len(known) > 12 else ''}" if known else ""


def _below(kind: str, path: Path, name: str) -> Path:
    """The nearest part of the object under this one that has such a field, at most three levels down; () for none."""
    level = [path]
    for _ in range(3):
        level = [(*one, child) for one in level for child in schema.fields_of(schema.type_at(kind, one))]
        for one in level:
            if name in schema.fields_of(schema.type_at(kind, one)):
                return one
    return ()


def _wrong_type(kind: str, path: Path, types: list[str], value: Any, written: Written) -> Finding:
    wanted = " or ".join(_TYPES.get(one, one) for one in types)
    found = _TYPES[_type_of(value)] if value is not None else "empty (null)"
    found = "a boolean" if isinstance(value, bool) else found
    remedy = ""
    if "string" in types and not isinstance(value, dict | list) and value is not None:
        text = "" if kind == "Secret" else shown(written(path))
        remedy = f'put it in quotes: "{text}"' if text else "put the value in quotes"
    elif isinstance(value, str) and types == ["array"]:
        remedy = "write a list: [first, second], or a line with '- ' for each item"
    return Finding(path, f"must be {wanted}, not {found}", remedy)


def _type_of(value: Any) -> str:
    kinds = ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (list, "array"), (dict, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _by_models(kind: str, readable: _Readable, details: list[ErrorDetails], known: list[Finding]) -> Iterator[Finding]:
    """Sentences for what the models refuse, but not below what has been told already."""
    told = {finding.path for finding in known}
    unsupported = [_location(readable.data, one) for one in details if one["type"] == "extra_forbidden"]
    broken = {readable.original(path)[:-1] for path in unsupported} | {path[:-1] for path in told}
    seen: set[Path] = set()
    for detail in details:
        path = readable.original(_location(readable.data, detail))
        follows = detail["type"] == "missing" and path[:-1] in broken
        # Above what has been told, a field is missing only because it was taken out for that.
        around = any(path[: len(one)] == one or one[: len(path)] == path for one in told)
        if follows or around or path in seen:
            continue
        seen.add(path)
        yield _sentence(kind, path, detail)


def _of_this_level(readable: _Readable, details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too short" for lists that are not: pydantic counts the items that it could read."""
    return [one for one in details if one["type"] != "too_short" or not readable.at(_location(readable.data, one))]


def _location(data: Any, detail: ErrorDetails) -> Path:
    """Where in the object an error is: pydantic's location without the names of a union's members."""
    path: list[str | int] = []
    for step in detail["loc"]:
        if isinstance(data, dict) and isinstance(step, str):
            path.append(step)
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            path.append(step)
            data = data[step]
        else:
            break
    return tuple(path)


def _sentence(kind: str, path: Path, detail: ErrorDetails) -> Finding:
    place = path[:-1] if path and isinstance(path[-1], int) else path  # what is said of a list is said of its items
    owner, name = schema.type_at(kind, place[:-1]), str(place[-1]) if place else ""
    if detail["type"] == "extra_forbidden":
        remedy = REFUSED_FIELDS.get((owner, name)) or _default_remedy(owner) or _in_plugin(kind, path)
        return Finding(path, "is not supported", remedy)
    if detail["type"] == "missing":
        return Finding(path, _MISSING)
    if detail["type"] == "literal_error":
        return Finding(path, _refused_value(kind, detail), REFUSED_VALUES.get((owner, name)) or _allowed(detail))
    bound = _BOUNDS.get(detail["type"])
    return Finding(path, bound(detail.get("ctx") or {}) if bound else "cannot be read")


def _default_remedy(owner: str) -> str:
    if owner == "Volume":
        return REFUSED_FIELDS["Volume", "persistentVolumeClaim"].partition(": ")[2]
    return f"{schema.whose(owner)} has it, Pierhead does not: remove it" if owner else ""


def _in_plugin(kind: str, path: Path) -> str:
    """What can stand in a plugin, where no schema but Pierhead's own models say what is a field."""
    model: type[Spec] | None = KINDS[kind]
    for step in path[:-1]:
        if model is not None and isinstance(step, str):
            found = next((one for name, one in model.model_fields.items() if (one.alias or name) == step), None)
            model = model_in(found.annotation) if found else None
    known = sorted(one.alias or name for name, one in model.model_fields.items()) if model else []
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"here can be: {', '.join(known)}"


def _refused_value(kind: str, detail: ErrorDetails) -> str:
    value = detail["input"]
    if kind == "Secret" or not isinstance(value, str | int):
        return "has a value that is not supported"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f'"{shown(text)}" is not supported' if isinstance(value, str) else f"{text} is not supported"


def _allowed(detail: ErrorDetails) -> str:
    words = str((detail.get("ctx") or {}).get("expected", "")).replace("'", "")
    return f"write {words}" if words.strip() else ""


_BOUNDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda ctx: f"must be at least {ctx.get('ge')}",
    "less_than_equal": lambda ctx: f"must be at most {ctx.get('le')}",
    "string_too_short": lambda _: "must not be empty",
    "too_short": lambda _: "must not be empty",
    "string_type": lambda _: "must be text",
    "model_type": lambda _: "must be a map",
    "tuple_type": lambda _: "must be a list",
}
