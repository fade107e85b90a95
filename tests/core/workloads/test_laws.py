"""Random rollouts among random people and random pods; and for each law, a broken rule that it catches."""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployer.core.workloads import census, history, progress, recreate, replicaset, rolling, scaling, trial
from deployer.core.workloads import deployment as deployment_module
from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Deployment, NewPod, Pod, Progress, ReplicaSet
from tests.core.workloads import laws
from tests.core.workloads.world import ADOPTED, World

POD_DEEDS = ("place", "run", "ready", "unready", "unseen", "fail", "lose", "gone")
PEOPLE = ("push", "scale", "pause", "resume", "surge", "strategy", "prosper", "wait")
# Pods prosper more often than not, or no rollout would ever get far.
DEEDS = (*POD_DEEDS, *PEOPLE, "prosper", "prosper", "prosper", "ready", "ready")
PROSPER = ("prosper", 0)
PRELUDES: tuple[list[tuple[str, int]], ...] = (
    [],
    [
        ("scale", 3),
        PROSPER,
        PROSPER,
        PROSPER,
        ("wait", 1),
        ("push", 3),
        PROSPER,
        PROSPER,
        ("push", 2),
    ],  # a stuck rollout
)
DEED = st.tuples(st.sampled_from(DEEDS), st.integers(0, 11))

