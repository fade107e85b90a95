"""RollingUpdate, Recreate, rollover and stop-first, row by row."""

from typing import Any

import pytest

from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.rolling import Bounds, bounds_of
from tests.core.workloads.scenario import answer, scene


def param(sketch: str, expected: str, id: str, **changed: Any) -> Any:  # noqa: A002
    return pytest.param(sketch, changed, expected, id=id)


@pytest.mark.parametrize(
    ("desired", "surge", "unavailable", "expected"),
    [
        pytest.param(10, "25%", "25%", (3, 2), id="surge is rounded up, unavailable down"),
        pytest.param(4, "25%", "25%", (1, 1), id="4 by a quarter"),
        pytest.param(2, "1%", "1%", (1, 0), id="surge alone"),
        pytest.param(1, "25%", "1%", (1, 0), id="one replica is replaced by surge"),
        pytest.param(2, 0, "1%", (0, 1), id="both resolve to 0, so unavailable is 1"),
        pytest.param(1, "0%", "25%", (0, 1), id="both resolve to 0 for one replica"),
        pytest.param(2, 0, 5, (0, 2), id="unavailable is capped at the replicas"),
        pytest.param(0, "25%", "25%", (0, 0), id="nothing desired"),
        pytest.param(10, 7, 3, (7, 3), id="numbers are themselves"),
        pytest.param(100, "29%", "29%", (29, 29), id="no floating point: 29% of 100 is 29"),
    ],
)
def test_bounds(desired: int, surge: int | str, unavailable: int | str, expected: tuple[int, int]) -> None:
    deployment = scene("v1:", desired, max_surge=0).deployment
    found = bounds_of(type(deployment)(**{**_fields(deployment), "max_surge": surge, "max_unavailable": unavailable}))
    assert (found.surge, found.unavailable) == expected


