"""A container's environment, and the text that refers to it: env, envFrom, fieldRef, resourceFieldRef, $(VAR).

The rules are Kubernetes' (API reference, core/v1 Container and EnvVar): envFrom first, in order, then env, the later
one winning; `$(NAME)` in a literal value sees what stands before it, in command and args it sees everything;
`$$` is a dollar sign; what cannot be resolved stays as written. Values that come from an object are never expanded.

Nothing here says what a value is: sentences name the object, the key and the field, never the content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deployer.core.objects.pod import (
    Container,
    EnvFromSource,
    EnvSource,
    EnvVar,
    KeySelector,
    ObjectFieldSelector,
    ResourceFieldSelector,
)
from deployer.core.objects.quantity import cpu_millicores, memory_bytes
from deployer.core.pod_desired import PodDesired

# Kubernetes' IsEnvVarName.
_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_MAP_FIELD = re.compile(r"metadata\.(labels|annotations)\['(?P<key>[^']+)'\]")
_POD_IP_FIELDS = frozenset({"status.podIP", "status.podIPs"})


class ConfigProblem(Exception):
    """A container cannot be made as things stand: CreateContainerConfigError. `sentence` names object and field."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Environment:
    """`variables` in the order of their first mention. `skipped`: sentences about names that cannot be variables."""

    variables: Mapping[str, str] = field(repr=False)
    skipped: tuple[str, ...] = ()


