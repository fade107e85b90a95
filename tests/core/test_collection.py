"""What is collected on a host, and what must stay: pods' volumes, pod networks, images, and all of the router's."""

from __future__ import annotations

from deployer.core.collection import Needed, Surplus, surplus
from deployer.core.container import LABEL_NAMESPACE, LABEL_POD_UID, ImageSeen, VolumeSpec
from deployer.core.network.router_host import volume_spec
from deployer.core.network.values import MESH_NETWORK

NEEDED = Needed(
    pods=frozenset({"u1"}),
    networks=frozenset({"pierhead-shop", "pierhead-shop-0a1b2c3d"}),
    images=frozenset({"shop/web:1", "haproxy:3.4-alpine"}),
)


def test_networks() -> None:
    found = [MESH_NETWORK, "pierhead-old", "pierhead-shop", "pierhead-shop-0a1b2c3d", "pierhead-shop-ffffffff"]
    assert surplus(NEEDED, (), found, (), {}) == Surplus(networks=("pierhead-old", "pierhead-shop-ffffffff"))


def test_volumes() -> None:
    mine = VolumeSpec("a", {LABEL_NAMESPACE: "shop", LABEL_POD_UID: "u1"})
    stray = VolumeSpec("b", {LABEL_NAMESPACE: "shop", LABEL_POD_UID: "u2"})
    claim = VolumeSpec("c", {LABEL_NAMESPACE: "shop"})
    assert surplus(NEEDED, (mine, stray, claim, volume_spec("c1")), (), (), {}) == Surplus(volumes=("b",))


def test_images() -> None:
    web, router = ImageSeen("1", ("shop/web:1",)), ImageSeen("2", ("haproxy:3.4-alpine",))
    old, foreign = ImageSeen("3", ("shop/web:0",)), ImageSeen("4", ("other:1",))
    pulled = {"1": "shop/web:1", "2": "haproxy:3.4-alpine", "3": "shop/web:0"}
    assert surplus(NEEDED, (), (), (web, router, old, foreign), pulled) == Surplus(images=("3",))
