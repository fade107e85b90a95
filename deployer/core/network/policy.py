"""Who may reach whom: Kubernetes' NetworkPolicy, for traffic that comes in.

Rules (Kubernetes: networking/v1 API reference and "Network Policies"):
- policies only allow, and add up. A pod that no policy selects is open; one that any selects takes what a rule allows;
- no `from` means everyone, no `ports` every port, no rule at all nobody;
- in one peer, podSelector and namespaceSelector are ANDed; podSelector alone means the policy's own namespace;
- separate peers are ORed. A named port is looked up in the pod that is reached, `endPort` ends a range of numbers;
- without `policyTypes` a policy is about Ingress, the only type there is here;
- a pod always reaches itself. One on its host's network has no address of its own, so no rule about pods means it;
  routers see it by an address of its host, which is compared with blocks.

An `ipBlock` is compared with the source's address, also when that is a pod (as Calico does; Kubernetes leaves it open).
A router sees addresses, so `sources` turns the policies of one service port into addresses of *this* node's pods and
blocks. It is one list per backend, not per pod: with endpoints under different policies, a source has to be allowed
by all of them. Nothing here opens what no policy opens. A router is told again at every change, for each service port:
so `sources` decides once for all pods that are alike, and makes no words (`verdict` does, and says the same).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployer.core.network import endpoints
from deployer.core.network.policy_blocks import EVERYWHERE, Blocks, Place, blocks, longest_matches, place, within
from deployer.core.network.policy_words import Gap, allowing, missing_labels, nearest, peer_words, ports_words
from deployer.core.network.values import Cluster, RoutedPod, RoutedPolicy, RoutedService
from deployer.core.objects.network import IPBlock, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort
from deployer.core.objects.workload import ServicePort
from deployer.core.scheduling.selectors import Labels, Namespaces, Selector, label_selector, namespace_labels


@dataclass(frozen=True, slots=True)
class Verdict:
    """`policy`: "shop/database", the one that allows or the nearest to it; "" when no policy has a say."""

    allowed: bool
    policy: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Peer:
    """A peer about pods. `spaces` None: the policy's own namespace; `pods` None: all of them."""

    namespace: str
    spaces: Selector | None
    pods: Selector | None

    def is_met(self, namespace: str, labels: Labels, namespaces: Namespaces) -> bool:
        if self.spaces is None:
            if namespace != self.namespace:
                return False
        elif not self.spaces.matches(namespace_labels(namespace, namespaces)):
            return False
        return self.pods is None or self.pods.matches(labels)


@dataclass(frozen=True, slots=True)
class _Door:
    """One port of the pods that the same policies are about (`uids`), and who may come in."""

    uids: frozenset[str]
    peers: tuple[_Peer, ...]
    blocks: Blocks


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


def sources(
    service: RoutedService, port: ServicePort, cluster: Cluster, pods: Iterable[RoutedPod] | None = None
) -> Mapping[str, str] | None:
    """Who may use this service port from this node: address or block -> "allow" or "deny", the longest match counts.

    `pods`: those of the Service's pods that it is about, None for all. An address that several pods of this node have
    is allowed as theirs only if all of them may. None when no policy selects a pod behind it: then everyone may.
    """
    targets = endpoints.selected(service, cluster.pods) if pods is None else pods
    doors = _doors(targets, port, [one for one in cluster.policies if one.namespace == service.namespace])
    if not doors:
        return None
    entries = longest_matches(door.blocks for door in doors)
    for address, is_open in _local_addresses(doors, cluster).items():
        if is_open:
            entries[f"{address}/{128 if ':' in address else 32}"] = "allow"
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
    for at, peer in enumerate(rule.from_ or (None,)):
        missing = [*([] if peer is None else _missing(peer, policy.namespace, source, namespaces)), *at_port]
        yield Gap(_name(policy), number, at, peer_words(peer, policy.namespace), where, tuple(missing))


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
        yield from _missing_address(peer, peer.ip_block, source)
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


def _missing_address(peer: NetworkPolicyPeer, block: IPBlock, source: RoutedPod | str) -> Iterator[str]:
    """On its host's network a pod is seen by an address of the host, which nobody here knows, but it has one."""
    words = peer_words(peer, "")
    if isinstance(source, RoutedPod) and source.host_network:
        if place(block.cidr) not in EVERYWHERE or block.except_:
            name = f"{source.namespace}/{source.name}"
            yield f"allows {words}, and pod {name} is on its host's network: the host's address decides"
        return
    address = source if isinstance(source, str) else source.ip
    if not _in_block(block, address):
        yield f"allows {words}, not {address or 'a pod without an address'}"


