"""A large cluster as the loops would have left it: rows, and the containers on simulated hosts, in seconds.

One small application is run by the loops until nothing is left to do; everything that came of it (rows, containers,
networks, images) is copied as often as it is asked for, under other names, ids and hashes. `Estate.build` then has the
safety net look at all of it: it must find nothing to do.

Each application is a Deployment, and a Service as long as there are virtual addresses left (`MOST_SERVICES`). Routers
are not set up: what they cost is measured by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SEED, SPACE, HOST = "seedling", "seedspace", "seedhost"
MOST_NAMESPACES = 200
"""Each has a pod network, and there are 256 of these."""
MOST_SERVICES = 2_000
"""There are 2,040 virtual addresses."""
CONTAINER = "resources: {requests: {cpu: 100m, memory: 64Mi}}\nports: [{containerPort: 80}]"
SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 80}}]}}
"""
Words = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Size:
    nodes: int
    applications: int
    pods: int

    @property
    def each(self) -> int:
        return max(self.pods // self.applications, 1)

    def __str__(self) -> str:
        return f"{self.nodes:,} nodes, {self.applications:,} applications, {self.pods:,} pods"


@dataclass(frozen=True)
class At:
    """The repository that all applications follow. `trees`: application -> id of its folder at `head`."""

    url: str
    head: str
    trees: Mapping[str, str]


@dataclass
class Estate:
    """`uids`: the nodes', by number. `seed`: what is copied."""

    world: Any
    size: Size
    seed: Seed
    uids: list[str]

    @classmethod
    def build(cls, folder: Path, size: Size, at: At | None = None) -> Estate:
        from tests.scenarios.world import World

        world = World(folder)
        seed = Seed.grown(world)
        if at is not None:
            row = seed.repository
            row.url, row.head, row.told_head, row.allow_local = at.url, at.head, at.head, True
            row.save()
        estate = cls(world, size, seed, [])
        estate._nodes()
        estate._applications(at.trees if at is not None else {})
        estate._due()
        woken = world.resync()
        assert woken == 0, f"{woken} things wanted something: {world.work.due(world.clock.now())[:5]}"
        return estate

    def _nodes(self) -> None:
        from control.models import Node

        rows = []
        for number in range(self.size.nodes):
            row = copied(self.seed.node, [(HOST, node_name(number)), (self.seed.node.uid, fresh())])
            row.engine_id, row.cpu_millicores, row.memory_bytes = f"engine-{number}", 64_000, 256 << 30
            rows.append(row)
        Node.objects.bulk_create(rows)
        self.uids = [row.uid for row in rows]
        for row in rows:
            self.world._reach(row, self.world._engine(row.name))

    def _applications(self, trees: Mapping[str, str]) -> None:
        from control.models import (
            Application,
            Counter,
            Deployment,
            Namespace,
            Pod,
            PodNetwork,
            ReplicaSet,
            Service,
            Sync,
        )
        from control.store import templates
        from deployer.core.sync import manifest_hash

        seed, size = self.seed, self.size
        repository = seed.repository
        spaces = [space_name(number) for number in range(min(size.applications, MOST_NAMESPACES))]
        Namespace.objects.bulk_create(copied(seed.namespace, [(SPACE, one), (seed.namespace.uid, fresh())])
                                      for one in spaces)  # fmt: skip
        PodNetwork.objects.bulk_create(
            PodNetwork(name=f"pierhead-{one}", index=index, namespace=one, seen=True)
            for index, one in enumerate(spaces, 1)
        )
        made: dict[type[Any], list[Any]] = {
            kind: [] for kind in (Application, Sync, Deployment, Service, ReplicaSet, Pod)
        }
        placed: dict[int, list[tuple[str, Words]]] = {}
        for number in range(size.applications):
            name, space = app_name(number), spaces[number % len(spaces)]
            common: list[tuple[str, str]] = [
                (seed.application.uid, fresh()), (seed.deployment.uid, fresh()), (seed.set.uid, fresh()),
                (SEED, name), (SPACE, space),
            ]  # fmt: skip
            application = copied(seed.application, common)
            application.repository_id, application.path = repository.pk, f"apps/{name}"
            application.commit, application.tree = repository.head, trees.get(name, seed.application.tree)
            deployment = copied(seed.deployment, common)
            deployment.commit, deployment.spec["replicas"] = repository.head, size.each
            deployment.live_hash = templates.hash_of(deployment.spec["template"], space)
            deployment.manifest_hash = manifest_hash(_manifest(deployment))
            common += [(seed.set.template_hash, deployment.live_hash)]
            _count(deployment, size.each, common)
            owned = copied(seed.set, common)
            owned.replicas = owned.created_count = size.each
            owned.max_replicas = seed.set.max_replicas and size.each + 1
            made[Application].append(application)
            made[Sync].append(copied(seed.sync, common, id=None))
            made[Deployment].append(deployment)
            made[ReplicaSet].append(owned)
            if number < MOST_SERVICES:
                service = copied(seed.service, [*common, (seed.service.uid, fresh())])
                service.manifest_hash = manifest_hash(_manifest(service))
                made[Service].append(service)
            for replica in range(size.each):
                at = (number * size.each + replica) % size.nodes
                words = [
                    (seed.pod.name, f"{owned.name}-{replica:05}"), (seed.pod.uid, fresh()),
                    (seed.container.id, identity := fresh(64)), (seed.container.id[:16], identity[:16]),
                    (seed.node.uid, self.uids[at]), (HOST, node_name(at)), *common,
                ]  # fmt: skip
                made[Pod].append(copied(seed.pod, words))
                placed.setdefault(at, []).append((space, words))
        version = seed.version
        for kind, rows in made.items():
            for row in rows:
                if hasattr(row, "resource_version"):
                    version += 1
                    row.resource_version = version
            kind.objects.bulk_create(rows, batch_size=500)  # type: ignore[attr-defined]
        Counter.objects.update(value=version)
        index = {one: number for number, one in enumerate(spaces, 1)}
        for at, pods in placed.items():
            self._hosted(node_name(at), pods, index)

    def _hosted(self, node: str, pods: list[tuple[str, Words]], index: dict[str, int]) -> None:
        from django.conf import settings

        from deployer.core.network import addresses

        state = self.world.engines[node].host.state
        with state.changing():
            for name, image in self.seed.images.items():
                state.put("image", name, image)
            for space in sorted({space for space, _ in pods}):
                network = replaced(self.seed.network, [(SPACE, space)])
                network["subnet"] = asdict(addresses.subnet(settings.PIERHEAD.pod_range, index[space]))
                state.put("network", f"pierhead-{space}", network)
            for _, words in pods:
                record = replaced(asdict(self.seed.container), words)
                state.put("container", record["name"], record)
        state.memory.clear()

    def _due(self) -> None:
        """Every key is on record, and none is due."""
        from control.models import Application, Deployment, Repository, Work

        Work.objects.all().delete()
        keys = [(loop, uid) for loop in ("converge", "route") for uid in self.uids]
        keys += [("reconcile", uid) for uid in Deployment.objects.values_list("uid", flat=True)]
        keys += [("sync", uid) for uid in Application.objects.values_list("uid", flat=True)]
        keys += [("poll", uid) for uid in Repository.objects.values_list("uid", flat=True)]
        Work.objects.bulk_create((Work(loop=loop, key=key) for loop, key in keys), batch_size=500)


@dataclass
class Seed:
    """One application on one host, all of it as it is once nothing is left to do."""

    node: Any
    namespace: Any
    repository: Any
    application: Any
    sync: Any
    deployment: Any
    service: Any
    set: Any
    pod: Any
    container: Any
    network: dict[str, Any]
    images: dict[str, Any]
    version: int

    @classmethod
    def grown(cls, world: Any) -> Seed:
        """The rows are taken off the record again, but for the repository's."""
        from control import models

        engine = world.add_node(HOST)
        row = world.follow(SEED)
        models.Application.objects.filter(pk=row.pk).update(namespace=SPACE)
        world.push(*manifest(SEED, 1))
        world.pass_time(700)
        pod = models.Pod.objects.get()
        assert pod.ready
        assert pod.settled
        state = engine.host.state
        seed = cls(
            node=models.Node.objects.get(), namespace=models.Namespace.objects.get(name=SPACE),
            repository=models.Repository.objects.get(), application=models.Application.objects.get(),
            sync=models.Sync.objects.get(), deployment=models.Deployment.objects.get(),
            service=models.Service.objects.get(), set=models.ReplicaSet.objects.get(), pod=pod,
            container=next(one for one in engine.host.records().values() if pod.uid in one.labels.values()),
            network=dict(state.all("network")[f"pierhead-{SPACE}"]), images=dict(state.all("image")),
            version=models.Counter.objects.get().value,
        )  # fmt: skip
        gone = ("Pod", "ReplicaSet", "Deployment", "Service", "ServiceAddress", "Sync", "Application", "PodNetwork",
                "Node", "Namespace", "Event", "Change")  # fmt: skip
        for name in gone:
            getattr(models, name).objects.all().delete()
        for kept in (world.engines, world.access, world.routers, world.looks, world.heart.beating):
            kept.clear()
        return seed


def manifest(name: str, replicas: int, image: str = "shop/web:1") -> list[str]:
    from tests.scenarios.world import web

    return [web(name, replicas=replicas, container=CONTAINER, image=image), SERVICE.format(name=name)]


def copied(row: Any, words: Words, **changes: Any) -> Any:
    """Another row of the same kind, with these words replaced in all of its columns, and `changes` besides."""
    fields = {field.attname: row.__dict__[field.attname] for field in row._meta.concrete_fields}
    return type(row)(**replaced(fields, words) | changes)


def replaced(value: Any, words: Words) -> Any:
    """A JSON value in which each of these words stands for the one before it."""
    text = json.dumps(value)
    for old, new in words:
        text = text.replace(old, new)
    return json.loads(text)


def fresh(digits: int = 36) -> str:
    import secrets
    import uuid

    return str(uuid.uuid4()) if digits == 36 else secrets.token_hex(digits // 2)


def node_name(number: int) -> str:
    return f"node-{number:04}"


def app_name(number: int) -> str:
    return f"app-{number:05}"


def space_name(number: int) -> str:
    return f"team-{number:03}"


def names(size: Size) -> Iterable[str]:
    return map(app_name, range(size.applications))


def _manifest(row: Any) -> Any:
    """What `manifest_hash` asks of one."""
    return SimpleNamespace(
        api_version=row.api_version, labels=row.labels, annotations=row.annotations, spec=row.spec
    )  # fmt: skip


def _count(deployment: Any, each: int, words: Words) -> None:
    """Its progress and status, as they are with so many pods that are all available."""
    counts = ("updated", "ready", "available", "replicas", "desired")
    deployment.progress = replaced(deployment.progress, words) | dict.fromkeys(counts, each)
    least = each - each * 25 // 100
    said = ("1 of 1 pods are available, 1 must be", f"{each} of {each} pods are available, {least} must be")
    status = replaced(deployment.status, [*words, said])
    deployment.status = status | {name: each for name in status if name.lower().endswith("replicas")}
