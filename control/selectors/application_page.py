"""One application: what it holds, how each part is, and what stands between Git and what runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, Value

from control import models
from control.models import Application, Pod, Repository, Sync
from control.selectors.applications import ApplicationLine, application_lines
from control.selectors.attempts import AttemptLine, attempt_line
from control.selectors.canary_lines import CanaryLine, lines_under_way
from control.selectors.deployment_facts import Facts, facts
from control.selectors.health import Judged, application_health, bare_pods, health_of_pod, network_health
from control.selectors.held import held_lines
from control.selectors.pod_lines import PodLine, pod_lines
from control.selectors.rendered import way_of_application
from control.selectors.spans import HELD
from control.selectors.words import Moment, State, commit, sentence, state_of
from deployer.core.health import Health

ATTEMPTS = 20
PODS = 30
"""Of one workload; the rest is counted, and its own page lists them."""
_PRESENT = State("Present", "good")
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Resource:
    """One object that the application's commit asks for. `pods`: of a workload, the worst first; `canary`: while there
    is one."""

    kind: str
    namespace: str
    name: str
    state: State
    message: str
    file: str
    pods: tuple[PodLine, ...] = ()
    more: int = 0
    canary: CanaryLine | None = None

    @property
    def key(self) -> str:
        return f"{self.kind.lower()}-{self.namespace}-{self.name}"


@dataclass(frozen=True, slots=True)
class RepositoryWords:
    """`seen`: when Git was last asked; `trouble`: why it could not be, and `failing` since when."""

    name: str
    url: str
    ref: str
    head: str
    seen: Moment
    trouble: str
    failing: Moment


@dataclass(frozen=True, slots=True)
class ApplicationPage:
    """`behind`: the commit that Git is at, when that is not the one that is applied. `warnings`: about that one.
    `heals`: what is changed live is put back; else `drift` says what was. `held`: what somebody decided, and is left.

    `rendered`: there are manifests to look at; `way`: what makes them, "" for plain files; `values`: of a chart.
    """

    line: ApplicationLine
    repository: RepositoryWords
    behind: str
    prune: bool
    heals: bool
    drift: tuple[str, ...]
    held: tuple[str, ...]
    asked: str
    resources: tuple[Resource, ...]
    attempts: tuple[AttemptLine, ...]
    older: int
    applied: frozenset[str]
    rendered: bool
    way: str
    values: tuple[str, ...]
    warnings: int


def application_page(name: str, now: float, before: int = 0) -> ApplicationPage | None:
    """None when there is none. `before`: attempts older than this number are listed; 0 for the newest."""
    row = Application.objects.select_related("repository").filter(name=name, deleted_at=None).first()
    if row is None:
        return None
    of = Q(application=row)
    everything, bare, network = list(facts(of)), list(bare_pods(of)), network_health(of)
    (line,) = application_lines(now, health=application_health([row], network, everything, bare), names=[name])
    attempts, older = _attempts(row, now, before)
    behind = row.repository.head if row.repository.head not in ("", row.commit) else ""
    applied = Sync.objects.filter(application=row, phase=Sync.SUCCEEDED).exclude(commit="").order_by()
    way = way_of_application(row)
    return ApplicationPage(
        line=line,
        repository=_repository(row.repository, now),
        behind=commit(behind),
        prune=row.prune,
        heals=row.automatic and row.self_heal,
        drift=tuple(sentence(line) for line in row.drift.splitlines()),
        held=held_lines(row),
        asked=_asked(row),
        resources=tuple(_resources(row, _health(everything, bare, network), now)),
        attempts=tuple(attempts),
        older=older,
        applied=frozenset(applied.values_list("commit", flat=True).distinct()) - {row.commit},
        rendered=way is not None,
        way=way or "",
        values=tuple(row.values),
        warnings=_warnings(row),
    )


def _asked(row: Application) -> str:
    """What somebody asked for that nobody has answered yet: "rollback by ann"."""
    return sentence(" by ".join(str(row.request[key]) for key in ("trigger", "by") if row.request.get(key)))


def _warnings(row: Application) -> int:
    """How many there were when the commit that runs was applied."""
    done = Sync.objects.filter(application=row, phase=Sync.SUCCEEDED, commit=row.commit)
    return len(done.values_list("warnings", flat=True).first() or ())


def _attempts(row: Application, now: float, before: int) -> tuple[list[AttemptLine], int]:
    """The lines, and the number from which the next page goes on (0: there is none)."""
    asked = Sync.objects.filter(application=row).select_related("application")
    if before:
        asked = asked.filter(pk__lt=before)
    found = list(asked[: ATTEMPTS + 1])
    older = found[ATTEMPTS - 1].pk if len(found) > ATTEMPTS else 0
    return [attempt_line(one, now) for one in found[:ATTEMPTS]], older


def _repository(row: Repository, now: float) -> RepositoryWords:
    return RepositoryWords(
        name=row.name,
        url=shown_url(row.url),
        ref=row.ref,
        head=commit(row.head),
        seen=Moment(row.polled_at, now),
        trouble=sentence(row.message) if row.failures else "",
        failing=Moment(row.failing_since, now),
    )


def shown_url(url: str) -> str:
    """Without what may stand before the host: people put tokens there."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else url


