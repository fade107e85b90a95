"""Networks and volumes of one host. What lacks this cluster's label is never returned and never touched."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from deployer.adapters import docker_render as render
from deployer.adapters import docker_seen as seen
from deployer.adapters.docker_wire import Request, Wire, json_body
from deployer.core.container import LABEL_CLUSTER, FileEntry, VolumeSpec
from deployer.ports import EngineError

_HOLDER_LABEL = "pierhead.io/holder"
_LONG_SECONDS = 120.0


class Storage:
    def __init__(self, wire: Wire, cluster_id: str) -> None:
        self._wire, self._cluster_id = wire, cluster_id
        self._making_networks = threading.Lock()

    def ensure_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Docker allows two networks of one name if they are made at once: one thread at a time."""
        with self._making_networks:
            if self._found("networks", name):
                return
            body = json_body(render.network_body(name, labels, self._cluster_id))
            request = Request(
                "POST",
                "/networks/create",
                f"create network {name}",
                body=body,
                done=(409,),
                timeout_seconds=_LONG_SECONDS,
            )
            if self._wire.call(request).status == 409:
                self._found("networks", name)

    def networks(self) -> list[str]:
        rows = self._wire.json(Request("GET", "/networks", "list networks", self._ours_only()))
        return sorted(row["Name"] for row in rows)

    def remove_network(self, name: str) -> None:
        if self._is_ours("networks", name):
            self._remove("networks", name, "network", "containers are attached to it")

    def ensure_volume(self, spec: VolumeSpec) -> None:
        """Docker answers with the volume that is there already, if there is one."""
        body = json_body(render.volume_body(spec, self._cluster_id))
        made = self._wire.json(Request("POST", "/volumes/create", f"create volume {spec.name}", body=body))
        self._must_be_ours(made, f"volume {spec.name}")

    def volumes(self) -> list[VolumeSpec]:
        rows = self._wire.json(Request("GET", "/volumes", "list volumes", self._ours_only()))["Volumes"] or []
        return sorted((seen.volume_seen(row) for row in rows), key=lambda volume: volume.name)

    def remove_volume(self, name: str) -> None:
        if self._is_ours("volumes", name):
            self._remove("volumes", name, "volume", "a container uses it")

    def fill_volume(self, name: str, files: Sequence[FileEntry], image: str) -> None:
        """Write `files` over what is in the volume, through a container that is never started.

        Not for a volume in memory that nothing has mounted: it is emptied when its last container lets go of it.
        """
        if not self._found("volumes", name):
            raise EngineError("NoSuchVolume", f"{self._wire.host}: cannot fill volume {name}: there is no such volume")
        holder = f"pierhead-fill-{name}"
        self._remove_holder(holder)  # of a worker that was killed here
        body = json_body(render.holder_body(image, name, _HOLDER_LABEL, self._cluster_id))
        made = self._wire.json(self._filling("POST", "/containers/create", name, {"name": holder}, body))
        try:
            path, content = f"/containers/{made['Id']}/archive", render.archive(files)
            self._wire.call(self._filling("PUT", path, name, {"path": "/volume"}, content))
        finally:
            self._remove_holder(made["Id"])

    def _filling(self, method: str, path: str, name: str, query: dict[str, str], body: bytes) -> Request:
        what = f"fill volume {name}"
        return Request(method, path, what, query, body, asked="create", timeout_seconds=_LONG_SECONDS)

    def _remove_holder(self, holder: str) -> None:
        query = {"force": "1"}
        self._wire.call(Request("DELETE", f"/containers/{holder}", f"remove {holder}", query, done=(404, 409)))

    def _is_ours(self, kind: str, name: str) -> bool:
        found = self._look(kind, name)
        return found is not None and (found.get("Labels") or {}).get(LABEL_CLUSTER) == self._cluster_id

    def _found(self, kind: str, name: str) -> bool:
        """Whether it is there. Raises NameConflict when it is, but not ours."""
        found = self._look(kind, name)
        if found is not None:
            self._must_be_ours(found, f"{kind[:-1]} {name}")
        return found is not None

    def _look(self, kind: str, name: str) -> dict[str, Any] | None:
        response = self._wire.call(Request("GET", f"/{kind}/{name}", f"look for {kind[:-1]} {name}", done=(404,)))
        if response.status == 404:
            return None
        found: dict[str, Any] = json.loads(response.data)
        return found if found.get("Name") == name else None  # Docker also finds a network by the start of its id

    def _must_be_ours(self, found: Mapping[str, Any], what: str) -> None:
        if (found.get("Labels") or {}).get(LABEL_CLUSTER) != self._cluster_id:
            sentence = f"{self._wire.host}: {what} is there already and not of this cluster; remove or rename it"
            raise EngineError("NameConflict", sentence)

    def _remove(self, kind: str, name: str, noun: str, in_use: str) -> None:
        request = Request(
            "DELETE",
            f"/{kind}/{name}",
            f"remove {noun} {name}",
            done=(403, 404, 409),
            timeout_seconds=_LONG_SECONDS,
        )
        if self._wire.call(request).status in (403, 409):
            raise EngineError(f"{noun.capitalize()}InUse", f"{self._wire.host}: cannot {request.what}: {in_use}")

    def _ours_only(self) -> dict[str, str]:
        return {"filters": json.dumps({"label": [f"{LABEL_CLUSTER}={self._cluster_id}"]})}
