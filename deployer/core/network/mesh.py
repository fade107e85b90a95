"""The mesh: the one port by which routers reach each other's pods, by TLS with certificates on both sides.

The name that a client asks for (SNI) says which pod and port is meant; a map turns it into an address. What was
chosen by the client's router is not chosen again here: this side carries bytes. The control plane's certificate, and
no other, reaches HAProxy's command line by a name of its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from deployer.core.network.endpoints import local_address, node_label, sni
from deployer.core.network.maps import MESH, map_path
from deployer.core.network.preamble import ADMIN_SOCKET, DEFAULTS_TCP
from deployer.core.network.scene import Scene
from deployer.core.network.sections import Part, Section
from deployer.core.network.values import FOLDER, Identity, RoutedPod

CONTROL_NAME = "pierhead-control"
"""The common name of the control plane's certificate."""


def mesh(scene: Scene) -> Part:
    return Part((_frontend(scene), _pods(), _command_line()), {MESH: _addresses(scene)}, _files(scene.cluster.identity))


def command_line_name(node_uid: str) -> str:
    """The SNI under which a node's router takes commands."""
    return f"router-cli.{node_label(node_uid)}.mesh"


def _frontend(scene: Scene) -> Section:
    tls = f"{FOLDER}/tls"
    name = command_line_name(scene.cluster.node.uid)
    return Section(
        f"frontend mesh from {DEFAULTS_TCP}",
        (
            f"bind :{scene.cluster.mesh_port} ssl crt {tls}/node.pem ca-file {tls}/ca.pem verify required"
            f" crl-file {tls}/crl.pem",
            f"acl for_command_line ssl_fc_sni -m str {name}",
            f"acl from_control ssl_c_s_dn(CN) -m str {CONTROL_NAME}",
            "tcp-request content reject if for_command_line !from_control",
            f"tcp-request content set-var(txn.target) ssl_fc_sni,map_str({map_path(MESH)})",
            "tcp-request content reject unless { var(txn.target) -m found } or for_command_line",
            "use_backend mesh.command-line if for_command_line",
            "default_backend mesh.pods",
        ),
    )


def _pods() -> Section:
    return Section(
        f"backend mesh.pods from {DEFAULTS_TCP}",
        (
            "tcp-request content set-dst var(txn.target),field(1,|)",
            "tcp-request content set-dst-port var(txn.target),field(2,|)",
            "server pod 0.0.0.0:0",
        ),
    )


def _command_line() -> Section:
    return Section(f"backend mesh.command-line from {DEFAULTS_TCP}", (f"server socket unix@{ADMIN_SOCKET}",))


def _addresses(scene: Scene) -> Mapping[str, str]:
    """SNI -> "address|port" of this node's pods; those that are not ready as well, for they may still be draining."""
    found: dict[str, str] = {}
    for service in scene.services.values():
        for port in service.spec.ports:
            for endpoint in scene.endpoints(service, port):
                for number in {endpoint.target_port, *_probed(endpoint.pod)} - {0}:
                    found.update(_entry(scene, endpoint.pod, number))
    return found


def _entry(scene: Scene, pod: RoutedPod, port: int) -> Mapping[str, str]:
    address = local_address(pod, scene.cluster)
    if pod.node != scene.cluster.node.uid or not address:
        return {}
    return {sni(pod.uid, port, pod.node): f"{address}|{port}"}


def _probed(pod: RoutedPod) -> tuple[int, ...]:
    """Other nodes' routers ask for readiness at this port."""
    return (pod.readiness.port,) if pod.readiness is not None and pod.readiness.kind == "http" else ()


def _files(identity: Identity) -> Mapping[str, bytes]:
    pair = identity.certificate.rstrip("\n") + "\n" + identity.key
    return {
        "tls/node.pem": pair.encode(),
        "tls/ca.pem": identity.authority.encode(),
        "tls/crl.pem": identity.revoked.encode(),
    }
