"""`describe pod`: conditions, containers with their states, why it waits, its last log lines, events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from control.management.descriptions import parts
from control.management.output import fields
from control.models import Pod
from control.selectors.health import health_of_pod
from control.selectors.kubernetes_workloads import pod_spec, quality_class, templates_of
from control.selectors.pods import pod_words, seconds_of, shown_conditions, why_waiting

Statuses = Mapping[str, Mapping[str, Any]]


def describe_pod(row: Pod, now: float) -> str:
    templates = templates_of([row])
    spec = pod_spec(row, templates)
    seen = {one["name"]: one for one in row.status.get("containerStatuses") or ()}
    init = {one["name"]: one for one in row.status.get("initContainerStatuses") or ()}
    text = parts.head(row, now, *_facts(row, spec, now))
    if spec.get("initContainers"):
        text += _containers("Init Containers", spec["initContainers"], init, row.probes)
    text += _containers("Containers", spec["containers"], seen, row.probes)
    text += parts.conditions(shown_conditions(row))
    volumes = "".join(f"  {one['name']}:  {_volume(one)}\n" for one in spec.get("volumes") or ())
    text += parts.section("Volumes", volumes)
    text += parts.log_lines(row.log_tail)
    return text + parts.events("Pod", row.namespace, row.name, now)


def _facts(row: Pod, spec: Mapping[str, Any], now: float) -> list[tuple[str, object]]:
    health = health_of_pod(row)
    words = pod_words(row, spec)
    owner = row.replica_set
    return [
        ("Node", row.node.name if row.node else ""),
        ("Start Time", parts.time_of(row.started_at, now)),
        ("Status", words.status),
        ("Ready", f"{words.ready}/{words.total}"),
        ("Health", f"{health.status}: {health.message}" if health.message else health.status),
        *([("Waiting For", why_waiting(row))] if why_waiting(row) else []),
        ("IP", row.status.get("podIP", "")),
        ("Controlled By", f"ReplicaSet/{owner.name} ({row.owner})" if owner else _no_owner(row)),
        *([("Revision", row.revision)] if row.revision else []),
        ("QoS Class", quality_class(spec)),
        ("Node-Selectors", parts.pairs(spec.get("nodeSelector") or {})),
    ]


def _no_owner(row: Pod) -> str:
    return f"nobody yet: found running, labelled as of {row.claimed_owner}" if row.orphaned else ""


def _containers(title: str, those: Iterable[Any], statuses: Statuses, probes: Statuses) -> str:
    return parts.section(title, "".join(_container(one, statuses, probes) for one in those))


def _container(container: Mapping[str, Any], statuses: Statuses, probes: Statuses) -> str:
    """`probes`: what the node's router found, by "CONTAINER/KIND"."""
    status = statuses.get(container["name"], {})
    resources = container.get("resources") or {}
    rows: list[tuple[str, object]] = [
        ("Container ID", status.get("containerID", "")),
        ("Image", container.get("image", "")),
        ("Image ID", status.get("imageID", "")),
        ("Ports", ", ".join(_port(one) for one in container.get("ports") or ())),
        *[(title, " ".join(container[name])) for title, name in COMMANDS if container.get(name)],
        *_state("State", status.get("state") or {}),
        *_state("Last State", status.get("lastState") or {}),
        ("Ready", bool(status.get("ready"))),
        ("Restart Count", status.get("restartCount", 0)),
        *[(title, parts.pairs(resources[name])) for title, name in RESOURCES if resources.get(name)],
        *[
            (title, _probe(container[name]) + _finding(container, name, status, probes))
            for title, name in PROBES
            if container.get(name)
        ],
        ("Environment", "\n".join(_variable(one) for one in container.get("env") or ())),
        ("Mounts", "\n".join(_mount(one) for one in container.get("volumeMounts") or ())),
    ]
    return f"  {container['name']}:\n{fields(rows, indent=4)}"


COMMANDS = (("Command", "command"), ("Args", "args"))
RESOURCES = (("Limits", "limits"), ("Requests", "requests"))
PROBES = (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe"))


def _state(title: str, state: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, object]]:
    if not state:
        return []
    word, detail = next(iter(state.items()))
    names = (
        ("Reason", "reason"),
        ("Exit Code", "exitCode"),
        ("Message", "message"),
        ("Started", "startedAt"),
        ("Finished", "finishedAt"),
    )
    return [(title, word.capitalize()), *((f"  {name}", detail[key]) for name, key in names if key in detail)]


def _port(port: Mapping[str, Any]) -> str:
    host = f" (host port {port['hostPort']})" if port.get("hostPort") else ""
    return f"{port['containerPort']}/{port.get('protocol', 'TCP')}{host}"


def _probe(probe: Mapping[str, Any]) -> str:
    command = (probe.get("exec") or {}).get("command")
    what = (
        f"exec {' '.join(command)}"
        if command
        else next((f"{name} {probe[name]}" for name in _ACTIONS if name in probe), "")
    )
    return (
        f"{what} delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #failure={probe.get('failureThreshold', 3)}"
    )


def _finding(container: Mapping[str, Any], name: str, status: Mapping[str, Any], probes: Statuses) -> str:
    """What the router found last, in the present run of the container. exec probes are Docker's, not the router's."""
    if (container[name] or {}).get("exec"):
        return ""
    found = probes.get(f"{container['name']}/{name.removesuffix('Probe')}") or {}
    running = (status.get("state") or {}).get("running") or {}
    is_of_this_run = abs(float(found.get("started_at") or 0) - seconds_of(running.get("startedAt", ""))) < SAME_RUN
    if not running or not found or found.get("passing") is None or not is_of_this_run:
        return "\nnot found out yet"
    word = "passes" if found["passing"] else "fails"
    return f"\n{word}: {found['message']}" if found.get("message") else f"\n{word}"


SAME_RUN = 1.0
"""Statuses tell a start in whole seconds."""
_ACTIONS = ("httpGet", "tcpSocket", "grpc")


def _variable(variable: Mapping[str, Any]) -> str:
    """kubectl's words. A secret is named, never shown."""
    source = variable.get("valueFrom") or {}
    for kind, reference in (("config map", "configMapKeyRef"), ("secret", "secretKeyRef")):
        if reference in source:
            found = source[reference]
            return f"{variable['name']}:  <set to the key '{found['key']}' in {kind} '{found['name']}'>"
    if source:
        path = next(iter(source.values()))
        return f"{variable['name']}:  ({path.get('fieldPath') or path.get('resource')})"
    return f"{variable['name']}:  {variable.get('value', '')}"


def _mount(mount: Mapping[str, Any]) -> str:
    how = "ro" if mount.get("readOnly") else "rw"
    return f"{mount['mountPath']} from {mount['name']} ({how})"


def _volume(volume: Mapping[str, Any]) -> str:
    kind = next((name for name in volume if name != "name"), "emptyDir")
    detail = volume.get(kind) or {}
    name = detail.get("name") or detail.get("secretName") or detail.get("path") or ""
    return f"{kind} {name}".strip()
