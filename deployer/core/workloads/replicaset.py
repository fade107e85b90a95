"""A replica set's pods are made equal to its wanted number: which are made, under which names, and which go.

Kubernetes' rules (pkg/controller/replicaset, `ActivePodsWithRanks`), with one addition: among ready pods those that
are not *available* yet go first, or a scale-down could cost availability where `minReadySeconds` is set.

Names are made from the set's name and its counter, not drawn, so that a pass that is repeated asks for the same pods
and a name that exists already is work that was done already.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from deployer.core.workloads.census import Census, Standing, is_available
from deployer.core.workloads.values import DeletePod, NewPod, Pod, Snapshot

# apimachinery's rand.String: no vowels and nothing that looks like one, so no name says something.
SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
NAME_LENGTH = 63  # a pod's name is its host name
PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def pod_name(replica_set: str, counter: int) -> str:
    """`<replica set>-<5 characters>`, the set's name cut where the host name would be too long."""
    digest = int.from_bytes(hashlib.sha256(f"{replica_set}/{counter}".encode()).digest()[:8], "big")
    suffix = ""
    for _ in range(SUFFIX_LENGTH):
        digest, letter = divmod(digest, len(SAFE_ALPHABET))
        suffix += SAFE_ALPHABET[letter]
    return f"{replica_set[: NAME_LENGTH - SUFFIX_LENGTH - 1]}-{suffix}"


def new_pods(reference: str, name: str, created_count: int, count: int) -> tuple[NewPod, ...]:
    """The next `count` pods. Two counters may give one name, once in millions: the later one is left to a next pass."""
    names = dict.fromkeys(pod_name(name, created_count + offset) for offset in range(count))
    return tuple(NewPod(reference, one) for one in names)


def doomed_pods(standing: Standing, wanted: int, census: Census, snapshot: Snapshot) -> tuple[DeletePod, ...]:
    """The pods that have ended, and those that are too many."""
    ended = [DeletePod(pod.uid, pod.name, _end(pod)) for pod in sorted(standing.ended, key=lambda pod: pod.name)]
    surplus = len(standing.pods) - wanted
    if surplus <= 0:
        return tuple(ended)
    reason = f"{standing.set.name} is to have {wanted}, not {len(standing.pods)}"
    ranked = by_deletion(standing.pods, census, snapshot)
    return (*ended, *(DeletePod(pod.uid, pod.name, reason) for pod in ranked[:surplus]))


def by_deletion(pods: list[Pod], census: Census, snapshot: Snapshot) -> list[Pod]:
    """Whom to delete first: unassigned; Pending, Unknown, Running; not ready; not available; lowest deletion cost;
    most pods of this Deployment on its node; ready for the shortest time; most restarts; newest; by name.
    """
    min_ready, now = snapshot.deployment.min_ready_seconds, snapshot.now
    colocated = Counter(pod.node for standing in census.standings() for pod in standing.pods)

    def rank(pod: Pod) -> tuple[bool, int, bool, bool, int, int, float, int, float, str]:
        return (
            pod.node != "",
            PHASE_ORDER.get(pod.phase, 0),
            pod.ready,
            is_available(pod, min_ready, now),
            pod.deletion_cost,
            -colocated[pod.node],
            -pod.ready_at if pod.ready else 0,
            -pod.restarts,
            -pod.created_at,
            pod.name,
        )

    return sorted(pods, key=rank)


def _end(pod: Pod) -> str:
    return f"it has ended ({pod.phase}{': ' + pod.message if pod.message else ''})"
