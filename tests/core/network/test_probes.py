"""Probes: what is made of a manifest, when it is due, and what the rows of a router mean."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.core.network import probes
from deployer.core.network.maps import is_word
from deployer.core.network.probes import backends, due_probes, maps, network_check, results, server_name
from deployer.core.network.runtime import StatRow
from deployer.core.network.values import ContainerProbe, NetworkCheck, ProbeResult
from deployer.core.objects.pod import Container, Probe
from deployer.core.pod_status import ContainerStatus
from tests.core.network.hunt import hunted
from tests.core.network.towns import cluster, pod

param = pytest.param


def check(**spec: Any) -> NetworkCheck | None:
    return network_check(Probe.model_validate(spec), {"web": 8080})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        param({"exec": {"command": ["true"]}}, None, id="exec is Docker's"),
        param({"tcpSocket": {"port": "web"}}, NetworkCheck("tcp", 8080), id="a named port"),
        param({"tcpSocket": {"port": "other"}}, None, id="a name that is not known"),
        param({"httpGet": {"port": 80}}, NetworkCheck("http", 80), id="defaults"),
        param({"httpGet": {"port": 80, "path": "a b\n?c=ü", "scheme": "HTTPS"}},
              NetworkCheck("http", 80, "/a%20b%0A?c=%C3%BC", https=True), id="a path is escaped"),
        param({"httpGet": {"port": 80, "httpHeaders": [
            {"name": "host", "value": "web.test"}, {"name": "X-A", "value": "1\r\n2"},
            {"name": "bad name", "value": "3"}]}},
              NetworkCheck("http", 80, host="web.test", headers=(("X-A", "1  2"),)), id="headers"),
        param({"tcpSocket": {"port": 1}, "periodSeconds": 10**9, "timeoutSeconds": 10**9, "failureThreshold": 10**9},
              NetworkCheck("tcp", 1, period_seconds=86_400, timeout_seconds=3_600, fall=10_000), id="what fits"),
        param({"tcpSocket": {"port": 1}, "initialDelaySeconds": 7, "periodSeconds": 2, "successThreshold": 3},
              NetworkCheck("tcp", 1, initial_delay_seconds=7, period_seconds=2, rise=3), id="figures"),
    ],
)  # fmt: skip
def test_a_manifests_probe(spec: dict[str, Any], expected: NetworkCheck | None) -> None:
    assert check(**spec) == expected


ALL = {
    "startupProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": 2},
    "livenessProbe": {"tcpSocket": {"port": 1}, "initialDelaySeconds": 30},
    "readinessProbe": {"tcpSocket": {"port": "web"}},
}
RUNS = ContainerStatus("main", "id", state="running", started_at=90, started_seen_at=100)


@pytest.mark.parametrize(
    ("status", "now", "due", "next_at"),
    [
        param(None, 100, [], None, id="never seen"),
        param(replace(RUNS, state="waiting"), 200, [], None, id="not running"),
        param(RUNS, 101, [], 102, id="its delay counts from when we saw the start"),
        param(RUNS, 102, ["startup"], None, id="startup alone"),
        param(replace(RUNS, started=True), 102, ["readiness"], 130, id="started: no startup probe any more"),
        param(replace(RUNS, started=True), 130, ["liveness", "readiness"], None, id="all are due"),
        param(replace(RUNS, started=True, killed_at=90), 130, [], None, id="ended for a failure: until it runs anew"),
        param(replace(RUNS, started=True, started_seen_at=0), 120, ["liveness", "readiness"], None, id="adopted"),
    ],
)
def test_when_probes_are_due(status: ContainerStatus | None, now: float, due: list[str], next_at: float | None) -> None:
    written = {"name": "main", "image": "i", "ports": [{"name": "web", "containerPort": 8080}], **ALL}
    found, wake_at = due_probes([Container.model_validate(written)], {"main": status} if status else {}, now)
    assert ([one.kind for one in found], wake_at) == (due, next_at)
    assert all(one.container_id == "id" and one.started_at == 90 for one in found)


def probe(what: Any = "liveness", started_at: float = 5.0, **more: Any) -> ContainerProbe:
    values = {"kind": "http", "port": 8080, "path": "/healthz", **more}
    return ContainerProbe("main", what, NetworkCheck(**values), "id", started_at)


def test_a_probe_is_a_server_of_a_backend_for_its_timeout_and_headers() -> None:
    made = probe(headers=(("X-Key", "a b"), ("User-Agent", "me")), timeout_seconds=4, https=True, host="web.test")
    seen = cluster([
        pod("x/web", probes=(made, probe("readiness", kind="tcp", timeout_seconds=2))),
        pod("x/leaving", probes=(made,), leaving=True), pod("x/far", probes=(made,), node="node-b"),
        pod("x/bare", probes=(made,), ip=""),
    ])  # fmt: skip
    found = {one.name: one for one in backends(seen)}
    usual = {f"probe.{kind}.{seconds}" for kind in ("http", "tcp") for seconds in (1, 2, 3, 5, 10)}
    (special,) = found.keys() - usual
    assert re.fullmatch(r"probe\.http\.4\.[0-9a-f]{8}", special)
    digest = special.rpartition(".")[2]
    assert found[special].lines == (
        "mode http", "balance random", "timeout connect 4s", "timeout check 4s", "option httpchk",
        'http-check send meth GET uri-lf "%[srv_name,map_str(/pierhead/maps/probe-path.map,/)]" ver HTTP/1.1'
        ' hdr Host "%[srv_name,map_str(/pierhead/maps/probe-host.map,pod)]" hdr Accept */*'
        f" hdr 'X-Key' \"%[srv_name,map_str(/pierhead/maps/probe-header.{digest}.0.map)]\""
        f" hdr 'User-Agent' \"%[srv_name,map_str(/pierhead/maps/probe-header.{digest}.1.map)]\"",
        "http-check expect status 200-399",
    )  # fmt: skip
    (server,) = found[special].servers
    assert re.fullmatch(r"x\.web\.main\.liveness\.[0-9a-f]{8}", server.name)
    assert server.arguments == ("check", "check-ssl", "verify", "none", "inter", "10s", "rise", "1", "fall", "3")
    (other,) = found["probe.tcp.2"].servers
    assert (other.address, other.arguments[:5]) == ("10.208.16.2:8080", ("check", "inter", "10s", "downinter", "1s"))
    assert maps(seen) == {
        probes.PATHS: {server.name: "/healthz"},
        probes.HOSTS: {server.name: "web.test"},
        f"maps/probe-header.{digest}.0.map": {server.name: "a b"},
        f"maps/probe-header.{digest}.1.map": {server.name: "me"},
    }
    plain = cluster([pod("x/web", probes=(probe(),))])
    assert list(maps(plain)[probes.HOSTS].values()) == ["10.208.16.2:8080"]


def test_every_run_and_every_check_has_a_name_of_its_own() -> None:
    names = {
        server_name(pod("x/web"), one) for one in (probe(), probe(started_at=6), probe(port=81), probe("readiness"))
    }
    assert len(names) == 4


FAILED = {"status": "DOWN", "check_status": "L7STS", "check_code": 503, "chkfail": 1, "chkdown": 1}
PASSED = {"status": "UP", "check_status": "L7OK", "check_code": 200, "lastchg": 3}
SAYS_503 = "HTTP 503 from /healthz on port 8080"


@pytest.mark.parametrize(
    ("made", "row", "before", "passing", "message"),
    [
        param(probe(), None, None, None, "", id="no row yet"),
        param(probe(), {"status": "UP 1/3", "check_status": "INI"}, None, None, "", id="no check yet"),
        param(probe(), {"status": "UP 1/3", "check_status": "INI"}, True, True, "", id="a reload forgets, we do not"),
        param(probe(), {"status": "MAINT", "check_status": ""}, True, True, "", id="being changed"),
        param(probe(), {**FAILED, "check_status": "SOCKERR"}, True, True, "", id="the router's own trouble"),
        param(probe(), PASSED, None, True, "", id="passed"),
        param(probe(), {**PASSED, "check_status": "* L7OK"}, False, True, "", id="passed, and the next is under way"),
        param(probe(), FAILED, None, None, "", id="down at the first failure, which is not three"),
        param(probe(), {**FAILED, "lastchg": 20}, None, None, "", id="the third may be under way"),
        param(probe(), {**FAILED, "lastchg": 21}, None, False, SAYS_503, id="down for 2 x 10 s and 1 s more"),
        param(probe(), {**FAILED, "chkfail": 3}, True, False, SAYS_503, id="it was up, so it failed three times"),
        param(probe(), {**FAILED, "status": "UP 2/3"}, True, True, "", id="failed once since it passed"),
        param(probe(), {**FAILED, "status": "UP 2/3"}, None, True, "", id="failed once, and must have passed before"),
        param(probe(fall=1), FAILED, None, False, SAYS_503, id="one failure is enough"),
        param(probe("startup", fall=30), {**FAILED, "lastchg": 290}, None, None, "", id="startup has its whole window"),
        param(probe("startup", fall=30), {**FAILED, "lastchg": 291}, None, False, SAYS_503, id="startup failed"),
        param(probe("readiness"), FAILED, None, False, SAYS_503, id="readiness fails from the start"),
        param(probe("readiness"), FAILED, True, True, "", id="it was ready before a reload: three failures are needed"),
        param(probe("readiness", rise=3), PASSED, None, None, "", id="one success is not three"),
        param(probe("readiness", rise=3), {**PASSED, "lastchg": 20}, None, True, "", id="up all the time"),
        param(probe("readiness", rise=3), {**PASSED, "chkdown": 1}, False, True, "", id="up again after three"),
        param(probe("readiness", rise=3), {**PASSED, "status": "DOWN 1/3"}, False, False,
              "passes again on port 8080, 3 times in a row are needed", id="on its way up"),
    ],
)  # fmt: skip
def test_what_a_row_means(
    made: ContainerProbe, row: dict[str, Any] | None, before: bool | None, passing: bool | None, message: str
) -> None:
    one = pod("x/web", probes=(made,))
    rows = [] if row is None else [StatRow("probe.http.1", server_name(one, made), **row)]
    known = {} if before is None else {one.uid: (ProbeResult("main", made.kind, 5.0, before),)}
    assert results([one], rows, known) == {one.uid: (ProbeResult("main", made.kind, 5.0, passing, message),)}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"check_status": "L4CON", "last_chk": "Connection refused at initial connection step of tcp-check"},
         "connection refused on port 8080"),
        ({"check_status": "L4TOUT"}, "no connection within 1 s on port 8080"),
        ({"check_status": "L6RSP", "last_chk": "SSL handshake failure"}, "SSL handshake failure on port 8080"),
        ({"check_status": "L6TOUT"}, "no TLS handshake within 1 s on port 8080"),
        ({"check_status": "L7RSP"}, "no HTTP response from /healthz on port 8080"),
        ({"check_status": "L7TOUT"}, "no response within 1 s from /healthz on port 8080"),
        ({"check_status": "* L7STS", "check_code": 0}, "what was known"),
        ({"check_status": "PROCERR"}, "PROCERR on port 8080"),
    ],
)  # fmt: skip
def test_failures_in_words(row: dict[str, Any], message: str) -> None:
    made = probe("readiness")
    one = pod("x/web", probes=(made,))
    rows = [StatRow("probe.http.1", server_name(one, made), **{"status": "DOWN", **row})]
    known = {one.uid: (ProbeResult("main", "readiness", 5.0, False, "what was known"),)}
    assert results([one], rows, known)[one.uid][0].message == message


def test_a_startup_probe_that_passed_has_passed_until_the_next_run() -> None:
    passed = ProbeResult("main", "startup", 5.0, True)
    runs = pod("x/web", probes=(probe("readiness"),))
    assert passed in results([runs], [], {runs.uid: (passed,)})[runs.uid]
    again = pod("x/web", probes=(probe("readiness", started_at=9.0),))
    assert results([again], [], {again.uid: (passed,)})[again.uid] == (ProbeResult("main", "readiness", 9.0, None),)
    assert results([pod("x/other")], [], {}) == {}


HEADERS = st.lists(st.fixed_dictionaries({"name": st.text(max_size=5), "value": st.text(max_size=5)}), max_size=3)


@given(st.text(max_size=20), HEADERS)
def test_nothing_written_in_a_probe_leaves_its_place(path: str, headers: list[dict[str, str]]) -> None:
    found = check(httpGet={"port": 80, "path": path, "httpHeaders": headers})
    assert found is not None
    assert is_word(found.path) and found.path.startswith("/")
    made = replace(probe(), check=found)
    seen = cluster([pod("x/web", probes=(made,))])
    for one in backends(seen):
        for line in one.lines:
            assert line.isprintable()
            assert re.fullmatch(r"""(?:[^\s'"#\\]+|'[^']*'|"[^"]*"|\s)+""", line), line
    for entries in maps(seen).values():
        assert all(key and " " not in key and value.isprintable() and value.strip() for key, value in entries.items())


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        param("path_word", lambda path: path, id="paths"),
        param("_HEADER_NAME", re.compile(r"(?s).+"), id="header names"),
    ],
)
def test_the_property_can_fail(monkeypatch: pytest.MonkeyPatch, name: str, broken: Any) -> None:
    monkeypatch.setattr(probes, name, broken)
    with pytest.raises(AssertionError):
        hunted(test_nothing_written_in_a_probe_leaves_its_place, st.text(max_size=20), HEADERS)
