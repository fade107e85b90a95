"""A push, as its Git host sees it: pending, then success or failure, and never more often than it changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Application, CommitStatus, Event, Incident, Repository, Work
from control.store import collection, commit_statuses
from deployer.core.git_hosts import Verdict
from tests.scenarios.world import World, web

pytestmark = pytest.mark.django_db
BROKEN = "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec: {replica: 3}\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    repository = Repository(name="shop", url="https://github.com/octo/shop", poll_seconds=30)
    repository.credentials.store({"token": "s3cr3t"})
    repository.save()
    world.follow()
    return world


def config(value: int = 0) -> str:
    """What is applied needs no host."""
    return f'kind: ConfigMap\napiVersion: v1\nmetadata: {{name: c}}\ndata: {{a: "{value}"}}\n'


def shipped(world: World, *documents: str) -> str:
    sha = world.push(*documents or (config(),))
    world.pass_time(1)
    return sha


def test_a_verdict_is_told_once(world: World) -> None:
    """Rollouts, which take their time, are told of in tests/scenarios/test_incidents.py."""
    first, second = shipped(world), shipped(world, config(2))
    assert world.host.told == [(first, "success", "applied"), (second, "success", "applied")]
    for _ in range(3):
        world.work.wake("status", Application.objects.get().uid)
        world.settle()
    assert world.host.asked == 2


def test_a_refused_commit_and_one_that_comes_after(world: World) -> None:
    shipped(world)
    bad = shipped(world, BROKEN)
    sha, state, said = world.host.told[-1]
    assert (sha, state) == (bad, "failure")
    assert "0.yaml:4" in said
    good = shipped(world, config(3))
    assert world.host.told[-1][:2] == (good, "success")


def test_a_person_who_rolls_back_takes_the_success_back(world: World) -> None:
    first = shipped(world)
    second = shipped(world, config(2))
    Application.objects.update(
        pin={"commit": first, "skipped_commit": second, "skipped_tree": world.source.tree_id(second),
             "by": "ann", "at": 1.0, "reason": "rolled back by ann"},
        request={"id": "1", "by": "ann", "trigger": "rollback"},
    )  # fmt: skip
    world.work.wake("sync", Application.objects.get().uid)
    world.settle()
    assert (second, "failure", f"rolled back by ann to {first[:7]}") in world.host.told


def test_a_commit_whose_signature_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.source, "signature_refusal", lambda *_: "nobody signed it")
    sha = shipped(world)
    assert world.host.told == [(sha, "failure", "nothing was changed: nobody signed it")]
    assert Incident.objects.get().title == "Application shop: sync failed"


def test_a_newer_commit_ends_what_was_pending(world: World) -> None:
    stuck = shipped(world, web(replicas=1))  # there is no host to run it
    assert world.host.told[-1][:2] == (stuck, "pending")
    newer = shipped(world)
    assert (stuck, "stopped", f"superseded by {newer[:7]} before it was healthy") in world.host.told


def test_a_host_that_is_away_is_asked_later_each_time(world: World) -> None:
    world.host.verdict = Verdict(False, "GitHub answered 502")
    shipped(world)
    Work.objects.filter(loop="poll").delete()
    world.pass_time(100)
    assert world.host.asked == 3  # at 0, 30 and 90 s
    world.host.wait = 600.0
    world.pass_time(700)
    assert world.host.asked == 4
    world.host.verdict, world.host.wait = Verdict(True), 0.0
    world.pass_time(200)
    assert [state for _, state, _ in world.host.told] == ["success"]


def test_a_no_is_said_once_and_asked_again_only_with_other_settings(world: World) -> None:
    world.host.verdict = Verdict(False, "GitHub forbids it: it needs Commit statuses: read and write", final=True)
    shipped(world)
    asked = world.host.asked
    shipped(world, config(2))
    world.resync()
    world.pass_time(60)
    assert world.host.asked == asked + 1  # another commit, the same no
    assert Event.objects.get(reason="StatusNotTold").message.startswith("GitHub forbids it")
    repository = Repository.objects.get()
    repository.credentials.store({"token": "another"})
    repository.save()
    world.host.verdict = Verdict(True)
    world.resync()  # nobody says that the token has changed; the safety net looks
    world.settle()
    assert [state for _, state, _ in world.host.told] == ["success"]
    assert not CommitStatus.objects.filter(message__gt="", state="success").exists()


@pytest.mark.parametrize("what", ["no token", "switched off", "no host"])
def test_nobody_is_told(world: World, what: str) -> None:
    row = Repository.objects.get()
    if what == "no token":
        row.credentials.store({})
    row.tells_status = what != "switched off"
    row.url = "https://git.example.com/o/shop" if what == "no host" else row.url
    row.save()
    shipped(world)
    assert world.host.asked == 0
    assert not CommitStatus.objects.exists()


def test_a_worker_that_dies_after_it_asked_asks_again_in_time(world: World) -> None:
    world.host.verdict = Verdict(False, "the worker dies")
    world.push(config())
    world.pass_time(2)
    CommitStatus.objects.update(due_at=world.clock.now() + commit_statuses.TAKEN_SECONDS, refused_with="")
    Work.objects.filter(loop="status").delete()
    world.clock.sleep(2 * commit_statuses.TAKEN_SECONDS + 1)
    world.host.verdict = Verdict(True)
    world.resync()
    world.settle()
    assert world.host.told


def test_old_statuses_are_forgotten_but_for_the_newest(world: World) -> None:
    shipped(world)
    newest = shipped(world, config(2))
    CommitStatus.objects.update(created_at=0)
    collection.forget_the_past(world.clock.now(), 30)
    assert [row.commit for row in CommitStatus.objects.all()] == [newest]
    world.resync()
    world.settle()
    assert world.host.asked == 2
