"""Every kind in Kubernetes' shape."""

import json
from typing import Any

import pytest

from control.models import Pod
from control.selectors import kubernetes_objects
from control.selectors.kinds import KINDS, find_kinds
from control.selectors.objects import find
from deployer.core.pod_status import LastExit, iso_time
from tests.control import canary_data, factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db


def rendered(kind: str, *rows: Any) -> list[dict[str, Any]]:
    made = kubernetes_objects.render_all(kind, rows, NOW)
    json.dumps(made)  # nothing in it that JSON does not know
    return made


def test_a_deployment_has_the_defaults_without_which_kubectl_stumbles() -> None:
    row, current, _ = factories.shop()
    row.spec = {name: value for name, value in row.spec.items() if name != "replicas"}
    body = rendered("Deployment", row)[0]
    assert body["apiVersion"] == "apps/v1"
    assert body["metadata"] == {
        "name": "web", "namespace": "shop", "uid": row.uid, "generation": 1, "labels": {"app": "web"},
        "resourceVersion": str(row.resource_version), "creationTimestamp": iso_time(NOW - 3600),
        "annotations": {
            "deployment.kubernetes.io/revision": str(current.revision), "pierhead.io/application": "shop",
            "pierhead.io/commit": "2" * 40,
        },
    }  # fmt: skip
    assert body["spec"]["replicas"] == 1
    assert body["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": "25%"}
    assert body["status"]["observedGeneration"] == 1


def test_pause_restart_and_pin_are_seen_in_a_deployment() -> None:
    row, *_ = factories.shop()
    factories.replica_set(row, 1, replicas=0)
    row.paused, row.restarted_at = True, NOW
    factories.pin(row, 1)
    body = rendered("Deployment", row)[0]
    assert body["spec"]["paused"] is True
    assert body["spec"]["template"]["metadata"]["annotations"] == {"kubectl.kubernetes.io/restartedAt": iso_time(NOW)}
    notes = body["metadata"]["annotations"]
    assert notes["deployment.kubernetes.io/revision"] == notes["pierhead.io/pinned-revision"] == "1"
    assert "restartedAt" not in str(row.spec)


def test_a_replica_set_counts_its_pods_and_names_its_deployment() -> None:
    row, current, pods = factories.shop()
    factories.pod(current, "late", ready_at=NOW - 2)
    factories.pod(current, "slow", ready=False)
    row.spec["minReadySeconds"] = 10
    row.save()
    Pod.objects.filter(pk=pods[0].pk).update(deleted_at=NOW)
    body = rendered("ReplicaSet", current)[0]
    owner = body["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("Deployment", "web", row.uid, True)
    assert body["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": "hash2"}
    assert body["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] == "hash2"
    assert body["status"] == {
        "replicas": 4, "fullyLabeledReplicas": 4, "readyReplicas": 3, "availableReplicas": 2, "observedGeneration": 1,
    }  # fmt: skip


def test_a_pods_spec_is_its_replica_sets_template() -> None:
    _, current, pods = factories.shop()
    body = rendered("Pod", pods[0])[0]
    assert body["spec"]["containers"] == current.spec["template"]["spec"]["containers"]
    assert body["spec"]["nodeName"] == "n1"
    assert body["metadata"]["ownerReferences"][0]["name"] == current.name
    assert body["status"]["containerStatuses"][0]["state"] == {"running": {"startedAt": iso_time(NOW - 280)}}
    assert body["status"]["qosClass"] == "BestEffort"
    assert "pierhead" not in json.dumps(body["status"])


def test_a_pending_pod_says_why() -> None:
    sentence = "0 of 3 nodes fit: 2 lack memory (needs 1Gi), 1 is cordoned"
    row = factories.pod(node=None, message=sentence, waiting="Unschedulable", phase="Pending", ready=False)
    status = rendered("Pod", row)[0]["status"]
    assert status["phase"] == "Pending"
    assert status["conditions"][0] | {"lastTransitionTime": ""} == {
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": sentence,
        "lastTransitionTime": "",
    }  # fmt: skip


def test_a_pod_on_a_host_that_is_not_seen_is_not_shown_ready() -> None:
    _, _, pods = factories.shop()
    pods[0].node.ready = False
    pods[0].ready = False
    ready = {one["type"]: one for one in rendered("Pod", pods[0])[0]["status"]["conditions"]}["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "NodeUnknown")


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}, "Burstable"),
    ],
)
def test_the_quality_class_is_kubernetes(resources: dict[str, Any], quality: str) -> None:
    row = factories.pod()
    row.spec = {"containers": [{"name": "a", "image": "b", "resources": resources}]}
    assert rendered("Pod", row)[0]["status"]["qosClass"] == quality


def test_secrets_are_masked_everywhere() -> None:
    row = factories.secret(annotations={"kubectl.kubernetes.io/last-applied-configuration": '{"data":"aHVudGVyMg=="}'})
    body = rendered("Secret", row)[0]
    assert body["data"] == {"password": "***"}
    assert "hunter2" not in json.dumps(body)
    assert "aHVudGVyMg" not in json.dumps(body)


def test_a_node_shows_what_was_measured() -> None:
    row = factories.node(cordoned=True, ready=False, reason="Unknown", message="3 heartbeats were missed")
    body = rendered("Node", row)[0]
    assert body["spec"]["unschedulable"] is True
    assert body["status"]["capacity"] == {"cpu": "4", "memory": f"{8 << 20}Ki"}
    assert body["status"]["allocatable"]["cpu"] == "3900m"
    assert body["status"]["conditions"][0]["status"] == "Unknown"
    assert body["status"]["nodeInfo"]["containerRuntimeVersion"] == "docker://27.3.1"
    assert {"type": "InternalIP", "address": "10.0.0.5"} in body["status"]["addresses"]


def test_a_simulated_node_says_so() -> None:
    body = rendered("Node", factories.node(address="sim://n1"))[0]
    assert body["metadata"]["annotations"]["pierhead.io/simulated"] == "true"
    assert body["status"]["nodeInfo"]["containerRuntimeVersion"] == "simulated"


def test_a_restarted_container_shows_how_it_ended() -> None:
    _, current, _ = factories.shop()
    status = factories.pod_status(factories.running(restarts=1, last=LastExit(137, "OOMKilled", NOW - 5, "boom")))
    body = rendered("Pod", factories.pod(current, "again", status=status.to_dict(), phase="Running"))[0]
    ended = body["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert ended == {"exitCode": 137, "finishedAt": iso_time(NOW - 5), "reason": "OOMKilled", "message": "boom"}


def test_every_kind_is_rendered_with_its_kind_and_name() -> None:
    _, current, _ = factories.shop()
    factories.config_map(), factories.secret(), factories.service(), factories.event()
    factories.ingress(), factories.policy(), factories.budget()
    factories.attempt(current.application)
    canary_data.measured(NOW)
    for kind in KINDS:
        rows = find(kind)
        assert rows, kind.name
        for body in rendered(kind.name, *rows):
            assert (body["apiVersion"], body["kind"]) == (kind.api_version, kind.name)
            assert body["metadata"]["name"]
            assert body["metadata"]["creationTimestamp"].endswith("Z")


def test_reading_many_objects_costs_the_same_queries_as_few(django_assert_max_num_queries: Any) -> None:
    _, current, _ = factories.shop(2)
    for number in range(30):
        factories.pod(current, f"more-{number}")
    rows = find(find_kinds("pods")[0])
    with django_assert_max_num_queries(4):
        assert len(rendered("Pod", *rows)) == 32
