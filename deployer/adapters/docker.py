"""A real Docker host behind the port `Engine`.

One listing shows a whole host, and a plain container costs two calls (create, start). Whether a container is ours is
known from the listing or from having created it; anything else is looked at before it is touched, and everything is
done by id, so that a foreign container which takes over a name is never hit.

Threads may share an engine; as many connections as `pool` are kept open.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path

from urllib3 import BaseHTTPResponse

from deployer.adapters import docker_render as render
from deployer.adapters import docker_seen as seen
from deployer.adapters.docker_address import (
    EngineAddress,
    Location,
    explain_reset,
    locate,
    tcp_pool,
    tls_context,
    unix_pool,
)
from deployer.adapters.docker_commands import Commands
from deployer.adapters.docker_images import Images
from deployer.adapters.docker_logs import Logs
from deployer.adapters.docker_networks import Networks
from deployer.adapters.docker_ssh import Tunnel
from deployer.adapters.docker_storage import Storage
from deployer.adapters.docker_terminal import Terminals
from deployer.adapters.docker_usage import Usages
from deployer.adapters.docker_wire import Request, Wire, json_body, json_lines
from deployer.core.container import (
    LABEL_ATTEMPT,
    LABEL_CLUSTER,
    LABEL_POD_UID,
    ContainerSeen,
    ContainerSpec,
    EngineEvent,
    EngineInfo,
    ExecResult,
    FileEntry,
    ImageSeen,
    RegistryAuth,
    Subnet,
    VolumeSpec,
)
from deployer.core.usage import Usage
from deployer.ports import Engine, EngineError, EngineUnreachable, Terminal

_PING_SECONDS, _FIRST_PING_SECONDS = 1.0, 3.0
_LONG_SECONDS = 120.0
"""For what the engine may take long over when it is busy. A host that vanishes meanwhile is noticed much earlier."""
_EVENTS = ["create", "start", "die", "oom", "destroy", "pause", "unpause", "rename", "health_status"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_IDS_KEPT = 20_000
_ROUNDING_SECONDS = 1e-6
"""A float holds today's time to a quarter of a microsecond, events have nanoseconds: better one twice than one lost."""


def open_engine(
    address: EngineAddress,
    cluster_id: str,
    *,
    run_dir: Path,
    timeout_seconds: float = 10,
    pool: int = 32,
    pause_image_fallback: str = "",
) -> Engine:
    """The engine at `address`. Nothing is sent before the first call; `ping()` and `info()` test a registration.

    `run_dir` holds tunnels' sockets and simulated engines' state. `pause_image_fallback` is pulled on processors
    other than x86-64 and ARM64. Raises EngineError("InvalidAddress").
    """
    location = locate(address)
    if location.scheme == "sim":
        from deployer.adapters.simulated import SimulatedEngine

        return SimulatedEngine(location.host, cluster_id, run_dir=run_dir)
    tunnel = Tunnel(address, location, run_dir, timeout_seconds) if location.scheme == "ssh" else None
    wire = _connect(address, location, tunnel, timeout_seconds, pool)
    explain = tunnel.explain if tunnel else partial(explain_reset, address, location)
    return DockerEngine(
        wire,
        cluster_id,
        explain=explain,
        close=tunnel.close if tunnel else _nothing,
        pause_image_fallback=pause_image_fallback,
    )