def test_bounds_of_a_stop_first_deployment() -> None:
    assert bounds_of(scene("v1:", 3, max_surge=2, max_unavailable=0, stop_first=True).deployment) == Bounds(3, 0, 1)
    assert bounds_of(scene("v1:", 3, max_surge=2, max_unavailable=2, stop_first=True).deployment) == Bounds(3, 0, 2)


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        param("v1:RRR", "healthy:v1", "a complete rollout makes the revision a healthy one"),
        param("v1*:RRR", "", "nothing to do"),
        param("v1*:RRR", "new:v2=1 +v2", "a new template starts with the surge", template="v2"),
        param("v1*:RRR", "new:v2=0 v1=2 -web-v1-2", "without surge an old pod goes first", template="v2", max_surge=0),
        param("v1:RRR v2:r", "", "a new pod that is not ready pays for nothing"),
        param("v1:RRR v2:p", "", "neither does one that has no place"),
        param("v1:RRR v2:R", "v1=2 -web-v1-2", "a ready new pod pays for one old pod"),
        param("v1:RR v2:R", "v2=2 +v2", "there is room again: one more new pod"),
        param("v1:RR v2:Rr", "", "and again it is waited for"),
        param("v1:R v2:RR", "v2=3 +v2", "the last new pod"),
        param("v1:R v2:RRR", "v1=0 -web-v1-0", "the last old pod"),
        param("v1:t v2:RRR", "healthy:v2", "a pod that is being deleted does not count"),
        param("v1:RRR v2:RR", "v1=1 -web-v1-2 -web-v1-1", "two ready new pods pay for two", max_surge=2),
        param("v1:RRR", "new:v2=3 +v2*3", "surge of 100%", template="v2", max_surge=3),
        param("v1:RRRR v2:R", "v1=2 -web-v1-3 -web-v1-2", "4 by a quarter", desired=4, max_unavailable=1),
        # The worked example of Kubernetes' rolling.go: 10 desired, 2 unavailable, 3 surge.
        param(
            "v1:RRRRRRRR v2:rrrrr", "", "none of 5 new pods is ready: nothing may go", desired=10, max_surge=3,
            max_unavailable=2,
        ),
        param(
            "v1:RRRRRRRu v2:rrrrr", "", "a node fails meanwhile: still nothing may go", desired=10, max_surge=3,
            max_unavailable=2,
        ),
        param(
            "v1*:RRRRRRRu v2:rrrrr",
            "reuse:v1#3 v2=1 -web-v2-4 -web-v2-3 -web-v2-2 -web-v2-1",
            "undo: 13 - 8 - 1 = 4 broken pods go", desired=10, template="v1", max_surge=3, max_unavailable=2,
        ),
        param(
            "v1:RRRRRRRR v2:rrrrr",
            "new:v3=0 v2=0 -web-v2-4 -web-v2-3 -web-v2-2 -web-v2-1 -web-v2-0",
            "rollover at the cap starts at 0 and clears away what is broken", desired=10, template="v3", max_surge=3,
            max_unavailable=2,
        ),
        param("v1:RRR v2:r", "new:v3=0 v2=0 -web-v2-0", "a newer template supersedes a stuck one", template="v3"),
        param("v1:RR v2:R", "new:v3=1 +v3", "rollover below the cap: every other set is old", template="v3"),
        param("v1:R v2:R v3:RR", "v1=0 -web-v1-0", "the oldest set shrinks first"),
        param("v1:R v2:x v3:RR", "v2=0 -web-v2-0", "but what is broken goes before it"),
        param("v1:R v2:xx v3:RRR", "v1=0 v2=0 -web-v1-0 -web-v2-1 -web-v2-0", "broken and spare together", max_surge=2),
        param("v1*:RRRR v2:RR", "v1=1 -web-v1-3 -web-v1-2 -web-v1-1", "too many in all: the old ones shrink first"),
        param("v1:RRRRR", "v1=3 -web-v1-4 -web-v1-3", "more than desired: new = desired", desired=3),
        param("v1/3:RR", "+v1", "a pod that is gone is replaced"),
        param("v1/3:RRt", "+v1", "so is one that is going"),
        param("v1/3:RRf", "+v1 -web-v1-2", "a pod that has failed makes room"),
        param("v1/2:RRR", "v1=3", "desired again before anything was deleted"),
        param("v1/3:RRR v2/1:RR", "v1=2 -web-v2-1 -web-v1-2", "a surplus pod of any set goes"),
        param("v1:R", "new:v2=0 v1=0 -web-v1-0", "one replica, stop first", desired=1, template="v2", stop_first=True),
        param("v1:t v2:", "v2=1 +v2", "and then the new one starts", desired=1, stop_first=True),
        param("v1:RRR", "v1=0 -web-v1-2 -web-v1-1 -web-v1-0", "scaled to nothing", desired=0),
        param("v1:", "v1=3 +v1*3", "and back"),
        param("v1?:RRR v2:r", "", "an adopted set is an old one", desired=3),
        param("v1?/3:RR v2:r", "v2=2 v1=2 +v2", "but it cannot make pods: what is lost goes to the new set"),
        param("v1?/3:RR", "+v1", "unless its template is the one in force"),
    ],
)  # fmt: skip
def test_rolling(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert answer(scene(sketch, **changed)) == expected


@pytest.mark.parametrize(
    ("sketch", "changed", "expected"),
    [
        param("v1*:RRR", "v1=0 -web-v1-2 -web-v1-1 -web-v1-0", "all old pods go first", template="v2"),
        param("v1*:Rtt v2:", "v1=0 -web-v1-0", "those that are left go"),
        param("v1*:ttt", "", "nothing starts while one is still going", template="v2"),
        param("v1*/0:u", "-web-v1-0", "nor while one may still run out of sight", template="v2"),
        param("v1*/0:f", "new:v2=3 +v2*3 -web-v1-0", "one that has failed is no obstacle", template="v2"),
        param("v1*:", "new:v2=3 +v2*3", "then all new pods start", template="v2"),
        param("v1:RR", "v1=3 +v1", "scaled up"),
        param("v1:RRRR", "v1=3 -web-v1-3", "scaled down"),
        param("v1*: v2:xxx", "reuse:v1#3 v2=0 -web-v2-2 -web-v2-1 -web-v2-0", "and back, the same way", template="v1"),
    ],
)
def test_recreate(sketch: str, changed: dict[str, Any], expected: str) -> None:
    assert answer(scene(sketch, strategy="Recreate", **changed)) == expected


def test_recreate_names_the_pods_it_waits_for() -> None:
    assert reconcile(scene("v1:tt", template="v2", strategy="Recreate")).waiting_for == ("web-v1-0", "web-v1-1")
