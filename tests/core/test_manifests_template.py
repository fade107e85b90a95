"""What follows from a template: requests, config, and a hash that must never change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.objects.pod import PodSpec
from deployer.core.objects.template import (
    SAFE_ALPHABET,
    config_digest,
    pod_requests,
    referenced_config,
    template_hash,
)

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "web", "image": "shop/web:1.2", "env": [{"name": "A", "value": "ä"}]}]},
}


def container(name: str, cpu: str = "", memory: str = "", limit: str = "", **more: Any) -> dict[str, Any]:
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    limits = {"cpu": limit} if limit else {}
    return {"name": name, "image": "a", "resources": {"requests": requests, "limits": limits}, **more}


def sidecar(name: str, cpu: str) -> dict[str, Any]:
    return container(name, cpu, restartPolicy="Always")


@pytest.mark.parametrize(
    ("containers", "init", "millicores"),
    [
        ([container("a")], [], 0),
        ([container("a", "100m"), container("b", "200m")], [], 300),
        ([container("a", "100m")], [container("i", "300m")], 300),
        ([container("a", "100m")], [container("i", "50m"), container("j", "70m")], 100),
        ([container("a", "100m"), container("b", "100m")], [sidecar("s", "50m"), container("i", "300m")], 350),
        ([container("a", "300m")], [sidecar("s", "50m"), container("i", "100m")], 350),
        ([container("a", "10m")], [container("i", "300m"), sidecar("s", "50m")], 300),
        ([container("a", "10m")], [sidecar("s", "50m"), container("i", "100m"), sidecar("t", "80m")], 150),
        ([container("a", limit="400m")], [], 400),
        ([container("a", "100m", limit="400m")], [], 100),
    ],
)
def test_a_pod_requests_the_greater_of_its_start_and_its_life(containers: Any, init: Any, millicores: int) -> None:
    spec = PodSpec.model_validate({"containers": containers, "initContainers": init})
    assert pod_requests(spec) == (millicores, 0)


def test_memory_is_requested_in_bytes() -> None:
    spec = PodSpec.model_validate({"containers": [container("a", "1", "1Gi"), container("b", memory="1M")]})
    assert pod_requests(spec) == (1000, 2**30 + 10**6)


def test_the_hash_of_a_template_is_the_same_for_ever() -> None:
    """Running containers carry it: if this fails, every pod would be replaced by an upgrade of Pierhead."""
    assert template_hash(TEMPLATE) == "vgfptpqn9j"
    assert template_hash(TEMPLATE, "digest") == "glcq9wfng6"
    assert (
        config_digest({("ConfigMap", "c"): {"a": "MQ=="}})
        == "43b757073a342f45213e014289a6f7ba6ef701cffc9456b833ff564cca0ae05a"
    )


def test_the_restart_annotation_counts_and_the_hash_label_does_not() -> None:
    restarted = {**TEMPLATE, "metadata": {**TEMPLATE["metadata"], "annotations": {"restartedAt": "1"}}}
    labelled = {**TEMPLATE, "metadata": {"labels": {"app": "web", "pod-template-hash": "x"}}}
    assert template_hash(restarted) != template_hash(TEMPLATE)
    assert template_hash(labelled) == template_hash(TEMPLATE)


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=2, max_size=6), st.text(max_size=5))
def test_the_hash_heeds_content_and_not_order(labels: dict[str, str], other: str) -> None:
    labels = {key: value for key, value in labels.items() if key != "pod-template-hash"}
    turned = dict(reversed(labels.items()))
    found = template_hash({"metadata": {"labels": labels}, "spec": {}})
    assert found == template_hash({"spec": {}, "metadata": {"labels": turned}})
    assert found != template_hash({"metadata": {"labels": labels}, "spec": {"hostname": other}})
    assert len(found) == 10
    assert set(found) <= set(SAFE_ALPHABET)


def test_config_is_what_env_and_volumes_use() -> None:
    spec = PodSpec.model_validate(
        {
            "containers": [
                container("a", env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "k"}}}],
                          envFrom=[{"secretRef": {"name": "two"}}]),
            ],
            "initContainers": [container("i", envFrom=[{"configMapRef": {"name": "three"}}])],
            "volumes": [
                {"name": "v", "secret": {"secretName": "four"}},
                {"name": "w", "projected": {"sources": [{"configMap": {"name": "five"}}, {"secret": {"name": "six"}}]}},
                {"name": "x", "configMap": {"name": "one"}},
            ],
            "imagePullSecrets": [{"name": "registry"}],
        }
    )  # fmt: skip
    assert referenced_config(spec) == {
        ("ConfigMap", "one"), ("Secret", "two"), ("ConfigMap", "three"), ("Secret", "four"), ("ConfigMap", "five"),
        ("Secret", "six"),
    }  # fmt: skip


def test_a_digest_of_config_heeds_content_and_not_order() -> None:
    first, second = {("Secret", "a"): {"x": "1", "y": "2"}}, {("ConfigMap", "a"): {"x": "1"}}
    assert config_digest({}) == ""
    assert config_digest({**first, **second}) == config_digest({**second, ("Secret", "a"): {"y": "2", "x": "1"}})
    assert len({config_digest(one) for one in (first, second, {("Secret", "a"): {"x": "1"}}, {**first, **second})}) == 4
