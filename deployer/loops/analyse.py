"""analyse: one AnalysisRun, looked at every interval until it has ended.

    the run and who is who -> routers that count, and providers, all asked at the same time -> a pass -> one transaction

The transaction holds everything that the pass found, the routers' last counters among it: a pass that is killed before
it has done nothing, and the next one counts from where the one before had counted. A router that does not answer in
time is a look that could not be read, and keeps nobody waiting.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from typing import Any, Protocol

from deployer.core.canary import analysing, looking
from deployer.core.canary.analysing import Outcome, Scene
from deployer.core.canary.measuring import Answer
from deployer.core.canary.values import Metric, Prometheus
from deployer.core.network.measurements import Counters
from deployer.loops import single_flight
from deployer.loops.router_looks import RouterLooks
from deployer.ports import Clock, Provider, ProviderError, Work

LOOP = "analyse"


class AnalysisStore(Protocol):
    def load(self, uid: str) -> Any: ...
    def secrets(self, loaded: Any, asked: Prometheus) -> Mapping[str, str]: ...
    def save(self, loaded: Any, outcome: Outcome, wake: Any, now: float) -> None: ...
    def stop(self, loaded: Any, now: float) -> None: ...
    def tell_pages(self, loaded: Any, *, ended: bool) -> None: ...


@dataclass(frozen=True)
class Eyes:
    """What an analysis sees by. `pool`: threads in which providers are waited for."""

    routers: RouterLooks
    provider: Provider
    pool: Executor


def run(uid: str, work: Work, store: AnalysisStore, eyes: Eyes, clock: Clock) -> None:
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
        now = clock.now()
        if (due_at := analysing.due_at(scene, now)) > now:
            return due_at
        asked = [_Question(loaded, one, store, eyes) for one in analysing.questions(scene, now)]
        looks = _look(scene, loaded.nodes, eyes.routers)
        now = clock.now()
        # Routers answer well within a lease, or not at all; providers may take longer.
        with single_flight.Kept(work, lease, clock).prolonged() if asked else contextlib.nullcontext():
            answers = {one.metric.name: one.answer() for one in asked}
        outcome = analysing.passed(scene, looks, answers, now)
        with work.fenced(lease):
            store.save(loaded, outcome, work.wake, clock.now())
        store.tell_pages(loaded, ended=outcome.wake_at is None)
        return outcome.wake_at

    single_flight.run(work, LOOP, uid, clock, one_pass)


class _Question:
    """A provider that is being asked."""

    def __init__(self, loaded: Any, metric: Metric, store: AnalysisStore, eyes: Eyes) -> None:
        self.metric, self._seconds = metric, analysing.patience_seconds(loaded.scene, metric)
        self._asked: Future[Answer] = eyes.pool.submit(self._ask, loaded, store, eyes.provider)

    def answer(self) -> Answer:
        wait([self._asked], timeout=self._seconds)
        if self._asked.done():
            return self._asked.result()
        self._asked.cancel()
        return Answer(failure=f"no answer within {self._seconds:g} s")

    def _ask(self, loaded: Any, store: AnalysisStore, provider: Provider) -> Answer:
        assert isinstance(self.metric.provider, Prometheus), "our own measurements are not asked for"
        try:
            secrets = store.secrets(loaded, self.metric.provider)
            return Answer(provider.measure(self.metric.provider, secrets, self._seconds))
        except ProviderError as error:
            return Answer(failure=error.sentence)


def _look(scene: Scene, nodes: Mapping[str, str], routers: RouterLooks) -> dict[str, Counters | None]:
    """By the nodes' names."""
    if not scene.needs_routers:
        return {}
    asked = looking.commands(scene.backends, scene.sides.canary_revisions | scene.sides.stable_revisions)
    found = routers.ask(nodes, asked)
    return {
        name: None if found[uid].failure else looking.read(asked, found[uid].answers, scene.backends)
        for uid, name in nodes.items()
    }
