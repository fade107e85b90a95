"""From a PodSpec to what the engine is asked for, field by field."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployer.core.actions import CreateContainer, EnsureNetwork
from deployer.core.container import HealthCheck, PublishedPort, Subnet
from deployer.core.node import PodDesired
from deployer.core.pod_containers import (
    create_container,
    create_pause,
    has_pause,
    pause_hash,
    post_start,
    restart_policy,
    spec_hash,
    stop_container,
)
from deployer.core.pod_environment import ConfigProblem
from deployer.core.pod_probes import health_check
from tests.core.node.host import CLUSTER, Host, brief, plan, pod, turn

EXEC = {"exec": {"command": ["/ok"]}}
GOLDEN_HASH = "33ad089cfc4c47a6"
GOLDEN_SHARED = ("9506b41ad834cd90", "0412cfee067ef06d", "4ccd59831c2d79a9")


def made(desired: PodDesired, user: str | None = "") -> Any:
    container = desired.spec.containers[0]
    return create_container(
        desired, container, 0, cluster_id=CLUSTER, image="sha256:1", image_user=user, network="pierhead-shop", pod_ip=""
    ).step


def web(**container: object) -> PodDesired:
    return pod({"name": "web", **container})


def security(**context: object) -> PodDesired:
    return web(securityContext=context)


def resources(**amounts: object) -> PodDesired:
    return web(resources=amounts)


FIELDS = [
    (web(command=["/bin/x", "$(A)"], args=["$(A)", "$(B)"], env=[{"name": "A", "value": "1"}]),
     {"entrypoint": ("/bin/x", "1"), "command": ("1", "$(B)"), "env": (("A", "1"),)}),
    (web(), {"entrypoint": None, "command": None, "network": "pierhead-shop", "hostname": "web-x", "cpu_shares": 2,
             "cap_drop": ("NET_ADMIN", "NET_RAW"), "restart": "always", "health": None, "user": "", "ports": ()}),
    (web(workingDir="/w", stdin=True, tty=True), {"working_dir": "/w", "stdin": True, "tty": True}),
    (resources(limits={"cpu": "500m", "memory": "64Mi"}),
     {"cpu_millicores": 500, "memory_bytes": 64 << 20, "cpu_shares": 512, "memory_reservation_bytes": 64 << 20}),
    (resources(limits={"cpu": "2"}, requests={"cpu": "100m", "memory": "1Gi"}),
     {"cpu_millicores": 2000, "cpu_shares": 102, "memory_reservation_bytes": 1 << 30, "memory_bytes": 0}),
    (resources(requests={"cpu": "1m"}), {"cpu_shares": 2}),
    (security(capabilities={"add": ["NET_RAW", "CAP_SYS_TIME"], "drop": ["CHOWN"]}),
     {"cap_add": ("NET_RAW", "SYS_TIME"), "cap_drop": ("CHOWN", "NET_ADMIN")}),
    (security(privileged=True), {"privileged": True, "cap_drop": ()}),
    (security(readOnlyRootFilesystem=True, allowPrivilegeEscalation=False),
     {"read_only_root": True, "no_new_privileges": True}),
    (security(seccompProfile={"type": "Unconfined"}), {"seccomp_unconfined": True}),
    (security(runAsUser=7, runAsGroup=8), {"user": "7:8"}),
    (security(runAsGroup=8), {"user": "0:8"}),
    (pod({"name": "web", "securityContext": {"runAsUser": 7}}, securityContext={
        "runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4, 3],
        "sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}),
     {"user": "7:2", "group_add": ("4", "3"), "sysctls": (("net.core.somaxconn", "1024"),)}),
    (pod({"name": "web", "ports": [{"containerPort": 80, "hostPort": 8080}, {"containerPort": 81}]},
         hostAliases=[{"ip": "10.1.1.1", "hostnames": ["a", "b"]}], hostname="me", terminationGracePeriodSeconds=5),
     {"ports": (PublishedPort(80, 8080),), "extra_hosts": (("a", "10.1.1.1"), ("b", "10.1.1.1")), "hostname": "me",
      "stop_grace_seconds": 5}),
    (pod({"name": "web"}, hostNetwork=True, hostPID=True), {"hostname": "", "pid_host": True}),
]  # fmt: skip


@pytest.mark.parametrize(("desired", "expected"), FIELDS)
def test_fields(desired: PodDesired, expected: dict[str, object]) -> None:
    spec = made(desired).spec
    assert {name: getattr(spec, name) for name in expected} == expected


def test_with_a_pause_container_the_network_is_its_own() -> None:
    desired = pod({"name": "web", "ports": [{"containerPort": 80, "hostPort": 8080}]}, {"name": "log"}, hostname="me")
    assert has_pause(desired)
    pause = create_pause(desired, 0, CLUSTER).spec
    assert (pause.hostname, pause.ports, pause.network) == ("me", (PublishedPort(80, 8080),), "pierhead-shop")
    joined = create_container(
        desired, desired.spec.containers[0], 0, cluster_id=CLUSTER, image="i", image_user="",
        network="container:pierhead-shop-web-x-pause-0", pod_ip="",
    ).step.spec  # fmt: skip
    assert (joined.hostname, joined.ports, joined.extra_hosts) == ("", (), ())


PAUSES = [
    (pod({"name": "web"}), False),
    (pod({"name": "web"}, {"name": "log"}), True),
    (pod({"name": "web"}, initContainers=[{"name": "prep"}]), True),
    (web(env=[{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]), True),
    (web(env=[{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]), False),
    (pod({"name": "web"}, {"name": "log"}, hostNetwork=True), False),
]


@pytest.mark.parametrize(("desired", "expected"), PAUSES)
def test_who_needs_a_pause_container(desired: PodDesired, expected: bool) -> None:
    assert has_pause(desired) is expected


NON_ROOT = [
    ({"runAsNonRoot": True, "runAsUser": 5}, "", False),
    ({"runAsNonRoot": True}, "1000", True),
    ({"runAsNonRoot": True}, "1000:0", True),
    ({"runAsNonRoot": True}, None, True),
    ({"runAsNonRoot": True}, "", "image app:1 runs as root; set runAsUser"),
    ({"runAsNonRoot": True}, "root", "image app:1 runs as root; set runAsUser"),
    ({"runAsNonRoot": True, "runAsUser": 0}, "1000", "runAsUser 0 runs as root; set runAsUser"),
    ({"runAsNonRoot": True}, "nginx", "names its user 'nginx', which cannot be told from root"),
    ({}, "", False),
]


@pytest.mark.parametrize(("context", "user", "expected"), NON_ROOT)
def test_run_as_non_root(context: dict[str, object], user: str | None, expected: bool | str) -> None:
    if isinstance(expected, bool):
        assert made(security(**context), user).must_not_be_root is expected
        return
    with pytest.raises(ConfigProblem, match=expected):
        made(security(**context), user)


def probe(**fields: object) -> dict[str, object]:
    return {**EXEC, **fields}


PROBES = [
    ({}, None),
    ({"readinessProbe": probe()}, HealthCheck(("/ok",), 10, 1, 3, 10, 1)),
    ({"livenessProbe": probe(failureThreshold=5, initialDelaySeconds=30)}, HealthCheck(("/ok",), 10, 1, 5, 30, 1)),
    ({"livenessProbe": probe(periodSeconds=20, failureThreshold=2), "readinessProbe": probe(periodSeconds=5)},
     HealthCheck(("/ok",), 5, 1, 2, 5, 1)),
    ({"startupProbe": probe(periodSeconds=2, failureThreshold=30), "livenessProbe": probe(timeoutSeconds=4)},
     HealthCheck(("/ok",), 2, 4, 3, 60, 1)),
    ({"startupProbe": probe(periodSeconds=2, failureThreshold=30)}, HealthCheck(("/ok",), 2, 1, 1, 60, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("probes", "expected"), PROBES)
def test_probes(probes: dict[str, object], expected: HealthCheck | None) -> None:
    assert health_check(web(**probes).spec.containers[0]) == expected


POLICIES = [
    ("Always", "always", "on-failure"),
    ("OnFailure", "on-failure", "on-failure"),
    ("Never", "no", "no"),
]


@pytest.mark.parametrize(("policy", "main", "init"), POLICIES)
def test_restart_policies(policy: str, main: str, init: str) -> None:
    inits = [{"name": "prep"}, {"name": "proxy", "restartPolicy": "Always"}]
    desired = pod({"name": "web"}, restartPolicy=policy, initContainers=inits)
    prep, proxy = desired.spec.init_containers
    assert restart_policy(desired, desired.spec.containers[0]) == main
    assert (restart_policy(desired, prep), restart_policy(desired, proxy)) == (init, "always")


def test_hooks() -> None:
    desired = web(lifecycle={"postStart": {"sleep": {"seconds": 2}}, "preStop": EXEC})
    container = desired.spec.containers[0]
    hook = post_start(container, "c")
    assert hook is not None
    assert (hook.command, hook.sleep_seconds) == ((), 2)
    assert stop_container(container, "c", 9).pre_stop == ("/ok",)
    assert stop_container(None, "c", 9).pre_stop == ()


def test_the_hash_is_of_what_is_written_not_of_what_it_means() -> None:
    variable = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}
    desired = replace(web(env=[variable]), config={("Secret", "db"): {"p": b"1"}})
    container = desired.spec.containers[0]
    same = replace(desired, config={("Secret", "db"): {"p": b"2"}}, images={}, commit="def", node_ip="1.1.1.1")
    assert spec_hash(same, container, "") == spec_hash(desired, container, "")
    spelled_out = web(env=[variable], imagePullPolicy=None, stdin=False)
    assert spec_hash(spelled_out, spelled_out.spec.containers[0], "") == spec_hash(desired, container, "")
    other = web(env=[variable], args=["x"])
    assert spec_hash(other, other.spec.containers[0], "") != spec_hash(desired, container, "")
    joined = {spec_hash(desired, container, f"container:x-pause-{attempt}") for attempt in (0, 1)}
    assert len(joined) == 2


def golden() -> str:
    desired = pod(
        {"name": "web", "env": [{"name": "A", "value": "1"}], "resources": {"limits": {"cpu": "1"}}, "args": ["é"]},
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    return spec_hash(desired, desired.spec.containers[0], "pierhead-shop")


def test_the_hash_is_the_same_in_every_process_and_version() -> None:
    """Containers are adopted by it after the database was lost: a change here restarts everything, everywhere."""
    program = "from tests.core.node.test_containers import golden; print(golden())"
    home = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", program], cwd=home, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == golden() == GOLDEN_HASH


def test_the_hash_of_what_was_made_before_there_were_networks_to_choose_from() -> None:
    """As released first: with exec probes, published ports, a pause container; and on the host's network."""
    probe = {**EXEC, "periodSeconds": 5}
    web_of_two = {"name": "web", "ports": [{"containerPort": 80, "hostPort": 8080}], "readinessProbe": EXEC}
    desired = pod({**web_of_two, "livenessProbe": probe}, {"name": "log"}, hostname="me")
    for same in (desired, replace(desired, network="pierhead-shop", subnet=SUBNET, dns="10.208.24.1")):
        first = same.spec.containers[0]
        hashes = (spec_hash(same, first, "pierhead-shop"), spec_hash(same, first, "container:x-pause-0"))
        assert (*hashes, pause_hash(same)) == GOLDEN_SHARED
    host = replace(pod({"name": "web"}, hostNetwork=True), network="pierhead-shop-1a2b3c4d", dns="10.208.24.1")
    assert spec_hash(host, host.spec.containers[0], "host") == "3dae2580278ca91b"


