"""What happens to a running pod, what is done about it, and the sentence a person reads.

A row is: what happened on the host (`web killed, web gone, web crashed x3`), the steps of the whole turn, the status.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from deployer.core.explain import status_words
from deployer.core.node import PodDesired, plan_pod
from tests.core.node.host import CLUSTER, NOW, Host, Killed, Turn, brief, plan, pod, turn

WEB = {"name": "web"}
SLOW = {"periodSeconds": 5, "failureThreshold": 12}
EXEC = {"exec": {"command": ["/ok"]}}
PODS = {
    "one": lambda: pod(WEB),
    "two": lambda: pod(WEB, {"name": "log", "image": "side:1"}),
    "init": lambda: pod(WEB, initContainers=[{"name": "prep"}]),
    "sidecar": lambda: pod(WEB, initContainers=[{"name": "prep"}, {"name": "proxy", "restartPolicy": "Always"}]),
    "ready": lambda: pod({**WEB, "readinessProbe": EXEC}),
    "live": lambda: pod({**WEB, "livenessProbe": EXEC}),
    "slow": lambda: pod({**WEB, "livenessProbe": EXEC, "startupProbe": {**EXEC, **SLOW}}),
    "task": lambda: pod(WEB, restartPolicy="Never"),
    "retry": lambda: pod(WEB, restartPolicy="OnFailure"),
    "hook": lambda: pod({**WEB, "lifecycle": {"postStart": EXEC}}),
    "files": lambda: pod(
        {**WEB, "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}, volumes=[{"name": "tmp", "emptyDir": {}}]
    ),
    "short": lambda: pod(WEB, activeDeadlineSeconds=60),
}
READY = "pod shop/web-x: Running, 1 of 1 ready"


def happen(host: Host, what: str) -> None:
    """`web crashed x3`: applied to the container's box, as Docker would show it."""
    match = re.fullmatch(r"(?P<name>\w+) (?P<verb>[a-z]+)(\((?P<number>\d+)\))?( x(?P<times>\d+))?", what)
    assert match, what
    name, number = match["name"], int(match["number"] or 1)
    for turn_of in range(int(match["times"] or 1)):
        match match["verb"]:
            case "crashed":
                if turn_of:
                    host.restart(name)
                host.end(name, number)
            case "came":
                host.restart(name)
            case "ended":
                host.end(name, number, ran=1)
            case "killed":
                host.kill(name)
            case "gone":
                del host.boxes[host.box(name).name]
            case "passed":
                host.now += number
            case "renamed":
                box = host.box(name)
                host.boxes["other"] = host.boxes.pop(box.name)
                box.name = "other"
            case verb:
                box = host.box(name)
                box.state, box.health = (verb, box.health) if verb == "paused" else (box.state, verb)


def story(desired: PodDesired, *lines: str) -> tuple[Host, Turn]:
    """The pod is started; every line but the last is followed by a turn of its own. The last turn is returned."""
    host = Host({"prep": 0})
    last = turn(desired, host)
    for line in lines:
        for what in filter(None, line.split(", ")):
            happen(host, what)
        last = turn(last.desired, host)
    return host, last


STARTS = [
    ("one", "img:app:1 net create:web start:web", READY),
    ("two", "img:app:1 img:side:1 net pauseimg create:pause start:pause create:web create:log start:web start:log",
     "pod shop/web-x: Running, 2 of 2 ready"),
    ("init", "img:app:1 img:init:1 net pauseimg create:pause start:pause create:prep start:prep create:web start:web",
     READY),
    ("sidecar", "img:app:1 img:init:1 net pauseimg create:pause start:pause create:prep start:prep "
     "create:proxy start:proxy create:web start:web", "pod shop/web-x: Running, 2 of 2 ready"),
    ("hook", "img:app:1 net create:web start:web hook:web", READY),
    ("files", "img:app:1 net vol:tmp create:web start:web", READY),
    ("ready", "img:app:1 net create:web start:web",
     "pod shop/web-x: Running, 0 of 1 ready; ContainersNotReady: container web: runs, and is not ready yet"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "steps", "sentence"), STARTS, ids=[row[0] for row in STARTS])