def _resources(row: Application, health: Mapping[Key, Health], now: float) -> Iterable[Resource]:
    pods, canaries = (
        _pods(row, now),
        {(one.namespace, one.name): one for one in lines_under_way(now, Q(application=row))},
    )
    rows: list[Any] = [_of(row, kind) for kind in HELD]
    found = rows[0].union(*rows[1:], all=True)  # one query for all kinds
    ordered = sorted(found, key=lambda one: (HELD.index(_of_table(one[0])), *one[1:3]))
    for kind, namespace, name, uid, file, deleted_at in ordered:
        its, judged = pods.get(uid, []), health.get((_of_table(kind), namespace, name))
        state = state_of(judged) if judged else _PRESENT
        yield Resource(
            kind=kind,
            namespace=namespace,
            name=name,
            state=state if deleted_at is None else State("Terminating", "idle"),
            message=sentence(judged.message) if judged and state.tone != "good" else "",
            file=file,
            pods=tuple(its[:PODS]),
            more=max(len(its) - PODS, 0),
            canary=canaries.get((namespace, name)) if _of_table(kind) == "Deployment" else None,
        )


def _of_table(kind: str) -> str:
    """A Rollout is a row of the Deployments."""
    return "Deployment" if kind == "Rollout" else kind


def _of(row: Application, kind: str) -> Any:
    rows = getattr(models, kind)._default_manager.filter(application=row).order_by()
    if kind == "Pod":
        rows = rows.filter(replica_set=None)
    columns = ("namespace", "name", "uid", "source_file", "deleted_at")
    word = F("workload") if kind == "Deployment" else Value(kind)
    return rows.annotate(of_kind=word).values_list("of_kind", *columns)


def _health(everything: Iterable[Facts], bare: Iterable[Pod], network: Judged) -> dict[Key, Health]:
    found: dict[Key, Health] = {("Deployment", one.namespace, one.name): one.health for one in everything}
    found.update((pod.key, health_of_pod(pod)) for pod in bare)
    found.update((one.key, health) for one, health in network)
    return found


def _pods(row: Application, now: float) -> dict[str, list[PodLine]]:
    """Deployment uid -> its pods."""
    owned = Pod.objects.filter(replica_set__deployment__application=row).select_related("node", "replica_set")
    found: dict[str, list[Pod]] = defaultdict(list)
    for pod in owned.defer("spec", "annotations", "placement"):
        assert pod.replica_set is not None
        found[pod.replica_set.deployment_id].append(pod)
    return {uid: pod_lines(pods, now) for uid, pods in found.items()}
