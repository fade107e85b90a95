"""What the operator reads when a pod waits: whole sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.objects.placement import Toleration
from deployer.core.scheduling.filters import cpu_text, memory_text
from deployer.core.scheduling.placement import place
from deployer.core.scheduling.values import Node, PendingPod, PlacedPod, Resources, Taint
from tests.core.scheduling.pictures import GI, ONE, affinity, beside, node, pod, required, running, spread

param = pytest.param
SMALL = Resources(4000, GI // 2)
A, B, C = node("a"), node("b"), node("c")
SHY = affinity(podAntiAffinity=required(beside("web")))
HTTP = frozenset({("", 80, "TCP")})


@pytest.mark.parametrize(
    ("asked", "nodes", "placed", "sentence"),
    [
        param(pod(), [], [], "no nodes are registered: add one with `manage.py node add`", id="no nodes"),
        param(
            pod(), [node("a", allocatable=SMALL), node("b", allocatable=SMALL), node("c", cordoned=True)], [],
            "0 of 3 nodes fit: 2 lack memory (needs 1Gi), 1 is cordoned", id="the most common reason first",
        ),
        param(
            pod(), [node("a", ready=False), node("b", ready=False, cordoned=True), node("c", cordoned=True)], [],
            "0 of 3 nodes fit: 2 are not ready, 1 is cordoned", id="each node counts once",
        ),
        param(
            pod(requests=Resources(4500, 0)), [A], [], "0 of 1 node fit: 1 lacks CPU (needs 4500m)", id="one node"
        ),
        param(
            pod(node_selector={"disk": "ssd"}), [A, B], [],
            "0 of 2 nodes fit: 2 do not match its node selector (disk=ssd)", id="node selector",
        ),
        param(
            pod(affinity=affinity(nodeAffinity={"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]}})), [A], [],
            "0 of 1 node fit: 1 does not match its node affinity", id="node affinity",
        ),
        param(
            pod(tolerations=(Toleration(key="old", operator="Exists"),)),
            [node("a", taints=(Taint("gpu", "yes"), Taint("old"))), node("b", taints=(Taint("gpu", "", "NoExecute"),))],
            [], "0 of 2 nodes fit: 2 have a taint it does not tolerate (gpu:NoExecute, gpu=yes:NoSchedule)",
            id="taints",
        ),
        param(
            pod(node_name="c"), [A, B, node("c", cordoned=True)], [],
            "0 of 3 nodes fit: 2 are not c (its nodeName), 1 is cordoned", id="nodeName",
        ),
        param(
            pod(), [node("a", max_pods=1), B], [running("D", "a"), *(running("D", "b", n) for n in range(4))],
            "0 of 2 nodes fit: 1 lacks memory (needs 1Gi), 1 runs as many pods as allowed (1)", id="pod count",
        ),
        param(
            pod(host_ports=HTTP), [A], [running("D", "a", host_ports=HTTP)],
            "0 of 1 node fit: 1 has its host port in use (80/TCP)", id="host port",
        ),
        param(
            pod(affinity=affinity(podAffinity=required(beside("db")))), [A, B], [],
            "0 of 2 nodes fit: 2 lack the pods that its affinity asks for (per kubernetes.io/hostname)", id="affinity",
        ),
        param(
            pod(affinity=affinity(podAntiAffinity=required(beside("db")))), [A], [running("D", "a")],
            "0 of 1 node fit: 1 has pods its anti-affinity avoids (per kubernetes.io/hostname)", id="anti-affinity",
        ),
        param(
            pod(), [A], [running("D", "a", anti_affinity=SHY.pod_anti_affinity.required)],
            "0 of 1 node fit: 1 has pods whose anti-affinity keeps it away (per kubernetes.io/hostname)",
            id="the other's anti-affinity",
        ),
        param(
            pod(spread=(spread("web"),)), [A, node("b", cordoned=True)], [running("W", "a")],
            "0 of 2 nodes fit: 1 is cordoned, "
            "1 would break its topology spread (maxSkew 1 over kubernetes.io/hostname)",
            id="topology spread",
        ),
    ],
)  # fmt: skip
def test_why_a_pod_waits(asked: PendingPod, nodes: list[Node], placed: list[PlacedPod], sentence: str) -> None:
    assert place([asked], nodes, placed).waiting == {asked.uid: sentence}


def test_the_replica_that_does_not_fit_counts_those_that_were_placed() -> None:
    pods = [replace(pod(), uid=f"u{number}", name=f"web-{number}") for number in range(3)]
    answer = place(pods, [node("a", allocatable=ONE), node("b", allocatable=ONE)], [])
    assert answer.bound == {"u0": "a", "u1": "b"}
    assert answer.waiting == {"u2": "0 of 2 nodes fit: 2 lack memory (needs 1Gi)"}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (GI, "1Gi"), (512 * 1024**2, "512Mi"), (1536 * 1024**2, "1536Mi"), (1, "1"), (3 * 1024**4, "3Ti"),
        (500_000_000, "476.9Mi"),
    ],
)  # fmt: skip
def test_memory_is_said_as_people_write_it(amount: int, text: str) -> None:
    assert memory_text(amount) == text


@pytest.mark.parametrize(("millicores", "text"), [(100, "100m"), (1500, "1500m"), (2000, "2")])
def test_cpu_is_said_as_people_write_it(millicores: int, text: str) -> None:
    assert cpu_text(millicores) == text
