"""Image policies, from the registry to what runs: committed to Git, or pinned; in time, and never sooner."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from control.models import Application, AuditEntry, Deployment, Event, ImagePolicy, Repository, Secret, Sync
from control.store import clock, image_hints, image_policies, objects
from deployer.ports import RegistryError
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
WHOLE = "docker.io/shop/web"
TOKEN = "QW5uOnNlY3JldA=="  # Ann:secret


def manifest(policy: str, image: str = "shop/web:1.0.0", name: str = "web", **more: Any) -> str:
    return web(name, replicas=1, image=image, annotations=f'{{pierhead.io/image-policy: "{policy}"}}', **more)


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)  # without hosts: what a policy leads to is a revision
    world.registry.put(WHOLE, "1.0.0")
    return world


def policy() -> ImagePolicy:
    return ImagePolicy.objects.get()


def image(name: str = "web") -> str:
    return str(Deployment.objects.get(name=name).spec["template"]["spec"]["containers"][0]["image"])


def in_force() -> str:
    """The image of the revision that should run."""
    row = Deployment.objects.get(name="web")
    found = row.replica_sets.get(template_hash=row.live_hash).spec["template"]["spec"]["containers"]
    return str(found[0]["image"])


def later(world: World, seconds: float) -> None:
    """What happens at the end of that time, without all that would have happened meanwhile."""
    world.clock.at += seconds
    world.settle()


def test_a_newer_version_is_committed_and_comes_back_as_any_commit(world: World) -> None:
    world.push(manifest("web=semver:^1") + "# the end\n")
    world.settle()
    assert policy().why == "1.0.0 is the newest within semver:^1"
    world.registry.put(WHOLE, "1.1.0", "2.0.0")
    later(world, 660)
    sha, files, info = world.source.commits[-1]
    assert files["0.yaml"] == manifest("web=semver:^1", "shop/web:1.1.0") + "# the end\n", "one scalar, no more"
    assert info.message == (
        "Update shop/web: shop/web:1.0.0 -> 1.1.0\n\n"
        "- Deployment shop/web, container web: shop/web:1.0.0 -> shop/web:1.1.0 (semver:^1)\n"
    )
    assert (image(), in_force()) == ("shop/web:1.1.0", "shop/web:1.1.0")
    assert Application.objects.get().commit == sha
    last = Sync.objects.latest("id")
    assert (last.phase, last.commit_message.partition("\n")[0]) == (Sync.SUCCEEDED, info.message.partition("\n")[0])
    assert (policy().found, policy().wanted, policy().commit) == ("1.1.0", "", sha)
    assert AuditEntry.objects.get().detail == f"shop/web:1.0.0 -> shop/web:1.1.0 committed as {sha[:7]} (semver:^1)"
    assert len(world.source.commits) == 2
    later(world, 1300)
    assert len(world.source.commits) == 2, "what is in force is not committed again"
    assert policy().why == "1.1.0 is the newest within semver:^1"


def test_a_registry_is_never_asked_faster_than_the_policy_says(world: World) -> None:
    world.push(manifest("web=semver:^1, every 30m"))
    world.settle()
    later(world, 1700)
    assert len(world.registry.asked) == 1
    world.push(manifest("web=semver:^2, every 30m"))  # commits, wake-ups and new workers change nothing of it
    world.work.wake("images", Deployment.objects.get().uid)
    world.new_worker()
    later(world, 80)
    assert len(world.registry.asked) == 1
    later(world, 30)
    assert len(world.registry.asked) == 2
    assert policy().why == "none of the registry's tags is within semver:^2"


def test_a_clock_that_was_set_back_delays_no_look_by_more_than_the_interval(world: World) -> None:
    world.push(manifest("web=semver:^1"))
    world.settle()
    world.clock.at -= 86400
    clock.set_right(-86400, world.clock.now())
    later(world, 601)
    assert len(world.registry.asked) == 2


def test_one_that_asks_for_peace_gets_it(world: World) -> None:
    words = "docker.io asks for fewer requests"
    world.registry.failure = RegistryError("TooManyRequests", words, retry_after_seconds=7200)
    world.push(manifest("web=semver:^1"))
    world.settle()
    later(world, 7100)
    assert len(world.registry.asked) == 1
    assert (policy().failing, policy().why) == (True, words)
    assert Event.objects.filter(reason="ImageNotFollowed").count() == 1
    world.registry.failure = None
    later(world, 200)
    assert policy().failing is False
    assert in_force() == "shop/web:1.0.0"


def test_several_updates_of_a_repository_are_one_commit(world: World) -> None:
    world.registry.put("docker.io/shop/api", "5")
    world.push(manifest("web=semver:^1"), manifest("api=newest:{number}", "shop/api:5", "api"))
    world.settle()
    world.registry.put(WHOLE, "1.2.0")
    world.registry.put("docker.io/shop/api", "7", "6")
    hold = Deployment.objects.values_list("uid", flat=True)
    world.clock.at += 601
    for uid in hold:
        world.run("images", uid)
    world.settle()
    assert len(world.source.commits) == 2
    assert world.source.commits[-1][2].message.splitlines() == [
        "Update 2 images",
        "",
        "- Deployment shop/api, container api: shop/api:5 -> shop/api:7 (newest:{number})",
        "- Deployment shop/web, container web: shop/web:1.0.0 -> shop/web:1.2.0 (semver:^1)",
    ]
    assert (image("web"), image("api")) == ("shop/web:1.2.0", "shop/api:7")


def found_newer(world: World, rule: str = "web=semver:^1") -> None:
    """Up to where a newer image is wanted, and not yet committed."""
    world.push(manifest(rule))
    world.settle()
    world.registry.put(WHOLE, "1.1.0")
    world.clock.at += 601
    world.run("images", Deployment.objects.get().uid)
    assert policy().wanted == "shop/web:1.1.0"


def test_a_race_that_is_lost_is_run_again_on_what_won_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found_newer(world)
    commit, tries = world.source.commit, []

    def raced(repository: Any, parent: str, *rest: Any) -> str:
        tries.append(parent)
        if len(tries) == 1:
            world.source.push({"0.yaml": manifest("web=semver:^1", spec="minReadySeconds: 1")}, "hers", 0.0)
        return commit(repository, parent, *rest)

    monkeypatch.setattr(world.source, "commit", raced)
    world.settle()
    assert len(tries) == 2
    assert world.source.commits[-1][1]["0.yaml"] == manifest(
        "web=semver:^1", "shop/web:1.1.0", spec="minReadySeconds: 1"
    )
    assert image() == "shop/web:1.1.0"


def test_a_server_that_takes_no_push_is_told_once_and_asked_again(world: World) -> None:
    found_newer(world)
    world.source.failure = "git.example.com/all.git: the server does not take a push (hook declined)"
    later(world, 400)
    assert policy().why == f"shop/web:1.1.0 waits to be committed: {world.source.failure}"
    assert Event.objects.filter(reason="ImageNotCommitted").count() == 1
    assert Event.objects.get(reason="ImageNotCommitted").count == 1
    assert in_force() == "shop/web:1.0.0"
    world.source.failure = ""
    later(world, 400)
    assert image() == "shop/web:1.1.0"


def test_what_git_says_by_now_is_not_overwritten(world: World) -> None:
    found_newer(world)
    world.source.push({"0.yaml": manifest("web=semver:^1", "shop/web:1.0.5")}, "hers", 0.0)
    world.run("imagecommit", Repository.objects.get().uid)
    assert "the image of web is not shop/web:1.0.0 in Git any more" in policy().why
    assert len(world.source.commits) == 2
    later(world, 1300)
    assert image() == "shop/web:1.1.0", "from where it is then"


def test_killed_after_the_push_he_finds_his_image_in_git(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    found_newer(world)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(image_policies, "committed", killed)
        patch.setattr(world.work, "release", killed)
        with pytest.raises(KeyboardInterrupt):
            world.run("imagecommit", Repository.objects.get().uid)
    assert len(world.source.commits) == 2
    world.new_worker()
    later(world, 60)
    assert len(world.source.commits) == 2
    assert policy().wanted == ""
    assert image() == "shop/web:1.1.0"


def test_a_pinned_application_waits_for_its_person(world: World) -> None:
    world.push(manifest("web=semver:^1"))
    world.settle()
    row = Application.objects.get()
    pin = {"commit": row.commit, "skipped_commit": row.commit, "skipped_tree": row.tree, "by": "ann", "at": 1.0}
    pinned(pin)
    world.registry.put(WHOLE, "1.1.0")
    later(world, 660)
    assert policy().why == f"application shop is pinned to {row.commit[:7]}: resume it; 1.1.0 waits"
    assert len(world.source.commits) == 1
    pinned({})
    later(world, 660)
    assert image() == "shop/web:1.1.0"


def pinned(pin: dict[str, Any]) -> None:
    Application.objects.update(pin=pin)
    objects.touch("Application", "", "shop")


def test_a_digest_is_pinned_as_a_new_revision(world: World) -> None:
    world.registry.put(WHOLE, "main", content="a")
    first = world.registry.held[WHOLE]["main"]
    world.push(manifest("web=digest", "shop/web:main"))
    world.settle()
    assert policy().why == f"main is {first[:19]}: followed from now on"
    assert in_force() == "shop/web:main"
    world.registry.put(WHOLE, "main", content="b")
    second = world.registry.held[WHOLE]["main"]
    later(world, 700)
    assert in_force() == f"shop/web:main@{second}"
    assert image() == "shop/web:main", "Git says what it said"
    assert len(world.source.commits) == 1
    assert Event.objects.get(reason="ImagePinned").message == f"container web: pinned to main at {second[:19]} (digest)"
    assert AuditEntry.objects.get().action == "image pin"
    assert {one.revision for one in Deployment.objects.get().replica_sets.all()} == {1, 2}
    later(world, 700)
    assert policy().why == f"main still is {second[:19]}"
    assert Deployment.objects.get().replica_sets.count() == 2


def test_a_pin_goes_with_its_policy_and_with_the_image_that_it_stands_for(world: World) -> None:
    world.registry.put(WHOLE, "main", content="a")
    world.push(manifest("web=digest", "shop/web:main"))
    world.settle()
    world.registry.put(WHOLE, "main", content="b")
    later(world, 700)
    assert Deployment.objects.get().image_pins
    world.push(manifest("web=digest", "shop/web:1.0.0"))
    later(world, 120)
    assert Deployment.objects.get().image_pins == {}
    assert in_force() == "shop/web:1.0.0"
    world.push(web(replicas=1, image="shop/web:main"))
    later(world, 120)
    assert not ImagePolicy.objects.exists()
    assert in_force() == "shop/web:main"


def test_the_registry_is_asked_with_the_pulls_credentials(world: World) -> None:
    secret = Secret(namespace="shop", name="hub", spec={"type": "kubernetes.io/dockerconfigjson"})
    config = json.dumps({"auths": {"https://index.docker.io/v1/": {"auth": TOKEN}}})
    secret.sealed.store({".dockerconfigjson": base64.b64encode(config.encode()).decode()})
    secret.save()
    world.push(manifest("web=semver:^1", pod="imagePullSecrets: [{name: hub}]"))
    world.settle()
    assert world.registry.asked == [(WHOLE, "Ann")]


def test_a_hint_makes_those_due_that_follow_the_image(world: World) -> None:
    world.push(manifest("web=semver:^1"), manifest("api=semver:^1", "ghcr.io/shop/api:1.0.0", "api"))
    world.settle()
    later(world, 30)
    world.registry.put(WHOLE, "1.1.0")
    world.registry.asked.clear()
    repository = Repository.objects.get().uid
    pushed = [(repository, WHOLE), (repository, "docker.io/other/x")]
    web_uid = Deployment.objects.get(name="web").uid
    assert image_hints.hint([("elsewhere", WHOLE)], world.work.wake, world.clock.now()) == []
    assert image_hints.hint(pushed, world.work.wake, world.clock.now()) == [web_uid]
    world.settle()
    assert world.registry.asked == [(WHOLE, "")]
    assert image() == "shop/web:1.1.0"
    assert image_hints.hint(pushed, world.work.wake, world.clock.now()) == [web_uid]
    world.settle()
    assert world.registry.asked == [(WHOLE, "")], "a second word within seconds waits"
