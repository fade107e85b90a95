"""`describe` for applications, repositories, attempts, namespaces, config and events."""

from __future__ import annotations

from typing import Any

from control.management.columns import short
from control.management.descriptions import parts
from control.management.output import age, fields, indented, table
from control.models import (
    Application,
    ConfigMap,
    Deployment,
    Event,
    Ingress,
    Namespace,
    NetworkPolicy,
    Pod,
    PodDisruptionBudget,
    Repository,
    Secret,
    Service,
    Sync,
)
from control.models.budgets import budgets
from control.selectors.health import application_health, health_of_deployment
from control.selectors.held import held_lines
from control.selectors.kubernetes_records import sync_name
from control.selectors.syncs import error_lines, warning_lines

LAST_ATTEMPTS = 10


def describe_application(row: Application, now: float) -> str:
    health = application_health([row])[row.uid]
    text = fields(
        [
            ("Name", row.name),
            ("Repository", f"{row.repository.name} ({row.repository.url})"),
            ("Ref", row.repository.ref),
            ("Path", row.path + (f" with {', '.join(row.values)}" if row.values else "")),
            ("Namespace", row.namespace),
            ("Sync Policy", row.sync_policy),
            ("Sync", row.sync_status),
            ("Health", f"{health.status}: {health.message}" if health.message else health.status),
            ("Commit", row.commit),
            ("Git Is At", row.repository.head),
            ("Applied", parts.time_of(row.applied_at, now)),
            ("Message", row.message),
            *([("Pin", pin_sentence(row))] if row.pin else []),
            *([("Asked For", f"a sync by {row.request.get('by', '')}")] if row.request else []),
        ]
    )
    if row.drift:
        text += parts.section("Changed Live", "".join(f"  {line}\n" for line in row.drift.splitlines()))
    if held := held_lines(row):
        text += parts.section("Left Alone", "".join(f"  {line}\n" for line in held))
    text += parts.section("Workloads", _workloads(row))
    text += parts.section("Last Attempts", "".join(_attempt(one, now) for one in row.syncs.all()[:LAST_ATTEMPTS]))
    return text + parts.events("Application", "", row.name, now)


def pin_sentence(row: Application) -> str:
    """The banner of an application that was rolled back."""
    pin = row.pin
    return (
        f"pinned to {short(pin.get('commit', ''))}, Git is at {short(pin.get('skipped_commit', ''))}: "
        f"{pin.get('reason', '')}. `application resume {row.name}` applies Git's commit again, and so does a newer "
        f"commit that changes {row.path}"
    )


def describe_sync(row: Sync, now: float) -> str:
    text = fields(
        [
            ("Name", sync_name(row)),
            ("Application", row.application.name),
            ("Commit", row.commit),
            ("Author", row.commit_author),
            ("Commit Message", row.commit_message),
            ("Trigger", f"{row.trigger} by {row.actor}" if row.actor else row.trigger),
            ("Phase", row.phase),
            ("Message", row.message),
            ("Pushed", parts.time_of(row.committed_at, now)),
            ("Seen", parts.time_of(row.seen_at, now)),
            ("Started", parts.time_of(row.started_at, now)),
            ("Finished", parts.time_of(row.finished_at, now)),
            ("Ready", parts.time_of(row.ready_at, now)),
            ("Healthy", parts.time_of(row.healthy_at, now)),
        ]
    )
    changes = "".join(
        f"  {one['op']:<7} {one['kind']} {'/'.join(part for part in (one['namespace'], one['name']) if part)}\n"
        for one in row.changes
    )
    text += parts.section("Changes", changes)
    text += parts.section("Warnings", "".join(f"  {line}\n" for line in warning_lines(row)))
    return text + parts.section("Errors", "".join(f"  {line}\n" for line in error_lines(row)))


def describe_repository(row: Repository, now: float) -> str:
    kept = sorted(row.credentials.load())
    names = ", ".join(row.applications.filter(deleted_at=None).values_list("name", flat=True))
    return fields(
        [
            ("Name", row.name),
            ("URL", row.url),
            ("Ref", row.ref),
            ("Credentials", ", ".join(kept)),
            ("Local Allowed", "yes" if row.allow_local else "no"),
            ("Poll", f"every {row.poll_seconds:g} s"),
            ("Head", row.head),
            ("Head Seen", parts.time_of(row.head_seen_at, now)),
            ("Polled", parts.time_of(row.polled_at, now)),
            ("Failures", f"{row.failures} in a row: {row.message}" if row.failures else "none"),
            *([("Failing Since", parts.time_of(row.failing_since, now))] if row.failures else []),
            ("Signatures", row.signatures),
            ("Age Recipients", "\n".join(row.age_keys.values_list("recipient", flat=True))),
            ("Applications", names),
        ]
    ) + parts.events("Repository", "", row.name, now)


