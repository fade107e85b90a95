"""A Deployment becomes a Rollout and back, in place; two of one name are refused; what is pruned is the right thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from control.models import AnalysisTemplate, Application, Deployment, Event, Pod, Sync, Work
from control.store import objects
from control.store.sync import known, stored
from tests.scenarios.canary_shop import SERVICE, CanaryShop
from tests.scenarios.world import web

pytestmark = pytest.mark.django_db

STRATEGY = """strategy:
    canary:
      steps:
      - setWeight: 20
      - pause: {}
"""
TEMPLATE = """
apiVersion: argoproj.io/v1alpha1
kind: AnalysisTemplate
metadata: {name: errors}
spec:
  metrics:
  - {name: errors, successCondition: "result < 0.01", provider: {plugin: {pierhead.io/traffic: {measure: errors}}}}
"""
ANALYSED = STRATEGY.replace("- pause: {}", "- analysis: {templates: [{templateName: errors}]}")


def rollout(strategy: str = STRATEGY, **fields: object) -> str:
    """The Deployment `web` of the world, written as a Rollout."""
    made = web(spec=strategy.rstrip(), **fields)  # type: ignore[arg-type]
    return made.replace("apiVersion: apps/v1", "apiVersion: argoproj.io/v1alpha1").replace(
        "kind: Deployment", "kind: Rollout"
    )


@pytest.fixture
def shop(tmp_path: Path) -> CanaryShop:
    made = CanaryShop(tmp_path)
    made.add_node("one")
    made.add_node("two")
    return made


def settled(shop: CanaryShop, *documents: str) -> Sync:
    shop.push(*documents)
    shop.settle()
    shop.pass_time(30)
    found = Sync.objects.first()
    assert found is not None
    return found


def identity(shop: CanaryShop) -> tuple[set[str], set[str], int]:
    """Pods, containers and the row."""
    containers = {one.id for engine in shop.engines.values() for one in engine.containers() if "web" in one.name}
    row = shop.deployment()
    return {pod.uid for pod in shop.pods()}, containers, row.replica_sets.count()


def test_a_deployment_becomes_a_rollout_and_back_without_a_new_pod(shop: CanaryShop) -> None:
    settled(shop, SERVICE, web())
    before, uid = identity(shop), shop.deployment().uid
    assert len(before[0]) == 3
    said = settled(shop, SERVICE, rollout())
    row = shop.deployment()
    assert said.message == "0 created, 1 changed, 0 pruned, 1 unchanged", said.errors
    assert said.changes == [{"op": "update", "kind": "Rollout", "namespace": "shop", "name": "web"}]
    assert (row.uid, row.kind, shop.canary.is_under_way) == (uid, "Rollout", False)
    assert identity(shop) == before
    assert Event.objects.filter(kind="Rollout", name="web", reason="Converted").count() == 1
    settled(shop, SERVICE, web())
    assert (shop.deployment().uid, shop.deployment().kind) == (uid, "Deployment")
    assert identity(shop) == before


def test_a_new_image_with_the_conversion_is_a_canary(shop: CanaryShop) -> None:
    settled(shop, SERVICE, web())
    settled(shop, SERVICE, rollout(image="shop/web:2"))
    assert shop.where() == "Paused at 1, 20 %, 1:3 2:1"


def test_a_rollout_under_way_becomes_a_deployment_and_rolls(shop: CanaryShop) -> None:
    settled(shop, SERVICE, rollout())
    settled(shop, SERVICE, rollout(image="shop/web:2"))
    assert shop.canary.phase == "Paused"
    settled(shop, SERVICE, web(image="shop/web:2"))
    shop.pass_time(120)
    assert shop.counts() == {2: 3}
    assert not shop.canary.is_under_way


def test_another_applications_workload_is_not_taken(shop: CanaryShop) -> None:
    settled(shop, SERVICE, web())
    Application.objects.update(name="first", automatic=False)
    for name in ("shop", "first"):
        objects.touch("Application", "", name)
    other = shop.follow("other")
    shop.push(rollout())
    shop.settle()
    row = Sync.objects.filter(application=other).first()
    assert row is not None and row.phase == Sync.FAILED
    assert "Deployment shop/web belongs to application first already" in row.message
    assert shop.deployment().kind == "Deployment"


def test_both_in_one_commit_are_refused(shop: CanaryShop) -> None:
    found = settled(shop, web(), rollout())
    assert found.phase == Sync.FAILED
    assert "is taken by Deployment shop/web (0.yaml:1): of one name there is one workload" in found.message
    assert not Deployment.objects.exists()


def test_a_rollout_is_pruned(shop: CanaryShop) -> None:
    settled(shop, SERVICE, web())
    settled(shop, SERVICE, rollout())
    found = settled(shop, SERVICE)
    assert found.changes == [{"op": "prune", "kind": "Rollout", "namespace": "shop", "name": "web"}]
    shop.pass_time(120)
    assert not Deployment.objects.exists() and not Pod.objects.exists()


def test_the_same_manifests_again_change_nothing(shop: CanaryShop) -> None:
    settled(shop, SERVICE, rollout(), TEMPLATE)
    shop.push(SERVICE, rollout(), TEMPLATE, "# another file\n")
    shop.settle()
    found = Sync.objects.first()
    assert found is not None and found.message in ("0 created, 0 changed, 0 pruned, 3 unchanged", "")


def test_a_template_that_analyses_need_cannot_go(shop: CanaryShop) -> None:
    settled(shop, SERVICE, rollout(ANALYSED), TEMPLATE)
    assert AnalysisTemplate.objects.get().spec["metrics"][0]["name"] == "errors"
    found = settled(shop, SERVICE, rollout(ANALYSED))
    assert found.phase == Sync.FAILED
    assert "there is no AnalysisTemplate errors in namespace shop" in found.message
    assert AnalysisTemplate.objects.exists()
    found = settled(shop, SERVICE, rollout())
    assert found.changes[-1] == {"op": "prune", "kind": "AnalysisTemplate", "namespace": "shop", "name": "errors"}
    assert not AnalysisTemplate.objects.exists()


def test_what_is_on_record_of_others_can_be_counted_on(shop: CanaryShop) -> None:
    settled(shop, SERVICE, TEMPLATE)
    first = Application.objects.get()
    Application.objects.update(name="first")
    other = shop.follow("other")
    assert known(first.uid, prunes=True).templates == {}
    assert known(first.uid, prunes=False).templates.keys() == {"shop"}
    assert known(other.uid, prunes=True).templates["shop"].keys() == {"errors"}
    assert known(other.uid, prunes=True).services == {("shop", "web")}


def test_a_template_that_changes_wakes_its_rollouts(shop: CanaryShop) -> None:
    settled(shop, SERVICE, rollout(ANALYSED), TEMPLATE)
    uid = shop.deployment().uid
    shop.push(SERVICE, rollout(ANALYSED), TEMPLATE.replace("0.01", "0.02"))
    for loop, key in shop.work.due(shop.clock.now()):
        if loop == "poll":
            shop.run(loop, key)
    (key,) = [key for loop, key in shop.work.due(shop.clock.now()) if loop == "sync"]
    shop.run("sync", key)
    assert ("reconcile", uid) in shop.work.due(shop.clock.now())
    assert any(loop == "route" for loop in Work.objects.values_list("loop", flat=True))


def test_what_is_stored_where_a_rollout_wants_to_go(shop: CanaryShop) -> None:
    settled(shop, SERVICE, web())
    other = shop.follow("other")
    manifests = [one for one in stored(other.uid, []) if one.key[2] == "web"]
    assert manifests == [], "nothing of it is asked for"
