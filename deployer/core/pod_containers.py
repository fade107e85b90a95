"""From a PodSpec to the ContainerSpecs that run it: names, labels, network, resources, rights, probes.

A pod of one container is attached to its namespace's network by itself. As soon as containers share a network (more
than one, init containers, or a container that must know the pod's address before it starts) a pause container owns
it, with hostname, published ports, extra hosts and sysctls, and the others join it. A pod on the host's network needs
neither.

The hash in LABEL_SPEC_HASH covers what is *written* for a container (its manifest without defaults, and the parts of
the pod that it is made from), never what that resolves to: image digests, config values and `$(VAR)` may change
without touching a running container, as in Kubernetes. It is SHA-256 over canonical JSON of Kubernetes' own field
names and leaves defaults out, so it is the same in every process and in later versions of Pierhead, and containers
are adopted after the database was lost. No secret's content is anywhere near it.

Never decides when something happens: `pod_moves.py` does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deployer.core.actions import CreateContainer, EnsureImage, EnsureNetwork, RunHook, StopContainer
from deployer.core.container import (
    LABEL_APPLICATION,
    LABEL_ATTEMPT,
    LABEL_CLUSTER,
    LABEL_COMMIT,
    LABEL_CONTAINER,
    LABEL_NAMESPACE,
    LABEL_OWNER,
    LABEL_POD,
    LABEL_POD_UID,
    LABEL_REPLICA_SET,
    LABEL_REVISION,
    LABEL_SPEC_HASH,
    LABEL_TEMPLATE_HASH,
    PAUSE_CONTAINER,
    PAUSE_IMAGE,
    ContainerSpec,
    ImageSeen,
    PublishedPort,
)
from deployer.core.objects.pod import Container, ContainerPort
from deployer.core.objects.quantity import cpu_millicores, memory_bytes
from deployer.core.pod_desired import PodDesired
from deployer.core.pod_environment import ConfigProblem, environment, expand, needs_pod_ip
from deployer.core.pod_probes import health_check
from deployer.core.pod_volumes import container_files, mounts

ALWAYS_DROPPED = ("NET_ADMIN", "NET_RAW")
"""A pod could otherwise pretend to be another on its bridge."""
CLUSTER_DOMAIN = "cluster.local"
_MIN_CPU_SHARES = 2
_MAX_CPU_SHARES = 262144
_HOSTNAME_LENGTH = 63

_RESTART: dict[str, Literal["always", "on-failure", "no"]] = {
    "Always": "always",
    "OnFailure": "on-failure",
    "Never": "no",
}


@dataclass(frozen=True, slots=True)
class Creation:
    """The step that makes a container, and sentences about variables that were left out of it."""

    step: CreateContainer
    skipped: tuple[str, ...] = ()


def network_name(namespace: str) -> str:
    """A namespace's own network."""
    return f"pierhead-{namespace}"


def pod_network_name(desired: PodDesired) -> str:
    """The network that the store chose for the pod, or its namespace's."""
    return desired.network or network_name(desired.namespace)


def ensure_network(desired: PodDesired) -> EnsureNetwork:
    return EnsureNetwork(pod_network_name(desired), desired.namespace, desired.subnet)


def container_name(desired: PodDesired, container: str, attempt: int) -> str:
    return f"pierhead-{desired.namespace}-{desired.name}-{container}-{attempt}"


def has_pause(desired: PodDesired) -> bool:
    """Whether a pause container owns the pod's network."""
    if desired.spec.host_network:
        return False
    return desired.spec.needs_pause or any(needs_pod_ip(one) for one in desired.spec.containers)


def create_container(
    desired: PodDesired,
    container: Container,
    attempt: int,
    *,
    cluster_id: str,
    image: str,
    image_user: str | None,
    network: str,
    pod_ip: str,
) -> Creation:
    """The step that creates a container from `image` (pinned, or an id).

    `image_user` is the image's own user, None while the image has not been seen. `network` is that of the pod, or
    `container:NAME` of its pause container. Raises ConfigProblem: CreateContainerConfigError.
    """
    made = environment(desired, container, pod_ip)
    spec = ContainerSpec(
        name=container_name(desired, container.name, attempt),
        image=image,
        labels=labels(desired, container.name, attempt, cluster_id, spec_hash(desired, container, network)),
        entrypoint=_expanded(container.command, made.variables),
        command=_expanded(container.args, made.variables),
        env=tuple(made.variables.items()),
        working_dir=container.working_dir,
        network=network,
        mounts=mounts(desired, container),
        restart=restart_policy(desired, container),
        health=health_check(container),
        pid_host=desired.spec.host_pid,
        stop_grace_seconds=desired.spec.termination_grace_period_seconds,
        stdin=container.stdin,
        tty=container.tty,
        **_resources(container),
        **_rights(desired, container, image_user),
        **({} if network.startswith("container:") else _network_owner(desired)),
    )
    must_not_be_root = _checked_non_root(desired, container, image_user)
    return Creation(CreateContainer(spec, container_files(desired, container), must_not_be_root), made.skipped)


