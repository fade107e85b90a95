"""One pod: its containers, its conditions in words, why it waits or crashes, its environment with secrets masked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from control.models import Pod
from control.selectors.event_lines import EventLine, events_of
from control.selectors.plots import Plot
from control.selectors.pod_lines import PodLine, pod_line
from control.selectors.pods import container_statuses, seconds_of, shown_conditions
from control.selectors.use_plots import pod_plots
from control.selectors.words import Moment, State, commit, log, plain, sentence

MASKED = "••••••"
_SECRET_NAME = re.compile(r"pass|secret|token|key|credential|auth|dsn|private", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_CONDITIONS = {
    "PodScheduled": "has a node",
    "Initialized": "its init containers have run",
    "ContainersReady": "its containers are ready",
    "Ready": "gets traffic",
    "PodReadyToStartContainers": "has its network",
}


@dataclass(frozen=True, slots=True)
class Variable:
    """`value` is masked where it is, or looks like, a secret. `source` says where it comes from."""

    name: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class ContainerLine:
    name: str
    role: str
    image: str
    state: State
    words: str
    restarts: int
    since: Moment
    last: str
    last_lines: str
    requests: str
    limits: str
    ports: str
    probes: tuple[str, ...]
    environment: tuple[Variable, ...]


@dataclass(frozen=True, slots=True)
class ConditionLine:
    state: State
    type: str
    words: str
    reason: str
    since: Moment


@dataclass(frozen=True, slots=True)
class PodPage:
    """`workload`: the Deployment that owns it, "" for a bare pod."""

    line: PodLine
    workload: str
    application: str
    commit: str
    ip: str
    phase: str
    containers: tuple[ContainerLine, ...]
    conditions: tuple[ConditionLine, ...]
    labels: tuple[tuple[str, str], ...]
    events: tuple[EventLine, ...]
    plots: tuple[Plot, ...]


def pod_page(namespace: str, name: str, now: float) -> PodPage | None:
    """None when there is none. Three queries."""
    rows = Pod.objects.select_related("node", "replica_set__deployment__application", "application")
    row = rows.filter(namespace=namespace, name=name).first()
    if row is None:
        return None
    owner = row.replica_set.deployment if row.replica_set else None
    template = (row.replica_set.spec.get("template") or {}) if row.replica_set else {}
    spec = (template.get("spec") or {}) if row.replica_set else row.spec
    application = owner.application if owner else row.application
    return PodPage(
        line=pod_line(row, now, spec),
        workload=owner.name if owner else "",
        application=application.name if application else "",
        commit=commit(row.commit or (row.replica_set.commit if row.replica_set else "")),
        ip=row.ip,
        phase=row.phase,
        containers=tuple(_containers(row, spec, now)),
        conditions=tuple(_conditions(row, now)),
        labels=tuple(sorted((sentence(key), sentence(str(value))) for key, value in row.labels.items())),
        events=tuple(events_of("Pod", namespace, name, now)),
        plots=tuple(pod_plots(namespace, name, now)),
    )


def _containers(row: Pod, spec: Mapping[str, Any], now: float) -> Iterable[ContainerLine]:
    statuses = {one["name"]: one for one in container_statuses(row)}
    for role, field in (("init", "initContainers"), ("", "containers")):
        for one in spec.get(field) or ():
            said = "sidecar" if role and one.get("restartPolicy") == "Always" else role
            yield _container(one, said, statuses.get(one["name"]) or {}, row, now)


def _container(one: Mapping[str, Any], role: str, status: Mapping[str, Any], row: Pod, now: float) -> ContainerLine:
    state, words, since = _state(status, row)
    ended = (status.get("lastState") or {}).get("terminated") or {}
    resources = one.get("resources") or {}
    return ContainerLine(
        name=one["name"],
        role=role,
        image=sentence(one.get("image", "")),
        state=state,
        words=sentence(words),
        restarts=int(status.get("restartCount") or 0),
        since=Moment(since, now),
        last=sentence(_ending(ended)) if ended else "",
        last_lines=log(str(ended.get("message") or "")),
        requests=_amounts(resources.get("requests")),
        limits=_amounts(resources.get("limits")),
        ports=", ".join(_port(port) for port in one.get("ports") or ()),
        probes=tuple(_probes(one)),
        environment=tuple(_environment(one)),
    )


def _state(status: Mapping[str, Any], row: Pod) -> tuple[State, str, float]:
    given: dict[str, dict[str, Any]] = status.get("state") or {"waiting": {}}
    kind, detail = next(iter(given.items()))
    if kind == "running":
        word = State("Running", "good") if status.get("ready") else State("Not ready", "busy")
        return word, "", seconds_of(detail.get("startedAt", ""))
    if kind == "terminated":
        tone: Any = "idle" if detail.get("exitCode") == 0 else "bad"
        return State(detail.get("reason") or "Ended", tone), _ending(detail), seconds_of(detail.get("finishedAt", ""))
    reason = detail.get("reason") or (row.waiting if row.node_id else "") or "Waiting"
    return State(reason, "bad" if reason.endswith(("BackOff", "Error")) else "busy"), detail.get("message") or "", 0.0


def _ending(detail: Mapping[str, Any]) -> str:
    said = f"exit code {detail.get('exitCode')}"
    return f"{detail['reason']}, {said}" if detail.get("reason") not in (None, "", "Error", "Completed") else said


def _amounts(given: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{name} {amount}" for name, amount in sorted((given or {}).items()))


def _port(port: Mapping[str, Any]) -> str:
    said = f"{port.get('containerPort')}/{port.get('protocol') or 'TCP'}"
    return f"{port['name']} {said}" if port.get("name") else said


def _probes(one: Mapping[str, Any]) -> Iterable[str]:
    for kind in ("startup", "readiness", "liveness"):
        if probe := one.get(f"{kind}Probe"):
            yield sentence(f"{kind}: {_asked(probe)}, every {probe.get('periodSeconds') or 10} s")


def _asked(probe: Mapping[str, Any]) -> str:
    if http := probe.get("httpGet"):
        return f"GET {http.get('path') or '/'} on port {http.get('port')}"
    if tcp := probe.get("tcpSocket"):
        return f"connect to port {tcp.get('port')}"
    return f"run {' '.join((probe.get('exec') or {}).get('command') or ())}"


def _environment(one: Mapping[str, Any]) -> Iterable[Variable]:
    for source in one.get("envFrom") or ():
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if given := source.get(field):
                name = sentence(f"{source.get('prefix') or ''}*")
                yield Variable(name, "", sentence(f"every key of {kind} {given.get('name')}"))
    for variable in one.get("env") or ():
        yield _variable(variable)


def _variable(variable: Mapping[str, Any]) -> Variable:
    name, given = sentence(str(variable.get("name", ""))), variable.get("valueFrom") or {}
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        if ref := given.get(field):
            masked = MASKED if kind == "Secret" else ""
            return Variable(name, masked, sentence(f"{kind} {ref.get('name')}, key {ref.get('key')}"))
    if field_ref := given.get("fieldRef"):
        return Variable(name, "", sentence(f"the pod's {field_ref.get('fieldPath')}"))
    if resource := given.get("resourceFieldRef"):
        return Variable(name, "", sentence(f"its {resource.get('resource')}"))
    value = plain(str(variable.get("value") or ""))
    if value and _SECRET_NAME.search(name):
        return Variable(name, MASKED, "looks like a secret")
    return Variable(name, _IN_URL.sub(MASKED, value), "")


def _conditions(row: Pod, now: float) -> Iterable[ConditionLine]:
    for one in shown_conditions(row):
        holds = one.get("status") == "True"
        reason = sentence(": ".join(part for part in (one.get("reason", ""), one.get("message", "")) if part))
        yield ConditionLine(
            state=State("Yes", "good") if holds else State("No", "warn"),
            type=one["type"],
            words=_CONDITIONS.get(one["type"], one["type"]),
            reason=reason,
            since=Moment(seconds_of(one.get("lastTransitionTime") or ""), now),
        )