SUBNET = Subnet("10.208.16.0/20", "10.208.16.0/21", "10.208.16.1")
SEARCH = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")
ONE, TWO = pod({"name": "web"}), pod({"name": "web"}, {"name": "log"})
NETWORKS = [
    ("one", ONE, {"dns": "10.208.24.1"}, {"web": ("pierhead-shop", ("10.208.24.1",), SEARCH)}),
    ("one, isolated", ONE, {"network": "pierhead-shop-1a2b", "dns": "10.0.0.1"},
     {"web": ("pierhead-shop-1a2b", ("10.0.0.1",), SEARCH)}),
    ("one, no router", ONE, {"subnet": SUBNET}, {"web": ("pierhead-shop", (), ())}),
    ("two", TWO, {"network": "pierhead-shop-1a2b", "dns": "10.0.0.1"},
     {"pause": ("pierhead-shop-1a2b", ("10.0.0.1",), SEARCH), "web": ("container:pierhead-shop-web-x-pause-0", (), ()),
      "log": ("container:pierhead-shop-web-x-pause-0", (), ())}),
    ("host", pod({"name": "web"}, hostNetwork=True), {"network": "pierhead-shop-1a2b", "dns": "10.0.0.1"},
     {"web": ("host", (), ())}),
]  # fmt: skip


