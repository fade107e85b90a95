"""The columns of `get`, kind by kind: kubectl's, and behind `-o wide` what only Pierhead can tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Count

from control.management import network_columns, rollout_columns
from control.management.network_columns import Cells, Lines
from control.management.output import NOTHING, age, size
from control.models import (
    Application,
    Deployment,
    Namespace,
    Node,
    Pod,
    PodDisruptionBudget,
    ReplicaSet,
    Repository,
    Sync,
)
from control.models.budgets import budgets
from control.selectors import health, kubernetes_nodes, rollouts
from control.selectors.kinds import Kind
from control.selectors.kubernetes_records import sync_name
from control.selectors.kubernetes_workloads import templates_of
from control.selectors.metadata import application_names
from control.selectors.pods import counts_by_set, needs_spec, pod_words
from control.selectors.service_problems import selector_text
from deployer.core.objects.quantity import format_cpu

SHORT_COMMIT = 7


def lines(kind: Kind, rows: Sequence[Any], now: float, *, wide: bool = False) -> tuple[list[str], list[Cells]]:
    """Header and cells of a table without the namespace, which `get -A` puts before them."""
    header, more, found = COLUMNS[kind.name](rows, now)
    if wide:
        return [*header, *more], [[*cells, *further] for cells, further in found]
    return list(header), [cells for cells, _ in found]


def pods(rows: Sequence[Pod], now: float) -> Lines:
    templates = templates_of([row for row in rows if row.replica_set_id and needs_spec(row)])
    header = ("NAME", "READY", "STATUS", "RESTARTS", "AGE")
    return header, ("IP", "NODE", "REVISION", "COMMIT"), [_pod(row, templates, now) for row in rows]


def deployments(rows: Sequence[Deployment], now: float) -> Lines:
    header = ("NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE")
    return header, ("CONTAINERS", "IMAGES", "SELECTOR", "COMMIT", "PIN"), [_deployment(row, now) for row in rows]


def replica_sets(rows: Sequence[ReplicaSet], now: float) -> Lines:
    owners = Deployment.objects.in_bulk({row.deployment_id for row in rows})
    counts = counts_by_set(rows, owners, now)
    found: list[tuple[Cells, Cells]] = []
    for row in rows:
        mine, images = counts[row.uid], ",".join(rollouts.set_images(row))
        found.append(
            (
                [row.name, row.replicas, mine.present, mine.ready, age(now - row.created_at)],
                [images, row.revision, short(row.commit), rollouts.revision_state(row)],
            )
        )
    return ("NAME", "DESIRED", "CURRENT", "READY", "AGE"), ("IMAGES", "REVISION", "COMMIT", "STATE"), found


def config_maps(rows: Sequence[Any], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [
                row.name,
                len({**(row.spec.get("data") or {}), **(row.spec.get("binaryData") or {})}),
                age(now - row.created_at),
            ],
            [short(row.commit)],
        )
        for row in rows
    ]
    return ("NAME", "DATA", "AGE"), ("COMMIT",), found


def secrets(rows: Sequence[Any], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [row.name, row.spec.get("type", "Opaque"), len(row.spec.get("keys", ())), age(now - row.created_at)],
            [short(row.commit)],
        )
        for row in rows
    ]
    return ("NAME", "TYPE", "DATA", "AGE"), ("COMMIT",), found


def events(rows: Sequence[Any], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [age(now - row.last_at), row.type, row.reason, f"{row.kind.lower()}/{row.name}", row.message],
            [row.node, row.count, age(now - row.first_at)],
        )
        for row in rows
    ]
    return ("LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"), ("NODE", "COUNT", "FIRST SEEN"), found


def namespaces(rows: Sequence[Namespace], now: float) -> Lines:
    names = application_names(rows)
    found: list[tuple[Cells, Cells]] = [
        (
            [row.name, "Terminating" if row.deleted_at else "Active", age(now - row.created_at)],
            [",".join(row.allowances), names.get(row.application_id or "", "")],
        )
        for row in rows
    ]
    return ("NAME", "STATUS", "AGE"), ("ALLOWED", "APPLICATION"), found


def nodes(rows: Sequence[Node], now: float) -> Lines:
    counts = dict(Pod.objects.filter(node__in=rows).values_list("node").annotate(Count("uid")))
    header = ("NAME", "STATUS", "AGE", "ENGINE", "CPU", "MEMORY", "PODS")
    more = ("ADDRESS", "OS-IMAGE", "ARCHITECTURE", "ROUTER", "MESSAGE")
    return header, more, [_node(row, counts.get(row.uid, 0), now) for row in rows]


def applications(rows: Sequence[Application], now: float) -> Lines:
    found = health.application_health(rows)
    header = ("NAME", "SYNC", "HEALTH", "COMMIT", "PIN", "AGE")
    made: list[tuple[Cells, Cells]] = [
        (
            [
                row.name, row.sync_status, found[row.uid].status, short(row.commit),
                short(row.pin.get("commit", "")), age(now - row.created_at),
            ],
            [row.repository.name, row.path, row.namespace, found[row.uid].message, row.message],
        )
        for row in rows
    ]  # fmt: skip
    return header, ("REPOSITORY", "PATH", "NAMESPACE", "CAUSE", "MESSAGE"), made


def repositories(rows: Sequence[Repository], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [
                row.name, row.url, row.ref, short(row.head), "Failing" if row.failures else "Ready",
                f"{age(now - row.polled_at)} ago" if row.polled_at else NOTHING, age(now - row.created_at),
            ],
            [f"{row.poll_seconds:g}s", row.failures, row.message],
        )
        for row in rows
    ]  # fmt: skip
    return ("NAME", "URL", "REF", "HEAD", "STATUS", "POLLED", "AGE"), ("POLL", "FAILURES", "MESSAGE"), found


def syncs(rows: Sequence[Sync], now: float) -> Lines:
    found: list[tuple[Cells, Cells]] = [
        (
            [
                sync_name(row), row.application.name, short(row.commit), row.phase, row.trigger, row.actor,
                len(row.changes), age(now - row.started_at),
            ],
            [row.message],
        )
        for row in rows
    ]  # fmt: skip
    return ("NAME", "APPLICATION", "COMMIT", "PHASE", "TRIGGER", "BY", "CHANGES", "AGE"), ("MESSAGE",), found


def short(commit: str) -> str:
    return commit[:SHORT_COMMIT]


def _pod(row: Pod, templates: dict[str, dict[str, Any]], now: float) -> tuple[Cells, Cells]:
    template = templates.get(row.replica_set_id or "", {})
    words = pod_words(row, template.get("spec") or row.spec)
    restarts = str(words.restarts)
    if words.restarts and words.restarted_at:
        restarts += f" ({age(now - words.restarted_at)} ago)"
    return [row.name, f"{words.ready}/{words.total}", words.status, restarts, age(now - row.created_at)], [
        row.status.get("podIP", ""), row.node.name if row.node else "", row.revision or "", short(row.commit),
    ]  # fmt: skip


def _deployment(row: Deployment, now: float) -> tuple[Cells, Cells]:
    status = row.status
    containers = ((row.spec.get("template") or {}).get("spec") or {}).get("containers") or ()
    ready = f"{status.get('readyReplicas', 0)}/{row.replicas}"
    cells: Cells = [row.name, ready, status.get("updatedReplicas", 0), status.get("availableReplicas", 0)]
    return [*cells, age(now - row.created_at)], [
        ",".join(one["name"] for one in containers),
        ",".join(one["image"] for one in containers),
        selector_text((row.spec.get("selector") or {}).get("matchLabels") or {}),
        short(row.commit),
        f"revision {row.pin['revision']}" if row.pin else "",
    ]


def _node(row: Node, count: int, now: float) -> tuple[Cells, Cells]:
    return [
        row.name, kubernetes_nodes.node_state(row), age(now - row.created_at), kubernetes_nodes.engine(row),
        format_cpu(row.cpu_millicores), size(row.memory_bytes), count,
    ], [
        row.address, row.operating_system, row.architecture, kubernetes_nodes.router_state(row), _trouble(row),
    ]  # fmt: skip


def _trouble(row: Node) -> str:
    """Of the node, else of its router."""
    if not row.ready:
        return row.message
    router = kubernetes_nodes.router_of(row)
    return router.message if router is not None and not router.ready else ""


def disruption_budgets(rows: Sequence[PodDisruptionBudget], now: float) -> Lines:
    header = ("NAME", "MIN AVAILABLE", "MAX UNAVAILABLE", "ALLOWED DISRUPTIONS", "AGE")
    found: list[tuple[Cells, Cells]] = [
        (
            [row.name, *(_limit(row.spec.get(name)) for name in ("minAvailable", "maxUnavailable")), budget.allowed,
             age(now - row.created_at)],
            [budget.healthy, budget.needed],
        )
        for row, budget in zip(rows, budgets(rows), strict=True)
    ]  # fmt: skip
    return header, ("HEALTHY", "NEEDED"), found


def _limit(value: int | str | None) -> str:
    return "N/A" if value is None else str(value)


COLUMNS: dict[str, Callable[[Sequence[Any], float], Lines]] = {
    "Pod": pods,
    "Service": network_columns.services,
    "Endpoints": network_columns.endpoints,
    "Ingress": network_columns.ingresses,
    "NetworkPolicy": network_columns.network_policies,
    "PodDisruptionBudget": disruption_budgets,
    "Deployment": deployments,
    "Rollout": rollout_columns.rollout_rows,
    "AnalysisTemplate": rollout_columns.analysis_templates,
    "AnalysisRun": rollout_columns.analysis_runs,
    "ReplicaSet": replica_sets,
    "ConfigMap": config_maps,
    "Secret": secrets,
    "Event": events,
    "Namespace": namespaces,
    "Node": nodes,
    "Application": applications,
    "Repository": repositories,
    "Sync": syncs,
}
