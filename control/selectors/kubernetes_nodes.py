"""Nodes as Kubernetes v1 Node: a registered Docker host, with what was measured and nothing invented."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from control.models import Node, Router
from control.selectors.metadata import plain_metadata
from deployer.core.objects.quantity import format_cpu
from deployer.core.pod_status import iso_time
from deployer.core.survival.states import READY
from deployer.core.taint import TIME_ADDED, UNREACHABLE, added_at

CORDON_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
UNREACHABLE_TAINT = {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}


def nodes(rows: Sequence[Node], _now: float) -> list[dict[str, Any]]:
    return [
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": plain_metadata(
                row,
                labels={"kubernetes.io/hostname": row.name, **row.labels},
                annotations={**row.annotations, **notes(row)},
                resourceVersion=str(row.resource_version),
            ),
            "spec": _spec(row),
            "status": _status(row),
        }
        for row in rows
    ]


def notes(row: Node) -> dict[str, str]:
    found = {
        "pierhead.io/address": row.address,
        "pierhead.io/simulated": "true" if row.is_simulated else "",
        "pierhead.io/draining": "true" if row.draining else "",
    }
    return {name: value for name, value in found.items() if value}


def node_state(row: Node) -> str:
    """The STATUS column of `get nodes`."""
    words = ["Ready" if row.ready else "NotReady"]
    words += [row.reason] if row.reason not in ("", READY) else []
    words += ["SchedulingDisabled"] if row.cordoned else []
    words += ["Draining"] if row.draining else []
    words += ["Simulated"] if row.is_simulated else []
    return ",".join(words)


def allocatable(row: Node) -> tuple[int, int]:
    """(cpu_millicores, memory_bytes) that pods may request together: what the scheduler counts with."""
    from deployer.core.scheduling.reserve import allocatable as remaining

    left = remaining(row.cpu_millicores, row.memory_bytes)
    return left.cpu_millicores, left.memory_bytes


def engine(row: Node) -> str:
    """What runs the containers, as nodes' containerRuntimeVersion is written."""
    return "simulated" if row.is_simulated else f"docker://{row.engine_version}"


def conditions(row: Node) -> list[dict[str, Any]]:
    """Ready, as the heartbeat concluded, and RouterReady. "Unknown" is Kubernetes' third value: we do not hear it."""
    status = "True" if row.ready else "Unknown" if row.reason else "False"
    made = {
        "type": "Ready",
        "status": status,
        "reason": row.reason or "NeverSeen",
        "message": held(row),
        "lastHeartbeatTime": iso_time(row.heartbeat_at) if row.heartbeat_at else None,
        "lastTransitionTime": iso_time(row.reason_changed_at),
    }
    found = [made, _router_ready(row, router)] if (router := router_of(row)) else [made]
    return [{name: value for name, value in one.items() if value} for one in found]


def held(row: Node) -> str:
    """What is known of it, and of a dead one why its pods are not replaced."""
    return f"{row.message}; its pods are not replaced yet: {row.held}" if row.held else row.message


def router_of(row: Node) -> Router | None:
    """What is known of the node's router; None before its first pass."""
    found: Router | None = getattr(row, "router", None)
    return found


def router_state(row: Node) -> str:
    """The ROUTER column: "Ready", a reason, "Unknown" where nobody can look, "" before it was made."""
    router = router_of(row)
    if router is None or (not router.ready and not router.reason):
        return ""
    if not row.ready:
        return "Unknown"
    return "Ready" if router.ready else router.reason


def _router_ready(row: Node, router: Router) -> dict[str, Any]:
    return {
        "type": "RouterReady",
        "status": "Unknown" if not row.ready else "True" if router.ready else "False",
        "reason": router.reason or "NotMadeYet",
        "message": router.message,
        "lastTransitionTime": iso_time(router.changed_at),
    }


def _spec(row: Node) -> dict[str, Any]:
    taints = [_taint(taint) for taint in row.taints]
    taints += [CORDON_TAINT] if row.cordoned else []
    taints += [] if row.ready else [UNREACHABLE_TAINT]
    taints += [_evicting_taint(row.evicting_at)] if row.evicting_at else []
    made = {"providerID": f"docker://{row.engine_id}", "unschedulable": row.cordoned, "taints": taints}
    return {name: value for name, value in made.items() if value}


def _taint(recorded: Mapping[str, str]) -> dict[str, str]:
    """As Kubernetes writes it, which knows whole seconds."""
    added = added_at(recorded)
    made = {**recorded, TIME_ADDED: iso_time(added) if added else ""}
    return {name: value for name, value in made.items() if value}


def _evicting_taint(since: float) -> dict[str, str]:
    return {"key": UNREACHABLE.key, "effect": UNREACHABLE.effect, TIME_ADDED: iso_time(since)}


def _status(row: Node) -> dict[str, Any]:
    cpu, memory = allocatable(row)
    return {
        "capacity": _resources(row.cpu_millicores, row.memory_bytes),
        "allocatable": _resources(cpu, memory),
        "conditions": conditions(row),
        "addresses": _addresses(row),
        "nodeInfo": {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(row.architecture, row.architecture),
            "operatingSystem": "linux",
            "osImage": row.operating_system,
            "containerRuntimeVersion": engine(row),
            "machineID": row.engine_id,
            # Required by Kubernetes' schema; a Docker engine does not tell them, and we do not make them up.
            "systemUUID": "", "bootID": "", "kernelVersion": "", "kubeletVersion": "", "kubeProxyVersion": "",
        },
        "images": [{"names": [name]} for name in sorted(set(row.images.values()))],
    }  # fmt: skip


def _resources(cpu_millicores: int, memory_bytes: int) -> dict[str, str]:
    return {"cpu": format_cpu(cpu_millicores), "memory": f"{memory_bytes // 1024}Ki"}


def _addresses(row: Node) -> list[dict[str, str]]:
    found = [{"type": "Hostname", "address": row.name}]
    host = urlsplit(row.address).hostname if row.address.startswith(("tcp://", "ssh://")) else None
    if host:
        found.append({"type": "InternalIP" if _is_ip(host) else "InternalDNS", "address": host})
    return found


def address_of(row: Node) -> tuple[str, str]:
    """("ip", "10.0.0.5") or ("hostname", "n1.example.com"): where what it opens is reached from outside."""
    host = row.host or row.name
    return ("ip" if _is_ip(host) else "hostname", host)


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
