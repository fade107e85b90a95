"""What is wrong with a Service, in sentences: for `describe` and for its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from control.models import Pod
from control.selectors.endpoints import PodEndpoint, ServiceEndpoints, nearest_pods
from control.selectors.openings import Openings
from control.selectors.pods import why_waiting
from control.selectors.routers import Routers

CARRIED = {
    "http": "HTTP/1.1 and websockets",
    "h2": "HTTP/2 without TLS, gRPC",
    "tcp": "TCP, as it is",
}
WHY = {
    "appProtocol": "by its appProtocol",
    "port name": "by its name",
    "number": "by its number",
    "default": "nothing says otherwise",
}
"""Why a port is carried as it is, by `endpoints.why_mode`."""


def service_problems(one: ServiceEndpoints, opened: Openings | None, told: Routers) -> Iterator[str]:
    service = one.service
    if one.has_selector and not one.pods:
        yield from _no_pod(one)
    if not one.address and service.spec.type != "ExternalName":
        yield "it has no virtual address yet: no pod of its namespace has run, or no router was configured since"
    own = opened.problems.get(service.uid, ()) if opened else ()
    yield from own
    said = told.problems_about("Service", service.namespace, service.name)
    yield from (sentence for sentence in said if not sentence.startswith(own))
    yield from told.in_trouble()


def why_not(one: PodEndpoint) -> str:
    """What the router says of an endpoint that gets no traffic, and what its pod waits for."""
    if one.pod.node is not None and not one.pod.node.ready:
        return f"node {one.pod.node.name} does not answer"
    return ": ".join(part for part in (one.reason, why_waiting(one.pod)) if part)


def selector_text(selector: Mapping[str, object]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))


def _no_pod(one: ServiceEndpoints) -> Iterator[str]:
    """Which label is missing, with the pods that lack least."""
    wanted = selector_text(one.service.spec.selector)
    pods = list(Pod.objects.filter(namespace=one.service.namespace, deleted_at=None).order_by("name"))
    there = "there are no pods in its namespace" if not pods else f"none of the {len(pods)} pods there has these labels"
    yield f"its selector {wanted} finds no pod: {there}"
    yield from nearest_pods(one, pods)
