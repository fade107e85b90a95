"""Nodes: register, label, taint, cordon, drain, remove."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q

from control.models import Node, Pod
from control.models.nodes import MESH_ADDRESS
from control.services import taints as node_taints
from control.services.audit import Actor, record
from control.services.refusal import Refused
from control.store import adoption, draining, identities, objects, stranded
from control.store import taints as evictions
from control.store.leaving import wake_released
from control.store.waking import LOOP as ROUTE
from control.store.waking import wake_all, wake_evictions
from control.store.workloads import delete_pods
from deployer.adapters.docker import open_engine
from deployer.adapters.docker_address import EngineAddress
from deployer.composition import composition, engine_of
from deployer.core.container import LABEL_COMPONENT, ContainerSeen, EngineInfo
from deployer.core.network.router_host import VOLUME as ROUTER_VOLUME
from deployer.core.network.values import MESH_NETWORK
from deployer.core.survival.states import CUT_OFF
from deployer.loops.converge import adopted as adopted_pods
from deployer.ports import Engine, EngineError

NAME = re.compile(r"(?=.{1,63}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*")
ROUTER_GRACE_SECONDS, ROUTER_LOOKS = 2, 3
LOCAL = "local"
LOCAL_SOCKET = "/var/run/docker.sock"


def register(
    name: str, address: EngineAddress, actor: Actor, labels: Mapping[str, str] | None = None, mesh_address: str = ""
) -> Node:
    """Connect, read what the host is and what of ours runs there, and put it on record. Refused with the reason.

    `mesh_address`: where other nodes reach its router; "" for the host of its engine's address.
    """
    if not NAME.fullmatch(name):
        raise Refused(f"node name {name!r} is not a DNS name: use lower-case letters, digits, '-' and '.'")
    if Node.objects.filter(name=name).exists():
        raise Refused(f"node {name} is registered already; `manage.py node remove {name}` first, or use another name")
    _check_labels(labels or {})
    _check_mesh_address(mesh_address)
    info, running = _look(address)
    _refuse_twice(info)
    now, work = time.time(), composition().work
    row = Node(
        name=name, address=address.url, engine_id=info.engine_id, engine_version=info.version,
        operating_system=info.operating_system, architecture=info.architecture, cpu_millicores=info.cpu_millicores,
        memory_bytes=info.memory_bytes, labels={**_own_labels(name, info), **(labels or {})}, ready=True,
        reason="EngineReady", message="the engine answers", ready_changed_at=now, heartbeat_at=now, observed_at=now,
        annotations={MESH_ADDRESS: mesh_address} if mesh_address else {},
    )  # fmt: skip
    row.credentials.store(_credentials(address))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            adopted = adoption.adopt(row, adopted_pods(running), work.wake, now)
            work.wake("converge", row.uid)
            work.wake("schedule", "cluster")
            wake_all(work.wake)
            message = (
                f"registered: Docker {info.version}, {info.cpu_millicores // 1000} CPUs, {info.memory_bytes >> 20} MiB"
            )
            objects.record_event("Node", "", name, "Normal", "Registered", message, node=name, at=now)
            record(actor, "node add", f"Node {name}", f"{address.url}; {adopted} running pods adopted")
    except IntegrityError as error:
        raise Refused(f"node {name} was registered by somebody else at the same moment") from error
    return row


def register_local() -> str | None:
    """At start: the Docker engine of this machine becomes node `local`. A sentence to show, None without an engine."""
    url = _local_url()
    if not url:
        return None
    if Node.objects.filter(name=LOCAL).exists() or Node.objects.filter(address=url).exists():
        return f"The Docker engine at {url} is registered."
    try:
        row = register(LOCAL, _from_environment(url), Actor("Pierhead", "start"))
    except Refused as refusal:
        return (
            f"The Docker engine at {url} was not registered: {refusal.sentence}. "
            "Add a host: python3 manage.py node add NAME ADDRESS"
        )
    return (
        f"The Docker engine at {url} is node {LOCAL} ({row.cpu_millicores // 1000} CPUs, {row.memory_bytes >> 30} GiB)."
    )


def is_local_settled() -> bool:
    """This machine has no engine, or its engine is a node."""
    url = _local_url()
    return not url or Node.objects.filter(Q(name=LOCAL) | Q(address=url)).exists()


def _local_url() -> str:
    return os.environ.get("DOCKER_HOST") or (f"unix://{LOCAL_SOCKET}" if Path(LOCAL_SOCKET).exists() else "")


def register_simulated(count: int) -> str:
    """At start with --simulate N: nodes sim-1 to sim-N, which exist in memory alone."""
    for number in range(1, count + 1):
        name = f"sim-{number}"
        if not Node.objects.filter(name=name).exists():
            register(name, EngineAddress(url=f"sim://{name}"), Actor("Pierhead", "start"))
    return f"{count} simulated hosts are registered: containers there are imagined."


def cordon(name: str, actor: Actor, *, cordoned: bool = True) -> Node:
    row = _get(name)
    ends_drain = row.draining and not cordoned
    if row.cordoned != cordoned or ends_drain:
        row.cordoned, row.draining = cordoned, row.draining and cordoned
        with transaction.atomic():
            row.save(update_fields=["cordoned", "draining"])
            if ends_drain:  # what its pods waited for is not to stay on them
                Pod.objects.filter(node=row).update(settled="")
                composition().work.wake("converge", row.uid)
            word = "cordon" if cordoned else "uncordon"
            objects.record_event(
                "Node", "", name, "Normal", "Cordoned" if cordoned else "Uncordoned", f"{word} by {actor.name}"
            )
            record(actor, f"node {word}", f"Node {name}")
            composition().work.wake("schedule", "cluster")
            _wake_owners(row)
    return row


def drain(name: str, actor: Actor, *, ask_budgets: bool = True) -> int:
    """Cordon, and have every pod replaced elsewhere. Returns how many pods are to go.

    Pods of a Deployment go when their replacements serve (`deployer/core/workloads/eviction.py`), bare ones are made
    again elsewhere once they are gone (`control/store/draining.py`); PodDisruptionBudgets hold, unless not asked.
    Level-triggered: it goes on until the node is empty or uncordoned. Refused for a node that does not answer.
    """
    row = _get(name)
    if not row.ready:
        raise Refused(
            f"node {name} does not answer ({row.reason or 'NeverSeen'}), so nothing on it can be stopped; if the host "
            f"is gone, `manage.py node declare-dead {name}` has its pods replaced elsewhere"
        )
    row = cordon(name, actor)
    work, now = composition().work, time.time()
    with transaction.atomic():
        row.drain_pods = max(row.drain_pods if row.draining else 0, Pod.objects.filter(node=row).count())
        row.draining = True
        row.save(update_fields=["draining", "drain_pods"])
        record(actor, "node drain", f"Node {name}", "" if ask_budgets else "budgets were not asked")
        there = Pod.objects.filter(node=row, deleted_at=None, orphaned=False)
        count = there.count()
        if not ask_budgets:
            draining.evict_bare(row.uid, work.wake, now, ask_budgets=False)
            uids = there.exclude(replica_set=None).values_list("uid", flat=True)
            delete_pods([(uid, f"node {name} is drained") for uid in uids], work.wake, now)
        work.wake(draining.LOOP, row.uid)
        _wake_owners(row)
        return count


def declare_dead(name: str, actor: Actor) -> int:
    """Have all pods of a host that does not answer replaced elsewhere, also those that wait for it. Returns how many.

    The heartbeat acts on it within a second. It holds until the host answers again; whatever runs there still is
    stopped then. Refused for a host that answers, or that its peers see: its pods may be writing to their volumes.
    """
    row = _get(name)
    if row.ready:
        remedy = f"to move its pods away, use `manage.py node drain {name}`"
        raise Refused(f"node {name} answers, so it is not dead; {remedy}")
    if row.reason == CUT_OFF and any(row.witnesses.values()):
        seeing = ", ".join(sorted(peer for peer, sees in row.witnesses.items() if sees))
        raise Refused(
            f"node {name} is not dead: {seeing} {'sees' if ',' not in seeing else 'see'} it, so its pods run on; "
            "switch the host off first, or repair the way from here to it"
        )
    with transaction.atomic():
        Node.objects.filter(pk=row.pk).update(declared_dead_by=actor.name)
        pods = Pod.objects.filter(node=row, deleted_at=None).count()
        record(actor, "node declare-dead", f"Node {name}", f"{pods} pods are replaced elsewhere")
        message = f"declared dead by {actor.name}; {pods} pods are replaced elsewhere"
        objects.record_event("Node", "", name, "Warning", "DeclaredDead", message, node=name)
        stranded.overdue(composition().work.wake, time.time())
        _wake_owners(row)
    return pods


def _wake_owners(row: Node) -> None:
    owners = Pod.objects.filter(node=row).values_list("replica_set__deployment_id", flat=True)
    for owner in set(owners) - {None}:
        composition().work.wake("reconcile", str(owner))


def remove(name: str, actor: Actor, *, force: bool = False) -> int:
    """Take a node off the record. Returns how many of its pods are forgotten there and run elsewhere from now on.

    Their containers are left as they are. Pods that are not leaving are forgotten only when forced; those that are
    leaving block nothing on a node that does not answer. Its router goes, as far as the host can be reached, and its
    certificate is not accepted any more.
    """
    row = _get(name)
    _refuse_with_pods(row, force=force)
    engine = engine_of(row) if row.ready else None
    with contextlib.closing(engine) if engine is not None else contextlib.nullcontext():
        with transaction.atomic():
            moved = _forget(_get(name), actor, force=force)
        if engine is not None:
            with contextlib.suppress(EngineError):
                _remove_router(engine)
    return moved


def _refuse_with_pods(row: Node, *, force: bool) -> list[Pod]:
    """The pods that stay there as far as anybody knows."""
    pods = row.pods.select_related("replica_set")
    staying = list(pods if row.ready else pods.filter(deleted_at=None))  # the others were replaced already
    if staying and not force:
        remedy = f"run `manage.py node drain {row.name}` first, or --force to forget them"
        if not row.ready:
            remedy = f"if the host is gone, --force forgets them, and they are replaced elsewhere; it is {row.reason}"
        raise Refused(f"node {row.name} has {len(staying)} pods; {remedy}")
    return staying


def _forget(row: Node, actor: Actor, *, force: bool) -> int:
    """In one transaction with all that it is decided from: a pod may have been placed there a moment ago."""
    staying = _refuse_with_pods(row, force=force)
    work, now, uid = composition().work, time.time(), row.uid
    pods = list(row.pods.select_related("replica_set"))
    again = [stranded.again(pod, now) for pod in pods if stranded.is_made_again(pod)]
    owners = {pod.replica_set.deployment_id for pod in pods if pod.replica_set}
    identities.revoke(uid, now)
    objects.delete(pods)
    row.delete()
    objects.create(again)
    for loop in ("converge", ROUTE, draining.LOOP, evictions.LOOP):
        work.forget(loop, uid)
    work.wake("schedule", "cluster")
    wake_all(work.wake)
    wake_released(work.wake)
    for owner in sorted(owners):
        work.wake("reconcile", owner)
    record(actor, "node remove", f"Node {row.name}", f"{len(pods)} pods forgotten" if pods else "")
    return len(staying)


def _remove_router(engine: Engine) -> None:
    """Best effort: what cannot be removed now says what it is by its labels.

    Only once the node is off the record, so that nobody makes its router again; a pass that was under way may still
    put a container back, so it is looked for until a listing shows none.
    """
    for _ in range(ROUTER_LOOKS):
        found = [one.name for one in engine.containers() if LABEL_COMPONENT in one.labels]
        if not found:
            break
        for name in found:
            _remove_container(engine, name)
    for remove, name in ((engine.remove_network, MESH_NETWORK), (engine.remove_volume, ROUTER_VOLUME)):
        with contextlib.suppress(EngineError):
            remove(name)


def _remove_container(engine: Engine, name: str) -> None:
    with contextlib.suppress(EngineError):
        engine.stop(name, ROUTER_GRACE_SECONDS)
        engine.remove(name)


def label(name: str, changes: Mapping[str, str | None], actor: Actor) -> Node:
    """Set labels; None removes one."""
    with transaction.atomic():
        row = _locked(name)
        _check_labels({key: value or "" for key, value in changes.items()})
        row.labels = {key: value for key, value in {**row.labels, **changes}.items() if value is not None}
        return _changed(row, ["labels"], actor, "node label", str(dict(changes)))


def taint(name: str, taints: list[dict[str, str]], removed: list[str], actor: Actor) -> Node:
    """Add taints {key, value, effect}; `removed` names keys (or key:effect) to take away.

    One with the effect NoExecute evicts: pods that do not tolerate it end within a second, without asking
    PodDisruptionBudgets, the others when their `tolerationSeconds` have passed (`control/store/taints.py`). Repeated,
    it counts from the first time.
    """
    with transaction.atomic():
        row, now = _locked(name), time.time()
        for one in taints:
            _check_labels({one["key"]: one["value"]}, "taint")
            node_taints.check(one)
        before, row.taints = row.taints, node_taints.merged(row.taints, taints, removed, now)
        _changed(row, ["taints"], actor, "node taint", f"+{taints} -{removed}")
        evictions.tell_spared(row, before, now)
        wake_evictions(composition().work.wake, [row.uid])
    return row


def _changed(row: Node, fields: list[str], actor: Actor, action: str, detail: str) -> Node:
    row.save(update_fields=fields)
    record(actor, action, f"Node {row.name}", detail)
    objects.touch("Node", "", row.name)
    composition().work.wake("schedule", "cluster")
    if "labels" in fields:  # they say which nodes open the ports of Services
        wake_all(composition().work.wake)
    return row


def _get(name: str) -> Node:
    row = Node.objects.filter(name=name).first()
    if row is None:
        known = ", ".join(Node.objects.values_list("name", flat=True)) or "none"
        raise Refused(f"node {name} is not registered; registered: {known}")
    return row


def _locked(name: str) -> Node:
    """What is changed from what it was: nobody else changes it before the transaction ends."""
    return Node.objects.select_for_update().get(pk=_get(name).pk)


def _look(address: EngineAddress) -> tuple[EngineInfo, list[ContainerSeen]]:
    run_dir: Path = settings.PIERHEAD.data_dir / "run"
    try:
        engine = open_engine(address, settings.PIERHEAD.cluster_id, run_dir=run_dir)
        try:
            return engine.info(), engine.containers()
        finally:
            engine.close()
    except EngineError as error:
        raise Refused(error.sentence) from error


def _refuse_twice(info: EngineInfo) -> None:
    known = Node.objects.filter(engine_id=info.engine_id).first()
    if known is not None:
        raise Refused(f"this engine is registered already, as node {known.name}")


def _credentials(address: EngineAddress) -> dict[str, Any]:
    names = ("ca", "cert", "key", "ssh_key", "known_hosts")
    return {name: value for name in names if (value := getattr(address, name))}


def _own_labels(name: str, info: EngineInfo) -> dict[str, str]:
    """The labels that Kubernetes gives every node."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(info.architecture, info.architecture)
    return {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture}


def _check_labels(labels: Mapping[str, str], what: str = "label") -> None:
    for key, value in labels.items():
        if not LABEL.fullmatch(key) or (value and not LABEL.fullmatch(value)) or "/" in value:
            syntax = "letters, digits, '-', '_' and '.', at most 63 characters"
            raise Refused(f"{what} {key}={value} is not valid: {syntax}")


def _check_mesh_address(address: str) -> None:
    if address and not HOST.fullmatch(address) and not _is_ip(address):
        raise Refused(f"mesh address {address!r} is neither a host name nor an address; leave the port out")


def _is_ip(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(text))
    return False


def _from_environment(url: str) -> EngineAddress:
    """DOCKER_HOST with DOCKER_CERT_PATH, as Docker's own client reads them."""
    folder = os.environ.get("DOCKER_CERT_PATH")
    if not folder or not url.startswith("tcp://"):
        return EngineAddress(url=url)
    read = {name: (Path(folder) / f"{name}.pem").read_text() for name in ("ca", "cert", "key")}
    return EngineAddress(url=url, **read)