def environment(desired: PodDesired, container: Container, pod_ip: str) -> Environment:
    """The variables of a container; raises ConfigProblem when a required object, key or field is missing."""
    variables: dict[str, str] = {}
    skipped: list[str] = []
    for index, source in enumerate(container.env_from):
        for name, value in _from_source(desired, source, f"containers[{container.name}].envFrom[{index}]"):
            if _NAME.fullmatch(name) is None or value is None:
                skipped.append(_skipped(desired, container, source, name, readable=value is not None))
            else:
                variables[name] = value
    for variable in container.env:
        value = _value(desired, container, variable, variables, pod_ip)
        if value is not None:
            variables[variable.name] = value
    return Environment(variables, tuple(skipped))


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` -> its value, `$$` -> `$`, the rest as written: `$(A)-$$(A)-$(GONE)` with A=1 -> `1-$(A)-$(GONE)`."""
    return _REFERENCE.sub(lambda match: _replacement(match, variables), text)


def needs_pod_ip(container: Container) -> bool:
    """Whether the pod's address must be known before this container can be created."""
    references = (one.value_from.field_ref for one in container.env if one.value_from is not None)
    return any(reference is not None and reference.field_path in _POD_IP_FIELDS for reference in references)


def field_value(desired: PodDesired, selector: ObjectFieldSelector, where: str, pod_ip: str = "") -> str:
    """What a fieldRef says. A whole `metadata.labels` is one `key="value"` a line, sorted by key (downwardAPI)."""
    path = selector.field_path
    if (match := _MAP_FIELD.fullmatch(path)) is not None:
        held = desired.labels if match.group(1) == "labels" else desired.annotations
        return held.get(match.group("key"), "")
    simple = {
        "metadata.name": desired.name,
        "metadata.namespace": desired.namespace,
        "metadata.uid": desired.uid,
        "spec.nodeName": desired.node,
        "spec.serviceAccountName": "default",
        "status.hostIP": desired.node_ip,
        "status.hostIPs": desired.node_ip,
        "status.podIP": pod_ip,
        "status.podIPs": pod_ip,
        "metadata.labels": _lines(desired.labels),
        "metadata.annotations": _lines(desired.annotations),
    }
    if path not in simple:
        raise ConfigProblem(f"{where}.fieldRef: {path} is not known; use one of {', '.join(sorted(simple))}")
    return simple[path]


def resource_value(desired: PodDesired, container: Container, selector: ResourceFieldSelector, where: str) -> str:
    """What a resourceFieldRef says: the amount divided by `divisor` (default 1 core, 1 byte), rounded up."""
    holder = _container(desired, selector.container_name or container.name, where)
    kind, _, resource = selector.resource.partition(".")
    written = dict(holder.resources.limits)
    if kind == "requests":
        written |= holder.resources.requests
    if resource not in written:
        raise ConfigProblem(f"{where}.resourceFieldRef: container {holder.name} has no {selector.resource}; set one")
    divisor = selector.divisor if selector.divisor not in ("", "0") else "1"
    amount = cpu_millicores if resource == "cpu" else memory_bytes
    return str(-(-amount(written[resource]) // amount(divisor)))


def _from_source(desired: PodDesired, source: EnvFromSource, where: str) -> Iterator[tuple[str, str | None]]:
    """Prefixed names and values, sorted; a value that is not text is None."""
    kind, reference = _env_source(source)
    if reference is None:
        return
    held = desired.config.get((kind, reference.name))
    if held is None and not reference.optional:
        raise ConfigProblem(f"{where}: {kind} {desired.namespace}/{reference.name} does not exist; create it")
    for key in sorted(held or ()):
        yield source.prefix + key, _text((held or {})[key])


def _env_source(source: EnvFromSource) -> tuple[str, EnvSource | None]:
    if source.config_map_ref is not None:
        return "ConfigMap", source.config_map_ref
    return "Secret", source.secret_ref


def _skipped(desired: PodDesired, container: Container, source: EnvFromSource, name: str, *, readable: bool) -> str:
    kind, reference = _env_source(source)
    why = "the name is not valid" if readable else "the value is not UTF-8 text"
    origin = f"{kind} {desired.namespace}/{reference.name if reference else ''}"
    return f"{desired}: variable {name!r} of {origin} was left out of container {container.name}: {why}"


def _value(
    desired: PodDesired, container: Container, variable: EnvVar, before: Mapping[str, str], pod_ip: str
) -> str | None:
    """The value of one env entry; None: an optional reference that leads nowhere, so there is no variable."""
    source = variable.value_from
    where = f"containers[{container.name}].env[{variable.name}]"
    if source is None:
        return expand(variable.value or "", before)
    if source.config_map_key_ref is not None:
        return _from_key(desired, "ConfigMap", source.config_map_key_ref, f"{where}.configMapKeyRef")
    if source.secret_key_ref is not None:
        return _from_key(desired, "Secret", source.secret_key_ref, f"{where}.secretKeyRef")
    if source.field_ref is not None:
        return field_value(desired, source.field_ref, where, pod_ip)
    if source.resource_field_ref is not None:
        return resource_value(desired, container, source.resource_field_ref, where)
    return ""


def _from_key(desired: PodDesired, kind: str, selector: KeySelector, where: str) -> str | None:
    held = desired.config.get((kind, selector.name))
    if held is not None and selector.key in held:
        text = _text(held[selector.key])
        if text is None:
            raise ConfigProblem(
                f"{where}: key {selector.key} of {kind} {desired.namespace}/{selector.name} is not UTF-8 text; "
                "mount it as a volume"
            )
        return text
    if selector.optional:
        return None
    if held is None:
        raise ConfigProblem(f"{where}: {kind} {desired.namespace}/{selector.name} does not exist; create it")
    raise ConfigProblem(f"{where}: {kind} {desired.namespace}/{selector.name} has no key {selector.key}; add it")


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


# As Kubernetes reads it: from left to right, `$$` before `$(`, a reference without an end is plain text.
_REFERENCE = re.compile(r"\$\$|\$\((?P<name>[^)]*)\)")


def _replacement(match: re.Match[str], variables: Mapping[str, str]) -> str:
    name = match.group("name")
    if name is None:
        return "$"
    return variables.get(name, match.group())


def _lines(held: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{_escaped(held[key])}"' for key in sorted(held))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")


def _container(desired: PodDesired, name: str, where: str) -> Container:
    for one in (*desired.spec.containers, *desired.spec.init_containers):
        if one.name == name:
            return one
    raise ConfigProblem(f"{where}.resourceFieldRef: the pod has no container {name}")
