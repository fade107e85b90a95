"""From a router's counters to rates, errors and latencies: what a service answered, and which revision did.

    show stat + show table -> Counters -> since the last look -> amounts per (service port, revision) -> rows -> points

A router counts from its start on, so two looks are subtracted. A counter that shrank began anew (a reload zeroes all,
a pod that left and came back is a new server) and counts from zero. What was counted between the last look and a
reset is lost: numbers here may be too low by one look's worth, and are never too high.

Requests and errors come from the rows of *servers*, because HAProxy's own 503 stands on the backend's row only and
says nothing about a revision. Latencies come from a table of 16 counters for each backend and revision. Both are
counted by the client's router alone, so the sums over all nodes count nothing twice.

Nothing here knows a clock, a socket or a database.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.core.network.server_names import pod_key

BOUNDS_MILLISECONDS = tuple(2**power for power in range(15))
"""Upper bounds of the buckets in which the routers count (`latency.py`), inclusive; the sixteenth has none."""
BOUNDS_MS: tuple[float, ...] = (*map(float, BOUNDS_MILLISECONDS), math.inf)
"""Upper bounds of the 16 buckets: 1, 2, 4 ... 16384 ms, and all the rest."""
BUCKETS = len(BOUNDS_MS)
NO_BUCKETS = (0,) * BUCKETS
FINE_SECONDS, COARSE_SECONDS = 15, 300
FINE_KEPT_SECONDS, COARSE_KEPT_SECONDS = 86_400, 30 * 86_400
"""A busy series (service port and revision) has at most 5,760 fine rows and 8,640 coarse ones; an idle one has none."""

_BACKENDS = ("svc.", "ingress.")
_WHOLE = ("FRONTEND", "BACKEND")
_ERRORS = ("hrsp_5xx", "econ", "eresp")
_ENTRY = re.compile(r"key=(?P<key>(?:\\.|[^\s\\])+)\s(?P<rest>.*)")
_COUNTER = re.compile(r"\bgpc(?P<index>\d+)=(?P<count>\d+)")
_ESCAPED = re.compile(r"\\(.)")
_KEY = re.compile(r"(?:svc|ingress)\.(?P<namespace>[^.]+)\.(?P<service>[^.]+)\.(?P<port>[^.:]+)(?::canary|\..+)?")


@dataclass(frozen=True, slots=True)
class Series:
    """What is told apart. `port` as the router's names have it. `revision` 0: of pods that no workload owns."""

    namespace: str
    service: str
    port: str
    revision: int


