"""What a simulated router does beyond the contract: look at other hosts, fail as hosts do, forget with a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.adapters.simulated import SimulatedEngine
from deployer.adapters.simulated_router import open_simulated_line
from deployer.adapters.simulated_traffic import Answers, count, send
from deployer.core.container import LABEL_COMPONENT, LABEL_CONTAINER, ContainerSpec, FileEntry, Mount, VolumeSpec
from deployer.core.network.measurements import Counters, read_counters
from deployer.core.network.runtime import read_stats
from tests.contracts.bench import IMAGE, MovingClock, reason_of, spec

TEXT = """
global
    set-var proc.structure str(s1)
frontend mesh
    mode tcp
    tcp-request content set-var(txn.to) ssl_fc_sni,map_str(/pierhead/maps/mesh.map)
backend svc
    mode http
    server shop.web-1 {address} {arguments}
"""
CHECKED = "check inter 1s"


def remote(sni: str) -> str:
    return f"ssl verify required sni str({sni}) check check-ssl check-sni {sni}"


class Host:
    def __init__(self, name: str, run_dir: Path, clock: MovingClock) -> None:
        self.engine = SimulatedEngine(name, "c1", run_dir=run_dir, clock=clock, sleep=clock.sleep)
        self.line = open_simulated_line(self.engine)
        self.engine.load_image(IMAGE)
        self.engine.ensure_volume(VolumeSpec("pierhead-router", {}))
        mounts = (Mount("pierhead-router", "/pierhead"),)
        net, router = {LABEL_COMPONENT: "router-net"}, {LABEL_COMPONENT: "router"}
        self.engine.create(ContainerSpec("pierhead-router-net", IMAGE, net))
        self.engine.create(
            ContainerSpec("pierhead-router", IMAGE, router, network="container:pierhead-router-net", mounts=mounts)
        )
        self.engine.start("pierhead-router-net")

    def run(self, address: str = "10.208.16.9:80", arguments: str = CHECKED, mesh: str = "") -> None:
        text = TEXT.format(address=address, arguments=arguments)
        files = [FileEntry("haproxy.cfg", text.encode()), FileEntry("maps/mesh.map", mesh.encode())]
        self.engine.put_files("pierhead-router", "/pierhead", files)
        self.engine.start("pierhead-router")

    def status(self) -> tuple[str, str]:
        header, *rows = self.line.ask(["show stat svc 4 -1"])[0].splitlines()
        found = dict(zip(header.removeprefix("# ").split(","), rows[0].split(","), strict=True))
        return found["status"], found["check_status"]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[list[Host]]:
    clock = MovingClock()
    yield [Host(f"node-{number}", tmp_path, clock) for number in (1, 2)]


def test_a_pods_address_counts_while_one_of_its_programs_runs(hosts: list[Host]) -> None:
    here = hosts[0]
    pause = spec("pause", address="10.208.16.9", network="bridge")
    here.engine.create(
        ContainerSpec("pause", IMAGE, {LABEL_CONTAINER: "pause"}, network="bridge", address=pause.address)
    )
    here.engine.create(spec("app", network="container:pause"))
    here.run()
    assert here.status() == ("DOWN", "L4CON")
    here.engine.start("pause")
    assert here.status() == ("DOWN", "L4CON")
    here.engine.start("app")
    assert here.status() == ("UP", "L7OK")
    here.engine.stop("app", 0)
    assert here.status() == ("DOWN", "L4CON")


def test_a_server_on_another_host_is_as_well_as_what_is_behind_its_mesh_port(hosts: list[Host]) -> None:
    here, there = hosts
    here.run("node-2:8443", remote("p1.n2.mesh"))
    assert here.status() == ("DOWN", "L4CON")
    there.run(mesh="p1.n2.mesh 10.208.16.2|8080\n")
    assert here.status() == ("DOWN", "L4CON")
    there.engine.create(spec("web", network="bridge", address="10.208.16.2"))
    there.engine.start("web")
    assert here.status() == ("UP", "L6OK")
    there.engine.host.cut_off()
    assert here.status() == ("DOWN", "L4TOUT")
    there.engine.host.reconnect()
    there.engine.stop("pierhead-router", 0)
    assert here.status() == ("DOWN", "L4CON")


def test_two_routers_may_look_at_each_other(hosts: list[Host]) -> None:
    here, there = hosts
    here.run("node-2:8443", remote("p1.n2.mesh"))
    there.run("node-1:8443", remote("p1.n1.mesh"))
    assert here.status() == there.status() == ("DOWN", "L4CON")


def test_a_host_that_is_away_and_a_router_that_is_stopped_do_not_answer(hosts: list[Host]) -> None:
    here = hosts[0]
    assert reason_of(here.line.ask, ["show info"]) == "RouterUnreachable"
    here.run()
    here.line.ask(["show info"])
    here.engine.host.cut_off()
    assert reason_of(here.line.ask, ["show info"]) == "RouterUnreachable"
    here.engine.host.reconnect()
    here.engine.stop("pierhead-router-net", 0)
    assert reason_of(here.line.ask, ["show info"]) == "RouterUnreachable"


def test_a_restart_forgets_what_was_added_and_what_was_only_pushed_does_not_count(hosts: list[Host]) -> None:
    here = hosts[0]
    here.run()
    assert here.line.ask(["add server svc/late 10.0.0.1:80"]) == ["New server registered."]
    text = TEXT.format(address="10.0.0.2:80", arguments="").replace("s1", "s2")
    here.engine.put_files("pierhead-router", "/pierhead", [FileEntry("haproxy.cfg", text.encode())])
    checked = here.engine.execute("pierhead-router", ["haproxy", "-c", "-f", "/pierhead/haproxy.cfg"], 5)
    missing = here.engine.execute("pierhead-router", ["haproxy", "-c", "-f", "/pierhead/other.cfg"], 5)
    assert (checked.exit_code, missing.exit_code) == (0, 1) and "other.cfg" in missing.output
    assert here.line.ask(["get var proc.structure"]) == ["proc.structure: type=str value=<s1>"]
    here.engine.stop("pierhead-router", 0)
    here.engine.start("pierhead-router")
    assert here.line.ask(["get var proc.structure"]) == ["proc.structure: type=str value=<s2>"]
    assert here.line.ask(["enable server svc/late"]) == ["No such server."]


SPLIT_TEXT = """
frontend web
    mode http
    http-request set-var(txn.weight) str(svc.shop.web.80),map_str_int(/pierhead/maps/weights.map)
    http-request set-var(txn.revision) srv_name,map_str(/pierhead/maps/revisions.map,0)
