"""analyse: one AnalysisRun, looked at every interval until it has ended.

    the run and who is who -> every router that counts is asked at the same time -> a pass -> one transaction

The transaction holds everything that the pass found, the routers' last counters among it: a pass that is killed before
it has done nothing, and the next one counts from where the one before had counted. A router that does not answer in
time is a look that could not be read, and keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from deployer.core.canary import analysing, looking
from deployer.core.canary.analysing import Outcome, Scene
from deployer.core.network.measurements import Counters
from deployer.loops import single_flight
from deployer.loops.router_looks import RouterLooks
from deployer.ports import Clock, Work

LOOP = "analyse"


class AnalysisStore(Protocol):
    def load(self, uid: str) -> Any: ...
    def save(self, loaded: Any, outcome: Outcome, wake: Any, now: float) -> None: ...
    def stop(self, loaded: Any, now: float) -> None: ...
    def tell_pages(self, loaded: Any, *, ended: bool) -> None: ...


def run(uid: str, work: Work, store: AnalysisStore, routers: RouterLooks, clock: Clock) -> None:
    """One run, by its uid."""

    def one_pass(lease: Any) -> float | None:
        loaded = store.load(uid)
        if loaded is None:
            return None
        if loaded.over:
            with work.fenced(lease):
                store.stop(loaded, clock.now())
            store.tell_pages(loaded, ended=True)
            return None
        scene: Scene = loaded.scene
        if (due_at := analysing.due_at(scene, clock.now())) > clock.now():
            return due_at
        looks = _look(scene, loaded.nodes, routers)
        outcome = analysing.passed(scene, looks, clock.now())
        with work.fenced(lease):
            store.save(loaded, outcome, work.wake, clock.now())
        store.tell_pages(loaded, ended=outcome.wake_at is None)
        return outcome.wake_at

    single_flight.run(work, LOOP, uid, clock, one_pass, slow=True)


def _look(scene: Scene, nodes: Mapping[str, str], routers: RouterLooks) -> dict[str, Counters | None]:
    """By the nodes' names."""
    asked = looking.commands(scene.backends, scene.sides.canary_revisions | scene.sides.stable_revisions)
    found = routers.ask(nodes, asked)
    return {
        name: None if found[uid].failure else looking.read(asked, found[uid].answers, scene.backends)
        for uid, name in nodes.items()
    }
