"""A deleted pod leaves the routers before it is stopped; nothing else waits for them, and nobody waits for ever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.container import LABEL_CONTAINER, PAUSE_CONTAINER
from deployer.core.node import PodDesired, plan_pod
from deployer.core.pod_status import PodStatus
from tests.core.node.host import CLUSTER, Host, brief, plan, pod, turn
from tests.core.node.test_properties import SLOWLY, meddled

WEB = {"name": "web"}
PROXY = {"name": "proxy", "restartPolicy": "Always"}
DRAINING = ("Normal", "Draining", "pod shop/web-x leaves the routers before it is stopped")
KILLING = ("Normal", "Killing", "pod shop/web-x is deleted; it is stopped")
NOT_DRAINED = (
    "Warning",
    "NotDrained",
    "pod shop/web-x is stopped although not every router has let it go within 15 s; requests to it may fail",
)


def running(*containers: Mapping[str, object], **spec: object) -> tuple[PodDesired, Host]:
    host = Host({"prep": 0})
    return turn(pod(*containers, **spec), host).desired, host


def deleted(desired: PodDesired, host: Host, *, within: float = 15) -> PodDesired:
    """Deleted now; the routers have `within` seconds."""
    return replace(desired, deleting_at=host.now, released=False, release_by=host.now + within)


def test_it_is_held_until_the_routers_have_let_it_go_and_has_its_whole_grace_period_then() -> None:
    desired, host = running(WEB)
    held = turn(deleted(desired, host), host)
    assert (held.steps, held.plan.wake_at, held.plan.gone) == ([], held.desired.release_by, False)
    assert [(one.type, one.reason, one.message) for one in held.events] == [DRAINING]
    status = held.plan.status
    assert (status.ready, status.stopping_at, status.draining_at) == (False, 0, host.now)
    assert (status.reason, status.message) == ("Draining", "it leaves the routers before it is stopped")
    assert (status.phase, status.pod_ip) == ("Running", "10.0.0.1")
    assert PodStatus.from_dict(status.to_dict()) == status
    host.now += 5
    again = turn(held.desired, host)
    assert (again.steps, again.events, again.plan.status) == ([], [], status)
    host.now += 5
    done = turn(replace(again.desired, released=True), host)
    assert (brief(done.steps), done.plan.gone) == ("stop:web/30 rm:web", True)
    assert [(one.type, one.reason, one.message) for one in done.events] == [KILLING]


def test_it_is_stopped_at_the_latest_when_its_time_is_over_and_that_is_told_once() -> None:
    desired, host = running(WEB, initContainers=[PROXY])
    held = turn(deleted(desired, host), host)
    host.now = held.desired.release_by
    first = plan(held.desired, host)
    assert brief(first.steps) == "stop:web/30"
    assert [(one.type, one.reason, one.message) for one in first.events] == [NOT_DRAINED, KILLING]
    host.take(first.steps[0])
    done = turn(replace(held.desired, previous=first.status), host)
    assert (brief(done.steps), done.events) == ("stop:proxy/30 stop:pause/1 rm:web rm:proxy rm:pause", [])


def test_the_time_may_be_over_before_anybody_looked() -> None:
    desired, host = running(WEB)
    desired = deleted(desired, host)
    host.now += 60
    done = turn(desired, host)
    assert brief(done.steps) == "stop:web/30 rm:web"
    assert [one.reason for one in done.events] == ["NotDrained", "Killing"]


def test_what_has_begun_to_stop_is_not_held_again() -> None:
    desired, host = running(WEB, initContainers=[PROXY])
    desired = replace(deleted(desired, host), released=True)
    first = plan(desired, host)
    host.take(first.steps[0])
    again = plan(replace(desired, released=False, previous=first.status), host)
    assert brief(again.steps).startswith("stop:proxy/30")


def _kill(host: Host, *names: str) -> None:
    for name in names:
        host.kill(name)


UNHELD: list[tuple[str, dict[str, object], Callable[[Host], object], str]] = [
    ("never made", {}, lambda host: host.boxes.clear(), ""),
    ("ended", {}, lambda host: host.kill("web"), "rm:web"),
    ("over", {"restartPolicy": "Never"}, lambda host: host.end("web", 1), "rm:web"),
    ("only its network left", {"initContainers": [PROXY]}, lambda host: _kill(host, "web", "proxy"),
     "stop:pause/1 rm:web rm:proxy rm:pause"),
    ("out of time", {"activeDeadlineSeconds": 60}, lambda host: setattr(host, "now", host.now + 61),
     "stop:web/30 rm:web"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "happens", "steps"), [row[1:] for row in UNHELD], ids=[row[0] for row in UNHELD])
def test_what_gets_no_traffic_is_not_held(
    spec: dict[str, object], happens: Callable[[Host], object], steps: str
) -> None:
    desired, host = running(WEB, **spec)
    happens(host)
    done = turn(deleted(desired, host), host)
    assert (brief(done.steps), done.plan.gone) == (steps, True)
    assert not {one.reason for one in done.events} & {"Draining", "NotDrained"}


ALIVE: list[tuple[str, Callable[[Host], object]]] = [
    ("paused", lambda host: setattr(host.box("web"), "state", "paused")),
    ("restarting", lambda host: host.end("web", 1)),
    ("only a sidecar left", lambda host: host.kill("web")),
    ("not ready", lambda host: setattr(host.box("web"), "health", "unhealthy")),
]


@pytest.mark.parametrize("happens", [row[1] for row in ALIVE], ids=[row[0] for row in ALIVE])
def test_what_may_still_get_traffic_is_held(happens: Callable[[Host], object]) -> None:
    desired, host = running({**WEB, "readinessProbe": {"exec": {"command": ["/ok"]}}}, initContainers=[PROXY])
    happens(host)
    assert turn(deleted(desired, host), host).steps == []


@pytest.mark.parametrize(
    ("spec", "seconds", "steps"),
    [({}, 0, ""), ({"activeDeadlineSeconds": 60}, 61, "stop:web/30")],
    ids=["it runs", "its deadline has passed"],
)
def test_a_pod_that_is_not_deleted_is_not_held(spec: dict[str, object], seconds: float, steps: str) -> None:
    desired, host = running(WEB, **spec)
    host.now += seconds
    done = turn(replace(deleted(desired, host), deleting_at=0), host)
    assert brief(done.steps) == steps
    assert "Draining" not in {one.reason for one in done.events}


def test_that_it_drains_is_told_once_also_if_it_was_only_read_in_between() -> None:
    desired, host = running(WEB)
    held = turn(deleted(desired, host), host).desired
    read = plan_pod(held, host.observe(), cluster_id=CLUSTER, pulls={}, allow_start=False, now=host.now)
    assert turn(replace(held, previous=read.status), host).events == []


@SLOWLY
@given(meddled(), st.floats(0, 30))
def test_a_held_pod_is_left_alone(state: tuple[PodDesired, Host], later: float) -> None:
    """Nothing is stopped, removed or made while anything of it runs. Mutant: `released` is not asked."""
    desired, host = state
    desired = deleted(desired, host)
    boxes = [one for one in host.observe() if one.labels[LABEL_CONTAINER] != PAUSE_CONTAINER]
    alive = any(one.state in ("running", "paused", "restarting") for one in boxes)
    over = plan(replace(desired, deleting_at=0), host).status.phase in ("Succeeded", "Failed")
    host.now += later
    made = plan(desired, host)
    if alive and not over and later < 15:
        assert (made.steps, made.wake_at, made.status.ready) == ((), desired.release_by, False)
        assert not made.gone
    else:
        assert not [one for one in made.events if one.reason == "Draining"]


@SLOWLY
@given(meddled(), st.booleans())
def test_a_held_pod_ends_like_any_other(state: tuple[PodDesired, Host], released: bool) -> None:
    """Mutant: `release_by` is not asked."""
    desired, host = state
    held = turn(deleted(desired, host), host)
    host.now += 0 if released else 15
    done = turn(replace(held.desired, released=released), host)
    assert (done.plan.gone, host.boxes, host.volumes) == (True, {}, {})
