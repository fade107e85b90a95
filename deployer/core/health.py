"""Is it healthy? One word and one sentence per object, and the worst of many with its cause.

Argo CD's words and its first-match rules (gitops-engine, pkg/health), which operators know, with three differences:
a Service or an Ingress is healthy only with ready endpoints behind it, a rollout that crashes is Degraded before its
deadline, and so is one that was rolled back by itself, although what runs is well: somebody's push did not arrive.

Healthy means that it converged, never that a command was accepted. Nothing here looks at a clock or at a host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from deployer.core.workloads.progress import CANARY, CANARY_PAUSED, FAILED
from deployer.core.workloads.values import Progress

Status = Literal["Unknown", "Degraded", "Missing", "Progressing", "Suspended", "Healthy"]
WORST_FIRST: tuple[Status, ...] = ("Unknown", "Degraded", "Missing", "Progressing", "Suspended", "Healthy")


class Health(NamedTuple):
    """A tuple, which pages that hold thousands of them hash at no cost."""

    status: Status
    message: str = ""


def deployment_health(
    *, paused: bool, generation: int, desired: int, progress: Progress, message: str = "", rolled_back: str = ""
) -> Health:
    """`message` is that of the Progressing condition; `rolled_back` is why an automatic rollback or an abort holds, or
    ""."""
    if paused:
        return Health("Suspended", "it is paused")
    if generation > progress.observed_generation:
        return Health("Progressing", "its latest change has not been looked at yet")
    if rolled_back:
        return Health("Degraded", rolled_back)
    if progress.reason in FAILED:
        return Health("Degraded", message or progress.reason)
    if progress.reason == CANARY_PAUSED:
        return Health("Suspended", message or "its canary waits for a person")
    if progress.reason == CANARY:
        return Health("Progressing", message or "its canary is under way")
    return _rollout_health(desired, progress)


def _rollout_health(desired: int, progress: Progress) -> Health:
    if progress.updated < desired:
        return Health("Progressing", f"{progress.updated} of {desired} pods are updated")
    if progress.replicas > progress.updated:
        return Health("Progressing", f"{progress.replicas - progress.updated} old pods are still there")
    if progress.available < progress.updated:
        return Health("Progressing", f"{progress.available} of {progress.updated} pods are available")
    return Health("Healthy", f"{progress.available} of {desired} pods are available")


def pod_health(*, phase: str, ready: bool, waiting: str = "", message: str = "") -> Health:
    """`waiting` is the reason of a container that waits; `message` says more: what failed, with which exit code."""
    if waiting.startswith("Err") or waiting.endswith(("Error", "BackOff")):
        return Health("Degraded", f"{waiting}: {message}" if message else waiting)
    if phase == "Unknown":
        return Health("Unknown", message or "its node is not seen")
    if ready or phase == "Succeeded":
        return Health("Healthy", message)
    if phase == "Failed":
        return Health("Degraded", message or "it has failed")
    return Health("Progressing", message or waiting or "it is starting")


def service_health(ready_endpoints: int, has_selector: bool, selected_pods: int | None = None) -> Health:
    """`selected_pods`: how many pods the selector finds, None if not known."""
    if not has_selector:
        return Health("Healthy", "it has no selector, so its endpoints are not Pierhead's")
    if ready_endpoints:
        return Health("Healthy", f"{_plural(ready_endpoints, 'endpoint')} ready")
    if selected_pods == 0:
        return Health("Degraded", "its selector finds no pod")
    found = "" if selected_pods is None else f" of {_plural(selected_pods, 'pod')} that it selects"
    return Health("Progressing", f"none{found} is ready" if found else "no endpoint is ready")


def ingress_health(ready_services: int, services: int, problems: Sequence[str] = ()) -> Health:
    """`ready_services` of the `services` that it leads to have a ready endpoint.

    `problems` are sentences about what cannot heal by waiting: a TLS Secret that is missing, a Service that is not
    there. The first is told, the others are counted.
    """
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Health("Degraded", f"{problems[0]}{more}")
    if ready_services < services:
        verb = "has" if services == 1 else "have"
        return Health("Progressing", f"{ready_services} of {_plural(services, 'service')} {verb} a ready endpoint")
    return Health("Healthy", f"{_plural(services, 'service')} with ready endpoints")


def network_policy_health(selected_pods: int) -> Health:
    """A policy holds as soon as it is there, with no pod too: it waits for those to come."""
    return Health("Healthy", f"it selects {_plural(selected_pods, 'pod')}")


def rollup(parts: Iterable[tuple[str, Health]]) -> Health:
    """The worst of `parts` (name such as "Deployment shop/web", health), naming its first cause by name."""
    by_badness = sorted(parts, key=lambda part: (WORST_FIRST.index(part[1].status), part[0]))
    if not by_badness:
        return Health("Healthy", "there is nothing that could be unhealthy")
    name, worst = by_badness[0]
    if worst.status == "Healthy":
        return all_healthy(len(by_badness))
    others = sum(1 for _, one in by_badness if one.status == worst.status) - 1
    more = f" and {others} more" if others else ""
    said = f": {worst.message}" if worst.message else ""
    return Health(worst.status, f"caused by {name}{more}{said}")


def all_healthy(count: int) -> Health:
    """`rollup` of so many that are."""
    return Health("Healthy", f"{_plural(count, 'object')} healthy")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
