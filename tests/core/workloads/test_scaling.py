"""Scaling while a rollout is under way, and everything while it is paused."""

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.workloads import scaling
from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Snapshot
from tests.core.workloads.scenario import answer, scene
from tests.core.workloads.test_rolling import param

ROUNDING = ("v1:RRR v2:R", {"was": 4, "desired": 2, "max_surge": 0, "max_unavailable": 1})

ROWS = [
    param("v1:RRR v2:R", "v1=1 -web-v1-2 -web-v1-1", "4 -> 2 with 3 and 1 gives 1 and 1", **ROUNDING[1]),
    param(
        "v1:RRRRR v2:RRRRR", "v2=10 v1=10 +v2*5 +v1*5", "10 -> 20: each keeps its half", was=10, desired=20,
        max_surge=0, max_unavailable=1,
    ),
    param(
        "v1:RRR v2:R", "v2=2 v1=6 +v2 +v1*3", "3 -> 7: 3 and 1 of 4 become 6 and 2 of 8", was=3, desired=7,
    ),
    param("v1:RR v2:RR", "v2=3 +v2", "of two as large the newer one grows", was=3, desired=4),
    param("v1:RR v2:RR", "v1=1 -web-v1-1", "and the older one shrinks", was=3, desired=2),
    param(
        "v1:RRRR v2:R", "v2=0 v1=0 -web-v2-0 -web-v1-3 -web-v1-2 -web-v1-1 -web-v1-0", "to nothing", was=4, desired=0,
    ),
    param("v1:RRR", "v1=5 +v1*2", "no rollout under way: the one set is scaled", was=3, desired=5),
    param("v1*:RRR", "v1=5 +v1*2", "with a new template: first the scaling", was=3, desired=5, template="v2"),
    param("v1*:RRR", "v1=2 -web-v1-2", "the same, downwards", was=3, desired=2, template="v2"),
    param("v1: v2:", "v2=2 +v2*2", "from nothing: the new set", was=0, desired=2),
    param("v1?:R v2:pp", "v2=1 -web-v2-1", "nor when all shrink", was=2, desired=1),
    param("v1?:RR v2:RR", "v2=5 +v2*3", "an adopted set cannot grow", was=3, desired=6),
    param("v1?:RRR", "new:v2=3 +v2*3", "nor on its own: the new set grows", was=3, desired=5, template="v2"),
]  # fmt: skip


@pytest.mark.parametrize(("sketch", "changed", "expected"), ROWS)
def test_scaling_in_mid_rollout(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert scaled(sketch, changed) == expected


def scaled(sketch: str, changed: dict[str, Any]) -> str:
    """The Deployment wanted `was` when it was stored last, and its sets were made for that."""
    changed = dict(changed)
    was, desired = changed.pop("was"), changed.pop("desired")
    before = scene(sketch, was, **changed)
    after = scene(sketch, desired, **changed)
    return answer(_resized(before, after))


def _resized(before: Snapshot, after: Snapshot) -> Snapshot:
    return replace(after, replica_sets=before.replica_sets, progress=before.progress)


def test_scaling_is_settled_by_the_pass_that_did_it() -> None:
    plan = reconcile(_resized(scene("v1:RR v2:RR", 3), scene("v1:RR v2:RR", 4)))
    assert plan.progress.desired == 4
    assert {scale.name: (scale.replicas, scale.max_replicas) for scale in plan.scale} == {
        "web-v2": (3, 5),
        "web-v1": (2, 5),  # no pod more, but it is made for 5 now
    }


def test_another_surge_is_no_scaling_event() -> None:
    """Shrinking old sets in proportion for it would cost availability."""
    before, after = scene("v1:RRR v2:rr", 3, max_surge=2), scene("v1:RRR v2:rr", 3, max_surge=1)
    assert answer(_resized(before, after)) == ""


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        param("v1*:RRR", "", "no revision starts", template="v2"),
        param("v1:RRR v2:R", "", "no old pod goes"),
        param("v1/3:RR v2:R", "+v1", "a lost pod is replaced"),
        param("v1*:RRR", "v1=5 +v1*2", "scaling works", template="v2", desired=5),
        param("v1:RR v2:R", "v1=3 +v1", "a rollout in its middle is filled up to the cap, as in Kubernetes"),
        param("v1:RRR v2:rrr", "", "more than the cap, by a lower surge: nothing is taken away"),
        param("v1: v2:", "v2=3 +v2*3", "nothing runs: the newest set"),
        param("v1*:", "v1=3 +v1*3", "nothing runs and the new set does not exist: the newest old one", template="v2"),
        param("v1:R v2*:RRR", "v1=0 -web-v1-0", "a new set that carries everything ends the others"),
        param("v1:R v2*:RRr", "", "one that does not carry everything yet does not"),
        param("v1*:RRR v2:", "reuse:v1#3", "a revision is renumbered while paused", template="v1"),
    ],
)
def test_paused(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert answer(scene(sketch, paused=True, **changed)) == expected


def test_paused_recreate_moves_nothing_but_the_one_active_set() -> None:
    assert answer(scene("v1:RR v2:R", paused=True, strategy="Recreate")) == ""
    assert answer(scene("v1:RR", paused=True, strategy="Recreate", template="v2")) == "v1=3 +v1"


def test_bankers_rounding_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "_round", lambda numerator, denominator: round(numerator / denominator))
    assert scaled(*ROUNDING) == "v2=0 v1=2 -web-v2-0 -web-v1-2"
