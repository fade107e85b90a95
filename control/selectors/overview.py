"""The first page: what runs, from which commit, is it healthy, what failed.

Made from the database alone: a host that is dead or slow never slows it. The number of queries is the same however
many objects there are; lists are cut at SHOWN rows, the worst first, and say how many more there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Min, Q

from control.models import Event, Pod, Repository, Sync, Work
from control.selectors.application_rows import APPLICATIONS
from control.selectors.applications import ApplicationLine, summarised
from control.selectors.attempts import AttemptLine, attempt_line
from control.selectors.backing import PODS
from control.selectors.canary_lines import CanaryLine, lines_under_way
from control.selectors.canary_rows import UNDER_WAY
from control.selectors.connecting import INGRESSES, SERVICES
from control.selectors.deployment_facts import DEPLOYMENTS, Facts
from control.selectors.event_lines import EventLine, event_line
from control.selectors.followed import each, followed
from control.selectors.health import Judged, application_health, bare_pods, health_of_network
from control.selectors.overview_nodes import NO_NODES, NodeLine, NodeSummary, node_summary
from control.selectors.overview_workloads import WorkloadLine, state_of_pod, workload_lines
from control.selectors.spans import within
from control.selectors.words import WORST_FIRST, Moment, State, sentence, state_of

SHOWN = 30
SYNCS, EVENTS, PENDING = 10, 20, 500
OVERDUE_SECONDS = 30.0
SILENT_SECONDS = 45.0  # a heartbeat is written every 10 s


@dataclass(frozen=True, slots=True)
class PendingLine:
    """Pods of one owner that wait for the same thing."""

    namespace: str
    owner: str
    count: int
    sentence: str
    since: Moment


@dataclass(frozen=True, slots=True)
class ConnectionLine:
    """A Service or Ingress that is not healthy, and why."""

    kind: str
    namespace: str
    name: str
    state: State
    message: str


@dataclass(frozen=True, slots=True)
class Overview:
    """`alarms`: sentences about Pierhead itself. `steps`: which of (host, repository, application) are done."""

    workloads: tuple[WorkloadLine, ...]
    canaries: tuple[CanaryLine, ...]
    applications: tuple[ApplicationLine, ...]
    nodes: tuple[NodeLine, ...]
    pending: tuple[PendingLine, ...]
    connections: tuple[ConnectionLine, ...]
    syncs: tuple[AttemptLine, ...]
    events: tuple[EventLine, ...]
    alarms: tuple[str, ...]
    more_workloads: int
    more_nodes: int
    more_applications: int
    counts: tuple[tuple[State, int], ...]
    troubles: tuple[str, ...]
    sees_all: bool
    has_repository: bool

    @property
    def headline(self) -> str:
        """What the page's title and heading say: the trouble, or that there is none."""
        if self.troubles:
            return ", ".join(self.troubles)
        busy = sum(count for state, count in self.counts if state.tone == "busy")
        if busy:
            return f"{busy} rolling out"
        return "all healthy" if self.counts else "nothing runs yet"

    @property
    def tone(self) -> str:
        tones = {state.tone for state, _ in self.counts}
        return "bad" if self.troubles else "busy" if "busy" in tones else "good" if tones else "idle"


def overview(now: float, visible: Collection[str] | None = None) -> Overview:
    """`now`: seconds since the epoch. `visible`: the namespaces that the reader may see, None for all.

    Nodes belong to no namespace: they are for those who see all.
    """
    seen = Q() if visible is None else Q(namespace__in=visible)
    deployments, services, ingresses, pods, rows = followed.now(DEPLOYMENTS, SERVICES, INGRESSES, PODS, APPLICATIONS)
    everything, bare = list(each(deployments, visible)), list(bare_pods(seen))
    network = health_of_network(services, ingresses, pods, visible)
    nodes = node_summary(SHOWN, now) if visible is None else NO_NODES
    names = None if visible is None else within(visible)
    applications = summarised(each(rows), application_health(None, network, everything, bare), names)
    attempts = Sync.objects.filter(Q() if names is None else Q(application__name__in=names))
    connections, counts = _connections(network), _counts(everything, bare)
    return Overview(
        workloads=tuple(workload_lines(everything, bare, SHOWN, now)),
        canaries=tuple(_canaries(everything, now)),
        applications=tuple(line.seen(now) for line in applications[:SHOWN]),
        nodes=nodes.lines,
        more_nodes=nodes.more,
        pending=tuple(_pending(seen, now)),
        connections=tuple(connections[:SHOWN]),
        syncs=tuple(attempt_line(row, now) for row in attempts.select_related("application")[:SYNCS]),
        events=tuple(event_line(row, now) for row in Event.objects.filter(seen)[:EVENTS]),
        alarms=tuple(_alarms(nodes, now)),
        more_workloads=max(len(everything) + len(bare) - SHOWN, 0),
        more_applications=max(len(applications) - SHOWN, 0),
        counts=counts,
        troubles=tuple(_troubles(counts, applications, nodes, connections)),
        sees_all=visible is None,
        has_repository=bool(applications) or Repository.objects.exists(),
    )