def create_pause(desired: PodDesired, attempt: int, cluster_id: str) -> CreateContainer:
    """The step that creates the container which owns the pod's network. Docker brings it back like any other."""
    spec = ContainerSpec(
        name=container_name(desired, PAUSE_CONTAINER, attempt),
        image=PAUSE_IMAGE,
        labels=labels(desired, PAUSE_CONTAINER, attempt, cluster_id, pause_hash(desired)),
        network=pod_network_name(desired),
        restart="always",
        cpu_shares=_MIN_CPU_SHARES,
        cap_drop=("ALL",),
        read_only_root=True,
        no_new_privileges=True,
        stop_grace_seconds=1,
        **_network_owner(desired),
    )
    return CreateContainer(spec)


def ensure_image(desired: PodDesired, container: Container) -> EnsureImage:
    secrets = tuple(one.name for one in desired.spec.image_pull_secrets)
    return EnsureImage(container.image, desired.images.get(container.image, ""), container.pull_policy, secrets)


def image_seen(desired: PodDesired, container: Container, present: Mapping[str, ImageSeen]) -> ImageSeen | None:
    """The image on the host that this container is to be made from, by its pin if there is one.

    Without a pin the reference itself counts, except under pull policy Always: the registry has to be asked once.
    """
    pinned = desired.images.get(container.image, "")
    if not pinned:
        return None if container.pull_policy == "Always" else present.get(container.image)
    if pinned in present:
        return present[pinned]
    return next((one for one in present.values() if pinned == one.id or pinned in one.digests), None)


def post_start(container: Container, name: str) -> RunHook | None:
    hook = container.lifecycle.post_start
    if hook is None:
        return None
    return RunHook(name, hook.exec.command if hook.exec else (), hook.sleep.seconds if hook.sleep else 0)


def stop_container(container: Container | None, name: str, grace_seconds: int) -> StopContainer:
    """The step that stops a container after its preStop hook; `container` None for one that is not in the spec."""
    hook = container.lifecycle.pre_stop if container is not None else None
    if hook is None:
        return StopContainer(name, grace_seconds)
    command = hook.exec.command if hook.exec else ()
    return StopContainer(name, grace_seconds, command, hook.sleep.seconds if hook.sleep else 0)


def restart_policy(desired: PodDesired, container: Container) -> Literal["always", "on-failure", "no"]:
    """What the host does by itself when the container ends. An init container is repeated until it succeeds."""
    if container.is_sidecar:
        return "always"
    if container in desired.spec.init_containers:
        return "no" if desired.spec.restart_policy == "Never" else "on-failure"
    return _RESTART[desired.spec.restart_policy]


def spec_hash(desired: PodDesired, container: Container, network: str) -> str:
    """Hash of all that is written for this container; see the module's text for what it leaves out and why.

    Of `network` the pause container's attempt counts: what joined an earlier one must be made again.
    """
    joins = network.startswith("container:")
    used = {mount.name for mount in container.volume_mounts}
    return _hashed(
        {
            "container": _written(container),
            "volumes": [_written(one) for one in desired.spec.volumes if one.name in used],
            "restartPolicy": desired.spec.restart_policy,
            "securityContext": _written(desired.spec.security_context),
            "hostPID": desired.spec.host_pid,
            "network": f"pause {network.rpartition('-')[2]}" if joins else _owner_parts(desired),
        }
    )


def pause_hash(desired: PodDesired) -> str:
    return _hashed({"pause": _owner_parts(desired)})


def labels(desired: PodDesired, container: str, attempt: int, cluster_id: str, hash_of_spec: str) -> dict[str, str]:
    """Enough to rebuild the pod's records from its containers alone (`node.adopt`)."""
    return {
        LABEL_CLUSTER: cluster_id,
        LABEL_NAMESPACE: desired.namespace,
        LABEL_POD: desired.name,
        LABEL_POD_UID: desired.uid,
        LABEL_CONTAINER: container,
        LABEL_ATTEMPT: str(attempt),
        LABEL_OWNER: desired.owner,
        LABEL_REPLICA_SET: desired.replica_set,
        LABEL_TEMPLATE_HASH: desired.template_hash,
        LABEL_REVISION: str(desired.revision),
        LABEL_COMMIT: desired.commit,
        LABEL_APPLICATION: desired.application,
        LABEL_SPEC_HASH: hash_of_spec,
    }


def _expanded(words: tuple[str, ...], variables: Mapping[str, str]) -> tuple[str, ...] | None:
    return tuple(expand(word, variables) for word in words) or None


def _resources(container: Container) -> dict[str, Any]:
    """Limits as limits; requests as shares (1024 for a core, at least 2, as Kubernetes) and reservation."""
    limits = container.resources.limits
    requests = {**limits, **container.resources.requests}
    shares = cpu_millicores(requests["cpu"]) * 1024 // 1000 if "cpu" in requests else 0
    return {
        "memory_bytes": memory_bytes(limits["memory"]) if "memory" in limits else 0,
        "memory_reservation_bytes": memory_bytes(requests["memory"]) if "memory" in requests else 0,
        "cpu_millicores": cpu_millicores(limits["cpu"]) if "cpu" in limits else 0,
        "cpu_shares": min(max(shares, _MIN_CPU_SHARES), _MAX_CPU_SHARES),
    }


