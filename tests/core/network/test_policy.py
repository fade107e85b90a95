"""NetworkPolicy: who may reach whom among nine pods in three namespaces, as grids; and what the sentences say."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.core.network import policy as policies
from deployer.core.network.values import RoutedPod, RoutedPolicy
from tests.core.network.towns import NAMESPACES, TOWN, cluster, pod, policy, service

param = pytest.param
OPEN = """
        xa xb xc  ya yb yc  za zb zc
    xa   .  .  .   .  .  .   .  .  .
    xb   .  .  .   .  .  .   .  .  .
    xc   .  .  .   .  .  .   .  .  .
    ya   .  .  .   .  .  .   .  .  .
    yb   .  .  .   .  .  .   .  .  .
    yc   .  .  .   .  .  .   .  .  .
    za   .  .  .   .  .  .   .  .  .
    zb   .  .  .   .  .  .   .  .  .
    zc   .  .  .   .  .  .   .  .  .
"""


def grid(found: list[RoutedPolicy], port: int = 80) -> list[str]:
    """A row for each source, a column for each target: "." it reaches it, "+" it does not."""
    return [
        "".join("." if policies.verdict(one, other, port, found, NAMESPACES).allowed else "+" for other in TOWN)
        for one in TOWN
    ]


def drawn(picture: str) -> list[str]:
    return ["".join(line.split()[1:]) for line in picture.strip().splitlines()[1:]]


def from_peers(*peers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ingress": [{"from": list(peers), **more}]}


def by_label(key: str, value: str) -> dict[str, Any]:
    return {"matchLabels": {key: value}}


def test_without_a_policy_all_is_open() -> None:
    assert grid([]) == drawn(OPEN)


EVERYONE = "... ... ... ... ... ... ... ... ..."
NEIGHBOURS = "... ... ... +++ +++ +++ +++ +++ +++"
ITSELF = ".++ +.+ ++. +++ +++ +++ +++ +++ +++"


@pytest.mark.parametrize(
    ("spec", "xs"),
    [
        # The columns of namespace x, for each of the nine sources; all other columns stay open.
        param({}, ITSELF, id="no rule: nobody but the pod itself"),
        param({"ingress": [{}]}, EVERYONE, id="an empty rule: everyone"),
        param({"ingress": [{"from": [], "ports": []}]}, EVERYONE, id="empty lists: everyone"),
        param(from_peers({"podSelector": {}}), NEIGHBOURS, id="own namespace"),
        param(
            from_peers({"podSelector": by_label("app", "b")}),
            ".++ ... ++. +++ +++ +++ +++ +++ +++",
            id="podSelector alone is about the policy's namespace",
        ),
        param(
            from_peers({"namespaceSelector": by_label("team", "blue")}),
            ".++ +.+ ++. ... ... ... +++ +++ +++",
            id="a namespace by label",
        ),
        param(
            from_peers({"namespaceSelector": by_label("kubernetes.io/metadata.name", "z")}),
            ".++ +.+ ++. +++ +++ +++ ... ... ...",
            id="a namespace by its name",
        ),
        param(from_peers({"namespaceSelector": {}}), EVERYONE, id="all namespaces"),
        param(
            from_peers({"podSelector": by_label("app", "b"), "namespaceSelector": by_label("team", "blue")}),
            ".++ +.+ ++. +++ ... +++ +++ +++ +++",
            id="both in one peer are ANDed",
        ),
        param(
            from_peers({"podSelector": by_label("app", "b")}, {"namespaceSelector": by_label("team", "blue")}),
            ".++ ... ++. ... ... ... +++ +++ +++",
            id="two peers are ORed",
        ),
        param(
            from_peers({"podSelector": {}, "namespaceSelector": {"matchExpressions": [
                {"key": "team", "operator": "NotIn", "values": ["blue"]}]}}),
            "... ... ... +++ +++ +++ ... ... ...",
            id="NotIn holds without the label",
        ),
        param(
            from_peers({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "c"]}]},
                        "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]}}),
            "... +.+ ... ... +++ ... +++ +++ +++",
            id="expressions",
        ),
        param(from_peers({"ipBlock": {"cidr": "0.0.0.0/0"}}), EVERYONE, id="any address"),
        param(
            from_peers({"ipBlock": {"cidr": "10.208.0.0/16", "except": ["10.208.32.3/32"]}}),
            "... ... ... ... +++ ... ... ... ...",
            id="a hole in a block",
        ),
        param(from_peers({"ipBlock": {"cidr": "nonsense"}}), ITSELF, id="no block"),
        param(from_peers({"podSelector": {}}, ports=[{"port": 81}]), ITSELF, id="port"),
        param(from_peers({"podSelector": {}}, ports=[{"port": "http"}]), NEIGHBOURS, id="name"),
        param({"ingress": [{"ports": [{"port": 70, "endPort": 80}]}]}, EVERYONE, id="range"),
        param({"ingress": [{"ports": [{"port": 70, "endPort": 79}]}]}, ITSELF, id="short"),
        param({"ingress": [{"ports": [{"protocol": "TCP"}]}]}, EVERYONE, id="all ports"),
        param({"policyTypes": ["Ingress"]}, ITSELF, id="policyTypes as by default"),
    ],
)  # fmt: skip
def test_a_policy_about_a_whole_namespace(spec: dict[str, Any], xs: str) -> None:
    assert grid([policy("x/p", spec)]) == [row + "......" for row in xs.split()]


TWO = """
        xa xb xc  ya yb yc  za zb zc
    xa   .  +  .   .  .  .   .  .  +
    xb   .  .  .   .  .  .   .  .  +
    xc   +  +  .   .  .  .   .  .  +
    ya   +  .  .   .  .  .   .  .  +
    yb   +  .  .   .  .  .   .  .  +
    yc   +  .  .   .  .  .   .  .  +
    za   +  +  .   .  .  .   .  .  +
    zb   +  +  .   .  .  .   .  .  +
    zc   +  +  .   .  .  .   .  .  .
