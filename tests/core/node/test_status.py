"""The status as Kubernetes' clients read it, and the words people read."""

from __future__ import annotations

from typing import Any

from deployer.core.actions import StopContainer
from deployer.core.explain import container_words, plan_words, status_words
from deployer.core.pod_status import PodStatus
from tests.core.node.host import Host, plan, pod, turn


def without_memory(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_memory(one) for key, one in value.items() if key != "pierhead"}
    return [without_memory(one) for one in value] if isinstance(value, list) else value


def test_a_running_pod_in_kubernetes_shape() -> None:
    status = turn(pod({"name": "web"}), Host()).plan.status
    since = "2023-11-14T22:13:20Z"
    condition = {"lastProbeTime": None, "lastTransitionTime": since}
    assert without_memory(status.to_dict()) == {
        "phase": "Running", "podIP": "10.0.0.1", "hostIP": "192.0.2.1", "podIPs": [{"ip": "10.0.0.1"}],
        "startTime": since,
        "conditions": [
            {"type": kind, "status": "True", **condition}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ],
        "containerStatuses": [{
            "name": "web", "image": "app@sha256:a1", "imageID": "sha256:1", "containerID": "docker://id-0001",
            "ready": True, "started": True, "restartCount": 0,
            "state": {"running": {"startedAt": "2023-11-14T23:36:40Z"}}, "lastState": {},
        }],
    }  # fmt: skip


def test_a_crashing_pod_in_kubernetes_shape() -> None:
    host = Host()
    done = turn(pod({"name": "web"}), host)
    for _ in range(2):
        host.end("web", 3)
        done = turn(done.desired, host)
        host.restart("web")
    host.end("web", 3)
    status = turn(done.desired, host).plan.status.with_log_tail("web", "no route\n")
    shown = without_memory(status.to_dict())["containerStatuses"][0]
    assert shown["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert shown["restartCount"] == 3
    last = shown["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "no route\n")
    assert PodStatus.from_dict(status.to_dict()) == status
    assert PodStatus.from_dict({"phase": "Running"}) is None


def test_a_log_tail_is_kept_until_the_next_end() -> None:
    host = Host()
    done = turn(pod({"name": "web"}), host)
    host.end("web", 3)
    told = turn(done.desired, host).plan.status.with_log_tail("web", "one")
    host.restart("web")
    from dataclasses import replace

    after = turn(replace(done.desired, previous=told), host)
    assert after.plan.status.containers[0].last is not None
    assert after.plan.status.containers[0].last.log_tail == "one"


def test_an_end_that_only_an_event_told() -> None:
    from dataclasses import replace

    host = Host()
    done = turn(pod({"name": "web"}), host)
    host.end("web", 7)
    host.restart("web")
    told = replace(done.desired, exits={host.box("web").id: 7})
    last = turn(told, host).plan.status.containers[0].last
    assert last is not None
    assert (last.exit_code, last.reason) == (7, "Error")


def test_words() -> None:
    host = Host()
    first = plan(pod({"name": "web"}), host)
    assert plan_words(first.steps) == (
        "pull image app:1 at app@sha256:a1 unless it is there\n"
        "make network pierhead-shop of namespace shop\n"
        "create container pierhead-shop-web-x-web-0 from app@sha256:a1\n"
        "start container pierhead-shop-web-x-web-0"
    )
    assert plan_words([]) == "nothing to do"
    assert plan_words([StopContainer("c", 0, ("/bye",))]) == "run the preStop hook of and stop container c at once"
    assert status_words("shop/web-x", first.status, deleting=True) == "pod shop/web-x: Terminating, 0 of 1 ready"
    running = turn(pod({"name": "web"}), host).plan.status
    assert container_words(running.containers[0]) == "web: running, ready"
