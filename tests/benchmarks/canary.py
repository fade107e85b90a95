"""Canaries on three real hosts: how exact a share is, how fast an abort, and how soon a bad canary is gone.

    .venv/bin/python -m tests.benchmarks.canary [--only share|abort|bad|good] [--rounds 3]

Hosts, control plane, load and servers share the machine. An abort is timed from the command's start to the last answer
that the canary gave to any of three clients, one on each host, each behind its own host's router.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import show
from tests.engines.canaries import CALLER, IMAGE, asked_for, dialled, rollout, weight
from tests.engines.control_plane import control_plane, deployment, eventually
from tests.engines.hosts import Hosts, hosts
from tests.engines.load import load
from tests.engines.net import Client, address, clients, served, service
from tests.engines.router_image import dial, router
from tests.engines.shop import Shop

DEFAULTS = "5% for 10m, errors < 1%"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=tuple(MEASURES))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with hosts(3) as three:
        for archive in (router(), dial(IMAGE)):
            three.load(archive)
        for name, measure in MEASURES.items():
            if options.only in (None, name):
                with shop(three) as (made, callers):
                    measure(made, callers, options.rounds)


@contextlib.contextmanager
def shop(three: Hosts) -> Iterator[tuple[Shop, list[Client]]]:
    with control_plane() as plane, tempfile.TemporaryDirectory() as folder:
        for host in three:
            plane.add(host)
        made = Shop.open(plane, three, Path(folder), dialled("1"), service("web"), quiet())
        made.sync("--wait")
        callers = clients(made, "caller")
        for caller in callers:
            served(made, caller, "web", "/")
        yield made, callers
        plane.manage("application", "remove", made.name)
        made.wait(lambda: not made.containers(all_of_them=True), 60)


def quiet() -> str:
    """A pod on each host to ask from."""
    spread = (
        "topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname,"
        " whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: caller}}}]"
    )
    text = deployment("caller", image=IMAGE, replicas=3, command=CALLER)
    return text.replace("      containers:", f"      {spread}\n      containers:", 1)


def push(made: Shop, document: str) -> None:
    sha = made.push(document, service("web"), quiet())
    made.sync()
    kind = "rollout" if "kind: Rollout" in document else "deployment"
    eventually(lambda: asked_for(made, sha, kind), 60, made.tell)


def paused_at(made: Shop, percent: int) -> None:
    def paused() -> bool:
        found = json.loads(made.plane.manage("get", "rollout", "web", "-n", made.name, "-o", "json"))["status"]
        weights = (found.get("canary") or {}).get("weights") or {}
        return found.get("phase") == "Paused" and (weights.get("canary") or {}).get("weight") == percent

    eventually(paused, 90, made.tell)


def share(made: Shop, callers: list[Client], rounds: int) -> None:
    """10,000 requests at 5 %."""
    steps = [{"setWeight": 5}, {"pause": {}}]
    push(made, rollout("1", steps))
    made.wait_ready(6, seconds=90)
    push(made, rollout("2", steps))
    paused_at(made, 5)
    shares, failed = [], 0
    for _ in range(rounds):
        at = callers[0]
        with load(at.host, at.container, f"{address(made, 'web')}:80", pause=0.001, requests=10_000) as running:
            result = running.wait(180)
        shares.append(100 * result.answers["2"] / result.sent)
        failed += result.failed
    show("share of 10,000 requests at 5 %", shares, "%")
    show("share at 5 %: how far from it", [abs(one - 5) for one in shares], "points", at_least=0.7)
    show("requests failed meanwhile", failed, "requests", at_least=0)


def abort(made: Shop, callers: list[Client], rounds: int) -> None:
    steps = [{"setWeight": 50}, {"pause": {}}]
    push(made, rollout("1", steps))
    made.wait_ready(6, seconds=90)
    took, failed, sent = [], 0, 0
    for number in range(rounds):
        version = str(number + 2)
        push(made, rollout(version, steps))
        paused_at(made, 50)
        with contextlib.ExitStack() as stack:
            target = f"{address(made, 'web')}:80"
            running = [
                stack.enter_context(load(at.host, at.container, target, clients=2, pause=0.004)) for at in callers
            ]
            until = time.monotonic() + 6  # the clients are processes, and have to start
            eventually(lambda until=until: time.monotonic() > until, 10)
            began = time.time()
            made.plane.manage("rollout", "abort", "rollout/web", "-n", made.name)
            until = time.monotonic() + 4
            eventually(lambda until=until: time.monotonic() > until, 6)
            results = [one.stop() for one in running]
        assert all(version in one.seen for one in results), "the canary answered nobody before the abort"
        took.append(max(one.seen[version] for one in results) - began)
        failed, sent = failed + sum(one.failed for one in results), sent + sum(one.sent for one in results)
        made.wait_ready(6, seconds=60)
    show("abort -> the canary's last answer through any of 3 routers", took, "s", at_least=1, aim=0.3)
    show(f"aborts: failed of {sent:,} requests", failed, "requests", at_least=0)


def bad(made: Shop, callers: list[Client], rounds: int) -> None:
    """A canary with 10 % errors under 20 requests a second, with the defaults of the judge."""
    push(made, dialled("1", DEFAULTS))
    made.wait_ready(6, seconds=90)
    took, hurt, sent = [], 0, 0
    for number in range(rounds):
        at = callers[0]
        # 4 clients that wait 0.2 s between two requests
        with load(at.host, at.container, f"{address(made, 'web')}:80", clients=4, pause=0.2) as running:
            push(made, dialled(str(number + 2), DEFAULTS, errors=1000))
            made.wait(lambda: weight(made) > 0, 60)
            began = time.monotonic()
            made.wait(lambda: weight(made) == 0, 300)
            took.append(time.monotonic() - began)
            made.wait_ready(6, seconds=60)
        hurt, sent = hurt + running.result.failed, sent + running.result.sent
    show("10 % errors at 20 requests/s: traffic -> weight zero", took, "s", at_least=90, aim=40)
    show(f"10 % errors: users' failed requests of {sent:,}", hurt, "requests")


def good(made: Shop, callers: list[Client], rounds: int) -> None:
    """A good one, with short stages: all the way to 100 %."""
    quick = "5% for 20s, 25% for 20s, 50% for 20s, errors < 1%, warmup 5s, interval 2s"
    push(made, dialled("1", quick))
    made.wait_ready(6, seconds=90)
    at = callers[0]
    with load(at.host, at.container, f"{address(made, 'web')}:80", clients=8, pause=0.02) as running:
        began = time.monotonic()
        push(made, dialled("2", quick))
        made.plane.manage("rollout", "status", "deployment/web", "-n", made.name, "--timeout", "400s")
        took = time.monotonic() - began
    result = running.result
    show("a good canary, 5 %, 25 %, 50 % of 20 s each: push -> done", took, "s")
    show(f"a good canary: failed of {result.sent:,} requests", result.failed, "requests", at_least=0)


MEASURES = {"share": share, "abort": abort, "bad": bad, "good": good}

if __name__ == "__main__":
    main()
