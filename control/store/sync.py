"""Applications, their attempts to sync, and the objects that a commit asks for, as rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from control.models import (
    AnalysisTemplate,
    Application,
    Deployment,
    KubernetesObject,
    Namespace,
    Pod,
    Repository,
    Secret,
    Sync,
)
from control.store import adoption, image_hints, image_policies, objects, rendered, templates, waking
from control.store.drift import compared as compared
from control.store.drift import differs as differs
from control.store.drift import healed as healed
from control.store.drift import holds_of
from control.store.drift import uncompared as uncompared
from control.store.on_record import MODELS as MODELS
from control.store.on_record import known as known
from control.store.on_record import policies as policies
from control.store.on_record import stored as stored
from control.store.repositories import access
from control.store.repositories import age_identities as age_identities  # for the loop
from control.store.variants import follow_isolation
from control.store.workloads import delete_pods
from deployer.core.drift import SELF_HEAL
from deployer.core.manifests import Manifest
from deployer.core.rendering.kept import Kept
from deployer.core.source import Assignment, CommitInfo
from deployer.core.sync import ObjectKey, SyncPlan, key_of, manifest_hash
from deployer.ports import Wake

WRITTEN = (
    "labels", "annotations", "spec", "generation", "application", "commit", "source_file", "manifest_hash",
    "deleted_at",
)  # fmt: skip
_WRITTEN_BESIDES = {"Secret": ("sealed",), "Deployment": ("workload",), "Rollout": ("workload",)}


def assignment(uid: str) -> Assignment | None:
    """What the sync loop is to do; None when the application is gone or nobody asked a manual one to sync."""
    row = Application.objects.select_related("repository").filter(pk=uid, deleted_at=None).first()
    if row is None:
        return None
    request, pin = row.request, row.pin
    is_due = row.automatic or bool(request) or bool(pin)
    unread = row.sync_status == Application.UNREAD and not row.repository.failures
    if not is_due:
        there = Application.objects.filter(pk=uid).exclude(sync_status="OutOfSync")
        if row.repository.head not in ("", row.commit):
            unread = False
            if there.update(sync_status="OutOfSync"):
                _tell(row.name)
        if not ((row.suspected or unread) and row.tree):
            return None
    seen = "" if pin else str(request.get("commit", "")) if is_due else row.commit  # it is compared with what it has
    return Assignment(
        uid=row.uid, name=row.name, namespace=row.namespace, path=row.path, prune=row.prune,
        repository=access(row.repository), head=seen or row.repository.head, head_seen_at=row.repository.head_seen_at,
        ask_server=not seen and (bool(request) or not row.repository.head),
        prune_confirmed=bool(request.get("prune_all")),
        actor=request.get("by", ""), trigger=request.get("trigger", row.repository.head_by),
        pinned_commit=pin.get("commit", ""), request_id=request.get("id", ""),
        skipped_commit=pin.get("skipped_commit", ""), skipped_tree=pin.get("skipped_tree", ""),
        applied_commit=row.commit, applied_tree=row.tree, values=tuple(row.values),
        suspected=row.suspected, self_heals=row.automatic and row.self_heal, compares_only=not is_due,
        unread=unread,
    )  # fmt: skip


def up_to_date(assignment: Assignment, commit: str, tree: str) -> bool:
    """Nothing to read again: the same content was applied, and nobody asked. The newer commit is noted."""
    if assignment.actor or tree != assignment.applied_tree or not tree:
        return False
    if commit != assignment.applied_commit:
        rows = Application.objects.filter(pk=assignment.uid)
        rows.update(commit=commit)
        rows.filter(drift="").update(sync_status="Synced")
        _tell(assignment.name)
    return True


def read_again(assignment: Assignment, commit: str, now: float) -> None:
    """An attempt could not read Git, and now it is known again: that is on record, and the same failure is news again.

    Nothing is done where an attempt has said since what became of it.
    """
    row = Application.objects.get(pk=assignment.uid)
    if row.sync_status != Application.UNREAD:
        return
    message = f"Git can be read again: it is at commit {commit[:7]}, as before"
    Sync.objects.create(
        application=row, commit=commit, trigger=assignment.trigger, phase=Sync.SUCCEEDED, message=message,
        started_at=now, finished_at=now,
    )  # fmt: skip
    row.sync_status, row.message = "OutOfSync" if row.drift else "Synced", message
    row.save(update_fields=["sync_status", "message"])
    _tell(row.name)
    objects.record_event("Application", "", row.name, "Normal", "ReadAgain", message, at=now)


def resume(assignment: Assignment, head: str, now: float) -> None:
    Application.objects.filter(pk=assignment.uid).update(pin={})
    _tell(assignment.name)
    objects.record_event(
        "Application", "", assignment.name, "Normal", "Resumed",
        f"commit {head[:7]} changes {assignment.path}: the pin to {assignment.pinned_commit[:7]} ended", at=now,
    )  # fmt: skip


def unreachable(assignment: Assignment, message: str, now: float) -> None:
    """Git did not answer, or has no such commit or path. What runs goes on; asked or not, it is tried again."""
    row = Application.objects.get(pk=assignment.uid)
    if assignment.actor or row.message != message:
        Sync.objects.create(
            application=row, commit=assignment.head, actor=assignment.actor, trigger=assignment.trigger,
            phase=Sync.FAILED,
            message=message, started_at=now, finished_at=now,
        )  # fmt: skip
        objects.record_event("Application", "", row.name, "Warning", "SyncFailed", message, at=now)
    _answered(assignment)
    Application.objects.filter(pk=row.pk).update(message=message, sync_status=Application.UNREAD)
    _tell(row.name)


def begin(assignment: Assignment, commit: CommitInfo, kept: Kept, warnings: list[dict[str, Any]], now: float) -> Sync:
    Repository.objects.filter(pk=assignment.repository.uid, head="").update(head=commit.sha, head_seen_at=now)
    if assignment.ask_server and not assignment.pinned_commit:
        Repository.objects.filter(pk=assignment.repository.uid).exclude(head=commit.sha).update(
            head=commit.sha, head_seen_at=now
        )
    seen_at = assignment.head_seen_at if assignment.head == commit.sha else now
    attempt = Sync.objects.create(
        application_id=assignment.uid, commit=commit.sha, commit_message=commit.message[:2000],
        commit_author=commit.author[:255], committed_at=commit.committed_at, actor=assignment.actor,
        trigger=assignment.trigger, warnings=warnings, seen_at=seen_at, started_at=now, rendered=rendered.keep(kept),
    )  # fmt: skip
    _answered(assignment)
    return attempt


def _answered(assignment: Assignment) -> None:
    """The request that this attempt answers is done with; one that came meanwhile stays and is answered next."""
    row = Application.objects.get(pk=assignment.uid)
    if row.request.get("id", "") == assignment.request_id:
        Application.objects.filter(pk=row.pk).update(request={})
    _tell(row.name)


def _tell(application: str) -> None:
    """Pages that show it look again."""
    objects.touch("Application", "", application)


def failed(sync: Sync, message: str, errors: list[dict[str, Any]], now: float) -> None:
    """Record a refused commit: nothing of it was applied. The same failure of the same commit is one record."""
    application = sync.application
    before = Sync.objects.filter(application=application).exclude(pk=sync.pk).first()
    repeated = before and (before.commit, before.phase, before.message) == (sync.commit, Sync.FAILED, message)
    if repeated and sync.trigger != "request":
        sync.delete()
    else:
        sync.phase, sync.message, sync.errors, sync.finished_at = Sync.FAILED, message, errors, now
        sync.save()
        objects.record_event("Application", "", application.name, "Warning", "SyncFailed", message, at=now)
    status = "OutOfSync" if sync.commit != application.commit else application.sync_status
    Application.objects.filter(pk=application.pk).update(sync_status=status, message=message)
    _tell(application.name)


def apply(sync: Sync, plan: SyncPlan, tree: str, wake: Wake, now: float) -> None:
    """Write a plan whole, in the caller's fenced transaction, and wake whom it concerns."""
    commit, application = sync.commit, sync.application
    namespaces = {one.namespace for one in (*plan.create, *plan.update) if one.namespace}
    _ensure_namespaces(namespaces | {application.namespace})
    concerns_routers = _concerns_routers(plan)
    for one in (*plan.create, *plan.update):
        concerns_routers |= _write(application, one, commit, wake, now)
    for one in plan.unchanged:
        model = MODELS[one.kind]
        model._default_manager.filter(namespace=one.namespace, name=one.name).update(
            commit=commit, source_file=one.file
        )
    for key in plan.prune:
        prune(key, wake, now)
    for namespace in namespaces | {namespace for _, namespace, _ in plan.prune}:
        _follow(namespace, wake, now)
    if concerns_routers:
        waking.wake_all(wake)
    changes = [{"op": c.op, "kind": c.key[0], "namespace": c.key[1], "name": c.key[2]} for c in plan.changes]
    sync.phase, sync.changes, sync.finished_at = Sync.SUCCEEDED, changes, now
    counts = (len(plan.create), len(plan.update), len(plan.prune), len(plan.unchanged))
    sync.message = "{} created, {} changed, {} pruned, {} unchanged".format(*counts)
    sync.save()
    held = holds_of(key_of(one) for one in (*plan.create, *plan.update, *plan.unchanged))
    Application.objects.filter(pk=application.pk).update(
        commit=commit, tree=tree, applied_at=now, sync_status="Synced", message=sync.message, drift="",
        **({} if sync.trigger == SELF_HEAL else {"holds": held}),
    )  # fmt: skip
    _tell(application.name)
    if not plan.empty:
        objects.record_event(
            "Application", "", application.name, "Normal", "Synced", f"commit {commit[:7]}: {sync.message}", at=now
        )


