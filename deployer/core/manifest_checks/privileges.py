"""What reaches beyond the container: refused unless an operator has allowed the pod's namespace exactly that.

A manifest cannot grant itself anything: allowances come from `manage.py namespace allow`, and from nowhere else.
The capabilities free to everyone are those of the Pod Security Standards' baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.pod import ContainerSecurityContext, PodSpec, SeccompProfile, Volume

BASELINE_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
CAPABILITIES = BASELINE_CAPABILITIES | {
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "IPC_LOCK",
    "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "NET_ADMIN", "NET_BROADCAST", "NET_RAW",
    "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
}  # fmt: skip
_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")


@dataclass(frozen=True, slots=True)
class Rights:
    """What the operators allow a namespace: `privileged`, `host-path`, `host-network`, `capabilities`."""

    namespace: str
    allowances: frozenset[str] = frozenset()

    def refuse(self, path: Path, what: str, allowance: str) -> Iterator[Finding]:
        if allowance not in self.allowances:
            remedy = f"remove it; or an operator allows it: manage.py namespace allow {self.namespace} {allowance}"
            yield Finding(path, f"{what} is not allowed in namespace {self.namespace}", remedy)


def of_pod(spec: PodSpec, path: Path, rights: Rights) -> Iterator[Finding]:
    if spec.host_network:
        yield from rights.refuse((*path, "hostNetwork"), "the host's network", "host-network")
    if spec.host_pid:
        yield from rights.refuse((*path, "hostPID"), "seeing the host's processes", "privileged")
    yield from _seccomp(spec.security_context.seccomp_profile, (*path, "securityContext", "seccompProfile"), rights)
    for index, volume in enumerate(spec.volumes):
        yield from _host_path(volume, (*path, "volumes", index, "hostPath"), rights)


def of_container(context: ContainerSecurityContext, path: Path, rights: Rights) -> Iterator[Finding]:
    if context.privileged:
        yield from rights.refuse((*path, "privileged"), "a privileged container", "privileged")
        if context.allow_privilege_escalation is False:
            message = "cannot be false for a privileged container"
            yield Finding((*path, "allowPrivilegeEscalation"), message, "remove one of the two")
    yield from _seccomp(context.seccomp_profile, (*path, "seccompProfile"), rights)
    for field, names in (("add", context.capabilities.add), ("drop", context.capabilities.drop)):
        for index, name in enumerate(names):
            place = (*path, "capabilities", field, index)
            if name not in CAPABILITIES:
                remedy = "write it as Kubernetes does, such as NET_ADMIN (capital letters, no CAP_)"
                yield Finding(place, f'"{shown(name)}" is not a capability', remedy)
            elif field == "add" and name not in BASELINE_CAPABILITIES and "privileged" not in rights.allowances:
                yield from rights.refuse(place, f"the capability {name}", "capabilities")


def _seccomp(profile: SeccompProfile | None, path: Path, rights: Rights) -> Iterator[Finding]:
    if profile is not None and profile.type == "Unconfined":
        yield from rights.refuse((*path, "type"), "running without a seccomp profile", "privileged")


def _host_path(volume: Volume, path: Path, rights: Rights) -> Iterator[Finding]:
    if volume.host_path is None:
        return
    wanted = volume.host_path.path
    socket = holds_docker_socket(wanted)
    what = f"{shown(wanted)} of the host"
    if socket:
        what += ", which holds Docker's socket (docker.sock: whoever has it is root on the host),"
    refused = list(rights.refuse(path, what, "host-path"))
    yield from refused
    if socket and not refused:
        message = f"{shown(wanted)} holds Docker's socket (docker.sock): whoever has it is root on the host"
        yield Finding(path, message, "mount something else if that is not meant", is_warning=True)


def holds_docker_socket(path: str) -> bool:
    """Whether Docker's socket is at this path of the host, or below it."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return any(socket.split("/")[1 : len(parts) + 1] == parts for socket in _SOCKETS)
