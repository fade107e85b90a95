"""Indexes that are given out once for the whole cluster: of pod networks, and of Services' virtual addresses.

What an index means as an address says `deployer/core/network/addresses.py`. All that is given out is given under one
lock (the Authority's row), in a short transaction of its own; who finds everything there already takes no lock.

A network keeps its index for as long as any pod needs it, and beyond: indexes are taken back only when none is free.
The index of a Service that is gone is given again as late as possible, because clients may remember an address.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Network
from typing import Any

from django.conf import settings
from django.db import transaction

from control.models import Authority, Namespace, Node, Pod, PodNetwork, ServiceAddress
from control.store import objects
from deployer.core.network import values
from deployer.core.network.addresses import MOST_NETWORKS, MOST_SERVICES
from deployer.core.pod_containers import network_name

ISOLATED, HOST = "isolated", "host"
_PREFIX_LENGTH = 20
_OF_A_WORKLOAD = re.compile(r"(?P<namespace>.+)-[0-9a-f]{8}")
AddressKey = tuple[str, str]
"""(Service's uid, pod's uid), the latter "" for the Service's own address."""


def network_of(row: Pod) -> str:
    """The pod network of a pod: the one on record, or the one that its template asks for; "" on the host's."""
    return row.network or named_network(row.namespace, row.owner or row.name, row.placement)


def named_network(namespace: str, workload: str, placement: Mapping[str, Any]) -> str:
    """By what `templates.placement_of` says: the host's, one of the workload's own, or the namespace's."""
    wanted = placement.get("network", "")
    if wanted == HOST:
        return ""
    if wanted != ISOLATED:
        return network_name(namespace)
    return f"{network_name(namespace)}-{hashlib.sha256(workload.encode()).hexdigest()[:8]}"


def choose_networks(rows: Iterable[Pod]) -> list[Pod]:
    """Put the network on record of pods that have none yet. Returns those that changed, not yet saved.

    A pod whose template is not known (found on a host) is left to its namespace's network until it is.
    """
    changed = []
    for row in rows:
        chosen = network_of(row) if row.placement else row.network
        if chosen != row.network:
            row.network = chosen
            changed.append(row)
    return changed


def network_indexes(rows: Iterable[Pod], *, in_use: bool = False) -> dict[str, int]:
    """The index of each network that the pods are on; those that have none get one. Absent: none is free.

    `in_use`: the networks are about to be made on a host, so that their indexes cannot change any more.
    """
    wanted = {name: row for row in rows if (name := network_of(row))}
    known = _network_rows(wanted)
    missing = [wanted[name] for name in sorted(wanted.keys() - known.keys())]
    if missing:
        with transaction.atomic():
            lock()
            known |= _network_rows(wanted)
            known |= _give_networks([row for row in missing if network_of(row) not in known])
    if in_use and (fresh := PodNetwork.objects.filter(name__in=known, seen=False)).exists():
        fresh.update(seen=True)
    return known


def networks(names: Collection[str]) -> tuple[values.PodNetwork, ...]:
    rows = PodNetwork.objects.filter(name__in=names).order_by("index")
    return tuple(values.PodNetwork(row.name, row.index, row.namespace) for row in rows)


def adopt_networks(node: str, found: Mapping[str, str]) -> bool:
    """Take over the indexes of networks that a host has: name -> its range. True when the records changed.

    After the database was lost, this is what they had. A network that no host is known to have makes way for one
    that exists. Of two hosts that differ the first one stands, and the other one's node has an event that says so.
    """
    indexes = {name: index for name, cidr in found.items() if (index := _index_of(cidr)) and _is_ours(name)}
    known = {row.name: row for row in PodNetwork.objects.filter(name__in=indexes)}
    fresh = {
        name: index
        for name, index in indexes.items()
        if name not in known or not known[name].seen or known[name].index != index
    }
    if not fresh:
        return False
    with transaction.atomic():
        lock()
        changed = [_adopt(node, name, index) for name, index in sorted(fresh.items())]
    return any(changed)


def service_addresses(wanted: Collection[AddressKey], now: float) -> dict[AddressKey, int]:
    """The index of each; what is missing gets one, what is not wanted any more is released."""
    live = _live()
    if live.keys() == set(wanted):
        return live
    with transaction.atomic():
        lock()
        live = _live()
        for service, pod in live.keys() - set(wanted):
            ServiceAddress.objects.filter(service=service, pod=pod).update(released_at=now)
        for key in sorted(set(wanted) - live.keys()):
            index = _reclaimed(key) or _next_index(key)
            if index is not None:
                live[key] = index
    return {key: index for key, index in live.items() if key in wanted}


def lock() -> Authority:
    """The one row, held until the caller's transaction ends: whoever gives something out waits here."""
    Authority.objects.get_or_create(pk=1)
    return Authority.objects.select_for_update().get(pk=1)


