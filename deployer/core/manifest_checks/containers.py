"""Containers: image, resources, ports, probes, hooks and rights (Kubernetes: core/validation, validateContainer)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from deployer.core.container import PAUSE_CONTAINER
from deployer.core.manifest_checks import environment, names, privileges, probes, volumes
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.manifest_checks.privileges import Rights
from deployer.core.objects.pod import Container, LifecycleHandler, PodSpec
from deployer.core.objects.quantity import cpu_millicores, memory_bytes

_AMOUNTS: Mapping[str, Callable[[str], int]] = {"cpu": cpu_millicores, "memory": memory_bytes}
_REFUSED_RESOURCES = {"ephemeral-storage": "Docker does not measure it: remove it"}
_DIVISIONS = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9](?:[-A-Za-z0-9.]*[A-Za-z0-9])?(?::[0-9]{1,5})?/|\[[0-9A-Fa-f:]+\](?::[0-9]{1,5})?/)?"
    rf"{_DIVISIONS}(?:/{_DIVISIONS})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?"
)
_LONGEST_IMAGE = 512


def container(found: Container, path: Path, spec: PodSpec, rights: Rights, *, is_init: bool) -> Iterator[Finding]:
    yield from _identity(found, path)
    yield from _resources(found, path)
    yield from _ports(found, path)
    yield from environment.environment(found, path)
    yield from volumes.mounts(found, spec, path)
    yield from probes.probes(found, path)
    yield from _lifecycle(found, spec, path)
    yield from _role(found, path, is_init=is_init)
    yield from _user(found, spec, path)
    yield from privileges.of_container(found.security_context, (*path, "securityContext"), rights)


def _identity(found: Container, path: Path) -> Iterator[Finding]:
    yield from names.dns_label(found.name, (*path, "name"))
    if found.name == PAUSE_CONTAINER:
        message = f'"{PAUSE_CONTAINER}" is the container that holds a pod\'s network'
        yield Finding((*path, "name"), message, "choose another name")
    if len(found.image) > _LONGEST_IMAGE or not _IMAGE.fullmatch(found.image):
        remedy = "write [registry/]name[:tag][@digest], with a lower-case name"
        yield Finding((*path, "image"), f'"{shown(found.image)}" is not an image reference', remedy)
    if found.working_dir and not found.working_dir.startswith("/"):
        yield Finding((*path, "workingDir"), "must be an absolute path", "start it with '/'")


def _resources(found: Container, path: Path) -> Iterator[Finding]:
    place = (*path, "resources")
    limits, requests = found.resources.limits, found.resources.requests
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            yield from _amount(name, text, (*place, field, name))
    for name, read in _AMOUNTS.items():
        try:
            exceeded = name in limits and name in requests and read(requests[name]) > read(limits[name])
        except ValueError:
            continue  # told above
        if exceeded:
            message = f"{requests[name]} is more than the limit of {limits[name]}"
            yield Finding((*place, "requests", name), message, "lower the request or raise the limit")


def _amount(name: str, text: str, path: Path) -> Iterator[Finding]:
    if name not in _AMOUNTS:
        remedy = _REFUSED_RESOURCES.get(name, "Pierhead counts cpu and memory: remove it")
        yield Finding(path, "is not supported", remedy)
        return
    try:
        _AMOUNTS[name](text)
    except ValueError as error:
        yield Finding(path, *_split(str(error)))


def _split(sentence: str) -> tuple[str, str]:
    """A quantity's sentence is `"x" is not a quantity: write ...`."""
    message, _, remedy = sentence.rpartition(": ")
    return message, remedy


def _ports(found: Container, path: Path) -> Iterator[Finding]:
    place = (*path, "ports")
    for index, port in enumerate(found.ports):
        if port.name:
            yield from names.port_name(port.name, (*place, index, "name"))
        if port.host_ip and port.host_port is None:
            yield Finding((*place, index, "hostIP"), "is for a hostPort", "write a hostPort, or remove it")
        elif port.host_ip and not re.fullmatch(r"[0-9a-fA-F.:]+", port.host_ip):
            yield Finding((*place, index, "hostIP"), "is not an IP address", "write one such as 10.0.0.7")
    yield from names.unique(((one.name, (*place, n, "name")) for n, one in enumerate(found.ports)), "ports")


def _lifecycle(found: Container, spec: PodSpec, path: Path) -> Iterator[Finding]:
    hooks = {"postStart": found.lifecycle.post_start, "preStop": found.lifecycle.pre_stop}
    for name, hook in hooks.items():
        if hook is not None:
            yield from _hook(hook, (*path, "lifecycle", name), spec.termination_grace_period_seconds)


def _hook(hook: LifecycleHandler, path: Path, grace_seconds: int) -> Iterator[Finding]:
    if (hook.exec is None) == (hook.sleep is None):
        yield Finding(path, "needs exactly one of exec and sleep", "write one of them")
    if hook.exec is not None and not hook.exec.command:
        yield Finding((*path, "exec", "command"), "must not be empty", "write the program and its arguments as a list")
    if hook.sleep is not None and hook.sleep.seconds > grace_seconds:
        message = f"must be at most terminationGracePeriodSeconds ({grace_seconds})"
        yield Finding((*path, "sleep", "seconds"), message, "sleep shorter, or raise the grace period")


def _role(found: Container, path: Path, *, is_init: bool) -> Iterator[Finding]:
    """Probes and hooks are for what keeps running: containers, and init containers with restartPolicy: Always."""
    if not is_init:
        if found.restart_policy is not None:
            remedy = "move it to initContainers if it is a sidecar, or remove it"
            yield Finding((*path, "restartPolicy"), "is for initContainers only", remedy)
        return
    if found.is_sidecar:
        return
    parts = {
        "livenessProbe": found.liveness_probe,
        "readinessProbe": found.readiness_probe,
        "startupProbe": found.startup_probe,
        "lifecycle": found.lifecycle.post_start or found.lifecycle.pre_stop,
    }
    for name, part in parts.items():
        if part is not None:
            remedy = "remove it, or write restartPolicy: Always if it is a sidecar"
            yield Finding((*path, name), "is not for init containers that end", remedy)


def _user(found: Container, spec: PodSpec, path: Path) -> Iterator[Finding]:
    own, pod = found.security_context, spec.security_context
    non_root = pod.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
    user = pod.run_as_user if own.run_as_user is None else own.run_as_user
    if non_root and user == 0:
        message = "runAsNonRoot and runAsUser 0 contradict each other"
        yield Finding((*path, "securityContext", "runAsNonRoot"), message, "change one of them")
