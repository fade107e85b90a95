"""Random canaries among random people, analyses, routers and pods; and for each law, a broken rule that it catches."""

import contextlib
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.core.canary import commands, steps, turn
from deployer.core.canary.values import (
    WHOLE,
    Analyse,
    Analysis,
    HeaderMatch,
    HeaderRoute,
    Judge,
    Pause,
    SetCanaryScale,
    SetHeaderRoute,
    SetWeight,
    Strategy,
)
from deployer.core.workloads import canary, replicaset
from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.rolling import Bounds
from tests.core.workloads import canary_laws
from tests.core.workloads.canary_world import CanaryWorld, deployment
from tests.core.workloads.test_laws import do as do_plainly

JUDGED = Analyse(Analysis(judge=Judge()))
HEADER = SetHeaderRoute(HeaderRoute("me", (HeaderMatch("x-me", "exact", "1"),)))
STRATEGIES = (
    Strategy("Canary", (SetWeight(500), JUDGED, SetWeight(5000), Pause(20.0), HEADER, Pause())),
    Strategy("Canary", (SetCanaryScale(replicas=2), SetWeight(2500), Pause(5.0), SetCanaryScale(), SetWeight(1000)),
             background=Analysis(judge=Judge()), abort_scale_down_delay_seconds=10.0),
    Strategy("Canary", (SetWeight(3000), JUDGED, SetWeight(0), Pause(3.0), SetWeight(WHOLE), JUDGED)),
    Strategy("BlueGreen", (SetCanaryScale(percent=100), JUDGED, Pause(), SetWeight(WHOLE), JUDGED),
             scale_down_delay_seconds=15.0),
    Strategy("Canary", background=Analysis(judge=Judge())),
)  # fmt: skip
POD_DEEDS = ("place", "run", "ready", "unready", "unseen", "fail", "lose", "gone")
MINE = ("hear", "finish", "content", "undecided", "failed", "ask", "steps", "crash", "prosper", "prosper", "wait")
PEOPLE = ("push", "scale", "pause", "resume", "push", "prosper", "prosper", "on", "on", "on")
DEED = st.tuples(st.sampled_from((*POD_DEEDS, *MINE, *PEOPLE)), st.integers(0, 11))
VERBS = tuple(commands.VERBS)


@st.composite
def worlds(draw: st.DrawFn) -> CanaryWorld:
    """The first revision serves already."""
    world = CanaryWorld(
        deployment(
            draw(st.sampled_from(STRATEGIES)), draw(st.integers(1, 5)), max_surge=draw(st.sampled_from((0, 1, "50%"))),
            max_unavailable=draw(st.sampled_from((0, 1))), min_ready_seconds=draw(st.sampled_from((0, 0, 3))),
            stop_first=draw(st.sampled_from((False, False, True))),
        )
    )  # fmt: skip
    world.run_on(6)
    return world


def do(world: CanaryWorld, deed: str, number: int) -> None:
    match deed:
        case "hear":
            world.hear()
        case "content" | "finish":
            world.finish("Successful")
        case "undecided":
            world.finish("Inconclusive", "too few requests")
        case "failed":
            world.finish("Failed", "errors: 9 of 20")
        case "ask":
            with contextlib.suppress(commands.CommandRefused):
                world.ask(VERBS[number % len(VERBS)])
        case "steps":
            world.deployment = replace(world.deployment, canary=STRATEGIES[number % len(STRATEGIES)])
        case "crash":
            for uid, pod in sorted(world.pods.items())[-1:]:
                world.pods[uid] = replace(pod, crash="container web ended with exit code 1", restarts=1)
        case "on":
            world.run_on(2)
        case _:
            do_plainly(world, deed, number)


def watched(*laws: canary_laws.Law) -> Callable[..., None]:
    """Every pass of a story is held against the laws."""

    @given(worlds(), st.lists(DEED, min_size=4, max_size=40))
    def run(world: CanaryWorld, story: list[tuple[str, int]]) -> None:
        world.push("v2")
        for deed, number in story:
            for law in laws:
                law(*(found := world.look()))
                if not found[1].moves:
                    break
            do(world, deed, number)
            passed = world.look()
            for law in laws:
                law(*passed)

    return run


def ended(law: Callable[[CanaryWorld], None]) -> Callable[..., None]:
    """A story in which passes are cut off between any two of their writes; the law holds for how it ends."""

    @given(worlds(), st.lists(DEED, max_size=25), st.integers(0, 2**32))
    def run(world: CanaryWorld, story: list[tuple[str, int]], seed: int) -> None:
        luck = random.Random(seed)
        for deed, number in (("push", 2), *story):
            do(world, deed, number)
            plan = reconcile(world.snapshot())
            world.apply(plan, keep=lambda: luck.random() < 0.7)
            world.apply(plan, keep=lambda: luck.random() < 0.2)
        law(world)

    return run


def held(examples: int, **more: Any) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), **more)


def test_the_laws() -> None:
    held(60)(watched(*canary_laws.LAWS))()


def test_it_converges_whatever_is_cut_off() -> None:
    held(40)(ended(canary_laws.converges))()


PAUSING, TARGETS = steps._pausing, canary.targets

MUTANTS: list[tuple[str, Any, str, Any, Any]] = [
    ("traffic before pods", steps, "weighed", lambda weight, goal, needed, counts: goal,
     canary_laws.no_traffic_without_a_pod),
    ("a canary as large as the rest", steps, "size_at", lambda strategy, step, desired: desired + 1,
     canary_laws.the_canary_is_no_larger_than_its_steps),
    ("the canary replaces stable pods", canary, "_bounds", lambda stop_first, bounds, size, stable: Bounds(
        max(0, bounds.desired - size - 1), 0, 1), canary_laws.stable_pods_serve),
    ("nobody waits for routers", turn, "is_acknowledged", lambda *_: True, canary_laws.traffic_goes_before_pods),
    ("a newer one at once", turn, "to_zero", lambda state, why, now, *_, **__: replace(
        state, phase="Aborted", weight=0), canary_laws.traffic_goes_before_pods),
    ("failures are not read", steps, "failed", lambda runs: "", canary_laws.what_failed_is_not_promoted),
    ("nobody is woken after a pause", steps, "_pausing", lambda *given: replace(PAUSING(*given), wake_at=None),
     canary_laws.whoever_waits_is_woken),
    ("the first pods go first", replicaset, "by_deletion", lambda pods, *_: pods,
     canary_laws.the_order_of_inputs_is_irrelevant),
    ("more than both need", canary, "targets", lambda snapshot, census, bounds, found: {
        **TARGETS(snapshot, census, bounds, found), found.stable.set.name: bounds.desired + 2},
     canary_laws.never_more_than_both_need),
    ("analyses go on for ever", turn, "_ended", lambda *_: (), canary_laws.converges),
    ("it is never over", canary, "ended", lambda snapshot, census, found, *_: found, canary_laws.converges),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name", "mutant", "law"), [pytest.param(*mutant[1:], id=mutant[0]) for mutant in MUTANTS]
)
def test_the_law_catches(module: Any, name: str, mutant: Any, law: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, name, mutant)
    run = ended(law) if law is canary_laws.converges else watched(law)
    hunt = held(800, database=None, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises(AssertionError):
        hunt(run)()
