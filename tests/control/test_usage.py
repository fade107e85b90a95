"""What pods use, as rows: written once, added up, forgotten; and what plots and `top` are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from control.models import Node, PodUsage, WorkloadUsage
from control.selectors import usage as selectors
from control.store import usage
from deployer.core.usage import COARSE_KEPT_SECONDS, FINE_KEPT_SECONDS, Row, Subject, Total, of_node
from tests.control import factories
from tests.control.commands import Ran, Run, runner

pytestmark = pytest.mark.django_db
START = 1_800_000_000 - 1_800_000_000 % 300
MIB = 1 << 20
SETTLED = 300 + usage.SETTLED_SECONDS


def web(pod: str = "web-1", revision: int = 2) -> Subject:
    return Subject("shop", pod, "Deployment/web", revision)


def wrote(at: int, cpu: float = 100, memory: int = 64, *, of: Subject | None = None, seconds: int = 15) -> None:
    usage.record({of or web(): Row(START + at, seconds, cpu, memory * MIB)})


def coarse_rows() -> list[tuple[int, int, int, float, float, float]]:
    """(at since START, revision, seconds, pods, millicores, the most of a pod)"""
    found = WorkloadUsage.objects.order_by("at", "owner", "revision")
    return [(r.at - START, r.revision, r.seconds, r.pods, r.cpu_millicores, r.cpu_most_millicores) for r in found]


# The store


def test_a_look_is_one_statement_and_recorded_once(django_assert_num_queries: Any) -> None:
    rows = {web(f"web-{number}"): Row(START, 15, 1 / 3, MIB) for number in range(50)}
    with django_assert_num_queries(1):
        usage.record(rows)
    usage.record(dict.fromkeys(rows, Row(START, 15, 99, MIB)))
    assert set(PodUsage.objects.values_list("cpu_millicores", flat=True)) == {0.333}
    assert PodUsage.objects.count() == 50


def test_rolling_up_adds_pods_and_may_be_repeated() -> None:
    for at in range(0, 300, 15):
        wrote(at)
        wrote(at, 50, of=web("web-9", 1))
    for at in range(150, 300, 15):
        wrote(at, 200, of=web("web-2"))
    for _ in range(2):
        usage.roll_up(START + SETTLED)
        assert coarse_rows() == [(0, 1, 300, 1, 50, 50), (0, 2, 300, 1.5, 200, 200)]


def test_a_row_that_reaches_into_the_next_5_minutes_counts_there_too() -> None:
    wrote(240, seconds=150)
    usage.roll_up(START + 300 + SETTLED)
    assert coarse_rows() == [(0, 2, 60, 1, 100, 100), (300, 2, 90, 1, 100, 100)]


def test_what_is_not_settled_waits() -> None:
    wrote(0)
    usage.roll_up(START + SETTLED - 1)
    assert coarse_rows() == []


def test_the_past_is_forgotten_but_not_before_it_is_rolled_up() -> None:
    wrote(0)
    WorkloadUsage.objects.create(namespace="shop", owner="Deployment/web", at=START - COARSE_KEPT_SECONDS, seconds=15)
    usage.roll_up(START + FINE_KEPT_SECONDS + 600)
    assert not PodUsage.objects.exists()
    assert coarse_rows() == [(0, 2, 15, 1, 100, 100)]


def test_a_coarse_row_never_shrinks_because_its_parts_are_forgotten() -> None:
    for at in (0, 285):
        wrote(at)
    for seconds in (SETTLED, FINE_KEPT_SECONDS, FINE_KEPT_SECONDS + 200, FINE_KEPT_SECONDS + 590):
        usage.roll_up(START + seconds)
    assert coarse_rows() == [(0, 2, 30, 1, 100, 100)]


# Plots


def test_a_pods_points(django_assert_num_queries: Any) -> None:
    for at in (0, 15, 45):
        wrote(at, 10.5 + at)
        wrote(at, 5, of=web("web-2"))
    with django_assert_num_queries(1):
        found = selectors.pod_usage("shop", "web-1", START + 10, START + 45)
    assert found == [selectors.PodPoint(START + at, 15, 10.5 + at, 64 * MIB) for at in (0, 15)]
    assert selectors.pod_usage("shop", "web-3", START, START + 45) == []


def points(found: list[selectors.WorkloadPoint]) -> list[tuple[int, int, int, float, float]]:
    """(at since START, step, revision, pods, millicores)"""
    return [(one.at - START, one.step_seconds, one.revision, one.total.pods, one.total.cpu_millicores) for one in found]


def test_a_workloads_points_are_sums_by_revision(django_assert_num_queries: Any) -> None:
    wrote(0)
    wrote(0, 40, 32, of=web("web-2"))
    wrote(0, 7, of=web("web-3", 3))
    wrote(15, seconds=30)
    with django_assert_num_queries(2):
        found = selectors.workload_usage("shop", "web", START, START + 45)
    assert points(found) == [(0, 15, 2, 2, 140), (0, 15, 3, 1, 7), (15, 15, 2, 1, 100), (30, 15, 2, 1, 100)]
    assert found[0].total == Total(2, 140, 100, 96 * MIB, 64 * MIB)
    assert points(selectors.by_time(found))[0] == (0, 15, 0, 3, 147)
    assert points(selectors.workload_usage("shop", "web", START + 30, START + 45)) == [(30, 15, 2, 1, 100)]


def test_a_long_span_has_coarse_points_and_what_is_not_rolled_up_yet(django_assert_num_queries: Any) -> None:
    for at in (0, 15, 300, 600, 615):
        wrote(at)
    usage.roll_up(START + 300 + SETTLED)
    with django_assert_num_queries(2):
        found = selectors.workload_usage("shop", "web", START - 7 * 86400, START + 900)
    assert points(found) == [(at, 300, 2, 1, 100) for at in (0, 300, 600)]
    assert [one.seconds for one in found] == [30, 15, 30]


def test_of_an_hour_that_is_past_the_coarse_points_are_left() -> None:
    for at in (0, 300, 315):
        wrote(at)
    usage.roll_up(START + 300 + SETTLED)
    PodUsage.objects.filter(at__lt=START + 300).delete()
    found = selectors.workload_usage("shop", "web", START, START + 3600)
    assert points(found) == [(0, 300, 2, 1, 100), (300, 15, 2, 1, 100), (315, 15, 2, 1, 100)]


# Latest figures, and `top`

NOW = START + 40


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    with time_machine.travel(NOW, tick=False):
        yield runner(monkeypatch, capsys)


def shop() -> Node:
    factories.shop(3)
    factories.pod(name="batch", namespace="jobs", phase="Succeeded")
    node = Node.objects.get()
    wrote(0, 9)
    wrote(15, 0.2, 64)
    wrote(15, 250, 500, of=web("web-2"))
    wrote(-120, 77, of=web("web-3"))
    wrote(0, 500, 3000, of=of_node(node.uid))
    return node


def cells(ran: Ran) -> list[list[str]]:
    return [line.split() for line in ran.out.splitlines()]


def test_the_latest_figures_are_of_now(django_assert_num_queries: Any) -> None:
    node = shop()
    with django_assert_num_queries(2):
        found = selectors.latest_pod_usage("shop", NOW)
    assert {name: one.cpu_millicores for (_, name), one in found.items()} == {"web-1": 0.2, "web-2": 250}
    assert selectors.latest_pod_usage(None, NOW) == found
    assert selectors.latest_pod_usage("other", NOW) == {}
    with django_assert_num_queries(2):
        figures = selectors.node_usage([node], NOW)
    assert figures[node.uid].point == selectors.PodPoint(START, 15, 500, 3000 * MIB)
    assert (figures[node.uid].cpu_percent, figures[node.uid].memory_percent) == (12, 38)
    assert points(selectors.node_usage_points(node.uid, START, NOW)) == [(0, 15, 0, 1, 500)]


def test_top_pods(run: Run) -> None:
    shop()
    ran = run("top", "pods", "-n", "shop")
    assert cells(ran) == [
        ["NAME", "CPU(cores)", "MEMORY(bytes)"],
        ["web-1", "1m", "64Mi"],
        ["web-2", "250m", "500Mi"],
        ["web-3", "<unknown>", "<unknown>"],
    ]
    assert ran.code == 0 and ran.err.startswith("1 of 3 pods have no figures: ")


def test_top_pods_of_all_namespaces_the_most_first(run: Run) -> None:
    shop()
    ran = run("top", "po", "-A", "--sort-by", "memory")
    assert [line[:2] for line in cells(ran)] == [
        ["NAMESPACE", "NAME"], ["shop", "web-2"], ["shop", "web-1"], ["shop", "web-3"],
    ]  # fmt: skip
    assert cells(run("top", "pods", "web-2", "-n", "shop", "--no-headers")) == [["web-2", "250m", "500Mi"]]
    assert run("top", "pods", "-l", "app=db", "-n", "shop").err == "No resources found in namespace shop.\n"


def test_top_nodes(run: Run) -> None:
    shop()
    factories.node("n2")
    ran = run("top", "nodes")
    assert cells(ran) == [
        ["NAME", "CPU(cores)", "CPU(%)", "MEMORY(bytes)", "MEMORY(%)"],
        ["n1", "500m", "12%", "3000Mi", "38%"],
        ["n2", "<unknown>", "<unknown>", "<unknown>", "<unknown>"],
    ]
    assert ran.err.startswith("1 of 2 nodes have no figures: ")


def test_top_of_what_is_not_there(run: Run) -> None:
    assert run("top", "pods", "nobody", "-n", "shop").code == 1
    assert run("top", "services").code == 2
