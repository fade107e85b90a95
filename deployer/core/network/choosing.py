"""The lines of a frontend that choose between a Service's stable pods and its canary (`splits.py` says how).

    is there a canary? -> a header route? -> a lot -> below the weight? -> the canary's backend

All that is asked about is in maps under the backend's name, so the same lines serve a Service's own frontends, where
the name is known, and Ingress, where it was just looked up. Weight and routes count only while the canary's backend
has a server that is up, so nobody is led where nobody is.

A cookie of the routers' own is given to whoever has none, once there is something to choose; what others call their
users by is only read, and whoever has no such name yet draws a lot for each request.
"""

from __future__ import annotations

from collections.abc import Iterable

from deployer.core.canary.values import WHOLE, Stickiness
from deployer.core.network.header_words import SEPARATOR
from deployer.core.network.maps import HEADER_ROUTES, STICKY, WEIGHTS, map_path
from deployer.core.network.splits import OWN_COOKIE, canary_backend, sticky_word

_COOKIE_SECONDS = 30 * 86_400
_HASH = f"xxh32,mod({WHOLE})"
_SPLIT, _WHO, _FRESH = (f"{{ var(txn.{name}) -m found }}" for name in ("split", "who", "fresh"))
_FALLS_TO_CANARY = "{ var(txn.lot),sub(txn.weight) -m int lt 0 }"


def http_lines(sticky: Iterable[Stickiness]) -> tuple[str, ...]:
    """For http: makes `txn.backend`, the name of a Service's backend, that of its canary where it is to be.

    `sticky`: all kinds that occur among the Services that may be meant.
    """
    made = tuple(sorted(set(sticky), key=sticky_word))
    subject = f"var(txn.backend),concat({SEPARATOR},txn.headers)"
    return (
        f"http-request set-var(txn.canary) var(txn.backend),concat({canary_backend('')})",
        "http-request set-var(txn.split) bool(true) if { var(txn.canary),nbsrv gt 0 }",
        f"http-request set-var(txn.headers) req.hdrs if {_SPLIT}",
        f"http-request set-var(txn.route) {subject},map_reg({map_path(HEADER_ROUTES)}) if {_SPLIT}",
        f"http-request set-var(txn.weight) var(txn.backend),map_str_int({map_path(WEIGHTS)},0) if {_SPLIT}",
        *(_who_lines(made) if made else ()),
        f"http-request set-var(txn.lot) rand({WHOLE}) if {_SPLIT} !{{ var(txn.lot) -m found }}",
        f"http-request set-var(txn.backend) var(txn.canary) if {{ var(txn.route) -m found }} or {_FALLS_TO_CANARY}",
    )


def tcp_lines(backend: str, workload: str, sticky: bool) -> tuple[str, ...]:
    """For bytes: leads to the canary's backend; what it does not take goes to the default one."""
    lot = f"str({workload}),concat({SEPARATOR},txn.who),{_HASH}" if sticky else f"rand({WHOLE})"
    canary = canary_backend(backend)
    return (
        f"tcp-request content set-var(txn.weight) str({backend}),map_str_int({map_path(WEIGHTS)},0)",
        *(("tcp-request content set-var(txn.who) src",) if sticky else ()),
        f"tcp-request content set-var(txn.lot) {lot}",
        f"use_backend {canary} if {{ nbsrv({canary}) gt 0 }} {_FALLS_TO_CANARY}",
    )


def _who_lines(sticky: Iterable[Stickiness]) -> tuple[str, ...]:
    """The workload's name goes into the hash, so that it is not the same people for all canaries."""
    said = "var(txn.sticky),field"
    known = f"http-request set-var(txn.sticky) var(txn.backend),map_str({map_path(STICKY)})"
    return (
        f"{known} if {_SPLIT} {{ var(txn.weight) -m int gt 0 }}",
        *(line for one in sticky for line in _source(one, f"{{ {said}(1,|) -m str {sticky_word(one)} }}")),
        f"http-request set-var(txn.lot) {said}(2,|),concat({SEPARATOR},txn.who),{_HASH} if {_WHO}",
    )


def _source(sticky: Stickiness, is_meant: str) -> tuple[str, ...]:
    who = "http-request set-var(txn.who)"
    if sticky.by == "client":
        return (f"{who} src if {is_meant}",)
    if sticky.by == "header":
        return (f"{who} req.fhdr({sticky.name}) if {is_meant}",)
    if sticky.name:
        return (f"{who} req.cook({sticky.name}) if {is_meant}",)
    words = f"{OWN_COOKIE}=%[var(txn.fresh)]; Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
    return (
        f"{who} req.cook({OWN_COOKIE}) if {is_meant}",
        f"http-request set-var(txn.fresh) uuid() if {is_meant} !{_WHO}",
        f"{who} var(txn.fresh) if {_FRESH}",
        f'http-response add-header Set-Cookie "{words}" if {_FRESH}',
    )