@dataclass(frozen=True, slots=True)
class Amount:
    """`errors` are answers with 5xx, refused connections and broken-off answers. `buckets`: 16 counts by latency."""

    requests: int = 0
    errors: int = 0
    buckets: tuple[int, ...] = NO_BUCKETS

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.requests + other.requests, self.errors + other.errors,
            tuple(map(sum, zip(self.buckets, other.buckets, strict=True))),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counters:
    """One look at a router. `servers`: (backend, server) -> (requests, errors); `latencies`: (backend, revision) ->
    16 counts. The same shape holds what was added between two looks."""

    servers: Mapping[tuple[str, str], tuple[int, int]]
    latencies: Mapping[tuple[str, int], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Percentile:
    """A latency that a share of all answers did not exceed: certainly not `bound_ms`, probably about `estimate_ms`.

    Both are None when it is beyond the last bound: longer than 16384 ms, nobody knows by how much.
    """

    bound_ms: float | None
    estimate_ms: float | None

    def __str__(self) -> str:
        return f"<= {self.bound_ms:.0f} ms" if self.bound_ms is not None else f"> {BOUNDS_MS[-2]:.0f} ms"


def read_counters(stat_csv: str, table_text: str) -> Counters:
    """Of `show stat` and of `show table table.latency`, as HAProxy prints them. What is not a service's is left out."""
    return Counters(servers=_servers(stat_csv), latencies=_latencies(table_text))


def added(previous: Counters, current: Counters) -> Counters:
    """What was counted since `previous`; only what is not zero. A counter that shrank began anew.

    Example: requests 100 -> 130 adds 30; 100 -> 20 (a reload) adds 20; a server that was not there adds all it has.
    """
    servers = {key: _difference(previous.servers.get(key, (0, 0)), now) for key, now in current.servers.items()}
    latencies = {
        key: _difference(previous.latencies.get(key, NO_BUCKETS), now) for key, now in current.latencies.items()
    }
    return Counters(
        servers={key: (counts[0], counts[1]) for key, counts in servers.items() if any(counts)},
        latencies={key: counts for key, counts in latencies.items() if any(counts)},
    )


def amounts(counted: Counters, revisions: Mapping[str, int]) -> dict[Series, Amount]:
    """Per series. `revisions`: pod key ("shop.web-5d8f7-x2x") -> its workload's revision; not there is 0."""
    found: dict[Series, Amount] = defaultdict(Amount)
    for (backend, server), (requests, errors) in counted.servers.items():
        if series := _series(backend, revisions.get(pod_key(server), 0)):
            found[series] += Amount(requests, errors)
    for (backend, revision), buckets in counted.latencies.items():
        if series := _series(backend, revision):
            found[series] += Amount(buckets=buckets)
    return dict(found)


def bucket_start(at: float, resolution_seconds: int) -> int:
    """The row that a time belongs to: 47.2 at 15 s -> 45."""
    return int(at // resolution_seconds) * resolution_seconds


def total(parts: Iterable[tuple[Series, Amount]]) -> dict[Series, Amount]:
    """The sum of each series: fine rows into a coarse one, several nodes into one."""
    found: dict[Series, Amount] = defaultdict(Amount)
    for series, amount in parts:
        found[series] += amount
    return dict(found)


def percentile(buckets: Iterable[int], share: float) -> Percentile | None:
    """The latency that `share` (0 to 1) of the answers did not exceed; None when there was no answer.

    Nearest rank: of 10 answers, p95 is the 10th, p50 the 5th. The estimate is linear within the bucket.
    Example: 8 answers within 1 ms, 2 within 4 ms (and over 2): p50 <= 1 ms, p95 <= 4 ms, about 4.
    """
    counts = tuple(buckets)
    answers = sum(counts)
    if not answers:
        return None
    rank = max(1, math.ceil(share * answers - 1e-9))  # 0.07 * 100 is a little more than 7
    below = 0
    for index, count in enumerate(counts):
        if below + count >= rank:
            return _within(index, (rank - below) / count)
        below += count
    raise AssertionError("a rank is never beyond the number of answers")


def _within(index: int, part: float) -> Percentile:
    upper, lower = BOUNDS_MS[index], BOUNDS_MS[index - 1] if index else 0.0
    return Percentile(None, None) if index == BUCKETS - 1 else Percentile(upper, lower + (upper - lower) * part)


def _servers(stat_csv: str) -> dict[tuple[str, str], tuple[int, int]]:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for row in csv.DictReader(io.StringIO(stat_csv.lstrip().removeprefix("# "))):
        backend, server = row.get("pxname") or "", row.get("svname") or ""
        if backend.startswith(_BACKENDS) and server not in _WHOLE:
            found[backend, server] = (_count(row, "stot"), sum(_count(row, one) for one in _ERRORS))
    return found


def _latencies(table_text: str) -> dict[tuple[str, int], tuple[int, ...]]:
    found: dict[tuple[str, int], tuple[int, ...]] = {}
    for entry in _ENTRY.finditer(table_text):
        backend, _, revision = _ESCAPED.sub(r"\1", entry["key"]).rpartition("|")
        counts = [0] * BUCKETS
        for one in _COUNTER.finditer(entry["rest"]):
            if int(one["index"]) < BUCKETS:
                counts[int(one["index"])] = int(one["count"])
        if backend.startswith(_BACKENDS):
            found[backend, int(revision) if revision.isascii() and revision.isdigit() else 0] = tuple(counts)
    return found


def _difference(before: tuple[int, ...], now: tuple[int, ...]) -> tuple[int, ...]:
    """The counters of one thing begin anew together."""
    if any(new < old for old, new in zip(before, now, strict=True)):
        return now
    return tuple(new - old for old, new in zip(before, now, strict=True))


def _series(backend: str, revision: int) -> Series | None:
    """One series: the backends of each pod of a headless service (`svc.shop.db.5432.db-0`), what comes by Ingress to a
    port that is otherwise carried as tcp (`ingress.shop.web.443`), and the part of a canary (`svc.shop.web.80:canary`):
    it is told from the others by its revision, on whichever side a pod served."""
    found = _KEY.fullmatch(backend)
    return Series(found["namespace"], found["service"], found["port"], revision) if found else None


def _count(row: Mapping[str, str | None], name: str) -> int:
    text = row.get(name) or "0"
    return int(text) if text.isascii() and text.isdigit() else 0
