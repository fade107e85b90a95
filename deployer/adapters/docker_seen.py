"""The Docker API's JSON -> what was seen. Pure; tolerant of what an older or newer engine leaves out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from deployer.core.container import (
    ContainerDetail,
    ContainerSeen,
    ContainerState,
    EngineEvent,
    EngineInfo,
    Health,
    ImageSeen,
    Subnet,
    VolumeSpec,
)
from deployer.core.usage import Usage

_UNIT_SECONDS = {
    "second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000,
}  # fmt: skip
_UP = re.compile(
    r"Up (?:(Less than a second)|About an? (minute|hour)|(\d+) (second|minute|hour|day|week|month|year)s?)"
)
_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)")
_NO_BRIDGES = ("none", "host")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$")


def container_listed(row: Mapping[str, Any]) -> ContainerSeen:
    """One entry of GET /containers/json."""
    status = row.get("Status", "")
    return ContainerSeen(
        id=row["Id"],
        name=row["Names"][0].lstrip("/") if row.get("Names") else "",
        labels=row.get("Labels") or {},
        state=cast(ContainerState, row["State"]),
        health=health_said(status),
        uptime_seconds=uptime_seconds(status) if row["State"] in ("running", "paused") else None,
        image=row.get("Image", ""),
    )


def container_inspected(found: Mapping[str, Any], host_time: float) -> ContainerSeen:
    """GET /containers/{id}/json; `host_time` (the host's clock, from the answer's Date) gives the uptime."""
    state, config = found["State"], found["Config"]
    detail = _detail(found, state)
    is_up = state["Status"] in ("running", "paused")
    return ContainerSeen(
        id=found["Id"],
        name=found["Name"].lstrip("/"),
        labels=config.get("Labels") or {},
        state=cast(ContainerState, state["Status"]),
        health=_health((state.get("Health") or {}).get("Status", "")) if is_up else "",
        uptime_seconds=max(0.0, host_time - detail.started_at) if is_up else None,
        image=config.get("Image", ""),
        detail=detail,
    )


def health_said(status: str) -> Health:
    """Read "starting" off "Up 5 seconds (health: starting)". Only a container with a health check has one."""
    found = _HEALTH.search(status)
    return _health(found[1]) if found else ""


def uptime_seconds(status: str) -> float | None:
    """Read 180 off "Up 3 minutes (healthy)", None off "Exited (0) 2 hours ago"."""
    found = _UP.match(status)
    if not found:
        return None
    less_than_a_second, about_one, count, unit = found.groups()
    if less_than_a_second:
        return 0.0
    return float(_UNIT_SECONDS[about_one] if about_one else int(count) * _UNIT_SECONDS[unit])


def seconds(timestamp: str) -> float:
    """RFC 3339 with nanoseconds -> seconds since the epoch; 0 for Docker's "never" (year 1) and for nothing."""
    found = _TIME.match(timestamp or "")
    if not found or found[1].startswith("0001-"):
        return 0.0
    zone = "+00:00" if found[3] == "Z" else found[3]
    return datetime.fromisoformat(found[1] + zone).timestamp() + float(found[2] or 0)


def image_seen(found: Mapping[str, Any], *, except_tags: str = "") -> ImageSeen:
    """GET /images/{name}/json, or an entry of GET /images/json (which knows no user).

    Tags that start with `except_tags` are left out.
    """
    tags = (tag for tag in found.get("RepoTags") or () if tag != "<none>:<none>")
    return ImageSeen(
        id=found["Id"],
        tags=tuple(sorted(tag for tag in tags if not (except_tags and tag.startswith(except_tags)))),
        digests=tuple(sorted(d for d in found.get("RepoDigests") or () if not d.startswith("<none>"))),
        user=(found.get("Config") or {}).get("User", ""),
    )


def volume_seen(found: Mapping[str, Any]) -> VolumeSpec:
    options = found.get("Options") or {}
    memory = options.get("type") == "tmpfs"
    size = re.search(r"size=(\d+)", options.get("o", ""))
    return VolumeSpec(found["Name"], found.get("Labels") or {}, memory, int(size[1]) if memory and size else 0)


