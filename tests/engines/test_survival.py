"""Hosts die, are cut off and come back, with real traffic on three real engines."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator

import pytest

from tests.engines.control_plane import ControlPlane, deployment, eventually
from tests.engines.hosts import Host, Hosts
from tests.engines.load import load
from tests.engines.net import SLEEP, address, client, served, service
from tests.engines.router_image import server
from tests.engines.shop import Shop, shop_on

pytestmark = pytest.mark.engines
READY = "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 1}"
WEB = deployment("web", image="test/server:1", replicas=6, container=READY)
CALLER = deployment("caller", image="test/web:1", replicas=1, command=SLEEP)


@pytest.fixture(scope="module")
def shop(plane: ControlPlane, hosts: Hosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop_on(plane, hosts, tmp_path_factory.mktemp("survival"), WEB, service("web"), CALLER) as made:
        yield made


def condition(plane: ControlPlane, host: Host) -> str:
    """The reason of the node's Ready condition."""
    found = json.loads(plane.manage("get", "node", host.name, "-o", "json"))
    return next(str(one["reason"]) for one in found["status"]["conditions"] if one["type"] == "Ready")


def becomes(shop: Shop, host: Host, reason: str, seconds: float = 30) -> None:
    shop.wait(lambda: condition(shop.plane, host) == reason, seconds)


def here(shop: Shop, host: Host) -> dict[str, str]:
    """Names and starting times of the pods' containers that run on a host."""
    names = host.docker("ps", "-q", "--no-trunc", "--filter", f"name=pierhead-{shop.name}-").split()
    form = "{{.Name}} {{.State.StartedAt}}"
    lines = [host.docker("inspect", "-f", form, name, check=False) for name in names]  # one may be on its way out
    return dict(line.split() for line in lines if line)


def nothing_is_doubled(shop: Shop) -> bool:
    """Seven pods on record, and on the hosts the containers of these and no others."""
    pods = sorted(pod["metadata"]["name"] for pod in shop.pods())
    names = [name for host in shop.hosts for name in here(shop, host) if "-pause-" not in name]
    return len(pods) == len(names) == 7 and all(
        f"-{pod}-" in name for pod, name in zip(pods, sorted(names), strict=True)
    )


def test_a_host_loses_power_and_its_work_goes_on_elsewhere(shop: Shop) -> None:
    at = client(shop, "caller")
    served(shop, at, "web", "/")
    doomed = next(host for host in shop.hosts if host is not at.host)
    with load(at.host, at.container, f"{address(shop, 'web')}:80", post=False) as running:
        try:
            doomed.power_off()
            becomes(shop, doomed, "Dead")
            shop.wait_ready_elsewhere(7, doomed.name)
        finally:
            doomed.power_on()
    found = running.result
    assert found.last - found.first < 3, found
    becomes(shop, doomed, "EngineReady")
    eventually(lambda: nothing_is_doubled(shop), 60, shop.tell)
    words = shop.plane.manage("describe", "node", doomed.name)
    assert "none of 2 peers sees it either" in words
    assert "NodeDead" in words
    assert re.search("NodeReturning|NodeReady", words), words  # it may have been read before the next heartbeat


def test_a_host_is_cut_off_from_us_and_then_from_everybody(shop: Shop) -> None:
    at = client(shop, "caller")
    lost = next(host for host in shop.hosts if host is not at.host and len(here(shop, host)) > 1)
    before = here(shop, lost)
    with load(at.host, at.container, f"{address(shop, 'web')}:80") as running:
        lost.hide()
        try:
            becomes(shop, lost, "CutOff")
            words = shop.plane.manage("describe", "node", lost.name)
        finally:
            lost.show()
        becomes(shop, lost, "EngineReady")
    assert re.search(r"\d of \d peers sees? it, so its pods are left alone", words), words
    assert running.result.failed == 0, running.result
    assert running.result.sent > 100
    assert here(shop, lost) == before, "its pods were left alone"

    lost.cut_off()
    try:
        becomes(shop, lost, "Dead")
        shop.wait_ready_elsewhere(7, lost.name)
        assert here(shop, lost) == before, "nobody can stop them"
    finally:
        lost.reconnect()
    becomes(shop, lost, "EngineReady")
    eventually(lambda: nothing_is_doubled(shop) and not here(shop, lost), 60, shop.tell)


def test_an_engine_hangs_crashes_and_loses_a_tag(shop: Shop) -> None:
    sick = next(host for host in shop.hosts if any("-web-" in name for name in here(shop, host)))
    before = here(shop, sick)

    sick.signal_engine(signal.SIGSTOP)
    try:
        becomes(shop, sick, "CutOff")
        shop.push(WEB, service("web"), CALLER, deployment("more", image="test/web:1", replicas=2, command=SLEEP))
        shop.sync("--wait")
        assert all(pod["spec"]["nodeName"] != sick.name for pod in shop.pods() if "more" in pod["metadata"]["name"])
        shop.push(WEB, service("web"), CALLER)
        shop.sync("--wait")
    finally:
        sick.signal_engine(signal.SIGCONT)
    becomes(shop, sick, "EngineReady")
    assert here(shop, sick) == before

    sick.signal_engine(signal.SIGKILL)
    becomes(shop, sick, "CutOff")
    sick.start_engine("--live-restore")
    becomes(shop, sick, "EngineReady")
    assert here(shop, sick) == before, "with live-restore an engine comes back beside its containers"

    sick.signal_engine(signal.SIGKILL)
    becomes(shop, sick, "CutOff")
    sick.start_engine()
    becomes(shop, sick, "EngineReady")
    shop.wait(lambda: shop.ready() == 7 and nothing_is_doubled(shop), 60)
    assert not here(shop, sick).items() & before.items(), "without it, it ends what runs, and that may go elsewhere"

    sick = next(host for host in shop.hosts if any("-web-" in name for name in here(shop, host)))
    sick.docker("rmi", "-f", "test/server:1")
    try:
        sick.docker("rm", "-f", next(name for name in here(shop, sick) if "-web-" in name))
        shop.wait(lambda: shop.ready() == 7 and nothing_is_doubled(shop), 60)
    finally:
        sick.load(server("test/server:1"))
