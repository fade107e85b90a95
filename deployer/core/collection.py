"""What on a host is ours and needed by nothing any more.

Pure. Only what carries this cluster's label (volumes, networks) or is on record as pulled by us (images) is ever
named; what a pod on record uses, what the node's router is made of, and what a kept revision would need for a
rollback, stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.core.container import LABEL_NAMESPACE, LABEL_POD_UID, ImageSeen, VolumeSpec
from deployer.core.network.values import MESH_NETWORK


@dataclass(frozen=True, slots=True)
class Needed:
    """What must stay on this node: its pods by uid, its pod networks by name (those that isolate a workload, too).

    `images`: those of kept revisions (as written, and pinned) and the router's.
    """

    pods: frozenset[str]
    networks: frozenset[str]
    images: frozenset[str]


@dataclass(frozen=True, slots=True)
class Surplus:
    volumes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    images: tuple[str, ...] = ()


def surplus(
    needed: Needed,
    volumes: Iterable[VolumeSpec],
    networks: Iterable[str],
    images: Iterable[ImageSeen],
    pulled: Mapping[str, str],
) -> Surplus:
    """`pulled`: image id -> reference of what Pierhead brought to this node."""
    kept = needed.networks | {MESH_NETWORK}
    return Surplus(
        tuple(sorted(one.name for one in volumes if _is_stray(one, needed))),
        tuple(sorted(name for name in networks if name not in kept)),
        tuple(sorted(one.id for one in images if one.id in pulled and not _is_needed(one, pulled[one.id], needed))),
    )


def _is_stray(volume: VolumeSpec, needed: Needed) -> bool:
    """Only a pod's own volume: claims and the router's belong to no pod."""
    owner = volume.labels.get(LABEL_POD_UID)
    return bool(owner) and LABEL_NAMESPACE in volume.labels and owner not in needed.pods


def _is_needed(image: ImageSeen, reference: str, needed: Needed) -> bool:
    return not needed.images.isdisjoint({image.id, reference, *image.tags, *image.digests})
