"""Volumes of one host. What lacks this cluster's label is never returned and never touched."""

from __future__ import annotations

from collections.abc import Sequence

from deployer.adapters import docker_render as render
from deployer.adapters import docker_seen as seen
from deployer.adapters.docker_owned import Owned
from deployer.adapters.docker_wire import Request, Wire, json_body
from deployer.core.container import FileEntry, VolumeSpec
from deployer.ports import EngineError

_HOLDER_LABEL = "pierhead.io/holder"
_LONG_SECONDS = 120.0


class Storage:
    def __init__(self, wire: Wire, cluster_id: str) -> None:
        self._wire, self._cluster_id = wire, cluster_id
        self._owned = Owned(wire, cluster_id, "volumes")

    def ensure_volume(self, spec: VolumeSpec) -> None:
        """Docker answers with the volume that is there already, if there is one."""
        body = json_body(render.volume_body(spec, self._cluster_id))
        made = self._wire.json(Request("POST", "/volumes/create", f"create volume {spec.name}", body=body))
        self._owned.must_be_ours(made, spec.name)

    def volumes(self) -> list[VolumeSpec]:
        rows = self._wire.json(Request("GET", "/volumes", "list volumes", self._owned.only))["Volumes"] or []
        return sorted((seen.volume_seen(row) for row in rows), key=lambda volume: volume.name)

    def remove_volume(self, name: str) -> None:
        self._owned.remove(name, "a container uses it")

    def fill_volume(self, name: str, files: Sequence[FileEntry], image: str) -> None:
        """Write `files` over what is in the volume, through a container that is never started.

        Not for a volume in memory that nothing has mounted: it is emptied when its last container lets go of it.
        """
        if self._owned.find(name) is None:
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
