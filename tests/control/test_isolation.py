"""A workload that a NetworkPolicy selects runs on a network of its own: who is moved there, when, and what is said."""

from __future__ import annotations

from typing import Any

import pytest
from pytest import param

from control.models import Deployment, Event, NetworkPolicy, Pod
from control.store import adoption, objects, scheduling, sync, templates, variants, workloads
from control.store import nodes as node_store
from deployer.core.sync import SyncPlan
from tests.control import factories
from tests.control.factories import NOW
from tests.control.test_routing_wakes import Woken, cluster, manifest

pytestmark = pytest.mark.django_db


def policy(**selector: str) -> NetworkPolicy:
    made: NetworkPolicy = factories.made(
        NetworkPolicy(namespace="shop", name="deny", spec={"podSelector": {"matchLabels": selector}})
    )
    return made


def rolled() -> str:
    """What `refresh_hashes` finds: the network that the template asks for now, and the reasons that were told."""
    changed, _ = templates.refresh_hashes(["shop"])
    row = Deployment.objects.get()
    annotations = templates.live_template(row)["metadata"].get("annotations") or {}
    told = Event.objects.filter(kind="Deployment").order_by("-pk").values_list("reason", flat=True).first()
    return f"{len(changed)} {annotations.get('pierhead.io/network', 'shared')} {told or ''}".strip()


def test_a_policy_that_begins_or_ceases_to_select_a_deployment_rolls_it() -> None:
    factories.deployment()
    assert rolled() == "1 shared", "the first hash says nothing of policies"
    assert rolled() == "0 shared"
    made = policy(app="web")
    assert rolled() == "1 isolated Isolated"
    assert rolled() == "0 isolated Isolated"
    made.spec = {"podSelector": {"matchLabels": {"app": "other"}}}
    objects.update([made], ["spec"])
    assert rolled() == "1 shared NotIsolated"


def test_a_new_image_is_not_told_as_an_isolation() -> None:
    row = factories.deployment()
    templates.refresh_hashes(["shop"])
    policy(app="web")
    row.spec["template"]["spec"]["containers"][0]["image"] = "registry.example.com/web:2"
    objects.update([row], ["spec"])
    assert rolled() == "1 isolated"


@pytest.mark.parametrize(
    ("selector", "spec", "expected"),
    [
        param({"app": "web"}, {}, "pierhead-shop-", id="selected"),
        param({"app": "other"}, {}, "pierhead-shop", id="not selected"),
        param({"app": "web"}, {"hostNetwork": True}, "", id="the host's network"),
    ],
)
def test_a_bare_pod_is_isolated_when_it_is_made(selector: dict[str, str], spec: dict[str, Any], expected: str) -> None:
    node, application = factories.node(), factories.application()
    policy(**selector)
    pod_spec = {**factories.template()["spec"], **spec}
    one = manifest("Pod", pod_spec, labels={"app": "web"})
    sync.apply(factories.attempt(application), SyncPlan(create=(one,)), "t3", Woken(), NOW)
    row = Pod.objects.get()
    scheduling.bind({row.uid: node.name}, {}, Woken(), NOW)
    row.refresh_from_db()
    assert row.network.startswith(expected) and bool(row.network) == bool(expected)
    assert (len(row.network) > len("pierhead-shop")) == expected.endswith("-")


def test_an_adopted_pod_is_on_its_templates_network() -> None:
    cluster("a b")
    factories.service()
    owner = factories.deployment()
    policy(app="web")
    templates.refresh_hashes(["shop"])
    live = Deployment.objects.get().live_hash
    row = factories.pod(orphaned=True, claimed_owner=f"Deployment/{owner.name}", template_hash=live, placement={})
    woken = Woken()
    adoption.claim(woken, NOW)
    assert woken.only("route") == "a b"
    assert node_store.desired(row.node_id, [row.uid])[row.uid].network.startswith("pierhead-shop-")  # type: ignore[union-attr]


def test_a_pinned_deployment_stays_pinned_on_the_other_network() -> None:
    row = factories.deployment()
    held = factories.replica_set(row, 2)
    templates.refresh_hashes(["shop"])
    row.refresh_from_db()
    factories.pin(row, 2)
    made, words = policy(app="web"), []
    for _ in range(2):
        _, (moved,) = templates.refresh_hashes(["shop"])
        variants.follow_isolation(moved)
        row.refresh_from_db()
        now = row.replica_sets.get(template_hash=row.pin["template_hash"])
        words.append((templates.is_annotated(now.spec["template"]), now.images == held.images, workloads.resumed(row)))
        objects.delete([made])
    assert words == [(True, True, False), (False, True, False)]
