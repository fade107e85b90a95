"""Scenario notation: a rollout as a person would sketch it, and a plan as the same person would say it.

A sketch is replica sets and their pods: "v1:RRR v2:Rx". The order is that of their revisions and ages.

    R ready        r running, not ready    p pending, not placed    s placed, starting    i image not pulled
    y ready now    x crashed five times    u on a node not seen     t terminating         f failed
    o ready for 5 s after a crash               e ready, on a drained node         E the same, not ready

`v1/5:RR` wants 5 and has 2; after the name `*` marks a set that was healthy, `!` one that failed, `?` an adopted one.
Pods are named web-v1-0, web-v1-1, ... and are older the smaller their number.

An answer is whole: `new:v2=1` makes a set, `v1=2` scales one, `+v2` and `+v2*3` make pods, `-web-v1-0` deletes one,
`reuse:v1#3` renumbers, `forget:v1` prunes, `healthy:v2` marks, `rollback:2>1` goes back. "" is nothing.
"""

import re
from collections import Counter
from typing import Any

from deployer.core.workloads.census import take
from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Deployment, Plan, Pod, Progress, ReplicaSet, Snapshot

NOW = 10_000.0
SET = re.compile(r"(?P<hash>\w+)(?P<marks>[*!?]*)(?:/(?P<wanted>\d+))?:(?P<pods>\w*)")
LETTERS: dict[str, dict[str, Any]] = {
    "R": {"phase": "Running", "ready": True, "ready_at": NOW - 500},
    "y": {"phase": "Running", "ready": True, "ready_at": NOW},
    "o": {"phase": "Running", "ready": True, "ready_at": NOW - 5, "restarts": 1},
    "r": {"phase": "Running"},
    "p": {"phase": "Pending", "node": "", "message": "0 of 3 nodes fit: 3 lack memory"},
    "s": {"phase": "Pending"},
    "x": {"phase": "Running", "restarts": 5, "waiting": "CrashLoopBackOff", "message": "exit code 1"},
    "i": {"phase": "Pending", "waiting": "ImagePullBackOff", "message": "no such tag"},
    "u": {"phase": "Unknown"},
    "t": {"phase": "Running", "deleting": True},
    "f": {"phase": "Failed", "message": "OOMKilled"},
    "e": {"phase": "Running", "ready": True, "ready_at": NOW - 500, "evicting": True},
    "E": {"phase": "Running", "evicting": True},
}


def scene(sketch: str, desired: int = 3, template: str | None = None, **changed: Any) -> Snapshot:
    """`template` is the newest sketched one unless it is named. Keywords are fields of Deployment or Progress.

    The stored progress is that of a rollout in which nothing moved since now, unless told otherwise.
    """
    parts = [SET.fullmatch(word) for word in sketch.split()]
    assert all(parts), f"not a sketch: {sketch}"
    found = [part for part in parts if part]
    sets = tuple(_set(part, place + 1, desired + changed.get("max_surge", 1)) for place, part in enumerate(found))
    pods = tuple(
        _pod(one, place, letter)
        for one, part in zip(sets, found, strict=True)
        for place, letter in enumerate(part["pods"])
    )
    fields = {name: value for name, value in changed.items() if name in Deployment.__slots__}
    deployment = _deployment(desired, template or found[-1]["hash"], fields)
    progress = {name: value for name, value in changed.items() if name in Progress.__slots__}
    assert not changed.keys() - fields.keys() - progress.keys(), changed
    progress.setdefault("of_template", found[-1]["hash"] if progress.get("reason", "?") else "")
    return Snapshot(deployment, sets, pods, _progress(deployment, sets, pods, progress), NOW)


def answer(snapshot: Snapshot) -> str:
    """What `reconcile` says to it. A set that only notes what it is made for now is not mentioned."""
    return said(reconcile(snapshot), {one.name: one.replicas for one in snapshot.replica_sets})


def said(plan: Plan, before: dict[str, int]) -> str:
    """`before`: set name -> replicas."""
    words = []
    if plan.rollback:
        words.append(f"rollback:{plan.rollback.from_revision}>{plan.rollback.to_revision}")
    if made := plan.create_replica_set:
        words.append(f"new:{made.template_hash}={made.replicas}")
    if plan.reuse:
        words.append(f"reuse:{plan.reuse[0].removeprefix('uid-')}#{plan.reuse[1]}")
    words += [
        f"{scale.name.removeprefix('web-')}={scale.replicas}"
        for scale in plan.scale
        if scale.replicas != before[scale.name]
    ]
    made_pods = Counter(pod.name.split("-")[1] for pod in plan.create_pods)
    words += [f"+{name}" if count == 1 else f"+{name}*{count}" for name, count in made_pods.items()]
    words += [f"-{pod.name}" for pod in plan.delete_pods]
    words += [f"forget:{name.removeprefix('web-')}" for _, name in plan.delete_replica_sets]
    words += [f"healthy:{uid.removeprefix('uid-')}" for uid in plan.mark_healthy]
    return " ".join(words)


def _set(part: re.Match[str], revision: int, max_replicas: int) -> ReplicaSet:
    alive = sum(letter not in "tf" for letter in part["pods"])
    return ReplicaSet(
        uid=f"uid-{part['hash']}",
        name=f"web-{part['hash']}",
        template_hash=part["hash"],
        revision=revision,
        replicas=int(part["wanted"]) if part["wanted"] else alive,
        max_replicas=max_replicas,
        created_at=float(revision),
        created_count=len(part["pods"]),
        healthy="*" in part["marks"],
        commit=f"{part['hash']}c0ffee",
        failed="!" in part["marks"],
        adopted="?" in part["marks"],
    )


def _pod(one: ReplicaSet, place: int, letter: str) -> Pod:
    name = f"{one.name}-{place}"
    fields: dict[str, Any] = {
        "uid": f"uid-{name}", "name": name, "replica_set": one.uid, "node": "n1", "ready": False, "ready_at": 0.0,
        "created_at": NOW - 1000 + place, "deleting": False, "restarts": 0, "log_tail": f"last words of {name}",
    }  # fmt: skip
    return Pod(**{**fields, **LETTERS[letter]})


def _deployment(desired: int, template: str, changed: dict[str, Any]) -> Deployment:
    fields: dict[str, Any] = {
        "uid": "uid-web", "namespace": "shop", "name": "web", "generation": 1, "replicas": desired,
        "strategy": "RollingUpdate", "max_surge": 1, "max_unavailable": 0, "paused": False, "min_ready_seconds": 0,
        "progress_deadline_seconds": 600, "revision_history_limit": 10, "template_hash": template,
        "commit": f"{template}c0ffee",
    }  # fmt: skip
    return Deployment(**{**fields, **changed})


def _progress(
    deployment: Deployment, sets: tuple[ReplicaSet, ...], pods: tuple[Pod, ...], changed: dict[str, Any]
) -> Progress:
    census = take(Snapshot(deployment, sets, pods, Progress(), NOW))
    fields: dict[str, Any] = {
        "observed_generation": 1, "updated": census.updated, "ready": census.ready, "available": census.available,
        "replicas": census.pods, "last_progress_at": NOW, "reason": "ReplicaSetUpdated", "desired": deployment.replicas,
    }  # fmt: skip
    return Progress(**{**fields, **changed})