backend table.latency
    stick-table type string len 200 size 5k store gpc(16)
backend svc.shop.web.80
    mode http
    server shop.web-1 10.0.0.1:80
    server shop.web-2 10.0.0.2:80
backend svc.shop.web.80:canary
    mode http
    server shop.web-3 10.0.0.3:80
    server shop.web-1_backup 10.0.0.1:80 backup
"""
WEB, CANARY = "svc.shop.web.80", "svc.shop.web.80:canary"
REVISIONS = "shop.web-1 1\nshop.web-1_backup 1\nshop.web-2 1\nshop.web-3 2\n"


def split(here: Host, weight: int = 500) -> Host:
    files = {"haproxy.cfg": SPLIT_TEXT, "maps/weights.map": f"{WEB} {weight}\n", "maps/revisions.map": REVISIONS}
    entries = [FileEntry(path, text.encode()) for path, text in files.items()]
    here.engine.put_files("pierhead-router", "/pierhead", entries)
    here.engine.start("pierhead-router")
    return here


def counted(here: Host) -> Counters:
    found = read_counters(*here.line.ask(["show stat -1 -1 -1", "show table table.latency"]))
    servers = {key: counts for key, counts in found.servers.items() if any(counts)}
    return Counters(servers, found.latencies)


def test_traffic_is_counted_as_it_is_dialled(hosts: list[Host]) -> None:
    here = split(hosts[0])
    count(here.engine, CANARY, "shop.web-3", requests=10, errors=2, refused=1, buckets={3: 7, 15: 2})
    count(here.engine, CANARY, "shop.web-3", requests=5, buckets={3: 5})
    buckets = (0, 0, 0, 12, *[0] * 11, 2)
    assert counted(here) == Counters({(CANARY, "shop.web-3"): (15, 3)}, {(CANARY, 2): buckets})
    rows = {(row.proxy, row.server): row for row in read_stats(here.line.ask(["show stat"])[0])}
    assert (rows[CANARY, "shop.web-3"].hrsp_2xx, rows[CANARY, "BACKEND"].stot) == (12, 15)
    with pytest.raises(LookupError, match=r"node-1 has no server svc\.shop\.web\.80/shop\.web-3"):
        count(here.engine, WEB, "shop.web-3", requests=1)
    here.engine.execute("pierhead-router", ("kill", "-USR2", "1"), 5)
    assert counted(here) == Counters({}, {})


def test_a_server_that_comes_back_counts_from_zero(hosts: list[Host]) -> None:
    here = split(hosts[0])
    count(here.engine, CANARY, "shop.web-3", requests=10)
    where = f"{CANARY}/shop.web-3"
    here.line.ask([f"set server {where} state maint;del server {where}", f"add server {where} 10.0.0.3:80"])
    assert counted(here).servers == {}


def test_what_is_sent_goes_by_weight_then_evenly_and_to_backups_last(hosts: list[Host]) -> None:
    here = split(hosts[0])
    for _ in range(10):
        send(here.engine, WEB, 100, {2: Answers(errors=0.1, slow=0.2, slow_milliseconds=900)})
    found = counted(here)
    assert found.servers == {
        (WEB, "shop.web-1"): (475, 0), (WEB, "shop.web-2"): (475, 0), (CANARY, "shop.web-3"): (50, 5),
    }  # fmt: skip
    assert {key: sum(buckets) for key, buckets in found.latencies.items()} == {(WEB, 1): 950, (CANARY, 2): 50}
    assert found.latencies[CANARY, 2][10] == 10
    here.line.ask([f"set server {CANARY}/shop.web-3 state maint"])
    assert send(here.engine, WEB, 100)[f"{CANARY}/shop.web-1_backup"] == 5
    here.line.ask([f"set server {CANARY}/shop.web-1_backup state maint"])
    assert send(here.engine, WEB, 100) == {f"{WEB}/shop.web-1": 50, f"{WEB}/shop.web-2": 50}
