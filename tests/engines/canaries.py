"""What a test of canaries needs: a workload whose errors are dialled, under a canary, and what routers do with it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from tests.engines.shop import Shop

IMAGE = "test/dial:1"
CALLER = ["/bin/sleep", "3600"]
QUICK = "10% for 10s, errors < 1%, only errors, warmup 4s, interval 2s"


def dialled(
    version: str, canary: str = "", *, errors: int = 0, slow: int = 0, delay: int = 0, replicas: int = 3
) -> str:
    """A Deployment `web` that answers `version`; `errors` and `slow` of 10,000 requests fail, or take `delay` ms.

    `canary`: its annotation, "" for none.
    """
    annotations = {"pierhead.io/canary": canary} if canary else {}
    return f"""apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, annotations: {json.dumps(annotations)}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
{_pod(version, errors, slow, delay)}"""


def rollout(version: str, steps: list[dict[str, Any]], *, errors: int = 0, replicas: int = 3) -> str:
    """The same as an Argo Rollout with these steps."""
    return f"""apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: {replicas}
  strategy: {{canary: {{steps: {json.dumps(steps)}}}}}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
{_pod(version, errors)}"""


def asked_for(shop: Shop, sha: str, kind: str = "deployment") -> bool:
    """Whether this commit is what is asked for; how it fares is another matter."""
    code, out, _ = shop.plane.attempt("get", kind, "web", "-n", shop.name, "-o", "json")
    return not code and json.loads(out)["metadata"]["annotations"].get("pierhead.io/commit") == sha


def weight(shop: Shop) -> int:
    """The canary's share that the routers are asked for, in basis points; 0 when there is none."""
    rows = sqlite3.connect(f"file:{shop.plane.folder}/db.sqlite3?mode=ro", uri=True, timeout=20)
    sql = "select json_extract(canary, '$.weight') from control_deployment where namespace = ? and name = 'web'"
    with contextlib.closing(rows):
        return int(rows.execute(sql, [shop.name]).fetchone()[0] or 0)


@dataclass(frozen=True)
class Standing:
    """Where a canary is: its phase and step, and of its newest analysis the phase and the requests that it counted."""

    phase: str
    step: int
    analysis: str
    requests: int


def standing(shop: Shop) -> Standing:
    rows = sqlite3.connect(f"file:{shop.plane.folder}/db.sqlite3?mode=ro", uri=True, timeout=20)
    sql = "select canary from control_deployment where namespace = ? and name = 'web'"
    with contextlib.closing(rows):
        state = json.loads(rows.execute(sql, [shop.name]).fetchone()[0])
    runs = shop.plane.objects("analysisruns", shop.name)
    newest = max((run["status"] for run in runs), key=lambda one: str(one.get("startedAt", "")), default={})
    looks = [look["metadata"] for one in newest.get("metricResults", []) for look in one["measurements"]]
    requests = sum(int(look.get("canaryRequests", 0)) for look in looks)
    return Standing(state.get("phase", ""), state.get("step", 0), newest.get("phase", ""), requests)


def _pod(version: str, errors: int, slow: int = 0, delay: int = 0) -> str:
    values = {"VERSION": version, "ERRORS": str(errors), "SLOW": str(slow), "DELAY": str(delay)}
    environment = json.dumps([{"name": name, "value": value} for name, value in values.items()])
    return f"""      terminationGracePeriodSeconds: 2
      containers:
        - name: web
          image: {IMAGE}
          env: {environment}
          readinessProbe: {{httpGet: {{path: /healthz, port: 8080}}, periodSeconds: 1, failureThreshold: 1}}
"""
