"""A pod that runs and whose template is not known any more (its records were lost): it is kept as it is, or ended.

It serves until the rollout to a known template replaces it. Nothing of it is repaired, since nobody can say what
it should be.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.container import LABEL_CONTAINER, PAUSE_CONTAINER, ContainerSeen
from deployer.core.node import settled_digest
from deployer.core.pod_outcome import PodOutcome
from deployer.core.pod_status import ContainerStatus, PodCondition, PodStatus
from deployer.ports import Clock, Engine

GRACE_SECONDS = 30


@dataclass(frozen=True)
class ForgottenTurn:
    uid: str
    deleting: bool
    observed: list[ContainerSeen]
    engine: Engine
    clock: Clock

    def take(self) -> PodOutcome:
        seen = [found for one in self.observed if (found := self.engine.inspect(one.id))]
        if self.deleting:
            for one in sorted(seen, key=lambda one: (one.labels.get(LABEL_CONTAINER) == PAUSE_CONTAINER, one.name)):
                self.engine.stop(one.id, 0 if one.labels.get(LABEL_CONTAINER) == PAUSE_CONTAINER else GRACE_SECONDS)
                self.engine.remove(one.id)
            return PodOutcome(self.uid, status=None, gone=True)
        status = seen_status(seen, self.clock.now())
        return PodOutcome(self.uid, status, settled=settled_digest(seen), observed=tuple(seen))


def seen_status(seen: list[ContainerSeen], now: float) -> PodStatus:
    """Ready when every container runs and none says that it is unhealthy: nothing more can be known."""
    mine = [one for one in seen if one.labels.get(LABEL_CONTAINER) != PAUSE_CONTAINER]
    ready = bool(mine) and all(one.state == "running" and one.health in ("", "healthy") for one in mine)
    containers = tuple(_status(one, now) for one in mine)
    condition = PodCondition("Ready", ready, now, "" if ready else "ContainersNotReady")
    return PodStatus(
        phase="Running", ready=ready, ready_at=now if ready else 0, containers=containers, conditions=(condition,)
    )


def _status(one: ContainerSeen, now: float) -> ContainerStatus:
    running = one.state == "running"
    return ContainerStatus(
        one.labels.get(LABEL_CONTAINER, ""), container_id=one.id, image=one.image, engine_state=one.state,
        state="running" if running else "waiting", ready=running, started=running, started_seen_at=now,
        started_at=one.detail.started_at if one.detail else 0,
    )  # fmt: skip
