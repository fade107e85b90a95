"""Workloads: undo, pause, resume, restart; and what a namespace is allowed."""

from __future__ import annotations

import time

from django.db import transaction

from control.models import Application, Deployment, Namespace, ReplicaSet
from control.models.workloads import scaled
from control.selectors.rollouts import in_force
from control.selectors.undo import name_of_pin
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.services.repositories import check_name
from control.store import canaries, objects, templates
from control.store.variants import variant
from control.store.workload_values import replica_set_value
from control.store.workloads import pin
from deployer.composition import composition
from deployer.core.canary import commands, turn
from deployer.core.workloads.history import UndoRefused, undo_target

MOST_REPLICAS = 10_000
ALLOWANCES = ("capabilities", "host-network", "host-path", "privileged")


def get_deployment(namespace: str, name: str) -> Deployment:
    row = Deployment.objects.filter(namespace=namespace, name=name, deleted_at=None).first()
    if row is None:
        there = list(Deployment.objects.filter(name=name).values_list("namespace", flat=True))
        hint = f"; it exists in {', '.join(there)} (-n)" if there else ""
        raise Refused(f"deployment {name} does not exist in namespace {namespace}{hint}")
    return row


def undo(
    namespace: str, name: str, actor: Actor, to_revision: int | None = None, *, seen: str | None = None
) -> ReplicaSet:
    """Back to an earlier revision, template, config and digests alike; held by a pin until Git changes the template.

    `seen`: the template that was in force when it was decided; refused when it is another one by now.
    """
    with transaction.atomic():
        row = get_deployment(namespace, name)
        sets = {one.uid: one for one in row.replica_sets.all()}
        current = row.pin.get("template_hash") or row.live_hash
        if seen not in (None, in_force(row)):
            raise Refused(f"{_title(row)}: somebody was faster, it is not what it was when you looked")
        try:
            chosen = undo_target([replica_set_value(one) for one in sets.values()], current, to_revision)
        except UndoRefused as refusal:
            raise Refused(f"{_title(row)}: {refusal}") from refusal
        target = sets[chosen.uid]
        if not target.spec:
            raise Refused(f"revision {target.revision} was adopted from running containers: its template is not known")
        reason = f"{actor.name} rolled back to revision {target.revision}"
        back = target.template_hash == row.live_hash
        row.pin = {} if back else pin(row, target, by=actor.name, reason=reason, now=time.time())
        _begin_again(row)
        ReplicaSet.objects.filter(pk=target.pk).update(failed=False)
        _changed(row, ["pin"], actor, "rollout undo", "RolledBack", reason)
    return target


def pause(namespace: str, name: str, actor: Actor, *, paused: bool = True) -> Deployment:
    with transaction.atomic():
        row = get_deployment(namespace, name)
        if row.paused == paused and not (row.pin and not paused):
            raise Refused(f"{_title(row)} is {'paused already' if paused else 'not paused'}")
        row.paused = paused
        word = "pause" if paused else "resume"
        _changed(
            row,
            ["paused"],
            actor,
            f"rollout {word}",
            "Paused" if paused else "Resumed",
            f"rollout {word} by {actor.name}",
        )
    return row


def unpin(namespace: str, name: str, actor: Actor, *, seen: str | None = None) -> Deployment:
    """End a workload's pin: what Git asks for is rolled out again, the revision that failed included. `seen` names the
    pin that is meant (`name_of_pin`); refused when there is another one by now."""
    with transaction.atomic():
        row = get_deployment(namespace, name)
        if not row.pin:
            raise Refused(f"{_title(row)} is not pinned; there is nothing to resume")
        if seen not in (None, name_of_pin(row.pin)):
            raise Refused(f"{_title(row)}: somebody was faster, it is pinned anew; look again")
        ReplicaSet.objects.filter(deployment=row, template_hash=row.live_hash).update(failed=False)
        row.pin = {}
        _begin_again(row)
        _changed(row, ["pin"], actor, "rollout resume", "Resumed", f"{actor.name} ended the pin")
    return row


