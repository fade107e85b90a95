"""Which hosts can take a pod, and the sentence that says why the others cannot.

Every filter is a check and an explanation (swarmkit's lesson), in one fixed order: a node counts under the first
filter that it fails, so the numbers add up to the number of nodes. First what an operator did to the node, then what
the manifest asks of it, then room, then the neighbours.

    0 of 3 nodes fit: 2 lack memory (needs 1Gi), 1 is cordoned
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from deployer.core.scheduling.demand import Demand, matches
from deployer.core.scheduling.hosts import Host, Pool
from deployer.core.scheduling.selectors import tolerates
from deployer.core.scheduling.topology import Rule
from deployer.core.scheduling.values import Taint

UNSCHEDULABLE = Taint("node.kubernetes.io/unschedulable", effect="NoSchedule")
"""What a cordon is in Kubernetes: whoever tolerates it may still be placed (DaemonSets do)."""

NO_NODES = "no nodes are registered: add one with `manage.py node add`"
_UNITS = (("Ti", 1024**4), ("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024))
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Filter:
    """`passes(demand, host)`, and `explains(demand, failed)` for the hosts that failed: a phrase with their number."""

    passes: Callable[[Demand, Host], bool]
    explains: Callable[[Demand, Sequence[Host]], str]


def admits(demand: Demand, host: Host) -> bool:
    """Filters on what the node is, whoever runs on it. Equal for all hosts of a pool unless the demand is selective."""
    return all(each.passes(demand, host) for each in NODE_FILTERS)


def fits_here(demand: Demand, host: Host) -> bool:
    """All that the node and the pods on it can tell. Affinity and spread need the others."""
    return all(each.passes(demand, host) for each in NODE_FILTERS + LOAD_FILTERS + REPULSION_FILTERS)


def refusal(demand: Demand) -> str:
    """Why no host can take the pod, in one sentence."""
    hosts = demand.fleet.hosts
    if not hosts:
        return NO_NODES
    failed = _failed(demand, hosts)
    ranked = sorted(failed, key=lambda order: (-len(failed[order]), order))
    reasons = ", ".join(FILTERS[order].explains(demand, failed[order]) for order in ranked)
    return f"0 of {_nodes(len(hosts))} fit: {reasons}"


def _failed(demand: Demand, hosts: Iterable[Host]) -> dict[int, list[Host]]:
    """The hosts by the number of the first filter that they fail; a pool is asked once where that is enough."""
    failed: dict[int, list[Host]] = {}
    known: dict[Pool, int | None] = {}
    per_host = demand.selective or bool(demand.pod.node_name)
    for host in hosts:
        if per_host:
            order = _first_failed(demand, host, 0, len(FILTERS))
        else:
            if host.pool not in known:
                known[host.pool] = _first_failed(demand, host, 0, len(NODE_FILTERS))
            order = known[host.pool]
            if order is None:
                order = _first_failed(demand, host, len(NODE_FILTERS), len(FILTERS))
        if order is not None:
            failed.setdefault(order, []).append(host)
    return failed


def _first_failed(demand: Demand, host: Host, start: int, end: int) -> int | None:
    for order in range(start, end):
        if not FILTERS[order].passes(demand, host):
            return order
    return None


def _ready(_: Demand, host: Host) -> bool:
    return host.node.ready


def _schedulable(demand: Demand, host: Host) -> bool:
    return not host.node.cordoned or tolerates(demand.pod.tolerations, UNSCHEDULABLE)


def _is_named(demand: Demand, host: Host) -> bool:
    return demand.pod.node_name in ("", host.node.name)


def _matches(demand: Demand, host: Host) -> bool:
    return matches(demand.pod, host)


def _tolerated(demand: Demand, host: Host) -> bool:
    return not host.node.taints or not _repelling_taints(demand, host)


def _repelling_taints(demand: Demand, host: Host) -> list[Taint]:
    hard = (taint for taint in host.node.taints if taint.effect != "PreferNoSchedule")
    return [taint for taint in hard if not tolerates(demand.pod.tolerations, taint)]


def _has_memory(demand: Demand, host: Host) -> bool:
    return host.memory_left >= demand.memory_needed


def _has_cpu(demand: Demand, host: Host) -> bool:
    return host.cpu_left >= demand.cpu_needed


def _has_place(_: Demand, host: Host) -> bool:
    return host.pods_left > 0


def _has_ports(demand: Demand, host: Host) -> bool:
    return all(rule.admits(host) for rule in demand.ports)


def _is_near(demand: Demand, host: Host) -> bool:
    return all(rule.admits(host) for rule in demand.near)


def _is_away(demand: Demand, host: Host) -> bool:
    return all(rule.admits(host) for rule in demand.away)


def _is_not_repelled(demand: Demand, host: Host) -> bool:
    return all(rule.admits(host) for rule in demand.repelled)


def _is_even(demand: Demand, host: Host) -> bool:
    return all(rule.admits(host) for rule in demand.even)


def _explain_ready(_: Demand, failed: Sequence[Host]) -> str:
    return f"{len(failed)} {_verb(failed, 'is', 'are')} not ready"


def _explain_schedulable(_: Demand, failed: Sequence[Host]) -> str:
    return f"{len(failed)} {_verb(failed, 'is', 'are')} cordoned"


def _explain_is_named(demand: Demand, failed: Sequence[Host]) -> str:
    return f"{len(failed)} {_verb(failed, 'is', 'are')} not {demand.pod.node_name} (its nodeName)"


def _explain_matches(demand: Demand, failed: Sequence[Host]) -> str:
    asked = []
    if demand.pod.node_selector:
        pairs = (f"{key}={value}" for key, value in demand.pod.node_selector.items())
        asked.append(f"node selector ({_some(pairs)})")
    if demand.pod.affinity.node_affinity.required is not None:
        asked.append("node affinity")
    return f"{len(failed)} {_verb(failed, 'does', 'do')} not match its {' and '.join(asked)}"


def _explain_tolerated(demand: Demand, failed: Sequence[Host]) -> str:
    taints = {str(taint) for host in failed for taint in _repelling_taints(demand, host)}
    return f"{len(failed)} {_verb(failed, 'has', 'have')} a taint it does not tolerate ({_some(taints)})"


def _explain_has_memory(demand: Demand, failed: Sequence[Host]) -> str:
    return f"{len(failed)} {_verb(failed, 'lacks', 'lack')} memory (needs {memory_text(demand.memory_needed)})"


def _explain_has_cpu(demand: Demand, failed: Sequence[Host]) -> str:
    return f"{len(failed)} {_verb(failed, 'lacks', 'lack')} CPU (needs {cpu_text(demand.cpu_needed)})"


def _explain_has_place(_: Demand, failed: Sequence[Host]) -> str:
    limits = {str(host.node.max_pods) for host in failed}
    return f"{len(failed)} {_verb(failed, 'runs', 'run')} as many pods as allowed ({_some(limits)})"


def _explain_has_ports(demand: Demand, failed: Sequence[Host]) -> str:
    ports = {f"{port}/{protocol}" for _, port, protocol in demand.pod.host_ports}
    return f"{len(failed)} {_verb(failed, 'has', 'have')} its host port in use ({_some(ports)})"


def _explain_is_near(demand: Demand, failed: Sequence[Host]) -> str:
    keys = _keys_of(demand.near, failed)
    return f"{len(failed)} {_verb(failed, 'lacks', 'lack')} the pods that its affinity asks for (per {keys})"


def _explain_is_away(demand: Demand, failed: Sequence[Host]) -> str:
    keys = _keys_of(demand.away, failed)
    return f"{len(failed)} {_verb(failed, 'has', 'have')} pods its anti-affinity avoids (per {keys})"


def _explain_is_not_repelled(demand: Demand, failed: Sequence[Host]) -> str:
    keys = _keys_of(demand.repelled, failed)
    return f"{len(failed)} {_verb(failed, 'has', 'have')} pods whose anti-affinity keeps it away (per {keys})"


def _explain_is_even(demand: Demand, failed: Sequence[Host]) -> str:
    skews = {
        f"maxSkew {rule.max_skew} over {rule.key}"
        for rule in demand.even
        if any(not rule.admits(host) for host in failed)
    }
    return f"{len(failed)} would break its topology spread ({_some(skews)})"


def memory_text(amount_bytes: int) -> str:
    """In the largest unit that is exact; otherwise rounded up to a tenth, so that it is never too little."""
    for unit, size in _UNITS:
        if amount_bytes >= size and amount_bytes % size == 0:
            return f"{amount_bytes // size}{unit}"
    for unit, size in _UNITS:
        if amount_bytes >= size:
            tenths = -(-amount_bytes * 10 // size)
            return f"{tenths // 10}.{tenths % 10}{unit}"
    return str(amount_bytes)


def cpu_text(millicores: int) -> str:
    return f"{millicores}m" if millicores % 1000 else str(millicores // 1000)


def _keys_of(rules: Iterable[Rule], failed: Sequence[Host]) -> str:
    return _some({rule.key for rule in rules if any(not rule.admits(host) for host in failed)})


def _some(words: Iterable[str]) -> str:
    ordered = sorted(words)
    more = len(ordered) - _NAMED_AT_MOST
    return ", ".join(ordered[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _verb(failed: Sequence[Host], one: str, many: str) -> str:
    return one if len(failed) == 1 else many


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"


NODE_FILTERS = (
    Filter(_ready, _explain_ready),
    Filter(_schedulable, _explain_schedulable),
    Filter(_is_named, _explain_is_named),
    Filter(_matches, _explain_matches),
    Filter(_tolerated, _explain_tolerated),
)
LOAD_FILTERS = (
    Filter(_has_memory, _explain_has_memory),
    Filter(_has_cpu, _explain_has_cpu),
    Filter(_has_place, _explain_has_place),
    Filter(_has_ports, _explain_has_ports),
)
REPULSION_FILTERS = (
    Filter(_is_away, _explain_is_away),
    Filter(_is_not_repelled, _explain_is_not_repelled),
)
ATTRACTION_FILTERS = (
    Filter(_is_near, _explain_is_near),
    Filter(_is_even, _explain_is_even),
)
FILTERS = NODE_FILTERS + LOAD_FILTERS + REPULSION_FILTERS + ATTRACTION_FILTERS
