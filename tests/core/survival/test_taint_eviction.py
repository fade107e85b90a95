"""Whom a node's NoExecute taints evict, and when: Kubernetes' TaintEvictionController."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import param

from deployer.core.objects.placement import Toleration
from deployer.core.scheduling.selectors import tolerates
from deployer.core.scheduling.values import Taint
from deployer.core.survival.taint_eviction import Eviction, Resident, eviction, plan
from deployer.core.taint import Standing, stamped, standing

BEGIN = 1000.0
CENTURIES = 10**12


def taint(text: str = "gpu", added_at: float = BEGIN) -> Standing:
    key, _, value = text.partition("=")
    return Standing(Taint(key, value, "NoExecute"), added_at)


def tolerates_it(seconds: int | None = None, text: str = "gpu", effect: str = "NoExecute") -> Toleration:
    key, _, value = text.partition("=")
    operator = "Equal" if value else "Exists"
    return Toleration.model_validate(
        {"key": key, "operator": operator, "value": value, "effect": effect, "toleration_seconds": seconds}
    )


def pod(*tolerations: Toleration, name: str = "web", placed_at: float = 0.0) -> Resident:
    return Resident(f"uid-{name}", "shop", name, placed_at, tolerations)


GPU = "node n1 has the taint gpu:NoExecute, which it "


@pytest.mark.parametrize(
    ("taints", "who", "at", "why"),
    [
        param([], pod(), None, "", id="no taint"),
        param([taint()], pod(), 0, f"{GPU}does not tolerate", id="not tolerated: at once"),
        param([taint()], pod(tolerates_it(effect="NoSchedule")), 0, f"{GPU}does not tolerate", id="another effect"),
        param([taint("gpu=a")], pod(tolerates_it(text="gpu=b")), 0,
              "node n1 has the taint gpu=a:NoExecute, which it does not tolerate", id="another value"),
        param([taint()], pod(tolerates_it()), None, "", id="tolerated without seconds: never"),
        param([taint()], pod(Toleration(operator="Exists")), None, "", id="whatever it is called"),
        param([taint()], pod(tolerates_it(CENTURIES)), None, "", id="longer than there are years"),
        param([taint()], pod(tolerates_it(60)), 1060, f"{GPU}tolerates for 60 s", id="for a time"),
        param([taint()], pod(tolerates_it(60), placed_at=1030), 1090, f"{GPU}tolerates for 60 s",
              id="placed later: its time begins then"),
        param([taint()], pod(tolerates_it(0)), 0, f"{GPU}tolerates for 0 s", id="no time at all"),
        param([taint()], pod(tolerates_it(-5)), 0, f"{GPU}tolerates for 0 s", id="less than none"),
        param([taint()], pod(tolerates_it(), tolerates_it(9)), None, "", id="the first that matches counts"),
        param([taint()], pod(tolerates_it(60), tolerates_it(9)), 1060, f"{GPU}tolerates for 60 s",
              id="the first counts, if it is the longer one too"),
        param([taint(), taint("lunch")], pod(tolerates_it(60), tolerates_it(20, "lunch")), 1020,
              "node n1 has the taint lunch:NoExecute, which it tolerates for 20 s", id="of two taints the shortest"),
        param([taint(), taint("lunch", 1050)], pod(tolerates_it(60), tolerates_it(20, "lunch")), 1060,
              f"{GPU}tolerates for 60 s", id="each from when it was added"),
        param([taint(), taint("lunch")], pod(tolerates_it(60), tolerates_it(None, "lunch")), 1060,
              f"{GPU}tolerates for 60 s", id="the other one for ever"),
        param([taint(), taint("lunch")], pod(tolerates_it()), 0,
              "node n1 has the taint lunch:NoExecute, which it does not tolerate", id="one of two is not tolerated"),
        param([taint()], Resident("uid", "shop", "web", 0, None), None, "", id="its template is lost: it stays"),
    ],
)  # fmt: skip
def test_when_and_why(taints: list[Standing], who: Resident, at: float | None, why: str) -> None:
    expected = None if at is None else Eviction(who, at, why)
    assert eviction("n1", taints, who) == expected


def test_a_plan_evicts_whose_time_has_come_and_names_the_next_moment() -> None:
    there = [pod(tolerates_it(60), name="c"), pod(tolerates_it(60), name="b"), pod(tolerates_it(30), name="d"),
             pod(name="a"), pod(tolerates_it(), name="e")]  # fmt: skip
    found = plan("n1", [taint()], there, BEGIN + 30)
    assert [one.pod.name for one in found.due] == ["a", "d"]
    assert ([one.pod.name for one in found.later], found.wake_at) == (["b", "c"], BEGIN + 60)
    assert found.later[0].announced == (
        f"{GPU}tolerates for 60 s: it is evicted at 1970-01-01T00:17:40Z, if the taint is there still"
    )
    assert plan("n1", [taint()], there[-1:], BEGIN).wake_at is None


def test_a_taint_is_kept_with_the_time_that_it_was_added_at() -> None:
    recorded = [stamped({"key": "gpu", "value": "a", "effect": "NoExecute"}, 1_750_000_000.25),
                stamped({"key": "gpu", "value": "a", "effect": "NoSchedule"}, 1_750_000_000.25)]  # fmt: skip
    assert recorded[0]["timeAdded"] == "2025-06-15T15:06:40.250000Z" and "timeAdded" not in recorded[1]
    assert standing(recorded) == (Standing(Taint("gpu", "a", "NoExecute"), 1_750_000_000.25),)
    for unknown in ({}, {"timeAdded": "yesterday"}):
        assert standing([{"key": "gpu", "effect": "NoExecute", **unknown}]) == (taint("gpu", 0.0),)


KEYS = st.sampled_from(["a", "b", "c"])
TAINTS = st.lists(KEYS, unique=True, max_size=3)
TOLERATIONS = st.lists(
    st.builds(
        Toleration, key=KEYS | st.just(""), operator=st.just("Exists"),
        effect=st.sampled_from(["", "NoExecute", "NoSchedule"]), toleration_seconds=st.none() | st.integers(-1, 9),
    ),
    max_size=4,
)  # fmt: skip


@given(TAINTS, TOLERATIONS)
def test_it_is_kubernetes_rule(keys: list[str], tolerations: list[Toleration]) -> None:
    """GetMatchingTolerations and getMinTolerationTime, where all taints were added at the same time."""
    used = []
    for key in keys:
        matching = [one for one in tolerations if tolerates([one], taint(key).taint)]
        used.append(matching[0] if matching else Toleration(toleration_seconds=0))
    seconds = [one.toleration_seconds for one in used if one.toleration_seconds is not None]
    expected = None if not seconds else 0 if min(seconds) <= 0 else BEGIN + min(seconds)
    found = eviction("n1", [taint(key) for key in keys], pod(*tolerations))
    assert (found and found.at) == expected


@given(TAINTS, TOLERATIONS, KEYS, st.integers(0, 20))
def test_a_taint_that_goes_evicts_nobody_earlier(
    keys: list[str], tolerations: list[Toleration], gone: str, seconds: int
) -> None:
    now, who = BEGIN + seconds, pod(*tolerations)
    before = plan("n1", [taint(key) for key in keys], [who], now)
    after = plan("n1", [taint(key) for key in keys if key != gone], [who], now)
    assert len(after.due) <= len(before.due)
    if before.wake_at is not None and after.wake_at is not None:
        assert before.wake_at <= after.wake_at
    for found in (before, after):
        if found.wake_at is not None:
            at = plan("n1", [taint(key) for key in keys], [who], found.wake_at)
            assert at.due, "whoever looks again then finds somebody to evict"