def _concerns_routers(plan: SyncPlan) -> bool:
    """Whether the plan writes anything that all routers are made from. To be asked before anything is pruned."""
    written = (*plan.create, *plan.update)
    kinds = {one.kind for one in written} | {kind for kind, _, _ in plan.prune}
    if kinds & waking.KINDS:
        return True
    secrets = {(one.namespace, one.name) for one in written if one.kind == "Secret"}
    secrets |= {(namespace, name) for kind, namespace, name in plan.prune if kind == "Secret"}
    if any(one.kind == "Secret" and one.spec.get("type") == waking.TLS_SECRET for one in written):
        return True
    tls = Secret.objects.filter(name__in={name for _, name in secrets}, spec__type=waking.TLS_SECRET)
    return bool(secrets) and not secrets.isdisjoint(tls.values_list("namespace", "name"))


def prune(key: ObjectKey, wake: Wake, now: float) -> None:
    kind, namespace, name = key
    row = MODELS[kind]._default_manager.filter(namespace=namespace, name=name).first()
    if row is None or row.kind != kind:  # a workload may have become one of the other kind
        return
    if isinstance(row, Deployment):
        row.deleted_at = now
        objects.update([row], ["deleted_at"])
        wake("reconcile", row.uid)
    elif isinstance(row, Pod):
        row.replacement = {}  # or it would be made again once it is gone
        objects.update([row], ["replacement"])
        delete_pods([(row.uid, "pruned")], wake, now)
    elif isinstance(row, Namespace) and _holds_objects(name):
        row.application = None  # others still live there; it goes when they have
        objects.update([row], ["application"])
    else:
        objects.delete([row])
        if isinstance(row, AnalysisTemplate):
            _wake_rollouts(namespace, wake)