class DockerEngine:
    def __init__(
        self,
        wire: Wire,
        cluster_id: str,
        *,
        explain: Callable[[EngineUnreachable], EngineUnreachable],
        close: Callable[[], None],
        pause_image_fallback: str,
    ) -> None:
        """`explain` may find a better word for a ping that failed; `close` ends what carries the connection."""
        self._wire, self._cluster_id, self._explain, self._close = wire, cluster_id, explain, close
        self._pause_image_fallback = pause_image_fallback
        self._images = Images(wire, cluster_id)
        self._networks = Networks(wire, cluster_id)
        self._storage = Storage(wire, cluster_id)
        self._commands = Commands(wire)
        self._terminals = Terminals(wire, self._commands)
        self._logs = Logs(wire)
        self._usages = Usages(wire)
        self._ids: dict[str, str] = {}
        """Names and ids of containers known to be ours -> their ids."""

    # The host

    def ping(self) -> None:
        try:
            self._wire.ping(_PING_SECONDS if self._wire.is_known else _FIRST_PING_SECONDS)
        except EngineUnreachable as error:
            raise self._explain(error) from error.__cause__

    def info(self) -> EngineInfo:
        return seen.engine_info(self._wire.json(Request("GET", "/info", "read the engine's description")))

    def host_time(self) -> float:
        found = self._wire.json(Request("GET", "/info", "read the engine's clock"))
        return seen.seconds(found["SystemTime"])

    def close(self) -> None:
        self._wire.close()
        self._close()

    # Containers

    def containers(self) -> list[ContainerSeen]:
        query = {"all": "1", "filters": self._ours_only()}
        rows = self._wire.json(Request("GET", "/containers/json", "list containers", query))
        found = [seen.container_listed(row) for row in rows]
        for container in found:
            self._remember(container.name, container.id)
        return found

    def inspect(self, container: str) -> ContainerSeen | None:
        request = Request("GET", f"/containers/{_checked(container)}/json", f"inspect {container}", done=(404,))
        response = self._wire.call(request)
        if response.status == 404:
            return None
        found = seen.container_inspected(json.loads(response.data), _host_clock(response))
        if found.labels.get(LABEL_CLUSTER) != self._cluster_id:
            return None
        self._remember(found.name, found.id)
        return found

    def create(self, spec: ContainerSpec, files: Sequence[FileEntry] = ()) -> str:
        request = Request(
            "POST",
            "/containers/create",
            f"create {_checked(spec.name)}",
            {"name": spec.name},
            json_body(render.create_body(spec, self._cluster_id)),
            asked="create",
            done=(409,),
            timeout_seconds=_LONG_SECONDS,
        )
        response = self._wire.call(request)
        if response.status == 409:
            return self._created_before(spec, files)
        container: str = json.loads(response.data)["Id"]
        self._commands.put_files(container, spec.name, "/", files, "create")
        self._remember(spec.name, container)
        return container

    def start(self, container: str) -> None:
        found = self._ours_or_error(container, "start")
        path = f"/containers/{found}/start"
        request = Request("POST", path, f"start {container}", asked="start", timeout_seconds=_LONG_SECONDS)
        try:
            self._wire.call(request)  # 304: it runs already
        except EngineError as error:
            if error.reason != "Paused":
                raise
            self._wire.call(Request("POST", f"/containers/{found}/unpause", f"resume {container}", asked="start"))

    def stop(self, container: str, grace_seconds: int) -> None:
        found = self._ours(container)
        if found is None:
            return
        path, query = f"/containers/{found}/stop", {"t": str(grace_seconds)}
        waiting = grace_seconds + _LONG_SECONDS
        self._wire.call(Request("POST", path, f"stop {container}", query, done=(404,), timeout_seconds=waiting))

    def remove(self, container: str) -> None:
        found = self._ours(container)
        if found is None:
            return
        path, query = f"/containers/{found}", {"force": "1", "v": "1"}
        self._wire.call(  # 409: somebody else's removal of it is under way
            Request("DELETE", path, f"remove {container}", query, done=(404, 409), timeout_seconds=_LONG_SECONDS)
        )
        self._ids = {name: known for name, known in self._ids.items() if known != found}

    def put_files(self, container: str, folder: str, files: Sequence[FileEntry]) -> None:
        """Reasons of failure: NoSuchContainer, FolderMissing, ReadOnlyFolder, DiskFull."""
        found = self._ours_or_error(container, "put files into")
        self._commands.put_files(found, container, folder, files)

    def execute(self, container: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        found = self._ours_or_error(container, "run a command in")
        return self._commands.execute(found, container, command, timeout_seconds)

    def terminal(self, container: str, command: Sequence[str], *, columns: int, rows: int) -> Terminal:
        found = self._ours_or_error(container, "open a terminal in")
        return self._terminals.open(found, container, command, columns, rows)

    def logs(
        self,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        timestamps: bool = False,
    ) -> Iterator[bytes]:
        """What the container wrote, in pieces of a line at most. While following, b"" every 15 s of silence, so that
        a reader may leave."""
        found = self._ours_or_error(container, "read the logs of")
        return self._logs.read(found, container, tail=tail, since=since, follow=follow, timestamps=timestamps)

    def usage(self, containers: Sequence[str], within_seconds: float) -> dict[str, Usage]:
        ours = {container: found for container in containers if (found := self._ours(container)) is not None}
        return self._usages.read(ours, within_seconds)

    def events(self, since: float, until: float) -> Iterator[EngineEvent]:
        label = f"{LABEL_CLUSTER}={self._cluster_id}"
        filters = json.dumps({"type": ["container"], "label": [label], "event": _EVENTS})
        query = {"since": f"{since - _ROUNDING_SECONDS:.9f}", "until": f"{until:.9f}", "filters": filters}
        waiting = max(0.0, until - since) + self._wire.timeout_seconds
        request = Request("GET", "/events", "read events", query, timeout_seconds=waiting)
        with self._wire.stream(request) as response:
            for found in json_lines(response):
                yield seen.event_seen(found)

    # Images, networks, volumes

    def image(self, reference: str) -> ImageSeen | None:
        return self._images.find(reference)

    def images(self) -> list[ImageSeen]:
        return self._images.ours()

    def pull(self, reference: str, auth: RegistryAuth | None = None) -> ImageSeen:
        return self._images.pull(reference, auth)

    def remove_image(self, reference: str) -> None:
        self._images.remove(reference)

    def ensure_pause_image(self) -> str:
        return self._images.ensure_pause(self.info, self._pause_image_fallback)

    def ensure_network(self, name: str, labels: dict[str, str], subnet: Subnet | None = None) -> None:
        self._networks.ensure(_checked(name), labels, subnet)

    def attach(self, container: str, network: str, address: str) -> None:
        found = self._ours_or_error(container, f"attach to network {network}:")
        self._networks.attach(found, container, _checked(network), address)

    def detach(self, container: str, network: str) -> None:
        found = self._ours(container)
        if found is not None:
            self._networks.detach(found, container, _checked(network))

    def networks(self) -> list[str]:
        return self._networks.names()

    def subnets(self) -> dict[str, str]:
        return self._networks.ranges()

    def remove_network(self, name: str) -> None:
        self._networks.remove(_checked(name))

    def ensure_volume(self, spec: VolumeSpec) -> None:
        _checked(spec.name)
        self._storage.ensure_volume(spec)

    def fill_volume(self, name: str, files: Sequence[FileEntry]) -> None:
        self._storage.fill_volume(_checked(name), files, self.ensure_pause_image())

    def volumes(self) -> list[VolumeSpec]:
        return self._storage.volumes()

    def remove_volume(self, name: str) -> None:
        self._storage.remove_volume(_checked(name))

    # How

    def _created_before(self, spec: ContainerSpec, files: Sequence[FileEntry]) -> str:
        """The container that has the name: done already if it is the same pod's same attempt."""
        found = self.inspect(spec.name)
        same = found is not None and all(
            found.labels.get(label, "") == spec.labels.get(label, "") for label in (LABEL_POD_UID, LABEL_ATTEMPT)
        )
        if found is None or not same or found.state in ("removing", "dead"):
            owner = "a container that is being removed" if found and same else "another container"
            raise EngineError(
                "NameConflict", f"{self._wire.host}: cannot create {spec.name}: {owner} has this name; remove it"
            )
        if found.state == "created":
            self._commands.put_files(found.id, spec.name, "/", files, "create")
        return found.id

    def _ours(self, container: str) -> str | None:
        """The id of this container if it is there and ours."""
        known = self._ids.get(container)
        if known is None:
            found = self.inspect(container)
            known = found.id if found else None
        return known

    def _ours_or_error(self, container: str, what: str) -> str:
        found = self._ours(container)
        if found is None:
            sentence = f"{self._wire.host}: cannot {what} {container}: there is no such container"
            raise EngineError("NoSuchContainer", sentence)
        return found

    def _remember(self, name: str, container: str) -> None:
        if len(self._ids) > _IDS_KEPT:
            self._ids = {}
        self._ids[name] = self._ids[container] = container

    def _ours_only(self) -> str:
        return json.dumps({"label": [f"{LABEL_CLUSTER}={self._cluster_id}"]})


def _connect(
    address: EngineAddress, location: Location, tunnel: Tunnel | None, timeout_seconds: float, pool: int
) -> Wire:
    if tunnel:
        return Wire(location.label, lambda: unix_pool(tunnel.socket_path, pool), timeout_seconds, tunnel.ensure)
    if location.scheme == "unix":
        return Wire(location.label, lambda: unix_pool(location.host, pool), timeout_seconds, _nothing)
    context = tls_context(address)
    return Wire(location.label, lambda: tcp_pool(location, context, pool), timeout_seconds, _nothing)


def _nothing() -> None:
    """A connection that needs no preparation."""


def _checked(name: str) -> str:
    """A name or id that cannot leave its place in a path. Raises InvalidName."""
    if not _NAME.fullmatch(name):
        raise EngineError("InvalidName", f"{name!r} is not a container's, volume's or network's name", retryable=False)
    return name


def _host_clock(response: BaseHTTPResponse) -> float:
    """The host's time as the answer's Date header tells it, in whole seconds."""
    return parsedate_to_datetime(response.headers["Date"]).timestamp()
