"""Images on one host: found, pulled, loaded, collected.

Docker cannot label an image, so one that Pierhead brings to a host gets a second tag in a repository of the cluster's
own (`pierhead/kept-<cluster>`): that, or a container of ours made from it, is what makes it ours to collect. An image
that was there before is never marked, and so never removed.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from deployer.adapters import docker_seen as seen
from deployer.adapters.docker_errors import refusal
from deployer.adapters.docker_wire import Request, Wire, json_lines, quoted
from deployer.adapters.pause_image import pause_archive
from deployer.core.container import LABEL_CLUSTER, PAUSE_IMAGE, EngineInfo, ImageSeen, RegistryAuth
from deployer.ports import EngineError

_REFERENCE = re.compile(r"[A-Za-z0-9]+(?:[._:@/-]+[A-Za-z0-9_]+)*")
_SILENCE_SECONDS = 60.0
"""A pull that moves nothing for so long has failed; however long it takes otherwise, it may go on."""
_LONG_SECONDS = 120.0


class Images:
    def __init__(self, wire: Wire, cluster_id: str) -> None:
        self._wire = wire
        self._cluster_id = cluster_id
        self._mark = f"pierhead/kept-{re.sub(r'[^a-z0-9]+', '-', cluster_id.lower()).strip('-')}"

    def find(self, reference: str) -> ImageSeen | None:
        path = f"/images/{quoted(_checked(reference))}/json"
        response = self._wire.call(Request("GET", path, f"look for image {reference}", done=(404,)))
        if response.status == 404:
            return None
        return seen.image_seen(json.loads(response.data), except_tags=f"{self._mark}:")

    def pull(self, reference: str, auth: RegistryAuth | None) -> ImageSeen:
        repository, tag = _split(_checked(reference))
        before = {row["Id"] for row in self._listed({})}
        request = Request(
            "POST",
            "/images/create",
            f"pull {reference}",
            {"fromImage": repository, "tag": tag},
            headers={"X-Registry-Auth": _auth_header(auth)},
            asked="pull",
            timeout_seconds=_SILENCE_SECONDS,
        )
        with self._wire.stream(request) as response:
            for line in json_lines(response):
                if said := line.get("error"):
                    raise refusal(self._wire.host, request.what, 500, str(said), "pull")
        image = self.find(reference)
        if image is None:
            raise refusal(self._wire.host, request.what, 404, "the engine does not have it after pulling it", "pull")
        if image.id not in before:
            self._tag(image.id, self._mark, _short(image.id))
        return image

    def ours(self) -> list[ImageSeen]:
        made_from = self._made_from()
        rows = {row["Id"]: row for row in self._listed({})}
        kept = [row for row in rows.values() if row["Id"] in made_from or self._is_marked(row)]
        return sorted((seen.image_seen(row, except_tags=f"{self._mark}:") for row in kept), key=lambda image: image.id)

    def remove(self, reference: str) -> None:
        """Take away `reference`; given an id, every name of that image. Only of images that are marked as ours.

        The mark goes last: an image that is in use keeps it, and is collected another time.
        """
        image = self.find(reference)
        if image is None or not any(self._is_marked(row) for row in self._listed({}) if row["Id"] == image.id):
            return
        for name in (*image.tags, *image.digests) if reference == image.id else (reference,):
            self._untag(name)
        left = self.find(image.id)
        if left and not left.tags and not left.digests:
            self._untag(f"{self._mark}:{_short(image.id)}")

    def ensure_pause(self, info: Callable[[], EngineInfo], fallback: str) -> str:
        """Load the pause image, or pull `fallback` for a processor that there is no code for."""
        if self.find(PAUSE_IMAGE) is not None:
            return PAUSE_IMAGE
        architecture = info().architecture
        content = pause_archive(PAUSE_IMAGE, architecture)
        if content is not None:
            self._load(content)
        elif fallback:
            self._tag(self.pull(fallback, None).id, *PAUSE_IMAGE.rsplit(":", 1))
        else:
            sentence = f"{self._wire.host}: no pause image is known for {architecture}: configure one to be pulled"
            raise EngineError("ImageNotFound", sentence, retryable=False)
        return PAUSE_IMAGE

    def _load(self, content: bytes) -> None:
        request = Request(
            "POST",
            "/images/load",
            "load the pause image",
            {"quiet": "1"},
            content,
            {"Content-Type": "application/x-tar"},
            timeout_seconds=_LONG_SECONDS,
        )
        for line in self._wire.call(request).data.splitlines():
            if said := json.loads(line).get("error"):
                raise refusal(self._wire.host, request.what, 500, str(said))

    def _tag(self, image: str, repository: str, tag: str) -> None:
        query = {"repo": repository, "tag": tag}
        self._wire.call(Request("POST", f"/images/{quoted(image)}/tag", f"tag image {_short(image)}", query))

    def _untag(self, name: str) -> None:
        path, what = f"/images/{quoted(name)}", f"remove image {name}"
        response = self._wire.call(Request("DELETE", path, what, done=(404, 409), timeout_seconds=_LONG_SECONDS))
        if response.status == 409:
            raise EngineError("ImageInUse", f"{self._wire.host}: cannot {what}: a container is made from it")

    def _listed(self, filters: dict[str, list[str]]) -> list[dict[str, Any]]:
        query = {"digests": "1", "filters": json.dumps(filters)}
        rows: list[dict[str, Any]] = self._wire.json(Request("GET", "/images/json", "list images", query))
        return rows

    def _is_marked(self, row: dict[str, Any]) -> bool:
        return any(tag.startswith(f"{self._mark}:") for tag in row.get("RepoTags") or ())

    def _made_from(self) -> set[str]:
        """The images of this cluster's containers."""
        query = {"all": "1", "filters": json.dumps({"label": [f"{LABEL_CLUSTER}={self._cluster_id}"]})}
        rows = self._wire.json(Request("GET", "/containers/json", "list containers", query))
        return {row.get("ImageID", "") for row in rows}


def _split(reference: str) -> tuple[str, str]:
    """What is pulled, as the API wants it: "a/b:1" -> ("a/b", "1"), "a/b:1@sha256:x" -> ("a/b", "sha256:x")."""
    name, _, digest = reference.partition("@")
    head, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    repository = f"{head}/{last}" if head else last
    return repository, digest or tag or "latest"


def _auth_header(auth: RegistryAuth | None) -> str:
    """Without `auth` an explicit "nobody": the credentials of the engine's own user are not used."""
    value = {"username": auth.username, "password": auth.password, "serveraddress": auth.server} if auth else {}
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def _short(image: str) -> str:
    return image.rpartition(":")[2][:12]


def _checked(reference: str) -> str:
    """A reference that cannot leave its place in a path. Raises InvalidImageName."""
    if len(reference) > 512 or not _REFERENCE.fullmatch(reference) or ".." in reference or "//" in reference:
        raise EngineError("InvalidImageName", f"{reference!r} is not an image's name", retryable=False)
    return reference
