"""Every page's server time, queries and size at scale, from rows as the loops would have left them.

    .venv/bin/python -m tests.benchmarks.pages [--nodes 100] [--applications 500] [--pods 5000] [--rounds 30]

Prints milliseconds (median and 95th percentile of whole requests through Django's handler, sessions and templates
included), queries, and kilobytes as sent (compressed). The cluster lives meanwhile: before each request a few rows are
written, as the loops write them, so that nothing is measured that was kept from the request before. Then the event
stream: from a write to the message, and the
memory that 200 open pages add to one web process (`--streams`).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.database import empty_database
from tests.benchmarks.figures import show

Row = tuple[str, float, float, float, int, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--applications", type=int, default=500)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--streams", type=int, default=200)
    options = parser.parse_args()
    with empty_database() as folder:
        fill(options)
        report([measure(path, options.rounds) for path in paths()], options.pods)
        if options.streams:
            from tests.benchmarks.streams import streams

            streams(folder, options.streams)


def fill(options: argparse.Namespace) -> None:
    from tests.benchmarks.rows import cluster

    cluster(nodes=options.nodes, applications=options.applications, pods=options.pods)


def paths() -> list[str]:
    from control.models import Pod

    pod = Pod.objects.order_by("name").values_list("namespace", "name").first()
    assert pod is not None
    return [
        "/", "/applications", "/applications?health=Degraded", "/applications?as=tiles", "/applications/app-007",
        "/workloads/team-007/web", f"/pods/{pod[0]}/{pod[1]}", "/nodes", "/nodes/node-007", "/network",
        "/network/team-007/web", "/events", "/audit", "/find?words=web",
    ]  # fmt: skip


def measure(path: str, rounds: int) -> Row:
    from django.db import connection

    client, queries, alive = signed_in(), Counter[str](), life()
    client.get(path)  # whoever comes first after a start reads everything
    next(alive)

    def count(execute: Any, sql: str, *rest: Any) -> Any:
        queries["all"] += 1
        return execute(sql, *rest)

    answer = client.get(path, headers={"accept-encoding": "gzip"})  # a process's first one reads all that lists keep
    assert answer.status_code == 200, (path, answer.status_code)
    times, spent, most = [], 0.0, 0
    for _ in range(rounds):
        next(alive)
        queries.clear()
        began, used = time.perf_counter(), time.process_time()
        with connection.execute_wrapper(count):
            client.get(path, headers={"accept-encoding": "gzip"})
        most = max(most, queries["all"])
        times.append(1000 * (time.perf_counter() - began))
        spent += 1000 * (time.process_time() - used) / rounds
    worst = statistics.quantiles(times, n=20, method="inclusive")[-1]
    return path, statistics.median(times), worst, spent, most, len(answer.content) / 1000


def life() -> Iterator[None]:
    """What a cluster does between two looks at a page: pods come and go from being ready, a Deployment's status is
    written, an application is synced, something is told, and every node's heartbeat is noted."""
    from control.models import Application, Deployment, Node, Pod
    from control.store import heartbeats, objects

    nodes = list(Node.objects.values_list("uid", flat=True))
    pods = list(Pod.objects.order_by("uid")[:200])
    workloads, owners = list(Deployment.objects.order_by("uid")[:50]), list(Application.objects.order_by("uid")[:50])
    for turn in itertools.count():
        heartbeats.seen(nodes, time.time())
        mine = [pods[(3 * turn + one) % len(pods)] for one in range(3)]
        for pod in mine:
            pod.ready = not pod.ready
        objects.update(mine, ["ready"])
        row = workloads[turn % len(workloads)]
        row.progress = {**row.progress, "last_progress_at": time.time()}
        objects.update([row], ["progress"])
        owner = owners[turn % len(owners)]
        Application.objects.filter(pk=owner.pk).update(applied_at=time.time(), message=f"pass {turn}")
        objects.touch("Application", "", owner.name)
        objects.record_event("Pod", mine[0].namespace, mine[0].name, "Normal", "Unhealthy", f"pass {turn}")
        yield


def signed_in() -> Any:
    from django.contrib.auth import get_user_model
    from django.test import Client

    users = get_user_model().objects
    client = Client(headers={"host": "localhost"})
    client.force_login(users.filter(username="ada").first() or users.create_superuser("ada"))
    return client


def report(rows: list[Row], pods: int) -> None:
    at_least, aim = (150.0, 60.0) if pods <= 5000 else (200.0, 80.0)
    for path, median, worst, spent, queries, size in rows:
        show(f"page {path}, {pods:,} pods, p95", worst, "ms", at_least=at_least, aim=aim)
        print(f"    median {median:.0f} ms, CPU {spent:.0f} ms, {queries} queries, {size:.1f} kB")
    show(f"most queries of a page, {pods:,} pods", max(row[4] for row in rows), "queries", at_least=20, aim=10)
    transferred(rows[0])


def transferred(first: Row) -> None:
    """What a browser fetches for the first page, as it is sent."""
    import gzip

    import django_htmx

    root = Path(__file__).parents[2]
    htmx = Path(django_htmx.__file__).parent / "static" / "django_htmx" / "htmx-2.min.js"
    assets = [htmx, *(root / "static" / name for name in ("pierhead.css", "pierhead.js", "keys.js", "pierhead.svg"))]
    sizes = [len(gzip.compress(path.read_bytes(), 6)) / 1000 for path in assets]
    show("first page with its assets, compressed", first[5] + sum(sizes), "kB", at_least=150, aim=60)


if __name__ == "__main__":
    main()
