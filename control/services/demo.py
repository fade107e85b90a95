"""The demonstration: a harbour of simulated hosts on which something happens all the time.

A real control plane, real Git repositories, real rollouts; only the containers are imagined. Every step may run twice:
a demonstration that was started again goes on with what is there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import OperationalError
from git import Actor as Author
from git import Repo

from control.models import Application, Deployment, Measurement, Node, Repository
from control.services import demo_canaries, nodes, repositories, workloads
from control.services.audit import Actor
from control.services.refusal import Refused
from deployer.adapters.clock import WallClock
from deployer.adapters.simulated_host import SimulatedHost
from deployer.core.network.measurements import BUCKETS, FINE_SECONDS

HOSTS = 6
DIRECTOR = Actor("demonstration", "demo")
PEOPLE = (Author("Ada Lovelace", "ada@example.com"), Author("Grace Hopper", "grace@example.com"))
HISTORY_SECONDS = 3600
STEP_SECONDS = 2.0
_LOG = "echo 'listening on :8080'; echo 'connected to postgres'; sleep 86400"


def manifest(name: str, image: str, replicas: int, *, more: str = "", program: str = _LOG) -> str:
    """A Deployment and its Service."""
    return f"""apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app: {name}}}
spec:
  replicas: {replicas}
{more}  selector:
    matchLabels: {{app: {name}}}
  template:
    metadata:
      labels: {{app: {name}}}
    spec:
      topologySpreadConstraints:
        - {{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway,
           labelSelector: {{matchLabels: {{app: {name}}}}}}}
      containers:
        - name: {name}
          image: {image}
          command: [sh, -c, "{program}"]
          ports: [{{containerPort: 8080}}]
          env:
            - {{name: LOG_LEVEL, value: info}}
            - {{name: DATABASE_PASSWORD, value: not-a-real-one}}
          resources:
            requests: {{cpu: 250m, memory: 256Mi}}
            limits: {{memory: 512Mi}}
