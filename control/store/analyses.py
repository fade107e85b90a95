"""Analyses of canaries as rows: begun and ended by a workload's pass, looked at by the loop `analyse` in between.

    begin(row, new, wake, now)      once by name, however often it is asked for
    runs_of(uid)                    what a workload's pass sees of them
    end(row, names, now, why)       a pass does not need them any more
    load -> a pass -> save          under the run's own lease, every interval until it has ended

`begin`, `runs_of` and `end` belong into the workload's own (fenced) transaction. Whoever comes first ends a run: what
has an end is never written again.

A pass saves in one order: it wakes the workload first, and takes no resource version (pages are told afterwards,
`tell_pages`). Writers that hold that counter wake keys, and `end` is called by who holds the workload's key already:
waiting for each other the other way round would be a deadlock.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import Count, Exists, OuterRef
from pydantic import TypeAdapter

from control.models import (
    NEVER,
    AnalysisRun,
    AnalysisTick,
    Deployment,
    Ingress,
    Pod,
    ReplicaSet,
    Router,
    Secret,
    Service,
    Work,
)
from control.models.measurements import Measurement
from control.store import objects, waking
from deployer.core.canary.analysing import Outcome, RunState, Scene, ending
from deployer.core.canary.counting import Sides
from deployer.core.canary.kept import dump_analysis, load_analysis, load_state
from deployer.core.canary.strategy import strategy_of
from deployer.core.canary.values import BACKGROUND, ENDED, CanaryState, NewRun, Prometheus, Run, RunPhase
from deployer.core.network.endpoints import mode
from deployer.core.network.measurements import BUCKETS, FINE_SECONDS, NO_BUCKETS
from deployer.core.network.splits import canary_backend
from deployer.core.objects.workload import ServiceSpec
from deployer.ports import ProviderError, Wake

LOOP = "analyse"
BEFORE_SECONDS = 1800.0
"""How far back the stable pods' latencies say what is usual."""
MOST_TICKS = 360
"""Of one metric: an hour of ten-second looks. Of a longer analysis a tick stands for several."""
_COLUMNS = ("name", "template_hash", "attempt", "step", "phase", "message")
_STATES = TypeAdapter(RunState)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A run that has not ended. `nodes`: uid -> name of those whose routers count. `over`: why nobody waits for it
    any more, "" while somebody does."""

    row: AnalysisRun
    scene: Scene
    nodes: Mapping[str, str]
    over: str = ""


def begin(row: Deployment, new: NewRun, wake: Wake, now: float) -> None:
    """A run of this name that is there already is left as it is, ended or not."""
    made, is_new = AnalysisRun.objects.get_or_create(
        deployment=row, name=new.name,
        defaults={
            "template_hash": new.template_hash, "attempt": new.attempt, "step": new.step,
            "spec": dump_analysis(new.analysis), "started_at": now,
        },
    )  # fmt: skip
    if is_new:
        wake(LOOP, made.uid)


def end(row: Deployment, names: Iterable[str], now: float, why: str, phase: RunPhase = "Inconclusive") -> None:
    """Stop runs that nobody waits for any more; those that have ended keep what they found.

    `why` is a sentence. `phase`: what became of them; "Inconclusive" when it was stopped before it could say,
    "Successful" for one beside the steps that came to their end, which is believed only if it has measured anything.
    """
    for run in (
        AnalysisRun.objects.filter(deployment=row, name__in=list(names)).exclude(phase__in=ENDED).order_by("uid")
    ):
        found, said = phase, why
        if phase == "Successful":
            found, seen = ending(load_analysis(run.spec), _state(run), now)
            said = f"{why}: {seen}"
        running = AnalysisRun.objects.filter(pk=run.pk).exclude(phase__in=ENDED)
        running.update(phase=found, message=said, finished_at=now)


def runs_of(deployment: str) -> tuple[Run, ...]:
    """All of them, the oldest first. One query."""
    rows = AnalysisRun.objects.filter(deployment=deployment).order_by("started_at", "step", "uid")
    return tuple(Run(*columns) for columns in rows.values_list(*_COLUMNS))


def runs_of_all() -> dict[str, tuple[Run, ...]]:
    """The same of every workload that has any, for the safety net. One query."""
    found: dict[str, list[Run]] = {}
    rows = AnalysisRun.objects.order_by("started_at", "step", "uid")
    for deployment, *columns in rows.values_list("deployment", *_COLUMNS):
        found.setdefault(deployment, []).append(Run(*columns))
    return {deployment: tuple(runs) for deployment, runs in found.items()}


def load(uid: str) -> Loaded | None:
    """None for a run that has ended or is gone."""
    row = AnalysisRun.objects.select_related("deployment").filter(pk=uid).first()
    if row is None or row.phase in ENDED:
        return None
    canary = load_state(row.deployment.canary)
    sides, labels = _pods(row, canary)
    services = _services(row.deployment.namespace, labels)
    state = _state(row)
    scene = Scene(
        analysis=load_analysis(row.spec), state=state, sides=sides, backends=_backends(services, row.deployment),
        before=_before(row, services, sides) if not state.looked_at else NO_BUCKETS,
        background=row.step == BACKGROUND,
    )  # fmt: skip
    counting = Router.objects.filter(applied_at__gt=0, node__ready=True).order_by("node__name")
    return Loaded(row, scene, dict(counting.values_list("node_id", "node__name")), _over(row, canary))


def save(loaded: Loaded, outcome: Outcome, wake: Wake, now: float) -> None:
    """To be called in a fenced transaction. Of a run that was ended meanwhile nothing is written."""
    row, ended = loaded.row, outcome.phase in ENDED
    if ended:
        wake("reconcile", str(row.deployment_id))
    running = AnalysisRun.objects.filter(pk=row.pk).exclude(phase__in=ENDED)
    if not running.update(
        state=_STATES.dump_python(outcome.state, mode="json"), phase=outcome.phase, message=outcome.message,
        finished_at=now if ended else 0,
    ):  # fmt: skip
        return
    ticks = [AnalysisTick(run_id=row.pk, **asdict(tick)) for tick in outcome.ticks]
    AnalysisTick.objects.bulk_create(ticks, ignore_conflicts=True)


def stop(loaded: Loaded, now: float) -> None:
    """Nobody waits for it any more. To be called in a fenced transaction."""
    end(loaded.row.deployment, [loaded.row.name], now, loaded.over)


def tell_pages(loaded: Loaded, *, ended: bool) -> None:
    """Of every look those that show the run, of its end those that show the workload as well."""
    of = loaded.row.deployment
    objects.touch("AnalysisRun", of.namespace, loaded.row.name)
    if ended:
        objects.touch(of.kind, of.namespace, of.name)


def unwoken() -> list[str]:
    """For the safety net: runs that have not ended and that nobody would look at."""
    running = AnalysisRun.objects.exclude(phase__in=ENDED).order_by("started_at", "uid")
    awake = set(Work.objects.filter(loop=LOOP, due_at__lt=NEVER).values_list("key", flat=True))
    return [uid for uid in running.values_list("uid", flat=True) if uid not in awake]


def secrets(loaded: Loaded, asked: Prometheus) -> dict[str, str]:
    """Header -> what it says. Read now, and kept nowhere. Raises ProviderError, which names no value."""
    namespace, prefixes = loaded.row.deployment.namespace, dict(asked.secret_prefixes)
    wanted = {name for _, name, _ in asked.secret_headers}
    rows = Secret.objects.filter(namespace=namespace, name__in=wanted, deleted_at=None) if wanted else ()
    values = {row.name: row.sealed.load() for row in rows}
    found = {}
    for header, name, key in asked.secret_headers:
        if key not in values.get(name, {}):
            what = f"has no key {key}" if name in values else "does not exist"
            raise ProviderError("SecretMissing", f"Secret {namespace}/{name} {what}, which header {header} is to hold")
        try:
            found[header] = prefixes.get(header, "") + base64.b64decode(values[name][key]).decode().strip()
        except ValueError:
            said = f"Secret {namespace}/{name}: the value of {key} is no text, so that no header can hold it"
            raise ProviderError("SecretUnusable", said) from None
    return found


def _state(row: AnalysisRun) -> RunState:
    return _STATES.validate_python(row.state) if row.state else RunState()


def forget_the_past() -> None:
    """Runs of revisions that are forgotten go with their ticks; of very many ticks some stand for several.

    May be repeated. One short transaction for each run.
    """
    kept = ReplicaSet.objects.filter(deployment=OuterRef("deployment"), template_hash=OuterRef("template_hash"))
    AnalysisRun.objects.filter(~Exists(kept), phase__in=ENDED).delete()
    counted = AnalysisTick.objects.order_by().values("run", "metric").annotate(ticks=Count("pk"))
    for run, metric, ticks in counted.filter(ticks__gt=MOST_TICKS).values_list("run", "metric", "ticks"):
        with transaction.atomic():
            _thin(run, metric, -(-ticks // MOST_TICKS))
    running = AnalysisRun.objects.exclude(phase__in=ENDED).values("uid")
    Work.objects.filter(loop=LOOP, due_at__gte=NEVER, leased_until=0).exclude(key__in=running).delete()


def _thin(run: str, metric: str, together: int) -> None:
    """Of so many in a row the last one stays, with the counts of all."""
    names = ("canary_requests", "canary_failures", "stable_requests", "stable_failures")
    rows = list(AnalysisTick.objects.filter(run=run, metric=metric).order_by("at").values_list("pk", *names))
    gone: list[int] = []
    for start in range(0, len(rows), together):
        group = rows[start : start + together]
        sums = dict(zip(names, (sum(column) for column in zip(*(one[1:] for one in group), strict=True)), strict=True))
        AnalysisTick.objects.filter(pk=group[-1][0]).update(**sums)
        gone += [one[0] for one in group[:-1]]
    for start in range(0, len(gone), 500):
        AnalysisTick.objects.filter(pk__in=gone[start : start + 500]).delete()


def _over(row: AnalysisRun, canary: CanaryState) -> str:
    if row.deployment.deleted_at is not None:
        return f"stopped: {row.deployment.kind} {row.deployment.name} was deleted"
    if (canary.template_hash, canary.attempt) != (row.template_hash, row.attempt):
        return "stopped: another canary has taken its place"
    return "" if canary.is_under_way else "stopped: the canary is over"


def _pods(row: AnalysisRun, canary: CanaryState) -> tuple[Sides, list[Mapping[str, str]]]:
    """Who is who, deleted ones that still answer among them, and the labels that there are."""
    columns = ("namespace", "name", "template_hash", "revision", "labels")
    names: dict[str, set[str]] = {row.template_hash: set(), canary.stable_hash: set()}
    revisions: dict[str, set[int]] = {row.template_hash: set(), canary.stable_hash: set()}
    labels: list[Mapping[str, str]] = []
    for namespace, name, of, revision, found in Pod.objects.filter(
        replica_set__deployment=row.deployment_id, template_hash__in=list(names)
    ).values_list(*columns):
        names[of].add(f"{namespace}.{name}")
        revisions[of].add(revision)
        labels += [found] if found not in labels else []
    mine, theirs = row.template_hash, canary.stable_hash
    sides = Sides(
        canary=frozenset(names[mine]), stable=frozenset(names[theirs]),
        canary_revisions=frozenset(revisions[mine]), stable_revisions=frozenset(revisions[theirs]),
    )  # fmt: skip
    return sides, labels


def _services(namespace: str, labels: Iterable[Mapping[str, str]]) -> dict[str, ServiceSpec]:
    """Those that select any of the workload's pods."""
    found = {}
    for name, spec in Service.objects.filter(namespace=namespace, deleted_at=None).values_list("name", "spec"):
        wanted = waking.selector(spec).items()
        if wanted and any(wanted <= dict(one).items() for one in labels):
            found[f"{namespace}.{name}"] = ServiceSpec.model_validate(spec)
    return found


