"""Services: a frontend at each virtual address, a backend with the endpoints behind it.

    vip.shop.web.80 -> svc.shop.web.80, or svc.shop.web.80:canary (`splits.py`)
    for each pod of a headless one: vip.shop.db.5432.db-0 -> svc.shop.db.5432.db-0

An ExternalName has the same frontends; its backend has one server, whose address HAProxy asks the resolver for
(`names.py` says why it is no CNAME). Policies are rules of the backend, so they hold on whatever way it is reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from deployer.core.network import policy
from deployer.core.network.addresses import MOST_SERVICES, virtual_address
from deployer.core.network.choosing import http_lines, tcp_lines
from deployer.core.network.endpoints import local_address, mode
from deployer.core.network.maps import REVISIONS, map_path, policy_map
from deployer.core.network.names import EXTERNAL_PORTS, is_alias
from deployer.core.network.preamble import DEFAULTS_HTTP, DEFAULTS_HTTP_BACKEND, DEFAULTS_TCP, PEERS
from deployer.core.network.scene import Scene
from deployer.core.network.sections import Part, Section, joined
from deployer.core.network.server_names import BACKUP
from deployer.core.network.servers import check_maps, servers, watch_lines
from deployer.core.network.splits import backend_name, canary_backend, sides, stickiness
from deployer.core.network.values import Endpoint, Mode, RoutedService
from deployer.core.objects.workload import ServicePort

_AFFINITY_SECONDS = 10800


def services(scene: Scene) -> Part:
    """Frontends, backends and their maps, of every Service."""
    return joined(_service(scene, service) for service in scene.services.values() if not is_alias(service))


def service_ports(service: RoutedService) -> tuple[ServicePort, ...]:
    """Those that are served: an ExternalName that lists none is forwarded on 80 and 443."""
    if service.spec.type == "ExternalName" and not service.spec.ports:
        return tuple(ServicePort(port=number, app_protocol="tcp") for number in EXTERNAL_PORTS)
    return service.spec.ports


def port_mode(service: RoutedService, port: ServicePort) -> Mode:
    """What is outside is passed on as it is, so that the far end may speak what it likes."""
    return "tcp" if service.spec.type == "ExternalName" else mode(port)


def led_to(scene: Scene, service: RoutedService, port: ServicePort) -> tuple[str, ...]:
    """The last lines of a frontend of this service port: which backend it leads to."""
    name, choice = backend_name(service, port), scene.choices.get(service.uid)
    default = f"default_backend {name}"
    if choice is None:
        return (default,)
    made = stickiness(choice, service)
    if port_mode(service, port) == "tcp":
        return (*tcp_lines(name, choice.split.workload, made is not None), default)
    named = f"http-request set-var(txn.backend) str({name})"
    return (named, *http_lines(() if made is None else (made,)), "use_backend %[var(txn.backend)]", default)


def backends(scene: Scene, name: str, service: RoutedService, port: ServicePort, mode: Mode) -> tuple[Section, ...]:
    """One of all endpoints under this name, or two with the canary's; in `mode` tcp, or http for an Ingress."""
    if service.spec.type == "ExternalName":
        return (Section(_head(name, mode), (_external(service, port),)),)
    rules = _policy_lines(scene, service, backend_name(service, port), mode)
    found, choice = scene.endpoints(service, port), scene.choices.get(service.uid)
    if choice is None:
        return (_backend(name, service, mode, rules, found),)
    each = sides(choice, found)
    return (
        _side(name, service, mode, rules, found, (each.stable, each.stable_reserve)),
        _side(canary_backend(name), service, mode, rules, found, (each.canary, each.canary_reserve)),
    )


def is_headless(service: RoutedService) -> bool:
    return service.spec.cluster_ip == "None" and service.spec.type != "ExternalName"


def frontend_head(name: str, mode: Mode) -> str:
    return f"frontend {name} from {DEFAULTS_TCP if mode == 'tcp' else DEFAULTS_HTTP}"


def _service(scene: Scene, service: RoutedService) -> Part:
    sections: list[Section] = []
    maps: dict[str, Mapping[str, str]] = {}
    for port in service_ports(service):
        pairs = _headless(scene, service, port) if is_headless(service) else _balanced(scene, service, port)
        sections.extend(pairs)
        maps.update(_policy_maps(scene, service, port))
    found = [one for port in service.spec.ports for one in scene.endpoints(service, port)]
    endings = ("", BACKUP) if service.uid in scene.choices else ("",)
    revisions = {one.pod.key + ending: str(int(one.pod.revision)) for one in found for ending in endings}
    checks = check_maps(found, lambda pod: local_address(pod, scene.cluster), endings)
    return joined((Part(tuple(sections), maps), Part(maps={**checks, REVISIONS: revisions})))


def _balanced(scene: Scene, service: RoutedService, port: ServicePort) -> Iterator[Section]:
    name, mode = backend_name(service, port), port_mode(service, port)
    if 1 <= service.index <= MOST_SERVICES:
        yield _frontend(scene, name, service.index, port, mode, led_to(scene, service, port))
    yield from backends(scene, name, service, port, mode)


