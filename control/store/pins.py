"""Image digests per revision, images that we brought to a node, and registries' credentials."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from control.models import Node, Pod, ReplicaSet, Secret
from deployer.core.container import RegistryAuth


def pin_image(pod_uid: str, reference: str, resolved: str) -> str:
    """The digest of this revision's image: the first that was resolved wins, on all nodes and for ever."""
    with transaction.atomic():
        pod = Pod.objects.select_related("replica_set").filter(pk=pod_uid).first()
        if pod is None:
            return resolved
        model: Any = ReplicaSet if pod.replica_set_id else Pod
        owner = model.objects.select_for_update().get(pk=pod.replica_set_id or pod.uid)
        if reference not in owner.images:
            owner.images = {**owner.images, reference: resolved}
            model.objects.filter(pk=owner.pk).update(images=owner.images)
        return str(owner.images[reference])


def image_pulled(node_uid: str, reference: str, image_id: str) -> None:
    """Remember that this image is on the node because of us: ours to collect when nothing needs it any more."""
    with transaction.atomic():
        row = Node.objects.select_for_update().filter(pk=node_uid).first()
        if row is not None:
            Node.objects.filter(pk=node_uid).update(images={**row.images, image_id: reference})


def registry_auth(namespace: str, secrets: Sequence[str], reference: str) -> RegistryAuth | None:
    """The first of the pull secrets that knows the image's registry."""
    server = registry_of(reference)
    rows = {
        row.name: row for row in Secret.objects.filter(namespace=namespace, name__in=list(secrets), deleted_at=None)
    }
    for name in secrets:
        found = rows.get(name)
        auths = _auths(found) if found else {}
        for known, entry in auths.items():
            if known.removeprefix("https://").partition("/")[0] in _names_of(server):
                return _auth(entry, known)
    return None


def registry_of(reference: str) -> str:
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def _names_of(server: str) -> tuple[str, ...]:
    return ("docker.io", "index.docker.io", "registry-1.docker.io") if server == "docker.io" else (server,)


def _auths(row: Secret) -> dict[str, Any]:
    values = row.sealed.load()
    packed = values.get(".dockerconfigjson") or values.get(".dockercfg")
    if not packed:
        return {}
    body = json.loads(base64.b64decode(packed))
    found: dict[str, Any] = body.get("auths", body)
    return found


def _auth(entry: dict[str, Any], server: str) -> RegistryAuth:
    if "auth" in entry and not entry.get("username"):
        user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        return RegistryAuth(user, password, server)
    return RegistryAuth(entry.get("username", ""), entry.get("password", ""), server)
