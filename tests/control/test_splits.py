"""What routers are told of a canary at each phase, out of its workload's row."""

from __future__ import annotations

from typing import Any

import pytest

from control.models import Deployment
from control.store import splits as store
from control.store.routing import RouteRows
from deployer.adapters import authority
from deployer.core.canary.kept import dump_state
from deployer.core.canary.strategy import ANNOTATION
from deployer.core.canary.values import CanaryState, HeaderMatch, HeaderRoute, Split, Stickiness, Strategy
from tests.control import factories
from tests.control.factories import NOW

pytestmark = pytest.mark.django_db

STICKY, ROUTE = Stickiness("cookie", "uid"), HeaderRoute("r", (HeaderMatch("x", "exact", "1"),))
STRATEGY = Strategy("Canary", sticky=STICKY, canary_service="next", stable_service="now")
ALWAYS: dict[str, Any] = {
    "sticky": STICKY, "canary_service": "next", "stable_service": "now", "labels": (("app", "web"),),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _strategy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every workload that says so has it."""
    monkeypatch.setattr(store, "strategy_of", lambda *_: STRATEGY)


def canary(phase: str, **more: Any) -> dict[str, Any]:
    given = {"template_hash": "new", "stable_hash": "old", "weight": 500, "headers": (ROUTE,), **more}
    return dump_state(CanaryState(phase=phase, **given))  # type: ignore[arg-type]


TRIED = Split("shop/web", "new", 500, headers=(ROUTE,), stable_hash="old", **ALWAYS)
BACK = Split("shop/web", "new", stable_hash="old", withdrawn=True, **ALWAYS)
ALIKE = Split("shop/web", **ALWAYS)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param({}, ALIKE, id="none yet"),
        pytest.param(canary("Progressing"), TRIED, id="in a step"),
        pytest.param(canary("Paused"), TRIED, id="paused"),
        pytest.param(canary("Promoting"), TRIED, id="being promoted"),
        pytest.param(canary("Completed"), ALIKE, id="completed: all pods are alike"),
        pytest.param(canary("Aborting"), BACK, id="going back: nothing at once, whatever its weight was"),
        pytest.param(canary("Aborted", weight=0), BACK, id="gone back, its pods may stay for a while"),
        pytest.param(canary("Aborted"), TRIED, id="aborted while too few stable pods were left: as many as are there"),
        pytest.param(canary("Aborted", template_hash="old"), ALIKE, id="a canary of the stable revision is none"),
    ],
)
def test_each_phase(state: dict[str, Any], told: Split) -> None:
    factories.deployment(annotations={ANNOTATION: "5% for 10m"}, canary=state)
    assert store.splits() == (told,)


def test_only_workloads_with_a_strategy_are_told_in_one_query(django_assert_num_queries: Any) -> None:
    factories.deployment("plain")
    factories.deployment("gone", annotations={ANNOTATION: "5%"}, deleted_at=NOW)
    factories.deployment("web", annotations={ANNOTATION: "5%"})
    steps = {"steps": [{"setWeight": 5}]}
    factories.deployment("api", workload="Rollout", spec={"strategy": {"canary": steps}})
    factories.deployment("rolling", workload="Rollout", spec={"strategy": {"canary": {}}})
    with django_assert_num_queries(1):
        assert [one.workload for one in store.splits()] == ["shop/api", "shop/web"]


def test_what_goes_back_does_so_without_its_strategy() -> None:
    row = factories.deployment(canary=canary("Aborting"))
    (told,) = store.splits()
    assert (told.canary_hash, told.weight, told.withdrawn, told.sticky) == ("new", 0, True, None)
    Deployment.objects.filter(pk=row.pk).update(canary=canary("Aborted"))
    assert store.splits() == ()


def test_a_router_is_told_of_splits_and_of_who_was_made_from_what() -> None:
    node = factories.node()
    factories.deployment(annotations={ANNOTATION: "5%"}, canary=canary("Progressing"))
    factories.service()
    factories.pod(node=node, template_hash="new")
    routed = RouteRows(authority).load(node.uid, NOW)
    assert routed is not None and routed.cluster.splits == (TRIED,)
    assert [one.template_hash for one in routed.cluster.pods] == ["new"]
