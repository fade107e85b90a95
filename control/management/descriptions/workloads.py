"""`describe` for deployments, rollouts and replica sets: strategy, conditions, old and new replica sets, the pin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control.management.columns import short
from control.management.descriptions import canaries, parts
from control.management.output import age, fields, table
from control.models import Deployment, Pod, ReplicaSet
from control.selectors import rollouts
from control.selectors.health import health_of_deployment
from control.selectors.kubernetes_workloads import strategy
from control.selectors.pods import counts_by_set, phases
from control.selectors.service_problems import selector_text
from deployer.core.manifest_set import WORKLOADS
from deployer.core.objects.rollout import deployment_strategy


def describe_deployment(row: Deployment, now: float) -> str:
    sets = list(row.replica_sets.order_by("-revision", "name"))
    health = health_of_deployment(row)
    facts: list[tuple[str, object]] = [
        ("Selector", selector_text((row.spec.get("selector") or {}).get("matchLabels") or {})),
        ("Replicas", _replicas(row)),
        ("StrategyType", _strategy_type(row)),
        *_rolling(row),
        *canaries.facts(row),
        ("MinReadySeconds", row.spec.get("minReadySeconds") or 0),
        ("Health", f"{health.status}: {health.message}" if health.message else health.status),
        ("Rollout", rollouts.rollout_state(row, now).sentence),
        *([("Paused", "`rollout resume` goes on")] if row.paused or row.spec.get("paused") else []),
        *([("Pin", rollouts.pin_sentence(row))] if row.pin else []),
    ]
    text = parts.head(row, now, *facts)
    text += parts.section("Pod Template", _template(row.spec.get("template") or {}))
    text += parts.conditions(row.status.get("conditions") or ())
    text += canaries.sections(row, now)
    text += _sets(row, sets, now)
    text += parts.log_lines(str(row.pin.get("log_tail", "")) if row.pin else "")
    also = [("ReplicaSet", one.name) for one in sets]
    # What it was before it became this kind counts as well.
    also += [(kind, row.name) for kind in WORKLOADS if kind != row.kind]
    return text + parts.events(row.kind, row.namespace, row.name, now, also)


def describe_replica_set(row: ReplicaSet, now: float) -> str:
    owner = row.deployment
    pods = list(Pod.objects.filter(replica_set=row).order_by("name"))
    mine = counts_by_set([row], {owner.uid: owner}, now)[row.uid]
    text = parts.head(
        row, now,
        ("Controlled By", f"{owner.kind}/{owner.name}"),
        ("Revision", row.revision),
        ("State", rollouts.revision_state(row)),
        ("Replicas", f"{mine.present} current / {row.replicas} desired, {mine.available} available"),
        ("Pods Status", phases(pods)),
        ("Change Cause", row.change_cause),
    )  # fmt: skip
    text += parts.section("Pod Template", _template(row.spec.get("template") or {}))
    digests = "".join(f"  {name}\n    {digest}\n" for name, digest in sorted(row.images.items()))
    text += parts.section("Pinned Images", digests)
    return text + parts.events("ReplicaSet", row.namespace, row.name, now)


def _replicas(row: Deployment) -> str:
    """kubectl's line."""
    status, desired = row.status, row.replicas
    total, available = status.get("replicas", 0), status.get("availableReplicas", 0)
    return (
        f"{desired} desired | {status.get('updatedReplicas', 0)} updated | {total} total | {available} available | "
        f"{max(total - available, 0)} unavailable"
    )


def _strategy_type(row: Deployment) -> str:
    if row.workload == "Rollout":
        return "BlueGreen" if "blueGreen" in (row.spec.get("strategy") or {}) else "Canary"
    return str(strategy(row.spec)["type"])


def _rolling(row: Deployment) -> list[tuple[str, object]]:
    rolling = strategy({"strategy": deployment_strategy(row.workload, row.spec)}).get("rollingUpdate")
    if not rolling:
        return []
    said = f"{rolling['maxUnavailable']} max unavailable, {rolling['maxSurge']} max surge"
    return [("RollingUpdateStrategy", said)]


def _template(template: Mapping[str, Any]) -> str:
    if not template:
        return "  not known: adopted from running containers\n"
    spec = template.get("spec") or {}
    rows: list[tuple[str, object]] = [("Labels", parts.pairs((template.get("metadata") or {}).get("labels") or {}))]
    for title, name in (("Init Containers", "initContainers"), ("Containers", "containers")):
        found = [f"{one['name']} ({one['image']})" for one in spec.get(name) or ()]
        if found:
            rows.append((title, "\n".join(found)))
    return fields(rows, indent=2)


def _sets(row: Deployment, sets: list[ReplicaSet], now: float) -> str:
    counts = counts_by_set(sets, {row.uid: row}, now)
    current = rollouts.in_force(row)
    lines = [
        (
            "new" if one.template_hash == current else "old",
            one.name, one.revision, short(one.commit), rollouts.revision_state(one),
            f"{counts[one.uid].ready}/{one.replicas}", age(now - one.created_at),
        )
        for one in sets
    ]  # fmt: skip
    header = ("", "Name", "Revision", "Commit", "State", "Ready", "Age")
    return parts.section("ReplicaSets", parts.inset(table(header, lines)) if lines else "")
