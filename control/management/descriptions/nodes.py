"""`describe node`: its router, capacity, what its pods request, the pods, and those that were found running."""

from __future__ import annotations

from control.management.descriptions import parts
from control.management.output import age, fields, size, table
from control.models import Node, Pod
from control.models.nodes import MESH_ADDRESS
from control.selectors import draining, evictions, kubernetes_nodes
from control.selectors.pods import pod_words
from deployer.core.objects.quantity import format_cpu
from deployer.core.taint import added_at, taint_of


def describe_node(row: Node, now: float) -> str:
    pods = list(Pod.objects.filter(node=row).select_related("node").order_by("namespace", "name"))
    text = fields(
        [
            ("Name", row.name),
            ("Address", row.address),
            ("Created", parts.time_of(row.created_at, now)),
            ("Status", kubernetes_nodes.node_state(row)),
            ("Labels", parts.pairs(row.labels)),
            ("Annotations", parts.pairs(row.annotations)),
            ("Taints", "\n".join(_taint(one, now) for one in row.taints)),
            ("Unschedulable", "yes, it is cordoned" if row.cordoned else "no"),
            *([("Draining", draining.left_words(pods))] if row.draining else []),
            ("Engine", kubernetes_nodes.engine(row)),
            ("System", f"{row.operating_system} ({row.architecture})".strip()),
            ("Last Heartbeat", parts.time_of(row.heartbeat_at, now)),
            ("Last Read", parts.time_of(row.observed_at, now)),
        ]
    )
    text += parts.conditions(kubernetes_nodes.conditions(row))
    text += _witnesses(row, now)
    text += _router(row, now)
    text += _evictions(row, now)
    text += parts.section("Resources", _resources(row, pods))
    text += parts.section(f"Pods ({len(pods)} in total)", _pods(pods, now))
    orphans = [pod for pod in pods if pod.orphaned]
    if orphans:
        text += parts.section(
            "Found Running, Not Known Yet",
            "".join(f"  {pod.namespace}/{pod.name} ({pod.claimed_owner or 'no owner'})\n" for pod in orphans),
        )
    return text + parts.events("Node", "", row.name, now)


def _witnesses(row: Node, now: float) -> str:
    """Of a host that does not answer: what its peers say, and what becomes of its pods."""
    if row.ready:
        return ""
    evicting = parts.time_of(row.evicting_at, now)
    facts = [
        *((peer, "sees it" if sees else "does not see it") for peer, sees in sorted(row.witnesses.items())),
        *([("Declared Dead By", row.declared_dead_by)] if row.declared_dead_by else []),
        ("Pods", f"replaced elsewhere since {evicting}" if evicting else "left as they are"),
    ]
    return parts.section("Witnesses", fields(facts, indent=2))


def _router(row: Node, now: float) -> str:
    router = kubernetes_nodes.router_of(row)
    if router is None:
        return parts.section("Router", "")
    said = f"{kubernetes_nodes.router_state(row) or 'not made yet'}"
    facts = [
        ("State", f"{said}: {router.message}" if router.message else said),
        ("Since", parts.time_of(router.changed_at, now)),
        ("Configured", parts.time_of(router.applied_at, now) or "never"),
        *([("Failures", f"{router.failures} in a row")] if router.failures else []),
        ("Reached At", row.annotations.get(MESH_ADDRESS) or row.host),
        ("Problems", "\n".join(map(str, router.problems))),
    ]
    return parts.section("Router", fields(facts, indent=2))


def _taint(taint: dict[str, str], now: float) -> str:
    since = parts.time_of(added_at(taint), now)
    return f"{taint_of(taint)}{f' since {since}' if since else ''}"


def _evictions(row: Node, now: float) -> str:
    if (found := evictions.evictions(row, now)) is None:
        return ""
    lines = [(one.pod.namespace, one.pod.name, "now" if one.at <= now else f"in {age(one.at - now)}", one.why)
             for one in (*found.due, *found.later)]  # fmt: skip
    return parts.section("Evictions", parts.inset(table(("Namespace", "Name", "When", "Why"), lines))) if lines else ""


def _resources(row: Node, pods: list[Pod]) -> str:
    """Capacity, what pods may request together, and what they do request."""
    cpu, memory = kubernetes_nodes.allocatable(row)
    asked_cpu = sum(pod.placement.get("cpu", 0) for pod in pods)
    asked_memory = sum(pod.placement.get("memory", 0) for pod in pods)
    lines = [
        ("cpu", format_cpu(row.cpu_millicores), format_cpu(cpu), f"{format_cpu(asked_cpu)} ({_share(asked_cpu, cpu)})"),
        ("memory", size(row.memory_bytes), size(memory), f"{size(asked_memory)} ({_share(asked_memory, memory)})"),
    ]
    return parts.inset(table(("Resource", "Capacity", "Allocatable", "Requested"), lines))


def _share(part: int, whole: int) -> str:
    return f"{part * 100 // whole}%" if whole else "0%"


def _pods(pods: list[Pod], now: float) -> str:
    lines = [
        (
            pod.namespace, pod.name, format_cpu(pod.placement.get("cpu", 0)), size(pod.placement.get("memory", 0)),
            pod_words(pod).status, age(now - pod.created_at),
        )
        for pod in pods
    ]  # fmt: skip
    header = ("Namespace", "Name", "CPU Requests", "Memory Requests", "Status", "Age")
    return parts.inset(table(header, lines)) if lines else ""
