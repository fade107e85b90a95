"""Templates and the config that they name: what a revision is made of.

A Deployment's `live_hash` is the identity of what Git asks for: the template, the moment of the last `rollout
restart`, and the content of every ConfigMap and Secret that the template names. It is made anew in the transaction
that writes any of them, so the loops compare two short strings.

A Deployment that a NetworkPolicy selects runs on a network of its own, since pods on one bridge reach each other past
any router. The template says so by the annotation ISOLATION, which Pierhead adds: so a policy that begins or ceases
to select a Deployment is a change of its template, and rolls.
"""

from __future__ import annotations

import base64
import copy
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from control.models import ConfigMap, Deployment, NetworkPolicy, Secret
from control.store import objects
from control.store.addresses import HOST, ISOLATED
from control.store.routed_pods import has_network_probes
from deployer.core.network.policy import isolates
from deployer.core.network.values import RoutedPolicy
from deployer.core.objects.network import NetworkPolicySpec
from deployer.core.objects.pod import PodSpec
from deployer.core.objects.template import config_digest, pod_requests, referenced_config, template_hash

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
CONFIG_ROLLOUT = "pierhead.io/config-rollout"  # "off": a change of config content does not roll
ISOLATION = "pierhead.io/network"
Contents = dict[tuple[str, str], dict[str, str]]


def live_template(deployment: Deployment, policies: Sequence[RoutedPolicy] | None = None) -> dict[str, Any]:
    """The template that Git asks for, with the annotation of the last restart as `kubectl rollout restart` sets it.

    `policies`: those of its namespace, where the caller knows them already.
    """
    made = asked_template(deployment)
    labels = (made.get("metadata") or {}).get("labels") or {}
    return isolated(made) if is_isolated(deployment.namespace, labels, policies) else made


def asked_template(row: Deployment) -> dict[str, Any]:
    """Git's, with the digests that image policies pinned, and the last restart."""
    made = restarted(row.spec["template"], row.restarted_at)
    for name in ("containers", "initContainers") if row.image_pins else ():
        for one in made["spec"].get(name) or ():
            one["image"] = pinned_image(row, one["name"], one["image"])
    return made


def pinned_image(row: Deployment, container: str, image: str) -> str:
    """The one that is in force where Git asks for `image`."""
    pin = row.image_pins.get(container)
    return str(pin["image"]) if pin and pin["instead_of"] == image else image


def is_isolated(namespace: str, labels: Mapping[str, str], policies: Sequence[RoutedPolicy] | None = None) -> bool:
    """Whether any NetworkPolicy of the namespace selects pods with these labels."""
    return isolates(policies_in(namespace) if policies is None else policies, namespace, labels)


def isolated(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template with the annotation; one on the host's network has none to be isolated on."""
    if template["spec"].get("hostNetwork"):
        return dict(template)
    metadata = dict(template.get("metadata") or {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), ISOLATION: ISOLATED}
    return {**template, "metadata": metadata}


def shared(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template without the annotation."""
    metadata = dict(template.get("metadata") or {})
    kept = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != ISOLATION}
    return {**template, "metadata": {**metadata, "annotations": kept}}


def is_annotated(template: Mapping[str, Any]) -> bool:
    return ((template.get("metadata") or {}).get("annotations") or {}).get(ISOLATION) == ISOLATED


def policies_in(namespace: str) -> list[RoutedPolicy]:
    rows = NetworkPolicy.objects.filter(namespace=namespace, deleted_at=None).order_by("name")
    found = rows.values_list("name", "spec")
    return [RoutedPolicy(namespace, name, NetworkPolicySpec.model_validate(spec)) for name, spec in found]


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


def refresh_hashes(namespaces: Iterable[str]) -> tuple[list[Deployment], list[Deployment]]:
    """Make `live_hash` true again in these namespaces.

    Returns the deployments whose hash changed, and those among them of which only a policy asks for that.
    """
    changed, moved = [], []
    policies = {namespace: policies_in(namespace) for namespace in set(namespaces)}
    for row in Deployment.objects.filter(namespace__in=list(policies), deleted_at=None):
        template = live_template(row, policies[row.namespace])
        fresh = hash_of(template, row.namespace)
        if fresh != row.live_hash:
            moved += [row] if _tell_of_isolation(row, template) else []
            Deployment.objects.filter(pk=row.pk).update(live_hash=fresh)
            row.live_hash = fresh
            changed.append(row)
    return changed, moved


def _tell_of_isolation(row: Deployment, template: Mapping[str, Any]) -> bool:
    """Say why it rolls when a policy is all that made its hash another one. Whether it is."""
    plain = asked_template(row)
    begins = is_annotated(template)
    if is_annotated(plain) or row.live_hash != hash_of(plain if begins else isolated(plain), row.namespace):
        return False
    words = (
        "a NetworkPolicy selects its pods now: they are rolled onto a network of their own, where only what it allows "
        "reaches them"
        if begins
        else "no NetworkPolicy selects its pods any more: they are rolled back onto their namespace's network"
    )
    objects.record_event(row.kind, row.namespace, row.name, "Normal", "Isolated" if begins else "NotIsolated", words)
    return True


def placement_of(template: Mapping[str, Any]) -> dict[str, Any]:
    """What the scheduler counts of a placed pod, kept on its row so that no pass reads templates again.

    And what routing asks at every change: `network` (the host's, or one of its own) and `probed`, where they hold.
    """
    spec = PodSpec.model_validate(template["spec"])
    cpu, memory = pod_requests(spec)
    ports = [
        [port.host_ip, port.host_port, port.protocol]
        for container in (*spec.containers, *spec.init_containers)
        for port in container.ports
        if port.host_port
    ]
    anti = [term.model_dump(by_alias=True) for term in spec.affinity.pod_anti_affinity.required]
    counted = {"cpu": cpu, "memory": memory, "ports": ports, "antiAffinity": anti}
    network = HOST if spec.host_network else ISOLATED if is_annotated(template) else ""
    return {
        **counted,
        **({"network": network} if network else {}),
        **({"probed": True} if has_network_probes(spec) else {}),
    }


def bare_placement(namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str], spec: Any) -> Any:
    """`placement_of` a bare pod. Whether it is isolated is decided here, once: a bare pod is never rolled."""
    template = {"metadata": {"annotations": annotations}, "spec": spec}
    return placement_of(isolated(template) if is_isolated(namespace, labels) else template)


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
