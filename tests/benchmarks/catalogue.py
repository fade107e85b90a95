"""What `manage.py benchmark` can run."""

from __future__ import annotations

from dataclasses import dataclass

HOSTS = "root and docker.io"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`module` of this folder, started with `arguments`. `needs`: beyond Python, in words."""

    name: str
    module: str
    about: str
    needs: str = ""
    arguments: tuple[str, ...] = ()


_ALL = (
    Benchmark("rollouts", "rollouts", "deploy, roll, undo, heal, idle: beside Docker Swarm and `docker run`", HOSTS),
    Benchmark("failover", "failover", "a host loses power: beside Docker Swarm; the control plane is killed", HOSTS),
    Benchmark("network", "network", "latency, throughput, changes and loss through the routers", f"{HOSTS}, wrk"),
    Benchmark("canary", "canary", "how exact a share is, how fast an abort, how soon a bad canary is gone", HOSTS),
    Benchmark("rollback", "rollback", "a click on rollback until the old version is ready", HOSTS),
    Benchmark("webhooks", "webhooks", "a push's webhook: answer time, and until pods are ready", HOSTS),
    Benchmark("judge", "judge", "the canary's judge by simulation: false kills, catches, and how soon"),
    Benchmark("scheduler", "scheduling", "kube-scheduler's workloads at 5, 500 and 5,000 nodes, in pods/s"),
    Benchmark("packing", "packing", "machines that a workload needs, over the lower bound; spread, first-fit"),
    Benchmark("reconcile", "reconcile", "a pass without change over 100 nodes and 5,000 pods, in CPU"),
    Benchmark("scale", "scale", "how cost grows to 1,000 nodes, 5,000 applications and 50,000 pods (simulated hosts)"),
    Benchmark("workers", "throughput", "pods started per second with 1, 2 and 4 workers", "PostgreSQL, Redis"),
    Benchmark("pages", "pages", "every page at 5,000 pods, and the event stream"),
    Benchmark("pages-20000", "pages", "every page at 20,000 pods", "", ("--nodes", "1000", "--applications", "2000",
              "--pods", "20000", "--streams", "500")),
    Benchmark("monorepo", "monorepo", "1,000 applications in one repository, one of them changed"),
    Benchmark("polls", "polls", "a poll of 100 repositories where nothing changed"),
    Benchmark("kills", "kill_points", "workers killed at 500 random points of rollouts: pods doubled or lost"),
    Benchmark("evictions", "false_evictions", "false evictions in seeded random fault schedules"),
)  # fmt: skip
CATALOGUE = {one.name: one for one in _ALL}
