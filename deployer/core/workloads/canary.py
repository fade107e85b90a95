"""A canary among a workload's replica sets: who serves everybody, who is tried, and how many pods each has.

While it is tried (`core.canary.turn`), everything else goes on beside it as ever: the stable revision and what may be
left of others are a workload of their own here, scaled, healed, drained and rolled by the ordinary rules, at full size.
The canary's pods come on top. Only where one pod has to end before another can start (a host port) does the canary
take the place of stable pods, never of more than may be unavailable.

Before and after its steps, a new revision is an ordinary rolling update: see `deployment.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from deployer.core.canary import steps, turn
from deployer.core.canary.steps import Counts
from deployer.core.canary.turn import Scene, Turn
from deployer.core.canary.values import WHOLE, Analyse, CanaryState, Run, Strategy
from deployer.core.workloads import progress, rolling, scaling, sentences
from deployer.core.workloads.census import Census, Standing
from deployer.core.workloads.history import last_healthy
from deployer.core.workloads.progress import FAILED
from deployer.core.workloads.rolling import Bounds
from deployer.core.workloads.trial import trial_of
from deployer.core.workloads.values import Event, Progress, ReplicaSet, Rollback, Snapshot

REASON = "CanaryAborted"
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Trying:
    """The canary's side of a pass. `stable` is None when nothing of the stable revision is known any more."""

    turn: Turn
    strategy: Strategy
    canary: Standing | None
    stable: Standing | None
    in_force: str
    now: float

    @property
    def lingers(self) -> bool:
        """It was aborted, and its pods stay for a while."""
        until = turn.pods_until(self.state, self.strategy)
        return self.state.phase == "Aborted" and self.canary is not None and bool(self.canary.pods) and self.now < until

    @property
    def state(self) -> CanaryState:
        return self.turn.state

    @property
    def is_apart(self) -> bool:
        """Its pods come on top of a workload that goes on as it is."""
        phase = self.state.phase
        is_held = phase == "Aborted" and self.state.template_hash == self.in_force  # no pin can hold it
        return self.stable is not None and (phase in ("Progressing", "Paused", "Aborting") or is_held)

    def is_about(self, snapshot: Snapshot) -> bool:
        """The template in force may be taken: no other canary has to end before."""
        return not self.is_apart or self.state.template_hash == snapshot.deployment.template_hash

    @property
    def reason(self) -> str:
        """Of the condition Progressing, "" while the rollout's own rules say."""
        state, waits_for = self.state, self.turn.waits_for
        is_here = state.template_hash == self.in_force or self.lingers
        if state.phase in ("Aborting", "Aborted") and is_here:
            return progress.ABORTED
        if waits_for == "person":
            return progress.CANARY_PAUSED
        return progress.CANARY if waits_for and waits_for != "pods" else ""


def trying(snapshot: Snapshot, census: Census) -> Trying | None:
    """None when new revisions come in by a rolling update alone."""
    strategy = snapshot.deployment.canary
    if strategy is None and snapshot.canary.phase == "Aborting":
        strategy = Strategy("Canary")  # what has begun to go back does so
    if strategy is None:
        return None
    return _trying(snapshot, census, strategy, turn.turn(scene_of(snapshot, census, strategy)))


def _trying(snapshot: Snapshot, census: Census, strategy: Strategy, found: Turn) -> Trying:
    canary, stable = _named(census, found.state.template_hash), _named(census, found.state.stable_hash)
    return Trying(found, strategy, canary, stable, snapshot.deployment.template_hash, snapshot.now)


