"""Hosts die, are cut off and come back, with real traffic on three real engines."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines.between import between
from tests.engines.canaries import IMAGE, asked_for, dialled, standing
from tests.engines.control_plane import ControlPlane, deployment, eventually
from tests.engines.hosts import Host, Hosts
from tests.engines.load import load
from tests.engines.net import SLEEP, address, client, clients, served, service
from tests.engines.router_image import dial, server
from tests.engines.shop import OpenShop, Shop, shop_on

pytestmark = pytest.mark.engines
READY = "readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 1}"
WEB, WEB_2 = (deployment("web", image=f"test/server:{tag}", replicas=6, container=READY) for tag in "12")
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


def rolled(shop: Shop, web: str, *more: str) -> float:
    """Push this version of web, and the seconds until its rollout is over."""
    shop.push(web, service("web"), CALLER, *more)
    began = time.monotonic()
    shop.sync("--wait")
    return time.monotonic() - began


def test_an_engine_that_is_slow_or_fails_keeps_nobody_waiting(shop: Shop) -> None:
    at = client(shop, "caller")
    sick = next(host for host in shop.hosts[:2] if host is not at.host)
    served(shop, at, "web", "/")
    well = rolled(shop, WEB_2)
    with load(at.host, at.container, f"{address(shop, 'web')}:80", post=False) as running:
        with between(sick, late_seconds=2.5):
            becomes(shop, sick, "CutOff")
            assert "no answer within 1 s" in shop.plane.manage("describe", "node", sick.name)
            late = rolled(shop, WEB)
            assert on_other_hosts(shop, sick)
        becomes(shop, sick, "EngineReady")
        eventually(lambda: nothing_is_doubled(shop), 60, shop.tell)
        with between(sick, refused="/"):
            becomes(shop, sick, "CutOff")
            assert "input/output error" in shop.plane.manage("describe", "node", sick.name)
            failing = rolled(shop, WEB_2)
            assert on_other_hosts(shop, sick)
        becomes(shop, sick, "EngineReady")
        eventually(lambda: nothing_is_doubled(shop), 60, shop.tell)
    rolled(shop, WEB)
    print(f"a rollout: {well:.1f} s, with a late engine {late:.1f} s, with a failing one {failing:.1f} s")
    assert max(late, failing) < 2 * well + 5
    assert running.result.failed == 0, f"{running.result}\n{shop.tell()}"


def on_other_hosts(shop: Shop, sick: Host) -> bool:
    return all(pod["spec"]["nodeName"] != sick.name for pod in shop.plane.ready_pods(shop.name))


def test_a_host_whose_disk_is_full_keeps_nobody_waiting_and_heals(shop: Shop) -> None:
    full = shop.hosts[2]
    at = "      nodeSelector: {kubernetes.io/hostname: " + full.name + "}\n      containers:"
    tied = deployment("tied", image="test/web:1", replicas=1, command=SLEEP).replace("      containers:", at)
    shop.wait(lambda: len(shop.pods()) == 7, 60)  # what the story before has ended would leave room while it goes
    before = here(shop, full)
    full.fill_disk()
    try:
        shop.push(WEB_2, service("web"), CALLER, tied)
        shop.sync()
        shop.wait(lambda: still_full(full) and "free space on the host" in said_of(shop, "tied"), 30)
        assert "no space left on device" in said_of(shop, "tied")
        shop.wait(lambda: still_full(full) and ready_of(shop, "test/server:2") == 6, 90)
        shop.wait(lambda: still_full(full) and len(shop.pods()) == 8, 60)
        assert not any("-web-" in name for name in here(shop, full))
        assert "node host-3 could not start it, so it is made elsewhere" in shop.plane.manage(
            "get", "events", "-n", shop.name
        )
        kept = {name for name in before if "-web-" not in name}
        assert kept == {name for name in here(shop, full) if "-tied-" not in name}, "what runs there runs on"
    finally:
        full.free_disk()
    shop.wait(lambda: shop.ready() == 8 == len(shop.pods()), 60)
    rolled(shop, WEB)
    eventually(lambda: nothing_is_doubled(shop), 60, shop.tell)


def still_full(host: Host) -> bool:
    """What ends there leaves room, which others of its machine take again."""
    host.fill_disk()
    return True


def said_of(shop: Shop, app: str) -> str:
    """Why the pod of a Deployment waits."""
    pods = [pod for pod in shop.pods() if pod["metadata"]["name"].startswith(f"{app}-")]
    return "\n".join(shop.plane.manage("describe", "pod", pod["metadata"]["name"], "-n", shop.name) for pod in pods)


def ready_of(shop: Shop, image: str) -> int:
    pods = shop.plane.ready_pods(shop.name)
    return sum(pod["spec"]["containers"][0]["image"] == image for pod in pods)


LASTING = "20% for 10m, errors < 1%, only errors, warmup 2s, interval 2s"
CALLERS = deployment("caller", image=IMAGE, replicas=3, command=SLEEP)


def test_a_canary_outlives_what_happens_around_it(open_shop: OpenShop, hosts: Hosts) -> None:
    """A router that starts anew, a control plane that is killed, the canary's host: it stays where it is, and its
    analysis goes on counting. Then a person promotes it."""
    hosts.load(dial(IMAGE))
    shop = open_shop(dialled("1", LASTING), service("web"), CALLERS)
    sha = shop.push(dialled("2", LASTING), service("web"), CALLERS)
    shop.sync()
    shop.wait(lambda: asked_for(shop, sha), 40)
    shop.wait(lambda: standing(shop).analysis == "Running", 60)
    (home,) = {pod["spec"]["nodeName"] for pod in shop.pods() if version_of(pod) == "2"}
    at = next(one for one in clients(shop, "caller") if one.host.name != home)
    doomed = next(host for host in shop.hosts if host.name == home)
    with load(at.host, at.container, f"{address(shop, 'web')}:80", clients=2, pause=0.05, post=False) as running:
        goes_on(shop)
        at.host.docker("restart", "-t", "2", "pierhead-router")
        goes_on(shop)
        shop.plane.kill()
        shop.plane.start()
        goes_on(shop)
        try:
            doomed.power_off()
            becomes(shop, doomed, "Dead")
            shop.wait_ready_elsewhere(7, doomed.name, 60)
            goes_on(shop)
        finally:
            doomed.power_on()
    assert "500" not in running.result.failures, running.result
    becomes(shop, doomed, "EngineReady")
    shop.plane.manage("rollout", "promote", "--full", "deployment/web", "-n", shop.name)
    shop.plane.manage("rollout", "status", "deployment/web", "-n", shop.name, "--timeout", "120s")


def goes_on(shop: Shop) -> None:
    """In its first analysis, which counts more requests than before."""
    before = standing(shop).requests

    def counts() -> bool:
        now = standing(shop)
        assert (now.phase, now.step, now.analysis) == ("Progressing", 1, "Running"), f"{now}\n{shop.tell()}"
        return now.requests >= before + 20

    shop.wait(counts, 60)


def version_of(pod: dict[str, Any]) -> str:
    """As `dialled` has it, "" of any other pod."""
    environment = pod["spec"]["containers"][0].get("env") or []
    return next((str(one.get("value")) for one in environment if one["name"] == "VERSION"), "")
