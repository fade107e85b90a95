"""Who may reach whom: Kubernetes' NetworkPolicy, for traffic that comes in.

Rules (Kubernetes: networking/v1 API reference and "Network Policies"):
- policies only allow, and add up. A pod that no policy selects is open; one that any selects takes what a rule allows;
- no `from` means everyone, no `ports` every port, no rule at all nobody;
- in one peer, podSelector and namespaceSelector are ANDed; podSelector alone means the policy's own namespace;
- separate peers are ORed. A named port is looked up in the pod that is reached, `endPort` ends a range of numbers;
- without `policyTypes` a policy is about Ingress, the only type there is here;
- a pod always reaches itself. One on its host's network has no address of its own, so no rule about pods means it.

An `ipBlock` is compared with the source's address, also when that is a pod (as Calico does; Kubernetes leaves it open).
A router sees addresses, so `sources` turns the policies of one service port into addresses of *this* node's pods and
blocks. It is one list per service, not per pod: with endpoints under different policies, a source has to be allowed
by all of them. Nothing here opens what no policy opens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from deployer.core.network import endpoints
from deployer.core.network.policy_words import Gap, allowing, missing_labels, nearest, peer_words, ports_words
from deployer.core.network.values import Cluster, RoutedPod, RoutedPolicy, RoutedService
from deployer.core.objects.network import IPBlock, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort
from deployer.core.objects.workload import ServicePort
from deployer.core.scheduling.selectors import Labels, Namespaces, label_selector, namespace_labels

Block = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Verdict:
    """`policy`: "shop/database", the one that allows or the nearest to it; "" when no policy has a say."""

    allowed: bool
    policy: str
    reason: str


def selecting(policies: Iterable[RoutedPolicy], pod: RoutedPod) -> tuple[RoutedPolicy, ...]:
    """The policies that are about this pod, by name."""
    return _selecting(policies, pod.namespace, pod.labels)


def isolates(policies: Iterable[RoutedPolicy], namespace: str, labels: Labels) -> bool:
    """Would any policy be about a pod with these labels?"""
    return bool(_selecting(policies, namespace, labels))


def verdict(
    source: RoutedPod | str, target: RoutedPod, port: int, policies: Iterable[RoutedPolicy], namespaces: Namespaces
) -> Verdict:
    """May `source` (a pod, or an address from outside) reach this port of the container?"""
    if isinstance(source, RoutedPod) and source.uid == target.uid:
        return Verdict(True, "", "a pod always reaches itself")
    chosen = selecting(policies, target)
    if not chosen:
        return Verdict(True, "", f"no NetworkPolicy selects pod {target.namespace}/{target.name}")
    gaps: list[Gap] = []
    for policy in chosen:
        for number, rule in enumerate(policy.spec.ingress, 1):
            found = list(_gaps(rule, policy, number, source, target, port, namespaces))
            open_way = next((gap for gap in found if not gap.missing), None)
            if open_way is not None:
                return Verdict(True, open_way.policy, allowing(open_way))
            gaps += found
    policy_name, reason = nearest([_name(policy) for policy in chosen], gaps)
    return Verdict(False, policy_name, reason)


def sources(service: RoutedService, port: ServicePort, cluster: Cluster) -> Mapping[str, str] | None:
    """Who may use this service port from this node: address or block -> "allow" or "deny", the longest match counts.

    None when no policy selects a pod behind it: then everyone may.
    """
    targets = [
        (pod, number)
        for pod in endpoints.selected(service, cluster.pods)
        if (number := endpoints.target_port(port, pod)) is not None and selecting(cluster.policies, pod)
    ]
    if not targets:
        return None
    entries = _blocks([_open_blocks(pod, number, cluster.policies) for pod, number in targets])
    for pod in cluster.pods:
        if pod.node == cluster.node.uid and _address(pod) and _reaches_all(pod, targets, cluster):
            entries[f"{pod.ip}/{128 if ':' in pod.ip else 32}"] = "allow"
    return dict(sorted(entries.items()))


def _selecting(policies: Iterable[RoutedPolicy], namespace: str, labels: Labels) -> tuple[RoutedPolicy, ...]:
    found = (
        policy
        for policy in policies
        if policy.namespace == namespace and label_selector(policy.spec.pod_selector).matches(labels)
    )
    return tuple(sorted(found, key=_name))


def _name(policy: RoutedPolicy) -> str:
    return f"{policy.namespace}/{policy.name}"


def _gaps(
    rule: NetworkPolicyIngressRule,
    policy: RoutedPolicy,
    number: int,
    source: RoutedPod | str,
    target: RoutedPod,
    port: int,
    namespaces: Namespaces,
) -> Iterator[Gap]:
    """One for each peer of a rule: what is missing for it to allow this, nothing if it does."""
    at_port = [] if _covers(rule, port, target) else [f"allows {ports_words(rule.ports)} only, not {port}"]
    where = f"on {port}" if rule.ports else "on every port"
    for place, peer in enumerate(rule.from_ or (None,)):
        missing = [*([] if peer is None else _missing(peer, policy.namespace, source, namespaces)), *at_port]
        yield Gap(_name(policy), number, place, peer_words(peer, policy.namespace), where, tuple(missing))


def _covers(rule: NetworkPolicyIngressRule, port: int, target: RoutedPod) -> bool:
    return not rule.ports or any(_is_port(one, port, target) for one in rule.ports)


def _is_port(one: NetworkPolicyPort, port: int, target: RoutedPod) -> bool:
    if one.port is None:
        return True
    if isinstance(one.port, str):
        return target.ports.get(one.port) == port
    return one.port <= port <= (one.end_port or one.port)


def _missing(
    peer: NetworkPolicyPeer, own_namespace: str, source: RoutedPod | str, namespaces: Namespaces
) -> Iterator[str]:
    """What `source` lacks to be this peer, in words; nothing if it is."""
    if peer.ip_block is not None:
        address = source if isinstance(source, str) else _address(source)
        if not _in_block(peer.ip_block, address):
            yield f"allows {peer_words(peer, own_namespace)}, not {address or 'a pod without an address'}"
        return
    if isinstance(source, str):
        yield f"allows {peer_words(peer, own_namespace)}, and {source} is an address from outside"
        return
    if source.host_network:
        name = f"{source.namespace}/{source.name}"
        yield f"allows {peer_words(peer, own_namespace)}, and pod {name} is on its host's network, where no pod is seen"
        return
    if peer.namespace_selector is not None:
        labels = namespace_labels(source.namespace, namespaces)
        yield from missing_labels(peer.namespace_selector, labels, f"namespace {source.namespace}", "namespaces with ")
    elif source.namespace != own_namespace:
        yield f"is about pods of namespace {own_namespace}, pod {source.name} is in namespace {source.namespace}"
    if peer.pod_selector is not None:
        yield from missing_labels(peer.pod_selector, source.labels, f"pod {source.namespace}/{source.name}")


def _in_block(block: IPBlock, address: str) -> bool:
    place = _network(address)
    whole = _network(block.cidr)
    if place is None or whole is None or not _within(place, whole):
        return False
    return not any(_within(place, hole) for hole in map(_network, block.except_) if hole is not None)


def _address(pod: RoutedPod) -> str:
    """By which a router knows the pod: none on the host's network, where many share one."""
    return "" if pod.host_network else pod.ip