def test_a_new_pod(kind: str, steps: str, sentence: str) -> None:
    _, done = story(PODS[kind]())
    assert (brief(done.steps), status_words("shop/web-x", done.plan.status)) == (steps, sentence)


ROWS = [
    ("one", ["web passed(900)"], "", READY, ""),
    ("one", ["web killed"], "start:web", f"{READY} (1 restart)",
     "container web of pod shop/web-x was stopped outside Pierhead; it is started again"),
    ("one", ["web gone"], "net create:web-1 start:web-1", f"{READY} (1 restart)",
     "container web of pod shop/web-x was removed outside Pierhead; it is made again"),
    ("one", ["web paused"], "start:web", READY,
     "container web of pod shop/web-x was paused outside Pierhead; it is resumed"),
    ("one", ["web renamed"], "net stop:other/30 rm:other create:web-1 start:web-1", f"{READY} (1 restart)",
     "container web of pod shop/web-x was renamed to other outside Pierhead; it is made again"),
    ("one", ["web crashed, web came"], "", f"{READY} (1 restart)",
     "container web of pod shop/web-x ended and was started again"),
    ("one", ["web crashed"], "",
     "pod shop/web-x: Running, 0 of 1 ready; Error: container web: ended with exit code 1 (1 restart)",
     "container web of pod shop/web-x ended with exit code 1 and was started again"),
    ("one", ["web crashed", "web came"], "", f"{READY} (1 restart)", ""),
    ("one", ["web crashed x3"], "",
     "pod shop/web-x: Running, 0 of 1 ready; CrashLoopBackOff: container web: ended 3 times in a row "
     "(Error, exit code 1); the engine starts it again (3 restarts)",
     "container web of pod shop/web-x: CrashLoopBackOff: ended 3 times in a row (Error, exit code 1); "
     "the engine starts it again"),
    ("one", ["web crashed x3, web came"], "",
     "pod shop/web-x: Running, 0 of 1 ready; CrashLoopBackOff: container web: ended 3 times in a row; "
     "counts as running after 20 s (3 restarts)", "container web of pod shop/web-x ended and was started again"),
    ("one", ["web crashed x3, web came", "web passed(21)"], "", f"{READY} (3 restarts)", ""),
    ("one", ["web killed", "web passed(5), web killed"], "",
     "pod shop/web-x: Running, 0 of 1 ready; CrashLoopBackOff: container web: ended 2 times in a row "
     "(Error, exit code 137); back-off of 10 s before it is started again (1 restart)",
     "container web of pod shop/web-x: CrashLoopBackOff: ended 2 times in a row (Error, exit code 137); "
     "back-off of 10 s before it is started again"),
    ("one", ["web killed", "web killed", "web passed(10)"], "start:web",
     "pod shop/web-x: Running, 0 of 1 ready; CrashLoopBackOff: container web: ended 2 times in a row; "
     "counts as running after 10 s (2 restarts)",
     "container web of pod shop/web-x was stopped outside Pierhead; it is started again"),
    ("one", ["web killed", "web passed(700), web killed"], "start:web", f"{READY} (2 restarts)",
     "container web of pod shop/web-x was stopped outside Pierhead; it is started again"),
    ("ready", ["web passed(300)"], "",
     "pod shop/web-x: Running, 0 of 1 ready; ContainersNotReady: container web: runs, and is not ready yet", ""),
    ("ready", ["web healthy"], "", READY, ""),
    ("ready", ["web healthy", "web unhealthy"], "",
     "pod shop/web-x: Running, 0 of 1 ready; ContainersNotReady: container web: runs, and is not ready yet", ""),
    ("ready", ["web crashed x4, web came, web healthy"], "", f"{READY} (4 restarts)",
     "container web of pod shop/web-x ended and was started again"),
    ("live", ["web healthy", "web unhealthy"], "stop:web/30 start:web", f"{READY} (1 restart)",
     "pod shop/web-x: liveness probe of container web failed; it is restarted"),
    ("live", ["web unhealthy"], "stop:web/30 start:web", f"{READY} (1 restart)",
     "pod shop/web-x: liveness probe of container web failed; it is restarted; it was never healthy since its start: "
     "if it only starts slowly, give it a startupProbe"),
    ("slow", ["web unhealthy"], "stop:web/30 start:web",
     "pod shop/web-x: Running, 0 of 1 ready; ContainersNotReady: container web: runs, and is not ready yet (1 restart)",
     "pod shop/web-x: startup probe of container web failed; it is restarted"),
    ("task", ["web ended(0)"], "", "pod shop/web-x: Succeeded, 0 of 1 ready", "pod shop/web-x has succeeded"),
    ("task", ["web ended(3)"], "",
     "pod shop/web-x: Failed, 0 of 1 ready; ContainerFailed: container web ended with exit code 3",
     "pod shop/web-x has failed: container web ended with exit code 3"),
    ("task", ["web ended(0)", "web gone"], "", "pod shop/web-x: Succeeded, 0 of 1 ready", ""),
    ("task", ["web gone"], "",
     "pod shop/web-x: Failed, 0 of 1 ready; ContainerFailed: container web ended with exit code 137 "
     "(ContainerStatusUnknown)",
     "container web of pod shop/web-x was removed outside Pierhead; its restart policy is Never"),
    ("retry", ["web ended(0)"], "", "pod shop/web-x: Succeeded, 0 of 1 ready", "pod shop/web-x has succeeded"),
    ("short", ["web passed(61)"], "stop:web/30",
     "pod shop/web-x: Failed, 0 of 1 ready; DeadlineExceeded: the pod was active for longer than "
     "activeDeadlineSeconds (60 s)",
     "pod shop/web-x has failed: the pod was active for longer than activeDeadlineSeconds (60 s)"),
    ("two", ["pause gone"],
     "stop:web/30 rm:web stop:log/30 rm:log net pauseimg create:pause-1 start:pause-1 "
     "create:web-1 create:log-1 start:web-1 start:log-1",
     "pod shop/web-x: Running, 2 of 2 ready (2 restarts)",
     "the network container of pod shop/web-x was removed outside Pierhead; its containers are made again"),
    ("init", ["pause killed"],
     "stop:web/30 rm:web rm:prep rm:pause net pauseimg create:pause-1 start:pause-1 create:prep-1 start:prep-1 "
     "create:web-1 start:web-1", f"{READY} (2 restarts)",
     "the network container of pod shop/web-x has stopped; its containers are made again"),
    ("two", ["pause crashed, pause came"], "stop:web/30 stop:log/30 start:web start:log",
     "pod shop/web-x: Running, 2 of 2 ready (2 restarts)",
     "pod shop/web-x: the pod's network was made anew; container web is restarted to join it"),
    ("init", ["prep gone"], "", READY, ""),
    ("sidecar", ["proxy gone"], "create:proxy-1 start:proxy-1", "pod shop/web-x: Running, 2 of 2 ready (1 restart)",
     "container proxy of pod shop/web-x was removed outside Pierhead; it is made again"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "lines", "steps", "sentence", "event"), ROWS, ids=[f"{row[0]}: {'; '.join(row[1])}" for row in ROWS]
)
def test_what_happens_to_it(kind: str, lines: list[str], steps: str, sentence: str, event: str) -> None:
    _host, done = story(PODS[kind](), *lines)
    told = [one.message for one in done.events]
    assert brief(done.steps) == steps
    assert status_words("shop/web-x", done.plan.status) == sentence
    assert event in told if event else not [one for one in done.events if one.type == "Warning"]


