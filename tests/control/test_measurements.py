"""What routers counted, as rows and as points: added once, rolled up, forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from control.models import Look, Measurement, Node
from control.selectors.measurements import recent_traffic, service_traffic
from control.store import measurements
from deployer.core.network.measurements import BUCKETS, COARSE_SECONDS, FINE_SECONDS
from tests.control import factories

pytestmark = pytest.mark.django_db
START = 1_800_000_000 - 1_800_000_000 % 300
DAY = 86_400


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[measurements.Recorder]:
    yield measurements.Recorder()


def stat(**servers: tuple[int, int]) -> str:
    """stat(web_1=(100, 2)): 100 requests and 2 errors of server shop.web-1 behind shop/web:http."""
    lines = ["# pxname,svname,stot,econ,eresp,hrsp_5xx,"]
    for name, (requests, errors) in servers.items():
        lines.append(f"svc.shop.web.http,shop.{name.replace('_', '-')},{requests},0,0,{errors},")
    return "\n".join(lines)


def table(*fast_slow: tuple[int, int, int]) -> str:
    """table((3, 10, 2)): revision 3 gave 10 answers within 1 ms and 2 within 64 ms."""
    return "\n".join(
        f"0x1: key=svc.shop.web.http|{revision} use=0 exp=0 gpc0={fast} gpc6={slow}"
        for revision, fast, slow in fast_slow
    )


def pods(**revisions: int) -> None:
    owner = factories.deployment()
    for name, revision in revisions.items():
        found = owner.replica_sets.filter(revision=revision).first() or factories.replica_set(owner, revision)
        factories.pod(found, name.replace("_", "-"))


def rows(resolution: int = FINE_SECONDS) -> list[tuple[int, int, int, int]]:
    """(at since START, revision, requests, errors)"""
    found = Measurement.objects.filter(resolution=resolution).order_by("at", "revision")
    return [(row.at - START, row.revision, row.requests, row.errors) for row in found]


def test_the_first_look_only_tells_where_counting_begins(recorder: measurements.Recorder) -> None:
    pods(web_1=2)
    assert recorder.record("n1", START + 15.5, stat(web_1=(1000, 5)), "") == 0
    assert recorder.record("n1", START + 30.5, stat(web_1=(1030, 6)), "") == 1
    assert rows() == [(15, 2, 30, 1)]


def test_nothing_is_written_when_nothing_happened(
    recorder: measurements.Recorder, django_assert_num_queries: Any
) -> None:
    recorder.record("n1", START, stat(web_1=(1000, 5)), table((2, 5, 0)))
    with django_assert_num_queries(0):
        assert recorder.record("n1", START + 15, stat(web_1=(1000, 5)), table((2, 5, 0))) == 0


def test_nodes_add_up_and_revisions_are_told_apart(recorder: measurements.Recorder) -> None:
    pods(web_1=1, web_2=2)
    for node in ("n1", "n2"):
        recorder.record(node, START, stat(), "")
        recorder.record(node, START + 15, stat(web_1=(10, 1), web_2=(20, 0)), table((1, 9, 1), (2, 20, 0)))
    assert rows() == [(0, 1, 20, 2), (0, 2, 40, 0)]
    assert Measurement.objects.get(revision=1).buckets[:8] == [18, 0, 0, 0, 0, 0, 2, 0]


def test_what_two_watchers_see_is_counted_once() -> None:
    pods(web_1=2)
    for recorder in (measurements.Recorder(), measurements.Recorder()):
        recorder.record("n1", START, stat(web_1=(0, 0)), "")
        recorder.record("n1", START + 15, stat(web_1=(7, 0)), "")
    assert rows() == [(0, 2, 7, 0)]


def test_a_pod_whose_row_has_gone_keeps_its_revision(recorder: measurements.Recorder) -> None:
    pods(web_1=2)
    recorder.record("n1", START, stat(web_1=(1, 0)), "")
    recorder.record("n1", START + 15, stat(web_1=(2, 0)), "")
    factories.Pod.objects.all().delete()
    recorder.record("n1", START + 30, stat(web_1=(4, 0)), "")
    assert rows() == [(0, 2, 1, 0), (15, 2, 2, 0)]


def test_writing_costs_few_queries(recorder: measurements.Recorder, django_assert_max_num_queries: Any) -> None:
    many = {f"web_{number}": 2 for number in range(1, 30)}
    pods(**many)
    recorder.record("n1", START, stat(**dict.fromkeys(many, (0, 0))), "")
    recorder.record("n1", START + 15, stat(**dict.fromkeys(many, (1, 0))), "")
    with django_assert_max_num_queries(6):  # pods, savepoint and its release, look, rows, write
        recorder.record("n1", START + 30, stat(**dict.fromkeys(many, (3, 0))), "")
    assert rows() == [(0, 2, 29, 0), (15, 2, 58, 0)]


def row(at: int, requests: int, *, resolution: int = FINE_SECONDS, **fields: Any) -> None:
    given = {"namespace": "shop", "service": "web", "port": "http", "revision": 2, "errors": 0}
    buckets = [requests, *[0] * (BUCKETS - 1)]
    Measurement.objects.create(
        **{**given, "resolution": resolution, "at": START + at, "requests": requests, "buckets": buckets, **fields}
    )


def test_rolling_up_adds_and_may_be_repeated() -> None:
    for at in (0, 15, 285, 300, 600):
        row(at, 10, errors=1)
    for _ in range(2):
        measurements.roll_up(START + 660)
        assert rows(COARSE_SECONDS) == [(0, 2, 30, 3), (300, 2, 10, 1)]
    row(315, 5)  # late
    measurements.roll_up(START + 960)
    assert rows(COARSE_SECONDS) == [(0, 2, 30, 3), (300, 2, 15, 1), (600, 2, 10, 1)]


def test_the_past_is_forgotten_but_not_before_it_is_rolled_up() -> None:
    Node.objects.all().delete()
    Look.objects.create(node="gone", at=1)
    row(0, 10)
    row(-28 * DAY, 3, resolution=COARSE_SECONDS)
    row(-31 * DAY, 3, resolution=COARSE_SECONDS)
    measurements.roll_up(START + DAY + COARSE_SECONDS)
    assert rows() == []
    assert rows(COARSE_SECONDS) == [(-28 * DAY, 2, 3, 0), (0, 2, 10, 0)]
    assert not Look.objects.exists()


def test_a_coarse_row_never_shrinks_because_its_parts_are_forgotten() -> None:
    row(0, 10)
    row(285, 10)
    for seconds in (COARSE_SECONDS + 60, DAY, DAY + 20, DAY + 40):
        measurements.roll_up(START + seconds)
    assert rows(COARSE_SECONDS) == [(0, 2, 20, 0)]


def test_points_tell_rate_errors_and_latency_by_revision() -> None:
    row(0, 30, errors=3, buckets=[27, 0, 0, 0, 0, 0, 3, *[0] * 9])
    row(0, 15, revision=3)
    row(15, 15)
    row(30, 15)
    found = service_traffic("shop", "web", START, START + 30)
    assert [(one.at - START, one.revision, one.rate, one.error_ratio) for one in found] == [
        (0, 2, 2.0, 0.1), (0, 3, 1.0, 0.0), (15, 2, 1.0, 0.0),
    ]  # fmt: skip
    assert [str(one) for one in (found[0].p50, found[0].p95, found[0].p99)] == ["<= 1 ms", "<= 64 ms", "<= 64 ms"]
    assert service_traffic("shop", "api", START, START + 30) == []


def test_a_long_span_reads_coarse_rows_and_what_is_not_rolled_up_yet() -> None:
    for at in (0, 15, 300, 600, 615):
        row(at, 10)
    measurements.roll_up(START + 660)
    assert rows(COARSE_SECONDS) == [(0, 2, 20, 0), (300, 2, 10, 0)]
    found = service_traffic("shop", "web", START - DAY, START + 900)
    assert [(one.at - START, one.seconds, one.amount.requests) for one in found] == [
        (0, 300, 20), (300, 300, 10), (600, 300, 20),
    ]  # fmt: skip


def test_recent_traffic_is_one_point_for_each_revision() -> None:
    for at in (0, 15, 30):
        row(at, 10)
    row(15, 5, revision=3)
    found = recent_traffic("shop", "web", START + 44, seconds=30)
    assert [(one.revision, one.amount.requests, one.rate) for one in found] == [(2, 20, 20 / 30), (3, 5, 5 / 30)]


def test_errors_without_requests_are_all_errors() -> None:
    row(0, 0, errors=4)
    row(15, 1, errors=4)
    assert [one.error_ratio for one in service_traffic("shop", "web", START, START + 30)] == [1.0, 1.0]
