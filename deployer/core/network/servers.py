"""The servers of a service's backend: how each endpoint is reached and how its health is watched.

Every word stands on the server itself, because `add server` knows no defaults. What is watched:

- a local pod without a readiness check: whether it accepts connections, every second, two failures in a row;
- a local pod with one: that very check, with its own period and thresholds. An httpGet check is a rule of the whole
  backend (its path and host come out of maps by the server's name), so in such a backend a pod that has none is not
  checked at all. Checks with headers of their own, and those on https behind another node, are left to the control
  plane: it gates readiness in any case;
- a remote pod: its node's router by a TLS handshake, or its httpGet check through the mesh, every 5 s at most.

Failing connections of real traffic take a server out at once (`observe layer4`), whatever the period of its check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from deployer.core.network.endpoints import sni
from deployer.core.network.maps import CHECK_HOST, CHECK_PATH, is_word, map_path, path_word
from deployer.core.network.server_names import BACKUP
from deployer.core.network.values import FOLDER, Endpoint, Mode, NetworkCheck, RoutedPod, Server

Watch = Literal["connect", "http"]
"""What a check of the backend does: connect (and TLS, if that is the way), or ask by HTTP."""

_REMOTE_SECONDS = 5
_OBSERVED = ("observe", "layer4", "error-limit", "2", "on-error", "mark-down")
_ON_FAILURE = (*_OBSERVED, "on-marked-down", "shutdown-sessions")
"""For checks that mean that nobody is there: what waits for an answer of it would wait for ever."""
_POOLED = ("pool-max-conn", "100", "pool-purge-delay", "1s")
"""Connections are kept for the next request: a server that is added at run time has no such defaults. Not for long,
since servers close theirs, too."""
_LOCAL = ("check", "inter", "1s", "fastinter", "300ms", "fall", "2", "rise", "1", *_ON_FAILURE)
_REMOTE = ("inter", f"{_REMOTE_SECONDS}s", "fastinter", "1s", "fall", "2", "rise", "1", *_ON_FAILURE)


def watch(endpoints: Iterable[Endpoint], mode: Mode) -> Watch:
    """By what its pods ask for, ready or not, so that it does not change with their health."""
    return "http" if mode != "h2" and any(_asks_by_http(endpoint.pod) for endpoint in endpoints) else "connect"


def watch_lines(endpoints: Iterable[Endpoint], mode: Mode) -> tuple[str, ...]:
    """The backend's own lines about checks."""
    found = tuple(endpoints)
    if watch(found, mode) == "connect":
        return ()
    longest = max(pod.readiness.timeout_seconds for one in found if (pod := one.pod).readiness and _asks_by_http(pod))
    path, host = map_path(CHECK_PATH), map_path(CHECK_HOST)
    return (
        "option httpchk",
        f'http-check send meth GET uri-lf "%[srv_name,map_str({path},/)]" ver HTTP/1.1'
        f' hdr Host "%[srv_name,map_str({host},pod)]"',
        "http-check expect status 200-399",
        f"timeout check {longest}s",
    )


def check_maps(
    endpoints: Iterable[Endpoint], address: Callable[[RoutedPod], str], endings: Sequence[str] = ("",)
) -> Mapping[str, Mapping[str, str]]:
    """What checks look up by a server's name. `address`: the one that a pod is known by on its own node. `endings`:
    those that its servers' names may have."""
    paths: dict[str, str] = {}
    hosts: dict[str, str] = {}
    for endpoint in endpoints:
        check = endpoint.pod.readiness
        if check is not None and _asks_by_http(endpoint.pod):
            host = check.host or f"{address(endpoint.pod)}:{check.port}"
            for ending in endings:
                paths[endpoint.pod.key + ending] = path_word(check.path)
                hosts[endpoint.pod.key + ending] = host if is_word(host) else "pod"
    return {CHECK_PATH: paths, CHECK_HOST: hosts}


