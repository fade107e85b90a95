"""Which fields of Kubernetes are honoured and which are refused, made from the code.

Kubernetes' schema is walked beside the models: a property that has an attribute in the model is honoured, every other
one is refused by name (the models forbid what they do not know), so the table cannot say anything that is not so.
A type that stands in several places (a container, an init container) is walked where it appears first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from deployer.core.objects import schema
from deployer.core.objects.base import Spec
from deployer.core.objects.kinds import KINDS
from deployer.core.objects.refusals import HONOURED_NOTES, READ_ONLY_METADATA, REFUSED_FIELDS, REFUSED_VALUES

DROPPED = "dropped with a warning, as Kubernetes ignores it too"
_SAME = "as "
_ORDER = (
    "Pod", "Deployment", "Rollout", "AnalysisTemplate", "PodDisruptionBudget", "Service", "Ingress", "NetworkPolicy",
    "ConfigMap", "Secret", "Namespace",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One field, such as `spec.containers[].image` of kind Pod. `note`: limits, or what to write instead."""

    kind: str
    field: str
    honoured: bool
    note: str = ""

    @property
    def parent(self) -> str:
        return self.field.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.field.rpartition(".")[2]


def support_table() -> list[Row]:
    """Every field that Kubernetes' schema has in the kinds served, once; below a refused field nothing is listed."""
    seen: dict[tuple[str, type[Spec]], str] = {}
    return [row for kind in _ORDER for row in _rows(kind, kind, KINDS[kind], "", seen)]


def render_support_table() -> str:
    """The table as Markdown: a line for each part of an object that is not honoured whole and without limits."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in support_table():
        groups.setdefault((row.kind, row.parent), []).append(row)
    lines = ["| Part | Honoured | Refused by name |", "|---|---|---|"]
    lines += [_line(*part, rows) for part, rows in groups.items() if _is_limited(rows) or not part[1]]
    dropped = sorted({f"`{row.field}`" for row in support_table() if row.note == DROPPED and row.kind == "Pod"})
    lines += ["", "Every field of the parts that have no line of their own is honoured."]
    lines += [f"Dropped with a warning, as Kubernetes ignores them in a manifest too: {', '.join(dropped)}."]
    return "\n".join(lines) + "\n"


def _is_limited(rows: list[Row]) -> bool:
    return any(not row.honoured or (row.note and not row.note.startswith(_SAME)) for row in rows)


def _line(kind: str, parent: str, rows: list[Row]) -> str:
    honoured = ", ".join(_cell(row) for row in rows if row.honoured) or "-"
    refused = ", ".join(f"`{row.name}`" for row in rows if not row.honoured and row.note != DROPPED) or "-"
    return f"| {kind}{f' `{parent}`' if parent else ''} | {honoured} | {refused} |"


def _cell(row: Row) -> str:
    name, note = row.name.removesuffix("[]"), row.note
    if note.startswith(_SAME):
        first = note.rpartition(" ")[2].rpartition(".")[2].removesuffix("[]")
        note = f"{_SAME}`{first}`" if first != name else ""
    return f"`{name}` ({note})" if note else f"`{name}`"


def _rows(
    kind: str, owner: str, model: type[Spec], path: str, seen: dict[tuple[str, type[Spec]], str]
) -> Iterator[Row]:
    """The rows of one Kubernetes type; those of the types in it follow after, so that a part stays together."""
    inner: list[tuple[str, type[Spec], str]] = []
    attributes = {one.alias or name: one for name, one in model.model_fields.items()}
    for name, definition in schema.fields_of(owner).items():
        place = f"{path}.{name}" if path else name
        if name not in attributes:
            yield Row(kind, place, honoured=False, note=_refusal(owner, name))
            continue
        place += "[]" if definition.get("type") == "array" else ""
        held, held_model = schema.type_name(definition), model_in(attributes[name].annotation)
        note = _limits(owner, name, attributes[name].annotation)
        if held and held_model is not None:
            first = seen.setdefault((held, held_model), f"{kind} {place}")
            if first == f"{kind} {place}":
                inner.append((held, held_model, place))
            else:
                note = note or f"{_SAME}{first}"
        yield Row(kind, place, honoured=True, note=note)
    for held, held_model, place in inner:
        yield from _rows(kind, held, held_model, place, seen)


def _refusal(owner: str, name: str) -> str:
    if (name == "status" and owner in KINDS) or (owner == "ObjectMeta" and name in READ_ONLY_METADATA):
        return DROPPED
    return REFUSED_FIELDS.get((owner, name), "")


def _limits(owner: str, name: str, annotation: Any) -> str:
    if (owner, name) in HONOURED_NOTES:
        return HONOURED_NOTES[owner, name]
    if (owner, name) not in REFUSED_VALUES:
        return ""
    values = [_value(one) for one in _literals(annotation) if one != ""]
    return f"only {' or '.join(values)}" if values else "only empty"


def _value(found: Any) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


def _literals(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    for part in get_args(annotation):
        yield from _literals(part)


def model_in(annotation: Any) -> type[Spec] | None:
    """The model that an annotation holds, also in a list or a map."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return annotation
    return next((found for part in get_args(annotation) if (found := model_in(part)) is not None), None)
