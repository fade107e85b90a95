"""What a Deployment's reconcile reads and what it answers, as frozen values.

`Snapshot` is the whole input: the object, its replica sets and pods, the progress that was stored last, and now.
`Plan` is the whole output, in named buckets. A plan is applied in one transaction and may be made again at any time:
whoever applies it treats "exists already" and "is gone already" as done. Nothing here decides.

Times are seconds since the epoch (UTC), 0 for "never". The words in `Progress.reason` are Kubernetes' own, see
`progress.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from deployer.core.canary.values import NO_CANARY, CanaryState, EndedRun, NewRun, Run
from deployer.core.canary.values import Strategy as CanaryStrategy

Strategy = Literal["RollingUpdate", "Recreate"]
Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]
Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """`max_surge` and `max_unavailable` are numbers or percentages ("25%") of `replicas`.

    `template_hash` is the template in force: Git's, or the one that a pin holds. `stop_first`: a host port or a
    volume with one writer, so an old pod must end before a new one starts. `trial_seconds` is how long a pod of a
    revision that was never healthy has to stay ready before it costs an old one (0: not at all), see `trial.py`.
    `canary` is how new revisions come in step by step (None: by a rolling update alone), see `canary.py`; `pinned`:
    the template in force is not Git's. `kind` is what its events are about.
    """

    uid: str
    namespace: str
    name: str
    generation: int
    replicas: int
    strategy: Strategy
    max_surge: int | str
    max_unavailable: int | str
    paused: bool
    min_ready_seconds: int
    progress_deadline_seconds: int
    revision_history_limit: int
    template_hash: str
    commit: str
    auto_rollback: bool = True
    stop_first: bool = False
    trial_seconds: int = 2
    canary: CanaryStrategy | None = None
    pinned: bool = False
    kind: Literal["Deployment", "Rollout"] = "Deployment"


@dataclass(frozen=True, slots=True)
class ReplicaSet:
    """A revision of a Deployment.

    `replicas` is how many are wanted. `max_replicas` is the Deployment's replicas + surge when this set was last
    scaled (0: unknown). `created_count` counts the pods ever made, for their names. `healthy`: was complete once.
    `failed`: was rolled back from automatically. `adopted`: made again from running containers, its template is not
    known, so its pods can be stopped and not made.
    """

    uid: str
    name: str
    template_hash: str
    revision: int
    replicas: int
    max_replicas: int
    created_at: float
    created_count: int
    healthy: bool
    commit: str
    failed: bool = False
    adopted: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """`replica_set` is the set's uid; `node` is "" until it is placed; `ready_at` is since when it is ready without
    a break (0: it is not). `waiting` is Kubernetes' reason (CrashLoopBackOff, ImagePullBackOff, ...) or "".
    `evicting`: its node is drained. `lost_at`: when it is given up, because its node is dead or cannot start it
    (None: it is not).
    `crash` is a sentence about a container that fell over by itself, not with its host ("": none did).
    """

    uid: str
    name: str
    replica_set: str
    node: str
    phase: Phase
    ready: bool
    ready_at: float
    created_at: float
    deleting: bool
    restarts: int
    deletion_cost: int = 0
    waiting: str = ""
    message: str = ""
    log_tail: str = ""
    evicting: bool = False
    lost_at: float | None = None
    crash: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The Deployment's status as it was stored last: the base that progress is measured from.

    `desired` is the replicas that were asked for then (-1: not known); another number now is a scaling event.
    `of_template` is the template hash of the revision that `reason` is about; another one now is a new rollout.
    `last_progress_at` is what the progress deadline counts from.
    """

    observed_generation: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    replicas: int = 0
    last_progress_at: float = 0
    reason: str = ""
    desired: int = -1
    of_template: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """A PodDisruptionBudget, "shop/web". `pods`: uids that it selects; `healthy` of them are, `needed` have to be,
    `expected` there should be. `always`: pods that are not healthy may go whatever the others do."""

    name: str
    pods: frozenset[str]
    expected: int
    healthy: int
    needed: int
    always: bool = False

    @property
    def allowed(self) -> int:
        """How many may go now."""
        return max(0, self.healthy - self.needed) if self.expected > 0 else 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a pass looks at. The order of `replica_sets`, `pods` and `runs` does not matter. `budgets`:
    those that select a pod on a node that is drained. `canary` is the newest one, `runs` its analyses; `routers_at` the
    version that all routers have, None when none counts."""

    deployment: Deployment
    replica_sets: tuple[ReplicaSet, ...]
    pods: tuple[Pod, ...]
    progress: Progress
    now: float
    budgets: tuple[Budget, ...] = ()
    canary: CanaryState = NO_CANARY
    runs: tuple[Run, ...] = ()
    routers_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewReplicaSet:
    name: str
    template_hash: str
    revision: int
    replicas: int
    max_replicas: int


@dataclass(frozen=True, slots=True)
class Scale:
    uid: str
    name: str
    replicas: int
    max_replicas: int
    reason: str


@dataclass(frozen=True, slots=True)
class NewPod:
    """`replica_set` is the set's uid, or its name when the set is made by the same plan."""

    replica_set: str
    name: str


