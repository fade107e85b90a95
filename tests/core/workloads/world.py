"""A small world to reconcile in: it applies plans as the store does, and its pods do as they please.

Nothing here knows a rule of a rollout. Time passes only when told to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from deployer.core.workloads.deployment import reconcile
from deployer.core.workloads.values import Deployment, NewPod, NewReplicaSet, Plan, Pod, Progress, ReplicaSet, Snapshot

BROKEN = "v3"  # its pods crash for ever
ADOPTED = "v9"  # known by its hash alone


@dataclass
class World:
    deployment: Deployment
    sets: dict[str, ReplicaSet] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    now: float = 1000.0
    live_hash: str = "v1"  # what Git asks for; the Deployment's template_hash is what is in force
    made: int = 0

    def snapshot(self) -> Snapshot:
        return Snapshot(self.deployment, tuple(self.sets.values()), tuple(self.pods.values()), self.progress, self.now)

    def look(self) -> tuple[Snapshot, Plan, Snapshot]:
        before = self.snapshot()
        plan = reconcile(before)
        self.apply(plan)
        return before, plan, self.snapshot()

    def apply(self, plan: Plan, keep: Callable[[], bool] = lambda: True) -> None:
        """`keep` says of each write whether it happens: a crash between any two of them."""
        for write in self._writes(plan):
            if keep():
                write()

    def _writes(self, plan: Plan) -> Iterator[Callable[[], None]]:
        if plan.create_replica_set:
            yield partial(self._create_set, plan.create_replica_set)
        if plan.reuse:
            yield partial(self._change_set, plan.reuse[0], revision=plan.reuse[1])
        for scale in plan.scale:
            yield partial(self._change_set, scale.uid, replicas=scale.replicas, max_replicas=scale.max_replicas)
        for new in plan.create_pods:
            yield partial(self._create_pod, new)
        for doomed in plan.delete_pods:
            yield partial(self._delete_pod, doomed.uid)
        for uid, _ in plan.delete_replica_sets:
            yield partial(self._forget, uid)
        for uid in plan.mark_healthy:
            yield partial(self._change_set, uid, healthy=True, failed=False)
        yield partial(self._write_status, plan)

    def _forget(self, uid: str) -> None:
        self.sets.pop(uid, None)

    def _create_set(self, new: NewReplicaSet) -> None:
        if any(one.template_hash == new.template_hash for one in self.sets.values()):
            return
        self.sets[f"uid-{new.name}"] = ReplicaSet(
            uid=f"uid-{new.name}", name=new.name, template_hash=new.template_hash, revision=new.revision,
            replicas=new.replicas, max_replicas=new.max_replicas, created_at=self.now, created_count=0, healthy=False,
            commit=new.template_hash,
        )  # fmt: skip

    def _change_set(self, uid: str, **changed: Any) -> None:
        if uid in self.sets:
            self.sets[uid] = replace(self.sets[uid], **changed)

    def _create_pod(self, new: NewPod) -> None:
        """A name that exists was made by an earlier pass: it only moves the counter."""
        owner = next((one for one in self.sets.values() if new.replica_set in (one.uid, one.name)), None)
        if owner is None:
            return
        assert owner.template_hash != ADOPTED, "nobody can make a pod without a template"
        self._change_set(owner.uid, created_count=owner.created_count + 1)
        if all(pod.name != new.name for pod in self.pods.values()):
            self.made += 1
            uid = f"pod-{self.made}"
            self.pods[uid] = Pod(uid, new.name, owner.uid, "", "Pending", False, 0.0, self.now, False, 0)

    def _delete_pod(self, uid: str) -> None:
        if uid in self.pods:
            self.pods[uid] = replace(self.pods[uid], deleting=True)
            if not self.pods[uid].node:
                del self.pods[uid]

    def _write_status(self, plan: Plan) -> None:
        self.progress = plan.progress
        if plan.rollback:
            by_revision = {one.revision: one for one in self.sets.values()}
            self._change_set(by_revision[plan.rollback.from_revision].uid, failed=True)
            target = by_revision[plan.rollback.to_revision]
            self.deployment = replace(self.deployment, template_hash=target.template_hash)

    # What people do.

    def push(self, template_hash: str) -> None:
        if template_hash != self.live_hash:
            self.live_hash = template_hash
            self.change(template_hash=template_hash)

    def change(self, **changed: Any) -> None:
        self.deployment = replace(self.deployment, **changed, generation=self.deployment.generation + 1)

    # What pods do.

    def broken(self, pod: Pod) -> bool:
        return self.sets[pod.replica_set].template_hash == BROKEN

    def place(self, pod: Pod, node: int) -> None:
        self._set(pod, node=pod.node or f"n{node % 3}")

    def run(self, pod: Pod) -> None:
        if pod.node:
            self._set(pod, phase="Running")

    def ready(self, pod: Pod) -> None:
        if pod.phase == "Running" and not pod.ready and not pod.deleting:
            if self.broken(pod):
                self._set(pod, restarts=pod.restarts + 5, waiting="CrashLoopBackOff", message="exit code 1")
            else:
                self._set(pod, ready=True, ready_at=self.now, waiting="", message="")

    def unready(self, pod: Pod) -> None:
        self._set(pod, ready=False, ready_at=0.0)

    def unseen(self, pod: Pod) -> None:
        if pod.node:
            self._set(pod, phase="Unknown")

    def fail(self, pod: Pod) -> None:
        self._set(pod, phase="Failed", ready=False, ready_at=0.0)

    def lose(self, pod: Pod) -> None:
        self._delete_pod(pod.uid)

    def gone(self, pod: Pod) -> None:
        if pod.deleting:
            del self.pods[pod.uid]

    def prosper(self) -> None:
        """Everything that can go well does."""
        for pod in list(self.pods.values()):
            if pod.deleting:
                self.gone(pod)
                continue
            self.place(pod, self.made)
            self.run(self.pods[pod.uid])
            self.ready(self.pods[pod.uid])

    def _set(self, pod: Pod, **changed: Any) -> None:
        if pod.phase not in ("Failed", "Succeeded"):
            self.pods[pod.uid] = replace(pod, **changed)
