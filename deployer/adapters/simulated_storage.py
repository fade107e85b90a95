"""Images, networks and volumes of a simulated host, as one cluster sees them. Called inside the state's transactions.

Every image can be pulled, unless its name says otherwise: "missing" or "no-such" is not found, "denied" needs
credentials, "unreachable" is a registry that does not answer. One whose name holds "nonroot" has a user.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import asdict
from ipaddress import ip_network
from typing import Any

from deployer.adapters.simulated_state import State
from deployer.core.container import LABEL_CLUSTER, FileEntry, ImageSeen, RegistryAuth, Subnet, VolumeSpec
from deployer.ports import EngineError

_NOT_FOUND = re.compile(r"missing|no-?such|does-?not-?exist|nonexistent|broken")
_NON_ROOT = "65532"


class Storage:
    def __init__(self, state: State, host: str, cluster_id: str) -> None:
        self._state, self._host, self._cluster_id = state, host, cluster_id

    # Images

    def find_image(self, reference: str) -> ImageSeen | None:
        wanted = reference if "@" in reference or reference.startswith("sha256:") else _with_tag(reference)
        for name, image in self._state.all("image").items():
            if wanted in (name, *image["tags"], *image["digests"]):
                return _image(name, image)
        return None

    def images(self, made_from: Collection[str]) -> list[ImageSeen]:
        held = sorted(self._state.all("image").items())
        return [_image(name, image) for name, image in held if image["ours"] or name in made_from]

    def pull(self, reference: str, auth: RegistryAuth | None) -> ImageSeen:
        name = reference.partition("@")[0]
        if _NOT_FOUND.search(name):
            raise self._error("ImageNotFound", f"pull {reference}: manifest unknown; check the image's name and tag")
        if "denied" in name and auth is None:
            raise self._error("PullDenied", f"pull {reference}: access denied; give imagePullSecrets for this registry")
        if "unreachable" in name:
            raise self._error("RegistryUnreachable", f"pull {reference}: the registry does not answer")
        return self.add_image(reference, ours=True)

    def add_image(self, reference: str, *, ours: bool, user: str = "") -> ImageSeen:
        existing = self.find_image(reference)
        if existing:
            return existing
        name, _, digest = reference.partition("@")
        tagged = _with_tag(name)
        digest = digest or f"sha256:{_hash(tagged)}"
        image: dict[str, Any] = {
            "tags": [] if "@" in reference else [tagged],
            "digests": [f"{tagged.rpartition(':')[0]}@{digest}"] if ours else [],
            "user": user or (_NON_ROOT if "nonroot" in name else ""),
            "ours": ours,
        }
        identity = f"sha256:{_hash(digest)}"
        held = self._state.all("image").get(identity)
        if held:  # the same content under another name
            image["tags"] = sorted({*held["tags"], *image["tags"]})
            image["ours"] = held["ours"]
        self._state.put("image", identity, image)
        return _image(identity, image)

    def remove_image(self, reference: str, in_use: Collection[str]) -> None:
        image = self.find_image(reference)
        if image is None or not self._state.all("image")[image.id]["ours"]:
            return
        if image.id in in_use:
            raise self._error("ImageInUse", f"remove image {reference}: a container is made from it")
        self._state.drop("image", image.id)

    # Networks and volumes

    def ours(self, kind: str) -> dict[str, Any]:
        held = self._state.all(kind)
        return {name: thing for name, thing in held.items() if thing["labels"].get(LABEL_CLUSTER) == self._cluster_id}

    def ensure(self, kind: str, name: str, thing: dict[str, Any]) -> None:
        existing = self._state.all(kind).get(name)
        if existing is None:
            thing = {**thing, "labels": {**thing["labels"], LABEL_CLUSTER: self._cluster_id}}
            self._state.put(kind, name, thing)
        elif existing["labels"].get(LABEL_CLUSTER) != self._cluster_id:
            sentence = f"create {kind} {name}: it is there already and not of this cluster; remove or rename it"
            raise self._error("NameConflict", sentence)

    def remove(self, kind: str, name: str, users: Sequence[str]) -> None:
        if name not in self.ours(kind):
            return
        if users:
            sentence = f"remove {kind} {name}: {', '.join(sorted(users))} uses it"
            raise self._error(f"{kind.capitalize()}InUse", sentence)
        self._state.drop(kind, name)

    def ensure_network(self, name: str, labels: dict[str, str], subnet: Subnet | None, users: Sequence[str]) -> None:
        """`users`: who is on the network of this name now."""
        wanted = asdict(subnet) if subnet else None
        held = self.ours("network").get(name)
        if held and wanted and held.get("subnet") != wanted:
            self._may_be_made_anew(name, wanted["range"], held.get("subnet"), users)
            self._state.drop("network", name)
        if wanted and name not in self._state.all("network"):
            self._no_overlap(name, wanted["range"])
        self.ensure("network", name, {"labels": labels, "subnet": wanted})

    def _may_be_made_anew(self, name: str, wanted: str, held: dict[str, str] | None, users: Sequence[str]) -> None:
        if users:
            has = held["range"] if held else "no fixed ones"
            sentence = (
                f"give network {name} the addresses {wanted}: it has {has}, and {', '.join(sorted(users))} "
                f"{'belongs' if len(users) == 1 else 'belong'} to it; remove these first (drain the node), or set "
                "PIERHEAD_POD_RANGE back"
            )
            raise self._error("AddressesTaken", sentence)

    def _no_overlap(self, name: str, wanted: str) -> None:
        for other, held in sorted(self._state.all("network").items()):
            subnet = held.get("subnet")
            if subnet and ip_network(subnet["range"]).overlaps(ip_network(wanted)):
                sentence = (
                    f"create network {name} with the addresses {wanted}: {other} has {subnet['range']}; set "
                    "PIERHEAD_POD_RANGE to a range that is free on all hosts, or remove the network that overlaps"
                )
                raise self._error("AddressesTaken", sentence)

    def ensure_volume(self, spec: VolumeSpec) -> None:
        limits = {"memory": spec.memory, "size_bytes": spec.size_bytes}
        self.ensure("volume", spec.name, {"labels": dict(spec.labels), **limits, "files": {}})

    def fill_volume(self, name: str, files: Sequence[FileEntry]) -> None:
        volume = self._state.all("volume").get(name)
        if volume is None:
            raise self._error("NoSuchVolume", f"fill volume {name}: there is no such volume")
        self.ensure("volume", name, volume)
        written = {file.path.lstrip("/"): file.data.decode("latin-1") for file in files if not file.is_folder}
        self.write(name, written)

    def write(self, volume: str, files: dict[str, str]) -> None:
        """Contents (latin-1 text) by path in the volume, over what is there."""
        held = self._state.all("volume")[volume]
        self._state.put("volume", volume, {**held, "files": {**held["files"], **files}})

    def volumes(self) -> list[VolumeSpec]:
        held = sorted(self.ours("volume").items())
        return [VolumeSpec(name, v["labels"], v["memory"], v["size_bytes"] if v["memory"] else 0) for name, v in held]

    def next_ip(self) -> str:
        number = self._state.all("host").get("addresses", 0) + 1
        self._state.put("host", "addresses", number)
        return f"10.{200 + number // 62_500 % 50}.{number // 250 % 250}.{number % 250 + 2}"

    def _error(self, reason: str, sentence: str) -> EngineError:
        return EngineError(reason, f"{self._host}: cannot {sentence}")


def _image(name: str, image: dict[str, Any]) -> ImageSeen:
    return ImageSeen(name, tuple(image["tags"]), tuple(image["digests"]), image["user"])


def _with_tag(reference: str) -> str:
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
