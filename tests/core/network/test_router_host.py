"""The containers of a router: what is done for each way in which a host can differ from what is wanted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.core import actions
from deployer.core.container import ContainerDetail, ContainerSeen, ContainerSpec
from deployer.core.network import router_host as host
from deployer.core.network.addresses import addresses
from deployer.core.network.values import (
    MESH_NETWORK,
    Attachment,
    Cluster,
    Identity,
    PodNetwork,
    RoutedNode,
    RouterConfig,
)

RANGE = "10.208.0.0/12"
IDS = {"haproxy:3": "sha256:h", "dns:1": "sha256:d", "pierhead/pause:1": "sha256:p"}
NODE = RoutedNode("n1", "a")
SHOP = PodNetwork("pierhead-shop", 1, "shop")
CLUSTER = Cluster("c1", NODE, Identity("", "", "", ""), networks=(SHOP,))


def at(name: str, index: int) -> Attachment:
    found = addresses(RANGE, index)
    return Attachment(name, found.router, found.virtual_range)


CONFIG = RouterConfig("", "s1", {}, {}, {}, attachments=(at(MESH_NETWORK, 0), at("pierhead-shop", 1)))
WANTED = host.RouterHost(CLUSTER, CONFIG, "haproxy:3", "dns:1", IDS)
NETWORKS = {MESH_NETWORK: "10.208.8.1", "pierhead-shop": "10.208.24.1"}


def seen(spec: ContainerSpec, started_at: float = 20.0, **words: object) -> ContainerSeen:
    component = spec.labels["pierhead.io/component"]
    networks = NETWORKS if component == host.NET else {}
    detail = ContainerDetail(started_at=started_at, image_id=IDS[spec.image], networks=networks)
    one = ContainerSeen(f"id-{component}", spec.name, spec.labels, "running", detail=detail)
    return replace(one, **words)  # type: ignore[arg-type]


NET = seen(host.net_spec(WANTED), started_at=10.0)
ROUTER, DNS = map(seen, host.joined_specs(WANTED, NET.id))
EDGED = replace(WANTED, config=replace(CONFIG, edge="frontend edge.80"))
EDGE = seen(host.edge_spec(EDGED))


def words(steps: tuple[host.HostStep, ...]) -> str:
    return " ".join(map(_word, steps))


def _word(step: host.HostStep) -> str:
    match step:
        case actions.EnsureNetwork(name=name):
            return f"net:{name}"
        case actions.EnsurePauseImage():
            return "pause"
        case actions.EnsureVolume(spec=spec):
            return f"volume:{spec.name}"
        case actions.CreateContainer(spec=spec):
            return f"+{spec.name.removeprefix('pierhead-')}"
        case actions.StartContainer(name=name):
            return f">{name.removeprefix('pierhead-')}"
        case actions.StopContainer(name=name):
            return f"x{name.removeprefix('pierhead-')}"
        case actions.RemoveContainer(name=name):
            return f"-{name.removeprefix('id-')}"
        case host.Attach(network=network, address=address):
            return f"on:{network}={address}"
        case host.Detach(network=network):
            return f"off:{network}"
        case host.FillRouter(name=name):
            return f"fill:{name.removeprefix('pierhead-')}"


def on(**networks: str) -> ContainerSeen:
    assert NET.detail is not None
    found = {name.replace("_", "-"): address for name, address in networks.items()}
    return replace(NET, detail=replace(NET.detail, networks={MESH_NETWORK: "10.208.8.1", **found}))


def detailed(one: ContainerSeen, **changes: object) -> ContainerSeen:
    assert one.detail is not None
    return replace(one, detail=replace(one.detail, **changes))  # type: ignore[arg-type]


SHOP_ON = "net:pierhead-shop on:pierhead-shop=10.208.24.1"
ROWS = [
    ("an empty host begins with the owner of the network", WANTED, [], f"net:{MESH_NETWORK} pause +router-net"),
    ("made, it is started", WANTED, [replace(NET, state="created")], ">router-net"),
    ("then the rest", WANTED, [NET], "volume:pierhead-router +router volume:pierhead-router +router-dns"),
    ("files first", WANTED, [NET, replace(ROUTER, state="created"), DNS], "fill:router >router"),
    ("all is well", WANTED, [NET, ROUTER, DNS], ""),
    ("stopped", WANTED, [NET, replace(ROUTER, state="exited"), DNS], "fill:router >router"),
    ("paused", WANTED, [NET, ROUTER, replace(DNS, state="paused")], "xrouter-dns"),
    ("one that keeps ending is Docker's to bring back", WANTED, [NET, replace(ROUTER, state="restarting"), DNS], ""),
    ("being removed", WANTED, [NET, replace(ROUTER, state="removing"), DNS], ""),
    ("the owner being removed", WANTED, [replace(NET, state="removing"), ROUTER, DNS], ""),
    ("dead", WANTED, [NET, replace(ROUTER, state="dead"), DNS], "-router"),
    ("another image", WANTED, [NET, detailed(ROUTER, image_id="sha256:old"), DNS], "-router"),
    ("another specification", replace(WANTED, dns_image="dns:2"), [NET, ROUTER, DNS], "-router-dns"),
    ("another mesh port", replace(WANTED, cluster=replace(CLUSTER, mesh_port=9443)), [NET, ROUTER, DNS], "-router-net"),
    ("in the namespace of an earlier run", WANTED, [detailed(NET, started_at=30.0), ROUTER, DNS],
     "xrouter xrouter-dns"),
    ("in the namespace of another container", WANTED, [replace(NET, id="id-new"), ROUTER, DNS],
     "-router -router-dns"),
    ("renamed by hand", WANTED, [NET, replace(ROUTER, name="mine"), DNS], "-router volume:pierhead-router +router"),
    ("a network is missing", WANTED, [on(), ROUTER, DNS], SHOP_ON),
    ("at another address", WANTED, [on(pierhead_shop="10.208.24.9"), ROUTER, DNS], SHOP_ON),
    ("on one too many", WANTED, [on(pierhead_shop="10.208.24.1", pierhead_old="10.208.40.1"), ROUTER, DNS],
     "off:pierhead-old"),
    ("ports of the host", EDGED, [NET, ROUTER, DNS], "volume:pierhead-router +edge"),
    ("ports of the host are open", EDGED, [NET, ROUTER, DNS, EDGE], ""),
    ("no ports of the host any more", WANTED, [NET, ROUTER, DNS, EDGE], "-edge"),
]  # fmt: skip


@pytest.mark.parametrize(("wanted", "found", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_steps(wanted: host.RouterHost, found: list[ContainerSeen], expected: str) -> None:
    assert words(host.host_steps(wanted, found)) == expected


def test_specifications() -> None:
    net = host.net_spec(WANTED)
    router, dns = host.joined_specs(WANTED, "x")
    assert (net.network, net.address, net.restart) == (MESH_NETWORK, "10.208.8.1", "always")
    assert [(port.container_port, port.host_port) for port in net.ports] == [(8443, 8443)]
    assert (router.network, router.user, router.cap_drop) == ("container:pierhead-router-net", "0", ("ALL",))
    assert router.cap_add == ("NET_BIND_SERVICE", "NET_ADMIN")
    assert dns.mounts[0].read_only
    assert not router.mounts[0].read_only
    assert host.edge_spec(EDGED).network == "host"
    assert host.edge_spec(EDGED).cap_add == ("NET_BIND_SERVICE",)
    assert not (router.privileged or dns.privileged or host.edge_spec(EDGED).privileged)


def test_routes_are_what_is_missing_and_what_is_left_over() -> None:
    shown = (
        "broadcast 10.208.15.255 dev eth0 scope link src 10.208.8.1\n"
        "local 10.208.8.0/21 dev lo scope host\nlocal 10.208.40.0/21 dev lo scope host\n"
        "local 10.208.8.1 dev eth0 scope host src 10.208.8.1\nlocal 127.0.0.0/8 dev lo scope host src 127.0.0.1\n"
    )
    present = host.answered(shown)
    assert present == {"10.208.8.0/21", "10.208.40.0/21"}
    assert [" ".join(one) for one in host.routes(WANTED, present)] == [
        "ip route replace local 10.208.24.0/21 dev lo table local",
        "ip route del local 10.208.40.0/21 dev lo table local",
    ]


def test_what_does_not_run_is_named() -> None:
    assert host.lacking(EDGED, [NET, replace(ROUTER, state="exited"), DNS]) == ("pierhead-router", "pierhead-edge")
    assert host.lacking(WANTED, [NET, ROUTER, DNS]) == ()