def _holds_objects(namespace: str) -> bool:
    return any(
        model._default_manager.filter(namespace=namespace, deleted_at=None).exists()
        for kind, model in MODELS.items()
        if kind != "Namespace"
    )


def _ensure_namespaces(names: Iterable[str]) -> None:
    """A namespace that a manifest names exists: nothing more than a name until an operator allows it something."""
    missing = set(names) - set(Namespace.objects.values_list("name", flat=True))
    objects.create([Namespace(name=name, application=None) for name in sorted(missing)])


def _write(application: Application, one: Manifest, commit: str, wake: Wake, now: float) -> bool:
    """Whether all routers have to look: a workload's traffic is split, or was."""
    model = MODELS[one.kind]
    row = model._default_manager.filter(namespace=one.namespace, name=one.name).first()
    was_split = isinstance(row, Deployment) and row.has_strategy
    if row is None:
        row = model(namespace=one.namespace, name=one.name, created_at=now)
        _fill(row, application, one, commit)
        objects.create([row])
    elif isinstance(row, Pod):
        _replace_pod(row, one, commit, wake, now)
        return False
    else:
        row.generation += int(_spec_of(one) != row.spec)
        row.deleted_at = None
        before = row.kind
        _fill(row, application, one, commit)
        objects.update([row], [*WRITTEN, *_WRITTEN_BESIDES.get(one.kind, ())])
        if row.kind != before:
            _tell_converted(row, before, now)
    if isinstance(row, Deployment):
        wake("reconcile", row.uid)
        if image_policies.concerns(row):
            wake(image_hints.LOOP, row.uid)
    if isinstance(row, AnalysisTemplate):
        _wake_rollouts(row.namespace, wake)
    if isinstance(row, Pod):
        wake("schedule", "cluster")
    return was_split or (isinstance(row, Deployment) and row.has_strategy)