def _canaries(everything: Iterable[Facts], now: float) -> list[CanaryLine]:
    """No query when none is under way."""
    mine = sorted((one.namespace, one.name, one.uid) for one in everything if one.canary in UNDER_WAY)
    return lines_under_way(now, Q(pk__in=[uid for _, _, uid in mine[:SHOWN]])) if mine else []


def _counts(everything: Iterable[Facts], bare: Iterable[Pod]) -> tuple[tuple[State, int], ...]:
    counted = Counter([*(one.state for one in everything), *map(state_of_pod, bare)])
    return tuple(sorted(counted.items(), key=lambda one: (WORST_FIRST.index(one[0].tone), one[0].word)))


def _troubles(
    counts: Iterable[tuple[State, int]],
    applications: Iterable[ApplicationLine],
    nodes: NodeSummary,
    connections: Iterable[ConnectionLine],
) -> Iterable[str]:
    """What a person has to look at, in words for a title: "2 degraded", "1 service degraded", "1 node not ready"."""
    yield from (f"{count} {state.word.lower()}" for state, count in counts if state.tone in ("bad", "warn"))
    if refused := sum(bool(line.trouble) for line in applications):
        yield f"{refused} not synced"
    for kind, many in (("Service", "services"), ("Ingress", "ingresses")):
        if broken := sum(line.kind == kind and line.state.tone in ("bad", "warn") for line in connections):
            yield f"{broken} {kind.lower() if broken == 1 else many} degraded"
    if nodes.lost:
        yield f"{nodes.lost} {'node' if nodes.lost == 1 else 'nodes'} not ready"
    if nodes.stuck:
        yield f"{nodes.stuck} {'router' if nodes.stuck == 1 else 'routers'} not ready"


def _connections(network: Judged) -> list[ConnectionLine]:
    """Those that are not healthy, the worst first."""
    lines = [
        ConnectionLine(row.kind, row.namespace, row.name, state_of(health), sentence(health.message))
        for row, health in network
        if health.status != "Healthy"
    ]
    return sorted(lines, key=lambda one: (WORST_FIRST.index(one.state.tone), one.namespace, one.name, one.kind))


def _pending(seen: Q, now: float) -> list[PendingLine]:
    """Grouped by owner and sentence, the longest wait first."""
    rows = (
        Pod.objects.filter(seen, phase="Pending", deleted_at=None, orphaned=False)
        .order_by("created_at", "namespace", "name")
        .values_list("namespace", "name", "owner", "waiting", "message", "created_at", "node__name", "node__ready")
    )
    groups: dict[tuple[str, str, str], list[float]] = {}
    for namespace, name, owner, waiting, message, created_at, node, ready in rows[:PENDING]:
        said = _why_pending(waiting, message, node) if ready is not False else f"its node {node} does not answer"
        groups.setdefault((namespace, owner.partition("/")[2] or name, said), []).append(created_at)
    return [
        PendingLine(namespace, owner, len(times), said, Moment(min(times), now))
        for (namespace, owner, said), times in groups.items()
    ]


def _why_pending(waiting: str, message: str, node: str | None) -> str:
    if node is None:
        return sentence(message) or "the scheduler has not looked at it yet"
    said = sentence(": ".join(part for part in (waiting, message) if part))
    return f"on {node}: {said}" if said else f"it is being started on {node}"


def _alarms(nodes: NodeSummary, now: float) -> Iterable[str]:
    """Is what is shown still true? Loops that stand still look healthy, so it has to be said."""
    # 0 means "at once", and does not say since when: what polls and beats has times of its own.
    late = Work.objects.filter(due_at__gt=0, due_at__lt=now - OVERDUE_SECONDS, leased_until__lt=now)
    oldest = late.aggregate(Min("due_at"))["due_at__min"]
    if oldest is not None:
        waited = Moment(oldest, now).age
        yield f"Work has been due for {waited} and nobody does it: see whether the worker and beat processes run."
    if nodes.well and now - nodes.heard_at > SILENT_SECONDS:
        yield f"No heartbeat was written for {Moment(nodes.heard_at, now).age}: see whether the watch process runs."