def restart(namespace: str, name: str, actor: Actor) -> Deployment:
    """New pods of the same template, rolled like any change, but for the steps of a canary: there is nothing to judge.
    A pin stays, with its revision restarted."""
    with transaction.atomic():
        row = get_deployment(namespace, name)
        state = canaries.state_of(row)
        if state.is_under_way or state.phase == "Aborting":
            going_on = commands.going_on(state, canaries.strategy(row))
            raise Refused(f"{_title(row)} has a canary ({going_on}): promote or abort it first")
        row.restarted_at = time.time()
        before, row.live_hash = row.live_hash, templates.hash_of(templates.live_template(row), namespace)
        if before == row.live_hash:
            raise Refused(f"{_title(row)} was restarted within this second already")
        if row.pin:
            held = row.replica_sets.get(template_hash=row.pin["template_hash"])
            again = variant(row, held, templates.restarted(held.spec["template"], row.restarted_at))
            row.pin = {**row.pin, "skipped_hash": row.live_hash, "template_hash": again.template_hash}
        elif row.has_strategy:
            whole = turn.whole(row.live_hash, f"{actor.name} restarted it", time.time())
            canaries.keep(row, whole, composition().work.wake)
        _changed(
            row,
            ["restarted_at", "live_hash", "pin"],
            actor,
            "rollout restart",
            "Restarted",
            f"restarted by {actor.name}",
        )
    return row


def scale(namespace: str, name: str, replicas: int, actor: Actor) -> Deployment:
    """So many from now on, until Git asks for another number than it does now."""
    if not 0 <= replicas <= MOST_REPLICAS:
        raise Refused(f"{replicas} replicas are not between 0 and {MOST_REPLICAS}")
    with transaction.atomic():
        row = get_deployment(namespace, name)
        if row.replicas == replicas:
            raise Refused(f"{_title(row)} has {replicas} replicas already")
        before, asked = row.replicas, scaled(row.spec.get("replicas"), {})
        row.scale = {} if replicas == asked else {
            "replicas": replicas, "instead_of": asked, "by": actor.name, "at": time.time(),
        }  # fmt: skip
        row.generation += 1
        message = f"scaled from {before} to {replicas} by {actor.name}"
        _changed(row, ["scale", "generation"], actor, "scale", "Scaled", message)
    return row


def _begin_again(row: Deployment) -> None:
    """The canary that was aborted is in force again, without the pin that kept it out."""
    state = canaries.state_of(row)
    if not row.pin and state.phase == "Aborted" and state.template_hash == row.live_hash:
        canaries.keep(row, commands.again(state, canaries.strategy(row), time.time()), composition().work.wake)


def allow(namespace: str, allowance: str, actor: Actor, *, given: bool = True) -> Namespace:
    """Give a namespace what manifests there may then ask for. Manifests can never give it to themselves."""
    if allowance not in ALLOWANCES:
        raise Refused(f"allowance {allowance!r} is not one of {', '.join(ALLOWANCES)}")
    check_name("namespace", namespace)
    with transaction.atomic():
        row = Namespace.objects.filter(name=namespace).first()
        if row is None:
            row = Namespace(name=namespace)
            objects.create([row])
        row.allowances = sorted({*row.allowances, allowance} if given else {*row.allowances} - {allowance})
        objects.update([row], ["allowances"])
        record(actor, "namespace allow" if given else "namespace deny", str(row), allowance)
        # A commit that was refused for want of this is looked at again; one that was applied costs a query.
        for uid in Application.objects.filter(deleted_at=None).values_list("uid", flat=True):
            composition().work.wake("sync", uid)
    return row


def _changed(row: Deployment, fields: list[str], actor: Actor, action: str, reason: str, message: str) -> None:
    objects.update([row], fields)
    objects.record_event(row.kind, row.namespace, row.name, "Normal", reason, message)
    record(actor, action, str(row), message)
    composition().work.wake("reconcile", row.uid)


def _title(row: Deployment) -> str:
    """ "rollout shop/web"."""
    return f"{row.kind.lower()} {row.namespace}/{row.name}"
