"""1,000 applications in one repository, one of them changed: from the commit being seen to that one being applied.

    .venv/bin/python -m tests.benchmarks.monorepo [--applications 1000] [--rounds 5]

The repository is served over HTTP by a process of its own; the workers are threads of this one. "settled" is when
nothing is due any more and every application is known to be at the commit. CPU is this process's and Git's.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.database import empty_database
from tests.benchmarks.figures import show
from tests.benchmarks.git_host import git_host
from tests.benchmarks.workers import until, workers

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 0
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
        - name: web
          image: registry.example.com/shop/web:{version}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--applications", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with empty_database() as folder:
        (folder / "served").mkdir()
        with git_host(folder / "served") as address, workers() as here:
            shop = Shop.open(folder / "served", f"{address}all.git", options.applications)
            rows = [shop.round(here, number) for number in range(options.rounds)]
    what = f"{options.applications} applications in one repository, one changed:"
    show(f"{what} seen -> applied", [row[0] for row in rows], "s", at_least=3, aim=1)
    show(f"{what} seen -> all settled", [row[1] for row in rows], "s")
    show(f"{what} CPU", [row[2] for row in rows], "s")


@dataclass
class Shop:
    served: Any
    repository: str
    versions: list[int]

    @classmethod
    def open(cls, folder: Path, url: str, count: int) -> Shop:
        """All of them applied, as if by a sync: rows, not passes."""
        from control.models import Application, Deployment, Namespace, Repository
        from tests.contracts.git_servers import Served

        shop = cls(Served.make(folder / "all.git"), "", [1] * count)
        head = shop.push()
        row = Repository.objects.create(name="all", url=url, allow_local=True, head=head, poll_seconds=86400)
        shop.repository = row.uid
        lines = shop.served.git("ls-tree", f"{head}:apps").splitlines()
        trees = {name: fields.split()[2] for fields, name in (line.split("\t") for line in lines)}
        Namespace.objects.bulk_create(Namespace(name=name) for name in trees)
        owners = Application.objects.bulk_create(
            Application(
                name=name, repository=row, path=f"apps/{name}", namespace=name, commit=head, tree=tree,
                sync_status="Synced",
            )
            for name, tree in trees.items()
        )  # fmt: skip
        Deployment.objects.bulk_create(
            Deployment(namespace=one.namespace, name="web", application=one, spec={"replicas": 0}) for one in owners
        )
        return shop

    def push(self) -> str:
        files = {f"apps/{_name(at)}/web.yaml": MANIFEST.format(version=one) for at, one in enumerate(self.versions)}
        return str(self.served.push(files))

    def round(self, here: Any, number: int) -> tuple[float, float, float]:
        from control.models import Application, Repository, Sync

        changed = (number * 37 + 11) % len(self.versions)
        self.versions[changed] += 1
        head = self.push()
        before = os.times()
        here.work.wake("poll", self.repository)
        until(lambda: not Application.objects.exclude(commit=head).exists() and not _busy(here), here)
        after = os.times()
        settled = time.time()
        seen = Repository.objects.get(pk=self.repository).head_seen_at
        applied = Sync.objects.get(application__name=_name(changed), commit=head, phase=Sync.SUCCEEDED)
        assert Sync.objects.filter(commit=head).count() == 1
        return applied.finished_at - seen, settled - seen, sum(after[:4]) - sum(before[:4])


def _name(number: int) -> str:
    return f"app-{number:04}"


def _busy(here: Any) -> bool:
    return bool(here.work.due(here.clock.now()))


if __name__ == "__main__":
    main()
