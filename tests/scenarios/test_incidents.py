"""What fails is told once, whatever retries it; what is over is told to those who heard of it; nothing is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from control.models import Application, Incident, Node, Notice, NotificationChannel, Repository, Work
from control.store import heartbeats, notices, objects, resync
from deployer.core.survival.guards import Verdict
from deployer.core.survival.states import DEAD, READY
from deployer.ports import NotifyError
from tests.control import factories
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
REFUSED = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec: {replica: 3}\n"
CRASH = "sh, -c, exit 1"
FINE = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: fine}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    """No host is needed for a commit to be refused."""
    world = World(tmp_path)
    world.push(FINE)
    world.settle()
    return world


@pytest.fixture
def running(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.add_node("a")
    repository = Repository(name="shop", url="https://github.com/octo/shop", poll_seconds=10)
    repository.credentials.store({"token": "s3cr3t"})
    repository.save()
    world.push(web(replicas=1))
    world.pass_time(8)
    assert world.ready() == 1
    return world


def channel(name: str = "ops", **fields: Any) -> NotificationChannel:
    row = NotificationChannel(name=name, shown="json://ops", **fields)
    row.address.store({"url": f"json://{name}"})
    row.save()
    return row


def broken(world: World, message: str = "a change") -> str:
    return world.push(FINE, REFUSED, message=message)


def test_a_refused_commit_is_told_once_whatever_asks_again(world: World) -> None:
    channel()
    sha = broken(world, "Scale\n\nup")
    world.pass_time(100)
    for _ in range(3):
        Application.objects.update(request={"id": "1", "by": "ann", "trigger": "request"})
        world.work.wake("sync", Application.objects.get().uid)
        world.pass_time(60)
    broken(world, "unrelated")  # another commit, just as broken
    world.pass_time(60)
    assert world.notifier.titles == ["Application shop: sync failed"]
    body = world.notifier.told[0][1].body
    assert f"Commit {sha[:7]} Scale\n" in f"{body}\n"
    assert "1.yaml:4" in body
    world.push(FINE)
    world.pass_time(60)
    assert world.notifier.titles[1:] == ["Application shop is back to normal"]
    assert Notice.objects.filter(sent_at=0).count() == 0


def test_another_trouble_is_told_anew(world: World) -> None:
    channel()
    broken(world)
    world.pass_time(60)
    world.push("kind: Nothing\n")
    world.pass_time(60)
    assert world.notifier.titles == ["Application shop: sync failed"] * 2
    assert [row.outcome for row in Incident.objects.order_by("seen_at")] == ["superseded", ""]


def test_a_rollout_that_was_rolled_back_is_told_with_its_commit_here_and_to_the_git_host(running: World) -> None:
    channel()
    first = running.deployment().commit
    sha = running.push(web(replicas=1, command=CRASH), message="Crash it")
    running.pass_time_watched(25)
    assert running.deployment().pin["automatic"]
    assert running.notifier.titles == ["Rollout of Deployment shop/web failed and was rolled back"]
    assert f"Commit {sha[:7]} Crash it" in running.notifier.told[0][1].body
    pin = {"commit": first, "skipped_commit": sha, "by": "ann", "at": 1.0, "reason": "rolled back by ann"}
    tree = running.source.tree_id(sha)
    Application.objects.update(pin={**pin, "skipped_tree": tree}, request={"id": "1", "by": "ann"})
    objects.touch("Application", "", "shop")
    running.work.wake("sync", Application.objects.get().uid)
    running.pass_time(1)
    assert running.notifier.titles[1:] == ["Deployment shop/web is back to normal"]
    good = running.push(web(replicas=1, image="shop/web:2"))
    running.pass_time(20)
    assert len(running.notifier.titles) == 2
    assert [(commit, state) for commit, state, _ in running.host.told] == [
        (first, "pending"), (first, "success"), (sha, "pending"), (sha, "failure"), (sha, "failure"),
        (good, "pending"), (good, "success"),
    ]  # fmt: skip
    assert "rolled back to revision 1" in running.host.told[3][2]
    assert running.host.told[4][2] == f"rolled back by ann to {first[:7]}"


def test_a_dead_node_is_told_and_that_it_is_back_when_it_has_stayed(world: World) -> None:
    channel(), channel("shop", namespace="shop")
    Node.objects.create(name="b", address="sim://b", engine_id="b", reason=READY, ready=True)

    def concluded(state: str) -> None:
        before = heartbeats.host(Node.objects.get())
        heartbeats.changed([(before, Verdict(state, "no peer sees it", {}))], world.work.wake, 0.0)
        Work.objects.exclude(loop__in=("incident", "notify")).delete()  # there is no such host

    concluded(DEAD)
    world.settle()
    assert world.notifier.titles == ["Node b is dead"]  # of the channel for everything; the node is no namespace's
    concluded(READY)
    world.pass_time(59)
    assert len(world.notifier.titles) == 1
    world.pass_time(2)
    assert world.notifier.titles[1:] == ["Node b is back to normal"]


def test_a_repository_that_is_away_is_told_to_those_who_follow_it(world: World) -> None:
    channel("shop", namespace="shop"), channel("other", namespace="other")
    world.source.failure = "git.example.com does not answer"
    world.pass_time(100)
    assert world.notifier.told == []  # not at the first sign
    world.pass_time(200)
    assert [(url, said.title) for url, said in world.notifier.told] == [
        ("json://shop", "Repository shop cannot be reached")
    ]
    assert "git.example.com does not answer. What runs goes on" in world.notifier.told[0][1].body
    world.source.failure = ""
    world.pass_time(400)
    assert world.notifier.titles[1:] == ["Repository shop is back to normal"]


def test_kinds_are_chosen(world: World) -> None:
    channel(kinds=["NodeDead"])
    broken(world)
    world.pass_time(60)
    assert world.notifier.told == []
    assert Incident.objects.get().opened_at > 0


def test_a_channel_that_fails_is_tried_later_each_time_and_one_message_says_both(world: World) -> None:
    row = channel()
    world.notifier.failure = NotifyError("error=500")
    broken(world)
    world.pass_time(300)
    row.refresh_from_db()
    assert (row.failures, row.message) == (4, "error=500")  # at 0, 30, 90 and 210 s
    world.push(FINE)
    world.pass_time(60)
    world.notifier.failure = None
    world.pass_time(900)
    assert world.notifier.titles == ["Application shop: sync failed"]
    assert "It is back to normal" in world.notifier.told[0][1].body
    row.refresh_from_db()
    assert (row.failures, row.message) == (0, "")


def test_a_channel_is_given_up_for_a_message_after_a_day_or_when_it_is_refused(world: World) -> None:
    channel()
    world.notifier.failure = NotifyError("error=500")
    broken(world)
    world.pass_time(200)
    assert Notice.objects.get().is_waiting
    Notice.objects.update(created_at=world.clock.now() - notices.GIVE_UP_SECONDS)
    world.pass_time(1000)
    assert not Notice.objects.get().is_waiting
    world.notifier.failure = NotifyError("not admitted", retryable=False)
    world.push("kind: Nothing\n")
    world.pass_time(60)
    assert not Notice.objects.latest("id").is_waiting


def test_what_was_taken_by_a_worker_that_died_is_sent_by_another(world: World) -> None:
    channel()
    broken(world)
    uid = NotificationChannel.objects.get().uid
    while not Notice.objects.exists():
        world.run(*next(due for due in world.work.due(world.clock.now()) if due[0] != "notify"))
    taken = notices.begin(Notice.objects.get().pk, world.clock.now())  # and its worker dies here
    assert taken
    world.pass_time(notices.TAKEN_SECONDS - 1)
    assert world.notifier.told == []
    world.work.wake("notify", uid)
    world.pass_time(5)
    assert world.notifier.titles == ["Application shop: sync failed"]
    notices.failed(taken, "the dead one speaks", world.clock.now(), retryable=True)
    assert NotificationChannel.objects.get().failures == 0


def test_what_ends_while_it_is_being_told_is_told_after(world: World) -> None:
    channel()
    broken(world)
    while not Notice.objects.exists():
        world.run(*next(due for due in world.work.due(world.clock.now()) if due[0] != "notify"))
    taken = notices.begin(Notice.objects.get().pk, world.clock.now())
    assert taken
    world.push(FINE)
    world.pass_time(60)
    notices.sent(taken, world.work.wake, world.clock.now())
    world.pass_time(60)
    assert world.notifier.titles == ["Application shop is back to normal"]


def test_what_is_removed_ends_in_silence(world: World) -> None:
    channel()
    broken(world)
    world.pass_time(60)
    uid = Application.objects.get().uid
    Application.objects.all().delete()
    objects.touch("Application", "", "shop")
    assert Work.objects.filter(loop="incident", key=uid).delete()
    world.resync()  # the safety net finds it
    world.settle()
    assert Incident.objects.get().outcome == "gone"
    assert len(world.notifier.titles) == 1


def test_the_safety_net_finds_what_nobody_came_for(world: World) -> None:
    channel()
    broken(world)
    world.pass_time(60)
    Notice.objects.update(sent_at=0, due_at=world.clock.now())
    Work.objects.filter(loop="notify").delete()
    world.clock.sleep(61)
    world.resync()
    world.settle()
    assert len(world.notifier.titles) == 2
    Repository.objects.update(failures=9, message="away")
    Work.objects.filter(loop="incident").delete()
    keys = {("incident", Repository.objects.get().uid), ("incident", Application.objects.get().uid)}
    assert keys <= set(resync.keys_without_work())


def test_values_of_secrets_do_not_leave_in_a_log(world: World) -> None:
    row = channel()
    factories.secret("s", {"key": "hunter2-hunter2"})
    said = "cannot log in with hunter2-hunter2"
    found = Incident.objects.create(
        kind="RolloutFailed", namespace="shop", name="web", title="t", why=said, log_tail=said, subject="web"
    )
    Notice.objects.create(channel=row, incident=found, what="opened")
    world.work.wake("notify", row.uid)
    world.settle()
    assert world.notifier.told[-1][1].body.count("cannot log in with ***") == 2
    assert "hunter2" not in world.notifier.told[-1][1].body