@pytest.mark.parametrize(("_", "desired", "changes", "expected"), NETWORKS, ids=[row[0] for row in NETWORKS])
def test_the_network_and_the_resolver_of_a_pod(
    _: str, desired: PodDesired, changes: dict[str, Any], expected: dict[str, tuple[object, ...]]
) -> None:
    desired = replace(desired, **changes)
    steps = turn(desired, Host()).steps
    specs = [step.spec for step in steps if isinstance(step, CreateContainer)]
    named = {spec.name.split("-")[-2]: (spec.network, spec.dns, spec.dns_search) for spec in specs}
    assert named == expected
    network = EnsureNetwork(desired.network or "pierhead-shop", "shop", desired.subnet)
    wanted = [] if desired.spec.host_network else [network]
    assert [one for one in steps if isinstance(one, EnsureNetwork)] == wanted


MOVES = [
    ("one", ONE, "net stop:web/30 rm:web create:web-1 start:web-1"),
    ("two", TWO, "stop:web/30 rm:web stop:log/30 rm:log stop:pause/30 rm:pause net pauseimg create:pause-1 "
     "start:pause-1 create:web-1 create:log-1 start:web-1 start:log-1"),
    ("host", pod({"name": "web"}, hostNetwork=True), ""),
]  # fmt: skip


@pytest.mark.parametrize(("desired", "steps"), [row[1:] for row in MOVES], ids=[row[0] for row in MOVES])
def test_a_pod_whose_network_is_another_now_is_made_again(desired: PodDesired, steps: str) -> None:
    host = Host()
    running = turn(desired, host).desired
    assert brief(plan(replace(running, dns="10.208.24.1", network="pierhead-shop"), host).steps) == ""
    assert brief(turn(replace(running, network="pierhead-shop-1a2b"), host).steps) == steps


@pytest.mark.parametrize("desired", [ONE, TWO], ids=["one", "two"])
def test_a_network_that_cannot_be_made_is_waited_for(desired: PodDesired) -> None:
    host = Host(refuses={"EnsureNetwork": "AddressesTaken"})
    done = turn(replace(desired, network="pierhead-shop-1a2b", subnet=SUBNET), host)
    assert (done.plan.steps, done.plan.wake_at) == ((), host.now + 1)
    assert done.plan.status.message == "container web: the engine said no"
