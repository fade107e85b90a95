"""Networks and volumes of this cluster on one host: looked up, told apart from others' by label, removed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from deployer.adapters.docker_wire import Request, Wire
from deployer.core.container import LABEL_CLUSTER
from deployer.ports import EngineError

_LONG_SECONDS = 120.0


class Owned:
    """Things of one kind. What lacks this cluster's label is never touched."""

    def __init__(self, wire: Wire, cluster_id: str, kind: Literal["networks", "volumes"]) -> None:
        self._wire, self._cluster_id, self._kind, self._noun = wire, cluster_id, kind, kind.removesuffix("s")

    @property
    def only(self) -> dict[str, str]:
        """The query that lists nobody else's."""
        return {"filters": json.dumps({"label": [f"{LABEL_CLUSTER}={self._cluster_id}"]})}

    def look(self, name: str) -> dict[str, Any] | None:
        """The thing of this name, whoever owns it."""
        what = f"look for {self._noun} {name}"
        response = self._wire.call(Request("GET", f"/{self._kind}/{name}", what, done=(404,)))
        if response.status == 404:
            return None
        found: dict[str, Any] = json.loads(response.data)
        return found if found.get("Name") == name else None  # Docker also finds a network by the start of its id

    def find(self, name: str) -> dict[str, Any] | None:
        """The same. Raises NameConflict when it is there, but not ours."""
        found = self.look(name)
        if found is not None:
            self.must_be_ours(found, name)
        return found

    def is_ours(self, found: Mapping[str, Any]) -> bool:
        return (found.get("Labels") or {}).get(LABEL_CLUSTER) == self._cluster_id

    def must_be_ours(self, found: Mapping[str, Any], name: str) -> None:
        if not self.is_ours(found):
            sentence = f"{self._noun} {name} is there already and not of this cluster; remove or rename it"
            raise EngineError("NameConflict", f"{self._wire.host}: {sentence}")

    def remove(self, name: str, in_use: str) -> None:
        """Raises NetworkInUse or VolumeInUse; `in_use` says by what."""
        found = self.look(name)
        if found is None or not self.is_ours(found):
            return
        path, what = f"/{self._kind}/{name}", f"remove {self._noun} {name}"
        request = Request("DELETE", path, what, done=(403, 404, 409), timeout_seconds=_LONG_SECONDS)
        if self._wire.call(request).status in (403, 409):
            raise EngineError(f"{self._noun.capitalize()}InUse", f"{self._wire.host}: cannot {what}: {in_use}")
