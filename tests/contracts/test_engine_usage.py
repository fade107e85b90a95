"""What every engine tells of CPU and memory; and how a real one is asked, against servers that are not quite one."""

from __future__ import annotations

import time
from typing import Any

import pytest

from deployer.adapters import docker_usage
from deployer.adapters.docker_seen import usage_seen
from deployer.core.usage import Usage
from deployer.ports import EngineError, EngineUnreachable
from tests.contracts.bench import Bench, shell, simulated_bench, spec
from tests.contracts.test_breaker import hanging
from tests.contracts.test_docker_wire import Answer, serving

WITHIN_SECONDS = 10.0
BUSY = shell("while true; do true; done")


def used(bench: Bench, name: str) -> Usage:
    return bench.engine.usage([name], WITHIN_SECONDS)[name]


def test_what_runs_is_measured_and_counted_on(bench: Bench) -> None:
    container = bench.run("busy", *BUSY, memory_bytes=64 << 20)
    bench.sleep(0.5)
    first = used(bench, "busy")
    bench.sleep(0.5)
    second = bench.engine.usage([container], WITHIN_SECONDS)[container]
    assert 0.4 < second.at - first.at < 5
    assert 0 < first.cpu_nanoseconds < second.cpu_nanoseconds
    assert second.cpu_nanoseconds - first.cpu_nanoseconds <= (second.at - first.at) * 1e9 * second.cpus
    assert 0 < first.memory_bytes <= first.memory_limit_bytes == 64 << 20
    assert abs(second.at - bench.engine.host_time()) < 5


def test_without_a_limit_the_hosts_memory_is_the_limit(bench: Bench) -> None:
    bench.run("unbounded")
    found, host = used(bench, "unbounded"), bench.engine.info()
    assert found.memory_limit_bytes == pytest.approx(host.memory_bytes, rel=0.01)
    assert found.cpus * 1000 == host.cpu_millicores


def test_a_counter_begins_again_with_its_container(bench: Bench) -> None:
    bench.run("restarted", *BUSY)
    bench.sleep(1.5)
    before = used(bench, "restarted")
    bench.engine.stop("restarted", 0)
    assert bench.engine.usage(["restarted"], WITHIN_SECONDS) == {}
    bench.engine.start("restarted")
    bench.sleep(0.01)
    after = used(bench, "restarted")
    assert after.cpu_nanoseconds < before.cpu_nanoseconds and after.at > before.at


def test_only_what_runs_and_is_ours_is_told(bench: Bench) -> None:
    bench.run("runs")
    bench.engine.create(spec("created"))
    theirs = bench.other.create(spec("theirs"))
    bench.other.start("theirs")
    asked = ["created", "runs", "theirs", theirs, "nobody"]
    assert list(bench.engine.usage(asked, WITHIN_SECONDS)) == ["runs"]
    assert bench.engine.usage([], WITHIN_SECONDS) == {}


def test_a_simulated_host_is_the_same_at_every_look(tmp_path: Any) -> None:
    with simulated_bench(tmp_path) as bench:
        names = [f"pod-{number}" for number in range(20)]
        for name in names:
            bench.run(name, cpu_millicores=50, memory_bytes=32 << 20)
        bench.sleep(60)
        first = bench.engine.usage(names, WITHIN_SECONDS)
        assert first == bench.engine.usage(names, WITHIN_SECONDS)
        assert len({one.memory_bytes for one in first.values()}) > 10
        for _ in range(40):
            bench.sleep(15)
            second = bench.engine.usage(names, WITHIN_SECONDS)
            for name in names:
                assert 0 < second[name].cpu_nanoseconds - first[name].cpu_nanoseconds <= 15 * 50 * 1e6
                assert second[name].memory_bytes <= 32 << 20
            first = second


# What Docker says

CPU = {"cpu_usage": {"total_usage": 5_000, "percpu_usage": [2_000, 3_000]}, "system_cpu_usage": 9}
READ = "2023-11-14T22:13:20.5Z"


def memory(usage: int = 100, **stats: int) -> dict[str, Any]:
    return {"usage": usage, "limit": 1000, "stats": stats}


