"""NoExecute: whom the taints of a node evict, and when.

Kubernetes' TaintEvictionController. A pod that does not tolerate one of them goes at once; one that tolerates all of
them goes when the shortest `tolerationSeconds` has passed, and stays for good where no toleration has any. Seconds
count from when the taint was added, or from when the pod was placed there if that was later: a pod that may be placed
on such a node has its time there, too. A taint that is taken away in time evicts nobody.

Tolerations are read by one rule (`tolerated_seconds`), as for hosts that are dead (`patience.py`). Nobody is asked:
neither budgets nor replacements, as in Kubernetes. A pod whose tolerations nobody knows any more (its template was
lost with the database) stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from deployer.core.objects.placement import Toleration
from deployer.core.pod_status import iso_time
from deployer.core.scheduling.selectors import tolerated_seconds
from deployer.core.survival.patience import FOR_EVER
from deployer.core.taint import Standing

END_OF_TIME = 253_402_300_799.0
"""The last second of the year 9999: a toleration that ends later is one without an end."""


@dataclass(frozen=True, slots=True)
class Resident:
    """A pod that nobody has asked to go. `tolerations` None: they are not known."""

    uid: str
    namespace: str
    name: str
    placed_at: float
    tolerations: tuple[Toleration, ...] | None


@dataclass(frozen=True, slots=True)
class Eviction:
    """`why` in words, true before its time and after."""

    pod: Resident
    at: float
    why: str

    @property
    def announced(self) -> str:
        """The same for a pod whose time has not come."""
        return f"{self.why}: it is evicted at {iso_time(self.at)}, if the taint is there still"


@dataclass(frozen=True, slots=True)
class Plan:
    """`due` go now, `later` at their time; each by time, then by name. `wake_at`: the next one's, None: nobody's."""

    due: tuple[Eviction, ...] = ()
    later: tuple[Eviction, ...] = ()

    @property
    def wake_at(self) -> float | None:
        return self.later[0].at if self.later else None


def plan(node: str, taints: Sequence[Standing], residents: Iterable[Resident], now: float) -> Plan:
    found = [one for pod in residents if (one := eviction(node, taints, pod)) is not None]
    found.sort(key=lambda one: (one.at, one.pod.namespace, one.pod.name))
    return Plan(tuple(one for one in found if one.at <= now), tuple(one for one in found if one.at > now))


def eviction(node: str, taints: Iterable[Standing], pod: Resident) -> Eviction | None:
    """None: it may stay. Taint a added at 100, tolerated for 60 s, and b at 130, for 20 s, of a pod placed at 90:
    min(100 + 60, 130 + 20) = 150; had it been placed at 120: min(120 + 60, 130 + 20) = 150."""
    if pod.tolerations is None:
        return None
    found = [(*_ends(one, pod.tolerations, pod.placed_at), one.taint) for one in taints]
    at, seconds, taint = min(found, key=lambda one: (one[0], str(one[2])), default=(FOR_EVER, None, None))
    if at > END_OF_TIME:
        return None
    bears = "does not tolerate" if seconds is None else f"tolerates for {seconds:g} s"
    return Eviction(pod, at, f"node {node} has the taint {taint}, which it {bears}")


def _ends(one: Standing, tolerations: tuple[Toleration, ...], placed_at: float) -> tuple[float, float | None]:
    """When it is tolerated no more (0: at no time), and for how many seconds it is."""
    seconds = tolerated_seconds(tolerations, one.taint)
    return (max(one.added_at, placed_at) + seconds if seconds else 0.0), seconds
