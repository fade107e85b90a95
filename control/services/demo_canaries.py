"""The demonstration's canaries: one that goes well, over and over, and one that is aborted; and visitors of both.

Nothing is drawn here that did not happen: the visitors are counted by the simulated routers, the analysis looks there,
and the judge decides as it would anywhere. Only the visitors are imagined, and how often a version fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings

from control.models import Deployment, Node, ReplicaSet
from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_traffic import Answers, send
from deployer.core.canary.kept import load_state

NAMESPACE = "shop"
GOOD, BAD = "checkout", "recommend"
ANNOTATIONS = {
    GOOD: "5% for 4m, 25% for 4m, 50% for 4m, errors < 1%, sticky by cookie session",
    BAD: "10% for 5m",
}
FIRST = {GOOD: "3.4.0", BAD: "0.9.0"}
A_SECOND = {GOOD: 60, BAD: 40}
"""Visitors."""
_USUAL = Answers(errors=0.003, slow=0.04, milliseconds=11, slow_milliseconds=140)
_WORSE = Answers(errors=0.09, slow=0.12, milliseconds=14, slow_milliseconds=260)


@dataclass(frozen=True)
class Visitors:
    """Come to the services of both workloads through the router of some host that is up."""

    engines: dict[str, SimulatedEngine] = field(default_factory=dict)

    def come(self, seconds: float) -> None:
        """As many as come in that time. Nobody does while no router is there yet."""
        engines = [self._engine(name) for name in _hosts()]
        for name, a_second in A_SECOND.items():
            first, *later = _revisions(name) or [0]
            answers = {first: _USUAL} | dict.fromkeys(later, _WORSE if name == BAD else _USUAL)
            any(_sent(engine, name, round(a_second * seconds), answers) for engine in engines)

    def _engine(self, host: str) -> SimulatedEngine:
        if host not in self.engines:
            run_dir = settings.PIERHEAD.data_dir / "run"
            self.engines[host] = SimulatedEngine(host, settings.PIERHEAD.cluster_id, run_dir=run_dir)
        return self.engines[host]


def next_version() -> str:
    """Of the good one, when its last canary is over: "" while one is under way."""
    row = Deployment.objects.filter(namespace=NAMESPACE, name=GOOD, deleted_at=None).first()
    if row is None or load_state(row.canary).phase != "Completed":
        return ""
    return f"3.{4 + len(_revisions(GOOD))}.0"


def annotated(manifest: str, name: str) -> str:
    """The manifest of a Deployment of this name, with its canary."""
    return manifest.replace(
        f"  labels: {{app: {name}}}\nspec:",
        f'  labels: {{app: {name}}}\n  annotations:\n    pierhead.io/canary: "{ANNOTATIONS[name]}"\nspec:',
        1,
    )


def _sent(engine: SimulatedEngine, name: str, requests: int, answers: dict[int, Answers]) -> bool:
    try:
        return bool(send(engine, f"svc.{NAMESPACE}.{name}.80", requests, answers))
    except LookupError:
        return False


def _hosts() -> Iterator[str]:
    found = Node.objects.filter(ready=True, address__startswith="sim://").order_by("name")
    return (address.removeprefix("sim://") for address in found.values_list("address", flat=True))


def _revisions(name: str) -> list[int]:
    owned = ReplicaSet.objects.filter(deployment__namespace=NAMESPACE, deployment__name=name)
    return sorted(owned.values_list("revision", flat=True))
