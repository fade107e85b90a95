"""Who is there: a snapshot's pods counted by replica set, once per pass.

Every rule of a rollout is about these few numbers, so they are made in one place and in one loop. A pod counts as
long as nobody asked for its end and it has not ended by itself. It is *available* when it has been ready without a
break for `minReadySeconds` on a node that is seen. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from deployer.core.workloads.trial import NO_TRIAL, Trial, trial_of
from deployer.core.workloads.values import Pod, ReplicaSet, Snapshot


@dataclass(slots=True)
class Standing:
    """One replica set and its pods. `replicas` is what it counts for in a rollout.

    `pods` are active; `ended` have Failed or Succeeded; `leaving` are being deleted; `evicted` are on a node that is
    drained: they no longer count, so they are replaced, and serve until that is done (`eviction.py`). `lost` are on a
    dead node: nobody waits for them, not even for their end.
    """

    set: ReplicaSet
    replicas: int
    pods: list[Pod] = field(default_factory=list)
    ended: list[Pod] = field(default_factory=list)
    leaving: list[Pod] = field(default_factory=list)
    evicted: list[Pod] = field(default_factory=list)
    lost: list[Pod] = field(default_factory=list)
    ready: int = 0
    available: int = 0

    trial: Trial = NO_TRIAL

    @property
    def trusted(self) -> int:
        """The same for a revision on trial, whose pods have to prove themselves before they count."""
        return min(self.trial.trusted, self.replicas)

    @property
    def serving(self) -> int:
        """Available pods that stay when the set is made equal to `replicas`: the unavailable ones go first."""
        return min(self.available, self.replicas)


@dataclass(slots=True)
class Census:
    """`current` is the set of the template in force, None if there is none yet; `old` are the others, oldest first.

    `available_at` is when the next ready pod becomes available, `lost_at` when the next one is given up.
    """

    name: str
    current: Standing | None
    old: list[Standing]
    replicas: int = 0
    pods: int = 0
    ready: int = 0
    available: int = 0
    available_at: float | None = None
    lost_at: float | None = None

    @property
    def current_replicas(self) -> int:
        return self.current.replicas if self.current else 0

    @property
    def updated(self) -> int:
        return len(self.current.pods) if self.current else 0

    def standings(self) -> Iterator[Standing]:
        if self.current is not None:
            yield self.current
        yield from self.old

    def may_grow(self, standing: Standing) -> bool:
        """An adopted set has no template to make pods from, unless it is the one in force."""
        return standing is self.current or not standing.set.adopted


def take(snapshot: Snapshot) -> Census:
    deployment = snapshot.deployment
    ordered = sorted(snapshot.replica_sets, key=lambda one: (one.created_at, one.name))
    standings = {one.uid: Standing(one, one.replicas) for one in ordered}
    census = Census(f"{deployment.name}-{deployment.template_hash}", None, [])
    _count_pods(census, standings, snapshot)
    for standing in standings.values():
        _enter(census, standing, deployment.template_hash)
    if (current := census.current) is not None:
        current.trial = trial_of(deployment, current.set, current.pods, current.available, snapshot.now)
    return census


def is_available(pod: Pod, min_ready_seconds: int, now: float) -> bool:
    return pod.ready and pod.phase == "Running" and (not min_ready_seconds or pod.ready_at + min_ready_seconds <= now)


def _count_pods(census: Census, standings: dict[str, Standing], snapshot: Snapshot) -> None:
    min_ready, now = snapshot.deployment.min_ready_seconds, snapshot.now
    for pod in snapshot.pods:
        standing = standings.get(pod.replica_set)
        if standing is None:
            continue
        if pod.lost_at is not None and pod.lost_at <= now:
            standing.lost.append(pod)
            continue
        if pod.lost_at is not None and not pod.deleting:
            census.lost_at = pod.lost_at if census.lost_at is None else min(pod.lost_at, census.lost_at)
        if pod.deleting:
            standing.leaving.append(pod)
        elif pod.phase == "Failed" or pod.phase == "Succeeded":
            standing.ended.append(pod)
        elif pod.evicting:
            standing.evicted.append(pod)
        else:
            standing.pods.append(pod)
            if pod.ready:
                standing.ready += 1
                if is_available(pod, min_ready, now):
                    standing.available += 1
                elif min_ready and pod.phase == "Running":
                    at = pod.ready_at + min_ready
                    census.available_at = at if census.available_at is None else min(at, census.available_at)


def _enter(census: Census, standing: Standing, template_hash: str) -> None:
    """The oldest set of the template is the current one, as in Kubernetes."""
    if census.current is None and standing.set.template_hash == template_hash:
        census.current, census.name = standing, standing.set.name
    else:
        census.old.append(standing)
        if standing.set.adopted:
            standing.replicas = min(standing.replicas, len(standing.pods))
    census.replicas += standing.replicas
    census.pods += len(standing.pods)
    census.ready += standing.ready
    census.available += standing.available
