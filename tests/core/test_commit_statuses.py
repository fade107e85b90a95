"""What a Git host is told of commits."""

from __future__ import annotations

import pytest

from deployer.core.commit_statuses import Rolled, Said, Tried, Workload, wanted

A, B, C = "a" * 40, "b" * 40, "c" * 40
FINE, MOVING = Workload("Deployment shop/web", "healthy"), Workload("Deployment shop/api", "moving")
BROKEN = Workload("Deployment shop/db", "failing", "0 of 3 pods became ready")
HEALTHY, ROLLING = Said("success", "1 workload healthy"), Said("pending", "rolling out")
FAILED = Said("failure", "Deployment shop/db: 0 of 3 pods became ready")
OVER = Said("stopped", "superseded by bbbbbbb before it was healthy")
BACK = Rolled(B, "rolled back by ann to aaaaaaa")


@pytest.mark.parametrize(
    ("tried", "workloads", "rolled", "told", "expected"),
    [
        pytest.param(None, [], None, {}, {}, id="nothing was tried"),
        pytest.param(Tried(A, "it is broken"), [FINE], None, {}, {A: Said("failure", "it is broken")}, id="refused"),
        pytest.param(Tried(A), [FINE, MOVING], None, {}, {A: ROLLING}, id="rolling out"),
        pytest.param(Tried(A), [FINE], None, {A: "pending"}, {A: HEALTHY}, id="healthy"),
        pytest.param(Tried(A), [], None, {}, {A: Said("success", "applied")}, id="nothing that rolls"),
        pytest.param(Tried(A), [FINE, MOVING, BROKEN], None, {}, {A: FAILED}, id="one fails, whatever the others do"),
        pytest.param(Tried(A), [MOVING], None, {A: "success"}, {}, id="scaled later: it stays a success"),
        pytest.param(Tried(A), [MOVING], None, {A: "failure"}, {}, id="tried again: it stays a failure"),
        pytest.param(Tried(A), [BROKEN], None, {A: "success"}, {A: FAILED}, id="it fell over later"),
        pytest.param(Tried(B), [MOVING], None, {A: "pending"}, {B: ROLLING, A: OVER}, id="a newer one supersedes"),
        pytest.param(Tried(B), [MOVING], None, {A: "success", C: "failure"}, {B: ROLLING}, id="verdicts stand"),
        pytest.param(
            Tried(A), [FINE], BACK, {B: "success"}, {A: HEALTHY, B: Said("failure", BACK.why)}, id="rolled back"
        ),
        pytest.param(Tried(B, "broken"), [FINE], BACK, {}, {B: Said("failure", "broken")}, id="not rolled yet"),
    ],
)
def test_what_is_to_stand_there(
    tried: Tried | None,
    workloads: list[Workload],
    rolled: Rolled | None,
    told: dict[str, str],
    expected: dict[str, Said],
) -> None:
    assert wanted(tried, workloads, rolled, told) == expected
