"""What the probes of a container say: has it started, is it ready, has it failed, and in which words.

Two kinds look at a container from outside. exec probes of a container are one Docker health check (`health_check`);
httpGet and tcpSocket are made by the node's router, whose results come with the pod as desired. A container may mix
them: each of its probes follows its own kind. A result counts for the run that was probed and for no other, so a
container that was started again begins anew, whatever is still on its way.

Rules (Kubernetes'): until the startup probe has passed once, readiness is failing and liveness does not count. What
is not known yet is not ready and not failed.

Never waits and never asks: a new state of health is an event of the engine, a new result wakes the pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from deployer.core.container import ContainerSeen, HealthCheck
from deployer.core.network.values import ProbeKind
from deployer.core.objects.pod import Container, PodSpec, Probe
from deployer.core.pod_desired import PodDesired
from deployer.core.pod_status import ContainerStatus

START_INTERVAL_SECONDS = 1.0
"""How often a probe is run until it passes for the first time, where the engine can: readiness is not kept waiting."""


@dataclass(frozen=True, slots=True)
class ProbeFinding:
    """One probe in the present run of its container. `passing` None: not known yet. `message` is the router's."""

    kind: ProbeKind
    probe: Probe
    passing: bool | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ProbeFindings:
    """What is known of a container's probes now. None: it has no such probe. `healthy`: of its Docker health check."""

    startup: ProbeFinding | None
    liveness: ProbeFinding | None
    readiness: ProbeFinding | None
    healthy: bool

    @property
    def has_started(self) -> bool:
        return self.startup is None or self.startup.passing is True

    @property
    def is_ready(self) -> bool:
        """Whether its readiness probe passes, if it has one."""
        return self.readiness is None or self.readiness.passing is True

    @property
    def proves_ready(self) -> bool:
        """Whether there is a readiness probe that passes: it ends every doubt about a container that has crashed."""
        return self.readiness is not None and self.is_ready

    @property
    def passes_any(self) -> bool:
        """Whether anything says that it is well. A startup probe of the router's does not: it asks for less."""
        return self.healthy or any(one is not None and one.passing is True for one in (self.liveness, self.readiness))


def probe_findings(
    desired: PodDesired, container: Container, seen: ContainerSeen, status: ContainerStatus
) -> ProbeFindings:
    """What its probes say of a running container. `status.started_at` is the start of the run that counts."""

    def of(kind: ProbeKind, probe: Probe | None) -> ProbeFinding | None:
        if probe is None:
            return None
        if probe.exec is not None:
            return ProbeFinding(kind, probe, {"healthy": True, "unhealthy": False}.get(seen.health))
        return _routed(desired, kind, probe, container.name, status.started_at)

    return ProbeFindings(
        startup=of("startup", container.startup_probe),
        liveness=of("liveness", container.liveness_probe),
        readiness=of("readiness", container.readiness_probe),
        healthy=seen.health == "healthy",
    )


def with_findings(status: ContainerStatus, found: ProbeFindings) -> ContainerStatus:
    """What a run has once reached it keeps: it has started, it has been healthy."""
    return replace(
        status, started=status.started or found.has_started, ready_once=status.ready_once or found.passes_any
    )


def failed_probe(
    desired: PodDesired, container: Container, found: ProbeFindings, status: ContainerStatus
) -> str | None:
    """The sentence of the probe for which the container is to be restarted; None while it may run on.

    A liveness probe ends the container once it has started, a startup probe only until then.
    """
    failed = found.liveness if status.started else found.startup
    if failed is None or failed.passing is not False:
        return None
    said = f": {failed.message}" if failed.message else ""
    words = f"{desired}: {failed.kind} probe of container {container.name} failed{said}; it is restarted"
    if failed.kind == "liveness" and container.startup_probe is None and not status.ready_once:
        words += "; it was never healthy since its start: if it only starts slowly, give it a startupProbe"
    return words


def waits_for(desired: PodDesired, found: ProbeFindings, status: ContainerStatus) -> str:
    """Which of the router's probes keeps a running container from being ready, and why; "" when none does."""
    one = found.readiness if status.started else found.startup
    if one is None or one.passing is True or one.probe.exec is not None:
        return ""
    words = f"its {one.kind} probe ({_asked(one.probe)})"
    if desired.router_problem:
        return f"{words} waits for the router of this node: {desired.router_problem}"
    words += " does not pass" if status.ready_once and one.passing is False else " has not passed yet"
    return f"{words}: {one.message}" if one.message else words


def health_check(container: Container) -> HealthCheck | None:
    """One Docker health check for all exec probes of a container, which share one command (validation sees to it).

    The start period is the startup probe's whole window (delay + failureThreshold x period), else the initial delay,
    at least one interval: in it a failure does not count, and the first success ends it.
    Example: startup 30 x 2 s and liveness every 10 s -> interval 2 s, start period 60 s.

    The window of a startup probe that the router makes counts too: until it has passed, liveness is not asked.
    """
    startup, liveness, readiness = container.startup_probe, container.liveness_probe, container.readiness_probe
    probes = [(one, one.exec) for one in (startup, liveness, readiness) if one is not None and one.exec is not None]
    commands = [action.command for _, action in probes if action is not None]
    if not commands:
        return None
    interval = float(min(one.period_seconds for one, _ in probes))
    delay = _window(startup) or max(one.initial_delay_seconds for one, _ in probes)
    return HealthCheck(
        command=commands[0],
        interval_seconds=interval,
        timeout_seconds=float(max(one.timeout_seconds for one, _ in probes)),
        retries=_retries(liveness, readiness),
        start_period_seconds=max(interval, float(delay)),
        start_interval_seconds=min(interval, START_INTERVAL_SECONDS),
    )


def pod_probe_ports(spec: PodSpec) -> Mapping[str, int]:
    """The named ports of a pod, as its Services and probes may call them: of main containers and sidecars.

    Of two ports with one name the first counts, main containers first (Kubernetes' `FindPort`).
    """
    ports: dict[str, int] = {}
    for container in (*spec.containers, *(one for one in spec.init_containers if one.is_sidecar)):
        for port in container.ports:
            if port.name:
                ports.setdefault(port.name, port.container_port)
    return ports


def _routed(desired: PodDesired, kind: ProbeKind, probe: Probe, container: str, started_at: float) -> ProbeFinding:
    """The router's latest result for this run; without one, or without a start to compare with, nothing is known."""
    for one in desired.probes:
        if (one.container, one.kind, one.started_at) == (container, kind, started_at) and started_at:
            return ProbeFinding(kind, probe, one.passing, one.message)
    return ProbeFinding(kind, probe, None)


def _asked(probe: Probe) -> str:
    """What a probe asks for: "httpGet :8080/healthz", "tcpSocket :5432"."""
    if probe.http_get is not None:
        return f"httpGet :{probe.http_get.port}/{probe.http_get.path.removeprefix('/')}"
    return f"tcpSocket :{probe.tcp_socket.port}" if probe.tcp_socket is not None else "without an action"


def _retries(liveness: Probe | None, readiness: Probe | None) -> int:
    """With a startup probe alone its window has used up all its tries."""
    counting = [one for one in (liveness, readiness) if one is not None and one.exec is not None]
    return counting[0].failure_threshold if counting else 1


def _window(startup: Probe | None) -> int:
    if startup is None:
        return 0
    return startup.initial_delay_seconds + startup.failure_threshold * startup.period_seconds