ENDS = [
    ("one", 30, "stop:web/30 rm:web"),
    ("one", 0, "stop:web/0 rm:web"),
    ("files", 30, "stop:web/30 rm:web rmvol:tmp"),
    ("two", 30, "stop:web/30 stop:log/30 stop:pause/1 rm:web rm:log rm:pause"),
    ("sidecar", 30, "stop:web/30 stop:proxy/30 stop:pause/1 rm:web rm:prep rm:proxy rm:pause"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "grace", "steps"), ENDS, ids=[f"{row[0]} in {row[1]} s" for row in ENDS])
def test_a_deleted_pod(kind: str, grace: int, steps: str) -> None:
    host, running = story(PODS[kind]())
    done = turn(replace(running.desired, deleting_at=host.now, grace_seconds=grace), host)
    assert (brief(done.steps), done.plan.gone) == (steps, True)
    assert not host.boxes
    assert not host.volumes


def test_the_grace_period_is_shared_by_all_that_stop() -> None:
    host, running = story(PODS["sidecar"]())
    desired = replace(running.desired, deleting_at=host.now)
    first = turn_once(desired, host)
    assert brief(first.plan.steps) == "stop:web/30"
    host.now += 12
    assert brief(turn_once(first.desired, host).plan.steps).startswith("stop:proxy/18 stop:pause/1")


