"""A backup is restored while what happened since runs on the hosts: it is taken in, and none of it is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import transaction

from control.models import Node, Work
from control.store import doubt
from control.store.resync import keys_without_work
from deployer.core.survival.states import READY
from tests.scenarios.world import World, pods_of, web

pytestmark = pytest.mark.django_db


def runs(world: World) -> dict[str, str]:
    """Name -> id of every container."""
    found = [one for engine in world.engines.values() for one in pods_of(engine)]
    return {one.name: one.id for one in found}


@pytest.mark.parametrize("poll_first", [True, False])
def test_what_was_rolled_out_since_the_backup_is_taken_in(tmp_path: Path, poll_first: bool) -> None:
    """Bug: the pods of the backup were made again, and those that ran were ended in their favour."""
    world = World(tmp_path)
    for name in "abc":
        world.add_node(name, reason=READY)
    world.push(web(replicas=6))
    world.pass_time(20)
    assert world.ready() == 6
    with transaction.atomic():  # what this writes is what the backup does not know
        world.push(web(replicas=6, image="shop/web:2"))
        world.pass_time(40)
        assert world.revisions() == {2}
        transaction.set_rollback(True)
    before = runs(world)
    Node.objects.update(observed_at=0)
    Work.objects.all().delete()
    doubt.doubt(world.work.wake if poll_first else lambda *_: None)
    for loop, key in keys_without_work():
        later = loop == "poll" and not poll_first
        world.work.wake(loop, key, world.clock.now() + 10 if later else 0)
    world.new_worker()
    world.pass_time(90)
    assert (world.ready(), len(world.pods()), world.revisions()) == (6, 6, {2})
    assert runs(world) == before


def test_a_git_server_that_is_away_holds_nobody(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.add_node("a", reason=READY)
    world.push(web(replicas=2))
    world.pass_time(20)
    doubt.doubt(world.work.wake)
    world.source.failure = "no answer"
    row = world.deployment()
    row.spec["replicas"] = 3
    row.save(update_fields=["spec"])
    world.work.wake("reconcile", row.uid)
    world.pass_time(20)
    assert world.ready() == 3