def _network_rows(wanted: Mapping[str, Pod]) -> dict[str, int]:
    known = {}
    for name, index, namespace in PodNetwork.objects.filter(name__in=wanted).values_list("name", "index", "namespace"):
        known[name] = index
        if namespace != wanted[name].namespace:  # its name alone had not told, when it was found on a host
            PodNetwork.objects.filter(name=name).update(namespace=wanted[name].namespace)
    return known


def _give_networks(rows: list[Pod]) -> dict[str, int]:
    free = _free_indexes(len(rows))
    given = {}
    for row, index in zip(rows, free, strict=False):
        isolated = row.placement.get("network") == ISOLATED
        owner = (row.owner or row.name) if isolated else ""
        made = PodNetwork(name=network_of(row), index=index, namespace=row.namespace, workload=owner)
        made.save(force_insert=True)
        given[made.name] = index
    for row in rows[len(free) :]:
        words = f"all {_most_networks() - 1} pod networks are in use: {network_of(row)} has neither Services nor names"
        objects.record_event("Namespace", "", row.namespace, "Warning", "NoPodNetwork", words)
    return given


def _free_indexes(count: int) -> list[int]:
    """The smallest; those that no pod uses any more are taken back only when there are no others."""
    free = _untaken()
    if len(free) < count:
        used = set(Pod.objects.exclude(network="").values_list("network", flat=True))
        PodNetwork.objects.exclude(name__in=used).delete()
        free = _untaken()
    return free[:count]


def _untaken() -> list[int]:
    taken = set(PodNetwork.objects.values_list("index", flat=True))
    return [index for index in range(1, _most_networks()) if index not in taken]


def _most_networks() -> int:
    whole = IPv4Network(settings.PIERHEAD.pod_range)
    return min(MOST_NETWORKS, 1 << max(0, _PREFIX_LENGTH - whole.prefixlen))


def _index_of(cidr: str) -> int | None:
    """Which of our networks has this range; None for one that none of ours could have."""
    whole, found = IPv4Network(settings.PIERHEAD.pod_range), IPv4Network(cidr, strict=False)
    if found.prefixlen != _PREFIX_LENGTH or not found.subnet_of(whole):
        return None
    index = (int(found.network_address) - int(whole.network_address)) >> (32 - _PREFIX_LENGTH)
    return index if 1 <= index < _most_networks() else None


def _is_ours(name: str) -> bool:
    return name.startswith(network_name(""))


def _adopt(node: str, name: str, index: int) -> bool:
    row = PodNetwork.objects.filter(name=name).first()
    holder = PodNetwork.objects.filter(index=index).exclude(name=name).first()
    if row is not None and row.index == index:
        return bool(PodNetwork.objects.filter(pk=row.pk, seen=False).update(seen=True))
    if (row is not None and row.seen) or (holder is not None and holder.seen):
        _differs(node, name, index)
        return False
    if holder is not None:
        _make_way(holder)
    if row is None:
        row = PodNetwork(name=name, namespace=_namespace_of(name))
    row.index, row.seen = index, True
    row.save()
    return True


def _make_way(holder: PodNetwork) -> None:
    free = _free_indexes(1)
    if free and PodNetwork.objects.filter(pk=holder.pk).exists():
        PodNetwork.objects.filter(pk=holder.pk).update(index=free[0])
    else:
        PodNetwork.objects.filter(pk=holder.pk).delete()


def _differs(node: str, name: str, index: int) -> None:
    host = Node.objects.filter(pk=node).values_list("name", flat=True).first() or node
    words = (
        f"network {name} has the addresses of index {index} on this host, and others elsewhere: drain the node, so "
        "that the network is removed and made again"
    )
    objects.record_once("Node", "", host, "Warning", "NetworkDiffers", words)


def _namespace_of(name: str) -> str:
    """A namespace may itself end like a workload's network: one that is on record counts."""
    rest = name.removeprefix(network_name(""))
    match = _OF_A_WORKLOAD.fullmatch(rest)
    return match["namespace"] if match and not Namespace.objects.filter(name=rest).exists() else rest


def _live() -> dict[AddressKey, int]:
    rows = ServiceAddress.objects.filter(released_at=None).values_list("service", "pod", "index")
    return {(service, pod): index for service, pod, index in rows}


def _reclaimed(key: AddressKey) -> int | None:
    """The address that it had before and that nobody was given since."""
    rows = ServiceAddress.objects.filter(service=key[0], pod=key[1])
    rows.update(released_at=None)
    return rows.values_list("index", flat=True).first()


def _next_index(key: AddressKey) -> int | None:
    """The next after the last that was given, around the end; then the one that was released longest ago."""
    taken = set(ServiceAddress.objects.values_list("index", flat=True))
    last = ServiceAddress.objects.order_by("-pk").values_list("index", flat=True).first() or 0
    around = ((last + step) % MOST_SERVICES + 1 for step in range(MOST_SERVICES))
    index = next((one for one in around if one not in taken), None)
    if index is None:
        oldest = ServiceAddress.objects.exclude(released_at=None).order_by("released_at", "index").first()
        if oldest is None:
            return None
        index = oldest.index
        oldest.delete()
    ServiceAddress.objects.create(index=index, service=key[0], pod=key[1])
    return index