def describe_namespace(row: Namespace, now: float) -> str:
    counts = {
        model.kind: model._default_manager.filter(namespace=row.name).count()
        for model in (Deployment, Pod, Service, Ingress, NetworkPolicy, PodDisruptionBudget, ConfigMap, Secret)
    }
    said = "\n".join(f"{count} {kind}" for kind, count in counts.items() if count)
    facts: list[tuple[str, object]] = [
        ("Status", "Terminating" if row.deleted_at else "Active"),
        ("Allowed", ", ".join(row.allowances) or "nothing beyond the default"),
        ("Objects", said),
    ]
    return parts.head(row, now, *facts) + parts.events("Namespace", "", row.name, now)


def describe_disruption_budget(row: PodDisruptionBudget, now: float) -> str:
    [budget] = budgets([row])
    selected = Pod.objects.filter(pk__in=budget.pods).order_by("name").values_list("name", flat=True)
    facts: list[tuple[str, object]] = [
        ("Min Available", row.spec.get("minAvailable", "N/A")),
        ("Max Unavailable", row.spec.get("maxUnavailable", "N/A")),
        ("Healthy", f"{budget.healthy} of {budget.expected}; {budget.needed} are needed"),
        ("Allowed Disruptions", budget.allowed),
        ("Selected Pods", ", ".join(selected) or "none"),
    ]
    return parts.head(row, now, *facts) + parts.events("PodDisruptionBudget", row.namespace, row.name, now)


def describe_config_map(row: ConfigMap, now: float) -> str:
    data = "".join(f"  {key}:\n{indented(value, 4)}" for key, value in sorted((row.spec.get("data") or {}).items()))
    binary = "".join(
        f"  {key}: {len(value)} characters of base64\n"
        for key, value in sorted((row.spec.get("binaryData") or {}).items())
    )
    return (
        parts.head(row, now) + parts.section("Data", data) + parts.section("BinaryData", binary)
        + parts.events("ConfigMap", row.namespace, row.name, now)
    )  # fmt: skip


def describe_secret(row: Secret, now: float) -> str:
    """Names and sizes; never a value."""
    values = row.sealed.load()
    data = "".join(f"  {key}:  {_bytes(values.get(key, ''))} bytes\n" for key in row.spec.get("keys", ()))
    text = parts.head(row, now, ("Type", row.spec.get("type", "Opaque"))) + parts.section("Data", data)
    return text + parts.events("Secret", row.namespace, row.name, now)


def describe_event(row: Event, now: float) -> str:
    return fields(
        [
            ("Type", row.type),
            ("Reason", row.reason),
            ("Object", f"{row.kind} {row.namespace}/{row.name}" if row.namespace else f"{row.kind} {row.name}"),
            ("Message", row.message),
            ("Node", row.node),
            ("Count", row.count),
            ("First Seen", parts.time_of(row.first_at, now)),
            ("Last Seen", parts.time_of(row.last_at, now)),
        ]
    )


def _workloads(row: Application) -> str:
    found = Deployment.objects.filter(application=row).order_by("namespace", "name")
    lines = []
    for one in found:
        health = health_of_deployment(one)
        pinned = f"revision {one.pin['revision']}" if one.pin else ""
        lines.append((one.kind, one.namespace, one.name, health.status, short(one.commit), pinned, health.message))
    header = ("Kind", "Namespace", "Name", "Health", "Commit", "Pin", "Message")
    return parts.inset(table(header, lines)) if lines else ""


def _attempt(one: Sync, now: float) -> str:
    """A line, and under it the errors with file and line."""
    who = f" by {one.actor}" if one.actor else ""
    said = f"{one.phase}: {one.message}" if one.message else one.phase
    first = f"  {short(one.commit) or '-':<8} {age(now - one.started_at)} ago, {one.trigger}{who}: {said}"
    below = (f"    {line}" for line in (*error_lines(one), *_warnings(one)))
    return "".join(indented(line, 0) for line in [first, *below])


def _warnings(one: Sync) -> list[str]:
    return [f"warning: {line}" for line in warning_lines(one)]


def _bytes(base64_text: Any) -> int:
    text = str(base64_text).rstrip("=")
    return len(text) * 3 // 4
