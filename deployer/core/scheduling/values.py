"""What the scheduler is told and what it answers: plain frozen values.

The store makes these from its rows, hands them to `place`, and writes the `Placement` back. Nothing here decides.
Sizes are in bytes, CPU in millicores, times in seconds since the epoch (UTC). Owners are written
`Kind/namespace/name` ("Deployment/shop/web"): the thing whose replicas should not all share one host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from deployer.core.objects.placement import Affinity, PodAffinityTerm, Toleration, TopologySpreadConstraint
from deployer.core.scheduling.resources import Resources
from deployer.core.taint import Taint

__all__ = ["Node", "PendingPod", "PlacedPod", "Placement", "Resources", "Taint"]

HostPort = tuple[str, int, str]
"""(host IP, port, protocol); an IP of "" or "0.0.0.0" means every address of the host."""

Strategy = Literal["", "pack", "spread"]
"""The annotation `pierhead.io/placement`; "" (none) is the default order, see `scores.py`."""

ANYWHERE = Affinity()
NOTHING = Resources()
EVERYBODY = ""


@dataclass(frozen=True, slots=True)
class Node:
    """A registered host. `recent_failures` counts, by owner, the pods that failed here in the last five minutes; under
    EVERYBODY what was the host's own fault, whoever asked.

    `lost`: it is dead. Its labels make no domain then, or nobody could make up for a zone that is gone.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    cordoned: bool = False
    ready: bool = True
    lost: bool = False
    allocatable: Resources = NOTHING
    max_pods: int = 110
    recent_failures: Mapping[str, int] = field(default_factory=dict)
    images: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PlacedPod:
    """A pod that holds its place on a node until it is gone. One that is `terminating` still uses its resources and
    still repels, but no longer counts as a replica (Kubernetes' rule for topology spread)."""

    uid: str
    namespace: str
    name: str
    node: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    requests: Resources = NOTHING
    host_ports: frozenset[HostPort] = frozenset()
    anti_affinity: tuple[PodAffinityTerm, ...] = ()
    terminating: bool = False
    # Of the labels, made once: it is what tens of thousands of pods are counted by, in each pass anew.
    label_set: frozenset[tuple[str, str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_set", frozenset(self.labels.items()))


@dataclass(frozen=True, slots=True)
class PendingPod:
    """A pod without a node. Pods that are equal but for uid, name and `created_at` are placed as one group.

    `urgency`: how much is missing of a workload that was well, in percent; of equal priority the most needed is first.
    """

    uid: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    template_hash: str = ""
    requests: Resources = NOTHING
    node_selector: Mapping[str, str] = field(default_factory=dict)
    node_name: str = ""
    affinity: Affinity = ANYWHERE
    tolerations: tuple[Toleration, ...] = ()
    spread: tuple[TopologySpreadConstraint, ...] = ()
    host_ports: frozenset[HostPort] = frozenset()
    images: tuple[str, ...] = ()
    strategy: Strategy = ""
    priority: int = 0
    urgency: int = 0
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """`bound`: pod uid -> node name, in the order of the decisions. `waiting`: pod uid -> why, in one sentence."""

    bound: Mapping[str, str]
    waiting: Mapping[str, str]
