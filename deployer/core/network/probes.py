"""Probes that a node's router makes: which are due, as what HAProxy is to make them, and what it found.

    containers and their statuses -> due_probes -> RoutedPod.probes -> backends, maps -> HAProxy -> results

A probe is a server of a backend that nothing is sent to; its check is the probe. Its name ends in a digest of the
run and of the check, so that every run of a container begins anew.

Kubernetes' rules: startup first, the others once it has passed, each after its initialDelaySeconds; none of a pod
that is being deleted, none after the run was ended for a failure; an HTTP status of 200 to 399 passes. What differs:
a redirect passes and is not followed; and a startup or readiness probe that has not passed is made at once
(`first_tries.py`) and then every second, because HAProxy would make the first one only after a whole period. How many
failures count is still a matter of periodSeconds.

HAProxy 2.6 takes a server out at its *first* failure if it never passed, and counts (`chkfail`) only failures while
it is up. So a probe has failed `fall` times in a row when that count says so, or when it has been down for so long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from deployer.core.network.commands import is_entry
from deployer.core.network.endpoints import local_address
from deployer.core.network.maps import is_word, map_path, path_word
from deployer.core.network.runtime import PROBES, StatRow
from deployer.core.network.values import (
    Cluster,
    ContainerProbe,
    NetworkCheck,
    ProbeKind,
    ProbeResult,
    RoutedPod,
    Server,
)
from deployer.core.objects.pod import Container, HTTPHeader, Probe
from deployer.core.pod_status import ContainerStatus

PATHS, HOSTS = "maps/probe-path.map", "maps/probe-host.map"
USUAL_TIMEOUTS = (1, 2, 3, 5, 10)
"""Seconds. Their backends are always there, so that most probes need no reload."""
LONGEST_PERIOD_SECONDS, LONGEST_TIMEOUT_SECONDS, GREATEST_THRESHOLD = 86_400, 3_600, 10_000
"""Kubernetes has no limits; HAProxy counts milliseconds in 31 bits and refuses a configuration beyond that."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&*+.^_`|~-]+")
"""RFC 9110's token, without the quote that ends a quoted word of a configuration."""
_DEFAULT_HEADERS = (("User-Agent", "pierhead-probe/1"), ("Accept", "*/*"))
_PASSED = frozenset({"L4OK", "L6OK", "L7OK", "L7OKC"})
_SYSTEM_WORDS = re.compile(r"(E[A-Z]+) returned by OS(?: \(([^)]*)\))?")
"""How HAProxy 3.4 quotes the system, with or without the words that 2.6 said alone."""
_WORDS = {"ECONNREFUSED": "Connection refused", "EHOSTUNREACH": "No route to host", "ECONNRESET": "Connection reset"}
_UNKNOWN = frozenset({"", "INI", "UNK", "SOCKERR"})
"""SOCKERR is the router's own trouble: an error of a probe is not counted, as in Kubernetes."""


@dataclass(frozen=True, slots=True)
class ProbeBackend:
    """`lines` stand in the text below `backend NAME`; a reload only when they change."""

    name: str
    lines: tuple[str, ...]
    servers: tuple[Server, ...]


def network_check(probe: Probe, ports: Mapping[str, int]) -> NetworkCheck | None:
    """None for exec, and for a port's name that `ports` does not know (an error, which Kubernetes does not count)."""
    action = probe.http_get or probe.tcp_socket
    port = None if action is None else ports.get(action.port) if isinstance(action.port, str) else action.port
    if port is None:
        return None
    rhythm = NetworkCheck(
        kind="tcp",
        port=port,
        initial_delay_seconds=probe.initial_delay_seconds,
        period_seconds=min(probe.period_seconds, LONGEST_PERIOD_SECONDS),
        timeout_seconds=min(probe.timeout_seconds, LONGEST_TIMEOUT_SECONDS),
        rise=min(probe.success_threshold, GREATEST_THRESHOLD),
        fall=min(probe.failure_threshold, GREATEST_THRESHOLD),
    )
    if probe.http_get is None:
        return rhythm
    host, headers = _headers(probe.http_get.http_headers)
    path, https = path_word(_absolute(probe.http_get.path)), probe.http_get.scheme == "HTTPS"
    return replace(rhythm, kind="http", path=path, host=host, headers=headers, https=https)


def due_probes(
    containers: Sequence[Container], statuses: Mapping[str, ContainerStatus], now: float
) -> tuple[tuple[ContainerProbe, ...], float | None]:
    """The network probes of a pod to be made now, and when the next one becomes due, None for never by itself."""
    due: list[ContainerProbe] = []
    later: list[float] = []
    for container in containers:
        status = statuses.get(container.name)
        if status is None or status.state != "running" or status.killed_at == status.started_at != 0:
            continue
        # The delay is by our clock: the host's (`started_at`) may be off.
        began_at = status.started_seen_at or status.started_at
        for kind, check in _checks(container, started=status.started):
            due_at = began_at + check.initial_delay_seconds
            if due_at <= now:
                due.append(ContainerProbe(container.name, kind, check, status.container_id, status.started_at))
            else:
                later.append(due_at)
    return tuple(due), min(later, default=None)