def scene_of(snapshot: Snapshot, census: Census, strategy: Strategy) -> Scene:
    deployment, state = snapshot.deployment, snapshot.canary
    canary, others = _named(census, state.template_hash), _named(census, state.stable_hash)
    stable = _stable_hash(snapshot, census)
    crash, log_tail = _crash(strategy, canary)
    needed = rolling.bounds_of(deployment).minimum
    return Scene(
        workload=deployment.name, strategy=strategy, state=state, template_hash=deployment.template_hash,
        desired=deployment.replicas, counts=_counts(snapshot, census, canary), now=snapshot.now,
        stable_hash=stable, skip=_skip(snapshot, census, stable), pinned=deployment.pinned, paused=deployment.paused,
        suffices=others is not None and others.available >= needed, runs=_sorted(snapshot),
        routers_at=snapshot.routers_at, crash=crash, log_tail=log_tail, words=_words(snapshot, census),
        alone=not any(one.replicas for one in census.old), orphan=others is None,
    )  # fmt: skip


def failed(snapshot: Snapshot, census: Census, found: Trying, why: str, log_tail: str) -> Trying:
    """The canary's pods do not come up, or do not stay up."""
    scene = scene_of(snapshot, census, found.strategy)
    return _trying(snapshot, census, found.strategy, turn.aborted(scene, found.state, why, log_tail))


def ended(snapshot: Snapshot, census: Census, found: Trying, after: Progress) -> Trying:
    """The promotion is over when the rollout is complete."""
    if found.state.phase != "Promoting" or after.reason in FAILED or found.turn.waits_for:
        return found
    if not progress.is_complete(snapshot.deployment, census):
        return found
    return replace(found, turn=turn.completed(scene_of(snapshot, census, found.strategy), found.turn))


def targets(snapshot: Snapshot, census: Census, bounds: Bounds, found: Trying) -> dict[str, int]:
    """Set name -> replicas, for the sets that change, while the canary is apart."""
    assert found.stable is not None
    deployment = snapshot.deployment
    size = _size(snapshot, found)
    beside = aside(snapshot, census, found)
    own = _bounds(deployment.stop_first, bounds, size, found.stable)
    resized = snapshot.progress.desired not in (-1, deployment.replicas)
    moves = scaling.step(beside, own, rolling=True, resized=resized) if deployment.paused or resized else {}
    if not moves and not deployment.paused:
        moves = rolling.step(beside, own)
    total = sum(moves.get(one.set.name, one.replicas) for one in beside.standings())
    room = bounds.desired + max(bounds.surge, size) - total
    now = found.canary.replicas if found.canary else 0
    if not deployment.stop_first:
        size = min(size, max(now, room))
    elif size > now:  # the room that stable pods have left
        size = max(now, min(size, bounds.ceiling - total))
    if found.state.template_hash == deployment.template_hash and found.canary is None:
        return moves | {census.name: size}
    if found.canary is not None and size != now:
        moves[found.canary.set.name] = size
    return moves


def aside(snapshot: Snapshot, census: Census, found: Trying) -> Census:
    """The workload without the canary: the stable revision is the current one."""
    stable = found.stable
    assert stable is not None
    old = [one for one in census.standings() if one is not stable and one is not found.canary]
    old.sort(key=lambda one: (one.set.created_at, one.set.name))
    stable.trial = trial_of(snapshot.deployment, stable.set, stable.pods, stable.available, snapshot.now)
    found_all = (stable, *old)
    return Census(
        stable.set.name, stable, old, replicas=sum(one.replicas for one in found_all),
        pods=sum(len(one.pods) for one in found_all), ready=sum(one.ready for one in found_all),
        available=sum(one.available for one in found_all), available_at=census.available_at, lost_at=census.lost_at,
    )  # fmt: skip


def alone(found: Trying) -> tuple[tuple[Census, int], ...]:
    """The canary as a workload of its own, for a drain: each of its pods is replaced before it goes."""
    one = found.canary
    if one is None:
        return ()
    own = Census(one.set.name, one, [], one.replicas, len(one.pods), one.ready, one.available)
    return ((own, one.replicas),)


