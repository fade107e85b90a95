"""Polls that find nothing new: 100 repositories, each with one application, over HTTP.

    .venv/bin/python -m tests.benchmarks.polls [--repositories 100] [--rounds 5]

Prints the seconds of CPU of one look at all of them: of this process, and of the Git processes that it starts. The
Git host is a process of its own and is not counted.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from tests.benchmarks.database import empty_database
from tests.benchmarks.figures import show
from tests.benchmarks.git_host import git_host
from tests.benchmarks.workers import until, workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with empty_database() as folder:
        (folder / "served").mkdir()
        with git_host(folder / "served") as address, workers() as here:
            follow(folder / "served", address, options.repositories)
            look(here)
            rows = [look(here) for _ in range(options.rounds)]
    what = f"{options.repositories} repositories polled, nothing new:"
    show(f"{what} CPU", [row[2] for row in rows], "s", at_least=5, aim=1)
    for index, name in enumerate(("CPU of this process", "CPU of Git")):
        show(f"{what} {name}", [row[index] for row in rows], "s")
    show(f"{what} elapsed", [row[3] for row in rows], "s")


def follow(served: Path, address: str, count: int) -> None:
    """So many repositories, each followed by one application that is at its head."""
    from control.models import Application, Repository
    from tests.contracts.git_servers import Served

    for number in range(count):
        made = Served.make(served / f"shop-{number}.git")
        head = made.push({"k8s/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\n"})
        url = f"{address}shop-{number}.git"
        row = Repository.objects.create(name=f"shop-{number}", url=url, allow_local=True, head=head)
        tree = made.git("rev-parse", f"{head}:k8s")
        Application.objects.create(
            name=f"shop-{number}", repository=row, path="k8s", commit=head, tree=tree, sync_status="Synced"
        )


def look(here: object) -> tuple[float, float, float, float]:
    """One poll of every repository, on 8 threads: (own CPU, Git's CPU, both, elapsed seconds)."""
    from django.db import transaction

    from control.models import Repository

    before, began, asked_at = os.times(), time.monotonic(), time.time()
    with transaction.atomic():
        for uid in Repository.objects.values_list("uid", flat=True):
            here.work.wake("poll", uid)  # type: ignore[attr-defined]
    until(lambda: not Repository.objects.filter(polled_at__lt=asked_at).exists(), here)
    after = os.times()
    own = after.user + after.system - before.user - before.system
    git = after.children_user + after.children_system - before.children_user - before.children_system
    assert not Repository.objects.exclude(message="").exists(), Repository.objects.exclude(message="").first().message  # type: ignore[union-attr]
    return own, git, own + git, time.monotonic() - began


if __name__ == "__main__":
    main()
