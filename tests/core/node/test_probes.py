"""Probes that the router makes, alone and beside exec probes: started, ready, killed, and what a person reads.

A row is: what happened (`web readiness passes`, `web liveness fails`, and all that `test_scenarios.py` knows), one turn
for each entry, the steps of the last turn, the pod's sentence, and the warning that was told.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from deployer.core.canary.crashes import crash_of
from deployer.core.container import HealthCheck
from deployer.core.explain import status_words
from deployer.core.network.values import ProbeKind, ProbeResult
from deployer.core.node import PodDesired, plan_pod
from deployer.core.objects.pod import PodSpec
from deployer.core.pod_probes import health_check, pod_probe_ports
from deployer.core.pod_status import PodStatus
from tests.core.node.host import CLUSTER, HOST_CLOCK, Host, Turn, brief, plan, pod, turn
from tests.core.node.test_scenarios import happen

EXEC: dict[str, object] = {"exec": {"command": ["/ok"]}}
HTTP: dict[str, object] = {"httpGet": {"port": 8080, "path": "/healthz"}}
TCP: dict[str, object] = {"tcpSocket": {"port": "db"}}
PROXY: dict[str, object] = {"name": "proxy", "restartPolicy": "Always", "image": "side:1"}
PODS: dict[str, dict[str, object]] = {
    "ready": {"readinessProbe": HTTP},
    "tcp": {"readinessProbe": TCP},
    "live": {"livenessProbe": HTTP},
    "live and ready": {"livenessProbe": HTTP, "readinessProbe": TCP},
    "slow": {"startupProbe": TCP, "livenessProbe": HTTP, "readinessProbe": HTTP},
    "starts": {"startupProbe": HTTP},
    "exec live": {"startupProbe": HTTP, "livenessProbe": EXEC},
    "exec ready": {"livenessProbe": HTTP, "readinessProbe": EXEC},
    "exec start": {"startupProbe": EXEC, "readinessProbe": HTTP},
    "all exec": {"startupProbe": EXEC, "readinessProbe": EXEC, "livenessProbe": EXEC},
}
RUNNING = "pod shop/web-x: Running, "
READY = f"{RUNNING}1 of 1 ready"
UNREADY = f"{RUNNING}0 of 1 ready; ContainersNotReady: container web: "
PLAINLY = f"{UNREADY}runs, and is not ready yet"
SAYS = "its readiness probe (httpGet :8080/healthz)"
AGAIN = "stop:web/30 start:web"
REFUSED = "HTTP 503 from /healthz on port 8080"
LIVENESS = f"pod shop/web-x: liveness probe of container web failed: {REFUSED}; it is restarted"
SUGGESTION = "; it was never healthy since its start: if it only starts slowly, give it a startupProbe"


@dataclass
class Story:
    """A pod, its host and its router. `last` is the latest turn."""

    desired: PodDesired
    host: Host
    last: Turn

    def tell(self, what: str) -> None:
        match = re.fullmatch(r"(\w+) (startup|liveness|readiness) (passes|fails|unknown)( for the run before)?", what)
        if what == "router down":
            self.desired = replace(self.desired, router_problem="its image cannot be pulled")
        elif what == "listed":
            self.last = _listed(self.desired, self.host)
        elif match is None:
            happen(self.host, what)
        else:
            self._found(match[1], match[2], match[3], -1.0 if match[4] else 0.0)  # type: ignore[arg-type]

    def look(self) -> None:
        self.last = turn(self.desired, self.host)
        self.desired = self.last.desired

    def _found(self, name: str, kind: ProbeKind, found: Literal["passes", "fails", "unknown"], earlier: float) -> None:
        passing = {"passes": True, "fails": False, "unknown": None}[found]
        said = REFUSED if found == "fails" else ""
        result = ProbeResult(name, kind, self.host.box(name).started_at + earlier, passing, said)
        others = [one for one in self.desired.probes if (one.container, one.kind) != (name, kind)]
        self.desired = replace(self.desired, probes=(*others, result))


def _listed(desired: PodDesired, host: Host) -> Turn:
    """A look without an inspection."""
    seen = [replace(one, detail=None) for one in host.observe()]
    made = plan_pod(desired, seen, cluster_id=CLUSTER, pulls={}, present_images=host.images, now=host.now)
    return Turn(replace(desired, previous=made.status), made, list(made.steps), list(made.events))


def story(desired: PodDesired, *lines: str) -> Story:
    host = Host({"prep": 0})
    told = Story(desired, host, turn(desired, host))
    told.desired = told.last.desired
    for line in lines:
        for what in filter(None, line.split(", ")):
            told.tell(what)
        told.look()
    return told


ROWS = [
    ("ready", [""], "", f"{UNREADY}{SAYS} has not passed yet", ""),
    ("ready", ["web readiness unknown"], "", f"{UNREADY}{SAYS} has not passed yet", ""),
    ("ready", ["web readiness fails"], "",
     f"{UNREADY}{SAYS} has not passed yet: {REFUSED}", ""),
    ("ready", ["web readiness passes"], "", READY, ""),
    ("ready", ["web readiness passes", "web readiness fails"], "",
     f"{UNREADY}{SAYS} does not pass: {REFUSED}", ""),
    ("ready", ["web readiness passes for the run before"], "", f"{UNREADY}{SAYS} has not passed yet", ""),
    ("ready", ["web readiness passes", "web crashed, web came"], "",
     f"{UNREADY}{SAYS} has not passed yet (1 restart)", "container web of pod shop/web-x ended and was started again"),
    ("ready", ["web readiness passes", "web killed"], "start:web", f"{UNREADY}{SAYS} has not passed yet (1 restart)",
     "container web of pod shop/web-x was stopped outside Pierhead; it is started again"),
    ("ready", ["web liveness fails, web startup fails, web readiness passes"], "", READY, ""),
    ("ready", ["web readiness passes", "web unhealthy"], "", READY, ""),  # an image's own health check
    ("ready", ["router down"], "",
     f"{UNREADY}{SAYS} waits for the router of this node: its image cannot be pulled", ""),
    ("ready", ["web readiness passes", "router down"], "", READY, ""),
    ("ready", ["web crashed x4, web came, web readiness passes"], "", f"{READY} (4 restarts)",
     "container web of pod shop/web-x ended and was started again"),
    ("ready", ["web crashed x4, web came, web readiness fails"], "",
     f"{RUNNING}0 of 1 ready; CrashLoopBackOff: container web: ended 4 times in a row; counts as running after 40 s "
     "(4 restarts)", "container web of pod shop/web-x ended and was started again"),
    ("live", ["web crashed x4, web came, web liveness passes"], "",
     f"{RUNNING}0 of 1 ready; CrashLoopBackOff: container web: ended 4 times in a row; counts as running after 40 s "
     "(4 restarts)", "container web of pod shop/web-x ended and was started again"),
    ("tcp", [""], "", f"{UNREADY}its readiness probe (tcpSocket :db) has not passed yet", ""),
    ("live", [""], "", READY, ""),
    ("live", ["web liveness passes", "web liveness fails"], AGAIN, f"{READY} (1 restart)", LIVENESS),
    ("live", ["web liveness fails"], AGAIN, f"{READY} (1 restart)", LIVENESS + SUGGESTION),
    ("live", ["web liveness fails", ""], "", f"{READY} (1 restart)", ""),
    ("live", ["web liveness fails for the run before"], "", READY, ""),
    ("live", ["router down, web liveness unknown"], "", READY, ""),
    ("live and ready", ["web readiness passes, web liveness fails"], AGAIN,
     f"{UNREADY}its readiness probe (tcpSocket :db) has not passed yet (1 restart)", LIVENESS),
    ("slow", [""], "", f"{UNREADY}its startup probe (tcpSocket :db) has not passed yet", ""),
    ("slow", ["router down"], "",
     f"{UNREADY}its startup probe (tcpSocket :db) waits for the router of this node: its image cannot be pulled", ""),
    ("slow", ["web readiness passes, web liveness fails"], "",
     f"{UNREADY}its startup probe (tcpSocket :db) has not passed yet", ""),
    ("slow", ["web startup passes"], "", f"{UNREADY}{SAYS} has not passed yet", ""),
    ("slow", ["web startup passes", "web readiness fails"], "",
     f"{UNREADY}{SAYS} has not passed yet: {REFUSED}", ""),
    ("slow", ["web startup passes", "web readiness passes"], "", READY, ""),
    ("slow", ["web startup passes, web readiness passes", "web startup fails"], "", READY, ""),
    ("slow", ["web startup fails"], AGAIN,
     f"{UNREADY}its startup probe (tcpSocket :db) has not passed yet (1 restart)",
     f"pod shop/web-x: startup probe of container web failed: {REFUSED}; it is restarted"),
    ("slow", ["web startup passes", "web liveness fails"], AGAIN,
     f"{UNREADY}its startup probe (tcpSocket :db) has not passed yet (1 restart)", LIVENESS),
    ("starts", [""], "", f"{UNREADY}its startup probe (httpGet :8080/healthz) has not passed yet", ""),
    ("starts", ["web startup passes"], "", READY, ""),
    ("exec live", ["web unhealthy"], "", f"{UNREADY}its startup probe (httpGet :8080/healthz) has not passed yet", ""),
    ("exec live", ["web startup passes, web healthy"], "", READY, ""),
    ("exec live", ["web startup passes, web healthy", "web unhealthy"], AGAIN,
     f"{UNREADY}its startup probe (httpGet :8080/healthz) has not passed yet (1 restart)",
     "pod shop/web-x: liveness probe of container web failed; it is restarted"),
    ("exec ready", ["web liveness passes"], "", PLAINLY, ""),
    ("exec ready", ["web healthy"], "", READY, ""),
    ("exec ready", ["web healthy", "web unhealthy"], "", PLAINLY, ""),
    ("exec ready", ["web healthy, web liveness fails"], AGAIN, f"{PLAINLY} (1 restart)", LIVENESS),
    ("exec start", ["web readiness passes"], "", PLAINLY, ""),
    ("exec start", ["web healthy"], "", f"{UNREADY}{SAYS} has not passed yet", ""),
    ("exec start", ["web healthy, web readiness passes"], "", READY, ""),
    ("exec start", ["web unhealthy"], AGAIN, f"{PLAINLY} (1 restart)",
     "pod shop/web-x: startup probe of container web failed; it is restarted"),
    ("exec start", ["web healthy, web readiness passes", "web unhealthy"], "", READY, ""),
    ("all exec", ["web startup passes, web readiness passes, web liveness passes"], "", PLAINLY, ""),
    ("all exec", ["web healthy", "web startup fails, web readiness fails, web liveness fails"], "", READY, ""),
    ("all exec", ["router down"], "", PLAINLY, ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "lines", "steps", "sentence", "event"), ROWS, ids=[f"{row[0]}: {'; '.join(row[1])}" for row in ROWS]
)
def test_what_a_result_does(kind: str, lines: list[str], steps: str, sentence: str, event: str) -> None:
    done = story(pod({"name": "web", **PODS[kind]}), *lines)
    warnings = [one.message for one in done.last.events if one.type == "Warning"]
    assert brief(done.last.steps) == steps
    assert status_words("shop/web-x", done.last.plan.status) == sentence
    assert event in warnings if event else not warnings


def test_a_container_that_failed_a_probe_is_told_as_unhealthy() -> None:
    done = story(pod({"name": "web", **PODS["live"]}), "web liveness passes", "web liveness fails")
    assert [(one.type, one.reason) for one in done.last.events if one.message == LIVENESS] == [("Warning", "Unhealthy")]
    assert not [one for one in done.last.events if one.reason == "Stopped"], "we ended it ourselves"
    status = done.last.plan.status
    assert crash_of(status, 0) == "container web failed its liveness or startup probe and was restarted"
    assert PodStatus.from_dict(status.to_dict()) == status


def test_a_sidecar_has_passed_its_startup_probe_before_the_next_container_is_made() -> None:
    waits = pod({"name": "web"}, initContainers=[{**PROXY, "startupProbe": TCP}])
    done = story(waits, "")
    assert status_words("shop/web-x", done.last.plan.status) == (
        "pod shop/web-x: Pending, 0 of 1 ready; PodInitializing: container proxy: "
        "its startup probe (tcpSocket :db) has not passed yet"
    )
    done.tell("proxy startup passes")
    done.look()
    assert brief(done.last.steps) == "create:web start:web"
    assert done.last.plan.status.ready


def test_a_sidecar_that_failed_its_startup_probe_is_restarted() -> None:
    done = story(pod({"name": "web"}, initContainers=[{**PROXY, "startupProbe": TCP}]), "proxy startup fails")
    assert brief(done.last.steps) == "stop:proxy/30 start:proxy"


def test_a_sidecar_that_is_not_ready_keeps_the_pod_from_it() -> None:
    done = story(pod({"name": "web"}, initContainers=[{**PROXY, "readinessProbe": HTTP}]), "")
    assert not done.last.plan.status.ready
    done.tell("proxy readiness passes")
    done.look()
    assert done.last.plan.status.ready


def test_an_init_container_is_restarted_for_its_startup_probe_too() -> None:
    host = Host()
    desired = turn(pod({"name": "web"}, initContainers=[{"name": "prep", "startupProbe": HTTP}]), host).desired
    failed = ProbeResult("prep", "startup", host.box("prep").started_at, False)
    done = turn(replace(desired, probes=(failed,)), host)
    assert brief(done.steps) == "stop:prep/30 start:prep"


READS = [
    ("ready", ""),
    ("ready", "web readiness fails"),
    ("ready", "web readiness passes"),
    ("ready", "router down"),
    ("slow", "web startup passes"),
    ("starts", "web startup passes"),
    ("exec start", "web healthy, web readiness passes"),
]


@pytest.mark.parametrize(("kind", "what"), READS, ids=[": ".join(row) for row in READS])
def test_a_pod_that_is_only_read_says_the_same(kind: str, what: str) -> None:
    done = story(pod({"name": "web", **PODS[kind]}))
    for one in filter(None, what.split(", ")):
        done.tell(one)
    kept = plan(done.desired, done.host)
    seen, now = done.host.observe(), done.host.now
    read = plan_pod(done.desired, seen, cluster_id=CLUSTER, pulls={}, allow_start=False, now=now)
    assert (kept.steps, read.steps) == ((), ())
    assert read.status == kept.status


def test_words_of_a_probe_are_forgotten_once_it_passes_also_without_an_inspection() -> None:
    done = story(pod({"name": "web", **PODS["ready"]}), "web readiness fails")
    done.tell("web readiness passes")
    done.tell("listed")
    assert (done.last.plan.status.ready, done.last.plan.status.containers[0].message) == (True, "")


def test_a_container_without_a_start_that_is_known_has_no_results() -> None:
    host = Host()
    desired = pod({"name": "web", **PODS["ready"]})
    turn(desired, host)
    done = _listed(replace(desired, probes=(ProbeResult("web", "readiness", 0, True),)), host)
    assert not done.plan.status.ready


def test_a_result_of_another_container_does_not_count() -> None:
    """Also if both were started in one instant."""
    done = story(pod({"name": "web", **PODS["ready"]}, {"name": "log", **PODS["ready"]}), "")
    done.host.box("log").started_at = done.host.box("web").started_at
    done.tell("web readiness passes")
    done.look()
    assert [one.ready for one in done.last.plan.status.containers] == [True, False]


def test_a_pod_waits_for_its_results_without_polling() -> None:
    done = story(pod({"name": "web", **PODS["slow"]}), "")
    assert (done.last.plan.wake_at, done.last.plan.steps) == (None, ())
    assert done.host.box("web").started_at > HOST_CLOCK, "results are compared by the host's clock"


CHECKS = [
    ({"readinessProbe": HTTP, "livenessProbe": TCP, "startupProbe": HTTP}, None),
    ({"readinessProbe": {**HTTP, "periodSeconds": 1, "timeoutSeconds": 9}, "livenessProbe": EXEC},
     HealthCheck(("/ok",), 10, 1, 3, 10, 1)),
    ({"livenessProbe": {**HTTP, "failureThreshold": 9}, "readinessProbe": {**EXEC, "failureThreshold": 2}},
     HealthCheck(("/ok",), 10, 1, 2, 10, 1)),
    ({"startupProbe": {**HTTP, "failureThreshold": 30}, "livenessProbe": EXEC},
     HealthCheck(("/ok",), 10, 1, 3, 300, 1)),
    ({"startupProbe": EXEC, "livenessProbe": {**HTTP, "failureThreshold": 9}}, HealthCheck(("/ok",), 10, 1, 1, 30, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("probes", "expected"), CHECKS)
def test_only_exec_probes_are_in_the_health_check(probes: dict[str, object], expected: HealthCheck | None) -> None:
    assert health_check(pod({"name": "web", **probes}).spec.containers[0]) == expected


def test_the_named_ports_of_a_pod() -> None:
    def ports(*pairs: tuple[str, int]) -> list[dict[str, object]]:
        return [{"name": name, "containerPort": port} for name, port in pairs]

    spec = PodSpec.model_validate({
        "initContainers": [
            {"name": "prep", "image": "i", "ports": ports(("gone", 1))},
            {**PROXY, "ports": ports(("http", 9), ("proxy", 10))},
        ],
        "containers": [
            {"name": "web", "image": "i", "ports": [*ports(("http", 80)), {"containerPort": 81}]},
            {"name": "log", "image": "i", "ports": ports(("http", 82), ("metrics", 83))},
        ],
    })  # fmt: skip
    assert pod_probe_ports(spec) == {"http": 80, "metrics": 83, "proxy": 10}
