"""Variables and references: env, envFrom, fieldRef, resourceFieldRef (Kubernetes: core/validation, validateEnv)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from deployer.core.manifest_checks import names
from deployer.core.manifest_checks.finding import Finding, Path, shown
from deployer.core.objects.pod import Container, EnvFromSource, EnvVar, ObjectFieldSelector, ResourceFieldSelector

ENVIRONMENT_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['KEY']", "metadata.annotations['KEY']",
    "spec.nodeName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations",
    "metadata.labels['KEY']", "metadata.annotations['KEY']",
)  # fmt: skip
RESOURCES = ("limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
_DIVISORS = {
    "cpu": ("0", "1", "1m"),
    "memory": ("0", "1", *(f"1{unit}" for unit in "kMGTPE"), *(f"1{unit}i" for unit in "KMGTPE")),
}
_KEY = re.compile(r"(metadata\.(?:labels|annotations))\['[^']+'\]")


def environment(found: Container, path: Path) -> Iterator[Finding]:
    for index, variable in enumerate(found.env):
        yield from _variable(variable, (*path, "env", index), found)
    yield from names.unique(((one.name, (*path, "env", n, "name")) for n, one in enumerate(found.env)), "variables")
    for index, block in enumerate(found.env_from):
        yield from _block(block, (*path, "envFrom", index))


def field_reference(found: ObjectFieldSelector, path: Path, allowed: Sequence[str]) -> Iterator[Finding]:
    wanted = _KEY.sub(r"\1['KEY']", found.field_path)
    if wanted not in allowed:
        if wanted == "spec.serviceAccountName":
            remedy = "there are no service accounts here: remove it"
        else:
            remedy = f"use one of {', '.join(allowed)}"
        yield Finding((*path, "fieldPath"), f'"{shown(found.field_path)}" is not supported', remedy)
    if found.api_version != "v1":
        yield Finding((*path, "apiVersion"), "must be v1", "leave it out")


def resource_reference(
    found: ResourceFieldSelector, path: Path, containers: Sequence[Container], *, named: bool
) -> Iterator[Finding]:
    """`named`: in a volume, which belongs to no container, containerName is required."""
    if found.resource not in RESOURCES:
        message = f'"{shown(found.resource)}" is not supported'
        yield Finding((*path, "resource"), message, f"use one of {', '.join(RESOURCES)}")
        return
    if named and not found.container_name:
        yield Finding((*path, "containerName"), "is required in a volume", "name the container that is meant")
        return
    holder = next((one for one in containers if not found.container_name or one.name == found.container_name), None)
    if holder is None:
        message = f'there is no container "{shown(found.container_name)}"'
        yield Finding((*path, "containerName"), message, "mend the name")
        return
    kind, _, name = found.resource.partition(".")
    amounts = {**holder.resources.limits, **(holder.resources.requests if kind == "requests" else {})}
    if name not in amounts:
        yield Finding((*path, "resource"), f"container {holder.name} sets no {found.resource}", "set one")
    if found.divisor not in _DIVISORS[name]:
        message = f'"{shown(found.divisor)}" is not a divisor of {name}'
        yield Finding((*path, "divisor"), message, f"use one of {', '.join(_DIVISORS[name][1:])}")


def exactly_one(count: int, path: Path, choices: str) -> Iterator[Finding]:
    if count != 1:
        word = "none" if count == 0 else str(count)
        yield Finding(path, f"needs exactly one source, and has {word}", f"write one of {choices}")


def _variable(variable: EnvVar, path: Path, found: Container) -> Iterator[Finding]:
    yield from names.environment_name(variable.name, (*path, "name"))
    source = variable.value_from
    if source is None:
        return
    place = (*path, "valueFrom")
    if variable.value:
        yield Finding(place, "stands beside value", "write one of the two")
    parts = (source.field_ref, source.resource_field_ref, source.config_map_key_ref, source.secret_key_ref)
    choices = "fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef"
    yield from exactly_one(sum(part is not None for part in parts), place, choices)
    if source.field_ref is not None:
        yield from field_reference(source.field_ref, (*place, "fieldRef"), ENVIRONMENT_FIELDS)
    if source.resource_field_ref is not None:
        everyone = (found,)
        yield from resource_reference(source.resource_field_ref, (*place, "resourceFieldRef"), everyone, named=False)
    keys = (("configMapKeyRef", source.config_map_key_ref), ("secretKeyRef", source.secret_key_ref))
    for name, reference in keys:
        if reference is not None:
            yield from names.dns_subdomain(reference.name, (*place, name, "name"))
            yield from names.config_key(reference.key, (*place, name, "key"))


def _block(block: EnvFromSource, path: Path) -> Iterator[Finding]:
    references = (("configMapRef", block.config_map_ref), ("secretRef", block.secret_ref))
    yield from exactly_one(sum(one is not None for _, one in references), path, "configMapRef, secretRef")
    if block.prefix:
        yield from names.environment_name(block.prefix, (*path, "prefix"))
    for name, reference in references:
        if reference is not None:
            yield from names.dns_subdomain(reference.name, (*path, name, "name"))