@dataclass(frozen=True, slots=True)
class DeletePod:
    uid: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """`message` is the operator's sentence, with counts; `log_tail` the last lines of a pod that failed. `by` is the
    person who asked for it, "" when nobody did."""

    to_revision: int
    from_revision: int
    reason: str
    message: str
    log_tail: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    type: str
    status: Truth
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Event:
    """`object` is (kind, name): ("Deployment" | "Rollout" | "ReplicaSet", name)."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    object: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Held:
    """A pod that a drain leaves where it is for now, and why. `by_budget`: others' pods may change that."""

    uid: str
    name: str
    why: str
    by_budget: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write now, and when to look again at the latest.

    `reuse` is (uid, its new revision). `mark_healthy` are uids of sets whose rollout is complete. `waiting_for` are
    the names of the pods that an unfinished rollout waits for; a change of any of them is a reason to look again.
    `held` are the pods of drained nodes that may not go yet. `canary` is its new state, None when it has not changed.
    """

    progress: Progress
    conditions: tuple[Condition, ...]
    create_replica_set: NewReplicaSet | None = None
    reuse: tuple[str, int] | None = None
    scale: tuple[Scale, ...] = ()
    create_pods: tuple[NewPod, ...] = ()
    delete_pods: tuple[DeletePod, ...] = ()
    delete_replica_sets: tuple[tuple[str, str], ...] = ()
    mark_healthy: tuple[str, ...] = ()
    rollback: Rollback | None = None
    events: tuple[Event, ...] = ()
    waiting_for: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    wake_at: float | None = None
    canary: CanaryState | None = None
    begin_runs: tuple[NewRun, ...] = ()
    end_runs: tuple[EndedRun, ...] = ()

    @property
    def moves(self) -> bool:
        """Something other than the status is written, so a look at the result is due at once."""
        return bool(
            self.create_replica_set
            or self.reuse
            or self.scale
            or self.create_pods
            or self.delete_pods
            or self.delete_replica_sets
            or self.mark_healthy
            or self.rollback
            or self.canary is not None
            or self.begin_runs
            or self.end_runs
        )

    @property
    def empty(self) -> bool:
        """Nothing is written besides `progress` and `conditions`, which may be equal to what is stored."""
        return not self.moves and not self.events

    def __str__(self) -> str:
        return "\n".join(_lines(self)) or "nothing to do"


def _lines(plan: Plan) -> list[str]:
    """A line for each write, in the order in which a reader wants them."""
    lines = []
    if plan.rollback:
        lines.append(f"roll back: {plan.rollback.message}")
    if made := plan.create_replica_set:
        lines.append(f"create {made.name}, revision {made.revision}, with {made.replicas} pods")
    if plan.reuse:
        lines.append(f"take {plan.reuse[0]} again as revision {plan.reuse[1]}")
    lines += [f"scale {scale.name} to {scale.replicas}: {scale.reason}" for scale in plan.scale]
    lines += [f"create pod {pod.name}" for pod in plan.create_pods]
    lines += [f"delete pod {pod.name}: {pod.reason}" for pod in plan.delete_pods]
    lines += [f"forget {name}" for _, name in plan.delete_replica_sets]
    lines += [f"{uid} is healthy" for uid in plan.mark_healthy]
    lines += [f"begin analysis {run.name}" for run in plan.begin_runs]
    lines += [f"end analysis {run.name}: {run.why}" for run in plan.end_runs]
    if state := plan.canary:
        lines.append(f"canary {state.template_hash}: {state.phase}, step {state.step}, weight {state.weight}")
    return lines
