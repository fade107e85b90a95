"""1,000 manifests of about 40 lines read, validated and compared: `python -m tests.benchmarks.manifests`.

Prints seconds of CPU, the median of five rounds: cold (nothing cached), a commit that changed one file in a hundred,
and a commit that changed nothing.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from deployer.core.difference import difference
from deployer.core.manifests import Manifest, ReadResult, read_manifests
from deployer.core.repository import SourceFile

COUNT = 1000
ROUNDS = 5
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-{number}
  namespace: shop
  labels:
    app: web-{number}
spec:
  replicas: {replicas}
  selector:
    matchLabels:
      app: web-{number}
  template:
    metadata:
      labels:
        app: web-{number}
    spec:
      containers:
        - name: web
          image: registry.example.com/shop/web:1.2.{number}
          ports:
            - name: http
              containerPort: 8080
          env:
            - name: LOG_LEVEL
              value: info
            - name: TOKEN
              valueFrom:
                secretKeyRef:
                  name: web
                  key: token
          resources:
            requests:
              cpu: 100m
              memory: 128Mi
            limits:
              memory: 256Mi
          readinessProbe:
            exec:
              command: ["/bin/true"]
"""


def files(replicas: Callable[[int], int]) -> list[SourceFile]:
    numbered = ((number, MANIFEST.format(number=number, replicas=replicas(number))) for number in range(COUNT))
    return [SourceFile(f"k8s/web-{number:04}.yaml", text.encode()) for number, text in numbered]


def read(found: Iterable[SourceFile], cache: dict[Any, Any] | None = None) -> ReadResult:
    result = read_manifests(found, default_namespace="shop", policies={}, cache=cache)
    assert len(result.manifests) == COUNT
    assert not result.errors
    return result


def compared(before: ReadResult, after: ReadResult) -> int:
    stored = {one.key: one for one in before.manifests}
    return sum(bool(difference(_written(stored[one.key]), _written(one))) for one in after.manifests)


def _written(one: Manifest) -> dict[str, Any]:
    return {"labels": one.labels, "annotations": one.annotations, "spec": one.spec}


def measured(work: Callable[[], object]) -> float:
    """Median seconds of CPU."""
    taken = []
    for _ in range(ROUNDS):
        before = time.process_time()
        work()
        taken.append(time.process_time() - before)
    return statistics.median(taken)


def main() -> None:
    old, new = files(lambda _: 2), files(lambda number: 3 if number % 100 == 0 else 2)
    stored = read(old)
    assert compared(stored, read(new)) == COUNT // 100

    def warm(changed: list[SourceFile]) -> int:
        return compared(stored, read(changed, dict(cached)))

    cached: dict[Any, Any] = {}
    read(old, cached)
    rows = {
        "nothing cached": measured(lambda: compared(stored, read(new))),
        "10 of 1,000 changed": measured(lambda: warm(new)),
        "nothing changed": measured(lambda: warm(old)),
    }
    print(f"{COUNT} manifests read, validated, compared: seconds of CPU (at least 2, aim 1)")
    for name, seconds in rows.items():
        print(f"  {name:<20} {seconds:.3f}")


if __name__ == "__main__":
    main()
