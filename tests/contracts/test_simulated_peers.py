"""Three simulated hosts watch one another: what each is seen as when one is off, cut off, or cut off from one other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.adapters.simulated import Faults
from deployer.core.network import simulated_hosts
from deployer.core.network.config import router_config
from deployer.core.network.endpoints import node_label
from deployer.core.network.peers import peer_views
from deployer.core.network.values import Cluster, RoutedNode
from deployer.ports import EngineUnreachable
from tests.contracts.bench import MovingClock, reason_of
from tests.contracts.towns import Simulated
from tests.core.network.sketch import IDENTITY

NAMES = ("a", "b", "c")
PAIRS = ("ab", "ac", "ba", "bc", "ca", "cb")


class Trio:
    def __init__(self, folder: Path) -> None:
        self.clock = MovingClock()
        nodes = {name: RoutedNode(name, name, simulated_hosts.mesh_address(name)) for name in NAMES}
        self.hosts = {name: Simulated(name, folder, self.clock) for name in NAMES}
        for name, host in self.hosts.items():
            host.put(router_config(Cluster("c1", nodes[name], IDENTITY, nodes=tuple(nodes.values()))))
            host.listen()

    def views(self, *names: str) -> dict[str, bool | None]:
        """ "ab": how a's router sees b."""
        return {
            f"{name}{other}": found[node_label(other)]
            for name in names or NAMES
            for found in [peer_views(self.hosts[name].line.ask(["show stat -1 4 -1"])[0])]
            for other in NAMES
            if other != name
        }

    def after(self, seconds: float, *names: str) -> dict[str, bool | None]:
        self.clock.sleep(seconds)
        return self.views(*names)

    def unseen(self, seconds: float, *names: str) -> set[str]:
        found = self.after(seconds, *names)
        assert None not in found.values()
        return {pair for pair, view in found.items() if not view}


@pytest.fixture
def trio(tmp_path: Path) -> Trio:
    return Trio(tmp_path)


def test_nobody_is_known_before_the_first_check(trio: Trio) -> None:
    assert trio.after(0.9) == dict.fromkeys(PAIRS)
    assert trio.after(0.2) == dict.fromkeys(PAIRS, True)


def test_a_host_without_power(trio: Trio) -> None:
    trio.after(5)
    trio.hosts["a"].engine.host.power_off()
    assert reason_of(trio.hosts["a"].line.ask, ["show info"]) == "RouterUnreachable"
    with pytest.raises(EngineUnreachable):
        trio.hosts["a"].engine.containers()
    assert trio.unseen(2.2, "b", "c") == set(), "two checks of a second each have not timed out yet"
    assert trio.unseen(1.2, "b", "c") == {"ba", "ca"}
    trio.hosts["a"].engine.host.power_on()
    assert trio.unseen(2, "b", "c") == set()
    assert trio.views("a") == {"ab": True, "ac": True}
    assert {one.state for one in trio.hosts["a"].engine.containers()} == {"running"}


def test_a_host_without_its_cable_sees_nobody_either(trio: Trio) -> None:
    trio.after(5)
    trio.hosts["a"].engine.host.cut_off()
    assert trio.unseen(3.4, "b", "c") == {"ba", "ca"}
    trio.hosts["a"].engine.host.reconnect()
    assert trio.unseen(0) == {"ab", "ac", "ba", "ca"}, "it has to look first, and so have they"
    assert trio.unseen(2) == set()


def test_a_host_that_only_the_control_plane_does_not_reach(trio: Trio) -> None:
    trio.after(5)
    trio.hosts["a"].engine.host.cut_off_from_control()
    assert reason_of(trio.hosts["a"].line.ask, ["show info"]) == "RouterUnreachable"
    assert reason_of(trio.hosts["a"].engine.ping) == "Unreachable"
    assert trio.unseen(60, "b", "c") == set()
    trio.hosts["a"].engine.host.reconnect()
    assert trio.unseen(0) == set()


def test_a_link_between_two_hosts(trio: Trio) -> None:
    trio.after(5)
    trio.hosts["a"].engine.host.cut_link("b")
    trio.hosts["a"].engine.host.cut_link("b")
    assert trio.unseen(3.4) == {"ab", "ba"}
    trio.hosts["a"].engine.host.cut_link("c")
    trio.hosts["b"].engine.host.reconnect()
    assert trio.unseen(3.4) == {"ab", "ba", "ac", "ca"}, "a link that was cut is mended, not reconnected"
    trio.hosts["a"].engine.host.mend_link("b")
    assert trio.unseen(2) == {"ac", "ca"}
    trio.hosts["a"].engine.host.misbehave(Faults())
    assert trio.unseen(2) == set()


def test_a_router_that_is_stopped_refuses(trio: Trio) -> None:
    trio.after(5)
    trio.hosts["a"].refuse()
    assert trio.unseen(0.2, "b") == set()
    assert trio.unseen(1.2, "b") == {"ba"}
    trio.hosts["a"].listen()
    assert trio.unseen(1.1, "b") == set()
    trio.hosts["a"].refuse()
    trio.clock.sleep(2.8)
    trio.hosts["a"].listen()
    assert trio.unseen(0, "b") == {"ba"}, "it was found down while nobody looked"


def test_a_reload_forgets_and_one_failure_is_not_believed(trio: Trio) -> None:
    trio.after(5)
    trio.hosts["a"].engine.host.power_off()
    assert trio.unseen(10, "b") == {"ba"}
    trio.hosts["b"].engine.execute("pierhead-router", ("kill", "-USR2", "1"), 5)
    assert trio.after(0, "b") == {"ba": None, "bc": None}
    assert trio.after(4.5, "b") == {"ba": None, "bc": True}
    assert trio.after(1, "b") == {"ba": False, "bc": True}


DEEDS: dict[str, Callable[[Simulated], None]] = {
    "off": lambda one: one.engine.host.power_off(),
    "on": lambda one: one.engine.host.power_on(),
    "cut": lambda one: one.engine.host.cut_off(),
    "joined": lambda one: one.engine.host.reconnect(),
    "link": lambda one: one.engine.host.cut_link("b"),
    "mend": lambda one: one.engine.host.mend_link("b"),
}


@given(st.lists(st.tuples(st.integers(1, 24), st.sampled_from(sorted(DEEDS))), unique_by=lambda one: one[1]))
@settings(max_examples=15, deadline=None)
def test_looking_seldom_tells_the_same_as_looking_often(
    tmp_path_factory: pytest.TempPathFactory, schedule: list[tuple[int, str]]
) -> None:
    """Times in quarters of a second, which have no rounding errors; no deed is done at the very moment of a check."""
    often, seldom = (Trio(tmp_path_factory.mktemp("run")) for _ in range(2))
    for quarters, deed in schedule:
        for _ in range(quarters):
            often.after(0.25, "b", "c")
        seldom.after(quarters / 4, "c")
        for trio in (often, seldom):
            trio.clock.sleep(1 / 64)
            DEEDS[deed](trio.hosts["a"])
    assert often.after(0.5, "b", "c") == seldom.after(0.5, "b", "c")


def test_all_may_look_at_one_another_at_the_same_time(trio: Trio) -> None:
    failures: list[Exception] = []

    def look(name: str) -> None:
        try:
            for _ in range(50):
                trio.views(name)
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=look, args=(name,), daemon=True) for name in NAMES * 4]
    for one in threads:
        one.start()
    for one in threads:
        one.join(30)
    assert not failures
    assert not any(one.is_alive() for one in threads)