def _in_block(block: IPBlock, address: str) -> bool:
    inner, outer = place(address), place(block.cidr)
    if inner is None or outer is None or not within(inner, outer):
        return False
    return not any(within(inner, hole) for hole in _holes(block))


def _holes(block: IPBlock) -> frozenset[Place]:
    return frozenset(hole for hole in map(place, block.except_) if hole is not None)


def _doors(targets: Iterable[RoutedPod], port: ServicePort, policies: Sequence[RoutedPolicy]) -> list[_Door]:
    """Of the targets that any policy is about: one for all those that the same policies and rules are about."""
    selectors = [label_selector(one.spec.pod_selector) for one in policies]
    about: dict[frozenset[tuple[str, str]], tuple[int, ...]] = {}
    alike: dict[tuple[tuple[int, ...], int, frozenset[tuple[str, int]]], list[RoutedPod]] = {}
    for pod in targets:
        number = endpoints.target_port(port, pod)
        labels = frozenset(pod.labels.items())
        if labels not in about:
            about[labels] = tuple(at for at, one in enumerate(selectors) if one.matches(pod.labels))
        if number is not None and about[labels]:
            alike.setdefault((about[labels], number, frozenset(pod.ports.items())), []).append(pod)
    return [_door(pods, number, [policies[at] for at in chosen]) for (chosen, number, _), pods in alike.items()]


def _door(pods: Sequence[RoutedPod], port: int, policies: Iterable[RoutedPolicy]) -> _Door:
    """Everyone is both families' whole range, and all pods."""
    peers: list[_Peer] = []
    found: list[tuple[Place, frozenset[Place]]] = []
    for policy in policies:
        for rule in policy.spec.ingress:
            if _covers(rule, port, pods[0]):
                peers += _peers(rule, policy.namespace)
                found += _open_blocks(rule)
    return _Door(frozenset(pod.uid for pod in pods), tuple(dict.fromkeys(peers)), blocks(found))


def _peers(rule: NetworkPolicyIngressRule, namespace: str) -> Iterator[_Peer]:
    if not rule.from_:
        yield _Peer(namespace, Selector(), None)
    for peer in rule.from_:
        if peer.ip_block is None:
            spaces, pods = peer.namespace_selector, peer.pod_selector
            yield _Peer(
                namespace,
                None if spaces is None else label_selector(spaces),
                None if pods is None else label_selector(pods),
            )


def _open_blocks(rule: NetworkPolicyIngressRule) -> Iterator[tuple[Place, frozenset[Place]]]:
    if not rule.from_:
        yield from ((one, frozenset()) for one in EVERYWHERE)
    for block in (peer.ip_block for peer in rule.from_ if peer.ip_block is not None):
        whole = place(block.cidr)
        if whole is not None:
            yield whole, _holes(block)


def _local_addresses(doors: Sequence[_Door], cluster: Cluster) -> Mapping[str, bool]:
    """This node's pods by address: do all that have it get through all the doors?"""
    closed: dict[tuple[str, frozenset[tuple[str, str]]], list[_Door]] = {}
    found: dict[str, bool] = {}
    for pod in cluster.pods:
        if pod.node != cluster.node.uid or pod.host_network or not pod.ip:
            continue
        kind = pod.namespace, frozenset(pod.labels.items())
        if (shut := closed.get(kind)) is None:
            closed[kind] = shut = [door for door in doors if not _lets_in(door, pod, cluster.namespaces)]
        is_open = not shut or all(_lets_in_by_itself(door, pod) for door in shut)
        found[pod.ip] = is_open and found.get(pod.ip, True)
    return found


def _lets_in(door: _Door, pod: RoutedPod, namespaces: Namespaces) -> bool:
    return any(peer.is_met(pod.namespace, pod.labels, namespaces) for peer in door.peers)


def _lets_in_by_itself(door: _Door, pod: RoutedPod) -> bool:
    """By what no other pod has: a pod always reaches itself, and its address may stand in a block."""
    if door.uids == {pod.uid}:
        return True
    own = place(pod.ip) if door.blocks.wholes else None
    return own is not None and door.blocks.is_open(own)
