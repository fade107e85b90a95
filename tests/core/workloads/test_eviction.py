"""Pods on a node that is drained: replaced first, stopped when the others can do without them."""

from __future__ import annotations

from typing import Any

import pytest
from pytest import param

from tests.core.workloads.scenario import answer, scene

ONE_AT_A_TIME = {"max_surge": 1, "max_unavailable": 0}


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        param("v1*/3:RRe", ONE_AT_A_TIME, "+v1", id="a replacement is made, the pod serves on"),
        param("v1*/3:RRse", ONE_AT_A_TIME, "", id="the replacement is not ready yet"),
        param("v1*/3:RRRe", ONE_AT_A_TIME, "-web-v1-3", id="it is ready: the pod goes"),
        param("v1*/3:RRRee", ONE_AT_A_TIME, "-web-v1-3 -web-v1-4", id="all that can be spared go"),
        param("v1*/3:eee", ONE_AT_A_TIME, "+v1*3", id="a whole Deployment on one node moves without a gap"),
        param("v1*/3:Ree", {"max_surge": 1, "max_unavailable": 1}, "+v1*2 -web-v1-1", id="one may be unavailable"),
        param("v1*/3:RRE", ONE_AT_A_TIME, "+v1 -web-v1-2", id="a pod that does not serve goes at once"),
        param("v1*/3:RRpe", ONE_AT_A_TIME, "", id="no room elsewhere: it stays, and the pending pod says why"),
        param("v1?/2:Re v2*/1:RR", {**ONE_AT_A_TIME, "template": "v2"}, None, id="an adopted pod is not replaced"),
    ],
)
def test_eviction(sketch: str, changed: dict[str, Any], expected: str | None) -> None:
    said = answer(scene(sketch, **changed))
    assert said == expected if expected is not None else "-web-v1-1" in said


def test_a_revision_that_falls_over_after_its_success_goes_back() -> None:
    from tests.core.workloads.scenario import NOW

    known = {"reason": "NewReplicaSetAvailable", "of_template": "v2", "updated": 3, "replicas": 3}
    fresh = scene("v1*/0: v2*/3:xxx", last_progress_at=NOW - 20, **known)
    assert "rollback:2>1" in answer(fresh)
    later = scene("v1*/0: v2*/3:xxx", last_progress_at=NOW - 31, **known)
    assert "rollback" not in answer(later), "an hour later it is not the template's fault"
