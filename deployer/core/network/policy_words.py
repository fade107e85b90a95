"""A NetworkPolicy in sentences: what a rule allows, and what is missing for it to allow more.

Only words; what is true is decided in `policy.py`. A refusal names the rule that lacks least, and the labels that
are asked for beside those that are there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployer.core.objects.network import NetworkPolicyPeer, NetworkPolicyPort
from deployer.core.objects.placement import LabelSelector, SelectorRequirement
from deployer.core.scheduling.selectors import Labels, label_selector


@dataclass(frozen=True, slots=True)
class Gap:
    """What one peer of a rule lacks to allow a connection; without `missing` it allows it. `number` counts from 1."""

    policy: str
    number: int
    place: int
    peer: str
    where: str
    missing: tuple[str, ...]


def allowing(gap: Gap) -> str:
    """ "NetworkPolicy shop/database, rule 1, allows pods with app=web-app on 5432"."""
    return f"NetworkPolicy {gap.policy}, rule {gap.number}, allows {gap.peer} {gap.where}"


def nearest(policies: list[str], gaps: list[Gap]) -> tuple[str, str]:
    """The policy that lacks least, and why the connection is refused."""
    if not gaps:
        verb = "has" if len(policies) == 1 else "have"
        return policies[0], f"{_policies(policies)} {verb} no rule that allows anything"
    best = min(gaps, key=lambda gap: (len(gap.missing), gap.policy, gap.number, gap.place))
    rule = f"rule {best.number}" if len(policies) == 1 else f"rule {best.number} of {best.policy}"
    return best.policy, f"no rule of {_policies(policies)} allows it: {rule} {' and '.join(best.missing)}"


def _policies(names: list[str]) -> str:
    if len(names) == 1:
        return f"NetworkPolicy {names[0]}"
    return f"{len(names)} NetworkPolicies ({', '.join(names)})"


def peer_words(peer: NetworkPolicyPeer | None, own_namespace: str) -> str:
    """ "pods with app=web", "pods with app=web in namespaces with team=a", "addresses in 10.0.0.0/8"."""
    if peer is None:
        return "everyone"
    if peer.ip_block is not None:
        holes = f" except {', '.join(peer.ip_block.except_)}" if peer.ip_block.except_ else ""
        return f"addresses in {peer.ip_block.cidr}{holes}"
    wanted = selector_words(peer.pod_selector)
    pods = f"pods with {wanted}" if wanted else "all pods"
    if peer.namespace_selector is None:
        return pods if wanted else f"{pods} of namespace {own_namespace}"
    spaces = selector_words(peer.namespace_selector)
    return f"{pods} in namespaces with {spaces}" if spaces else f"{pods} in all namespaces"


def ports_words(ports: Iterable[NetworkPolicyPort]) -> str:
    """ "port 5432", "ports 80 and 8000-8080"."""
    words = [_port_words(one) for one in ports]
    return f"port{'s' if len(words) > 1 else ''} {' and '.join(words)}"


def _port_words(one: NetworkPolicyPort) -> str:
    return f"{one.port}-{one.end_port}" if one.end_port else str(one.port)


def selector_words(selector: LabelSelector | None) -> str:
    """As kubectl writes selectors: "app=web,tier in (a,b),!old". "" for one that selects everything."""
    if selector is None:
        return ""
    return ",".join(words for words, _ in _parts(selector))


def missing_labels(selector: LabelSelector, labels: Labels, whose: str, of: str = "") -> Iterator[str]:
    """ "asks for app=web, pod shop/other has app=db", one for each label that is not as asked for."""
    for words, part in _parts(selector):
        if not label_selector(part).matches(labels):
            key = next(iter(part.match_labels), None) or part.match_expressions[0].key
            has = f"{key}={labels[key]}" if key in labels else f"no label {key}"
            yield f"asks for {of}{words}, {whose} has {has}"


def _parts(selector: LabelSelector) -> Iterator[tuple[str, LabelSelector]]:
    """Each requirement alone, in words and as a selector."""
    for key, value in sorted(selector.match_labels.items()):
        yield f"{key}={value}", LabelSelector(match_labels={key: value})
    for row in sorted(selector.match_expressions, key=lambda row: (row.key, row.operator, row.values)):
        yield _row_words(row), LabelSelector(match_expressions=(row,))


def _row_words(row: SelectorRequirement) -> str:
    if row.operator == "Exists":
        return row.key
    if row.operator == "DoesNotExist":
        return f"!{row.key}"
    return f"{row.key} {'in' if row.operator == 'In' else 'notin'} ({','.join(sorted(row.values))})"
