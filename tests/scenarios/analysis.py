"""A canary that stands still: three stable pods, one of a newer revision, traffic as it is dialled, and an analysis.

The workload's own passes are kept out once it stands, and with them those that would have nothing to do: what a pass
makes of an analysis is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from control.models import NEVER, AnalysisRun, AnalysisTick, Work
from control.store import analyses, objects
from deployer.adapters.simulated_traffic import count
from deployer.core.canary.kept import dump_state, load_analysis
from deployer.core.canary.values import Analysis, CanaryState, Judge, NewRun
from tests.scenarios.test_router import BACKEND, service
from tests.scenarios.world import World, web

NODES = ("a", "b", "c")
QUIET = ("reconcile", "converge", "schedule", "incident", "status", "route")
FAST, SLOW = 3, 10
"""Buckets: up to 8 ms, and up to 1,024 ms."""
QUICK = Judge(metrics=("errors",), interval_seconds=10, warmup_seconds=20, min_seconds=60, max_seconds=300)
HELD = (
    "strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\nminReadySeconds: 86400\n"
    "progressDeadlineSeconds: 90000\n"
)


class Stage(World):
    """`woken`: how often the workload was, since the stage stands. `stood` makes one that does."""

    canary: list[str]
    stable: list[str]
    state: CanaryState

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.woken, self._holds, self.quiet = 0, False, set(QUIET)

    @classmethod
    def stood(cls, folder: Path) -> Stage:
        made = cls(folder)
        for name in NODES:
            made.add_node(name)
        made.push(web(spec=HELD), service())
        made.pass_time(8)
        made.push(*made.documents())
        made.pass_time(8)
        row = made.deployment()
        stable, canary = row.replica_sets.order_by("revision")
        assert [one.revision for one in (stable, canary)] == [1, 2]
        made.canary, made.stable = made._servers(canary.template_hash), made._servers(stable.template_hash)
        assert (len(made.canary), len(made.stable)) == (1, 3)
        made.state = CanaryState(canary.template_hash, stable.template_hash, "Progressing", attempt=1)
        made.keep(made.state)
        made._holds = True
        return made

    def twin(self, folder: Path) -> Self:
        twin = super().twin(folder)
        twin.canary, twin.stable, twin.state = list(self.canary), list(self.stable), self.state
        twin._holds = self._holds
        return twin

    def documents(self, *more: str) -> tuple[str, ...]:
        return (web(spec=HELD, image="shop/web:2"), service(), *more)

    def keep(self, state: CanaryState) -> None:
        row = self.deployment()
        row.canary = dump_state(state)
        objects.update([row], ["canary"])

    def run(self, loop: str, key: str) -> None:
        if loop in self.quiet and self._holds:
            self.woken += loop == "reconcile"
            Work.objects.filter(loop=loop, key=key).update(due_at=1e18)
        else:
            super().run(loop, key)

    def begin(self, analysis: Analysis, name: str = "web-2-1", step: int = 1) -> AnalysisRun:
        new = NewRun(name, self.state.template_hash, self.state.attempt, step, analysis)
        analyses.begin(self.deployment(), new, self.work.wake, self.clock.now())
        self.settle()
        return AnalysisRun.objects.get(name=name)

    @staticmethod
    def new(run: AnalysisRun) -> NewRun:
        """What it was begun as."""
        return NewRun(run.name, run.template_hash, run.attempt, run.step, load_analysis(run.spec))

    def until_due(self, run: AnalysisRun) -> None:
        """To the moment before it is looked at."""
        at = Work.objects.get(loop="analyse", key=run.uid).due_at
        assert at < NEVER, "it has ended"
        self.pass_time(at - self.clock.now() - 1e-3)

    def due(self) -> list[str]:
        """Runs that will be looked at."""
        return list(Work.objects.filter(loop="analyse", due_at__lt=1e18).values_list("key", flat=True))

    def traffic(
        self, seconds: int, canary: tuple[int, int], stable: tuple[int, int], *, every: int = 10,
        slow: tuple[int, int] = (0, 0), nodes: tuple[str, ...] = NODES,
    ) -> None:  # fmt: skip
        """(requests, errors) in all, in each `every` seconds, at the first of the nodes whose routers answer.

        `slow`: how many of the canary's and of the stable pods' answers are.
        """
        for _ in range(seconds // every):
            self.dial(
                {**self._spread(self.canary, canary, slow[0]), **self._spread(self.stable, stable, slow[1])}, nodes
            )
            self.pass_time(every)

    def dial(self, amounts: Mapping[str, tuple[int, int, int]], nodes: tuple[str, ...] = NODES) -> None:
        """Server -> requests, errors, slow ones; one node after the other gets one of the servers'."""
        for place, (server, (requests, errors, slow)) in enumerate(sorted(amounts.items())):
            engine = self.engines[nodes[place % len(nodes)]]
            buckets = {FAST: requests - slow, SLOW: slow}
            count(engine, BACKEND, server, requests=requests, errors=errors, buckets=buckets)

    def counted(self, run: AnalysisRun, metric: str = "errors") -> tuple[int, int, int, int]:
        """All ticks together."""
        rows = AnalysisTick.objects.filter(run=run, metric=metric)
        names = ("canary_requests", "canary_failures", "stable_requests", "stable_failures")
        one, two, three, four = map(sum, zip((0, 0, 0, 0), *rows.values_list(*names), strict=True))
        return one, two, three, four

    def newest(self, run: AnalysisRun) -> AnalysisRun:
        return AnalysisRun.objects.get(pk=run.pk)

    def another(self) -> Any:
        """Another worker, beside this one."""
        mine, other = self.work, self.new_worker()
        self.work = mine
        return other

    def _servers(self, template_hash: str) -> list[str]:
        return sorted(f"shop.{pod.name}" for pod in self.pods() if pod.template_hash == template_hash)

    @staticmethod
    def _spread(servers: list[str], amount: tuple[int, int], slow: int) -> dict[str, tuple[int, int, int]]:
        """Evenly, the rest to the first."""
        found = {}
        for place, server in enumerate(servers):
            share = tuple(
                whole // len(servers) + (whole % len(servers) if place == 0 else 0) for whole in (*amount, slow)
            )
            found[server] = (share[0], share[1], share[2])
        return found
