"""Canaries row by row: what happens in so many seconds, and where it is then.

A story is words: `push:v2`, `8s` (everything that can go well does, for so long), `slow:8s` (routers hear nothing),
`ok`, `bad`, `unsure` (how analyses end), `crash` (the newest pod's container fell over), a person's command, or a field
of the Deployment that changes (`replicas=8`).
"""

from dataclasses import replace
from typing import Any

import pytest

from deployer.core.canary import commands
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
from deployer.core.workloads.deployment import reconcile
from tests.core.workloads.canary_world import CanaryWorld, deployment

JUDGED = Analyse(Analysis(judge=Judge()))
STEPS = Strategy("Canary", (SetWeight(500), JUDGED, SetWeight(5000), Pause(10.0), Pause()))
TIMED = Strategy("Canary", (SetWeight(5000), Pause(10.0), SetWeight(1000), Pause(10.0)))
BESIDE = Strategy("Canary", (SetWeight(2500), Pause()), background=Analysis(judge=Judge()))
SCALED = Strategy("Canary", (SetCanaryScale(replicas=3), SetWeight(1000), Pause()), abort_scale_down_delay_seconds=30.0)
GREEN = Strategy(
    "BlueGreen", (SetCanaryScale(percent=100), JUDGED, Pause(), SetWeight(WHOLE), JUDGED), scale_down_delay_seconds=20.0
)
NONE = Strategy("Canary", canary_service="web-canary")
WATCHED = Strategy("Canary", background=Analysis(judge=Judge()))
SLOWLY = "min_ready_seconds=5"


def begun(strategy: Strategy, replicas: int = 4, **changed: Any) -> CanaryWorld:
    world = CanaryWorld(deployment(strategy, replicas, **changed))
    world.run_on(6)
    world.events.clear()
    return world


def tell(world: CanaryWorld, story: str) -> str:
    for word in story.split():
        _do(world, word)
    return world.where()


def _do(world: CanaryWorld, word: str) -> None:
    verb, _, rest = word.partition(":")
    match verb:
        case "push":
            world.push(rest)
        case "slow":
            world.run_on(float(rest.removesuffix("s")), routers=False)
        case "ok" | "bad" | "unsure":
            said = {"ok": "Successful", "bad": "Failed", "unsure": "Inconclusive"}[verb]
            world.finish(said, "errors: 9 of 20" if verb == "bad" else "")  # type: ignore[arg-type]
        case "crash":
            uid = sorted(world.pods, key=lambda one: int(one.partition("-")[2]))[-1]
            world.pods[uid] = replace(world.pods[uid], crash="container web ended with exit code 3", restarts=1)
        case _ if verb in commands.VERBS:
            world.ask(verb)
        case _ if "=" in verb:
            name, _, value = verb.partition("=")
            world.change(**{name: int(value)})
        case _:
            world.run_on(float(verb.removesuffix("s")))


