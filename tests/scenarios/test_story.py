"""Push, scale, break, fix, undo, heal: a Deployment's life as a person tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import Event, Pod, Sync
from tests.scenarios.world import World, pods_of, web

pytestmark = pytest.mark.django_db


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    for name in ("a", "b", "c"):
        made.add_node(name)
    return made


def test_a_push_runs(world: World) -> None:
    world.push(web())
    world.pass_time(20)
    assert world.ready() == 3
    assert world.condition("Progressing")["reason"] == "NewReplicaSetAvailable"
    attempt = Sync.objects.get()
    assert attempt.started_at <= attempt.finished_at <= attempt.ready_at <= attempt.healthy_at
    assert attempt.healthy_at - attempt.finished_at == pytest.approx(2, abs=0.1), "it had to prove itself"
    assert attempt.ready_at == max(pod.ready_at for pod in world.pods())
    assert sum(map(len, world.running().values())) == 3


def test_nothing_to_do_writes_nothing(world: World) -> None:
    world.push(web())
    world.pass_time(20)
    before = world.deployment().resource_version
    assert world.resync() == 0
    world.pass_time(130)
    assert world.deployment().resource_version == before


def test_a_new_image_rolls(world: World) -> None:
    world.push(web())
    world.pass_time(20)
    old = {pod.uid for pod in world.pods()}
    world.push(web(image="shop/web:2"))
    world.pass_time(20)
    assert world.ready() == 3
    assert not old & {pod.uid for pod in world.pods()}
    assert world.revisions() == {2}


def test_a_deploy_is_ready_when_its_last_pod_is_and_healthy_when_it_has_proved_itself(world: World) -> None:
    """Old pods that are ready make no new commit ready; and what proves itself for long is ready long before."""
    world.push(web())
    world.pass_time(20)
    world.push(web(image="shop/web:2", spec="minReadySeconds: 30"))
    moments: list[tuple[int, bool, bool]] = []
    for _ in range(200):
        world.pass_time(1)
        attempt = Sync.objects.first()
        assert attempt is not None
        new = sum(pod.ready and pod.revision == 2 for pod in world.pods())
        moments.append((new, attempt.ready_at > 0, attempt.healthy_at > 0))
        if attempt.healthy_at:
            break
    assert all(new == 3 for new, ready, _ in moments if ready), "not before the last of them"
    assert any(ready and not healthy for _, ready, healthy in moments)
    assert attempt.healthy_at - attempt.ready_at >= 28


def test_a_broken_file_changes_nothing(world: World) -> None:
    world.push(web())
    world.pass_time(20)
    before = [pod.uid for pod in world.pods()]
    world.push(web(image="shop/web:2"), "kind: [broken")
    world.pass_time(20)
    assert [pod.uid for pod in world.pods()] == before
    attempt = Sync.objects.first()
    assert attempt is not None
    assert attempt.phase == Sync.FAILED
    assert attempt.errors[0]["file"] == "1.yaml"
    world.push(web(image="shop/web:3"))
    world.pass_time(20)
    assert world.ready() == 3


def test_a_crashing_revision_rolls_back_with_its_last_words(world: World) -> None:
    world.push(web())
    world.pass_time(20)
    world.push(web(image="shop/web:2", command="sh, -c, 'echo no database; exit 3'"))
    world.pass_time_watched(30)
    assert world.ready() == 3
    deployment = world.deployment()
    assert deployment.pin["automatic"]
    assert "revision 2" in deployment.pin["reason"]
    assert "no database" in deployment.pin["log_tail"]
    attempt = Sync.objects.first()
    assert attempt is not None
    assert attempt.healthy_at == attempt.ready_at == 0, "the commit that failed was never healthy"
    assert len({one.image for engine in world.engines.values() for one in pods_of(engine)}) == 1


def test_a_pod_that_fits_nowhere_says_why_and_is_placed_when_room_appears(world: World) -> None:
    world.push(web(replicas=1, container="resources: {requests: {memory: 100Gi}}"))
    world.pass_time(20)
    pod = world.pods()[0]
    assert pod.node is None
    assert "0 of 3 nodes fit" in pod.message
    assert "100Gi" in pod.message
    world.push(web(replicas=1, container="resources: {requests: {memory: 1Gi}}"))
    world.pass_time(20)
    assert world.ready() == 1


def test_a_container_removed_by_hand_is_put_back_and_told(world: World) -> None:
    world.push(web(replicas=1))
    world.pass_time(20)
    node = world.pods()[0].node
    assert node is not None
    engine = world.engines[node.name]
    victim = pods_of(engine)[0]
    engine.remove(victim.id)
    world.event(node.name, victim.id)
    world.pass_time(20)
    assert world.ready() == 1
    assert Event.objects.filter(kind="Pod", type="Warning", message__contains="outside Pierhead").exists()


def test_a_pruned_deployment_leaves_nothing_behind(world: World) -> None:
    world.push(web(), web("api", replicas=1))
    world.pass_time(20)
    world.push(web("api", replicas=1))
    world.pass_time(20)
    assert not Pod.objects.filter(owner="Deployment/web").exists()
    assert sum(map(len, world.running().values())) == 1


def test_an_emptied_folder_waits_for_a_person(world: World) -> None:
    world.push(web())
    world.pass_time(20)
    world.push()
    world.pass_time(20)
    assert world.ready() == 3
    attempt = Sync.objects.first()
    assert attempt is not None
    assert "--prune-all" in attempt.message


def test_a_pod_whose_engine_breaks_off_says_so_and_starts_when_it_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from deployer.adapters.simulated import SimulatedEngine
    from deployer.ports import EngineUnreachable

    def silent(*arguments: object) -> str:
        raise EngineUnreachable("Unreachable", "host a: no answer within 10 s")

    with monkeypatch.context() as patches:
        patches.setattr(SimulatedEngine, "create", silent)
        world.push(web(replicas=1))
        world.pass_time(3)
        assert (world.pods()[0].waiting, world.pods()[0].message) == ("Unreachable", "host a: no answer within 10 s")
        assert Event.objects.filter(reason="Unreachable").exists()
    world.pass_time(10)
    assert world.ready() == 1
    assert world.pods()[0].message == ""


def test_a_drain_starts_before_it_stops(world: World) -> None:
    from control.models import Node

    world.push(web())
    world.pass_time(20)
    lowest = 3
    Node.objects.filter(name="a").update(cordoned=True, draining=True)
    world.work.wake("reconcile", world.deployment().uid)
    for _ in range(40):
        due = world.work.due(world.clock.now())
        if due:
            world.run(*due[0])
        else:
            world.clock.at += 0.5
        lowest = min(lowest, Pod.objects.filter(ready=True, deleted_at=None).count())
    assert lowest == 3
    assert world.running()["a"] == []
    assert sum(map(len, world.running().values())) == 3
