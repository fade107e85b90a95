"""A revision that was never healthy has to prove itself before it costs a working pod."""

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.workloads.deployment import reconcile
from tests.core.workloads.scenario import NOW, answer, scene
from tests.core.workloads.test_rolling import param

SPARE = {"desired": 4, "max_surge": 1, "max_unavailable": 1}
STOP_FIRST = {"desired": 4, "max_surge": 0, "max_unavailable": 2}


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        param("v1:RRR v2:y", "", "a pod that is ready since a moment pays for nothing"),
        param("v1:RRR v2:R", "v1=2 -web-v1-2", "one that has stayed ready pays"),
        param("v1:RR v2:Ry", "v1=1 -web-v1-1", "and speaks for those after it"),
        param("v1:RRR v2*:y", "v1=2 -web-v1-2", "going back is quick: that revision was healthy before"),
        param("v1:RRR v2:y", "v1=2 -web-v1-2", "where it is switched off", trial_seconds=0),
        param("v1:RRR v2:o", "", "a pod that crashed has to stay ready for longer"),
        param("v1:RR v2:Ro", "", "and each of them has to, for each old pod"),
        param("v1:RRx v2:R", "v1=2 -web-v1-2", "broken old pods go all the same"),
        param("v1:yyy", "", "the first revision is not called healthy yet"),
        param("v1:Ryy", "healthy:v1", "but soon"),
        param("v1:RRo", "", "not with one that just crashed"),
        param("v1:", "", "nothing desired, nothing to prove", desired=0),
        param("v1:RRRR v2:i", "", "an image that cannot be pulled costs nobody a pod", **SPARE),
        param("v1:RRRR v2:r", "", "nor does a pod that is not ready", **SPARE),
        param("v1:RRRR v2:y", "v1=3 -web-v1-3", "what may be unavailable is given away to one that is ready", **SPARE),
        param("v1:RRRR v2:p", "v1=3 -web-v1-3", "or that waits for room", **SPARE),
        param("v1:RRRR v2*:i", "v1=3 -web-v1-3", "and on the way back at once", **SPARE),
        param("v1:RRR v2:s", "v1=2 -web-v1-2", "or that none may run beside", **STOP_FIRST),
        param("v1:RRRR v2:i", "v1=3 -web-v1-3", "or where it is switched off", **SPARE, trial_seconds=0),
    ],
)
def test_trial(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert answer(scene(sketch, **changed)) == expected


@pytest.mark.parametrize(("sketch", "at"), [("v1:RRR v2:y", NOW + 2), ("v1:RRR v2:o", NOW + 5), ("v1:yyy", NOW + 2)])
def test_the_end_of_the_trial_is_a_wake_up(sketch: str, at: float) -> None:
    snapshot = scene(sketch)
    assert reconcile(snapshot).wake_at == at
    assert answer(replace(snapshot, now=at)) != ""


def test_status_counts_as_kubernetes_does() -> None:
    plan = reconcile(scene("v1:yyy"))
    assert (plan.progress.available, plan.progress.reason) == (3, "ReplicaSetUpdated")
    assert plan.conditions[0].status == "True"