def backends(cluster: Cluster) -> tuple[ProbeBackend, ...]:
    """The probes of this node's pods, grouped by what only a whole backend can say."""
    groups: dict[tuple[str, int, tuple[str, ...]], list[Server]] = {
        (kind, seconds, ()): [] for kind in ("http", "tcp") for seconds in USUAL_TIMEOUTS
    }
    for pod, probe in _made(cluster):
        check = probe.check
        group = (check.kind, check.timeout_seconds, _header_names(check))
        groups.setdefault(group, []).append(_server(pod, probe, local_address(pod, cluster)))
    return tuple(
        ProbeBackend(_backend_name(*group), _lines(*group), tuple(sorted(servers, key=lambda one: one.name)))
        for group, servers in sorted(groups.items())
    )


def maps(cluster: Cluster) -> Mapping[str, Mapping[str, str]]:
    """What the backends' checks look up by a server's name: its path, its Host, the values of its headers."""
    found: dict[str, dict[str, str]] = {PATHS: {}, HOSTS: {}}
    for pod, probe in _made(cluster):
        check, name = probe.check, server_name(pod, probe)
        if check.kind != "http":
            continue
        found[PATHS][name] = check.path
        found[HOSTS][name] = check.host or f"{local_address(pod, cluster)}:{check.port}"
        for place, (_, value) in enumerate(check.headers):
            values = found.setdefault(_header_map(_header_names(check), place), {})
            if is_entry(name, value):
                values[name] = value
    return found


def server_name(pod: RoutedPod, probe: ContainerProbe) -> str:
    """Kubernetes' names and a digest: a run that starts anew, or another check, is another server."""
    run = f"{probe.container_id}:{probe.started_at}:{probe.check}"
    return f"{pod.key}.{probe.container}.{probe.kind}.{_digest(run)}"


def results(
    cluster_pods: Iterable[RoutedPod], rows: Iterable[StatRow], before: Mapping[str, tuple[ProbeResult, ...]]
) -> dict[str, tuple[ProbeResult, ...]]:
    """Pod uid -> what is known of its probes, out of `show stat` and what was known `before`.

    A probe that is not made any more keeps its result until its container starts again: a startup probe that passed
    has passed. What is not known stays as it was (a reload forgets, we do not).
    """
    by_name = {row.server: row for row in rows if row.proxy.startswith(PROBES)}
    found: dict[str, tuple[ProbeResult, ...]] = {}
    for pod in cluster_pods:
        earlier = before.get(pod.uid, ())
        told = [_result(probe, by_name.get(server_name(pod, probe)), earlier) for probe in pod.probes]
        told += [one for one in earlier if not any(_supersedes(probe, one) for probe in pod.probes)]
        if told:
            found[pod.uid] = tuple(sorted(told, key=lambda one: (one.container, one.kind, one.started_at)))
    return found


def unanswered(cluster_pods: Iterable[RoutedPod], before: Mapping[str, tuple[ProbeResult, ...]]) -> set[str]:
    """The servers' names of probes of which it is not known whether they pass."""
    found: set[str] = set()
    for pod in cluster_pods:
        told = [one for one in before.get(pod.uid, ()) if one.passing is not None]
        known = {(one.container, one.kind, one.started_at) for one in told}
        runs = ((probe, (probe.container, probe.kind, probe.started_at)) for probe in pod.probes)
        found |= {server_name(pod, probe) for probe, run in runs if run not in known}
    return found


def has_ended(row: StatRow) -> bool:
    """Whether any check of a server of probes has come to an end."""
    return row.check_status.removeprefix("* ") not in _UNKNOWN


def has_passed(row: StatRow) -> bool:
    """Whether the last one passed."""
    return row.status.startswith("UP") and row.check_status in _PASSED