DEPLOYMENT = st.builds(
    Deployment,
    uid=st.just("uid"), namespace=st.just("shop"), name=st.just("web"), generation=st.just(1),
    replicas=st.integers(0, 6), strategy=st.sampled_from(("RollingUpdate", "RollingUpdate", "Recreate")),
    max_surge=st.sampled_from((0, 1, 3, "25%", "100%")), max_unavailable=st.sampled_from((0, 1, 2, "25%", "100%")),
    paused=st.just(False), min_ready_seconds=st.sampled_from((0, 0, 5)), progress_deadline_seconds=st.just(60),
    revision_history_limit=st.sampled_from((0, 1, 10)), template_hash=st.just("v1"), commit=st.just("c0ffee"),
    auto_rollback=st.sampled_from((True, True, False)), stop_first=st.sampled_from((False, False, True)),
    trial_seconds=st.sampled_from((0, 2, 2)),
)  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Empty, or with pods that were adopted from hosts after the records were lost."""
    world = World(draw(DEPLOYMENT))
    adopted = draw(st.sampled_from((0, 0, 0, 1, 3)))
    if adopted:
        world.sets["a"] = ReplicaSet("a", "web-v9", ADOPTED, 4, adopted, 0, 1.0, 0, False, "old", adopted=True)
    for place in range(adopted):
        world.pods[f"a{place}"] = Pod(f"a{place}", f"web-v9-{place}", "a", "n1", "Running", True, 1.0, 1.0, False, 0)
    return world


def do(world: World, deed: str, number: int) -> None:
    if deed in POD_DEEDS:
        pods = sorted(world.pods.values(), key=lambda pod: pod.name)
        if pods:
            pod = pods[number % len(pods)]
            getattr(world, deed)(pod, number) if deed == "place" else getattr(world, deed)(pod)
        return
    spec = world.deployment
    match deed:
        case "push":
            world.push(f"v{number % 4}")
        case "scale":
            world.change(replicas=number % 7)
        case "pause" | "resume":
            world.change(paused=deed == "pause")
        case "surge":
            world.change(max_surge=number % 4)
        case "strategy":
            world.change(strategy="Recreate" if spec.strategy == "RollingUpdate" else "RollingUpdate")
        case "prosper":
            world.prosper()
        case "wait":
            world.now += number * 7


def watched(*held: laws.Law) -> Callable[..., None]:
    """Every pass of a story is held against the laws."""

    @given(worlds(), st.lists(DEED, max_size=40))
    def run(world: World, story: list[tuple[str, int]]) -> None:
        look(world)
        for deed, number in story:
            do(world, deed, number)
            look(world)

    def look(world: World) -> None:
        found = world.look()
        for law in held:
            law(*found)

    return run


def ended(law: Callable[[World], None]) -> Callable[..., None]:
    """A story in which passes are cut off between any two of their writes; the law holds for how it ends."""

    @given(worlds(), st.sampled_from(PRELUDES), st.lists(DEED, max_size=30), st.integers(0, 2**32))
    def run(world: World, prelude: list[tuple[str, int]], story: list[tuple[str, int]], seed: int) -> None:
        luck = random.Random(seed)
        for deed, number in (("wait", 0), *prelude, *story):
            do(world, deed, number)
            plan = reconcile(world.snapshot())
            world.apply(plan, keep=lambda: luck.random() < 0.7)
            world.apply(plan, keep=lambda: luck.random() < 0.2)
        law(world)

    return run


ENDED = {law.__name__: partial(ended, law) for law in (laws.converges, laws.applies_twice_as_once)}
RUNS = {law.__name__: partial(watched, law) for law in laws.LAWS} | ENDED
HELD = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
"""Of the laws that need a story each. The others are held against the same stories, twice as many: to tell a story
costs more than to judge it."""
HUNTED = settings(
    max_examples=1500, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
    report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.mark.parametrize("law", ENDED)
def test_law(law: str) -> None:
    HELD(RUNS[law]())()


def test_the_laws_of_every_pass() -> None:
    settings(HELD, max_examples=100)(watched(*laws.LAWS))()


def _no_pods(*_: Any) -> list[Pod]:
    return []


def _greedy(count: Any, bounds: Any) -> Any:
    return min(bounds.desired, count.current_replicas + bounds.ceiling + 1 - count.replicas)


def _blind(count: Any, bounds: Any) -> dict[str, int]:
    """Old sets shrink without regard to what is not available."""
    spare = count.replicas - bounds.minimum
    left = {one.set.name: one.replicas for one in count.old}
    rolling._drop_available(count.old, left, spare)
    return {one.set.name: left[one.set.name] for one in count.old if left[one.set.name] != one.replicas}


def _backwards(pods: list[Pod], *rest: Any) -> list[Pod]:
    return ORDERED(pods, *rest)[::-1]


def _one_name(reference: str, name: str, created_count: int, count: int) -> tuple[NewPod, ...]:
    return tuple(NewPod(reference, f"{name}-{place}") for place in range(count))


def _drawn_name(reference: str, name: str, created_count: int, count: int) -> tuple[NewPod, ...]:
    return tuple(NewPod(reference, f"{name}-{next(DRAWN)}") for _ in range(count))


def _always_timed(snapshot: Any, count: Any, started: str, held: str) -> Progress:
    after = JUDGED(snapshot, count, started, held)
    late = snapshot.now > after.last_progress_at + snapshot.deployment.progress_deadline_seconds
    return replace(after, reason="ProgressDeadlineExceeded") if late and not snapshot.deployment.paused else after


ORDERED, JUDGED, DRAWN = replicaset.by_deletion, progress.progress_of, iter(range(10**9))

MUTANTS = [
    ("one pod too many", rolling, "current_target", _greedy, "never_more_than_the_ceiling"),
    ("no room costs a new pod", rolling, "current_target", lambda c, b: c.current_replicas + min(
        b.ceiling - c.replicas, b.desired - c.current_replicas), "converges"),
    ("unavailable new pods pay, too", rolling, "old_targets", _blind, "never_fewer_than_the_minimum"),
    ("ready for a moment is enough", census, "trial_of", lambda *given: trial.Trial(given[3]),
     "a_revision_on_trial_costs_nobody"),
    ("broken old pods stay", rolling, "_drop_unavailable", lambda *_: None, "converges"),
    ("the best pods go first", replicaset, "by_deletion", _backwards, "never_fewer_than_the_minimum"),
    ("the first pods go first", replicaset, "by_deletion", lambda pods, *_: pods, "the_order_of_inputs_is_irrelevant"),
    ("ready is available", census, "is_available", lambda pod, *_: pod.ready, "never_fewer_than_the_minimum"),
    ("a name is used again", replicaset, "new_pods", _one_name, "names_are_never_used_twice"),
    ("names are drawn", replicaset, "new_pods", _drawn_name, "applies_twice_as_once"),
    ("nobody waits for old pods", recreate, "remaining", _no_pods, "old_pods_end_before_new_ones_start"),
    ("pods follow a pass later", deployment_module, "_pods", lambda *_: deployment_module._Pods(),
     "pods_are_what_is_wanted"),
    ("no wake-up for the deadline", progress, "deadline_at", lambda *_: None, "whoever_waits_is_woken"),
    ("success can time out", progress, "progress_of", _always_timed, "success_is_final"),
    ("back to whatever there is", history, "last_healthy", lambda sets, _: next(iter(sets), None),
     "only_what_failed_goes_back_and_only_to_what_was_healthy"),
    ("half a new set ends the old ones", scaling, "_saturated", lambda *_: True, "never_fewer_than_the_minimum"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("module", "name", "mutant", "law"), [pytest.param(*mutant[1:], id=mutant[0]) for mutant in MUTANTS]
)
def test_the_law_catches(module: Any, name: str, mutant: Any, law: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, name, mutant)
    with pytest.raises(AssertionError):
        HUNTED(RUNS[law]())()
