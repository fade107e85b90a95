"""Deployments, replica sets and pods as Kubernetes JSON, with the defaults without which kubectl stumbles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from control.models import Deployment, Pod, ReplicaSet
from control.selectors.metadata import REVISION, application_names, metadata, owner_reference
from control.selectors.pods import Counts, counts_by_set, shown_conditions
from deployer.core.pod_status import iso_time

TEMPLATE_HASH = "pod-template-hash"
RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_DEPLOYMENT_DEFAULTS = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_POD_DEFAULTS = {"restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst"}


def deployments(rows: Sequence[Deployment], _now: float) -> list[dict[str, Any]]:
    names, current = application_names(rows), revisions_of(rows)
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata(row, names, annotations={**current.get(row.uid, {}), **pin_notes(row.pin)}),
            "spec": deployment_spec(row),
            "status": row.status,
        }
        for row in rows
    ]


def replica_sets(rows: Sequence[ReplicaSet], now: float) -> list[dict[str, Any]]:
    names = application_names(rows)
    owners = Deployment.objects.in_bulk({row.deployment_id for row in rows})
    counts = counts_by_set(rows, owners, now)
    return [_replica_set(row, owners[row.deployment_id], counts[row.uid], names) for row in rows]


def pods(rows: Sequence[Pod], _now: float) -> list[dict[str, Any]]:
    names, templates, owners = application_names(rows), templates_of(rows), _owners(rows)
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata(
                row, names, annotations=_pod_notes(row, templates), owner=owners.get(row.replica_set_id)
            ),
            "spec": pod_spec(row, templates),
            "status": pod_status(row, templates),
        }
        for row in rows
    ]


def deployment_spec(row: Deployment) -> dict[str, Any]:
    """What Git says, with Kubernetes' defaults, `rollout pause` and `rollout restart` written in."""
    spec: dict[str, Any] = {**_DEPLOYMENT_DEFAULTS, **row.spec, "strategy": strategy(row.spec)}
    if row.paused:
        spec["paused"] = True
    if row.restarted_at and spec.get("template"):
        template = spec["template"]
        meta = template.get("metadata") or {}
        notes = {**(meta.get("annotations") or {}), RESTARTED_AT: iso_time(row.restarted_at)}
        spec["template"] = {**template, "metadata": {**meta, "annotations": notes}}
    return spec


def strategy(spec: Mapping[str, Any]) -> dict[str, Any]:
    given = spec.get("strategy") or {}
    if given.get("type") == "Recreate":
        return {"type": "Recreate"}
    rolling = {"maxSurge": "25%", "maxUnavailable": "25%", **(given.get("rollingUpdate") or {})}
    return {"type": "RollingUpdate", "rollingUpdate": rolling}


def pin_notes(pin: Mapping[str, Any]) -> dict[str, str]:
    """A pin as annotations: what is held, what is skipped, and why."""
    if not pin:
        return {}
    return {
        "pierhead.io/pinned-revision": str(pin["revision"]),
        "pierhead.io/skipped-commit": pin.get("skipped_commit", ""),
        "pierhead.io/pin-reason": pin.get("reason", ""),
        "pierhead.io/pinned-by": pin.get("by", ""),
    }


def templates_of(rows: Sequence[Pod]) -> dict[str, dict[str, Any]]:
    """Replica set uid -> its pod template, of the sets that the pods belong to."""
    uids = {row.replica_set_id for row in rows if row.replica_set_id}
    found = ReplicaSet.objects.filter(pk__in=uids).values_list("uid", "spec")
    return {uid: spec.get("template") or {} for uid, spec in found}