def kept(snapshot: Snapshot, found: Trying, moves: dict[str, int]) -> dict[str, int]:
    """The ordinary moves, without those for which it is too early: of old sets while a blue-green promotion may still
    need them, of the pods of an aborted canary that are to stay for a while."""
    state, canary, now = found.state, found.canary, snapshot.now
    if canary is None:
        return moves
    until = None if snapshot.deployment.stop_first else turn.old_pods_until(state, found.strategy)
    if until is not None and (state.weight < WHOLE or now < until) and not snapshot.deployment.paused:
        desired = snapshot.deployment.replicas
        return {canary.set.name: desired} if canary.replicas != desired else {}
    if state.phase == "Aborted" and now < turn.pods_until(state, found.strategy):
        return {name: size for name, size in moves.items() if name != canary.set.name}
    return moves


def doomed(found: Trying, census: Census) -> dict[str, int]:
    gone = _named(census, found.turn.doomed) if found.turn.doomed else None
    return {gone.set.name: 0} if gone is not None and gone.replicas else {}


def rollback_of(found: Trying) -> Rollback | None:
    """Back to the stable revision. None when it cannot be held by a pin, because its template is not known: then the
    state itself holds it."""
    state, canary, stable = found.state, found.canary, found.stable
    if not found.turn.back or canary is None or stable is None or stable.set.adopted:
        return None
    return Rollback(
        to_revision=stable.set.revision, from_revision=canary.set.revision, reason=REASON,
        message=sentences.canary_aborted(canary.set, state.why, stable.set), log_tail=state.log_tail,
        by=state.aborted_by,
    )  # fmt: skip


def sentence(found: Trying | None) -> str:
    """ "canary of revision 3 (commit abc1234): step 2 of 5 (pause 10m), 5 % of the traffic". "" when there is none."""
    if found is None or (not found.state.is_under_way and not found.reason and found.state.phase != "Aborting"):
        return ""
    state = found.state
    if state.phase in ("Aborting", "Aborted"):
        return f"the canary is aborted: {state.why}" if found.reason == progress.ABORTED else f"canary: {state.why}"
    what = f"canary of {sentences.revision(found.canary.set)}" if found.canary else "canary"
    where = "it replaces the old pods" if state.phase == "Promoting" else turn.step_words(found.strategy, state)
    why = f": {state.why}" if state.phase == "Paused" and found.turn.waits_for == "person" and state.why else ""
    return f"{what}: {where}, {steps.percent(state.weight)} of the traffic{why}"


def events(snapshot: Snapshot, found: Trying) -> tuple[Event, ...]:
    about = (snapshot.deployment.kind, snapshot.deployment.name)
    return tuple(Event(one.type, one.reason, one.message, about) for one in found.turn.said)


def _size(snapshot: Snapshot, found: Trying) -> int:
    """How many pods the canary has from now on."""
    state, deployment = found.state, snapshot.deployment
    now = found.canary.replicas if found.canary else 0
    if deployment.replicas == 0:
        return 0
    if state.phase == "Aborting" or state.template_hash != deployment.template_hash:
        return now
    if state.phase == "Aborted":
        return now if snapshot.now < turn.pods_until(state, found.strategy) else 0
    size = min(steps.size_at(found.strategy, state.step, deployment.replicas), _most(snapshot))
    return max(now, size) if state.weight < snapshot.canary.weight else size  # weight first, then pods


def _bounds(stop_first: bool, bounds: Bounds, size: int, stable: Standing) -> Bounds:
    """The stable side's. With stop-first it is smaller by the canary's pods, as far as pods may be unavailable; and
    nobody can make pods of an adopted revision."""
    if stable.set.adopted:
        desired = min(bounds.desired, stable.replicas)
    elif stop_first:
        desired = max(bounds.minimum, bounds.desired - size)
    else:
        return bounds
    return Bounds(desired, 0, max(0, desired - bounds.minimum))


def _named(census: Census, template_hash: str) -> Standing | None:
    """The oldest set of the template, as everywhere."""
    return next((one for one in census.standings() if one.set.template_hash == template_hash), None)