@pytest.mark.parametrize(
    ("stats", "working_set"),
    [
        pytest.param({"inactive_file": 30, "total_inactive_file": 40}, 60, id="version 1: with those below it"),
        pytest.param({"inactive_file": 30}, 70, id="version 2"),
        pytest.param({"total_inactive_file": 0, "inactive_file": 30}, 100, id="version 1, none"),
        pytest.param({"inactive_file": 130}, 0, id="more than there is, for a moment"),
        pytest.param({}, 100, id="nothing is told"),
    ],
)
def test_the_working_set_is_what_kubernetes_counts(stats: dict[str, int], working_set: int) -> None:
    found = usage_seen({"read": READ, "cpu_stats": CPU, "memory_stats": memory(**stats)})
    assert found == Usage(1_700_000_000.5, 5_000, working_set, 1000, 2)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"read": "0001-01-01T00:00:00Z", "cpu_stats": {}, "memory_stats": {}}, id="it does not run"),
        pytest.param({"read": READ, "cpu_stats": {"cpu_usage": {"total_usage": 0}}, "memory_stats": {}}, id="it ended"),
        pytest.param({}, id="nothing"),
        pytest.param({"read": READ, "cpu_stats": None, "memory_stats": None}, id="nulls"),
    ],
)
def test_what_does_not_run_has_no_figures(told: dict[str, Any]) -> None:
    assert usage_seen(told) is None


def test_a_host_that_does_not_count_memory_still_counts_cpu() -> None:
    assert usage_seen({"read": READ, "cpu_stats": {**CPU, "online_cpus": 4}, "memory_stats": {}}) == Usage(
        1_700_000_000.5, 5_000, 0, 0, 4
    )


# How it is asked

TOLD = {"read": READ, "cpu_stats": CPU, "memory_stats": memory()}


def answers(count: int, **others: Answer) -> dict[str, Answer]:
    """Containers c0, c1 ... as the listing has them, each with figures unless told otherwise."""
    labels = {"pierhead.io/cluster": "c1"}
    rows = [
        {"Id": f"c{number}", "Names": [f"/c{number}"], "Labels": labels, "State": "running", "Image": "x"}
        for number in range(count)
    ]
    told = {f"containers/c{number}/stats": others.get(f"c{number}", (200, TOLD)) for number in range(count)}
    return {"containers/json": (200, rows), **told}


def test_one_that_fails_costs_only_itself() -> None:
    with serving(answers(3, c0=(500, {"message": "cgroup deleted"}), c1=(404, {"message": "no"}))) as (_, engine):
        asked = [one.id for one in engine.containers()]
        assert list(engine.usage(asked, WITHIN_SECONDS)) == ["c2"]
        with pytest.raises(EngineError, match="cannot read what c0 uses: cgroup deleted"):
            engine.usage(["c0"], WITHIN_SECONDS)


def test_an_answer_without_a_body_is_of_a_container_that_just_ended() -> None:
    """Bug: it ended the look at the whole host with a traceback."""
    with serving(answers(2, c0=(200, None))) as (_, engine):
        assert list(engine.usage([one.id for one in engine.containers()], WITHIN_SECONDS)) == ["c1"]


@pytest.mark.parametrize(("takes", "at_a_time"), [(0.45, docker_usage.AT_A_TIME), (0.0, 1)])
def test_an_engine_that_takes_long_is_asked_for_several_at_a_time(takes: float, at_a_time: int) -> None:
    """Its first answer may come at once, when its round of collecting is just due."""
    with serving(answers(33)) as (server, engine):
        asked = [one.id for one in engine.containers()]
        waiting, most = 0, 0

        class Slow(dict[str, Answer]):
            def __getitem__(self, path: str) -> Answer:
                nonlocal waiting, most
                waiting += 1
                most = max(most, waiting)
                time.sleep(0 if path.endswith("c0/stats") else takes)
                waiting -= 1
                return super().__getitem__(path)

        server.answers = Slow(server.answers)
        assert len(engine.usage(asked, WITHIN_SECONDS)) == 33
        assert most <= at_a_time and (most > 1) == (at_a_time > 1)


def test_no_question_is_begun_that_could_outlast_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answers(5)) as (server, engine):
        asked = [one.id for one in engine.containers()]
        assert engine.usage(asked, docker_usage.CALL_SECONDS - 0.1) == {}
        assert not [path for path in server.asked if path.endswith("/stats")]


def test_an_engine_that_hangs_is_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_usage, "CALL_SECONDS", docker_usage.SLOW_SECONDS + 0.1)
    with hanging() as (engine, held):
        monkeypatch.setattr(engine, "_ours", lambda container: container)
        engine._wire._version = "1.41"  # type: ignore[attr-defined]
        began_at = time.monotonic()
        with pytest.raises(EngineUnreachable):
            engine.usage([f"c{number}" for number in range(100)], WITHIN_SECONDS)
        assert len(held) == docker_usage.SILENCES
        assert time.monotonic() - began_at < 2