def _rights(desired: PodDesired, container: Container, image_user: str | None) -> dict[str, Any]:
    """The security context, the container's over the pod's."""
    pod, own = desired.spec.security_context, container.security_context
    groups = [*pod.supplemental_groups, *(() if pod.fs_group is None else (pod.fs_group,))]
    seccomp = own.seccomp_profile or pod.seccomp_profile
    added = tuple(_capability(one) for one in own.capabilities.add)
    always = () if "ALL" in added else ALWAYS_DROPPED
    dropped = {*(_capability(one) for one in own.capabilities.drop), *always} - set(added)
    return {
        "user": _user(desired, container, image_user),
        "group_add": tuple(str(one) for one in dict.fromkeys(groups)),
        "privileged": own.privileged,
        "cap_add": added,
        "cap_drop": () if own.privileged else tuple(sorted(dropped)),
        "read_only_root": own.read_only_root_filesystem,
        "no_new_privileges": own.allow_privilege_escalation is False,
        "seccomp_unconfined": seccomp is not None and seccomp.type == "Unconfined",
    }


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _user(desired: PodDesired, container: Container, image_user: str | None) -> str:
    """`uid`, `uid:gid`, or "" for the image's own. A group alone goes with the image's user."""
    pod, own = desired.spec.security_context, container.security_context
    user = pod.run_as_user if own.run_as_user is None else own.run_as_user
    group = pod.run_as_group if own.run_as_group is None else own.run_as_group
    if user is None and group is None:
        return ""
    name = (image_user or "0").partition(":")[0] if user is None else str(user)
    return name if group is None else f"{name}:{group}"


def _checked_non_root(desired: PodDesired, container: Container, image_user: str | None) -> bool:
    """Whether whoever creates the container has to check that its user is not root; refused here where it is known."""
    pod, own = desired.spec.security_context, container.security_context
    asked = pod.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
    user = pod.run_as_user if own.run_as_user is None else own.run_as_user
    if not asked:
        return False
    if user is None and image_user is None:
        return True
    name = str(user) if user is not None else (image_user or "").partition(":")[0]
    if name in ("", "0", "root"):
        origin = f"image {container.image}" if user is None else "runAsUser 0"
        raise ConfigProblem(
            f"containers[{container.name}].securityContext.runAsNonRoot: {origin} runs as root; set runAsUser"
        )
    if not name.isdigit():
        raise ConfigProblem(
            f"containers[{container.name}].securityContext.runAsNonRoot: image {container.image} names its user "
            f"{name!r}, which cannot be told from root; set runAsUser to its number"
        )
    return user is None


def _network_owner(desired: PodDesired) -> dict[str, Any]:
    """What belongs to the network's owner: the pause container, or a pod's only container."""
    spec = desired.spec
    has_dns = bool(desired.dns) and not spec.host_network
    return {
        "hostname": "" if spec.host_network else _hostname(desired),
        "dns": (desired.dns,) if has_dns else (),
        "dns_search": _dns_search(desired) if has_dns else (),
        "extra_hosts": tuple((name, alias.ip) for alias in spec.host_aliases for name in alias.hostnames),
        "ports": () if spec.host_network else _published(desired),
        "sysctls": tuple((one.name, one.value) for one in spec.security_context.sysctls),
    }


def _dns_search(desired: PodDesired) -> tuple[str, ...]:
    return f"{desired.namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN


def _hostname(desired: PodDesired) -> str:
    return (desired.spec.hostname or desired.name)[:_HOSTNAME_LENGTH].rstrip("-.")


def _published(desired: PodDesired) -> tuple[PublishedPort, ...]:
    containers = (*desired.spec.init_containers, *desired.spec.containers)
    return tuple(_publish(port) for one in containers for port in one.ports if port.host_port is not None)


def _publish(port: ContainerPort) -> PublishedPort:
    return PublishedPort(port.container_port, port.host_port or 0, port.host_ip, port.protocol.lower())


def _owner_parts(desired: PodDesired) -> dict[str, Any]:
    """What its owner's hash covers of the network. Its name only where it is not the namespace's own, so that the
    hashes of containers that were made before there were others hold. The resolver's address is not written: no part.
    """
    spec = desired.spec
    own = spec.host_network or pod_network_name(desired) == network_name(desired.namespace)
    return {
        **({} if own else {"network": desired.network}),
        "hostNetwork": spec.host_network,
        "hostname": spec.hostname,
        "hostAliases": [_written(one) for one in spec.host_aliases],
        "sysctls": [_written(one) for one in spec.security_context.sysctls],
        "ports": [[one.container_port, one.host_port, one.host_ip, one.protocol] for one in _published(desired)],
    }


def _written(part: Any) -> Any:
    return part.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _hashed(parts: Mapping[str, Any]) -> str:
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