def networks_seen(found: Mapping[str, Any]) -> dict[str, str]:
    """Network name -> address there: that which it has while it runs, else that which is fixed, else "".

    Docker keeps an endpoint that it failed to make: of what runs, only an address in use counts.
    """
    runs = (found.get("State") or {}).get("Status") in ("running", "paused")
    return {
        name: endpoint.get("IPAddress", "") if runs else (endpoint.get("IPAMConfig") or {}).get("IPv4Address", "")
        for name, endpoint in sorted(_networks(found).items())
        if name not in _NO_BRIDGES
    }


def subnets_seen(network: Mapping[str, Any]) -> list[Subnet]:
    """The IPv4 addresses of a network, from an entry of GET /networks."""
    given = (network.get("IPAM") or {}).get("Config") or ()
    return [
        Subnet(each["Subnet"], each.get("IPRange", ""), each.get("Gateway", ""))
        for each in given
        if "." in each.get("Subnet", "")
    ]


def engine_info(found: Mapping[str, Any]) -> EngineInfo:
    return EngineInfo(
        engine_id=found["ID"],
        name=found.get("Name", ""),
        version=found.get("ServerVersion", ""),
        operating_system=found.get("OperatingSystem", ""),
        architecture=found.get("Architecture", ""),
        cpu_millicores=int(found.get("NCPU", 0)) * 1000,
        memory_bytes=int(found.get("MemTotal", 0)),
        live_restore=bool(found.get("LiveRestoreEnabled", False)),
    )


def usage_seen(found: Mapping[str, Any]) -> Usage | None:
    """GET /containers/{id}/stats; None for a container that does not run.

    The working set is what kubelet and `docker stats` make of it: without inactive file pages, which the first version
    of control groups counts for a container and those below it as `total_inactive_file`.
    """
    cpu, memory = found.get("cpu_stats") or {}, found.get("memory_stats") or {}
    at, counted = seconds(found.get("read", "")), cpu.get("cpu_usage") or {}
    used, total = int(memory.get("usage") or 0), int(counted.get("total_usage") or 0)
    if not at or not (used or total):
        return None
    pages = memory.get("stats") or {}
    inactive = int(pages.get("total_inactive_file", pages.get("inactive_file", 0)))
    return Usage(
        at=at,
        cpu_nanoseconds=total,
        memory_bytes=max(0, used - inactive),
        memory_limit_bytes=int(memory.get("limit") or 0),
        cpus=int(cpu.get("online_cpus") or len(counted.get("percpu_usage") or ())),
    )


def event_seen(found: Mapping[str, Any]) -> EngineEvent:
    """The labels are among the attributes, beside image, name and exitCode."""
    actor = found.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    exit_code = attributes.get("exitCode")
    return EngineEvent(
        action=found.get("Action", ""),
        container_id=actor.get("ID", ""),
        labels={name: value for name, value in attributes.items() if name not in ("image", "name", "exitCode")},
        at=found["timeNano"] / 1e9,
        exit_code=int(exit_code) if exit_code is not None else None,
    )


def _detail(found: Mapping[str, Any], state: Mapping[str, Any]) -> ContainerDetail:
    networks = _networks(found)
    addresses = (network.get("IPAddress", "") for _, network in sorted(networks.items()))
    return ContainerDetail(
        exit_code=int(state.get("ExitCode", 0)),
        oom_killed=bool(state.get("OOMKilled", False)),
        restart_count=int(found.get("RestartCount", 0)),
        started_at=seconds(state.get("StartedAt", "")),
        finished_at=seconds(state.get("FinishedAt", "")),
        error=state.get("Error", ""),
        ip=next((address for address in addresses if address), ""),
        image_id=found.get("Image", ""),
        networks=networks_seen(found),
    )


def _networks(found: Mapping[str, Any]) -> Mapping[str, Any]:
    networks: Mapping[str, Any] = (found.get("NetworkSettings") or {}).get("Networks") or {}
    return networks


def _health(word: str) -> Health:
    return cast(Health, word) if word in ("starting", "healthy", "unhealthy") else ""
