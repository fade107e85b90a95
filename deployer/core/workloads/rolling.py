"""RollingUpdate: how many replicas the new set and the old ones get next.

Kubernetes' rule (pkg/controller/deployment/rolling.go), one kind of move at a time:

(a) more new replicas than desired: new = desired;
(b) else, below desired + surge: new grows into the room, and that is all for now;
(c) else the old sets shrink, by no more than leaves desired - unavailable pods available. Replicas that are not
    available go first, or a rollback from a broken version would wait for its broken pods for ever.

Two things are stricter (`trial.py`): a new pod pays for an old one only when its revision has stood its trial, and
what may be unavailable is given away only when a new pod is ready, or cannot be before.

Never creates or deletes a pod; never looks at the clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from deployer.core.workloads.census import Census, Standing
from deployer.core.workloads.values import Deployment


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a rollout may go: `surge` pods more than desired, `unavailable` fewer available ones."""

    desired: int
    surge: int
    unavailable: int

    @property
    def ceiling(self) -> int:
        return self.desired + self.surge

    @property
    def minimum(self) -> int:
        return self.desired - self.unavailable


def bounds_of(deployment: Deployment) -> Bounds:
    """Surge is rounded up, unavailable down; both 0 makes unavailable 1; unavailable is capped at the replicas.

    10 replicas, 25%/25% -> 3 and 2;  2 replicas, 1%/1% -> 1 and 0;  1 replica, 0/1% -> 0 and 1;  2, 0/5 -> 0 and 2
    """
    desired = deployment.replicas
    if deployment.strategy != "RollingUpdate":
        return Bounds(desired, 0, 0)
    surge = resolve(deployment.max_surge, desired, up=True)
    unavailable = resolve(deployment.max_unavailable, desired, up=False)
    if deployment.stop_first:
        surge = 0
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Bounds(desired, surge, min(unavailable, desired))


def resolve(amount: int | str, desired: int, *, up: bool) -> int:
    """A number, or a percentage of `desired`: "25%" of 10 is 3 up, 2 down."""
    if isinstance(amount, str) and amount.endswith("%"):
        scaled = int(amount[:-1]) * desired
        return -(-scaled // 100) if up else scaled // 100
    return int(amount)


def step(census: Census, bounds: Bounds) -> dict[str, int]:
    """Set name -> replicas, for the sets that change. A current set that does not exist yet is named always."""
    target = current_target(census, bounds)
    moves = {census.name: target} if census.current is None or target != census.current_replicas else {}
    if target != census.current_replicas:
        return moves
    return moves | old_targets(census, bounds)


def current_target(census: Census, bounds: Bounds) -> int:
    """(a) and (b). 10 desired, surge 3: old 10 new 0 -> 3; old 8 new 3 -> 5; at 13 in total it stays."""
    now = census.current_replicas
    if now >= bounds.desired:
        return bounds.desired
    room = bounds.ceiling - census.replicas
    return now + min(room, bounds.desired - now) if room > 0 else now


def old_targets(census: Census, bounds: Bounds) -> dict[str, int]:
    """(c). 10 desired, unavailable 2, surge 3: old 8, and of 5 new ones none available -> 13 - 8 - 5 = 0, so wait."""
    trusted = census.current.trusted if census.current else 0
    spare = census.replicas - bounds.minimum - (census.current_replicas - trusted)
    if spare <= 0:
        return {}
    left = {standing.set.name: standing.replicas for standing in census.old}
    _drop_unavailable(census.old, left, spare)
    if census.current is None or census.current.trial.shown or not bounds.surge:
        serving = sum(one.serving for one in census.old)
        _drop_available(census.old, left, trusted + serving - bounds.minimum)
    return {one.set.name: left[one.set.name] for one in census.old if left[one.set.name] != one.replicas}


def _drop_unavailable(old: list[Standing], left: dict[str, int], spare: int) -> None:
    for standing in old:
        dropped = min(spare, standing.replicas - standing.serving)
        left[standing.set.name] -= dropped
        spare -= dropped


def _drop_available(old: list[Standing], left: dict[str, int], spare: int) -> None:
    for standing in old:
        dropped = max(0, min(spare, left[standing.set.name]))
        left[standing.set.name] -= dropped
        spare -= dropped
