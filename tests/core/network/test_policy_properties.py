"""What a router is told agrees with the verdicts, for every address; and policies only ever allow."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.network import policy as policies
from deployer.core.network import policy_blocks
from deployer.core.network.policy_words import Gap
from deployer.core.network.values import RoutedPolicy
from tests.core.network.hunt import hunted
from tests.core.network.towns import NAMESPACES, TOWN, cluster, policy, service

SELECTORS = st.sampled_from([{}, {"matchLabels": {"app": "a"}}, {"matchLabels": {"app": "b"}}, {"matchExpressions": [
    {"key": "app", "operator": "NotIn", "values": ["a"]}]}])  # fmt: skip
SPACES = st.sampled_from(
    [{}, {"matchLabels": {"team": "red"}}, {"matchExpressions": [{"key": "team", "operator": "Exists"}]}]
)
CIDRS = st.sampled_from(
    [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.208.0.0/16",
        "10.208.16.0/20",
        "10.208.16.2/31",
        "10.208.16.3/32",
        "198.51.100.0/24",
    ]
)
BLOCKS = st.builds(lambda cidr, holes: {"cidr": cidr, "except": holes}, CIDRS, st.lists(CIDRS, max_size=2))
PEERS = st.one_of(
    st.builds(lambda one: {"podSelector": one}, SELECTORS),
    st.builds(lambda one: {"namespaceSelector": one}, SPACES),
    st.builds(lambda one, other: {"podSelector": one, "namespaceSelector": other}, SELECTORS, SPACES),
    st.builds(lambda one: {"ipBlock": one}, BLOCKS),
)
PORTS = st.sampled_from([{}, {"port": 80}, {"port": 81}, {"port": "http"}, {"port": 79, "endPort": 81}])
RULES = st.fixed_dictionaries({"from": st.lists(PEERS, max_size=3), "ports": st.lists(PORTS, max_size=2)})
SPECS = st.fixed_dictionaries({"podSelector": SELECTORS, "ingress": st.lists(RULES, max_size=2)})
POLICIES = st.lists(
    st.builds(
        lambda space, name, spec: policy(f"{space}/{name}", spec), st.sampled_from("xy"), st.sampled_from("pqr"), SPECS
    ),
    max_size=3,
)
OUTSIDE = ("198.51.100.7", "10.1.2.3", "10.208.16.200", "203.0.113.1")
SERVICE = service("x/all", {"kind": "any"})


def town(found: list[RoutedPolicy]) -> Any:
    return cluster((replace(one, labels={**one.labels, "kind": "any"}) for one in TOWN), policies=tuple(found))


@given(POLICIES)
def test_the_routers_list_says_what_the_verdicts_say(found: list[RoutedPolicy]) -> None:
    seen = town(found)
    told = policies.sources(SERVICE, SERVICE.spec.ports[0], seen)
    targets = [one for one in seen.pods if one.namespace == "x" and policies.selecting(found, one)]
    assert (told is None) == (not targets)
    for source in (*seen.pods, *OUTSIDE):
        allowed = all(policies.verdict(source, one, 80, found, NAMESPACES).allowed for one in targets)
        address = source if isinstance(source, str) else source.ip
        assert told is None or (longest_match(told, address) == "allow") == allowed


@given(POLICIES, POLICIES)
def test_another_policy_about_the_same_pods_takes_nothing_away(
    found: list[RoutedPolicy], more: list[RoutedPolicy]
) -> None:
    for target in TOWN:
        if not policies.selecting(found, target):
            continue
        for source in TOWN:
            if policies.verdict(source, target, 80, found, NAMESPACES).allowed:
                assert policies.verdict(source, target, 80, [*found, *more], NAMESPACES).allowed


@given(POLICIES, st.sampled_from(TOWN), st.sampled_from(TOWN))
def test_every_refusal_names_a_policy_and_the_rule_or_that_there_is_none(
    found: list[RoutedPolicy], source: Any, target: Any
) -> None:
    said = policies.verdict(source, target, 80, found, NAMESPACES)
    if not said.allowed:
        assert said.policy in said.reason
        assert " rule " in said.reason


def longest_match(entries: Any, address: str) -> str:
    found = [one for one in entries if ip_address(address) in ip_network(one)]
    return str(entries[max(found, key=lambda one: ip_network(one).prefixlen)]) if found else "deny"


@pytest.mark.parametrize(
    ("name", "broken", "broken_property", "drawn"),
    [
        pytest.param("blocks", lambda found: policy_blocks.blocks((whole, frozenset()) for whole, _ in found),
                     test_the_routers_list_says_what_the_verdicts_say, (POLICIES,), id="holes are forgotten"),
        pytest.param("_local_addresses", lambda *_: {},
                     test_the_routers_list_says_what_the_verdicts_say, (POLICIES,), id="pods are forgotten"),
        pytest.param("longest_matches", lambda lists: policy_blocks.longest_matches([*lists][:1]),
                     test_the_routers_list_says_what_the_verdicts_say, (POLICIES,), id="one endpoint is enough"),
        pytest.param("_gaps", lambda rule, policy, number, *_: iter([Gap("p", number, 0, "", "", ("no",))]),
                     test_every_refusal_names_a_policy_and_the_rule_or_that_there_is_none,
                     (POLICIES, st.sampled_from(TOWN), st.sampled_from(TOWN)), id="no name"),
        pytest.param("_selecting", lambda found, *_: tuple(found)[-1:],
                     test_another_policy_about_the_same_pods_takes_nothing_away, (POLICIES, POLICIES), id="last one"),
    ],
)  # fmt: skip
def test_each_property_can_fail(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Any, broken_property: Any, drawn: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(policies, name, broken)
    with pytest.raises(AssertionError):
        hunted(broken_property, *drawn)