def pod_spec(row: Pod, templates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    given = templates[row.replica_set_id].get("spec") or {} if row.replica_set_id else row.spec
    spec = {"containers": [], **_POD_DEFAULTS, **given}
    if row.node:
        spec["nodeName"] = row.node.name
    return spec


def pod_status(row: Pod, templates: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    status: dict[str, Any] = without_memory(row.status)
    made = {**status, "phase": row.phase, "conditions": shown_conditions(row)}
    if row.message and not made.get("message") and not row.ready:
        made["message"] = row.message
    made["qosClass"] = quality_class(pod_spec(row, templates))
    return made


def quality_class(spec: Mapping[str, Any]) -> str:
    """Kubernetes' rule: Guaranteed when every container's limits are set and requested, BestEffort when nothing is."""
    resources = [one.get("resources") or {} for one in (*spec["containers"], *(spec.get("initContainers") or ()))]
    if not any(one.get("requests") or one.get("limits") for one in resources):
        return "BestEffort"
    for one in resources:
        limits = one.get("limits") or {}
        wanted = {**limits, **(one.get("requests") or {})}
        if any(name not in limits or str(wanted[name]) != str(limits[name]) for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"


def without_memory(value: Any) -> Any:
    """A status without what only Pierhead remembers, and without nulls."""
    if isinstance(value, dict):
        return {name: without_memory(one) for name, one in value.items() if name != "pierhead" and one is not None}
    if isinstance(value, list):
        return [without_memory(one) for one in value]
    return value


def _replica_set(row: ReplicaSet, owner: Deployment, counts: Counts, names: Mapping[str, str]) -> dict[str, Any]:
    match = {**((owner.spec.get("selector") or {}).get("matchLabels") or {}), TEMPLATE_HASH: row.template_hash}
    template = {"spec": {"containers": []}, **(row.spec.get("template") or {})}
    meta = template.get("metadata") or {}
    labels = {**(meta.get("labels") or {}), TEMPLATE_HASH: row.template_hash}
    expressions = (owner.spec.get("selector") or {}).get("matchExpressions")
    status: dict[str, Any] = {"replicas": counts.present, "observedGeneration": row.generation}
    some = {
        "fullyLabeledReplicas": counts.present, "readyReplicas": counts.ready, "availableReplicas": counts.available,
    }  # fmt: skip
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(
            row,
            names,
            labels={TEMPLATE_HASH: row.template_hash},
            annotations=_set_notes(row),
            owner=owner_reference(owner),
        ),
        "spec": {
            "replicas": row.replicas,
            "minReadySeconds": owner.spec.get("minReadySeconds") or 0,
            "selector": {"matchLabels": match, **({"matchExpressions": expressions} if expressions else {})},
            "template": {**template, "metadata": {**meta, "labels": labels}},
        },
        "status": {**status, **{name: count for name, count in some.items() if count}},
    }


def _set_notes(row: ReplicaSet) -> dict[str, str]:
    notes = {
        REVISION: str(row.revision),
        "deployment.kubernetes.io/desired-replicas": str(row.replicas),
        "deployment.kubernetes.io/max-replicas": str(row.max_replicas),
        "kubernetes.io/change-cause": row.change_cause,
        "pierhead.io/healthy": "true" if row.healthy else "",
        "pierhead.io/failed": "true" if row.failed else "",
        "pierhead.io/adopted": "true" if row.adopted else "",
    }
    return {name: value for name, value in notes.items() if value}


def _pod_notes(row: Pod, templates: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    meta = templates.get(row.replica_set_id or "", {}).get("metadata") or {}
    return {**(meta.get("annotations") or {}), **({"pierhead.io/orphaned": "true"} if row.orphaned else {})}


def _owners(rows: Sequence[Pod]) -> dict[str | None, dict[str, Any]]:
    uids = {row.replica_set_id for row in rows if row.replica_set_id}
    found = ReplicaSet.objects.filter(pk__in=uids).only("uid", "name")
    return {row.uid: owner_reference(row) for row in found}


def revisions_of(rows: Sequence[Deployment]) -> dict[str, dict[str, str]]:
    """Deployment uid -> the revision annotation: that of the template in force."""
    in_force = {row.uid: row.pin.get("template_hash") or row.live_hash for row in rows}
    found = ReplicaSet.objects.filter(deployment__in=in_force).values_list("deployment_id", "template_hash", "revision")
    return {owner: {REVISION: str(revision)} for owner, digest, revision in found if digest == in_force[owner]}
