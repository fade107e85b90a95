"""What holds for every pod and every state of its host, whatever order, crash or meddling.

Each of these has been seen to fail on purpose: the mutants are named where they stand.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployer.core.actions import CreateContainer
from deployer.core.container import LABEL_ATTEMPT, LABEL_CONTAINER, LABEL_POD_UID, ContainerSpec
from deployer.core.network.values import ProbeKind, ProbeResult
from deployer.core.node import PodDesired, PodPlaced, attention, plan_pod, settled_digest
from deployer.core.pod_status import PodStatus
from tests.core.node.host import CLUSTER, UID, Box, Host, Killed, brief, plan, pod, turn

EXEC = {"exec": {"command": ["/ok"]}}
KINDS: tuple[ProbeKind, ...] = ("startup", "liveness", "readiness")
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
Actions = tuple[Mapping[str, object] | None, ...]
OURS: Actions = (None, EXEC)
ACTIONS: Actions = (None, *OURS, {"httpGet": {"port": 80}}, {"tcpSocket": {"port": 80}})
SLOWLY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MEDDLING = (
    "kill",
    "kill",
    "kill",
    "doubled",
    "gone",
    "paused",
    "renamed",
    "crash",
    "came",
    "unhealthy",
    "healthy",
    "probed",
    "probed",
    "later",
    "much later",
)


@st.composite
def pods(draw: st.DrawFn, actions: Actions = ACTIONS) -> PodDesired:
    """Pods of one to three containers, with init containers, sidecars, probes, hooks and volumes."""
    names = ["web", "log", "aux"][: draw(st.integers(1, 3))]
    return pod(
        *[_container(draw, name, actions) for name in names],
        initContainers=[
            {"name": "prep", **({"restartPolicy": "Always", **_probes(draw, actions)} if draw(st.booleans()) else {})}
            for _ in range(draw(st.integers(0, 1)))
        ],
        volumes=[{"name": "tmp", "emptyDir": {}}],
        restartPolicy=draw(st.sampled_from(["Always", "Always", "OnFailure", "Never"])),
        hostNetwork=draw(st.integers(0, 5)) == 0,
    )


def _container(draw: st.DrawFn, name: str, actions: Actions) -> dict[str, object]:
    container: dict[str, object] = {"name": name}
    if draw(st.booleans()):
        container["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    if draw(st.integers(0, 3)) == 0:
        container["lifecycle"] = {"postStart": EXEC}
    return {**container, **_probes(draw, actions)}


def _probes(draw: st.DrawFn, actions: Actions) -> dict[str, object]:
    drawn = {probe: draw(st.sampled_from(actions)) for probe in PROBES} if draw(st.booleans()) else {}
    return {probe: action for probe, action in drawn.items() if action is not None}


def programs(draw: st.DrawFn) -> dict[str, int | None]:
    ends = st.sampled_from([None, None, None, 0, 1])
    return {"prep": draw(st.sampled_from([0, 0, 1, None])), **{name: draw(ends) for name in ("web", "log", "aux")}}


@st.composite
def meddled(draw: st.DrawFn, actions: Actions = ACTIONS) -> tuple[PodDesired, Host]:
    """A pod that was started, and a host on which things have happened since."""
    desired, host = draw(pods(actions)), Host(programs(draw))
    for what in draw(st.lists(st.tuples(st.sampled_from(MEDDLING), st.integers(0, 4)), max_size=6)):
        desired = turn(desired, host).desired
        happen(host, *what)
        if what[0] == "probed":
            desired = replace(desired, probes=draw(results(host)))
    if draw(st.integers(0, 4)) == 0:
        desired = replace(desired, previous=None)
    return desired, host


@st.composite
def results(draw: st.DrawFn, host: Host) -> tuple[ProbeResult, ...]:
    """What a router may have found, of containers as they run now, or as they ran before."""
    found = []
    for box in host.boxes.values():
        for kind in draw(st.lists(st.sampled_from(KINDS), unique=True)):
            started_at = box.started_at - draw(st.sampled_from([0, 0, 0, 0.5]))
            passing = draw(st.sampled_from([None, True, True, False]))
            found.append(ProbeResult(box.spec.labels[LABEL_CONTAINER], kind, started_at, passing, "it said so"))
    return tuple(found)


def happen(host: Host, what: str, index: int) -> None:
    host.now += {"later": 15.0, "much later": 700.0}.get(what, 0.5)
    boxes = list(host.boxes.values())
    if not boxes:
        return
    box = boxes[index % len(boxes)]
    name = box.spec.labels[LABEL_CONTAINER]
    changes: dict[str, Callable[[], object]] = {
        "kill": lambda: host.kill(name) if box.state in ("running", "restarting") else None,
        "gone": lambda: host.boxes.pop(box.name),
        "paused": lambda: setattr(box, "state", "paused") if box.state == "running" else None,
        "renamed": lambda: _rename(host, box),
        "doubled": lambda: _double(host, box),
        "crash": lambda: host.end(name, 1) if box.state == "running" else None,
        "came": lambda: host.restart(name) if box.state == "restarting" else None,
        "unhealthy": lambda: setattr(box, "health", "unhealthy") if box.health else None,
        "healthy": lambda: setattr(box, "health", "healthy") if box.health else None,
    }
    changes.get(what, lambda: None)()


def _rename(host: Host, box: Box) -> None:
    host.boxes[f"other-{box.id}"] = host.boxes.pop(box.name)
    box.name = f"other-{box.id}"


def _double(host: Host, box: Box) -> None:
    """A newer attempt was created by a control plane that died before it removed the older one."""
    attempt = int(box.spec.labels[LABEL_ATTEMPT]) + 1
    name = f"{box.spec.name.rpartition('-')[0]}-{attempt}"
    spec = replace(box.spec, name=name, labels={**box.spec.labels, LABEL_ATTEMPT: str(attempt)})
    host.made += 1
    host.boxes.setdefault(name, Box(f"id-{host.made:04}", spec, name, box.outcome))


@SLOWLY
@given(meddled())
def test_a_plan_applied_leads_to_an_empty_plan(state: tuple[PodDesired, Host]) -> None:
    """`turn` fails when steps never end. Mutant: the hook's start time is not remembered."""
    desired, host = state
    done = turn(desired, host)
    again = plan(done.desired, host)
    assert brief(again.steps) == ""
    assert again.status == done.plan.status, "a steady status changes from look to look"
    assert not [one for one in again.events if one.reason != "Started"]


