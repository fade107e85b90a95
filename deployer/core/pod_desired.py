"""What a node's pods are to be, and what a look at one of them answers: the values of the kubelet.

`deployer/loops/converge.py` fills `PodDesired` from the store and obeys `PodPlan`. Nothing here decides, and nothing
here shows a secret: content of config maps and secrets stays out of every `repr`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from deployer.core.actions import Step
from deployer.core.container import Subnet
from deployer.core.network.values import ProbeResult
from deployer.core.objects.pod import PodSpec
from deployer.core.pod_status import PodStatus, PullFailure

Config = Mapping[tuple[str, str], Mapping[str, bytes]]
"""("ConfigMap" | "Secret", name) -> key -> decoded data. An object that does not exist is absent."""

__all__ = ["CONFIG_ROLLOUT", "Config", "Event", "PodDesired", "PodPlan", "PullFailure"]

CONFIG_ROLLOUT = "pierhead.io/config-rollout"
"""Annotation of a pod template: `"off"` writes new config into running pods instead of rolling them."""


@dataclass(frozen=True, slots=True)
class PodDesired:
    """A pod that was placed on this node. Times are seconds since the epoch, 0 when they do not hold.

    `owner` is "Deployment/web" or "". `images`: image as written -> pinned reference, digest or id of this revision
    (absent: not resolved yet). `attempts`: container -> the attempt to begin with (0). `grace_seconds` overrides the
    spec's at deletion. `exits`: container id -> exit code of its latest `die` event, where one was heard; the engine
    itself forgets it as soon as it has started the container again.

    `network` is the Docker network chosen for it ("": its namespace's own), with `subnet` where its addresses are
    given; `dns` the router's address on it ("": none). `probes` are the router's latest findings. Of a deleted pod,
    not `released` means that routers may still send it traffic: its stop is held until then, at most till
    `release_by`. `router_problem`: why this node's router does not work, "" when it does.

    `previous` is the status that was stored, or inside one turn that of the plan whose steps were just taken.
    """

    uid: str
    namespace: str
    name: str
    node: str
    node_ip: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: PodSpec
    owner: str = ""
    replica_set: str = ""
    application: str = ""
    template_hash: str = ""
    revision: int = 0
    commit: str = ""
    created_at: float = 0
    deleting_at: float = 0
    grace_seconds: int | None = None
    config: Config = field(default_factory=dict, repr=False)
    images: Mapping[str, str] = field(default_factory=dict)
    attempts: Mapping[str, int] = field(default_factory=dict)
    previous: PodStatus | None = None
    exits: Mapping[str, int] = field(default_factory=dict)
    network: str = ""
    subnet: Subnet | None = None
    dns: str = ""
    probes: tuple[ProbeResult, ...] = ()
    released: bool = True
    release_by: float = 0
    router_problem: str = ""

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Event:
    """`reason` is one CamelCase word, `message` a sentence that names the pod and says what comes next."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class PodPlan:
    """The next steps, in order, and what to tell. Execute, inspect what changed, plan again, until `steps` is empty.

    `status` is true once all of `steps` have been taken: it is the `previous` of the next plan in the same turn. It
    knows of hooks that were run, content that was written, containers that we ended ourselves. When a step failed,
    `node.step_failed` gives the status to go on with. `seen` is true now, whatever becomes of the steps; the two are
    equal when there are none.

    `wake_at`: look again then at the latest; None: an event of the engine, a changed object or a new image will say
    when. `gone`: nothing of the pod is left on the host.
    """

    steps: tuple[Step, ...]
    status: PodStatus
    seen: PodStatus
    events: tuple[Event, ...] = ()
    wake_at: float | None = None
    gone: bool = False
