"""The small world with a canary: routers that hear of weights, analyses that end as they please, people who decide.

Nothing here knows a rule of a canary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from deployer.core.canary import commands
from deployer.core.canary.values import NO_CANARY, CanaryState, EndedRun, NewRun, Run, RunPhase, Strategy
from deployer.core.workloads.values import Deployment, Plan, Snapshot
from tests.core.workloads.world import World


def deployment(canary: Strategy | None, replicas: int = 4, **changed: Any) -> Deployment:
    fields: dict[str, Any] = {
        "uid": "uid", "namespace": "shop", "name": "web", "generation": 1, "replicas": replicas,
        "strategy": "RollingUpdate", "max_surge": 1, "max_unavailable": 0, "paused": False, "min_ready_seconds": 0,
        "progress_deadline_seconds": 60, "revision_history_limit": 10, "template_hash": "v1", "commit": "c0ffee",
        "canary": canary,
    }  # fmt: skip
    return Deployment(**{**fields, **changed})


@dataclass
class CanaryWorld(World):
    """`version` counts writes; `routers` is the version that each router has: "slow" ones lag behind."""

    canary: CanaryState = NO_CANARY
    runs: dict[str, Run] = field(default_factory=dict)
    version: int = 0
    routers: dict[str, int] = field(default_factory=lambda: {"a": 0})
    events: list[str] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        pinned = self.deployment.template_hash != self.live_hash
        return replace(
            super().snapshot(), deployment=replace(self.deployment, pinned=pinned), canary=self.canary,
            runs=tuple(self.runs.values()), routers_at=min(self.routers.values(), default=None),
        )  # fmt: skip

    def _writes(self, plan: Plan) -> Iterator[Callable[[], None]]:
        self.version += 1
        self.events += [f"{event.reason}: {event.message}" for event in plan.events]
        writes = list(super()._writes(plan))
        yield from writes[:-1]
        for run in plan.begin_runs:
            yield partial(self._begin, run)
        for ended in plan.end_runs:
            yield partial(self._end, ended)
        yield partial(self._write_status, plan)

    def _write_status(self, plan: Plan) -> None:
        """Progress, canary and pin are columns of one row."""
        super()._write_status(plan)
        if plan.canary is not None:
            self.keep(plan.canary)

    def keep(self, state: CanaryState) -> None:
        if state.phase == "Aborting" and not state.zero_version:
            self.version += 1
            state = replace(state, zero_version=self.version)
        self.canary = state

    def _begin(self, new: NewRun) -> None:
        self.runs.setdefault(new.name, Run(new.name, new.template_hash, new.attempt, new.step, "Running"))

    def _end(self, ended: EndedRun) -> None:
        run = self.runs[ended.name]
        if run.phase in ("Pending", "Running"):
            self.runs[ended.name] = replace(run, phase=ended.phase, message=ended.why)

    # What routers, analyses and people do.

    def hear(self, router: str = "a") -> None:
        self.routers[router] = self.version

    def finish(self, phase: RunPhase, message: str = "", name: str = "") -> None:
        for run in list(self.runs.values()):
            if run.phase in ("Pending", "Running") and (not name or run.name == name):
                self.runs[run.name] = replace(run, phase=phase, message=message)

    def ask(self, verb: str, who: str = "ann") -> None:
        """A person's command, as the service does it; raises `commands.CommandRefused`."""
        strategy = self.deployment.canary
        given = commands.Asked(self.canary, strategy, self.live_hash, who, self.now)
        state = getattr(commands, verb)(given)
        if verb == "retry":
            self.deployment = replace(self.deployment, template_hash=self.live_hash)
            for uid, one in self.sets.items():
                if one.template_hash == self.live_hash:
                    self._change_set(uid, failed=False)
        self.keep(state)

    # Going on.

    def run_on(self, seconds: float = 0.0, *, routers: bool = True) -> None:
        """Everything that can go well does, for so long: a second at a time."""
        until = self.now + seconds
        while True:
            for _ in range(60):
                _, plan, _ = self.look()
                self.prosper()
                if routers:
                    for name in self.routers:
                        self.hear(name)
                if not plan.moves:
                    break
            else:
                raise AssertionError(f"it spins: {plan}")
            if self.now >= until:
                return
            self.now += 1

    def count(self, template_hash: str) -> int:
        owners = {one.uid for one in self.sets.values() if one.template_hash == template_hash}
        return sum(pod.replica_set in owners and not pod.deleting for pod in self.pods.values())

    def where(self) -> str:
        """ "Paused step 1, 5 %, v1:4 v2:1": all in one line."""
        pods = " ".join(f"{name}:{number}" for name in sorted({one.template_hash for one in self.sets.values()})
                        if (number := self.count(name)))  # fmt: skip
        state = self.canary
        return f"{state.phase} {state.template_hash} step {state.step}, {state.weight / 100:g} %, {pods}"
