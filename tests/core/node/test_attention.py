"""The fast path: which pods of a node need more than a glance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core.container import LABEL_POD_UID, ContainerSeen
from deployer.core.node import PodPlaced, adopt, attention, settled_digest
from tests.core.node.host import NOW, Host, pod, turn

SEEN = ContainerSeen("c" * 64, "pierhead-shop-web-x-web-0", {LABEL_POD_UID: "u1"}, "running", "healthy", 100.0)
POD = PodPlaced("u1", settled=settled_digest([SEEN]), started_at=NOW - 100)

ROWS = [
    ("settled", POD, [SEEN], frozenset(), False),
    ("never settled", replace(POD, settled=""), [SEEN], frozenset(), True),
    ("deleting", replace(POD, deleting=True), [SEEN], frozenset(), True),
    ("woken by its pod", POD, [SEEN], frozenset({"u1"}), True),
    ("woken by its container", POD, [SEEN], frozenset({SEEN.id}), True),
    ("woken for another", POD, [SEEN], frozenset({"u2"}), False),
    ("gone", POD, [], frozenset(), True),
    ("exited", POD, [replace(SEEN, state="exited", uptime_seconds=None)], frozenset(), True),
    ("unhealthy", POD, [replace(SEEN, health="unhealthy")], frozenset(), True),
    ("renamed", POD, [replace(SEEN, name="other")], frozenset(), True),
    ("replaced", POD, [replace(SEEN, id="d" * 64)], frozenset(), True),
    ("doubled", POD, [SEEN, replace(SEEN, id="d" * 64)], frozenset(), True),
    ("rounded down: 119 s are about a minute", replace(POD, started_at=NOW - 119),
     [replace(SEEN, uptime_seconds=60.0)], frozenset(), False),
    ("restarted: 20 s at an age of 60 s", replace(POD, started_at=NOW - 60), [replace(SEEN, uptime_seconds=20.0)],
     frozenset(), True),
    ("waiting without a container", PodPlaced("u1", settled=settled_digest([])), [], frozenset(), False),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "seen", "dirty", "needs"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_attention(pod: PodPlaced, seen: list[ContainerSeen], dirty: frozenset[str], needs: bool) -> None:
    found = attention([pod], seen, dirty, NOW)
    assert found.pods == ({"u1"} if needs else frozenset())
    assert found.inspect == ({one.id for one in seen} if needs else frozenset())
    assert found.unknown == ()


def test_containers_of_pods_that_are_not_placed_here_are_told_apart() -> None:
    stray = replace(SEEN, labels={LABEL_POD_UID: "u9"})
    found = attention([POD], [SEEN, stray], frozenset(), NOW)
    assert (found.pods, found.inspect, found.unknown) == (frozenset(), frozenset(), (stray,))


def test_a_crowded_node_with_nothing_to_do_needs_no_attention() -> None:
    seen = [replace(SEEN, id=f"{n:064x}", labels={LABEL_POD_UID: f"u{n}"}) for n in range(5000)]
    placed = [PodPlaced(one.labels[LABEL_POD_UID], False, settled_digest([one]), NOW - 100) for one in seen]
    assert not attention(placed, seen, frozenset(), NOW).pods


def test_a_pod_is_rebuilt_from_its_labels() -> None:
    host = Host()
    turn(pod({"name": "web"}, {"name": "log"}), host)
    found = adopt(host.observe())
    assert found is not None
    assert (found.namespace, found.name, found.owner, found.replica_set) == (
        "shop",
        "web-x",
        "Deployment/web",
        "web-7d4b",
    )
    assert (found.template_hash, found.revision, found.commit, found.application) == ("7d4b", 3, "abc123", "shop")
    assert found.containers == ("log", "pause", "web")
    assert adopt([]) is None
    assert adopt([replace(SEEN, labels={})]) is None
