"""ContainerSpec -> the Docker API's JSON. Exactly the fields of the spec are sent, and a few that are always the same:

- logs are kept as json-file of three times 10 MB, whatever the engine's default: a chatty container fills no disk,
  and `logs` can always read them;
- no swap beyond the memory limit, as in Kubernetes;
- an image's own HEALTHCHECK is off unless the spec has one: Kubernetes ignores it, and it costs a process every 30 s;
- a volume is not filled from the image (Kubernetes' volumes start empty), and a host path is never created.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any

from deployer.core.container import (
    LABEL_CLUSTER,
    ContainerSpec,
    FileEntry,
    HealthCheck,
    Mount,
    PublishedPort,
    Subnet,
    VolumeSpec,
)

_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
_NO_NETWORK = "none"


def create_body(spec: ContainerSpec, cluster_id: str) -> dict[str, Any]:
    """The body of POST /containers/create. The cluster's label is always there."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": {**spec.labels, LABEL_CLUSTER: cluster_id},
        "Env": [f"{name}={value}" for name, value in spec.env],
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Hostname": spec.hostname,
        "StopTimeout": spec.stop_grace_seconds,
        "OpenStdin": spec.stdin,
        "Tty": spec.tty,
        "Healthcheck": _health(spec.health) if spec.health else {"Test": ["NONE"]},
        "ExposedPorts": {_port_key(port): {} for port in spec.ports},
        "HostConfig": _host_config(spec),
    }
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.command is not None:
        body["Cmd"] = list(spec.command)
    if spec.address:
        endpoint = {"IPAMConfig": {"IPv4Address": spec.address}}
        body["NetworkingConfig"] = {"EndpointsConfig": {spec.network: endpoint}}
    return body


def volume_body(spec: VolumeSpec, cluster_id: str) -> dict[str, Any]:
    body: dict[str, Any] = {"Name": spec.name, "Driver": "local", "Labels": {**spec.labels, LABEL_CLUSTER: cluster_id}}
    if spec.memory:
        size = {"o": f"size={spec.size_bytes}"} if spec.size_bytes else {}
        body["DriverOpts"] = {"type": "tmpfs", "device": "tmpfs", **size}
    return body


def network_body(name: str, labels: Mapping[str, str], cluster_id: str, subnet: Subnet | None = None) -> dict[str, Any]:
    body: dict[str, Any] = {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Labels": {**labels, LABEL_CLUSTER: cluster_id},
    }
    if subnet is not None:
        addresses = {"Subnet": subnet.range, "IPRange": subnet.pods, "Gateway": subnet.gateway}
        body["IPAM"] = {"Driver": "default", "Config": [addresses]}
    return body


def holder_body(image: str, volume: str, label: str, cluster_id: str) -> dict[str, Any]:
    """A container that is never started: through it files are put into a volume."""
    mount = {"Type": "volume", "Source": volume, "Target": "/volume", "VolumeOptions": {"NoCopy": True}}
    host = {"NetworkMode": _NO_NETWORK, "Mounts": [mount]}
    return {"Image": image, "Labels": {label: cluster_id}, "HostConfig": host}


def archive(files: Sequence[FileEntry]) -> bytes:
    """A tar of `files` for PUT .../archive: exact modes and owners, no times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/"))
            entry.mode, entry.uid, entry.gid = file.mode, file.uid, file.gid
            entry.type = tarfile.DIRTYPE if file.is_folder else tarfile.REGTYPE
            entry.size = 0 if file.is_folder else len(file.data)
            tar.addfile(entry, io.BytesIO(file.data))
    return buffer.getvalue()


def _host_config(spec: ContainerSpec) -> dict[str, Any]:
    return {
        "NetworkMode": spec.network or _NO_NETWORK,
        "RestartPolicy": {"Name": spec.restart},
        "LogConfig": _LOGS,
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "PortBindings": _port_bindings(spec.ports),
        "ExtraHosts": [f"{name}:{ip}" for name, ip in spec.extra_hosts],
        "Dns": list(spec.dns),
        "DnsSearch": list(spec.dns_search),
        **_limits(spec),
        **_security(spec),
    }


def _limits(spec: ContainerSpec) -> dict[str, Any]:
    """Docker takes 0 as "no limit" for each of these. CPU: 250 millicores are 250,000,000 NanoCpus."""
    files = spec.open_files
    return {
        "Memory": spec.memory_bytes,
        "MemorySwap": spec.memory_bytes,
        "MemoryReservation": spec.memory_reservation_bytes,
        "NanoCpus": spec.cpu_millicores * 1_000_000,
        "CpuShares": spec.cpu_shares,
        "Ulimits": [{"Name": "nofile", "Soft": files, "Hard": files}] if files else [],
    }


def _security(spec: ContainerSpec) -> dict[str, Any]:
    options = ["no-new-privileges"] if spec.no_new_privileges else []
    if spec.seccomp_unconfined:
        options.append("seccomp=unconfined")
    return {
        "Privileged": spec.privileged,
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "GroupAdd": list(spec.group_add),
        "ReadonlyRootfs": spec.read_only_root,
        "SecurityOpt": options,
        "Sysctls": dict(spec.sysctls),
        "PidMode": "host" if spec.pid_host else "",
    }


def _mount(mount: Mount) -> dict[str, Any]:
    rendered = {"Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.is_host_path:
        return {"Type": "bind", **rendered}
    return {"Type": "volume", **rendered, "VolumeOptions": {"NoCopy": True}}


def _port_bindings(ports: Sequence[PublishedPort]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        bindings.setdefault(_port_key(port), []).append(binding)
    return bindings


def _port_key(port: PublishedPort) -> str:
    return f"{port.container_port}/{port.protocol}"


def _health(check: HealthCheck) -> dict[str, Any]:
    return {
        "Test": ["CMD", *check.command],
        "Interval": _nanoseconds(check.interval_seconds),
        "Timeout": _nanoseconds(check.timeout_seconds),
        "Retries": check.retries,
        "StartPeriod": _nanoseconds(check.start_period_seconds),
    }


def _nanoseconds(seconds: float) -> int:
    return min(round(seconds * 1e9), 2**63 - 1)  # Go's time.Duration: 292 years
