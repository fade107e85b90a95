"""Templates and the config that they name: what a revision is made of.

A Deployment's `live_hash` is the identity of what Git asks for: the template, the moment of the last `rollout
restart`, and the content of every ConfigMap and Secret that the template names. It is made anew in the transaction
that writes any of them, so the loops compare two short strings.
"""

from __future__ import annotations

import base64
import copy
import time
from collections.abc import Iterable, Mapping
from typing import Any

from control.models import ConfigMap, Deployment, Secret
from deployer.core.objects.pod import PodSpec
from deployer.core.objects.template import config_digest, pod_requests, referenced_config, template_hash

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
CONFIG_ROLLOUT = "pierhead.io/config-rollout"  # "off": a change of config content does not roll
Contents = dict[tuple[str, str], dict[str, str]]


def live_template(deployment: Deployment) -> dict[str, Any]:
    """The template that Git asks for, with the annotation of the last restart as `kubectl rollout restart` sets it."""
    return restarted(deployment.spec["template"], deployment.restarted_at)


def restarted(template: Mapping[str, Any], restarted_at: float) -> dict[str, Any]:
    made: dict[str, Any] = copy.deepcopy(dict(template))
    if restarted_at:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(restarted_at))
        metadata = made.setdefault("metadata", {})
        metadata["annotations"] = {**(metadata.get("annotations") or {}), RESTARTED_AT: stamp}
    return made


def hash_of(template: Mapping[str, Any], namespace: str) -> str:
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    if annotations.get(CONFIG_ROLLOUT) == "off":
        return template_hash(template)
    return template_hash(template, config_digest(contents_for(template, namespace)))


def contents_for(template: Mapping[str, Any], namespace: str) -> Contents:
    return contents(referenced_config(PodSpec.model_validate(template["spec"])), namespace)


def contents(wanted: Iterable[tuple[str, str]], namespace: str) -> Contents:
    """Base64 values of the config objects that exist; those that do not exist are absent."""
    names = {kind: [name for found, name in wanted if found == kind] for kind in ("ConfigMap", "Secret")}
    found: Contents = {}
    if names["ConfigMap"]:
        for row in ConfigMap.objects.filter(namespace=namespace, name__in=names["ConfigMap"], deleted_at=None):
            found[("ConfigMap", row.name)] = _config_map_values(row.spec)
    if names["Secret"]:
        for secret in Secret.objects.filter(namespace=namespace, name__in=names["Secret"], deleted_at=None):
            found[("Secret", secret.name)] = secret.sealed.load()
    return found


def refresh_hashes(namespaces: Iterable[str]) -> list[Deployment]:
    """Make `live_hash` true again in these namespaces; returns the deployments whose hash changed."""
    changed = []
    for row in Deployment.objects.filter(namespace__in=set(namespaces), deleted_at=None):
        fresh = hash_of(live_template(row), row.namespace)
        if fresh != row.live_hash:
            Deployment.objects.filter(pk=row.pk).update(live_hash=fresh)
            row.live_hash = fresh
            changed.append(row)
    return changed


def placement_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """What the scheduler counts of a placed pod, kept on its row so that no pass reads templates again."""
    spec = PodSpec.model_validate(template["spec"])
    cpu, memory = pod_requests(spec)
    ports = [
        [port.host_ip, port.host_port, port.protocol]
        for container in (*spec.containers, *spec.init_containers)
        for port in container.ports
        if port.host_port
    ]
    anti = [term.model_dump(by_alias=True) for term in spec.affinity.pod_anti_affinity.required]
    return {"cpu": cpu, "memory": memory, "ports": ports, "antiAffinity": anti}


def pack(found: Contents) -> dict[str, Any]:
    """Contents as the JSON that a replica set keeps sealed."""
    return {f"{kind}/{name}": dict(values) for (kind, name), values in found.items()}


def unpack(kept: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, bytes]]:
    return {
        (kind, name): {key: base64.b64decode(value) for key, value in values.items()}
        for (kind, _, name), values in ((full.partition("/"), values) for full, values in kept.items())
    }


def _config_map_values(spec: Mapping[str, Any]) -> dict[str, str]:
    text = {key: base64.b64encode(value.encode()).decode() for key, value in (spec.get("data") or {}).items()}
    return {**text, **(spec.get("binaryData") or {})}