@pytest.mark.parametrize(
    ("strategy", "story", "where"),
    [
        (STEPS, "push:v2 0s", "Progressing v2 step 0, 0 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s", "Progressing v2 step 1, 5 %, v1:4 v2:1"),
        (STEPS, "push:v2 500s", "Progressing v2 step 1, 5 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s ok 5s", "Paused v2 step 3, 50 %, v1:4 v2:2"),
        (STEPS, "push:v2 5s ok 500s", "Paused v2 step 4, 50 %, v1:4 v2:2"),
        (STEPS, "push:v2 5s ok 20s resume 9s", "Completed v2 step 5, 0 %, v2:4"),
        (STEPS, "push:v2 5s ok 5s resume 1s", "Paused v2 step 4, 50 %, v1:4 v2:2"),
        (STEPS, "push:v2 5s skip 5s", "Paused v2 step 3, 50 %, v1:4 v2:2"),
        (STEPS, "push:v2 5s pause ok 50s", "Paused v2 step 1, 5 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s pause ok 50s resume 3s", "Paused v2 step 3, 50 %, v1:4 v2:2"),
        (STEPS, "push:v2 5s promote 9s", "Completed v2 step 5, 0 %, v2:4"),
        (STEPS, "push:v2 5s unsure 50s", "Paused v2 step 1, 5 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s unsure 2s resume 3s", "Paused v2 step 3, 50 %, v1:4 v2:2"),
        (STEPS, "push:v2 5s bad slow:0s", "Aborting v2 step 1, 0 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s bad slow:14s", "Aborting v2 step 1, 0 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s bad slow:16s", "Aborted v2 step 1, 0 %, v1:4"),
        (STEPS, "push:v2 5s bad 1s", "Aborted v2 step 1, 0 %, v1:4"),
        (STEPS, "push:v2 5s bad 1s retry 5s", "Progressing v2 step 1, 5 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s bad 1s push:v4 5s", "Progressing v4 step 1, 5 %, v1:4 v4:1"),
        (STEPS, "push:v2 5s crash 2s", "Aborted v2 step 1, 0 %, v1:4"),
        (STEPS, "push:v3 9s", "Aborted v3 step 0, 0 %, v1:4"),
        (STEPS, "push:v2 5s push:v4 slow:5s", "Aborting v2 step 1, 0 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s push:v4 5s", "Progressing v4 step 1, 5 %, v1:4 v4:1"),
        (STEPS, "push:v2 5s push:v1 9s", "Completed v1 step 0, 0 %, v1:4"),
        (STEPS, "push:v2 5s promote 9s push:v1 9s", "Completed v1 step 0, 0 %, v1:4"),
        (STEPS, "push:v2 5s replicas=8 5s", "Progressing v2 step 1, 5 %, v1:8 v2:1"),
        (STEPS, "push:v2 5s ok 5s replicas=8 3s", "Paused v2 step 3, 50 %, v1:8 v2:4"),
        (STEPS, "push:v2 5s replicas=0 5s", "Progressing v2 step 1, 0 %, "),
        (STEPS, "push:v2 5s replicas=0 5s replicas=2 5s", "Progressing v2 step 1, 5 %, v1:2 v2:1"),
        (STEPS, "push:v2 5s paused=1 ok 50s", "Progressing v2 step 1, 5 %, v1:4 v2:1"),
        (STEPS, "push:v2 5s paused=1 bad 5s paused=0 5s", "Aborted v2 step 1, 0 %, v1:4"),
        (TIMED, "push:v2 5s", "Paused v2 step 1, 50 %, v1:4 v2:2"),
        (TIMED, "push:v2 16s", "Paused v2 step 3, 10 %, v1:4 v2:1"),
        (TIMED, "push:v2 60s", "Completed v2 step 4, 0 %, v2:4"),
        (BESIDE, "push:v2 5s", "Paused v2 step 1, 25 %, v1:4 v2:1"),
        (BESIDE, "push:v2 5s bad 2s", "Aborted v2 step 1, 0 %, v1:4"),
        (BESIDE, "push:v2 5s resume 9s", "Completed v2 step 2, 0 %, v2:4"),
        (SCALED, "push:v2 0s", "Progressing v2 step 0, 0 %, v1:4 v2:3"),
        (SCALED, "push:v2 5s", "Paused v2 step 2, 10 %, v1:4 v2:3"),
        (SCALED, "push:v2 5s abort 9s", "Aborted v2 step 2, 0 %, v1:4 v2:3"),
        (SCALED, "push:v2 5s abort 40s", "Aborted v2 step 2, 0 %, v1:4"),
        (GREEN, "push:v2 5s", "Progressing v2 step 1, 0 %, v1:4 v2:4"),
        (GREEN, "push:v2 5s ok 5s", "Paused v2 step 2, 0 %, v1:4 v2:4"),
        (GREEN, "push:v2 5s ok 5s resume 5s", "Progressing v2 step 4, 100 %, v1:4 v2:4"),
        (GREEN, "push:v2 5s ok 5s resume 5s bad 2s", "Aborted v2 step 4, 0 %, v1:4"),
        (GREEN, "push:v2 5s ok 5s resume 5s ok 15s", "Promoting v2 step 5, 100 %, v1:4 v2:4"),
        (GREEN, "push:v2 5s ok 5s resume 5s ok 25s", "Completed v2 step 5, 0 %, v2:4"),
        (GREEN, "push:v2 1s promote 40s", "Completed v2 step 5, 0 %, v2:4"),
        (NONE, "push:v2 9s", "Completed v2 step 0, 0 %, v2:4"),
        (WATCHED, f"{SLOWLY} push:v2 9s", "Promoting v2 step 0, 25 %, v1:3 v2:2"),
        (WATCHED, f"{SLOWLY} push:v2 9s bad 9s", "Aborted v2 step 0, 0 %, v1:4"),
        (WATCHED, f"{SLOWLY} push:v2 9s unsure 60s", "Completed v2 step 0, 0 %, v2:4"),
        (WATCHED, f"{SLOWLY} push:v2 60s", "Completed v2 step 0, 0 %, v2:4"),
        (BESIDE, f"{SLOWLY} push:v2 9s resume 9s", "Promoting v2 step 2, 50 %, v1:2 v2:3"),
        (BESIDE, f"{SLOWLY} push:v2 9s resume 9s bad 20s", "Aborted v2 step 2, 0 %, v1:4"),
        (BESIDE, f"{SLOWLY} push:v2 9s promote 9s bad 60s", "Completed v2 step 2, 0 %, v2:4"),
    ],
)
def test_where_it_is(strategy: Strategy, story: str, where: str) -> None:
    assert tell(begun(strategy), story) == where


