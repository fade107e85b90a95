"""Pods of a canary come and go and die: what is lost on the real HAProxy, and where clients end up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tests.contracts.loopback import (
    eventually,
    get,
)
from tests.contracts.split_town import (
    BACKEND,
    CANARY,
    IDLE,
    INSIDE,
    NEW,
    OLD,
    Load,
    Town,
    back,
    slow_pods,
    split,
)


def test_nobody_notices_that_a_canary_dies_nor_that_the_others_do(
    raise_town: Callable[..., Town], folder: Path
) -> None:
    """But for those whose answer had begun when its pod died: at most one of each client for each pod."""
    with ExitStack() as stack:
        there, ends = slow_pods(stack)
        town = raise_town(split(3000), there=there)
        with Load() as load:
            load.more()
            ends[2].close()
            load.more()
            eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state == "DOWN")
            assert set(load.more(200)) == {"web-1", "web-2"}
        assert load.failed.total() <= len(load.clients), load.failed
        ends[2].enter_context(back(there[2]))
        eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state.startswith("UP"))
        with Load() as load:
            load.more()
            ends[0].close()
            ends[1].close()
            for pod in ("shop.web-1", "shop.web-2"):
                eventually(lambda pod=pod: town.router.states(BACKEND)[pod], lambda state: state == "DOWN")
            assert set(load.more(100)) == {"web-3"}
        assert load.failed.total() <= 2 * len(load.clients), load.failed


def test_a_whole_rollout_loses_no_request_and_needs_no_reload(raise_town: Callable[..., Town]) -> None:
    with ExitStack() as stack:
        (one, two, three_, four), _ = slow_pods(stack, 4)
        stable = (one, two)
        town = raise_town(IDLE, there=stable)
        pid = town.router.ask("show info").partition("Pid: ")[2].split()[0]
        with Load() as load:
            assert set(load.more()) == {"web-1", "web-2"}
            town.become(split(0), stable)
            town.become(split(0), (*stable, three_))
            town.become(split(5000), (*stable, three_))
            assert load.more(200).keys() >= {"web-3"}
            town.become(split(5000), (*stable, three_, four))
            town.become(split(10_000), (one, replace(two, leaving=True), three_, four))
            town.become(split(10_000), (replace(one, leaving=True), three_, four))
            assert set(load.more(100)) == {"web-3", "web-4"}
            town.become(IDLE, (three_, four))
            assert set(load.more(100)) == {"web-3", "web-4"}
            town.become(replace(split(1000), canary_hash=OLD, stable_hash=NEW), (one, three_, four))
            town.become(replace(split(0), canary_hash=OLD, stable_hash=NEW, withdrawn=True), (one, three_, four))
            assert set(load.more(100)) == {"web-3", "web-4"}
            town.become(IDLE, (three_, four))
        assert load.failed == Counter()
        assert town.router.ask("show info").partition("Pid: ")[2].split()[0] == pid
        assert set(town.router.states(BACKEND)) == {"shop.web-3", "shop.web-4"}
        assert town.router.states(CANARY) == {}


def test_a_client_stays_with_its_pod_and_returns_from_the_reserve(raise_town: Callable[..., Town]) -> None:
    with ExitStack() as stack:
        there, ends = slow_pods(stack)
        town = raise_town(split(10_000), there=there, sessionAffinity="ClientIP")
        clients = [f"127.0.2.{number}" for number in range(1, 9)]
        assert {name for one in clients for name in town.asked(2, source=one)} == {"web-3"}
        ends[2].close()
        eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state == "DOWN")
        assert {name for one in clients for name in town.asked(2, source=one)} <= {"web-1", "web-2"}
        ends[2].enter_context(back(there[2]))
        eventually(lambda: town.router.states(CANARY)["shop.web-3"], lambda state: state.startswith("UP"))
        assert {name for one in clients for name in town.asked(2, source=one)} == {"web-3"}
        assert {get(INSIDE, 5432, source=one)[1].split("\n")[0] for one in clients} == {"web-3"}
        town.become(split(0), there)
        homes = {one: set(town.asked(5, source=one)) for one in clients}
        assert all(len(names) == 1 and names <= {"web-1", "web-2"} for names in homes.values())