---
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 80, targetPort: 8080}}]
"""


SLOW = "  minReadySeconds: 20\n  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}\n"
BAD = manifest("ledger", "registry.example.com/ledger:1.9.0", 2).replace("  replicas: 2", "  replica: 2")
ROOMY = manifest("indexer", "registry.example.com/indexer:3.1", 3).replace("256Mi", "7Gi").replace("512Mi", "8Gi")


@dataclass(frozen=True)
class Remote:
    """A bare repository and a working copy, in the data folder."""

    folder: Path

    def push(self, name: str, files: dict[str, str], message: str, author: Author) -> bool:
        """Whether it was any news: nothing is done when the repository says that already."""
        bare, work = self.folder / f"{name}.git", self.folder / name
        if not bare.exists():
            Repo.init(bare, bare=True, initial_branch="main").close()
        if not (work / ".git" / "HEAD").exists():
            Repo.clone_from(str(bare), work).close()
        with Repo(work) as repo:
            for path, text in files.items():
                place = work / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            repo.index.add(list(files))
            if repo.head.is_valid() and not repo.index.diff("HEAD"):
                return False
            repo.index.commit(message, author=author, committer=author)
            repo.git.push("origin", "HEAD:main")
        return True

    def address(self, name: str) -> str:
        return str(self.folder / f"{name}.git")


class Demonstration:
    """`steps` yields what is done, as it is done; between two of them the caller waits STEP_SECONDS."""

    def __init__(self, folder: Path) -> None:
        self._remote = Remote(folder / "demo")
        self._visitors = demo_canaries.Visitors()
        self._host = SimulatedHost(f"sim-{HOSTS}", settings.PIERHEAD.data_dir / "run", WallClock(), time.sleep)

    def steps(self) -> Iterator[str]:
        self._remote.folder.mkdir(mode=0o700, exist_ok=True)
        nodes.register_simulated(HOSTS)
        yield f"{HOSTS} simulated hosts"
        yield from self._begin()
        yield from self._wait("everything to run", self._all_settled)
        yield from self._trouble()
        while True:
            try:
                yield from self._go_on()
            except OperationalError:  # the machine is busy with something else: what was to happen now happens later
                yield ""

    def _begin(self) -> Iterator[str]:
        ada, grace = PEOPLE
        shop = {"deploy/web.yaml": manifest("web", "registry.example.com/web:2.3.0", 8, more=SLOW),
                "deploy/catalog.yaml": manifest("catalog", "registry.example.com/catalog:1.4.2", 3),
                **_canary(demo_canaries.GOOD), **_canary(demo_canaries.BAD)}  # fmt: skip
        self._follow("shop", shop, "Catalog: cache prices", ada)
        self._follow("payments", _payments("api:5.1.0"), "Payments: retry webhooks", grace)
        self._follow("mail", {"deploy/mail.yaml": manifest("mail", "registry.example.com/mail:0.8", 2)}, "Mail", ada)
        ledger = {"deploy/ledger.yaml": manifest("ledger", "registry.example.com/ledger:1.8.4", 2)}
        self._follow("ledger", ledger, "Ledger: round half to even", grace)
        yield "four applications follow their repositories"

    def _follow(self, name: str, files: dict[str, str], message: str, author: Author) -> None:
        if not Repository.objects.filter(name=name).exists():
            self._remote.push(name, files, message, author)
            repositories.add_repository(name, self._remote.address(name), DIRECTOR, poll_seconds=2, allow_local=True)
        if not Application.objects.filter(name=name).exists():
            repositories.add_application(name, name, "deploy", DIRECTOR, namespace=name)

    def _trouble(self) -> Iterator[str]:
        ada, grace = PEOPLE
        self._remote.push("payments", _payments("api-crash:5.2.0"), "Payments: new ledger client", grace)
        yield "payments/api: a version that crashes was pushed; it rolls back by itself"
        self._remote.push("ledger", {"deploy/ledger.yaml": BAD}, "Ledger: two replicas", ada)
        yield "ledger: a manifest with a typing error was pushed; it is refused"
        self._remote.push("shop", {"deploy/indexer.yaml": ROOMY}, "Shop: an indexer", grace)
        yield "shop/indexer: more memory was asked for than some hosts have"
        self._remote.push("shop", _canary(demo_canaries.BAD, "1.0.0"), "Recommend: another model", ada)
        yield "shop/recommend: a version that fails now and then was pushed; its canary is aborted"
        self._remote.push("shop", _canary(demo_canaries.GOOD, "3.5.0"), "Checkout: one page less", grace)
        yield "shop/checkout: a version that is well was pushed; its canary is judged for some minutes"
        if Node.objects.get(name=f"sim-{HOSTS}").ready:
            self._host.power_off()
        yield f"sim-{HOSTS} lost power; its pods are replaced elsewhere"

    def _go_on(self) -> Iterator[str]:
        """A rollout that is always under way, and traffic."""
        _answer(time.time())
        self._visitors.come(STEP_SECONDS)
        if version := demo_canaries.next_version():
            name = demo_canaries.GOOD
            if self._remote.push("shop", _canary(name, version), f"Checkout: {version}", PEOPLE[1]):
                yield f"shop/{name}: {version} was pushed"
        web = Deployment.objects.filter(namespace="shop", name="web").first()
        if web is not None and web.progress.get("reason") == "NewReplicaSetAvailable":
            try:
                workloads.restart("shop", "web", DIRECTOR)
                yield "shop/web: new pods, one after the other"
            except Refused as refused:
                yield refused.sentence
        yield ""

    def _wait(self, what: str, true: Callable[[], bool]) -> Iterator[str]:
        yield f"waiting for {what}"
        until = time.monotonic() + 120
        while not true() and time.monotonic() < until:
            self._visitors.come(STEP_SECONDS)
            yield ""

    def _all_settled(self) -> bool:
        rows = list(Deployment.objects.filter(deleted_at=None))
        return len(rows) >= 7 and all(row.progress.get("available") == row.replicas for row in rows)


def _canary(name: str, version: str = "") -> dict[str, str]:
    """The first version, when none is given."""
    image = f"registry.example.com/{name}:{version or demo_canaries.FIRST[name]}"
    return {f"deploy/{name}.yaml": demo_canaries.annotated(manifest(name, image, 4), name)}


def _payments(image: str) -> dict[str, str]:
    return {"deploy/api.yaml": manifest("api", f"registry.example.com/{image}", 3)}


def _answer(now: float) -> None:
    """Imagined hosts have imagined visitors: what the routers of real ones would have counted since the last row."""
    rows = []
    last = Measurement.objects.filter(resolution=FINE_SECONDS).order_by("-at").values_list("at", flat=True).first()
    begin = max(last + FINE_SECONDS if last else 0, int(now) // FINE_SECONDS * FINE_SECONDS - HISTORY_SECONDS)
    for at in range(begin, int(now), FINE_SECONDS):
        for namespace, service, base in (("shop", "web", 420), ("shop", "catalog", 180), ("payments", "api", 90)):
            draw = random.Random(f"{service} {at}")  # noqa: S311 - a plot, not a secret
            requests = int(base * (1 + 0.3 * draw.random()) + base * 0.2 * ((at // 600) % 3))
            errors = sum(draw.random() < 0.004 for _ in range(requests))
            row = Measurement(
                resolution=FINE_SECONDS, namespace=namespace, service=service, at=at, port="80", revision=1,
                requests=requests, errors=errors, buckets=_buckets(requests, draw),
            )  # fmt: skip
            rows.append(row)
    Measurement.objects.bulk_create(rows, ignore_conflicts=True)


def _buckets(requests: int, draw: random.Random) -> list[int]:
    found = [0] * BUCKETS
    for _ in range(requests):
        found[min(max(int(draw.gauss(4, 1.2)), 0), BUCKETS - 2)] += 1
    return found
