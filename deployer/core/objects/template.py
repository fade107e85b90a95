"""What follows from a pod template alone: what it requests, which config it names, and its identity.

`template_hash` is written into the labels of running containers, and a control plane that has lost its database adopts
them by it. It must therefore give the same answer in every version of Pierhead: never change it, and never feed it
anything that is not in the manifest (defaults filled in later would restart every pod on an upgrade).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from deployer.core.objects.pod import Container, PodSpec, Volume
from deployer.core.objects.quantity import cpu_millicores, memory_bytes

SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' (`apimachinery/util/rand`): no vowels and no look-alikes, so no hash spells a word."""
HASH_LENGTH = 10
TEMPLATE_HASH_LABEL = "pod-template-hash"

ConfigKey = tuple[str, str]
"""(kind, name): ("ConfigMap", "settings") or ("Secret", "token")."""


def pod_requests(spec: PodSpec) -> tuple[int, int]:
    """(cpu_millicores, memory_bytes) that a pod of this spec takes from its node.

    Kubernetes' rule (KEP-753): the greater of what runs together at the end (containers and sidecars) and of what runs
    at any moment of the start (one init container beside the sidecars that were started before it).
    Worked example, CPU: containers 100m + 100m, init containers sidecar 50m then plain 300m: max(250, 50 + 300) = 350m.
    """
    cpu, memory = zip(*(container_requests(one) for one in spec.containers), strict=True)
    lasting = [sum(cpu), sum(memory)]
    sidecars, starting = [0, 0], [0, 0]
    for container in spec.init_containers:
        request = container_requests(container)
        together = [sidecars[n] + request[n] for n in (0, 1)]
        starting = [max(starting[n], together[n]) for n in (0, 1)]
        if container.is_sidecar:
            lasting = [lasting[n] + request[n] for n in (0, 1)]
            sidecars = together
    return max(lasting[0], starting[0]), max(lasting[1], starting[1])


def container_requests(container: Container) -> tuple[int, int]:
    """(cpu_millicores, memory_bytes); a limit without a request is the request as well, as in Kubernetes."""
    wanted = {**container.resources.limits, **container.resources.requests}
    return cpu_millicores(wanted.get("cpu", "0")), memory_bytes(wanted.get("memory", "0"))


def template_hash(template: Mapping[str, Any], config_digest: str = "") -> str:
    """Ten characters that are the same for the same template and config content, for ever and on every machine.

    Counted are the labels (but `pod-template-hash`), the annotations (so that a restart, which is one, counts) and the
    spec as written; the order of keys does not matter.
    """
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != TEMPLATE_HASH_LABEL}
    identity = {"labels": labels, "annotations": metadata.get("annotations") or {}, "spec": template.get("spec") or {}}
    digest = hashlib.sha256(f"{_canonical(identity)}\n{config_digest}".encode()).digest()
    number = int.from_bytes(digest, "big")
    characters = []
    for _ in range(HASH_LENGTH):
        number, index = divmod(number, len(SAFE_ALPHABET))
        characters.append(SAFE_ALPHABET[index])
    return "".join(characters)


def referenced_config(spec: PodSpec) -> frozenset[ConfigKey]:
    """The config maps and secrets that env, envFrom and volumes use. imagePullSecrets are not content of the pod."""
    names: set[ConfigKey] = set()
    for container in (*spec.init_containers, *spec.containers):
        names.update(_of_environment(container))
    for volume in spec.volumes:
        names.update(_of_volume(volume))
    return frozenset(names)


def config_digest(contents: Mapping[ConfigKey, Mapping[str, str]]) -> str:
    """Hash of the values of the config objects that exist; "" for none. The order does not matter."""
    if not contents:
        return ""
    rows = [[kind, name, dict(values)] for (kind, name), values in sorted(contents.items())]
    return hashlib.sha256(_canonical(rows).encode()).hexdigest()


def _of_environment(container: Container) -> Iterator[ConfigKey]:
    for variable in container.env:
        source = variable.value_from
        if source and source.config_map_key_ref:
            yield "ConfigMap", source.config_map_key_ref.name
        if source and source.secret_key_ref:
            yield "Secret", source.secret_key_ref.name
    for block in container.env_from:
        if block.config_map_ref:
            yield "ConfigMap", block.config_map_ref.name
        if block.secret_ref:
            yield "Secret", block.secret_ref.name


def _of_volume(volume: Volume) -> Iterator[ConfigKey]:
    if volume.config_map:
        yield "ConfigMap", volume.config_map.name
    if volume.secret:
        yield "Secret", volume.secret.secret_name
    for source in volume.projected.sources if volume.projected else ():
        if source.config_map:
            yield "ConfigMap", source.config_map.name
        if source.secret:
            yield "Secret", source.secret.name


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