def _backends(services: Mapping[str, ServiceSpec], workload: Deployment) -> frozenset[str]:
    """As routers may name them. What comes by Ingress to a port that is carried as tcp has one of its own, and so has
    what comes to stable pods by an Ingress that is split."""
    split = f"{workload.namespace}.{_split_by_ingress(workload)}"
    names = [(f"{where}.{port.port}", mode(port), where) for where, spec in services.items() for port in spec.ports]
    found = {f"svc.{name}" for name, _, _ in names}
    others = {f"ingress.{name}" for name, kind, where in names if kind == "tcp" or where == split}
    if others and Ingress.objects.filter(deleted_at=None).exists():
        found |= others
    return frozenset({*found, *map(canary_backend, found)})


def _split_by_ingress(workload: Deployment) -> str:
    """The stable Service that is split for some Ingresses, "" when there is none."""
    strategy = strategy_of(workload.kind, workload.spec, workload.annotations, {})
    return strategy.stable_service if strategy is not None and strategy.ingresses else ""


def _before(row: AnalysisRun, services: Collection[str], sides: Sides) -> tuple[int, ...]:
    """What the stable pods answered in the last half hour before the analysis, by latency."""
    rows = Measurement.objects.filter(
        resolution=FINE_SECONDS, namespace=row.deployment.namespace, revision__in=sides.stable_revisions,
        service__in=[name.partition(".")[2] for name in services],
        at__gte=row.started_at - BEFORE_SECONDS, at__lt=row.started_at,
    )  # fmt: skip
    found = [0] * BUCKETS
    for buckets in rows.values_list("buckets", flat=True):
        found = [before + more for before, more in zip(found, buckets, strict=True)]
    return tuple(found)
