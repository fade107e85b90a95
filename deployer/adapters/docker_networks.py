"""Bridges of one host, and which containers sit on them at which address.

What lacks this cluster's label is never returned and never touched. Containers are given by the id of one of ours.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from deployer.adapters import docker_render as render
from deployer.adapters import docker_seen as seen
from deployer.adapters.docker_owned import Owned
from deployer.adapters.docker_wire import Request, Wire, json_body
from deployer.core.container import Subnet
from deployer.ports import EngineError

_LONG_SECONDS = 120.0


class Networks:
    def __init__(self, wire: Wire, cluster_id: str) -> None:
        self._wire, self._cluster_id = wire, cluster_id
        self._owned = Owned(wire, cluster_id, "networks")
        self._making = threading.Lock()

    def ensure(self, name: str, labels: Mapping[str, str], subnet: Subnet | None) -> None:
        """Docker allows two networks of one name if they are made at once: one thread at a time.

        One that has other addresses is made anew when no container, running or not, belongs to it.
        """
        with self._making:
            found = self._owned.find(name)
            if found is not None:
                if subnet is None or seen.subnets_seen(found) == [subnet]:
                    return
                self._remove_to_make_anew(found, subnet)
            self._make(name, labels, subnet)

    def names(self) -> list[str]:
        return sorted(row["Name"] for row in self._list(self._owned.only))

    def ranges(self) -> dict[str, str]:
        """Name -> its first range of IPv4 addresses; a network without one is left out."""
        found = {row["Name"]: seen.subnets_seen(row) for row in self._list(self._owned.only)}
        return {name: subnets[0].range for name, subnets in sorted(found.items()) if subnets}

    def remove(self, name: str) -> None:
        self._owned.remove(name, "containers are attached to it")

    def attach(self, container: str, called: str, network: str, address: str) -> None:
        """`called` is the container's name in sentences. Raises NetworkMissing, AddressesTaken."""
        what = f"attach {called} to network {network} at {address}"
        found = self._owned.look(network)
        if found is None or not self._owned.is_ours(found):
            raise EngineError("NetworkMissing", f"{self._wire.host}: cannot {what}: there is no such network")
        current = self._address(container, network, what)
        if current == address:
            return
        if current is not None:
            self.detach(container, called, network)
        endpoint = {"IPAMConfig": {"IPv4Address": address}}
        body = json_body({"Container": container, "EndpointConfig": endpoint})
        path = f"/networks/{network}/connect"
        request = Request("POST", path, what, body=body, asked="attach", timeout_seconds=_LONG_SECONDS)
        try:
            self._wire.call(request)
        except EngineError as error:
            if self._address(container, network, what) == address:
                return  # somebody else was faster
            raise self._with_holder(error, network, address) from error

    def detach(self, container: str, called: str, network: str) -> None:
        found = self._owned.look(network)
        if found is not None and not self._owned.is_ours(found):
            return
        what = f"detach {called} from network {network}"
        if self._address(container, network, what) is None:
            return
        body = json_body({"Container": container, "Force": found is None})
        path = f"/networks/{network}/disconnect"
        request = Request("POST", path, what, body=body, asked="detach", done=(404,), timeout_seconds=_LONG_SECONDS)
        try:
            self._wire.call(request)
        except EngineError as error:
            if error.reason != "NotAttached":  # an endpoint that Docker failed to make is remembered, but is not there
                raise

    def _make(self, name: str, labels: Mapping[str, str], subnet: Subnet | None) -> None:
        what = f"create network {name}" + (f" with the addresses {subnet.range}" if subnet else "")
        body = json_body(render.network_body(name, labels, self._cluster_id, subnet))
        path = "/networks/create"
        request = Request("POST", path, what, body=body, asked="network", done=(409,), timeout_seconds=_LONG_SECONDS)
        try:
            if self._wire.call(request).status == 409:
                self._owned.find(name)
        except EngineError as error:
            if error.reason != "AddressesTaken" or subnet is None:
                raise
            overlapping = self._overlapping(subnet)
            if not overlapping:
                raise
            raise EngineError(error.reason, f"{error.sentence} ({', '.join(overlapping)})") from error

    def _remove_to_make_anew(self, found: Mapping[str, Any], subnet: Subnet) -> None:
        name = found["Name"]
        users = self._users(name)
        if users:
            has = ", ".join(other.range for other in seen.subnets_seen(found)) or "no fixed ones"
            sentence = (
                f"{self._wire.host}: cannot give network {name} the addresses {subnet.range}: it has {has}, and "
                f"{', '.join(users)} {'belongs' if len(users) == 1 else 'belong'} to it; remove these first (drain the "
                "node), or set PIERHEAD_POD_RANGE back"
            )
            raise EngineError("AddressesTaken", sentence)
        self.remove(name)

    def _users(self, network: str) -> list[str]:
        """Names of the containers on it, running or not: one that is stopped would not start without it."""
        query = {"all": "1", "filters": json.dumps({"network": [network]})}
        rows = self._wire.json(Request("GET", "/containers/json", f"look who is on network {network}", query))
        return sorted(row["Names"][0].lstrip("/") for row in rows if row.get("Names"))

    def _overlapping(self, subnet: Subnet) -> list[str]:
        wanted = ip_network(subnet.range)
        rows = self._list({})
        return sorted(
            f"{row['Name']} has {other.range}"
            for row in rows
            for other in seen.subnets_seen(row)
            if wanted.overlaps(ip_network(other.range, strict=False))
        )

    def _address(self, container: str, network: str, what: str) -> str | None:
        """The container's address there, "" for any; None when it is not there or gone."""
        response = self._wire.call(Request("GET", f"/containers/{container}/json", what, done=(404,)))
        if response.status == 404:
            return None
        return seen.networks_seen(json.loads(response.data)).get(network)

    def _with_holder(self, error: EngineError, network: str, address: str) -> EngineError:
        """The same error; with the name of the container that has the address, if there is one."""
        attached = ((self._owned.look(network) or {}).get("Containers") or {}).values()
        for other in attached:
            if other.get("IPv4Address", "").partition("/")[0] == address:
                sentence = f"{error.sentence} ({other['Name']} has it)"
                return EngineError("AddressesTaken", sentence)
        return error

    def _list(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._wire.json(Request("GET", "/networks", "list networks", query))
        return rows
