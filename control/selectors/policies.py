"""Network policies and the pods that they are about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from control.models import NetworkPolicy, Pod
from deployer.core.objects.network import NetworkPolicySpec
from deployer.core.scheduling.selectors import label_selector


def pods_of_policies(rows: Sequence[NetworkPolicy]) -> list[list[str]]:
    """For each policy the names of the pods that it selects, sorted; one query."""
    pods: dict[str, list[tuple[str, Mapping[str, str]]]] = defaultdict(list)
    found = Pod.objects.filter(namespace__in={row.namespace for row in rows}, deleted_at=None).order_by("name")
    for namespace, name, labels in found.values_list("namespace", "name", "labels") if rows else ():
        pods[namespace].append((name, labels))
    chosen = [label_selector(NetworkPolicySpec.model_validate(row.spec).pod_selector) for row in rows]
    return [
        [name for name, labels in pods[row.namespace] if selector.matches(labels)]
        for row, selector in zip(rows, chosen, strict=True)
    ]
