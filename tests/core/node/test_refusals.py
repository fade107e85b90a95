"""What is missing or refused: images, config, names, ports, hooks. Each waits with a word, a sentence and a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from deployer.core.actions import CreateContainer, EnsureVolume
from deployer.core.container import ImageSeen
from deployer.core.node import PodDesired, PullFailure, pull_failed, step_failed
from deployer.core.pod_volumes import volume_name
from tests.core.node.host import IMAGES, NOW, Host, brief, plan, pod, turn

WEB = {"name": "web"}


def failure(image: str, reason: str, failures: int = 1, wait: float = 10) -> dict[str, PullFailure]:
    return {image: PullFailure(image, reason, f"no {image}", failures, NOW + wait)}


IMAGE_ROWS = [
    ("pinned and absent", {}, {}, "img:app:1 net create:web start:web", "ContainerCreating", None),
    ("just failed", {}, failure("app:1", "PullDenied"), "", "ErrImagePull", 10),
    ("failed twice", {}, failure("app:1", "RegistryUnreachable", 2, 20), "", "ImagePullBackOff", 20),
    ("must be there", {}, failure("app:1", "ErrImageNeverPull"), "", "ErrImageNeverPull", 10),
    ("bad name", {}, failure("app:1", "InvalidImageName", 4), "", "InvalidImageName", 10),
    ("due again", {}, failure("app:1", "PullDenied", wait=-1), "img:app:1 net create:web start:web",
     "ContainerCreating", None),
    ("there by its pin", {IMAGES["app:1"]: ImageSeen("sha256:1")}, {}, "net create:web start:web",
     "ContainerCreating", None),
    ("there by its digest", {"other": ImageSeen("sha256:1", (), (IMAGES["app:1"],))}, {}, "net create:web start:web",
     "ContainerCreating", None),
    ("there, so an old failure is nothing", {IMAGES["app:1"]: ImageSeen("sha256:1")}, failure("app:1", "PullDenied"),
     "net create:web start:web", "ContainerCreating", None),
    ("another is there", {"side:1": ImageSeen("sha256:2")}, {}, "img:app:1 net create:web start:web",
     "ContainerCreating", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("present", "pulls", "steps", "reason", "wait"), [row[1:] for row in IMAGE_ROWS], ids=[row[0] for row in IMAGE_ROWS]
)
def test_images(
    present: Mapping[str, ImageSeen], pulls: Mapping[str, PullFailure], steps: str, reason: str, wait: float | None
) -> None:
    made = plan(pod(WEB), Host(images=dict(present)), pulls)
    assert (brief(made.steps), made.seen.containers[0].reason) == (steps, reason)
    assert made.wake_at == (None if wait is None else NOW + wait)


def test_an_image_without_a_pin_is_resolved_before_anything_is_created() -> None:
    desired = replace(pod(WEB), images={})
    assert brief(plan(desired, Host()).steps) == "img:app:1"
    there = Host(images={"app:1": ImageSeen("sha256:77")})
    create = next(step for step in plan(desired, there).steps if isinstance(step, CreateContainer))
    assert create.spec.image == "sha256:77"
    always = replace(pod({**WEB, "imagePullPolicy": "Always"}), images={})
    assert brief(plan(always, there).steps) == "img:app:1"


def test_one_missing_image_does_not_keep_the_other_container_from_starting() -> None:
    made = turn(pod(WEB, {"name": "log", "image": "side:1"}), Host(), pulls=failure("side:1", "PullDenied"))
    assert brief(made.steps) == "img:app:1 net pauseimg create:pause start:pause create:web start:web"
    assert [one.reason for one in made.plan.status.containers] == ["", "ErrImagePull"]
    assert made.plan.status.message == "container log: no side:1"


@pytest.mark.parametrize(("times", "wait"), [(1, 10), (2, 20), (3, 40), (6, 300), (40, 300)])
def test_pulls_back_off(times: int, wait: float) -> None:
    failed: PullFailure | None = None
    for _ in range(times):
        failed = pull_failed(failed, "app:1", "PullDenied", "denied", now=NOW)
    assert failed == PullFailure("app:1", "PullDenied", "denied", times, NOW + wait)


SECRET = {"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}
CONFIG_ROWS = [
    ({}, "containers[web].env[P].secretKeyRef: Secret shop/db does not exist; create it"),
    ({("Secret", "db"): {"user": b"x"}}, "containers[web].env[P].secretKeyRef: Secret shop/db has no key password; "
     "add it"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "sentence"), CONFIG_ROWS)
def test_missing_config_names_object_key_and_field_and_is_enough_when_it_appears(
    config: Mapping[tuple[str, str], Mapping[str, bytes]], sentence: str
) -> None:
    host = Host()
    waiting = turn(replace(pod({**WEB, "env": [SECRET]}), config=config), host)
    assert brief(waiting.steps) == "img:app:1"
    status = waiting.plan.status.containers[0]
    assert (status.reason, status.message) == ("CreateContainerConfigError", sentence)
    assert [one.message for one in waiting.events][-1].endswith(sentence)
    there = replace(waiting.desired, config={("Secret", "db"): {"password": b"hush"}})
    assert brief(turn(there, host).steps) == "net create:web start:web"


REFUSALS = [
    ("CreateContainer", "BadMount", "CreateContainerError"),
    ("CreateContainer", "CreateContainerConfigError", "CreateContainerConfigError"),
    ("StartContainer", "PortTaken", "RunContainerError"),
    ("EnsureNetwork", "EngineFailed", "ContainerCreating"),
    ("EnsureVolume", "EngineFailed", "ContainerCreating"),
]


@pytest.mark.parametrize(("step", "reason", "shown"), REFUSALS)
def test_a_refused_step_is_told_waits_longer_each_time_and_is_forgotten_once_done(
    step: str, reason: str, shown: str
) -> None:
    desired = pod(
        {**WEB, "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}, volumes=[{"name": "tmp", "emptyDir": {}}]
    )
    host = Host(refuses={step: reason})
    for wait in (1, 2, 4):
        done = turn(desired, host)
        assert (done.plan.status.containers[0].reason, done.plan.wake_at) == (shown, host.now + wait)
        assert "the engine said no" in done.plan.status.message
        host.now, desired = host.now + wait, done.desired
    host.refuses = {}
    done = turn(desired, host)
    assert (done.plan.status.ready, done.plan.status.failures) == (True, {})


def test_a_name_that_a_stranger_holds_is_passed_over() -> None:
    host = Host(refuses={"CreateContainer": "NameConflict"})
    first = plan(pod(WEB), host)
    assert "create:web " in brief(first.steps)
    status = step_failed(pod(WEB), first, first.steps[-2], "NameConflict", "taken", now=NOW)
    host.refuses = {}
    assert brief(turn(replace(pod(WEB), previous=status), host).steps).endswith("create:web-1 start:web-1")


def test_what_was_not_done_is_not_remembered_as_done() -> None:
    """A failed step ends the list: the hook behind it was not run, and is run in the next turn."""
    hooked = {"lifecycle": {"postStart": {"exec": {"command": ["/hook"]}}}}
    desired = pod({**WEB, **hooked}, {"name": "log", "image": "side:1", **hooked})
    host = Host(refuses={"RunHook": "PostStartHookError"})
    failed = turn(desired, host)
    assert not host.hooks
    assert not failed.plan.status.ready
    host.refuses, host.now = {}, host.now + 400
    done = turn(failed.desired, host)
    assert sorted(host.hooks) == ["pierhead-shop-web-x-log-0", "pierhead-shop-web-x-web-0"]
    host.now += 60
    assert turn(done.desired, host).plan.status.ready


def test_a_hook_is_run_after_each_start_also_one_by_the_engine() -> None:
    host = Host()
    done = turn(pod({**WEB, "lifecycle": {"postStart": {"sleep": {"seconds": 1}}}}), host)
    host.end("web", 1)
    done = turn(done.desired, host)
    host.restart("web")
    done = turn(done.desired, host)
    assert brief(done.steps) == "hook:web"
    assert len(host.hooks) == 2


def test_a_pod_whose_records_were_lost_is_adopted_without_a_step() -> None:
    hook = {"lifecycle": {"postStart": {"exec": {"command": ["/hook"]}}}}
    desired = pod({**WEB, **hook}, {"name": "log", "image": "side:1"}, initContainers=[{"name": "prep"}])
    host = Host({"prep": 0})
    turn(desired, host)
    host.now += 3600
    host.images = {}
    adopted = turn(replace(desired, previous=None, config={}, images={}), host)
    assert brief(adopted.steps) == ""
    assert adopted.plan.status.ready


def config_pod(**annotations: str) -> PodDesired:
    volume = {"name": "conf", "configMap": {"name": "app"}}
    mounting = {**WEB, "volumeMounts": [{"name": "conf", "mountPath": "/etc/app"}]}
    return replace(
        pod(mounting, volumes=[volume]),
        annotations=annotations,
        config={("ConfigMap", "app"): {"a.txt": b"one"}},
    )


@pytest.mark.parametrize(
    ("annotations", "steps"), [({}, ""), ({"pierhead.io/config-rollout": "off"}, "vol:conf")], ids=["rolls", "in place"]
)
def test_new_content_is_written_in_place_only_where_no_rollout_brings_it(
    annotations: dict[str, str], steps: str
) -> None:
    host = Host()
    desired = config_pod(**annotations)
    running = turn(desired, host)
    changed = replace(running.desired, config={("ConfigMap", "app"): {"a.txt": b"two"}})
    done = turn(changed, host)
    assert brief(done.steps) == steps
    assert brief(turn(done.desired, host).steps) == ""
    written = host.volumes[volume_name(changed, changed.spec.volumes[0])]
    assert [one.data for one in written] == [b"two" if steps else b"one"]


def test_content_that_could_not_be_written_is_written_later() -> None:
    host = Host()
    desired = config_pod(**{"pierhead.io/config-rollout": "off"})
    running = turn(desired, host)
    changed = replace(running.desired, config={("ConfigMap", "app"): {"a.txt": b"two"}})
    host.refuses = {EnsureVolume.__name__: "EngineFailed"}
    failed = turn(changed, host)
    host.refuses, host.now = {}, host.now + 2
    assert brief(turn(failed.desired, host).steps) == "vol:conf"


def test_an_object_that_has_gone_leaves_what_was_written() -> None:
    host = Host()
    running = turn(config_pod(**{"pierhead.io/config-rollout": "off"}), host)
    assert brief(turn(replace(running.desired, config={}), host).steps) == ""
