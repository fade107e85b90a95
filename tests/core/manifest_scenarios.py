"""Manifests in a few words: a valid object, and what is changed in it.

`told("Deployment", "spec.replicas = -1")` answers what the reader says, one line for each error, without file and line.
A change is `path = YAML`; `path = -` removes the field. Changes are separated by `;;`.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from typing import Any

import yaml

from deployer.core.manifests import Manifest, NamespacePolicy, ReadResult, read_manifests
from deployer.core.repository import SourceFile

POD: dict[str, Any] = {"containers": [{"name": "web", "image": "shop/web:1.2"}]}
OBJECTS: dict[str, dict[str, Any]] = {
    "Pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": POD},
    "Deployment": {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD},
        },
    },
    "Rollout": {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD},
            "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {"duration": "10m"}}]}},
        },
    },
    "AnalysisTemplate": {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "errors"},
        "spec": {
            "args": [{"name": "service"}, {"name": "limit", "value": "0.01"}],
            "metrics": [
                {
                    "name": "errors",
                    "successCondition": "result[0] < {{args.limit}}",
                    "provider": {
                        "prometheus": {"address": "http://prometheus:9090", "query": "errors{s='{{args.service}}'}"}
                    },
                }
            ],
        },
    },
    "Service": {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    },
    "Ingress": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web"},
        "spec": {
            "rules": [
                {
                    "host": "shop.example",
                    "http": {
                        "paths": [
                            {
                                "path": "/",
                                "pathType": "Prefix",
                                "backend": {"service": {"name": "web", "port": {"number": 80}}},
                            }
                        ]
                    },
                }
            ]
        },
    },
    "NetworkPolicy": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "database"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "database"}},
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app": "web-app"}}}], "ports": [{"port": 5432}]},
            ],
        },
    },
    "ConfigMap": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"a": "1"}},
    "Secret": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": {"a": "aGk="}},
    "Namespace": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}},
}


def read(text: str | bytes, path: str = "k8s/app.yaml", allowed: str = "") -> ReadResult:
    """One file, default namespace `shop`, which is allowed the words of `allowed`."""
    data = text.encode() if isinstance(text, str) else text
    policies = {"shop": NamespacePolicy(frozenset(allowed.split()))}
    return read_manifests([SourceFile(path, data)], default_namespace="shop", policies=policies)


def changed(kind: str, changes: str) -> dict[str, Any]:
    made = copy.deepcopy(OBJECTS[kind])
    for change in filter(str.strip, changes.split(";;")):
        path, _, value = change.partition(" = ")
        _set(made, [int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]\s]+", path)], value.strip())
    return made


def told(kind: str, changes: str, allowed: str = "") -> list[str]:
    """What the reader says about the object: `field: message`, in order."""
    result = read(json.dumps(changed(kind, changes)), allowed=allowed)
    assert bool(result.errors) != bool(result.manifests), "an object is either read or refused"
    return [f"{one.field}: {one.message}" for one in result.errors]


def remedies(kind: str, changes: str) -> list[str]:
    return [one.remedy for one in read(json.dumps(changed(kind, changes))).errors]


def manifest(text: str, allowed: str = "") -> Manifest:
    """The one manifest of a text that must be valid."""
    result = read(text, allowed=allowed)
    assert not result.errors, result.errors
    (found,) = result.manifests
    return found


def _set(data: Any, path: list[str | int], value: str) -> None:
    for step, following in itertools.pairwise(path):
        if isinstance(step, int):
            while len(data) <= step:
                data.append({})
            data = data[step]
        else:
            data = data.setdefault(step, [] if isinstance(following, int) else {})
    if value == "-":
        del data[path[-1]]
    elif isinstance(path[-1], int) and path[-1] >= len(data):
        data.append(yaml.safe_load(value))
    else:
        data[path[-1]] = yaml.safe_load(value)