def _tell_converted(row: KubernetesObject, before: str, now: float) -> None:
    objects.touch(before, row.namespace, row.name)
    message = f"the {before} of this name became this {row.kind}; its pods stay, and so does its history"
    objects.record_event(row.kind, row.namespace, row.name, "Normal", "Converted", message, at=now)


def _wake_rollouts(namespace: str, wake: Wake) -> None:
    """Those whose analyses may be made from a template of this namespace."""
    rows = Deployment.objects.filter(namespace=namespace, workload="Rollout", deleted_at=None).order_by("uid")
    for uid in rows.values_list("uid", flat=True):
        wake("reconcile", uid)


def _fill(row: KubernetesObject, application: Application, one: Manifest, commit: str) -> None:
    row.labels, row.annotations, row.spec = dict(one.labels), dict(one.annotations), _spec_of(one)
    row.application, row.commit, row.source_file = application, commit, one.file
    row.manifest_hash = manifest_hash(one)
    if isinstance(row, Deployment):
        row.workload = one.kind
    if isinstance(row, Secret):
        row.sealed.store(dict(one.spec.get("data") or {}))
    if isinstance(row, Pod):
        row.placement = templates.bare_placement(row.namespace, row.labels, row.annotations, row.spec)


def _spec_of(one: Manifest) -> dict[str, Any]:
    """The spec as it may be stored and shown: of a Secret only the names of its keys."""
    if one.kind != "Secret":
        return dict(one.spec)
    return {
        "type": one.spec.get("type", "Opaque"), "keys": sorted(one.spec.get("data") or {}),
        "immutable": bool(one.spec.get("immutable")),
    }  # fmt: skip


def _replace_pod(row: Pod, one: Manifest, commit: str, wake: Wake, now: float) -> None:
    """A bare pod's spec cannot change in place: the old one ends, and then the new one takes its name."""
    row.replacement = {
        "labels": dict(one.labels), "annotations": dict(one.annotations), "spec": dict(one.spec), "commit": commit,
        "source_file": one.file, "manifest_hash": manifest_hash(one),
    }  # fmt: skip
    objects.update([row], ["replacement"])
    if row.node_id is None:
        from control.store.nodes import replacement

        objects.delete([row])
        objects.create([replacement(row, now)])
        wake("schedule", "cluster")
        return
    delete_pods([(row.uid, "replaced by a newer manifest")], wake, now)


def _follow(namespace: str, wake: Wake, now: float) -> None:
    """Config may have changed, deployments may have come: make hashes true, take orphans in, wake the rest."""
    changed, moved = templates.refresh_hashes([namespace])
    for row in moved:
        follow_isolation(row)
    for row in changed:
        wake("reconcile", row.uid)
    for deployment in adoption.claim(wake, now, namespace):
        wake("reconcile", deployment)
    for node in Pod.objects.filter(namespace=namespace, waiting="CreateContainerConfigError").values_list(
        "node", flat=True
    ):
        if node:
            Pod.objects.filter(namespace=namespace, waiting="CreateContainerConfigError").update(settled="")
            wake("converge", node)