def _counts(snapshot: Snapshot, census: Census, canary: Standing | None) -> Counts:
    most = _most(snapshot)
    if canary is None:
        return Counts(everybody=census.available, most=most)
    trial = trial_of(snapshot.deployment, canary.set, canary.pods, canary.available, snapshot.now)
    unseen = sum(pod.phase == "Unknown" for pod in canary.pods)
    return Counts(min(trial.trusted, canary.replicas), canary.available, unseen, census.available, most)


def _most(snapshot: Snapshot) -> int:
    """Where a pod has to end before another can start, the canary takes the place of those that may be missing."""
    deployment = snapshot.deployment
    return rolling.bounds_of(deployment).unavailable if deployment.stop_first else MOST


def _stable_hash(snapshot: Snapshot, census: Census) -> str:
    """What a canary that begins now is compared with, "" when there is nothing: what served everybody before it, else
    the newest healthy revision, else what was adopted and runs."""
    state, template_hash = snapshot.canary, snapshot.deployment.template_hash
    for one in _candidates(census, state, rolling.bounds_of(snapshot.deployment).minimum):
        found = _named(census, one)
        if found is not None and one != template_hash and (found.set.healthy or found.available) and found.replicas:
            return one
    sets = [one.set for one in census.old]
    healthy = last_healthy(_serving(census) or sets, template_hash)
    if healthy is not None:
        return healthy.template_hash
    adopted = [one for one in census.old if one.set.adopted and one.pods]
    return max(adopted, key=lambda one: (len(one.pods), one.set.name)).set.template_hash if adopted else ""


def _serving(census: Census) -> list[ReplicaSet]:
    return [one.set for one in census.old if one.replicas and one.set.healthy and not one.set.failed]


def _candidates(census: Census, state: CanaryState, minimum: int) -> list[str]:
    """A canary that was being promoted serves everybody once it has as many pods as there must be."""
    if state.phase == "Completed":
        return [state.template_hash]
    promoting = _named(census, state.template_hash) if state.phase == "Promoting" else None
    if promoting is not None and promoting.available >= max(1, minimum):
        return [state.template_hash, state.stable_hash]
    return [state.stable_hash] if state.phase else []


def _skip(snapshot: Snapshot, census: Census, stable: str) -> str:
    """Why the template in force needs no steps, "" when it does."""
    deployment, current = snapshot.deployment, census.current
    if deployment.pinned:
        return "it is gone back to"
    if current is not None and current.set.healthy and not current.set.failed:
        return "it was healthy before"
    if not stable:
        return "there is no revision yet to compare it with"
    if deployment.replicas == 0:
        return "no replicas are asked for"
    if deployment.strategy == "Recreate":
        return "Recreate ends all old pods first"
    return ""


def _crash(strategy: Strategy, canary: Standing | None) -> tuple[str, str]:
    """(sentence, last log lines) of a container of a judged canary that fell over, on a node that is seen."""
    if canary is None or not _is_judged(strategy):
        return "", ""
    fallen = [pod for pod in (*canary.pods, *canary.ended, *canary.evicted) if pod.crash and pod.phase != "Unknown"]
    if not fallen:
        return "", ""
    worst = min(fallen, key=lambda pod: (-pod.restarts, pod.name))
    return f"pod {worst.name}: {worst.crash}", worst.log_tail


def _is_judged(strategy: Strategy) -> bool:
    analyses = [one.analysis for one in strategy.steps if isinstance(one, Analyse)]
    return any(one.judge is not None for one in (*analyses, strategy.background) if one is not None)


def _words(snapshot: Snapshot, census: Census) -> str:
    if census.current is not None:
        return sentences.revision(census.current.set)
    commit = snapshot.deployment.commit[: sentences.COMMIT_LENGTH]
    return f"a new revision (commit {commit})" if commit else "a new revision"


def _sorted(snapshot: Snapshot) -> tuple[Run, ...]:
    return tuple(sorted(snapshot.runs, key=lambda run: run.name))