def _headless(scene: Scene, service: RoutedService, port: ServicePort) -> Iterator[Section]:
    """A pair for every pod that has an address of its own, ready or not: only names follow readiness."""
    mode = port_mode(service, port)
    for name, endpoint in _of_its_own(scene, service, port):
        leads = (f"default_backend {name}",)
        yield _frontend(scene, name, service.pod_indexes[endpoint.pod.uid], port, mode, leads)
        yield _backend(name, service, mode, _policy_lines(scene, service, name, mode), (endpoint,))


def _of_its_own(scene: Scene, service: RoutedService, port: ServicePort) -> Iterator[tuple[str, Endpoint]]:
    """A headless Service's pods that have an address there, each with the name of its backend."""
    for endpoint in scene.endpoints(service, port):
        if 1 <= service.pod_indexes.get(endpoint.pod.uid, 0) <= MOST_SERVICES:
            yield f"{backend_name(service, port)}.{endpoint.pod.name}", endpoint


def _frontend(scene: Scene, name: str, index: int, port: ServicePort, mode: Mode, leads: tuple[str, ...]) -> Section:
    pod_range = scene.cluster.pod_range
    binds = (f"bind {virtual_address(pod_range, one.index, index)}:{port.port}" for one in scene.networks)
    return Section(frontend_head("vip" + name.removeprefix("svc"), mode), (*binds, *leads))


def _backend(
    name: str, service: RoutedService, mode: Mode, rules: Iterable[str], endpoints: Iterable[Endpoint]
) -> Section:
    found, early = tuple(endpoints), service.spec.publish_not_ready_addresses
    checks = () if early else watch_lines(found, mode)
    lines = (*rules, *_affinity(service), *checks)
    return Section(_head(name, mode), lines, servers(found, mode, early))


def _side(
    name: str,
    service: RoutedService,
    mode: Mode,
    rules: Iterable[str],
    endpoints: tuple[Endpoint, ...],
    serving: tuple[tuple[Endpoint, ...], tuple[Endpoint, ...]],
) -> Section:
    """Of a Service that is split. Its lines depend on all endpoints, so that they are the same on both sides."""
    early = service.spec.publish_not_ready_addresses
    checks = () if early else watch_lines(endpoints, mode)
    found = servers(serving[0], mode, early, serving[1], endpoints)
    return Section(_head(name, mode), ("option allbackups", *rules, *_affinity(service, True), *checks), found)


def _head(name: str, mode: Mode) -> str:
    return f"backend {name} from {DEFAULTS_TCP if mode == 'tcp' else DEFAULTS_HTTP_BACKEND}"


def _external(service: RoutedService, port: ServicePort) -> str:
    number = port.target_port if isinstance(port.target_port, int) else port.port
    target = service.spec.external_name.removesuffix(".")
    return f"server external {target}:{number} resolvers host resolve-prefer ipv4 init-addr none check inter 10s"


def _affinity(service: RoutedService, with_reserve: bool = False) -> tuple[str, ...]:
    """A client does not stay with a reserve: whoever it stood in for may be back at the next connection."""
    if service.spec.session_affinity != "ClientIP":
        return ()
    config = service.spec.session_affinity_config
    seconds = int(config.client_ip.timeout_seconds) if config else _AFFINITY_SECONDS
    table = f"stick-table type ipv6 size 100k expire {seconds}s peers {PEERS}"
    if not with_reserve:
        return (table, "stick on src")
    return (table, "stick match src", f"stick store-response src unless {{ srv_name -m end {BACKUP} }}")


def _policy_lines(scene: Scene, service: RoutedService, name: str, mode: Mode) -> tuple[str, ...]:
    """There as soon as the namespace has a policy, so that a pod that comes under one needs no reload.

    `name` is that of the backend whose map is asked: an Ingress asks the one of all the Service's pods.
    """
    if not _has_policies(scene, service):
        return ()
    condition = f"unless {{ src,map_ip({map_path(policy_map(name))},deny) -m str allow }}"
    if mode == "tcp":
        return (f"tcp-request content reject {condition}",)
    return (f"http-request deny deny_status 403 {condition}",)


def _policy_maps(scene: Scene, service: RoutedService, port: ServicePort) -> Iterator[tuple[str, Mapping[str, str]]]:
    """One for all pods; a headless Service has one more for each, so that a policy closes only the pods it is about."""
    if not _has_policies(scene, service):
        return
    yield policy_map(backend_name(service, port)), _allowed(policy.sources(service, port, scene.cluster))
    if is_headless(service):
        for name, endpoint in _of_its_own(scene, service, port):
            found = policy.sources(service, port, scene.cluster, (endpoint.pod,))
            yield policy_map(name), _allowed(found)


def _allowed(found: Mapping[str, str] | None) -> Mapping[str, str]:
    return {"0.0.0.0/0": "allow", "::/0": "allow"} if found is None else found


def _has_policies(scene: Scene, service: RoutedService) -> bool:
    if service.spec.type == "ExternalName":
        return False
    return any(one.namespace == service.namespace for one in scene.cluster.policies)
