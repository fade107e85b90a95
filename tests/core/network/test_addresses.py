"""Where everything has its address, on every node the same."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.container import Subnet
from deployer.core.network.addresses import MOST_NETWORKS, MOST_SERVICES, addresses, subnet, virtual_address

RANGE = "10.208.0.0/12"


@pytest.mark.parametrize(
    ("index", "gateway", "router", "first", "last"),
    [
        pytest.param(0, "10.208.0.1", "10.208.8.1", "10.208.8.2", "10.208.15.249", id="the mesh network"),
        pytest.param(1, "10.208.16.1", "10.208.24.1", "10.208.24.2", "10.208.31.249", id="the next one"),
        pytest.param(255, "10.223.240.1", "10.223.248.1", "10.223.248.2", "10.223.255.249", id="the last one"),
    ],
)
def test_the_shape_of_a_network(index: int, gateway: str, router: str, first: str, last: str) -> None:
    found = addresses(RANGE, index)
    assert (found.gateway, found.router) == (gateway, router)
    assert virtual_address(RANGE, index, 1) == first
    assert virtual_address(RANGE, index, MOST_SERVICES) == last


def test_an_engine_is_asked_for_the_lower_half() -> None:
    assert subnet(RANGE, 1) == Subnet("10.208.16.0/20", "10.208.16.0/21", "10.208.16.1")


@given(st.integers(0, MOST_NETWORKS - 1), st.integers(1, MOST_SERVICES))
def test_pods_and_services_never_meet(network: int, service: int) -> None:
    found, virtual = addresses(RANGE, network), ip_address(virtual_address(RANGE, network, service))
    assert virtual in ip_network(found.virtual_range)
    assert virtual in ip_network(found.range)
    assert virtual not in ip_network(found.pods)
    assert virtual not in (ip_address(found.router), ip_network(found.range).broadcast_address)


@pytest.mark.parametrize(
    ("pod_range", "index", "service", "sentence"),
    [
        pytest.param(
            RANGE, 256, 1, "there is no network 256: 10.208.0.0/12 has 256, numbered from 0 to 255", id="high"
        ),
        pytest.param(RANGE, -1, 1, "there is no network -1", id="low"),
        pytest.param("10.0.0.0/19", 2, 1, "10.0.0.0/19 has 2, numbered from 0 to 1", id="a small range"),
        pytest.param("10.0.0.0/21", 0, 1, "10.0.0.0/21 is too small for one network", id="too small"),
        pytest.param("10.0.0.1/12", 0, 1, '"10.0.0.1/12" is not a range of IPv4 addresses', id="host bits"),
        pytest.param("fd00::/12", 0, 1, '"fd00::/12" is not a range of IPv4 addresses', id="IPv6"),
        pytest.param(RANGE, 0, 0, "there is no virtual address 0", id="no service"),
        pytest.param(RANGE, 0, 2041, "there is no virtual address 2041: they are numbered from 1 to 2040", id="many"),
    ],
)
def test_what_is_out_of_range_is_refused_in_words(pod_range: str, index: int, service: int, sentence: str) -> None:
    with pytest.raises(ValueError, match="is") as refusal:
        virtual_address(pod_range, index, service)
    assert sentence in str(refusal.value)
