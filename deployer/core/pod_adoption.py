"""A pod's records out of its containers' labels, after the database was lost: nothing is restarted for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deployer.core.container import (
    LABEL_APPLICATION,
    LABEL_ATTEMPT,
    LABEL_COMMIT,
    LABEL_CONTAINER,
    LABEL_NAMESPACE,
    LABEL_OWNER,
    LABEL_POD,
    LABEL_POD_UID,
    LABEL_REPLICA_SET,
    LABEL_REVISION,
    LABEL_TEMPLATE_HASH,
    ContainerSeen,
)


@dataclass(frozen=True, slots=True)
class AdoptedPod:
    """What the labels say. `containers`: names of the containers that were found, sorted, "pause" among them."""

    uid: str
    namespace: str
    name: str
    owner: str
    replica_set: str
    template_hash: str
    revision: int
    commit: str
    application: str
    containers: tuple[str, ...]


def adopt(observed: Iterable[ContainerSeen]) -> AdoptedPod | None:
    """The pod of these containers, which share one uid; None when their labels do not name one.

    All containers of a pod carry the same labels, but for their own name; the newest attempt's count.
    """
    found = sorted(observed, key=lambda one: (one.labels.get(LABEL_ATTEMPT, ""), one.name, one.id), reverse=True)
    if not found:
        return None
    labels = found[0].labels
    uid, namespace, name = (labels.get(label, "") for label in (LABEL_POD_UID, LABEL_NAMESPACE, LABEL_POD))
    if not (uid and namespace and name):
        return None
    revision = labels.get(LABEL_REVISION, "")
    return AdoptedPod(
        uid=uid,
        namespace=namespace,
        name=name,
        owner=labels.get(LABEL_OWNER, ""),
        replica_set=labels.get(LABEL_REPLICA_SET, ""),
        template_hash=labels.get(LABEL_TEMPLATE_HASH, ""),
        revision=int(revision) if revision.isascii() and revision.isdigit() else 0,
        commit=labels.get(LABEL_COMMIT, ""),
        application=labels.get(LABEL_APPLICATION, ""),
        containers=tuple(sorted({one.labels.get(LABEL_CONTAINER, "") for one in found} - {""})),
    )