def test_a_pause_or_an_analysis_has_no_deadline_but_pods_that_do_not_come_have_one() -> None:
    world = begun(STEPS)
    tell(world, "push:v2 500s")
    assert world.progress.reason == "CanaryInProgress"
    tell(world, "ok 500s")
    assert world.progress.reason == "CanaryPaused"
    world = begun(STEPS)
    world.push("v2")
    for _ in range(80):  # nobody places its pod
        world.look()
        world.hear()
        world.now += 1
    assert world.canary.phase == "Aborted"
    assert "no progress for 60 s; 1 of 1 new pods are not available: 1 waits for a node" in world.canary.why


def test_pods_on_a_node_that_nobody_sees_are_no_evidence() -> None:
    world = begun(STEPS)
    tell(world, "push:v2 5s")
    for uid, pod in world.pods.items():
        if pod.replica_set.endswith("v2"):
            world.pods[uid] = replace(pod, phase="Unknown", ready=False, ready_at=0.0, crash="it crashed", restarts=9)
    for _ in range(200):
        world.look()
        world.now += 1
    assert (world.canary.phase, world.canary.weight, world.progress.reason) == ("Progressing", 0, "CanaryInProgress")


def test_with_a_host_port_the_canary_takes_the_place_of_stable_pods() -> None:
    world = begun(STEPS, stop_first=True, max_unavailable=1, max_surge=0)
    assert tell(world, "push:v2 5s") == "Progressing v2 step 1, 5 %, v1:3 v2:1"
    assert tell(world, "ok 15s") == "Paused v2 step 4, 50 %, v1:3 v2:1"
    assert tell(world, "abort 3s") == "Aborted v2 step 4, 0 %, v1:4"


def test_the_weight_follows_the_pods_while_it_is_promoted() -> None:
    world = begun(Strategy("Canary", (SetWeight(2500),)), 8)
    world.push("v2")
    seen = []
    for _ in range(60):
        world.look()
        world.prosper()
        world.hear()
        if world.canary.phase == "Promoting":
            seen.append(world.canary.weight)
        world.now += 0.5
    assert world.where() == "Completed v2 step 1, 0 %, v2:8"
    assert seen == sorted(seen)
    assert seen[0] == 2500
    assert seen[-1] > 8000


def test_recreate_has_no_steps() -> None:
    world = CanaryWorld(deployment(STEPS, strategy="Recreate"))
    world.run_on(6)
    assert tell(world, "push:v2 9s") == "Completed v2 step 0, 0 %, v2:4"
    assert world.canary.why == "Recreate ends all old pods first"


