"""The edge: how what comes to a port of the host gets to the router.

A HAProxy on the host's own network forwards each port, with the client's address in front (PROXY protocol 2), to the
router's address on the mesh network, same number; there a frontend leads on to the Service's backend. The edge knows
ports only, so it is seldom reloaded; everything else is the router's.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from deployer.core.network import preamble
from deployer.core.network.ingress import has_ingresses
from deployer.core.network.openings import Opening, openings, reserved
from deployer.core.network.scene import Scene
from deployer.core.network.sections import Part, Section, text
from deployer.core.network.services import frontend_head, led_to, port_mode
from deployer.core.network.values import INGRESS_HTTP, INGRESS_HTTPS

EDGE_SOCKET = f"{preamble.RUN_FOLDER}/edge.sock"


def edge(scene: Scene) -> tuple[Part, tuple[int, ...]]:
    """The router's frontends for the node's ports, and the numbers of all that the edge forwards, in order."""
    cluster, with_ingress = scene.cluster, has_ingresses(scene)
    occupied = reserved(cluster.mesh_port, with_ingress)
    found, problems = openings(scene.services.values(), cluster.node, cluster.nodes, occupied)
    ports = {opening.number for opening in found} | ({INGRESS_HTTP, INGRESS_HTTPS} if with_ingress else set())
    return Part(tuple(_frontend(scene, one) for one in found), problems=problems), tuple(sorted(ports))


def edge_text(router: str, ports: Iterable[int]) -> str:
    """The whole configuration of the edge, "" if it has nothing to do."""
    sections = [section for port in sorted(ports) for section in _forwarding(router, port)]
    if not sections:
        return ""
    structure = sha256(text(sections).encode()).hexdigest()[:32]
    return text((preamble.process(structure, EDGE_SOCKET), preamble.tcp(), *sections))


def _frontend(scene: Scene, opening: Opening) -> Section:
    return Section(
        frontend_head(f"node.{opening.number}", port_mode(opening.service, opening.port)),
        (f"bind {scene.router}:{opening.number} accept-proxy", *led_to(scene, opening.service, opening.port)),
    )


def _forwarding(router: str, port: int) -> tuple[Section, Section]:
    tcp = preamble.DEFAULTS_TCP
    return (
        Section(f"frontend edge.{port} from {tcp}", (f"bind :{port}", f"default_backend router.{port}")),
        Section(f"backend router.{port} from {tcp}", (f"server router {router}:{port} send-proxy-v2",)),
    )