def _network(text: str) -> Block | None:
    """None for what is none: it contains nothing and stands in nothing, so that it opens nothing."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _within(inner: Block, outer: Block) -> bool:
    if isinstance(inner, IPv4Network):
        return isinstance(outer, IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, IPv6Network) and inner.subnet_of(outer)


def _open_blocks(pod: RoutedPod, port: int, policies: Iterable[RoutedPolicy]) -> list[tuple[Block, list[Block]]]:
    """All blocks that may reach this port of a pod, each with its holes. Everyone is both families' whole range."""
    found: list[tuple[Block, list[Block]]] = []
    for policy in selecting(policies, pod):
        for rule in policy.spec.ingress:
            if not _covers(rule, port, pod):
                continue
            if not rule.from_:
                found += [(ip_network("0.0.0.0/0"), []), (ip_network("::/0"), [])]
            for block in (peer.ip_block for peer in rule.from_ if peer.ip_block is not None):
                whole = _network(block.cidr)
                if whole is not None:
                    found.append((whole, [hole for hole in map(_network, block.except_) if hole is not None]))
    return found


def _blocks(targets: list[list[tuple[Block, list[Block]]]]) -> dict[str, str]:
    """The blocks that all targets take, for a search by longest match.

    An address whose longest match among all the blocks named is P stands in exactly the blocks that contain P. So
    deciding P itself decides for all such addresses. Worked example: 10.0.0.0/8 except 10.1.0.0/16, and 10.1.2.0/24:
    /8 allow, /16 deny, /24 allow.
    """
    named = {one for blocks in targets for whole, holes in blocks for one in (whole, *holes)}
    entries: dict[Block, bool] = {}
    for place in sorted(named, key=lambda one: (one.version, one.prefixlen, one.network_address.packed)):
        is_open = all(any(_is_open(place, whole, holes) for whole, holes in blocks) for blocks in targets)
        around = [one for one in entries if _within(place, one)]
        if is_open != (entries[max(around, key=lambda one: one.prefixlen)] if around else False):
            entries[place] = is_open
    return {str(place): "allow" if is_open else "deny" for place, is_open in entries.items()}


def _is_open(place: Block, whole: Block, holes: list[Block]) -> bool:
    return _within(place, whole) and not any(_within(place, hole) for hole in holes)


def _reaches_all(pod: RoutedPod, targets: list[tuple[RoutedPod, int]], cluster: Cluster) -> bool:
    return all(verdict(pod, target, port, cluster.policies, cluster.namespaces).allowed for target, port in targets)
