"""From a document to the objects in it: lists unfolded, kinds admitted, what Kubernetes ignores taken out."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.kinds import API_VERSIONS, KINDS
from deployer.core.objects.refusals import READ_ONLY_METADATA, UNSUPPORTED_KINDS

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LIST_FIELDS = frozenset({"apiVersion", "kind", "metadata", "items"})
_OWN_GROUPS = frozenset({"", "apps", "argoproj.io", "extensions", "networking.k8s.io", "policy"})
_SINCE_V1 = {
    "Ingress": ", give each path a pathType, and each backend service: {name: NAME, port: {number: PORT}}",
}
"""What else to change in an object of an old version."""
_NO_OBJECT = "move the file out of the application's path if it is no Kubernetes object"
_LEGACY = {
    "kustomization": "a kustomization is built when the application's path names its folder, as kustomization.yaml",
    "services": "a Compose file is read when the application's path names it, or its folder and it is compose.yaml",
}


@dataclass(frozen=True, slots=True)
class Item:
    """An object in a document, at `path` from the document's root. `findings` are about the list that holds it."""

    data: Any = field(repr=False)
    path: Path = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """`kind` is None when the object cannot be read any further."""

    kind: str | None
    findings: tuple[Finding, ...] = ()


def items(data: Any) -> Iterator[Item]:
    """The document itself, or the objects of a List (`List`, `DeploymentList`); lists in lists are not unfolded."""
    base = _list_of(data)
    if base is None:
        yield Item(data)
        return
    unknown = sorted(set(data) - _LIST_FIELDS)
    found = data.get("items")
    for name in unknown:
        yield Item(None, (), (Finding((name,), "is not a field of a List", "put the objects under items"),))
    if not isinstance(found, list):
        yield Item(None, (), (Finding(("items",), "must be a list", "write '- ' before each object"),))
        return
    for index, one in enumerate(found):
        # The items of a DeploymentList may leave out what the list says already.
        given = {"apiVersion": data.get("apiVersion"), "kind": base} if base else {}
        yield Item({**given, **one} if isinstance(one, dict) else one, ("items", index))


def admitted(data: Any) -> Admission:
    """Whether the object is of a kind that is served, and if not why."""
    if data is None:
        return Admission(None)
    if not isinstance(data, dict):
        what = "a list" if isinstance(data, list) else "a single value"
        return Admission(None, (Finding((), f"is {what}, not a Kubernetes object", _NO_OBJECT),))
    kind = data.get("kind")
    if not isinstance(kind, str) or not kind:
        return Admission(None, (Finding(("kind",), "is required", _no_kind(data)),))
    version = data.get("apiVersion")
    if kind not in KINDS or _is_foreign(version):
        return Admission(None, (_unsupported(kind, version),))
    if version != API_VERSIONS[kind]:
        message = f"{kind} is served as {API_VERSIONS[kind]}, not {shown(str(version))}" if version else "is required"
        remedy = f"write apiVersion: {API_VERSIONS[kind]}{_SINCE_V1.get(kind, '') if version else ''}"
        return Admission(None, (Finding(("apiVersion",), message, remedy),))
    return Admission(kind)


def stripped(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[Finding]]:
    """The object without what Kubernetes fills in or ignores, and a warning for each such field.

    kubectl's last-applied annotation is a copy of the whole object, with a Secret's values: it is dropped as well.
    """
    found = dict(data)
    warnings: list[Finding] = []
    if "status" in found:
        del found["status"]
        warnings.append(_dropped(("status",)))
    for path in (("metadata",), ("spec", "template", "metadata")):
        found = _without(found, path, READ_ONLY_METADATA, path, warnings)
        found = _without(found, (*path, "annotations"), (LAST_APPLIED,), (*path, "annotations"), warnings)
    return found, warnings


def _without(
    data: dict[str, Any], path: tuple[str, ...], names: tuple[str, ...], whole: tuple[str, ...], warnings: list[Finding]
) -> dict[str, Any]:
    """A copy of the maps along a path, where there are any, without these names in the last one."""
    if not path:
        warnings.extend(_dropped((*whole, name)) for name in names if name in data)
        return {key: value for key, value in data.items() if key not in names}
    inner = data.get(path[0])
    if not isinstance(inner, dict):
        return data
    return {**data, path[0]: _without(inner, path[1:], names, whole, warnings)}


def _list_of(data: Any) -> str | None:
    """The kind of a list's items ("" for any), None when it is no list."""
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or not kind.endswith("List"):
        return None
    base = kind.removesuffix("List")
    return base if not base or base in KINDS else None


def _no_kind(data: Mapping[str, Any]) -> str:
    for name, remedy in _LEGACY.items():
        if name in data:
            return remedy
    return _LEGACY["kustomization"] if {"resources", "patches"} & data.keys() else _NO_OBJECT


def _is_foreign(version: Any) -> bool:
    """Whether the group is one of custom resources; Kubernetes' own old groups are told how to write it today."""
    return isinstance(version, str) and version.rpartition("/")[0] not in _OWN_GROUPS


def _unsupported(kind: str, version: Any) -> Finding:
    name = shown(kind)
    if kind in UNSUPPORTED_KINDS:
        what, _, remedy = UNSUPPORTED_KINDS[kind].partition(": ")
        return Finding(("kind",), f"{name} {what}", remedy or f"kinds that are: {', '.join(sorted(KINDS))}")
    if kind in KINDS:
        return Finding(("apiVersion",), f"{name} of {shown(str(version))} is not supported", "remove the object")
    close = difflib.get_close_matches(kind, [*KINDS, *UNSUPPORTED_KINDS], n=1, cutoff=0.7)
    remedy = f"did you mean {close[0]}?" if close else f"kinds that are: {', '.join(sorted(KINDS))}"
    return Finding(("kind",), f"{name} is not a kind that Pierhead supports", remedy)


def _dropped(path: Path) -> Finding:
    return Finding(path, "is dropped: Kubernetes ignores it in a manifest too", "remove it", is_warning=True)