def turn_once(desired: PodDesired, host: Host) -> Turn:
    made = plan(desired, host)
    for step in made.steps:
        host.take(step)
    return Turn(replace(desired, previous=made.status), made, list(made.steps), list(made.events))


def test_while_an_init_container_runs_the_others_wait_for_it() -> None:
    waiting = turn(PODS["init"](), Host())
    words = "pod shop/web-x: Pending, 0 of 1 ready; PodInitializing: container prep: runs before the others"
    assert status_words("shop/web-x", waiting.plan.status) == words
    assert waiting.plan.status.containers[0].reason == "PodInitializing"


def test_an_init_container_that_fails_keeps_the_others_waiting_and_ends_a_pod_that_never_restarts() -> None:
    host = Host({"prep": 1})
    waiting = turn(PODS["init"](), host)
    assert brief(waiting.steps).endswith("create:prep start:prep")
    words = "pod shop/web-x: Pending, 0 of 1 ready; Error: container prep: ended with exit code 1 (1 restart)"
    assert status_words("shop/web-x", waiting.plan.status) == words
    failed = turn(pod(WEB, initContainers=[{"name": "prep"}], restartPolicy="Never"), Host({"prep": 1}))
    assert failed.plan.status.phase == "Failed"
    assert failed.plan.status.message == "container prep ended with exit code 1"


def test_read_only_looks_and_touches_nothing() -> None:
    host, running = story(PODS["one"]())
    host.kill("web")
    read = plan_pod(running.desired, host.observe(), cluster_id=CLUSTER, pulls={}, allow_start=False, now=NOW + 5)
    assert (read.steps, read.wake_at, read.status.ready) == ((), None, False)


def test_ready_since_is_kept_from_look_to_look_and_starts_anew_with_the_container() -> None:
    host, running = story(PODS["one"]())
    since = running.plan.status.ready_at
    host.now += 100
    assert turn(running.desired, host).plan.status.ready_at == since
    host.end("web", 1)
    host.restart("web")
    assert turn(running.desired, host).plan.status.ready_at == host.now


def test_a_network_that_was_half_rebuilt_when_the_control_plane_died_runs_its_init_containers_again() -> None:
    host, running = story(PODS["init"]())
    host.kill("pause")
    with pytest.raises(Killed):
        turn(running.desired, host, kill_after=4)
    assert not host.boxes
    steps = brief(turn(running.desired, host).steps)
    assert steps.endswith("create:prep-1 start:prep-1 create:web-1 start:web-1")


@pytest.mark.parametrize("what", [{"lifecycle": {"postStart": EXEC}}, {"startupProbe": EXEC}], ids=["hook", "probe"])
def test_a_sidecar_has_started_before_the_next_container_is_made(what: dict[str, object]) -> None:
    host = Host()
    done = turn(pod(WEB, initContainers=[{"name": "proxy", "restartPolicy": "Always", **what}]), host)
    if "startupProbe" in what:
        assert brief(done.steps).endswith("create:proxy start:proxy")
        host.box("proxy").health = "healthy"
        done = turn(done.desired, host)
        assert brief(done.steps) == "create:web start:web"
    else:
        assert brief(done.steps).endswith("create:proxy start:proxy hook:proxy create:web start:web")
    assert done.plan.status.ready
