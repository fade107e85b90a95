"""Every kind as Kubernetes JSON: what `-o json` prints and what a Kubernetes client reads.

`render_all` takes rows of one kind, so that what they refer to is read in bulk. Secrets' values never leave their
column: they are shown as `***`. What Pierhead only remembers for itself (`pierhead` keys in statuses) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from control.models import ConfigMap, Event, Namespace, Secret
from control.selectors.disruption import disruption_budgets
from control.selectors.kubernetes_network import endpoints, ingresses, network_policies, services
from control.selectors.kubernetes_nodes import nodes
from control.selectors.kubernetes_records import applications, repositories, syncs
from control.selectors.kubernetes_rollouts import analysis_runs, analysis_templates, rollouts
from control.selectors.kubernetes_workloads import deployments, pods, replica_sets
from control.selectors.metadata import application_names, metadata
from deployer.core.pod_status import iso_time

MASK = "***"
Renderer = Callable[[Sequence[Any], float], list[dict[str, Any]]]


def render_all(kind: str, rows: Sequence[Any], now: float) -> list[dict[str, Any]]:
    """`rows` of `kind` in Kubernetes' shape, in their order. `now`: seconds since the epoch."""
    return RENDERERS[kind](rows, now)


def as_list(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """As kubectl prints many objects, of one kind or several."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(items)}


def config_maps(rows: Sequence[ConfigMap], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(row, names), **_content(row.spec)}
        for row in rows
    ]


def secrets(rows: Sequence[Secret], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata(row, names),
            "type": row.spec.get("type", "Opaque"),
            "data": dict.fromkeys(row.spec.get("keys", ()), MASK),
            **({"immutable": True} if row.spec.get("immutable") else {}),
        }
        for row in rows
    ]


def namespaces(rows: Sequence[Namespace], _now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": metadata(
                row,
                names,
                labels={"kubernetes.io/metadata.name": row.name},
                annotations={"pierhead.io/allowances": ",".join(row.allowances)} if row.allowances else {},
            ),
            "spec": {"finalizers": ["kubernetes"]} if row.deleted_at else {},
            "status": {"phase": "Terminating" if row.deleted_at else "Active"},
        }
        for row in rows
    ]


def events(rows: Sequence[Event], _now: float) -> list[dict[str, Any]]:
    return [_event(row) for row in rows]


def event_name(row: Event) -> str:
    return f"{row.name}.{row.pk:x}"


def _event(row: Event) -> dict[str, Any]:
    involved = {"kind": row.kind, "namespace": row.namespace, "name": row.name}
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": event_name(row),
            "namespace": row.namespace or "default",  # where Kubernetes keeps those of cluster-wide objects
            "creationTimestamp": iso_time(row.first_at),
        },
        "involvedObject": {name: value for name, value in involved.items() if value},
        "type": row.type,
        "reason": row.reason,
        "message": row.message,
        "count": row.count,
        "firstTimestamp": iso_time(row.first_at),
        "lastTimestamp": iso_time(row.last_at),
        "source": {"component": "pierhead", **({"host": row.node} if row.node else {})},
    }


def _content(spec: dict[str, Any]) -> dict[str, Any]:
    return {name: spec[name] for name in ("data", "binaryData", "immutable") if spec.get(name)}


RENDERERS: dict[str, Renderer] = {
    "Pod": pods,
    "Service": services,
    "Endpoints": endpoints,
    "Ingress": ingresses,
    "NetworkPolicy": network_policies,
    "PodDisruptionBudget": disruption_budgets,
    "Deployment": deployments,
    "Rollout": rollouts,
    "AnalysisTemplate": analysis_templates,
    "AnalysisRun": analysis_runs,
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
