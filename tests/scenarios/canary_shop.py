"""A cluster whose workload has a canary, and whose analyses end as the story says."""

from __future__ import annotations

from typing import Any

from control.models import AnalysisRun, Deployment
from control.services import canaries, workloads
from control.services.audit import Actor
from control.store.canaries import state_of
from deployer.core.canary.values import ENDED, CanaryState
from tests.scenarios.world import World, web

ANN = Actor("ann")
STEPS = "{pierhead.io/canary: '5% for 10m until promoted, 50% for 10m'}"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def shop(image: str = "shop/web:1", *, annotations: str = STEPS, **fields: Any) -> str:
    return web(image=image, annotations=annotations, **{"replicas": 3, **fields})


class CanaryShop(World):
    """Nobody looks at analyses here: `judge` says how they end."""

    def run(self, loop: str, key: str) -> None:
        if loop == "analyse":
            self.work.forget(loop, key)
        else:
            super().run(loop, key)

    def judge(self, phase: str, message: str = "") -> None:
        """All analyses that are going on end so."""
        rows = AnalysisRun.objects.exclude(phase__in=ENDED)
        for owner in sorted({row.deployment_id for row in rows}):
            self.work.wake("reconcile", owner)
        rows.update(phase=phase, message=message, finished_at=self.clock.now())

    @property
    def canary(self) -> CanaryState:
        return state_of(self.deployment())

    def ask(self, verb: str) -> Deployment:
        return canaries.command(verb, "shop", "web", ANN)

    def undo(self) -> None:
        workloads.undo("shop", "web", ANN)

    def counts(self) -> dict[int, int]:
        """Revision -> pods that are ready."""
        found: dict[int, int] = {}
        for pod in self.pods():
            found[pod.revision] = found.get(pod.revision, 0) + pod.ready
        return found

    def where(self) -> str:
        """ "Paused at 1, 5 %, 1:3 2:1"."""
        state = self.canary
        pods = " ".join(f"{revision}:{count}" for revision, count in sorted(self.counts().items()))
        return f"{state.phase} at {state.step}, {state.weight / 100:g} %, {pods}"