"""


def test_policies_add_up_and_each_is_about_its_own_pods() -> None:
    found = [
        policy("z/closed", {"podSelector": by_label("app", "c")}),
        policy("x/closed", {"podSelector": {"matchExpressions": [
            {"key": "app", "operator": "NotIn", "values": ["c"]}]}}),
        policy("x/b-to-a", {"podSelector": by_label("app", "a"), **from_peers({"podSelector": by_label("app", "b")})}),
        policy("x/y-to-b", {"podSelector": by_label("app", "b"),
                            **from_peers({"namespaceSelector": by_label("team", "blue")})}),
    ]  # fmt: skip
    assert grid(found) == drawn(TWO)
    assert grid(found[::-1]) == drawn(TWO)
    assert [one.name for one in policies.selecting(found, TOWN[0])] == ["b-to-a", "closed"]
    assert policies.isolates(found, "z", {"app": "c"})
    assert not policies.isolates(found, "z", {"app": "a"})
    assert not policies.isolates(found, "y", {"app": "c"})


DATABASE = policy("shop/database", {
    "podSelector": {"matchLabels": {"app": "database"}},
    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web-app"}}}], "ports": [{"port": 5432}]}],
})  # fmt: skip


@pytest.mark.parametrize(
    ("source", "port", "allowed", "reason"),
    [
        param(pod("shop/web", "web-app"), 5432, True,
              "NetworkPolicy shop/database, rule 1, allows pods with app=web-app on 5432", id="web-app"),
        param(pod("shop/other"), 5432, False, "no rule of NetworkPolicy shop/database allows it: "
              "rule 1 asks for app=web-app, pod shop/other has app=other", id="another app"),
        param(pod("shop/bare", labels={}), 5432, False, "no rule of NetworkPolicy shop/database allows it: "
              "rule 1 asks for app=web-app, pod shop/bare has no label app", id="no label"),
        param(pod("shop/web", "web-app"), 22, False, "no rule of NetworkPolicy shop/database allows it: "
              "rule 1 allows port 5432 only, not 22", id="another port"),
        param(pod("blog/web", "web-app"), 5432, False, "no rule of NetworkPolicy shop/database allows it: "
              "rule 1 is about pods of namespace shop, pod web is in namespace blog", id="another namespace"),
        param("198.51.100.7", 5432, False, "no rule of NetworkPolicy shop/database allows it: rule 1 allows pods with "
              "app=web-app, and 198.51.100.7 is an address from outside", id="from outside"),
        param(pod("shop/web", "web-app", host_network=True), 5432, False,
              "no rule of NetworkPolicy shop/database allows it: rule 1 allows pods with app=web-app, and pod shop/web "
              "is on its host's network, where no pod is seen", id="host network"),
        param(pod("shop/database"), 22, True, "a pod always reaches itself", id="itself"),
    ],
)  # fmt: skip
def test_only_the_web_app_reaches_the_database(source: RoutedPod | str, port: int, allowed: bool, reason: str) -> None:
    found = policies.verdict(source, pod("shop/database"), port, [DATABASE], {})
    assert (found.allowed, found.reason) == (allowed, reason)


def test_the_rule_that_lacks_least_is_named() -> None:
    more = policy("shop/more", {"podSelector": {}, **from_peers(
        {"podSelector": {"matchLabels": {"app": "x", "tier": "y"}}},
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
    )})  # fmt: skip
    said = policies.verdict("203.0.113.9", pod("shop/database"), 22, [more, DATABASE], {})
    assert said.policy == "shop/more"
    assert said.reason == (
        "no rule of 2 NetworkPolicies (shop/database, shop/more) allows it: rule 1 of shop/more allows pods with"
        " app=x,tier=y, and 203.0.113.9 is an address from outside"
    )
    said = policies.verdict("10.1.0.9", pod("shop/cache"), 22, [policy("shop/none", {})], {})
    assert said.reason == "NetworkPolicy shop/none has no rule that allows anything"


@pytest.mark.parametrize(
    ("block", "allowed", "reason"),
    [
        param({"cidr": "0.0.0.0/0"}, True,
              "NetworkPolicy shop/blocks, rule 1, allows addresses in 0.0.0.0/0 on every port", id="everywhere"),
        param({"cidr": "::/0"}, True,
              "NetworkPolicy shop/blocks, rule 1, allows addresses in ::/0 on every port", id="everywhere, IPv6"),
        param({"cidr": "10.208.0.0/16"}, False,
              "no rule of NetworkPolicy shop/blocks allows it: rule 1 allows addresses in 10.208.0.0/16, and pod "
              "shop/web is on its host's network: the host's address decides", id="a block"),
        param({"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}, False,
              "no rule of NetworkPolicy shop/blocks allows it: rule 1 allows addresses in 0.0.0.0/0 except 10.0.0.0/8,"
              " and pod shop/web is on its host's network: the host's address decides", id="with a hole"),
    ],
)  # fmt: skip
def test_a_pod_on_its_hosts_network_is_seen_by_its_hosts_address(
    block: dict[str, Any], allowed: bool, reason: str
) -> None:
    source = pod("shop/web", host_network=True, ip="")
    blocks = policy("shop/blocks", {"podSelector": {}, **from_peers({"ipBlock": block})})
    found = policies.verdict(source, pod("shop/database"), 80, [blocks], {})
    assert (found.allowed, found.reason) == (allowed, reason)


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        param("b b", True, id="both may"),
        param("b c", False, id="the second one may not"),
        param("c b", False, id="the first one may not"),
    ],
)
def test_an_address_that_pods_share_is_allowed_only_if_all_of_them_are(labels: str, allowed: bool) -> None:
    found = policy("x/p", {"podSelector": by_label("app", "a"), **from_peers({"podSelector": by_label("app", "b")})})
    both = [pod(f"x/{number}", label, ip="172.16.0.2") for number, label in enumerate(labels.split())]
    town = cluster([pod("x/a", ip=""), *both], policies=(found,))
    to_a = service("x/a", {"app": "a"})
    assert policies.sources(to_a, to_a.spec.ports[0], town) == ({"172.16.0.2/32": "allow"} if allowed else {})


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        param(["10.0.0.0/8 10.1.0.0/16", "10.1.2.0/24"],
              {"10.0.0.0/8": "allow", "10.1.0.0/16": "deny", "10.1.2.0/24": "allow"}, id="a block in a hole"),
        param(["10.0.0.0/8", "10.1.0.0/16"], {"10.0.0.0/8": "allow"}, id="one in another says nothing new"),
        param(["10.0.0.0/8 10.1.0.0/16", "10.0.0.0/8"], {"10.0.0.0/8": "allow"}, id="a hole that another fills"),
        param(["10.0.0.9/8 10.1.0.0/16 10.1.0.0/16"], {"10.0.0.0/8": "allow", "10.1.0.0/16": "deny"}, id="said twice"),
        param(["0.0.0.0/0 10.0.0.0/8", "::/0", "fd00::/8"],
              {"0.0.0.0/0": "allow", "10.0.0.0/8": "deny", "::/0": "allow"}, id="two families"),
        param(["nonsense", "192.0.2.1 nonsense"], {"192.0.2.1/32": "allow"}, id="what is none"),
    ],
)  # fmt: skip
def test_blocks_become_a_list_for_the_longest_match(blocks: list[str], expected: dict[str, str]) -> None:
    peers = [{"ipBlock": {"cidr": one.split()[0], "except": one.split()[1:]}} for one in blocks]
    town = cluster([pod("x/a", ip="")], policies=(policy("x/p", {"podSelector": {}, **from_peers(*peers)}),))
    to_a = service("x/a", {"app": "a"})
    assert policies.sources(to_a, to_a.spec.ports[0], town) == expected


def test_sources_are_this_nodes_pods_and_blocks() -> None:
    blocks = {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}
    found = policy(
        "x/p", {"podSelector": by_label("app", "a"), **from_peers({"podSelector": by_label("app", "b")}, blocks)}
    )
    far = pod("x/far", "b", node="node-b", ip="172.16.0.1")
    near = pod("x/near", "b", ip="172.16.0.2")
    town = cluster([pod("x/a"), near, far, pod("x/c", ip="172.16.0.3")], policies=(found,))
    to_a = service("x/a", {"app": "a"})
    assert policies.sources(to_a, to_a.spec.ports[0], town) == {
        "10.0.0.0/8": "allow", "10.1.0.0/16": "deny", "10.208.16.2/32": "allow", "172.16.0.2/32": "allow",
    }  # fmt: skip
    to_c = service("x/c", {"app": "c"})
    assert policies.sources(to_c, to_c.spec.ports[0], town) is None
    nothing = cluster(town.pods, policies=(policy("x/p", {}),))
    assert policies.sources(to_c, to_c.spec.ports[0], nothing) == {"172.16.0.3/32": "allow"}, "only itself"


def test_a_source_must_be_allowed_by_all_endpoints_that_a_policy_is_about() -> None:
    first = policy("x/p", {"podSelector": by_label("app", "a"), **from_peers({"podSelector": {}})})
    second = policy("x/q", {"podSelector": by_label("app", "b"), **from_peers({"podSelector": by_label("app", "c")})})
    pods = [
        pod(f"x/{name}", labels={"app": name, "web": "1"}, ip=f"10.208.16.{number}")
        for number, name in enumerate("abc")
    ]
    all_three = service("x/web", {"web": "1"})
    town = cluster(pods, policies=(first, second))
    assert policies.sources(all_three, all_three.spec.ports[0], town) == {
        "10.208.16.1/32": "allow",
        "10.208.16.2/32": "allow",
    }
