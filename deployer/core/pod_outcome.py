"""What came of one pod's turn on its node: handed from the converge loop to the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deployer.core.container import ContainerSeen
from deployer.core.pod_desired import Event, PullFailure
from deployer.core.pod_status import PodStatus


@dataclass(frozen=True, slots=True)
class PodOutcome:
    """`settled` is the digest of the containers when nothing was left to do, "" otherwise.

    `wake_at` is when the pod wants the next look (None: an event will tell). `observed` are its containers as the
    turn left them.
    """

    uid: str
    status: PodStatus | None
    gone: bool = False
    settled: str = ""
    events: tuple[Event, ...] = ()
    pulls: Mapping[str, PullFailure] = field(default_factory=dict)
    wake_at: float | None = None
    observed: tuple[ContainerSeen, ...] = ()