@SLOWLY
@given(meddled(), st.randoms(use_true_random=False))
def test_the_order_of_what_is_seen_does_not_matter(state: tuple[PodDesired, Host], random: object) -> None:
    """Mutant: `look` takes the first container of a name rather than the newest."""
    desired, host = state
    first = plan(desired, host)
    shuffled = list(host.boxes.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    host.boxes = dict(shuffled)
    assert plan(desired, host) == first


@SLOWLY
@given(meddled(), st.integers(0, 12))
def test_a_crash_between_two_steps_comes_to_the_same(state: tuple[PodDesired, Host], after: int) -> None:
    """The second control plane knows what was stored before the first began, and finds what it left behind.

    Mutant: surplus containers are left where they are.
    """
    desired, host = state
    try:
        turn(desired, host, kill_after=after)
    except Killed:
        pass
    else:
        return
    resumed = turn(desired, host)
    assert_as_it_should_be(resumed.plan.status, host)


@SLOWLY
@given(meddled())
def test_what_is_unfinished_has_a_step_a_time_or_an_event_to_wait_for(state: tuple[PodDesired, Host]) -> None:
    """Mutant: a crash loop's back-off without a `wake_at`."""
    desired, host = state
    done = turn(desired, host)
    assert_as_it_should_be(done.plan.status, host)
    for one in () if done.plan.status.phase in ("Succeeded", "Failed") else done.plan.status.all_containers():
        if one.is_init and done.plan.status.initialized:
            continue  # not needed any more
        if one.state == "terminated" or (one.state == "running" and not one.reason):
            continue  # over, or its health's next change is an event
        if one.engine_state == "restarting":
            continue  # the engine starts it: an event
        if one.reason == "PodInitializing" or (one.name == "prep" and one.state == "running"):
            continue  # the init container's end is an event
        assert done.plan.wake_at is not None, one


def assert_as_it_should_be(status: PodStatus, host: Host) -> None:
    """Every container of a pod that is not over runs, or says why not."""
    if status.phase in ("Succeeded", "Failed"):
        assert all(box.state not in ("running", "paused", "restarting") for box in host.boxes.values())
        return
    names = [box.spec.labels[LABEL_CONTAINER] for box in host.boxes.values()]
    assert len(names) == len(set(names)), "a container was doubled"
    for one in (*(() if status.initialized else status.init_containers), *status.containers):
        assert one.state == "running" or one.reason, one
        box = next((box for box in host.boxes.values() if box.spec.labels[LABEL_CONTAINER] == one.name), None)
        if one.state == "running":
            assert box is not None
            assert box.state == "running"
            assert box.name.startswith("pierhead-shop-web-x-") or "restarting" in {
                one.state for one in host.boxes.values()
            }


@SLOWLY
@given(meddled(), st.booleans())
def test_strangers_are_never_touched(state: tuple[PodDesired, Host], deleted: bool) -> None:
    """Mutant: `_is_own` looks at the cluster alone."""
    desired, host = state
    strangers = [
        Box("x1", ContainerSpec("a", "b", {LABEL_POD_UID: UID, LABEL_CONTAINER: "web"}), "a", None, state="running"),
        Box("x2", ContainerSpec("b", "b", {"pierhead.io/cluster": CLUSTER, LABEL_CONTAINER: "web"}), "b", None),
    ]
    host.boxes |= {one.name: one for one in strangers}
    if deleted:
        desired = replace(desired, deleting_at=host.now)
    turn(desired, host)
    assert not {getattr(step, "name", "") for step in host.done} & {"a", "b"}
    assert all(host.boxes[one.name] is one for one in strangers)


@SLOWLY
@given(meddled(), st.integers(0, 12))
def test_a_deleted_pod_leaves_nothing_even_if_its_end_is_interrupted(
    state: tuple[PodDesired, Host], after: int
) -> None:
    """Mutant: volumes are removed only together with containers."""
    desired, host = state
    desired = replace(desired, deleting_at=host.now)
    with contextlib.suppress(Killed):
        turn(desired, host, kill_after=after)
    done = turn(desired, host)
    assert (done.plan.gone, host.boxes, host.volumes) == (True, {}, {})


@SLOWLY
@given(meddled())
def test_a_settled_pod_is_passed_over_and_every_change_is_noticed(state: tuple[PodDesired, Host]) -> None:
    """Mutant: the digest leaves out the state."""
    desired, host = state
    status = turn(desired, host).plan.status
    placed = PodPlaced(UID, settled=settled_digest(host.observe()), started_at=status.last_start_at)
    assert not attention([placed], host.observe(), frozenset(), host.now).pods
    for box in host.boxes.values():
        before, box.state = box.state, "exited" if box.state == "running" else "running"
        assert attention([placed], host.observe(), frozenset(), host.now).pods == {UID}
        box.state = before


@SLOWLY
@given(meddled())
def test_a_status_survives_its_json(state: tuple[PodDesired, Host]) -> None:
    """Mutant: a field is left out of `_MEMORY`."""
    desired, host = state
    status = turn(desired, host).plan.status
    assert PodStatus.from_dict(status.to_dict()) == status


@SLOWLY
@given(meddled(), st.floats(0.001, 1000), st.booleans())
def test_a_result_of_another_run_never_counts(state: tuple[PodDesired, Host], by: float, later: bool) -> None:
    """Mutant: `_routed` compares the container and the kind alone."""
    desired, host = state
    stale = [replace(one, started_at=one.started_at + (by if later else -by)) for one in desired.probes]
    runs = {(box.spec.labels[LABEL_CONTAINER], box.started_at) for box in host.boxes.values()}
    probes = tuple(one for one in stale if (one.container, one.started_at) not in runs)
    assert plan(replace(desired, probes=probes), host) == plan(replace(desired, probes=()), host)


@SLOWLY
@given(meddled(OURS), st.data())
def test_without_a_probe_of_its_own_the_router_has_no_say(state: tuple[PodDesired, Host], data: st.DataObject) -> None:
    """Pods whose probes are all exec, or that have none, are kept as if there were no router.

    Mutant: `probe_findings` takes the router's result for an exec probe.
    """
    desired, host = state
    told = replace(desired, probes=data.draw(results(host)), router_problem="it is not there")
    assert plan(told, host) == plan(replace(desired, probes=()), host)


@SLOWLY
@given(meddled(), st.data())
def test_a_pod_that_is_only_read_is_told_as_if_it_were_kept(
    state: tuple[PodDesired, Host], data: st.DataObject
) -> None:
    """Its running containers. Mutant: `_read` leaves out `with_findings`."""
    desired, host = state
    told = replace(turn(desired, host).desired, probes=data.draw(results(host)))
    kept = plan(told, host)
    if kept.steps:
        return
    read = plan_pod(told, host.observe(), cluster_id=CLUSTER, pulls={}, allow_start=False, now=host.now)
    shown = [
        [(one.name, one.ready, one.started, one.message) for one in status.containers if one.state == "running"]
        for status in (kept.status, read.status)
    ]
    assert shown[0] == shown[1]


@SLOWLY
@given(st.text(alphabet="abcdefgh0123", min_size=12, max_size=20))
def test_no_secret_is_shown_by_anything(secret: str) -> None:
    """Mutant: `ContainerSpec.command` is part of the repr."""

    container = {
        "name": "web",
        "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "p"}}}],
        "args": ["--password=$(P)"],
        "volumeMounts": [{"name": "keys", "mountPath": "/keys"}, {"name": "keys", "mountPath": "/one", "subPath": "p"}],
    }
    volumes = [{"name": "keys", "secret": {"secretName": "db"}}]
    desired = replace(pod(container, volumes=volumes), config={("Secret", "db"): {"p": secret.encode()}})
    made = plan(desired, Host())
    shown = f"{desired!r} {made!r} {made.status.to_dict()}"
    assert secret not in shown
    create = next(step for step in made.steps if isinstance(step, CreateContainer))
    assert create.spec.command == (f"--password={secret}",)
    assert secret not in str(create.spec.labels)
