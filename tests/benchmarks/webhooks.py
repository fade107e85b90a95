"""Webhooks: a push told by one -> three replicas healthy on three real hosts; how soon many deliveries are answered.

    .venv/bin/python -m tests.benchmarks.webhooks [--rounds 5] [--seconds 30] [--rate 100] [--only healthy|answers]

The first: real engines whose images are there, polling off, an HTTP readiness probe every second; from the delivery's
first byte until three pods of a new Deployment are ready, and until a rolling update (one at a time, as Kubernetes'
defaults have it) of three has ended. Beside it the push alone with polling at its usual 30 s, which is known: 15 s on
average. The second: a whole Pierhead with simulated hosts, `--rate` deliveries a second in an open loop (none waits for
another) spread over 20 webhooks, each on a connection of its own, while its worker looks at the repository each time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from tests.benchmarks.figures import show
from tests.core.hooks.samples import headers
from tests.engines import images
from tests.engines.control_plane import Checkout, ControlPlane, control_plane, deployment
from tests.engines.hosts import hosts
from tests.engines.router_image import router
from tests.engines.shop import HTTPD, Shop

HOOKS, REPLICAS = 20, 3
PROBE = """readinessProbe:
  httpGet: {path: /version, port: 8080}
  periodSeconds: 1
ports: [{containerPort: 8080}]"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--only", choices=("healthy", "answers"))
    options = parser.parse_args()
    if options.only != "answers":
        fresh, rolled = healthy(options.rounds)
        show("webhook -> 3 replicas of a new Deployment ready", fresh, "s", at_least=4, aim=2)
        show("webhook -> 3 updated, one at a time, old ones gone", rolled, "s")
    if options.only != "healthy":
        answers = many(options.rate, options.seconds)
        high = 1000 * statistics.quantiles(answers, n=100, method="inclusive")[98]
        show(f"a webhook's answer at {options.rate:g}/s, p99 of {len(answers)}", high, "ms", at_least=100, aim=30)
        show(f"a webhook's answer at {options.rate:g}/s, median", 1000 * statistics.median(answers), "ms")


def web(version: int, name: str = "web") -> str:
    return deployment(name, image=f"test/web:{version}", replicas=REPLICAS, command=HTTPD, container=PROBE)


def healthy(rounds: int) -> tuple[list[float], list[float]]:
    with hosts(3) as three, control_plane() as plane, tempfile.TemporaryDirectory() as folder:
        for archive in (router(), images.web("test/web:1"), images.web("test/web:2")):
            three.load(archive)
        for host in three:
            plane.add(host)
        shop = Shop(plane, three, _checkout(folder))
        shop.push(web(1))
        plane.manage("repository", "add", shop.name, str(shop.checkout.origin), "--allow-local", "--poll", "3600s")
        source = ["--repository", shop.name, "--path", "k8s", "--namespace", shop.name]
        plane.manage("application", "add", shop.name, *source)
        shop.wait_ready(REPLICAS, image="test/web:1")
        hook, secret = _hook(plane, shop.name)
        fresh = [_fresh(shop, hook, secret, number) for number in range(rounds)]
        return fresh, [_round(shop, hook, secret, 2 - number % 2) for number in range(rounds)]


def _checkout(folder: str) -> Checkout:
    made = Checkout(Path(folder))
    (made.work / "k8s").mkdir()
    return made


def _fresh(shop: Shop, hook: str, secret: str, number: int) -> float:
    """Beside `web`, a Deployment that is new; the one of the round before goes."""
    name = f"new{number}"
    commit = shop.push(web(1), web(1, name))
    began = time.monotonic()
    status, _ = asyncio.run(deliver(shop.plane.port, hook, secret, commit))
    assert status == 202, status
    shop.wait(lambda: sum(name in pod["metadata"]["name"] for pod in shop.plane.ready_pods(shop.name)) == REPLICAS)
    ready = time.monotonic() - began
    shop.wait(lambda: len(shop.pods()) == 2 * REPLICAS)
    return ready


def _round(shop: Shop, hook: str, secret: str, version: int) -> float:
    commit = shop.push(web(version))
    began = time.monotonic()
    status, _ = asyncio.run(deliver(shop.plane.port, hook, secret, commit))
    assert status == 202, status
    shop.wait_ready(REPLICAS, image=f"test/web:{version}")
    ready = time.monotonic()
    shop.wait(lambda: "successfully rolled out" in shop.plane.manage(
        "rollout", "status", "deployment/web", "-n", shop.name, "--timeout", "20s"
    ))  # fmt: skip
    time.sleep(2)  # what of the update is still going on is not the next round's
    return ready - began


def many(rate: float, seconds: float) -> list[float]:
    with control_plane("--simulate", "3") as plane, tempfile.TemporaryDirectory() as folder:
        shop = Shop(plane, None, _checkout(folder))  # type: ignore[arg-type]
        shop.push(web(1))
        plane.follow(shop.checkout.origin, name=shop.name, namespace=shop.name)
        shop.wait_ready(REPLICAS)
        hooks = [_hook(plane, shop.name) for _ in range(HOOKS)]
        return asyncio.run(_flood(plane.port, hooks, rate, seconds))


async def _flood(port: int, hooks: list[tuple[str, str]], rate: float, seconds: float) -> list[float]:
    began, sent = time.monotonic(), []
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        sent.append(asyncio.create_task(deliver(port, *hooks[number % len(hooks)], f"{number:040x}")))
    answers = await asyncio.gather(*sent)
    refused = [status for status, _ in answers if status != 202]
    assert not refused, f"{len(refused)} of {len(answers)} were not accepted: {sorted(set(refused))}"
    return [took for _, took in answers]


async def deliver(port: int, hook: str, secret: str, commit: str) -> tuple[int, float]:
    """One push, as GitHub sends it; the status and how many seconds its answer took."""
    body = json.dumps({"ref": "refs/heads/main", "after": commit, "padding": "x" * 8000}).encode()
    named = headers("github", body, "push", secret, str(uuid.uuid4()), time.time())
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    request = (
        f"POST /hooks/{hook} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n{head}\r\n"
    )
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1]), time.monotonic() - began


def _hook(plane: ControlPlane, repository: str) -> tuple[str, str]:
    said = plane.manage("webhook", "add", repository, "--provider", "github")
    hook, secret = re.search(r"/hooks/(\S+)", said), re.search(r"^Secret: +(\S+)$", said, re.MULTILINE)
    assert hook and secret
    return hook[1], secret[1]


if __name__ == "__main__":
    main()