def test_a_strategy_that_comes_and_goes() -> None:
    world = CanaryWorld(deployment(None))
    world.run_on(6)
    world.deployment = replace(world.deployment, canary=STEPS)
    world.events.clear()
    assert tell(world, "5s") == "Completed v1 step 0, 0 %, v1:4"
    assert world.events == []
    tell(world, "push:v2 5s")
    world.deployment = replace(world.deployment, canary=None)
    assert tell(world, "9s") == "  step 0, 0 %, v2:4"


def test_steps_that_were_written_anew() -> None:
    world = begun(STEPS)
    tell(world, "push:v2 5s")
    longer = Strategy("Canary", (SetWeight(500), JUDGED, SetWeight(1000), JUDGED))
    world.deployment = replace(world.deployment, canary=longer)
    tell(world, "1s")
    assert [(name, run.phase) for name, run in world.runs.items()] == [
        ("web-v2-1-1", "Inconclusive"), ("web-v2-1-1-1", "Running")
    ]  # fmt: skip
    assert "StepsChanged: the steps were written anew: the canary goes on at step 2 of 4 (analysis)" in world.events
    assert tell(world, "ok 5s") == "Progressing v2 step 3, 10 %, v1:4 v2:1"
    world.deployment = replace(world.deployment, canary=Strategy("Canary", (SetWeight(500), Pause())))
    assert tell(world, "3s") == "Paused v2 step 1, 5 %, v1:4 v2:1"
    assert any("there is no step 4 any more, so the canary starts over" in event for event in world.events)


def test_header_routes_come_and_go() -> None:
    route = HeaderRoute("me", (HeaderMatch("x-me", "exact", "1"),))
    steps = (SetWeight(100), SetHeaderRoute(route), Pause(), SetHeaderRoute(HeaderRoute("me")), Pause())
    world = begun(Strategy("Canary", steps))
    tell(world, "push:v2 5s")
    assert world.canary.headers == (route,)
    tell(world, "resume 3s")
    assert world.canary.headers == ()


def test_what_an_operator_sees_of_an_abort() -> None:
    world = begun(STEPS)
    tell(world, "push:v2 5s crash")
    _, plan, _ = world.look()
    assert plan.conditions[1].reason == "RolloutAborted"
    assert plan.conditions[1].message.startswith("the canary is aborted: pod web-v2-")
    assert [(run.name, run.why[:20]) for run in plan.end_runs] == [("web-v2-1-1", "the canary ended: po")]
    world.hear()
    rollback = world.look()[1].rollback
    assert rollback is not None
    assert rollback.message.endswith("container web ended with exit code 3; back at revision 1 (commit v1)")
    assert str(reconcile(world.snapshot()))


@pytest.mark.parametrize(
    ("story", "verb", "sentence"),
    [
        ("5s", "promote", "no canary is in its steps: the newest revision came in whole"),
        ("5s", "retry", "there is no aborted canary to try again: the newest revision came in whole"),
        ("push:v2 5s", "resume", "it is not paused: it is at step 2 of 5 (analysis) with 5 % of the traffic"),
        ("push:v2 5s pause", "pause", "it is paused already: it is at step 2 of 5 (analysis) with 5 % of the traffic, "
                                      "paused: ann paused it"),
        ("push:v2 5s bad slow:1s", "abort", "there is no canary to abort: it is being aborted: errors: 9 of 20"),
        ("push:v2 5s bad 5s", "skip", "no canary is in its steps: it was aborted: errors: 9 of 20"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(story: str, verb: str, sentence: str) -> None:
    world = begun(STEPS)
    tell(world, story)
    with pytest.raises(commands.CommandRefused) as refused:
        world.ask(verb)
    assert refused.value.sentence == sentence


def test_a_canary_on_a_drained_node_is_replaced_first_and_pays_for_nobody() -> None:
    world = begun(STEPS, 2)
    tell(world, "push:v2 5s")
    for uid, pod in world.pods.items():
        world.pods[uid] = replace(pod, evicting=True)
    plan = reconcile(world.snapshot())
    assert not plan.delete_pods
    assert sorted(pod.replica_set for pod in plan.create_pods) == ["uid-web-v1", "uid-web-v1", "uid-web-v2"]
