"""The scheduler: `place` gives each pending pod a node, or a sentence that says why it has none.

Pods that are alike are placed as one group, groups in the order of priority, need, age and name; what is placed counts
for whoever comes next. A pod that waits for other pods (required affinity, hard topology spread) is tried again for as
long as anything moves, so that the order of arrival does not decide whether it ever runs: at the end, no waiting pod
fits on any node.

It never evicts, never goes beyond what a node can give, knows no clock and no store. The same input in any order gives
the same answer. The store asks `still_fits` again in the transaction that binds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from types import MappingProxyType

from deployer.core.scheduling.cluster import FAILURES_TO_RANK_LAST, Cluster, fails
from deployer.core.scheduling.demand import Demand
from deployer.core.scheduling.filters import fits_here, refusal
from deployer.core.scheduling.lanes import Search
from deployer.core.scheduling.selectors import Namespaces
from deployer.core.scheduling.values import EVERYBODY, Node, PendingPod, PlacedPod, Placement

NO_NAMESPACES: Namespaces = MappingProxyType({})

_turn = attrgetter("created_at", "namespace", "name", "uid")
_template = attrgetter(
    "labels", "node_selector", "affinity", "tolerations", "spread", "host_ports", "images", "strategy"
)


@dataclass(slots=True)
class Group:
    """Identical pods, in their order; `pods` holds those that still wait."""

    pods: list[PendingPod] = field(default_factory=list)

    @property
    def waits_for_others(self) -> bool:
        """Whether a pod placed elsewhere can make room for this one."""
        pod = self.pods[0]
        hard_spread = any(term.when_unsatisfiable == "DoNotSchedule" for term in pod.spread)
        return hard_spread or bool(pod.affinity.pod_affinity.required)


def place(
    pending: Sequence[PendingPod],
    nodes: Sequence[Node],
    placed: Sequence[PlacedPod],
    namespaces: Namespaces = NO_NAMESPACES,
) -> Placement:
    """Bind as many pending pods as fit. `namespaces`: name -> labels, for `namespaceSelector`.

    Placed pods on nodes that are not among `nodes` are ignored.
    """
    groups = grouped(pending)
    cluster = Cluster(nodes, placed, [group.pods[0] for group in groups], namespaces)
    bound: dict[str, str] = {}
    for group in groups:
        _fill(group, cluster, bound)
    _try_again([group for group in groups if group.pods], cluster, bound)
    return Placement(bound=bound, waiting=_explained([group for group in groups if group.pods], cluster))


def still_fits(
    pod: PendingPod, node: Node, placed_there: Sequence[PlacedPod], namespaces: Namespaces = NO_NAMESPACES
) -> bool:
    """Whether the node can take the pod beside those that are on it now: everything but affinity to pods elsewhere and
    topology spread, which one node cannot tell."""
    there = [replace(other, node=node.name) for other in placed_there]
    cluster = Cluster([node], there, [pod], namespaces)
    return fits_here(Demand(pod, cluster), cluster.fleet.hosts[0])


def elsewhere(
    stuck: Sequence[PendingPod],
    there: Mapping[str, str],
    nodes: Sequence[Node],
    placed: Sequence[PlacedPod],
    namespaces: Namespaces = NO_NAMESPACES,
) -> frozenset[str]:
    """The uids of those `stuck` pods, which their nodes cannot start, that another node would take: one that is not
    known to fail as well. `there`: uid -> the name of its node. `placed` may hold them, too."""
    sick = {there[pod.uid] for pod in stuck}
    failed = {EVERYBODY: FAILURES_TO_RANK_LAST}
    asked = [replace(one, recent_failures=failed) if one.name in sick else one for one in nodes]
    others = [pod for pod in placed if pod.uid not in there]
    failing = {one.name: one.recent_failures for one in asked}
    owners = {pod.uid: pod.owner for pod in stuck}
    bound = place(stuck, asked, others, namespaces).bound
    return frozenset(uid for uid, name in bound.items() if not fails(failing[name], owners[uid]))


def grouped(pending: Iterable[PendingPod]) -> list[Group]:
    """Groups of pods that differ by uid, name and age only, by priority, need, and the turn of their first pod."""
    groups: list[Group] = []
    # The hash of the cheap fields finds the few groups with which the costly ones are compared.
    likely: dict[object, list[tuple[object, Group]]] = {}
    for pod in sorted(pending, key=lambda pod: (-pod.priority, -pod.urgency, _turn(pod))):
        requests = pod.requests
        key = (
            pod.priority, pod.urgency, pod.namespace, pod.owner, pod.template_hash, pod.node_name,
            requests.cpu_millicores, requests.memory_bytes, frozenset(pod.labels.items()),
        )  # fmt: skip
        template = _template(pod)
        mine = likely.setdefault(key, [])
        group = next((group for known, group in mine if known == template), None)
        if group is None:
            group = Group()
            groups.append(group)
            mine.append((template, group))
        group.pods.append(pod)
    return groups


def _fill(group: Group, cluster: Cluster, bound: dict[str, str]) -> None:
    """Place the group's pods until one finds no host; those placed leave the group."""
    while group.pods:
        demand = Demand(group.pods[0], cluster)
        # The first pod of a kind that has affinity to itself chooses the place: look again for the others.
        count = 1 if demand.first_of_its_kind else len(group.pods)
        names = _placed_on(demand, cluster, count)
        bound.update(zip((pod.uid for pod in group.pods), names, strict=False))
        del group.pods[: len(names)]
        if len(names) < count:
            return


def _placed_on(demand: Demand, cluster: Cluster, count: int) -> list[str]:
    """The hosts of up to `count` pods of the group."""
    search = Search(demand, cluster)
    names: list[str] = []
    while len(names) < count and (host := search.best()) is not None:
        search.settle(host)
        names.append(host.node.name)
    search.done()
    return names


def _try_again(groups: Sequence[Group], cluster: Cluster, bound: dict[str, str]) -> None:
    """Pods that wait for pods: again, until nothing moves. Each round binds at least one, so it ends."""
    hopeful = [group for group in groups if group.waits_for_others]
    before = -1
    while hopeful and before < len(bound):
        before = len(bound)
        for group in hopeful:
            _fill(group, cluster, bound)
        hopeful = [group for group in hopeful if group.pods]


def _explained(groups: Sequence[Group], cluster: Cluster) -> Mapping[str, str]:
    waiting: dict[str, str] = {}
    for group in groups:
        sentence = refusal(Demand(group.pods[0], cluster))
        waiting.update((pod.uid, sentence) for pod in group.pods)
    return waiting
