"""NetworkPolicies as pages list them: whom each is about, and whom it lets in. Reads typed manifests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from control.models import NetworkPolicy, Pod
from control.selectors.policies import pods_of_policies
from control.selectors.words import sentence
from deployer.core.network.policy_words import peer_words, ports_words, selector_words
from deployer.core.objects.network import NetworkPolicySpec
from deployer.core.scheduling.selectors import Selector, label_selector

RULES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """`pods`: how many it is about now. `allowed`: sentences; without any, nobody is let in."""

    namespace: str
    name: str
    about: str
    pods: int
    allowed: tuple[str, ...]
    more: int


def policy_lines(rows: Sequence[NetworkPolicy]) -> list[PolicyLine]:
    """In the order of `rows`; one query."""
    return [_line(row, names) for row, names in zip(rows, pods_of_policies(rows), strict=True)]


def policies_about(namespace: str, pods: Sequence[Pod]) -> list[PolicyLine]:
    """Those that are about any of these pods of the namespace, and about how many. One query."""
    rows = NetworkPolicy.objects.filter(namespace=namespace, deleted_at=None).order_by("name")
    lines = (_line(row, [pod.name for pod in pods if _selector(row).matches(pod.labels)]) for row in rows)
    return [line for line in lines if line.pods]


def _selector(row: NetworkPolicy) -> Selector:
    return label_selector(NetworkPolicySpec.model_validate(row.spec).pod_selector)


def _line(row: NetworkPolicy, pods: Sequence[str]) -> PolicyLine:
    spec = NetworkPolicySpec.model_validate(row.spec)
    allowed = list(_allowed(spec, row.namespace))
    return PolicyLine(
        namespace=row.namespace,
        name=row.name,
        about=sentence(selector_words(spec.pod_selector)) or "all pods of its namespace",
        pods=len(pods),
        allowed=tuple(allowed[:RULES_SHOWN]),
        more=max(len(allowed) - RULES_SHOWN, 0),
    )


def _allowed(spec: NetworkPolicySpec, namespace: str) -> Iterable[str]:
    for rule in spec.ingress:
        ports = f"on {ports_words(rule.ports)}" if rule.ports else "on every port"
        for peer in rule.from_ or (None,):
            yield sentence(f"{peer_words(peer, namespace)} {ports}")