def _headers(wanted: Iterable[HTTPHeader]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The Host, and all others; a name that is none is left out, as no server would take it."""
    host, others = "", []
    for header in wanted:
        value = "".join(letter if letter.isprintable() else " " for letter in header.value).strip()
        if header.name.lower() == "host":
            host = value if is_word(value) else host
        elif _HEADER_NAME.fullmatch(header.name):
            others.append((header.name, value))
    return host, tuple(others)


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _checks(container: Container, *, started: bool) -> Iterator[tuple[ProbeKind, NetworkCheck]]:
    ports = {port.name: port.container_port for port in container.ports if port.name}
    wanted: tuple[tuple[ProbeKind, Probe | None], ...] = (("startup", container.startup_probe),)
    if started:
        wanted = (("liveness", container.liveness_probe), ("readiness", container.readiness_probe))
    for kind, probe in wanted:
        check = None if probe is None else network_check(probe, ports)
        if check is not None:
            yield kind, check


def _made(cluster: Cluster) -> Iterator[tuple[RoutedPod, ContainerProbe]]:
    for pod in sorted(cluster.pods, key=lambda one: (one.key, one.uid)):
        if pod.node == cluster.node.uid and not pod.leaving and local_address(pod, cluster):
            for probe in pod.probes:
                yield pod, probe


def _header_names(check: NetworkCheck) -> tuple[str, ...]:
    return tuple(name for name, _ in check.headers)


def _backend_name(kind: str, seconds: int, headers: tuple[str, ...]) -> str:
    return f"{PROBES}{kind}.{seconds}" + (f".{_digest_of(headers)}" if headers else "")


def _header_map(headers: tuple[str, ...], place: int) -> str:
    return f"maps/probe-header.{_digest_of(headers)}.{place}.map"


def _digest_of(headers: tuple[str, ...]) -> str:
    return _digest("\0".join(headers))


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _lines(kind: str, seconds: int, headers: tuple[str, ...]) -> tuple[str, ...]:
    """Connecting and answering may each take that long: HAProxy counts them apart."""
    always = (f"mode {kind}", "balance random", f"timeout connect {seconds}s", f"timeout check {seconds}s")
    if kind == "tcp":
        return always
    given = {name.lower() for name in headers}
    words = [f"hdr {name} {value}" for name, value in _DEFAULT_HEADERS if name.lower() not in given]
    words += [f"hdr '{name}'" + f' "{_looked_up(_header_map(headers, place))}"' for place, name in enumerate(headers)]
    ask = f'http-check send meth GET uri-lf "{_looked_up(PATHS, "/")}" ver HTTP/1.1'
    host = f'hdr Host "{_looked_up(HOSTS, "pod")}"'
    return (*always, "option httpchk", " ".join((ask, host, *words)), "http-check expect status 200-399")


def _looked_up(name: str, default: str = "") -> str:
    return f"%[srv_name,map_str({map_path(name)}{',' + default if default else ''})]"


def _server(pod: RoutedPod, probe: ContainerProbe, address: str) -> Server:
    check = probe.check
    tls = ("check-ssl", "verify", "none") if check.https else ()
    soon = () if probe.kind == "liveness" else ("downinter", "1s")
    rhythm = ("inter", f"{check.period_seconds}s", *soon, "rise", str(check.rise), "fall", str(check.fall))
    return Server(server_name(pod, probe), f"{address}:{check.port}", ("check", *tls, *rhythm), pod.uid)


def _supersedes(probe: ContainerProbe, result: ProbeResult) -> bool:
    if probe.container != result.container:
        return False
    return probe.kind == result.kind or probe.started_at != result.started_at


def _result(probe: ContainerProbe, row: StatRow | None, before: tuple[ProbeResult, ...]) -> ProbeResult:
    run = (probe.container, probe.kind, probe.started_at)
    known = ProbeResult(*run, passing=None)
    known = next((one for one in before if (one.container, one.kind, one.started_at) == run), known)
    if row is None or not has_ended(row) or "MAINT" in row.status:
        return known
    passing = _passing(probe, row, known.passing)
    if passing is None or passing == known.passing is True:
        return known
    return ProbeResult(*run, passing, "" if passing else _message(probe.check, row, known.message))


def _passing(probe: ContainerProbe, row: StatRow, known: bool | None) -> bool | None:
    """None for not known yet. A row that is up after a failed check has passed before, and not failed `fall` times."""
    check, is_up = probe.check, row.status.startswith("UP")
    if is_up:
        enough = known or row.chkdown or row.lastchg >= (check.rise - 1) * check.period_seconds
        return True if enough or row.check_status.removeprefix("* ") not in _PASSED else known
    if probe.kind == "readiness" and not known:
        return False
    # Down since its first failure: the last of `fall` in a row is over at this time at the latest.
    patience = (check.fall - 1) * check.period_seconds + check.timeout_seconds
    return False if row.chkfail >= check.fall or row.lastchg >= patience else known


def _message(check: NetworkCheck, row: StatRow, known: str) -> str:
    """In words; while the next check is under way, HAProxy does not tell all about the last one."""
    status = row.check_status.removeprefix("* ")
    where = f"on port {check.port}"
    within = f"within {check.timeout_seconds} s"
    match status:
        case "L4TOUT":
            return f"no connection {within} {where}"
        case "L6TOUT":
            return f"no TLS handshake {within} {where}"
        case "L7TOUT":
            return f"no response {within} from {check.path} {where}"
        case "L7RSP":
            return f"no HTTP response from {check.path} {where}"
        case _ if row.check_status.startswith("* ") and known:
            return known
        case "L7STS":
            return f"HTTP {row.check_code or 'error'} from {check.path} {where}"
        case "L4CON" | "L6RSP":
            told = _SYSTEM_WORDS.sub(lambda found: found[2] or _WORDS.get(found[1], ""), row.last_chk)
            said = told.partition(" at ")[0] or ("connection failed" if status == "L4CON" else "TLS failed")
            return f"{said[0].lower() + said[1:] if status == 'L4CON' else said} {where}"
        case _ if status in _PASSED:
            return f"passes again {where}, {check.rise} times in a row are needed"
        case _:
            return f"{status} {where}"
