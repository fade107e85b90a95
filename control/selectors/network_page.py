"""The network: services, where ingresses lead, who is let in, and when certificates end.

No typed manifest is read for it unless there is a NetworkPolicy: see `backing.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from control.models import NetworkPolicy, Service
from control.selectors.backing import PODS, backings_of_all
from control.selectors.certificates import Certificates, cluster_certificates
from control.selectors.connecting import INGRESSES, SERVICES
from control.selectors.followed import followed, in_order
from control.selectors.ingress_lines import IngressLine, ingress_lines, with_certificates
from control.selectors.ingresses import routes_of_ingresses
from control.selectors.narrowing import Narrowed, narrow
from control.selectors.routers import routers
from control.selectors.service_lines import FACETS, ServiceLine, ServiceRow, service_lines, service_rows
from control.selectors.words import sentence

if TYPE_CHECKING:
    from control.selectors.policy_lines import PolicyLine

POLICIES_SHOWN = 30
Visible = Collection[str] | None
"""The namespaces that the reader may see; None for all."""


@dataclass(frozen=True, slots=True)
class NetworkPage:
    """`listing`: of services, `services` are those of its page. `open_to_all`: no NetworkPolicy holds anybody back."""

    listing: Narrowed[ServiceLine]
    services: tuple[ServiceRow, ...]
    ingresses: Narrowed[IngressLine]
    shown_ingresses: tuple[IngressLine, ...]
    policies: tuple[PolicyLine, ...]
    more_policies: int
    certificates: Certificates | None
    alarms: tuple[str, ...]

    @property
    def troubles(self) -> int:
        """Services and ingresses that are not well, among those that are asked for."""
        return sum(facet.count for facet in self.listing.facets["health"] if facet.word not in ("Healthy", "Unknown"))


def network_page(asked: Mapping[str, str], numbers: tuple[int, int], visible: Visible, now: float) -> NetworkPage:
    """`numbers`: the pages of services and of ingresses. As many queries however many there are."""
    seen = None if visible is None else Q(namespace__in=visible)
    services, ingressing, pods = followed.now(SERVICES, INGRESSES, PODS)
    backed, told = backings_of_all(services, pods, visible), routers()
    found = routes_of_ingresses(in_order(ingressing, visible), backed, told)
    lines = service_lines(backed, told.problems_of(Service.kind))
    listing = narrow(lines, asked, FACETS, lambda line: line.searched, numbers[0])
    narrowed = {"words": asked.get("words", ""), "namespace": asked.get("namespace", "")}
    by_namespace = {"namespace": lambda line: line.namespace}
    ingresses = narrow(ingress_lines(found), narrowed, by_namespace, lambda line: line.searched, numbers[1])
    policies, more = _policies(narrowed, seen)
    return NetworkPage(
        listing=listing,
        services=tuple(service_rows(listing.lines, backed)),
        ingresses=ingresses,
        shown_ingresses=tuple(with_certificates(ingresses.lines, now)),
        policies=policies,
        more_policies=more,
        certificates=cluster_certificates(now) if visible is None else None,
        alarms=tuple(sentence(one) for one in told.in_trouble()) if visible is None else (),
    )


def _policies(asked: Mapping[str, str], seen: Q | None) -> tuple[tuple[PolicyLine, ...], int]:
    there = NetworkPolicy.objects.filter(deleted_at=None).order_by("namespace", "name")
    rows: Sequence[NetworkPolicy] = list(there if seen is None else there.filter(seen))
    rows = [row for row in rows if not asked["namespace"] or row.namespace == asked["namespace"]]
    words = asked["words"].lower().split()
    rows = [row for row in rows if all(word in f"{row.namespace}/{row.name}" for word in words)]
    if not rows:
        return (), 0
    from control.selectors.policy_lines import policy_lines

    return tuple(policy_lines(rows[:POLICIES_SHOWN])), max(len(rows) - POLICIES_SHOWN, 0)
