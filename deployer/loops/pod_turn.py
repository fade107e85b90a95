"""One pod's turn on its node: ask the core what to do, do it, look, ask again, until nothing is left to do.

Runs in a thread of its node's pool and touches no database, except through `pins` (the digest that a revision
resolved to) and `registry_auth`. Every step may have been taken before: a turn that was killed is simply taken again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Protocol

from deployer.core import actions
from deployer.core.container import ContainerSeen
from deployer.core.node import (
    Event,
    PodDesired,
    PodPlan,
    PullFailure,
    plan_pod,
    pull_failed,
    settled_digest,
    step_failed,
)
from deployer.core.pod_outcome import PodOutcome
from deployer.core.pod_status import PodStatus
from deployer.loops.images import ImageError, NodeImages
from deployer.ports import Clock, Engine, EngineError, EngineUnreachable

MAX_ROUNDS = 12
LOG_LINES = 20
LOG_BYTES = 4096
HOOK_TIMEOUT_SECONDS = 60.0
PRE_STOP_FLOOR_SECONDS = 2
"""What a container keeps for SIGTERM when its preStop hook used the whole grace period (Kubernetes' rule)."""


class StepStore(Protocol):
    """The little that a turn asks of the database."""

    def pin_image(self, pod_uid: str, reference: str, resolved: str) -> str: ...
    def registry_auth(self, namespace: str, secrets: Sequence[str], reference: str) -> object: ...


@dataclass
class PodTurn:
    """`observed` are the pod's containers by the last listing. `pulls` are the failed pulls of its images."""

    desired: PodDesired
    observed: list[ContainerSeen]
    engine: Engine
    images: NodeImages
    store: StepStore
    cluster_id: str
    clock: Clock
    pulls: dict[str, PullFailure]
    events: list[Event] = field(default_factory=list)

    def take(self) -> PodOutcome:
        self.observed = self._inspected([one.id for one in self.observed])
        plan = self._plan()
        for _ in range(MAX_ROUNDS):
            self.events.extend(plan.events)
            if not plan.steps:
                break
            status = self._do_all(plan)
            self.desired = replace(self.desired, previous=status)
            self.observed = self._inspected([*(one.name for one in self.observed), *_touched(plan.steps)])
            plan = self._plan()
        return self._outcome(plan)

    def _plan(self) -> PodPlan:
        return plan_pod(
            self.desired, self.observed, cluster_id=self.cluster_id, pulls=self.pulls,
            present_images=self.images.present, now=self.clock.now(),
        )  # fmt: skip

    def _do_all(self, plan: PodPlan) -> PodStatus:
        """The status to go on with: the plan's once every step was taken, else one that waits for another try."""
        for together in _side_by_side(plan.steps):
            for step, error in self._do_together(together):
                if isinstance(error, EngineUnreachable):
                    raise error
                if error is not None:
                    return self._failed(plan, step, error)
        return plan.status

    def _do_together(self, steps: Sequence[actions.Step]) -> list[tuple[actions.Step, EngineError | None]]:
        if len(steps) == 1:
            return [(steps[0], self._tried(steps[0]))]
        with ThreadPoolExecutor(len(steps)) as pool:
            return list(zip(steps, pool.map(self._tried, steps), strict=True))

    def _tried(self, step: actions.Step) -> EngineError | None:
        try:
            self._do(step)
        except EngineError as error:
            return error
        return None

    def _failed(self, plan: PodPlan, step: actions.Step, error: EngineError) -> PodStatus:
        now, reason = self.clock.now(), "FailedStart"
        if isinstance(step, actions.EnsureImage):
            reason, known = "Failed", self.pulls.get(step.reference)
            self.pulls[step.reference] = pull_failed(known, step.reference, error.reason, error.sentence, now=now)
        elif not isinstance(error, ImageError):
            self.images.doubt()
        self.events.append(Event("Warning", reason, error.sentence))
        return step_failed(self.desired, plan, step, error.reason, error.sentence, now=now)

    def _do(self, step: actions.Step) -> None:  # noqa: C901 - one line for each kind of step
        match step:
            case actions.EnsureNetwork(name=name, namespace=namespace, subnet=subnet):
                self.images.ensure_network(name, namespace, self.cluster_id, subnet)
            case actions.EnsureImage():
                self._ensure_image(step)
            case actions.EnsurePauseImage():
                self.images.ensure_pause()
            case actions.EnsureVolume(spec=spec, files=files):
                self.engine.ensure_volume(spec)
                if files:
                    self.engine.fill_volume(spec.name, files)
            case actions.CreateContainer(spec=spec, files=files, must_not_be_root=must_not):
                if must_not:
                    self.images.refuse_root(spec.image, spec.user, spec.name)
                self.engine.create(spec, files)
            case actions.StartContainer(name=name):
                self.engine.start(name)
            case actions.RunHook():
                self._post_start(step)
            case actions.StopContainer():
                self._stop(step)
            case actions.RemoveContainer(name=name):
                self.engine.remove(name)
            case actions.RemoveVolume(name=name):
                self.engine.remove_volume(name)

    def _ensure_image(self, step: actions.EnsureImage) -> None:
        auth = self.store.registry_auth(self.desired.namespace, step.pull_secrets, step.reference)
        seen, warning = self.images.ensure(step, auth)
        if warning:
            self.events.append(Event("Warning", "ImageNotVerified", warning))
        if not step.pinned:
            resolved = self.images.identity(step.reference, seen)
            winner = self.store.pin_image(self.desired.uid, step.reference, resolved)
            self.desired = replace(self.desired, images={**self.desired.images, step.reference: winner})
            if winner != resolved:
                pinned = actions.EnsureImage(step.reference, winner, step.pull_policy, step.pull_secrets)
                self.images.ensure(pinned, auth)
        self.pulls.pop(step.reference, None)

    def _post_start(self, step: actions.RunHook) -> None:
        if step.sleep_seconds:
            self.engine.execute(step.container, ("sleep", str(step.sleep_seconds)), step.sleep_seconds + 5)
            return
        result = self.engine.execute(step.container, step.command, HOOK_TIMEOUT_SECONDS)
        if result.exit_code:
            self.engine.stop(step.container, 0)
            raise EngineError(
                "PostStartHookError",
                f"container {step.container}: the postStart hook exited with {result.exit_code}: "
                f"{result.output[-200:]}",
            )

    def _stop(self, step: actions.StopContainer) -> None:
        grace, began = step.grace_seconds, self.clock.now()
        if step.pre_stop and grace:
            self._pre_stop(step, grace)
        elif step.pre_stop_sleep_seconds and grace:
            self.images.rest(min(step.pre_stop_sleep_seconds, grace))
        left = grace - int(self.clock.now() - began) if grace else 0
        self.engine.stop(step.name, max(left, PRE_STOP_FLOOR_SECONDS) if grace else 0)

    def _pre_stop(self, step: actions.StopContainer, grace: int) -> None:
        """A preStop hook that fails is an event, never a reason not to stop."""
        try:
            result = self.engine.execute(step.name, step.pre_stop, grace)
        except EngineError as error:
            self.events.append(Event("Warning", "FailedPreStopHook", error.sentence))
            return
        if result.exit_code:
            said = f"the preStop hook exited with {result.exit_code}: {result.output[-200:]}"
            self.events.append(Event("Warning", "FailedPreStopHook", said))

    def _inspected(self, names: Sequence[str]) -> list[ContainerSeen]:
        """Each of these containers as it is now, once, in order; those that are gone are left out."""
        seen: dict[str, ContainerSeen] = {}
        for name in dict.fromkeys(names):
            found = self.engine.inspect(name)
            if found is not None:
                seen.setdefault(found.id, found)
        return list(seen.values())

    def _outcome(self, plan: PodPlan) -> PodOutcome:
        status = plan.seen if plan.gone else self._with_log_tails(plan.seen)
        settled = "" if plan.steps or plan.wake_at is not None or plan.gone else settled_digest(self.observed)
        return PodOutcome(
            uid=self.desired.uid, status=status, gone=plan.gone, settled=settled, events=tuple(self.events),
            pulls=self.pulls, wake_at=self.clock.now() if plan.steps else plan.wake_at,
            observed=() if plan.gone else tuple(self.observed),
        )  # fmt: skip

    def _with_log_tails(self, status: PodStatus) -> PodStatus:
        """The last lines of each container that ended badly: a failure is shown with them."""
        for one in (*status.init_containers, *status.containers):
            if one.last is not None and one.last.exit_code != 0 and not one.last.log_tail and one.container_id:
                status = status.with_log_tail(one.name, self._log_tail(one.container_id))
        return status

    def _log_tail(self, container: str) -> str:
        try:
            text = b"".join(self.engine.logs(container, tail=LOG_LINES))
        except EngineError:
            return ""
        return text[-LOG_BYTES:].decode("utf-8", "replace").replace("\x00", "")


def _side_by_side(steps: Sequence[actions.Step]) -> list[list[actions.Step]]:
    """One step at a time; but containers that stop one after another stop together, or grace periods would add up."""
    groups: list[list[actions.Step]] = []
    for step in steps:
        if groups and isinstance(step, actions.StopContainer) and isinstance(groups[-1][-1], actions.StopContainer):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _touched(steps: Sequence[actions.Step]) -> list[str]:
    """The full names of containers that these steps made or changed."""
    names = []
    for step in steps:
        match step:
            case actions.CreateContainer(spec=spec):
                names.append(spec.name)
            case actions.StartContainer(name=name) | actions.StopContainer(name=name):
                names.append(name)
    return names
