"""The latency table: how long http requests took, per backend and revision, in 16 counters each.

    key "svc.shop.web.80|7" -> gpc(0) requests up to 1 ms, gpc(1) up to 2 ms, ... gpc(14) up to 16384 ms, gpc(15) longer

Counters only grow (a reload starts them at zero), so they can be added up over routers and taken apart over time. It
counts answers of pods; what the router answers by itself is in its own rows of `show stat`.
"""

from __future__ import annotations

from deployer.core.network.maps import REVISIONS, map_path
from deployer.core.network.measurements import BOUNDS_MILLISECONDS
from deployer.core.network.sections import Section

TABLE = "table.latency"
_MICROSECONDS = 1000


def table() -> Section:
    """A key has room for the longest backend's name; beyond 5000 of them the one unused for longest goes."""
    return Section(f"backend {TABLE} from http", ("stick-table type string len 200 size 5k store gpc(16)",))


def rules() -> tuple[str, ...]:
    """For backends in http mode: note the start, find the bucket at the answer."""
    return (
        "http-request set-var(txn.started) date(0,us)",
        "http-response set-var(txn.took) date(0,us),sub(txn.started)",
        f"http-response set-var(txn.revision) srv_name,map_str({map_path(REVISIONS)},0)",
        f"http-response track-sc0 be_name,concat(|,txn.revision) table {TABLE}",
        *(f"http-response sc-inc-gpc({index},0) if {{ var(txn.took) -m int {_range(index)} }}" for index in range(16)),
    )


def _range(index: int) -> str:
    """Microseconds, both ends included: bucket 0 is "le 1000", bucket 1 "1001:2000", the last "gt 16384000"."""
    if index == 0:
        return f"le {BOUNDS_MILLISECONDS[0] * _MICROSECONDS}"
    lower = BOUNDS_MILLISECONDS[index - 1] * _MICROSECONDS
    if index == len(BOUNDS_MILLISECONDS):
        return f"gt {lower}"
    return f"{lower + 1}:{BOUNDS_MILLISECONDS[index] * _MICROSECONDS}"