def servers(
    endpoints: Iterable[Endpoint],
    mode: Mode,
    early: bool = False,
    reserve: Iterable[Endpoint] = (),
    watched: Iterable[Endpoint] | None = None,
) -> tuple[Server, ...]:
    """One for each endpoint that is ready, by name. `early` (publishNotReadyAddresses): nothing is checked.

    Those of `reserve` serve when no other is up. They have names of their own: who changes sides is added there before
    it is taken away here. `watched`: by whose checks the backend's kind of check is decided, None for those there.
    """
    found, others = tuple(endpoints), tuple(reserve)
    kind = watch((*found, *others) if watched is None else watched, mode)
    named: dict[str, Server] = {}
    for endpoint in found:
        if endpoint.ready:
            named.setdefault(endpoint.pod.key, _server(endpoint, mode, kind, early))
    for endpoint in others:
        if endpoint.ready:
            one = _server(endpoint, mode, kind, early)
            backup = replace(one, name=one.name + BACKUP, arguments=("backup", *one.arguments))
            named.setdefault(backup.name, backup)
    return tuple(named[name] for name in sorted(named))


def _server(endpoint: Endpoint, mode: Mode, kind: Watch, early: bool) -> Server:
    words = (*(("proto", "h2") if mode == "h2" else ()), *(() if mode == "tcp" else _POOLED))
    if endpoint.sni:
        checks = () if early else _remote_checks(endpoint, kind)
        words = (*words, *_mesh_words(endpoint.sni), *checks)
    else:
        words = (*words, *(() if early else _local_checks(endpoint, kind)))
    host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    return Server(endpoint.pod.key, f"{host}:{endpoint.port}", words, endpoint.pod.uid)


def _mesh_words(name: str) -> tuple[str, ...]:
    tls = f"{FOLDER}/tls"
    trust = ("ssl", "crt", f"{tls}/node.pem", "ca-file", f"{tls}/ca.pem", "verify", "required")
    return (*trust, "sni", f"str({name})", "verifyhost", name)


def _local_checks(endpoint: Endpoint, kind: Watch) -> tuple[str, ...]:
    check = endpoint.pod.readiness
    by_http = _asks_by_http(endpoint.pod)
    if kind == "http":
        return _probe_words(endpoint, check) if check is not None and by_http else ()
    if check is None or check.kind == "http":  # one that cannot be made here: headers of its own, or HTTP/2
        return _LOCAL
    return _probe_words(endpoint, check)


def _probe_words(endpoint: Endpoint, check: NetworkCheck) -> tuple[str, ...]:
    """`downinter`: a server that was taken out for failing connections is not out for a whole long period.

    A pod that says it is not ready keeps what it is at, as in Kubernetes; if it dies, its host tells at once.
    """
    port = () if check.port == endpoint.target_port else ("port", str(check.port))
    tls = ("check-ssl", "verify", "none") if check.https else ()
    return ("check", *port, *tls, *_rhythm(check, check.period_seconds, 1), *_OBSERVED)


def _remote_checks(endpoint: Endpoint, kind: Watch) -> tuple[str, ...]:
    check = endpoint.pod.readiness
    if kind == "connect":
        return ("check", "check-ssl", "check-sni", endpoint.sni, *_REMOTE)
    if check is None or check.https or not _asks_by_http(endpoint.pod):
        return ()
    name = sni(endpoint.pod.uid, check.port, endpoint.pod.node)
    period = max(_REMOTE_SECONDS, check.period_seconds)
    return ("check", "check-ssl", "check-sni", name, *_rhythm(check, period, _REMOTE_SECONDS), *_ON_FAILURE)


def _rhythm(check: NetworkCheck, period: int, down: int) -> tuple[str, ...]:
    again = min(period, down)
    return ("inter", f"{period}s", "downinter", f"{again}s", "fall", str(check.fall), "rise", str(check.rise))


def _asks_by_http(pod: RoutedPod) -> bool:
    return pod.readiness is not None and pod.readiness.kind == "http" and not pod.readiness.headers
