"""env, envFrom, fieldRef, resourceFieldRef and $(VAR): Kubernetes' rules, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from deployer.core.pod_environment import ConfigProblem, environment, expand
from tests.core.node.host import UID, pod

# The cases of Kubernetes' third_party/forked/golang/expansion that differ from one another.
EXPANSIONS = [
    ("$(A)", "1"),
    ("$(A)-$(B)", "1-two"),
    ("$$(A)", "$(A)"),
    ("$$$(A)", "$1"),
    ("$$$$(A)", "$$(A)"),
    ("$(GONE)", "$(GONE)"),
    ("$(A", "$(A"),
    ("$A ${A} $", "$A ${A} $"),
    ("$()", "$()"),
    ("x$(A)y$", "x1y$"),
]


@pytest.mark.parametrize(("text", "expected"), EXPANSIONS)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "two"}) == expected


def variable(name: str, **source: object) -> dict[str, object]:
    return {"name": name, "valueFrom": source}


CONFIG = {
    ("ConfigMap", "app"): {"mode": b"fast", "bad name": b"x", "raw": b"\xff"},
    ("Secret", "db"): {"password": b"hush", "mode": b"slow"},
}
MAP = {"configMapRef": {"name": "app"}}
LIMITS = {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}
FIELDS = [
    ("metadata.name", "web-x"), ("metadata.namespace", "shop"), ("metadata.uid", UID),
    ("metadata.labels['app']", "web"), ("metadata.annotations['none']", ""), ("spec.nodeName", "node-1"),
    ("status.hostIP", "192.0.2.1"), ("status.podIP", "10.0.0.9"), ("spec.serviceAccountName", "default"),
]  # fmt: skip
ROWS = [
    ([{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}], [], {"A": "1", "B": "12"}),
    ([{"name": "B", "value": "$(A)2"}, {"name": "A", "value": "1"}], [], {"B": "$(A)2", "A": "1"}),
    ([{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)$(A)"}], [], {"A": "11"}),
    ([{"name": "A"}], [], {"A": ""}),
    ([{"name": "M", "value": "$(mode)!"}], [MAP], {"mode": "fast", "M": "fast!"}),
    ([], [MAP, {"secretRef": {"name": "db"}}], {"mode": "slow", "password": "hush"}),
    ([], [{"prefix": "P_", **MAP}], {"P_mode": "fast"}),
    ([{"name": "mode", "value": "mine"}], [MAP], {"mode": "mine"}),
    ([], [{"configMapRef": {"name": "none", "optional": True}}], {}),
    ([variable("K", configMapKeyRef={"name": "app", "key": "no", "optional": True})], [], {}),
    ([variable("K", secretKeyRef={"name": "db", "key": "password"})], [], {"K": "hush"}),
    *[([variable("F", fieldRef={"fieldPath": path})], [], {"F": value}) for path, value in FIELDS],
    ([variable("R", resourceFieldRef={"resource": "limits.cpu"})], [], {"R": "2"}),
    ([variable("R", resourceFieldRef={"resource": "limits.cpu", "divisor": "1m"})], [], {"R": "1500"}),
    ([variable("R", resourceFieldRef={"resource": "requests.cpu", "divisor": "1m"})], [], {"R": "250"}),
    ([variable("R", resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"})], [], {"R": "64"}),
    ([variable("R", resourceFieldRef={"resource": "requests.memory"})], [], {"R": str(64 << 20)}),
]  # fmt: skip


@pytest.mark.parametrize(("env", "env_from", "expected"), ROWS)
def test_environment(
    env: list[dict[str, object]], env_from: list[dict[str, object]], expected: Mapping[str, str]
) -> None:
    desired = replace(pod({"name": "web", "env": env, "envFrom": env_from, "resources": LIMITS}), config=CONFIG)
    assert environment(desired, desired.spec.containers[0], "10.0.0.9").variables == expected


def test_what_cannot_be_a_variable_is_left_out_and_told() -> None:
    desired = replace(pod({"name": "web", "envFrom": [MAP]}), config=CONFIG)
    assert environment(desired, desired.spec.containers[0], "").skipped == (
        "pod shop/web-x: variable 'bad name' of ConfigMap shop/app was left out of container web: "
        "the name is not valid",
        "pod shop/web-x: variable 'raw' of ConfigMap shop/app was left out of container web: "
        "the value is not UTF-8 text",
    )


PROBLEMS = [
    ([], [{"secretRef": {"name": "no"}}], "containers[web].envFrom[0]: Secret shop/no does not exist; create it"),
    ([variable("K", configMapKeyRef={"name": "app", "key": "raw"})], [],
     "containers[web].env[K].configMapKeyRef: key raw of ConfigMap shop/app is not UTF-8 text; mount it as a volume"),
    ([variable("R", resourceFieldRef={"resource": "limits.memory"})], [],
     "containers[web].env[R].resourceFieldRef: container web has no limits.memory; set one"),
]  # fmt: skip


@pytest.mark.parametrize(("env", "env_from", "sentence"), PROBLEMS)
def test_problems(env: list[dict[str, object]], env_from: list[dict[str, object]], sentence: str) -> None:
    desired = replace(pod({"name": "web", "env": env, "envFrom": env_from}), config=CONFIG)
    with pytest.raises(ConfigProblem) as raised:
        environment(desired, desired.spec.containers[0], "")
    assert raised.value.sentence == sentence
