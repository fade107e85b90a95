"""The first page: what runs, from which commit, is it healthy, what failed.

Made from the database alone: a host that is dead or slow never slows it. The number of queries is the same however
many objects there are; lists are cut at SHOWN rows, the worst first, and say how many more there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Min, OuterRef, Subquery

from control.models import Application, Event, Pod, Repository, Sync, Work
from control.selectors.health import Judged, application_health, network_health
from control.selectors.overview_nodes import NodeLine, node_lines
from control.selectors.overview_workloads import WorkloadLine, workload_lines
from control.selectors.syncs import error_lines
from control.selectors.words import WORST_FIRST, Moment, State, commit, sentence, state_of, subject
from deployer.core.health import Health

SHOWN = 200
SYNCS, EVENTS, ERRORS, PENDING = 10, 20, 5, 500
OVERDUE_SECONDS = 30.0
SILENT_SECONDS = 45.0  # a heartbeat is written every 10 s
_SYNC: dict[str, State] = {
    "Synced": State("Synced", "good"),
    "OutOfSync": State("OutOfSync", "warn"),
    "Unknown": State("Unknown", "idle"),
}
_ATTEMPT: dict[str, State] = {
    Sync.RUNNING: State("Running", "busy"),
    Sync.SUCCEEDED: State("Succeeded", "good"),
    Sync.FAILED: State("Failed", "bad"),
}


@dataclass(frozen=True, slots=True)
class ApplicationLine:
    """`trouble`: why Git says something else than what is applied, "" when nothing is wrong. `pin`: the banner."""

    name: str
    repository: str
    path: str
    namespace: str
    automatic: bool
    sync: State
    health: State
    cause: str
    commit: str
    subject: str
    applied: Moment
    trouble: str
    pin: str


@dataclass(frozen=True, slots=True)
class SyncLine:
    """One attempt. `errors`: lines that begin with file:line; `more` are not shown."""

    number: int
    application: str
    state: State
    commit: str
    subject: str
    author: str
    who: str
    changes: int
    message: str
    errors: tuple[str, ...]
    more: int
    started: Moment
    timeline: str


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
class EventLine:
    number: int
    state: State
    reason: str
    object: str
    message: str
    count: int
    last: Moment


@dataclass(frozen=True, slots=True)
class Overview:
    """`alarms`: sentences about Pierhead itself. `steps`: which of (host, repository, application) are done."""

    workloads: tuple[WorkloadLine, ...]
    applications: tuple[ApplicationLine, ...]
    nodes: tuple[NodeLine, ...]
    pending: tuple[PendingLine, ...]
    connections: tuple[ConnectionLine, ...]
    syncs: tuple[SyncLine, ...]
    events: tuple[EventLine, ...]
    alarms: tuple[str, ...]
    more_workloads: int
    more_applications: int
    counts: tuple[tuple[State, int], ...]
    troubles: tuple[str, ...]
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


def overview(now: float) -> Overview:
    """`now`: seconds since the epoch."""
    workloads, nodes, network = workload_lines(now), node_lines(now), network_health()
    applications, pending, counts = _applications(network, now), _pending(now), _counts(workloads)
    connections = _connections(network)
    return Overview(
        workloads=tuple(workloads[:SHOWN]),
        applications=tuple(applications[:SHOWN]),
        nodes=tuple(nodes),
        pending=tuple(pending),
        connections=tuple(connections[:SHOWN]),
        syncs=tuple(_syncs(now)),
        events=tuple(_events(now)),
        alarms=tuple(_alarms(nodes, now)),
        more_workloads=max(len(workloads) - SHOWN, 0),
        more_applications=max(len(applications) - SHOWN, 0),
        counts=counts,
        troubles=tuple(_troubles(counts, applications, nodes, connections)),
        has_repository=bool(applications) or Repository.objects.exists(),
    )


def _counts(workloads: Iterable[WorkloadLine]) -> tuple[tuple[State, int], ...]:
    counted = Counter(line.state for line in workloads)
    return tuple(sorted(counted.items(), key=lambda one: (WORST_FIRST.index(one[0].tone), one[0].word)))


def _troubles(
    counts: Iterable[tuple[State, int]],
    applications: Iterable[ApplicationLine],
    nodes: Sequence[NodeLine],
    connections: Iterable[ConnectionLine],
) -> Iterable[str]:
    """What a person has to look at, in words for a title: "2 degraded", "1 service degraded", "1 node not ready"."""
    yield from (f"{count} {state.word.lower()}" for state, count in counts if state.tone in ("bad", "warn"))
    if refused := sum(bool(line.trouble) for line in applications):
        yield f"{refused} not synced"
    for kind, many in (("Service", "services"), ("Ingress", "ingresses")):
        if broken := sum(line.kind == kind and line.state.tone in ("bad", "warn") for line in connections):
            yield f"{broken} {kind.lower() if broken == 1 else many} degraded"
    if lost := sum(line.state.tone == "bad" for line in nodes):
        yield f"{lost} {'node' if lost == 1 else 'nodes'} not ready"
    if stuck := sum(bool(line.router) for line in nodes):
        yield f"{stuck} {'router' if stuck == 1 else 'routers'} not ready"


def _connections(network: Judged) -> list[ConnectionLine]:
    """Those that are not healthy, the worst first."""
    lines = [
        ConnectionLine(row.kind, row.namespace, row.name, state_of(health), sentence(health.message))
        for row, health in network
        if health.status != "Healthy"
    ]
    return sorted(lines, key=lambda one: (WORST_FIRST.index(one.state.tone), one.namespace, one.name, one.kind))


def _applications(network: Judged, now: float) -> list[ApplicationLine]:
    attempts = Sync.objects.filter(application=OuterRef("pk")).order_by("-id").values("pk")
    applied = attempts.filter(commit=OuterRef("commit"), phase=Sync.SUCCEEDED)
    rows = list(
        Application.objects.filter(deleted_at=None)
        .select_related("repository")
        .annotate(last=Subquery(attempts[:1]), current=Subquery(applied[:1]))
    )
    wanted = {pk for row in rows for pk in (row.last, row.current) if pk}
    syncs = Sync.objects.defer("changes", "errors").in_bulk(wanted)
    health = application_health(rows, network)
    lines = [_application(row, syncs.get(row.last), syncs.get(row.current), health[row.uid], now) for row in rows]
    return sorted(lines, key=_worst_first)


def _worst_first(line: ApplicationLine) -> tuple[int, int, int, str]:
    return (not line.trouble, WORST_FIRST.index(line.health.tone), WORST_FIRST.index(line.sync.tone), line.name)


def _application(
    row: Application, last: Sync | None, current: Sync | None, health: Health, now: float
) -> ApplicationLine:
    running = last is not None and last.phase == Sync.RUNNING
    sync = State("Syncing", "busy") if running else _SYNC.get(row.sync_status, _SYNC["Unknown"])
    return ApplicationLine(
        name=row.name,
        repository=row.repository.name,
        path=row.path,
        namespace=row.namespace,
        automatic=row.automatic,
        sync=sync,
        health=state_of(health),
        cause=sentence(health.message),
        commit=commit(row.commit),
        subject=subject(current.commit_message) if current else "",
        applied=Moment(row.applied_at, now),
        trouble=_trouble(row, last),
        pin=_pin(row),
    )


def _trouble(row: Application, last: Sync | None) -> str:
    """What Git says is not what is applied, because ..."""
    repository = row.repository
    if repository.failures:
        tries = "once" if repository.failures == 1 else f"{repository.failures} times in a row"
        return sentence(f"Git could not be read, {tries}: {repository.message}")
    if last is not None and last.phase == Sync.FAILED:
        return sentence(row.message or last.message)
    return "" if row.sync_status == "Synced" else sentence(row.message)


def _pin(row: Application) -> str:
    if not row.pin:
        return ""
    skipped = commit(str(row.pin.get("skipped_commit", "")))
    return sentence(
        f"pinned to {commit(str(row.pin.get('commit', '')))}, Git is at {skipped}: {row.pin.get('reason', '')}. "
        "Resume, or push the revert"
    )


def _syncs(now: float) -> Iterable[SyncLine]:
    for row in Sync.objects.select_related("application")[:SYNCS]:
        errors = [sentence(line) for line in error_lines(row)]
        yield SyncLine(
            number=row.pk,
            application=row.application.name,
            state=_ATTEMPT.get(row.phase, State(row.phase, "idle")),
            commit=commit(row.commit),
            subject=subject(row.commit_message),
            author=sentence(row.commit_author),
            who=sentence(" by ".join(part for part in (row.trigger, row.actor) if part)),
            changes=len(row.changes),
            message=sentence(row.message) if row.phase == Sync.FAILED and not errors else "",
            errors=tuple(errors[:ERRORS]),
            more=max(len(errors) - ERRORS, 0),
            started=Moment(row.started_at, now),
            timeline=_timeline(row),
        )


def _timeline(row: Sync) -> str:
    """ "applied in 0.4 s, healthy after 9.1 s": counted from the start of the attempt."""
    if row.phase != Sync.SUCCEEDED or not row.finished_at:
        return ""
    said = f"applied in {row.finished_at - row.started_at:.1f} s"
    return f"{said}, healthy after {row.healthy_at - row.started_at:.1f} s" if row.healthy_at else said


def _pending(now: float) -> list[PendingLine]:
    """Grouped by owner and sentence, the longest wait first."""
    rows = (
        Pod.objects.filter(phase="Pending", deleted_at=None, orphaned=False)
        .order_by("created_at", "namespace", "name")
        .values_list("namespace", "name", "owner", "waiting", "message", "created_at", "node__name", "node__ready")
    )
    groups: dict[tuple[str, str, str], list[float]] = {}
    for namespace, name, owner, waiting, message, created_at, node, seen in rows[:PENDING]:
        said = _why_pending(waiting, message, node) if seen is not False else f"its node {node} does not answer"
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


def _events(now: float) -> Iterable[EventLine]:
    for row in Event.objects.all()[:EVENTS]:
        place = f"{row.namespace}/{row.name}" if row.namespace else row.name
        yield EventLine(
            number=row.pk,
            state=State("Warning", "warn") if row.type == "Warning" else State("Normal", "idle"),
            reason=sentence(row.reason),
            object=f"{row.kind} {place}",
            message=sentence(row.message),
            count=row.count,
            last=Moment(row.last_at, now),
        )


def _alarms(nodes: Sequence[NodeLine], now: float) -> Iterable[str]:
    """Is what is shown still true? Loops that stand still look healthy, so it has to be said."""
    late = Work.objects.filter(due_at__lt=now - OVERDUE_SECONDS, leased_until__lt=now).aggregate(Min("due_at"))
    if late["due_at__min"] is not None:
        waited = Moment(late["due_at__min"], now).age
        yield f"Work has been due for {waited} and nobody does it: see whether the worker and beat processes run."
    heard = max((line.heard.at for line in nodes), default=now)
    if any(line.state.tone == "good" for line in nodes) and now - heard > SILENT_SECONDS:
        yield f"No heartbeat was written for {Moment(heard, now).age}: see whether the watch process runs."
